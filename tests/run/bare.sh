#!/bin/sh
# From nothing to a served request: a bare Debian 12 in a folder, and in it, as
# the README says, make deps, make, make install, both init scripts, one
# request through an agent before the simulator, its bill, and the end of
# both. Needs root, debootstrap, and the network of packages.
#
# tests/run/bare.sh [FOLDER]	a FOLDER that is named is kept
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
src=/usr/src/hubd

say() {
	echo "bare: $*"
}

# ---- outside -----------------------------------------------------------------

# The mirror that this machine's apt uses.
mirror() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(CODENAME)' \
	    'Created-By: Packages' | sed -n 's/ bookworm$//p' | head -1
}

# inside STEP [UNSHARE-OPTION...]: this script in the folder, with processes
# and mounts of its own, which end with it.
inside() {
	step=$1
	shift
	unshare --mount --pid --fork --kill-child "$@" \
	    chroot "$folder" /usr/bin/env -i HOME=/root TERM=dumb \
	    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	    sh "$src/tests/run/bare.sh" "--$step"
}

outside() {
	if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
		echo "$0: needs root, and debootstrap" >&2
		exit 1
	fi
	folder=${1:-}
	if [ -z "$folder" ]; then
		folder=$(mktemp -d "${TMPDIR:-/tmp}/bare.XXXXXX")
		trap 'rm -rf --one-file-system "$folder"' EXIT
		trap 'exit 1' INT TERM
	fi
	say "a minimal Debian 12"
	debootstrap --variant=minbase bookworm "$folder" "$(mirror)" >/dev/null
	mkdir -p "$folder$src"
	(cd "$root" &&
	    git ls-files -z --cached --others --exclude-standard |
	    tar -cf - --null -T -) | tar -xf - -C "$folder$src"
	inside build
	inside serve --net
	say "all of it works"
}

# ---- inside: what the README says ----------------------------------------------

mounts() {
	mount -t proc proc /proc
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir -p /dev/shm /dev/pts
	mount -t devpts devpts /dev/pts
	mount -t tmpfs -o mode=1777 tmpfs /dev/shm
}

build() {
	mounts
	cd "$src"
	# What tests need brings servers: they are not to start here.
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
	say "make"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    --no-install-recommends make >/dev/null
	make deps
	make -j2 >/dev/null
	make install >/dev/null
	rm /usr/sbin/policy-rc.d
	say "built and installed"
}

configure() {
	useradd --system hubd
	useradd --system agentd
	install -d -o hubd /etc/hubd /var/lib/hubd /run/hubd /var/log/hubd
	install -d -o agentd /var/log/agentd
	install -m 644 etc/hubd.conf etc/prices.json /etc/hubd/
	cat >>/etc/hubd/hubd.conf <<-END
	log    = "/var/log/hubd/hubd.log"
	prices = {"/etc/hubd/prices.json", "$src/tests/sim/data/prices.json"}
	END
	cat >/etc/hubd/agentd.conf <<-END
	name  = "edge-1"
	hubs  = {"ws://127.0.0.1:8080"}
	token = "\${AGENT_TOKEN}"
	log   = "/var/log/agentd/agentd.log"
	provider "openai" {
		type     = "openai"
		base_url = "http://127.0.0.1:9999/v1"
		api_key  = "\${OPENAI_API_KEY}"
		models   = {"*"}
	}
	END
}

# The string of that name in a JSON document on stdin.
member() {
	sed -n "s/.*\"$1\": *\"\\([^\"]*\\)\".*/\\1/p"
}

register() {
	hubctl account add acme credit 5
	key=$(hubctl -j key add acme name laptop | member key)
	touch /etc/default/agentd
	chmod 600 /etc/default/agentd
	echo "AGENT_TOKEN=$(hubctl -j agent add edge-1 | member token)" \
	    >>/etc/default/agentd
	echo "OPENAI_API_KEY=sim-key" >>/etc/default/agentd
}

# await WHAT COMMAND...: until it succeeds, 30 s at most
await() {
	what=$1
	shift
	for _ in $(seq 300); do
		if "$@" >/dev/null 2>&1; then return; fi
		sleep 0.1
	done
	echo "bare: $what does not come" >&2
	cat /var/log/hubd/*.log /var/log/agentd/*.log >&2
	exit 1
}

ask() {
	curl -sSf http://127.0.0.1:8080/v1/chat/completions \
	    -H "Authorization: Bearer $key" \
	    -H "Content-Type: application/json" \
	    -d '{"model": "own-stream", "stream": true,
		"messages": [{"role": "user", "content": "Hello!"}]}'
}

booked() {
	hubctl -j show ledger | grep -q '"outcome": *"complete"'
}

# gone NAME: no process of that name is left
gone() {
	! grep -lx "$1" /proc/[0-9]*/comm >/dev/null 2>&1
}

serve() {
	mounts
	cd "$src"
	python3 tests/run/loopback.py
	configure
	build/provsim -l 127.0.0.1:9999 -d tests/sim/data >/dev/null &
	update-rc.d hubd defaults
	update-rc.d agentd defaults
	service hubd configtest
	service hubd start
	await "the hub" curl -sf http://127.0.0.1:9090/healthz
	register
	service agentd start
	await "the agent" curl -sf http://127.0.0.1:9090/readyz
	service hubd status
	service agentd status
	ask | grep -q '^data: \[DONE\]'
	await "the bill" booked
	hubctl show ledger
	service hubd reload
	service agentd stop
	service hubd stop
	await "the end of agentd" gone agentd
	await "the end of hubd" gone hubd
	[ -z "$(ls /run/hubd/*.pid 2>/dev/null)" ]
	say "served, billed, and stopped"
}

case ${1:-} in
--build) build ;;
--serve) serve ;;
*) outside "$@" ;;
esac
exit

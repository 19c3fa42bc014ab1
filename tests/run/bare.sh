#!/bin/sh
# From nothing to a served request: a bare Debian 12 in a folder, and in it, as
# the README says, make deps, make, make install, both init scripts, one
# request through an agent before the simulator, its bill, and the end of
# both; then the same by the units, under a systemd that is the first process.
# Needs root, debootstrap, and the network of packages.
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
	    sh "$root/tests/run/bare.sh" --enter "$folder" "$step"
}

# A root that is mounted: systemd makes mounts for services from it.
enter() {
	mount --bind "$1" "$1"
	cd "$1"
	exec chroot . /usr/bin/env -i HOME=/root TERM=dumb \
	    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	    sh "$src/tests/run/bare.sh" "--$2"
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
	mkdir -p "$folder"
	chmod 755 "$folder" # it is a root folder for others, too
	say "a minimal Debian 12"
	debootstrap --variant=minbase bookworm "$folder" "$(mirror)" >/dev/null
	mkdir -p "$folder$src"
	(cd "$root" &&
	    git ls-files -z --cached --others --exclude-standard |
	    tar -cf - --null -T -) | tar -xf - -C "$folder$src"
	inside build
	inside serve --net
	say "under systemd"
	inside boot --net --uts --ipc --cgroup >"$folder/boot.log" 2>&1 || {
		cat "$folder/boot.log" "$folder/trial.log" >&2
		exit 1
	}
	cat "$folder/trial.log"
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

# What tests need brings servers, which are not to start.
none_runs() {
	for server; do
		if ! gone "$server"; then
			echo "bare: $server runs" >&2
			exit 1
		fi
	done
}

build() {
	mounts
	cd "$src"
	say "make"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    --no-install-recommends make >/dev/null
	make deps
	none_runs nginx haproxy postgres redis-server
	make -j2 >/dev/null
	make install >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    --no-install-recommends systemd >/dev/null
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
	install -m 600 /dev/null /etc/default/agentd
	cat >/etc/default/agentd <<-END
	AGENT_TOKEN=$(hubctl -j agent add edge-1 | member token)
	OPENAI_API_KEY=sim-key
	END
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

# serve_by COMMAND: COMMAND SERVICE VERB starts, stops, reloads a service.
serve_by() {
	build/provsim -l 127.0.0.1:9999 -d tests/sim/data >/dev/null &
	"$@" hubd start
	await "the hub" curl -sf http://127.0.0.1:9090/healthz
	register
	"$@" agentd start
	await "the agent" curl -sf http://127.0.0.1:9090/readyz
	"$@" hubd status
	"$@" agentd status
	ask | grep -q '^data: \[DONE\]'
	await "the bill" booked
	hubctl show ledger
	"$@" hubd reload
	"$@" agentd stop
	"$@" hubd stop
	await "the end of agentd" gone agentd
	await "the end of hubd" gone hubd
}

serve() {
	mounts
	cd "$src"
	python3 tests/run/loopback.py
	configure
	update-rc.d hubd defaults
	update-rc.d agentd defaults
	service hubd configtest
	serve_by service
	[ -z "$(ls /run/hubd/*.pid 2>/dev/null)" ]
	say "served, billed, and stopped"
}

# ---- inside: the same by units -------------------------------------------------

# Becomes the first process of a system that does the trial and ends with it.
boot() {
	mounts
	mount -t sysfs sysfs /sys
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	rm -f /trial.log
	cat >/etc/systemd/system/trial.service <<-END
	[Unit]
	After=basic.target
	SuccessAction=exit-force
	FailureAction=exit-force
	[Service]
	Type=oneshot
	ExecStart=/bin/sh $src/tests/run/bare.sh --units
	StandardOutput=append:/trial.log
	StandardError=append:/trial.log
	END
	exec env container=bare /lib/systemd/systemd --system \
	    --unit=trial.service
}

unit() {
	systemctl --no-pager --full "$2" "$1"
}

units() {
	cd "$src"
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	python3 tests/run/loopback.py
	systemd-sysusers
	systemd-tmpfiles --create
	rm -rf /var/lib/hubd/*
	serve_by unit
	for u in hubd agentd; do
		[ "$(systemctl show -p Result -p NRestarts "$u")" = \
		    "$(printf 'Result=success\nNRestarts=0')" ]
	done
	# Where what is still to be billed would be.
	[ -d /run/hubd ]
	say "served, billed, and stopped"
}

case ${1:-} in
--enter) enter "$2" "$3" ;;
--build) build ;;
--serve) serve ;;
--boot) boot ;;
--units) units ;;
*) outside "$@" ;;
esac
exit

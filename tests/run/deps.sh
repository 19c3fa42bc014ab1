#!/bin/sh
# Installs what building and testing need on Debian 12: as root, or by sudo.
set -eu
packages="
	gcc make pkg-config ca-certificates
	libevent-dev libnghttp2-dev libcurl4-openssl-dev libssl-dev
	libyajl-dev libgmp-dev libconfuse-dev libsqlite3-dev
	libpq-dev libhiredis-dev
	check python3 python3-venv curl
	clang clang-format cppcheck libclang-rt-14-dev mandoc nginx-light
	haproxy postgresql-15 redis-server
	procps strace openssl patch
"
# of another source than Debian's it is good, too
command -v npm >/dev/null || packages="$packages nodejs npm"
tools=$(cd "$(dirname "$0")/../.." && pwd)/build/tools
export DEBIAN_FRONTEND=noninteractive

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "make deps: root or sudo is needed for: $*" >&2
		exit 1
	fi
}

missing() {
	for p in $packages; do
		s=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) ||
		    s=
		[ "$s" = installed ] || echo "$p"
	done
}

# Tests start servers of their own: what the packages bring neither starts
# now nor when the machine does.
policy=/usr/sbin/policy-rc.d
held=

hold_servers() {
	if [ -e $policy ]; then return; fi
	held=yes
	trap release_servers EXIT
	trap 'exit 1' INT TERM
	printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
	as_root chmod 755 $policy
}

release_servers() {
	if [ -n "$held" ]; then as_root rm -f $policy; fi
	held=
}

disable() {
	if command -v systemctl >/dev/null; then
		as_root systemctl disable -q "$1" 2>/dev/null || :
	fi
	as_root update-rc.d "$1" disable >/dev/null 2>&1 || :
}

install_missing() {
	# shellcheck disable=SC2046
	set -- $(missing)
	if [ $# -eq 0 ]; then return; fi
	echo "make deps: installing $*"
	as_root apt-get update -qq
	hold_servers
	as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
	release_servers
	for p; do
		case $p in
		postgresql-*) disable postgresql ;;
		nginx-light) disable nginx ;;
		redis-server | haproxy) disable "$p" ;;
		esac
	done
}

# Of the package prometheus the checker alone: installed whole, it would start
# a server on this machine.
download() {
	apt-get download -qq -o APT::Sandbox::User="$(id -un)" prometheus
}

fetch_promtool() {
	if command -v promtool >/dev/null || [ -x "$tools/promtool" ]; then
		return
	fi
	echo "make deps: taking promtool out of its package"
	mkdir -p "$tools"
	cd "$tools"
	download 2>/dev/null || { as_root apt-get update -qq && download; }
	dpkg-deb --fsys-tarfile prometheus_*.deb |
	    tar -xf - --strip-components=3 ./usr/bin/promtool
	rm prometheus_*.deb
}

install_missing
fetch_promtool

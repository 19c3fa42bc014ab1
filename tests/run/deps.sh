#!/bin/sh
# Installs what building and testing need on Debian 12: as root, or by sudo.
set -eu
packages="
	gcc make pkg-config ca-certificates
	libevent-dev libnghttp2-dev libcurl4-openssl-dev libssl-dev
	libyajl-dev libgmp-dev libconfuse-dev libsqlite3-dev
	check python3 python3-venv curl
	clang clang-format cppcheck libclang-rt-14-dev mandoc nginx-light
	haproxy
	procps strace openssl
"
missing=
for p in $packages; do
	s=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) || s=
	[ "$s" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
as=
if [ "$(id -u)" != 0 ]; then
	as=$(command -v sudo) || {
		echo "make deps: root or sudo is needed for:$missing" >&2
		exit 1
	}
fi
echo "make deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
$as apt-get update -qq
# shellcheck disable=SC2086
$as apt-get install -y -qq --no-install-recommends $missing >/dev/null

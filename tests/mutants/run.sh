#!/bin/sh
# Takes one remedy after the other out of a copy of the sources and runs the
# tests of that defect: they must fail. dNN.patch belongs to the system tests
# named test_dNN_..., to the unit tests with a test named dNN_..., and to those
# that a line "unit: NAME" in front of the patch names.
#
# tests/mutants/run.sh [dNN ...]	all, or only these
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/mutants.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
copy=$work/hubd
python=$root/build/venv/bin/python
failed=0

# Built files come along, so that only what a patch changes is compiled.
mkdir "$copy"
(cd "$root" && git ls-files -z --cached --others --exclude-standard |
    tar -cf - --null -T - --ignore-failed-read) | tar -xf - -C "$copy"
mkdir "$copy/build"
(cd "$root/build" && tar -cf - --exclude=./venv --exclude=./san \
    --exclude=./fuzz --exclude=./run .) | tar -xf - -C "$copy/build"
if [ -d "$root/../shared" ]; then
	ln -s "$root/../shared" "$work/shared"
fi
cd "$copy" || exit 1

# build TARGET...
build() {
	make --no-print-directory -j2 "$@" >"$work/log" 2>&1
}

# The tests of a defect; 1: they failed, 0: they passed, else: neither.
run_system() {
	files=$(grep -l "def test_$1_" tests/system/test_*.py)
	[ -n "$files" ] || return 0
	build all test-programs || return 2
	BUILD=$copy/build D14_REQUESTS=3000 timeout -s INT -k 30 900 "$python" -m pytest \
	    -q -x -p no:cacheprovider -k "$1_" $files >"$work/log" 2>&1
}

units_of() {
	sed -n 's/^unit: //p' "tests/mutants/$1.patch"
	grep -l "START_TEST($1_" tests/unit/test_*.c |
	    sed 's,.*/test_\(.*\)\.c,\1,'
}

run_units() {
	for unit in $(units_of "$1" | sort -u); do
		build "build/unit/test_$unit" || return 2
		timeout 300 "build/unit/test_$unit" >"$work/log" 2>&1 ||
		    return 1
	done
	return 0
}

verdict() {
	case $1 in
	0) echo "PASSED: the remedy is not tested"; failed=1 ;;
	1) echo "failed, as it must" ;;
	*) echo "did not run ($1)"; tail -20 "$work/log"; failed=1 ;;
	esac
}

# mutant dNN
mutant() {
	if ! patch -s -p1 <"tests/mutants/$1.patch" >"$work/log" 2>&1; then
		verdict "patch does not apply"
		return
	fi
	run_units "$1"
	rv=$?
	if [ $rv -eq 0 ]; then
		run_system "$1"
		rv=$?
	fi
	verdict $rv
	patch -s -R -p1 <"tests/mutants/$1.patch"
}

if [ $# -eq 0 ]; then
	set -- $(cd tests/mutants && ls d*.patch | sed 's/\.patch$//')
fi
echo "remedy out  its tests"
for name; do
	printf '%-12s' "$name"
	mutant "$name"
done
exit $failed

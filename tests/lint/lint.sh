#!/bin/sh
#
# make lint: rooms, format, cppcheck, man pages. A tool that is not
# installed is named and left out.

cd "$(dirname "$0")/../.." || exit 1
bad=0

have()
{
	command -v "$1" >/dev/null && return 0
	echo "lint: $1 is not installed: left out"
	return 1
}

fail()
{
	echo "lint: $1"
	bad=1
}

tests/lint/layers.sh || fail 'rooms include what they must not'

if have clang-format; then
	find agentd common hubd shm tests -name '*.[ch]' |
	    xargs clang-format --dry-run -Werror 2>&1 |
	    sed -n 's/^\([^: ]*\):[0-9].*/\1: not formatted/p' | sort -u | grep . &&
	    fail 'clang-format would change these'
fi

if have cppcheck; then
	# LIST_HEAD and its like are not in cppcheck's own library
	queue=$(printf '#include <sys/queue.h>\n' | ${CC:-cc} -E - |
	    sed -n 's/^# 1 "\(.*queue\.h\)".*/\1/p' | head -1)
	dirs=$(ls -d common shm hubd agentd tests/sim 2>/dev/null)
	cppcheck -q --std=c11 --language=c -D_GNU_SOURCE -I. \
	    --include="$queue" -DVERSION='""' -DPREFIX='""' \
	    --enable=warning,performance,portability --inline-suppr \
	    --suppressions-list=tests/lint/cppcheck.txt \
	    --error-exitcode=1 $dirs || fail 'cppcheck has found something'
fi

if have mandoc; then
	mandoc -T lint -W warning man/*.[1-9] || fail 'man pages'
fi

if have patch; then
	for p in tests/mutants/*.patch; do
		patch -s -f -p1 --dry-run -r - <"$p" >/dev/null ||
		    fail "$p: does not apply any more"
	done
fi

exit $bad

#!/bin/sh
#
# Lengths of functions and files: median, 95th percentile, maximum. A
# function goes from the line of its name to its closing brace, as KNF puts
# both at the first column.

cd "$(dirname "$0")/../.." || exit 1

# numbers, one a line, with a name -> one line of figures
figures()
{
	sort -n | awk -v what="$1" '
	{ n[NR] = $1; name[NR] = $2; sum += $1
	  if ($1 > limit60) over60++; if ($1 > limit100) over100++ }
	BEGIN { limit60 = 60; limit100 = 100 }
	END {
		if (NR == 0) exit
		printf "%-10s %6d in all, median %4d, p95 %4d, max %4d (%s)",
		    what, NR, n[int((NR + 1) / 2)], n[int(NR * 0.95 + 0.5)],
		    n[NR], name[NR]
		if (what == "functions")
			printf ", over 60 lines: %d, over 100: %d",
			    over60, over100
		printf "\n"
	}'
}

functions()
{
	awk '
	FNR == 1 { inside = 0 }
	/^[A-Za-z_].*\(/ && !inside { start = FNR; name = $0 }
	/^{/ { inside = 1 }
	/^}/ && inside {
		inside = 0
		sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
		if (start) print FNR - start + 1, FILENAME ":" name
		start = 0
	}' "$@"
}

for part in common shm hubd agentd tests; do
	files=$(find "$part" -name '*.c')
	headers=$(find "$part" -name '*.h')
	[ -z "$files" ] && continue
	echo "$part"
	functions $files | figures functions
	wc -l $files $headers | awk '$2 != "total"' | figures files
done

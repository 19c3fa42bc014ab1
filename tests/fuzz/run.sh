#!/bin/sh
# Runs fuzz targets, each for some seconds, from the corpus that is kept and
# that of earlier runs; a line of a table for each: how much ran, and how far
# it came: edges reached, of those in all that it links, and features (an edge
# with how often, or a comparison with how near).
#
# tests/fuzz/run.sh SECONDS NAME...
set -eu
seconds=$1
shift
here=$(dirname "$0")

fuzz() {
	set -- "$1" "build/fuzz/corpus_$1"
	mkdir -p "$2"
	if [ -d "$here/corpus_$1" ]; then set -- "$@" "$here/corpus_$1"; fi
	if [ -f "$here/$1.dict" ]; then set -- "$@" "-dict=$here/$1.dict"; fi
	name=$1
	shift
	"build/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 \
	    -rss_limit_mb=2048 -artifact_prefix=build/fuzz/ \
	    -print_final_stats=1 "$@" >"build/fuzz/$name.log" 2>&1
}

summary() {
	awk -v name="$1" -v seconds="$seconds" '
	/^INFO: Loaded .* PC tables/ { edges = $6; gsub(/[^0-9]/, "", edges) }
	{
		for (i = 1; i < NF; i++) {
			if ($i == "cov:") reached = $(i + 1)
			if ($i == "ft:") features = $(i + 1)
		}
	}
	/^stat::number_of_executed_units/ { runs = $2 }
	END {
		printf "%-16s %7d %9d %7d of %5d (%2d %%) %9d\n", \
		    "fuzz_" name, seconds, runs, reached, edges, \
		    edges ? 100 * reached / edges : 0, features
	}' "build/fuzz/$1.log"
}

printf '%-16s %7s %9s %23s %9s\n' target seconds runs "edges reached" features
for f; do
	fuzz "$f" || {
		tail -40 "build/fuzz/$f.log"
		exit 1
	}
	summary "$f"
done

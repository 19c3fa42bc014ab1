#!/bin/sh
#
# The one-way rule between rooms:
#	common <- shm <- hubd's decisions <- hubd's processes <- hubd/main.c
#	agentd uses common alone
# and the confinement of third-party headers to the files that may have them.
# Prints each violation; exit 1 if there is one.

cd "$(dirname "$0")/../.." || exit 1

decisions='api|route|auth|limit|price|ledger'
processes='master|worker|billing|admin|ctl'

# What a file may include, as a pattern over the included path.
allowed()
{
	hub="common/|shm/|hubd/[a-z0-9_]*\.|hubd/($decisions)/"
	case "$1" in
	common/*)	echo '^common/' ;;
	shm/*)		echo '^(common|shm)/' ;;
	agentd/*)	echo '^(common|agentd)/' ;;
	tests/sim/*)	echo '^(common|tests/sim)/' ;;
	tests/*)	echo '^' ;;
	hubd/main.c)	echo '^(common|shm|hubd)/' ;;
	hubd/*/*)
		room=$(echo "$1" | cut -d/ -f2)
		if echo "$room" | grep -Eqx "$processes"; then
			echo "^($hub|hubd/$room/)"
		elif echo "$room" | grep -Eqx "$decisions"; then
			echo "^(common/|shm/|hubd/hub_conf\.|hubd/($decisions)/)"
		else
			echo '^(common|shm)/'
		fi ;;
	hubd/*)		echo "^($hub)" ;;
	*)		echo '^$' ;;
	esac
}

files=$(find agentd common hubd shm tests -name '*.[ch]' | sort)
bad=0

for file in $files; do
	rule=$(allowed "$file")
	wrong=$(sed -n 's/^#[ \t]*include[ \t]*"\(.*\)".*/\1/p' "$file" |
	    grep -Ev "$rule")
	[ -z "$wrong" ] && continue
	for header in $wrong; do
		echo "$file: must not include \"$header\""
	done
	bad=1
done

# header pattern, then the files that may include it
confine()
{
	pattern=$1
	may=$2
	wrong=$(printf '%s\n' $files | grep -Ev '^tests/' |
	    grep -Ev "^($may)\$" |
	    xargs grep -ElE "^#[ 	]*include[ 	]*<$pattern" /dev/null)
	[ -z "$wrong" ] && return
	for file in $wrong; do
		echo "$file: <$pattern> belongs to $may alone"
	done
	bad=1
}

confine 'yajl/'		'common/json\.c'
confine 'gmp\.h'	'hubd/price/amount\.c'
confine 'sqlite3\.h'	'hubd/ledger/sqlite_handle\.h'
confine 'libpq-fe\.h'	'hubd/ledger/pgconn_private\.h'
confine 'nghttp2/'	'common/h2link_private\.h'
confine 'confuse\.h'	'common/conf\.c'
confine 'openssl/ssl\.h'	'common/(conn_tls|tls_context)\.c|agentd/trust\.c'
confine 'curl/'		'agentd/(tunnel|curl_loop)\.[ch]'
confine 'hiredis/'	'hubd/worker/redis_private\.h'
confine 'event2?[/.]'	'common/(loop|conn[a-z_]*)\.[ch]'

exit $bad

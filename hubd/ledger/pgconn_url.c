/* Which URLs of PostgreSQL are taken. */
#include <string.h>

#include "hubd/ledger/pgconn_private.h"

/*
 * A password with @ or / in it, where %40 or %2F should be, ends early, and
 * what is left of it is taken for a host, port or database: names that
 * messages quote. An abstract socket begins with @.
 */
static bool
is_quotable(const PQconninfoOption *o)
{
	const char *v = o->val;

	if (v == NULL || v[0] == '\0')
		return (true);
	if (strcmp(o->keyword, "port") == 0)
		return (v[strspn(v, "0123456789,")] == '\0');
	if (strcmp(o->keyword, "host") == 0 ||
	    strcmp(o->keyword, "dbname") == 0)
		return (strchr(v + 1, '@') == NULL);
	return (true);
}

bool
pgconn_url_ok(const char *url)
{
	PQconninfoOption *all = NULL, *o;
	bool ok = false;
	char *why = NULL;

	if (strncmp(url, "postgresql://", 13) == 0 ||
	    strncmp(url, "postgres://", 11) == 0)
		all = PQconninfoParse(url, &why);
	if ((o = all) != NULL)
		for (ok = true; o->keyword != NULL; o++)
			ok = ok && is_quotable(o);
	PQconninfoFree(all);
	PQfreemem(why);
	return (ok);
}

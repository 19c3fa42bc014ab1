/* What PostgreSQL's error codes mean for who asked. */
#include <string.h>

#include "hubd/ledger/pgconn_private.h"

static bool
in_class(const char *state, const char *class)
{
	return (strncmp(state, class, strlen(class)) == 0);
}

/* PostgreSQL's appendix A, error codes. What nobody knows here may be better
 * tomorrow: the rows wait. */
static enum ledger_result
result_of(const char *state)
{
	if (strcmp(state, "23505") == 0)
		return (LEDGER_CONFLICT);
	if (strcmp(state, "23503") == 0)
		return (LEDGER_MISSING);
	if (in_class(state, "22") || in_class(state, "23"))
		return (LEDGER_REFUSED);
	return (LEDGER_DOWN);
}

/* serialization_failure, deadlock_detected, connection exceptions,
 * admin_shutdown, feature_not_supported: a plan that a change of the schema
 * has outdated. */
static bool
worth_a_retry(const char *state)
{
	return (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0 ||
		in_class(state, "08") || strcmp(state, "57P01") == 0 ||
		strcmp(state, "0A000") == 0);
}

/* A row whose month has no partition yet is refused by a constraint without
 * a name: not the row's fault. */
static bool
lacks_partition(const PGresult *res, const char *state)
{
	return (strcmp(state, "23514") == 0 &&
		PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME) == NULL);
}

enum ledger_result
pg_meaning(const PGresult *res, const char *state, bool *retry)
{
	enum ledger_result rc;

	rc = lacks_partition(res, state) ? LEDGER_DOWN : result_of(state);
	*retry = rc == LEDGER_DOWN &&
		 (worth_a_retry(state) || in_class(state, "23"));
	return (rc);
}

/* Is the PostgreSQL store whole: its tables, indexes, references? */
#include <stdio.h>
#include <string.h>

#include "hubd/ledger/pg_private.h"

/* Each gives a line for each thing that is wrong. What PostgreSQL itself
 * guards (constraints, pages with checksums) is not looked at again. */
static const char *const checks[] = {
    "SELECT 'index ' || i.indexrelid::regclass || ' is not valid' "
    "FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
    "WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) "
    "AND NOT (i.indisvalid AND i.indisready)",
    "SELECT 'trigger ' || tgname || ' of ' || tgrelid::regclass || "
    "' is disabled' FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) "
    "AND NOT tgisinternal AND tgenabled = 'D'",
    "SELECT 'row ' || r.id || ' is of no account' FROM ledger r "
    "WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.id = r.account)",
    "SELECT 'object ' || o.id || ' is of no agent' FROM object o "
    "WHERE o.agent <> 0 AND "
    "NOT EXISTS (SELECT 1 FROM agent a WHERE a.id = o.agent)",
    "SELECT name || ' has number ' || changed || ' of a clock at ' || n "
    "FROM change_clock, (SELECT name, changed FROM account UNION ALL "
    "SELECT id, changed FROM access_key UNION ALL "
    "SELECT name, changed FROM agent) AS t WHERE changed > n",
};

static bool
on_problem(void *arg, const struct pg_rows *rows, size_t row)
{
	struct ledger_check *out = arg;

	if (out->problems++ == 0)
		pg_copy(rows, row, 0, out->first, sizeof(out->first));
	return (true);
}

static enum ledger_result
read_schema(struct ledger *l, struct ledger_check *out)
{
	enum ledger_result rc;
	struct pg_rows *rows;

	rc = pg_run(
	    l, "SELECT value FROM meta WHERE name = 'schema'", NULL, &rows);
	if (rc == LEDGER_OK && pg_count(rows) > 0)
		pg_copy(rows, 0, 0, out->schema, sizeof(out->schema));
	pg_rows_free(rows);
	return (rc);
}

static enum ledger_result
check_all(struct ledger *l, struct ledger_check *out)
{
	enum ledger_result rc = read_schema(l, out);
	size_t i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (rc == LEDGER_OK)
			rc = pg_each(l, checks[i], NULL, on_problem, out);
	}
	return (rc);
}

enum ledger_result
pg_check(struct ledger *l, struct ledger_check *out)
{
	enum ledger_result rc;

	memset(out, 0, sizeof(*out));
	if ((rc = pg_begin_reading(l)) != LEDGER_OK)
		return (rc);
	pgconn_set_patience(l->conn, PG_LONG_PATIENCE_MS);
	return (pg_end(l, check_all(l, out)));
}

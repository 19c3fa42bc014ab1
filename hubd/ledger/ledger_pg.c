/* The PostgreSQL backend: opening the store, its schema, transactions. */
#include "hubd/ledger/ledger_pg.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/ledger/pg_private.h"

#define SCHEMA_VERSION 2
#define FETCH_ROWS     "500"
/* Of the lock under which the schema is made: "hubd". */
#define SCHEMA_LOCK "1752523364"

/* Each brings the store from the version that is its place to the next. */
static const char *const schemas[SCHEMA_VERSION] = {
    ledger_postgresql_schema,
    ledger_postgresql_schema_2,
};

/* ---- schema -------------------------------------------------------------- */

static enum ledger_result
one_text(struct ledger *l, const char *sql, char *out, size_t cap)
{
	struct pg_rows *rows;
	enum ledger_result rc = pgconn_run(l->conn, sql, NULL, &rows);

	out[0] = '\0';
	if (rc == LEDGER_OK && pg_count(rows) > 0)
		pg_copy(rows, 0, 0, out, cap);
	pg_rows_free(rows);
	return (rc);
}

/* The version of the store that is there; -1: the connection is lost, or
 * there is no schema to look in. */
static int
stored_version(struct ledger *l, char *error, size_t cap)
{
	char text[64];

	/* not by to_regclass(): what a session remembers of names may be old */
	if (one_text(l,
		"SELECT CASE WHEN current_schema() IS NULL THEN '' WHEN EXISTS "
		"(SELECT 1 FROM pg_class c JOIN pg_namespace n "
		"ON n.oid = c.relnamespace WHERE c.relname = 'meta' AND "
		"n.nspname = current_schema()) THEN '1' ELSE '0' END",
		text, sizeof(text)) != LEDGER_OK)
		goto fail;
	if (text[0] == '\0') {
		snprintf(error, cap,
		    "no schema of search_path is there for this user");
		return (-1);
	}
	if (strcmp(text, "0") == 0)
		return (0);
	if (one_text(l, "SELECT value FROM meta WHERE name = 'schema'", text,
		sizeof(text)) == LEDGER_OK)
		return (atoi(text));
fail:
	snprintf(error, cap, "%s", pgconn_error(l->conn));
	return (-1);
}

static int
run_schemas(struct ledger *l, int version, char *error, size_t cap)
{
	for (; version < SCHEMA_VERSION; version++) {
		if (pgconn_script(l->conn, schemas[version]) == LEDGER_OK)
			continue;
		snprintf(error, cap, "schema %d: %s", version + 1,
		    pgconn_error(l->conn));
		return (-1);
	}
	return (0);
}

/* One hub after the other, each looking anew. */
static int
make_schema(struct ledger *l, char *error, size_t cap)
{
	int version;

	/* Behind who waits for a table all queue that use it: not for long. */
	if (pgconn_script(l->conn,
		"BEGIN; SELECT pg_advisory_xact_lock(" SCHEMA_LOCK
		"); SET LOCAL lock_timeout = '2s'") != LEDGER_OK) {
		snprintf(error, cap, "%s", pgconn_error(l->conn));
		return (-1);
	}
	version = stored_version(l, error, cap);
	if (version == -1 || run_schemas(l, version, error, cap) == -1) {
		pgconn_script(l->conn, "ROLLBACK");
		return (-1);
	}
	if (pgconn_script(l->conn, "COMMIT") == LEDGER_OK)
		return (0);
	snprintf(error, cap, "%s", pgconn_error(l->conn));
	return (-1);
}

static int
check_schema(struct ledger *l, char *error, size_t cap)
{
	int version = stored_version(l, error, cap);
	req_id_t id;

	if (version != -1 && version < SCHEMA_VERSION) {
		if (make_schema(l, error, cap) == -1)
			return (-1);
		version = stored_version(l, error, cap);
	}
	if (version == -1)
		return (-1);
	if (version != SCHEMA_VERSION) {
		snprintf(error, cap,
		    "schema \"%d\", this hubd knows only \"%d\"", version,
		    SCHEMA_VERSION);
		return (-1);
	}
	if (one_text(l, "SELECT value FROM meta WHERE name = 'store_id'",
		l->store_id, sizeof(l->store_id)) == LEDGER_OK &&
	    req_id_parse(l->store_id, &id)) {
		snprintf(
		    l->channel, sizeof(l->channel), "hubd_%s", l->store_id);
		return (0);
	}
	snprintf(error, cap, "its store_id is none");
	return (-1);
}

/* A connection is used once what it leads to has been looked at. */
static int
make_ready(struct ledger *l, char *error, size_t cap)
{
	if (pgconn_open(l->conn) != LEDGER_OK) {
		snprintf(error, cap, "%s", pgconn_error(l->conn));
		return (-1);
	}
	if (l->generation == pgconn_generation(l->conn))
		return (0);
	if (check_schema(l, error, cap) == -1) {
		pgconn_close(l->conn);
		return (-1);
	}
	pg_months_forget(l);
	l->generation = pgconn_generation(l->conn);
	return (0);
}

/* ---- statements ---------------------------------------------------------- */

enum ledger_result
pg_ready(struct ledger *l)
{
	char error[300];

	/* What was begun on a connection ends with it. */
	if (l->in_transaction)
		return (pgconn_is_open(l->conn) ? LEDGER_OK : LEDGER_DOWN);
	if (make_ready(l, error, sizeof(error)) == 0)
		return (LEDGER_OK);
	log_stays("store: %s", error);
	return (LEDGER_DOWN);
}

enum ledger_result
pg_run(struct ledger *l, const char *sql, const struct pg_args *args,
    struct pg_rows **rows)
{
	*rows = NULL;
	if (pg_ready(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	return (pgconn_run(l->conn, sql, args, rows));
}

enum ledger_result
pg_find(struct ledger *l, const char *sql, const struct pg_args *args,
    struct pg_rows **rows)
{
	enum ledger_result rc = pg_run(l, sql, args, rows);

	return (rc == LEDGER_OK && pg_count(*rows) == 0 ? LEDGER_MISSING : rc);
}

enum ledger_result
pg_do(struct ledger *l, const char *sql, const struct pg_args *args,
    uint64_t *changed)
{
	struct pg_rows *rows;
	enum ledger_result rc = pg_run(l, sql, args, &rows);

	if (rc == LEDGER_OK && changed != NULL)
		*changed = pg_changed(rows);
	pg_rows_free(rows);
	return (rc);
}

static enum ledger_result
begin(struct ledger *l, const char *sql)
{
	enum ledger_result rc;

	assert(!l->in_transaction);
	if ((rc = pg_ready(l)) == LEDGER_OK)
		rc = pgconn_script(l->conn, sql);
	l->in_transaction = rc == LEDGER_OK;
	/* a part of it may have failed behind BEGIN */
	if (rc != LEDGER_OK && pgconn_is_open(l->conn))
		(void)pgconn_script(l->conn, "ROLLBACK");
	return (rc);
}

/* A process that is stopped in the midst must not keep what it has locked. */
enum ledger_result
pg_begin(struct ledger *l)
{
	return (begin(
	    l, "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '10s'"));
}

/* Which partitions there are is asked of the present, whatever the state that
 * is read: a month must not be put aside between the two. The lock comes
 * first; it alone fixes no state. */
enum ledger_result
pg_begin_reading(struct ledger *l)
{
	return (begin(l, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
			 "SET LOCAL statement_timeout = 0; "
			 "LOCK TABLE ledger IN ACCESS SHARE MODE"));
}

enum ledger_result
pg_end(struct ledger *l, enum ledger_result rc)
{
	enum ledger_result end;

	assert(l->in_transaction);
	l->in_transaction = false;
	pgconn_set_patience(l->conn, 0);
	if (!pgconn_is_open(l->conn))
		return (LEDGER_DOWN);
	end = pgconn_script(l->conn, rc == LEDGER_OK ? "COMMIT" : "ROLLBACK");
	return (rc == LEDGER_OK ? end : rc);
}

/* Rows of the cursor until there are none. */
static enum ledger_result
fetch(struct ledger *l, const char *sql,
    bool (*fn)(void *, const struct pg_rows *, size_t), void *arg)
{
	enum ledger_result rc;
	struct pg_rows *rows;
	size_t i, n;

	do {
		rc = pgconn_run_once(l->conn, sql, NULL, &rows);
		n = rc == LEDGER_OK ? pg_count(rows) : 0;
		for (i = 0; i < n && rc == LEDGER_OK; i++) {
			if (!fn(arg, rows, i))
				rc = LEDGER_DOWN;
		}
		pg_rows_free(rows);
	} while (n > 0 && rc == LEDGER_OK);
	return (rc);
}

enum ledger_result
pg_each(struct ledger *l, const char *sql, const struct pg_args *args,
    bool (*fn)(void *, const struct pg_rows *, size_t), void *arg)
{
	bool own = !l->in_transaction;
	enum ledger_result rc;
	char *declare;

	if (own && (rc = pg_begin_reading(l)) != LEDGER_OK)
		return (rc);
	declare = xasprintf("DECLARE c NO SCROLL CURSOR FOR %s", sql);
	rc = pgconn_run_once(l->conn, declare, args, NULL);
	free(declare);
	if (rc == LEDGER_OK)
		rc = fetch(l, "FETCH " FETCH_ROWS " FROM c", fn, arg);
	if (rc == LEDGER_OK)
		rc = pgconn_script(l->conn, "CLOSE c");
	return (own ? pg_end(l, rc) : rc);
}

/* ---- the table of operations --------------------------------------------- */

static struct ledger *
pg_open(const char *where, char *error, size_t cap)
{
	struct ledger *l = xcalloc(1, sizeof(*l));

	l->conn = pgconn_new(where, error, cap);
	if (l->conn != NULL && make_ready(l, error, cap) == 0)
		return (l);
	pgconn_free(l->conn);
	free(l);
	return (NULL);
}

static void
pg_close(struct ledger *l)
{
	if (l == NULL)
		return;
	pgconn_free(l->conn);
	free(l);
}

const char *
pg_store_id(const struct ledger *l)
{
	return (l->store_id);
}

static enum ledger_result
pg_backup(struct ledger *l, const char *path, char *error, size_t cap)
{
	snprintf(
	    error, cap, "the store is PostgreSQL: back it up with pg_dump");
	return (LEDGER_REFUSED);
}

static enum ledger_result
pg_book_op(struct ledger *l, struct ledger_row *rows, size_t n,
    enum ledger_result *results)
{
	enum ledger_result rc = LEDGER_OK;
	size_t i, some;

	for (i = 0; i < n && rc == LEDGER_OK; i += some) {
		some = n - i < PG_BATCH_MAX ? n - i : PG_BATCH_MAX;
		rc = pg_book(l, rows + i, some, results + i, NULL, NULL);
	}
	return (rc);
}

/* Calls that are open are the affair of the hub they are open at: they are
 * kept in its spool. */
static enum ledger_result
pg_checkpoint(struct ledger *l, const struct ledger_row *rows, size_t n)
{
	return (n == 0 ? LEDGER_OK : LEDGER_REFUSED);
}

static enum ledger_result
pg_each_checkpoint(
    struct ledger *l, void (*fn)(void *, const struct ledger_row *), void *arg)
{
	return (LEDGER_OK);
}

const struct ledger_ops ledger_pg = {
    .name = "postgresql",
    .open = pg_open,
    .close = pg_close,
    .book = pg_book_op,
    .checkpoint = pg_checkpoint,
    .each_checkpoint = pg_each_checkpoint,
    .suspend = pg_suspend,
    .each_suspense = pg_each_suspense,
    .suspense_get = pg_suspense_get,
    .suspense_resolve = pg_suspense_resolve,
    .object_get = pg_object_get,
    .each_object = pg_each_object,
    .each_row = pg_each_row,
    .audit = pg_audit,
    .check = pg_check,
    .seal = pg_seal,
    .account_add = pg_account_add,
    .account_change = pg_account_change,
    .account_set = pg_account_set,
    .account_get = pg_account_get,
    .each_account = pg_each_account,
    .change_begin = pg_begin,
    .change_end = pg_end,
    .key_get = pg_key_get,
    .key_put = pg_key_put,
    .each_key = pg_each_key,
    .agent_get = pg_agent_get,
    .agent_put = pg_agent_put,
    .each_agent = pg_each_agent,
    .price_put = pg_price_put,
    .price_get = pg_price_get,
    .backup = pg_backup,
};

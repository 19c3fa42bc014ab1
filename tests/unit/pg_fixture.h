/* A PostgreSQL store in a schema of its own, with two accounts. */
#ifndef TESTS_UNIT_PG_FIXTURE_H
#define TESTS_UNIT_PG_FIXTURE_H

#include "hubd/ledger/ledger_pg.h"
#include "hubd/ledger/pgconn.h"
#include "tests/unit/ledger_rows.h"
#include "tests/unit/pg_server.h"

#define BLOB_OF_00 "'\\x00'"

static const struct ledger_ops *ops = &ledger_pg;
static char url[256];

static inline struct ledger *
open_store(void)
{
	char error[300] = "";
	struct ledger *opened = ops->open(url, error, sizeof(error));

	ck_assert_msg(opened != NULL, "%s", error);
	return (opened);
}

static inline void
reopen(void)
{
	ops->close(l);
	l = open_store();
}

/* A connection beside the store's. */
static inline struct pgconn *
beside(const char *where)
{
	char error[300] = "";
	struct pgconn *c = pgconn_new(where, error, sizeof(error));

	ck_assert_msg(c != NULL, "%s", error);
	ck_assert_msg(pgconn_open(c) == LEDGER_OK, "%s", pgconn_error(c));
	return (c);
}

/* Does what no hub would. */
static inline void
tamper(const char *sql)
{
	struct pgconn *c = beside(url);

	ck_assert_msg(
	    pgconn_script(c, sql) == LEDGER_OK, "%s: %s", sql, pgconn_error(c));
	pgconn_free(c);
}

/* The one value that a query gives. */
static inline void
value(const char *sql, char *out, size_t cap)
{
	struct pgconn *c = beside(url);
	struct pg_rows *rows;

	ck_assert_msg(pgconn_run_once(c, sql, NULL, &rows) == LEDGER_OK,
	    "%s: %s", sql, pgconn_error(c));
	ck_assert_uint_gt(pg_count(rows), 0);
	pg_copy(rows, 0, 0, out, cap);
	pg_rows_free(rows);
	pgconn_free(c);
}

static inline void
expect_value(const char *sql, const char *expected)
{
	char got[256];

	value(sql, got, sizeof(got));
	ck_assert_str_eq(got, expected);
}

static inline void
make_schema(void)
{
	char schema[32], sql[64];
	struct pgconn *c;

	pg_url(NULL, url, sizeof(url));
	c = beside(url);
	snprintf(schema, sizeof(schema), "t%d", (int)getpid());
	snprintf(sql, sizeof(sql), "CREATE SCHEMA %s", schema);
	ck_assert_int_eq(pgconn_script(c, sql), LEDGER_OK);
	pgconn_free(c);
	pg_url(schema, url, sizeof(url));
}

static inline void
setup(void)
{
	l = NULL;
	snprintf(dir, sizeof(dir), "/tmp/test_ledger.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	make_schema();
	reopen();
	ck_assert_int_eq(ops->account_add(l, "alice", NULL, &alice), LEDGER_OK);
	ck_assert_int_eq(ops->account_add(l, "bob", NULL, &bob), LEDGER_OK);
	change(alice, CHANGE_CREDIT, "10", "", LEDGER_OK);
}

static inline void
teardown(void)
{
	ops->close(l);
	l = NULL;
	rmdir(dir);
}

#endif

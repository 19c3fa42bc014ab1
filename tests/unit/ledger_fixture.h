/* An SQLite store in a folder of its own, with two accounts. */
#ifndef TESTS_UNIT_LEDGER_FIXTURE_H
#define TESTS_UNIT_LEDGER_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "tests/unit/ledger_rows.h"

#define BLOB_OF_00 "x'00'"

static const struct ledger_ops *ops = &ledger_sqlite;

static inline void
reopen(void)
{
	char error[200] = "";

	ops->close(l);
	l = ops->open(dir, error, sizeof(error));
	ck_assert_msg(l != NULL, "%s", error);
}

static inline void
setup(void)
{
	l = NULL;
	snprintf(dir, sizeof(dir), "/tmp/test_ledger.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	reopen();
	ck_assert_int_eq(ops->account_add(l, "alice", NULL, &alice), LEDGER_OK);
	ck_assert_int_eq(ops->account_add(l, "bob", NULL, &bob), LEDGER_OK);
	change(alice, CHANGE_CREDIT, "10", "", LEDGER_OK);
}

static inline void
remove_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
}

static inline void
teardown(void)
{
	ops->close(l);
	remove_file("hubd.db");
	remove_file("hubd.db-wal");
	remove_file("hubd.db-shm");
	remove_file("copy.db");
	rmdir(dir);
}

/* Does what no hub would: changes the file behind its back. */
static inline void
tamper(const char *sql)
{
	char path[128], *why = NULL;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/hubd.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, sql, NULL, NULL, &why);
	ck_assert_msg(why == NULL, "%s", why);
	ck_assert_int_gt(sqlite3_changes(db), 0);
	sqlite3_close(db);
}

#endif

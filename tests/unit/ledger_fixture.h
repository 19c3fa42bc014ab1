/* An SQLite store in a folder of its own, with two accounts. */
#ifndef TESTS_UNIT_LEDGER_FIXTURE_H
#define TESTS_UNIT_LEDGER_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "hubd/ledger/ledger.h"

static char dir[64];
static struct ledger *l;
static const struct ledger_ops *ops = &ledger_sqlite;
static uint32_t alice, bob;

static inline void
reopen(void)
{
	char error[200] = "";

	ops->close(l);
	l = ops->open(dir, error, sizeof(error));
	ck_assert_msg(l != NULL, "%s", error);
}

static inline void
change(uint32_t account, enum ledger_change_kind kind, const char *usd,
    const char *ref, enum ledger_result expected)
{
	amount_t *a = amount_new();

	ck_assert_int_eq(amount_parse(a, usd, strlen(usd)), 0);
	ck_assert_int_eq(
	    ops->account_change(l, account, kind, a, ref), expected);
	amount_free(a);
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

static inline struct ledger_row
make_row(unsigned n, uint32_t account, const char *amount)
{
	struct ledger_row r = {.time_ms = 1700000000000 + n,
	    .account = account,
	    .status = 200,
	    .stream = true,
	    .attempts = 1,
	    .price_version = 1,
	    .duration_ms = 1234};

	r.id.b[0] = 1;
	memcpy(&r.id.b[12], &n, sizeof(n));
	strcpy(r.key, "key_abc");
	strcpy(r.agent, "a1");
	strcpy(r.provider, "openai");
	strcpy(r.dialect, "openai");
	strcpy(r.endpoint, "chat");
	strcpy(r.model, "gpt-x");
	strcpy(r.price, "openai/gpt-x");
	strcpy(r.tier, "default");
	strcpy(r.outcome, "complete");
	strcpy(r.amount, amount);
	r.usage.n[USAGE_input] = 1000;
	r.usage.n[USAGE_output] = 2;
	return (r);
}

static inline void
book(const struct ledger_row *r, enum ledger_result expected)
{
	enum ledger_result one = LEDGER_DOWN;
	struct ledger_row copy = *r;

	ck_assert_int_eq(ops->book(l, &copy, 1, &one), LEDGER_OK);
	ck_assert_int_eq(one, expected);
}

static inline void
expect_balance(uint32_t id, const char *balance, const char *spent)
{
	struct ledger_account a;

	ck_assert_int_eq(ops->account_get(l, id, &a), LEDGER_OK);
	ck_assert_str_eq(a.balance, balance);
	ck_assert_str_eq(a.spent, spent);
}

static inline struct ledger_audit
audit(bool full)
{
	struct ledger_audit a;

	ck_assert_int_eq(ops->audit(l, full, &a), LEDGER_OK);
	return (a);
}

#endif

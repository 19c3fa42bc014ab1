/* Rows and what is asked of a store, for fixtures of stores. */
#ifndef TESTS_UNIT_LEDGER_ROWS_H
#define TESTS_UNIT_LEDGER_ROWS_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hubd/ledger/ledger.h"

static char dir[64];
static struct ledger *l;
static const struct ledger_ops *ops;
static uint32_t alice, bob;

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

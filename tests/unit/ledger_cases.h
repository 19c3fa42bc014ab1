/*
 * What every store must do, whatever it lies in. A fixture has made l, ops,
 * dir, alice with 10 USD and bob with nothing, and has reopen() and tamper().
 */
#ifndef TESTS_UNIT_LEDGER_CASES_H
#define TESTS_UNIT_LEDGER_CASES_H

#include "hubd/price/price.h"

static inline void
expect_clean(uint64_t rows, const char *sum)
{
	struct ledger_audit a = audit(false);

	ck_assert_uint_eq(a.rows, rows);
	ck_assert_str_eq(a.first_bad, "");
	ck_assert_uint_eq(a.bad_accounts, 0);
	ck_assert_uint_eq(a.bad_rows, 0);
	ck_assert_str_eq(a.ledger_sum, sum);
	ck_assert_str_eq(a.charges_sum, sum);
}

static inline void
keep_last(void *arg, const struct ledger_row *r)
{
	struct ledger_row *out = arg;

	*out = *r;
}

static inline void
count_row(void *arg, const struct ledger_row *r)
{
	unsigned *n = arg;

	(*n)++;
}

/* ---- booking ------------------------------------------------------------ */

START_TEST(a_row_is_booked_once_however_often_it_comes)
{
	struct ledger_row r = make_row(1, alice, "0.000000000000000000000001");
	struct ledger_row twice[2] = {r, r};
	enum ledger_result results[2];

	book(&r, LEDGER_OK);
	book(&r, LEDGER_OK);
	ck_assert_int_eq(ops->book(l, twice, 2, results), LEDGER_OK);
	ck_assert_int_eq(results[0], LEDGER_OK);
	ck_assert_int_eq(results[1], LEDGER_OK);
	expect_balance(
	    alice, "9.999999999999999999999999", "0.000000000000000000000001");
	reopen();
	book(&r, LEDGER_OK);
	expect_clean(1, "0.000000000000000000000001");
}
END_TEST

START_TEST(a_different_row_of_the_same_id_is_a_conflict)
{
	struct ledger_row r = make_row(1, alice, "0.5");
	struct ledger_row other;

	book(&r, LEDGER_OK);
	other = make_row(1, alice, "0.6");
	book(&other, LEDGER_CONFLICT);
	other = make_row(1, bob, "0.5");
	book(&other, LEDGER_CONFLICT);
	other = r;
	other.usage.n[USAGE_cache_read] = 1;
	book(&other, LEDGER_CONFLICT);
	other = r;
	other.unpriced_kinds = true;
	book(&other, LEDGER_CONFLICT);
	expect_balance(alice, "9.5", "0.5");
	expect_balance(bob, "0", "0");
	expect_clean(1, "0.5");
}
END_TEST

START_TEST(one_batch_books_what_it_can_and_leaves_the_rest_out)
{
	struct ledger_row r[7];
	enum ledger_result res[7];
	size_t i;

	r[0] = make_row(1, alice, "1.25");
	r[1] = make_row(2, 99, "1"); /* no such account */
	r[2] = make_row(3, bob, "0.5");
	r[3] = make_row(4, alice, "-1"); /* negative */
	r[4] = make_row(5, alice, "x");	 /* no amount */
	r[5] = make_row(6, alice, "1");
	r[5].usage.n[USAGE_output] = UINT64_MAX;
	r[6] = make_row(7, alice, "0.25");
	ck_assert_int_eq(ops->book(l, r, 7, res), LEDGER_OK);
	for (i = 0; i < 7; i++)
		ck_assert_int_eq(
		    res[i], i % 2 == 1 || i == 4 ? LEDGER_REFUSED : LEDGER_OK);
	expect_balance(alice, "8.5", "1.5");
	expect_balance(bob, "-0.5", "0.5");
	expect_clean(3, "2");
}
END_TEST

#define MANY 67

/* Some are known, refused or free among many that are none of it. */
START_TEST(each_of_many_rows_is_judged_by_itself)
{
	static struct ledger_row r[MANY];
	static enum ledger_result res[MANY];
	unsigned i;

	for (i = 0; i < MANY; i++)
		r[i] = make_row(i + 1, i % 3 == 0 ? bob : alice, "0.001");
	book(&r[3], LEDGER_OK);
	r[5].status = 500;
	book(&r[5], LEDGER_OK);
	r[5].status = 200;
	r[20].account = 99; /* no such account */
	strcpy(r[35].amount, "-1");
	strcpy(r[50].amount, "0");
	ck_assert_int_eq(ops->book(l, r, MANY, res), LEDGER_OK);
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(res[i], i == 5		      ? LEDGER_CONFLICT
					 : i == 20 || i == 35 ? LEDGER_REFUSED
							      : LEDGER_OK);
	/* 23 are bob's; alice's are two less, and one is free */
	expect_balance(bob, "-0.023", "0.023");
	expect_balance(alice, "9.959", "0.041");
	expect_clean(MANY - 2, "0.064");
	r[20].account = alice;
	r[5].status = 500;
	strcpy(r[35].amount, "0.001");
	ck_assert_int_eq(ops->book(l, r, MANY, res), LEDGER_OK);
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(res[i], LEDGER_OK);
	expect_clean(MANY, "0.066");
}
END_TEST

START_TEST(a_row_comes_back_as_it_was_booked)
{
	struct ledger_row r = make_row(7, alice, "0.000123"), got;
	struct ledger_filter all = {.limit = 10};
	unsigned i;

	for (i = 0; i < USAGE_KINDS; i++)
		r.usage.n[i] = i * UINT64_C(68719476736);
	strcpy(r.estimated, "learnt");
	strcpy(r.outcome, "orphaned");
	r.status = 499;
	book(&r, LEDGER_OK);
	ck_assert_int_eq(ops->each_row(l, &all, keep_last, &got), LEDGER_OK);
	ck_assert_str_eq(got.account_name, "alice");
	memset(got.account_name, 0, sizeof(got.account_name));
	ck_assert_mem_eq(got.id.b, r.id.b, 16);
	ck_assert_mem_eq(&got.usage, &r.usage, sizeof(r.usage));
	ck_assert_str_eq(got.amount, r.amount);
	ck_assert_str_eq(got.estimated, "learnt");
	ck_assert_str_eq(got.price, r.price);
	ck_assert_int_eq(got.status, 499);
	ck_assert_int_eq(got.time_ms, r.time_ms);
	book(&got, LEDGER_OK); /* equal in the eyes of the store as well */
}
END_TEST

START_TEST(rows_are_listed_newest_first_by_account_and_time)
{
	struct ledger_filter f = {.limit = 100};
	struct ledger_row r, oldest;
	unsigned i, n = 0;

	for (i = 1; i <= 20; i++) {
		r = make_row(i, i % 4 == 0 ? bob : alice, "0.1");
		book(&r, LEDGER_OK);
	}
	ck_assert_int_eq(ops->each_row(l, &f, keep_last, &oldest), LEDGER_OK);
	ck_assert_int_eq(oldest.time_ms, 1700000000001);
	f = (struct ledger_filter){.limit = 3};
	ops->each_row(l, &f, keep_last, &oldest);
	ck_assert_int_eq(oldest.time_ms, 1700000000018);
	f = (struct ledger_filter){.limit = 100, .account = bob};
	ops->each_row(l, &f, count_row, &n);
	ck_assert_uint_eq(n, 5);
	f.since_ms = 1700000000010;
	n = 0;
	ops->each_row(l, &f, count_row, &n);
	ck_assert_uint_eq(n, 3);
}
END_TEST

/* ---- suspense and audit ------------------------------------------------- */

static inline void
count_suspense(void *arg, const struct ledger_suspense *s)
{
	unsigned *n = arg;

	ck_assert_str_eq(s->reason, "it is odd");
	ck_assert_uint_eq(strlen(s->id), 36);
	ck_assert_int_gt(s->time_ms, 1700000000000);
	(*n)++;
}

START_TEST(suspense_keeps_each_raw_row_once)
{
	struct ledger_row r = make_row(1, alice, "0.1");
	unsigned n = 0;

	ops->checkpoint(l, &r, 1);
	ck_assert_int_eq(
	    ops->suspend(l, r.id, "it is odd", "raw\0bytes", 9), LEDGER_OK);
	ck_assert_int_eq(ops->suspend(l, r.id, "it is odd", "raw\0bytes", 9),
	    LEDGER_CONFLICT);
	ops->suspend(l, r.id, "it is odd", "raw\0bytez", 9);
	ops->each_suspense(l, false, count_suspense, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(audit(false).suspense, 2);
	n = 0;
	ops->each_checkpoint(l, count_row, &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

static inline struct price_blob *
load_prices(const char *output)
{
	char path[128], error[200] = "";
	const char *paths[1] = {path};
	struct price_blob *b = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/prices.json", dir);
	f = fopen(path, "w");
	fprintf(f,
	    "{\"openai/gpt-x\": {\"input_cost_per_token\": 2.5e-9, "
	    "\"output_cost_per_token\": %s}}",
	    output);
	fclose(f);
	ck_assert_msg(
	    price_load(paths, 1, &b, error, sizeof(error)) == 0, "%s", error);
	unlink(path);
	return (b);
}

START_TEST(a_full_audit_recomputes_each_row_from_its_own_version)
{
	struct price_blob *b = load_prices("1e-6"), *b2 = load_prices("2e-6");
	struct ledger_row r;

	ck_assert_int_eq(ops->price_put(l, b), LEDGER_OK);
	ck_assert_int_eq(ops->price_put(l, b2), LEDGER_OK);
	ck_assert_uint_eq(b->version, 1);
	ck_assert_uint_eq(b2->version, 2);
	r = make_row(1, alice, "0.0000045"); /* 1000 x 2.5e-9 + 2 x 1e-6 */
	book(&r, LEDGER_OK);
	r = make_row(2, alice, "0.0000065");
	r.price_version = 2;
	book(&r, LEDGER_OK);
	ck_assert_uint_eq(audit(true).bad_rows, 0);
	ck_assert_str_eq(audit(true).ledger_sum, "0.000011");
	r = make_row(3, alice, "0.0000045");
	r.price_version = 2; /* billed at an old price */
	book(&r, LEDGER_OK);
	r = make_row(4, alice, "0.0000045");
	r.price_version = 3; /* there is none */
	book(&r, LEDGER_OK);
	r = make_row(5, alice, "0");
	memset(&r.usage, 0, sizeof(r.usage));
	r.price[0] = '\0'; /* an error: nothing used, no price */
	book(&r, LEDGER_OK);
	ck_assert_uint_eq(audit(false).bad_rows, 0);
	ck_assert_uint_eq(audit(true).bad_rows, 2);
	tamper("UPDATE ledger SET usage = '{\"input\":1}' WHERE "
	       "price_version = 1");
	ck_assert_uint_eq(audit(true).bad_rows, 3);
	ck_assert_uint_eq(audit(true).unchecked, 0);
	/* as a hubd of another layout leaves it: no row is worse for that */
	tamper(
	    "UPDATE price_version SET blob = " BLOB_OF_00 " WHERE version = 1");
	ck_assert_uint_eq(audit(true).bad_rows, 2);
	ck_assert_uint_eq(audit(true).unchecked, 1);
	free(b);
	free(b2);
}
END_TEST

/* ---- accounts, keys, agents, prices ------------------------------------- */

START_TEST(a_credit_with_a_ref_counts_once)
{
	uint32_t id;

	change(alice, CHANGE_CREDIT, "5", "invoice 7", LEDGER_OK);
	change(alice, CHANGE_CREDIT, "5.00", "invoice 7", LEDGER_OK);
	change(alice, CHANGE_CREDIT, "6", "invoice 7", LEDGER_CONFLICT);
	change(bob, CHANGE_CREDIT, "6", "invoice 7", LEDGER_OK);
	change(alice, CHANGE_CREDIT, "1", "", LEDGER_OK);
	change(alice, CHANGE_CREDIT, "1", "", LEDGER_OK);
	change(alice, CHANGE_DEBIT, "-0.5", "fee", LEDGER_OK);
	change(alice, CHANGE_DEBIT, "-0.5", "fee", LEDGER_OK);
	change(99, CHANGE_CREDIT, "1", "", LEDGER_MISSING);
	expect_balance(alice, "16", "0");
	expect_balance(bob, "6", "0");
	ck_assert_int_eq(
	    ops->account_add(l, "alice", NULL, &id), LEDGER_CONFLICT);
	expect_clean(0, "0");
}
END_TEST

START_TEST(accounts_keep_what_they_are_set_to)
{
	struct ledger_account a;
	bool yes = true;

	ck_assert_int_eq(ops->account_set(l, alice, "2.50", NULL), LEDGER_OK);
	ck_assert_int_eq(ops->account_set(l, alice, NULL, &yes), LEDGER_OK);
	reopen();
	ck_assert_int_eq(ops->account_get(l, alice, &a), LEDGER_OK);
	ck_assert_str_eq(a.overdraft, "2.5");
	ck_assert(a.disabled && !a.overdraft_unlimited);
	ops->account_set(l, alice, "unlimited", NULL);
	ops->account_get(l, alice, &a);
	ck_assert(a.disabled && a.overdraft_unlimited);
	ck_assert_int_eq(
	    ops->account_set(l, alice, "-1", NULL), LEDGER_REFUSED);
	ck_assert_int_eq(ops->account_set(l, 99, "1", NULL), LEDGER_MISSING);
	ck_assert_int_eq(ops->account_get(l, 99, &a), LEDGER_MISSING);
}
END_TEST

static inline void
keep_key(void *arg, const struct ledger_key *k)
{
	struct ledger_key *out = arg;

	*out = *k;
}

START_TEST(keys_are_put_and_replaced_by_their_id)
{
	struct ledger_key k = {.id = "key_1",
	    .account = alice,
	    .rpm = 60,
	    .tpm = UINT64_C(1) << 62,
	    .created_ms = 5,
	    .models = "a,b*"};
	struct ledger_key other, got;

	memset(k.hash, 7, sizeof(k.hash));
	ck_assert_int_eq(ops->key_put(l, &k), LEDGER_OK);
	ck_assert_uint_eq(k.number, 1);
	memset(k.old_hash, 7, sizeof(k.hash));
	memset(k.hash, 8, sizeof(k.hash));
	k.old_until_ms = 99;
	k.revoked = 2;
	ck_assert_int_eq(ops->key_put(l, &k), LEDGER_OK);
	ck_assert_uint_eq(k.number, 1);
	reopen();
	ck_assert_int_eq(ops->each_key(l, keep_key, &got), LEDGER_OK);
	ck_assert_mem_eq(&got, &k, sizeof(k));
	other = k;
	strcpy(other.id, "key_2");
	ck_assert_int_eq(ops->key_put(l, &other), LEDGER_CONFLICT);
	memset(other.hash, 9, sizeof(other.hash));
	other.account = 99;
	ck_assert_int_eq(ops->key_put(l, &other), LEDGER_MISSING);
	other.account = bob;
	ck_assert_int_eq(ops->key_put(l, &other), LEDGER_OK);
	ck_assert_uint_gt(other.number, k.number);
}
END_TEST

static inline void
keep_agent(void *arg, const struct ledger_agent *a)
{
	struct ledger_agent *out = arg;

	*out = *a;
}

static inline bool
rename_key(void *arg, struct ledger_key *k)
{
	strcpy(k->name, "renamed");
	return (*(const bool *)arg);
}

START_TEST(a_key_is_changed_unless_it_is_thought_better_of)
{
	struct ledger_key k = {.id = "key_1", .account = alice, .rpm = 60};
	struct ledger_key got;
	bool yes = true, no = false;

	ck_assert_int_eq(
	    ledger_change_key(ops, l, "key_1", rename_key, &yes, &got),
	    LEDGER_MISSING);
	ck_assert_int_eq(ops->key_put(l, &k), LEDGER_OK);
	ck_assert_int_eq(
	    ledger_change_key(ops, l, "key_1", rename_key, &no, &got),
	    LEDGER_REFUSED);
	ck_assert_int_eq(ops->key_get(l, "key_1", &got), LEDGER_OK);
	ck_assert_mem_eq(&got, &k, sizeof(k));
	ck_assert_int_eq(
	    ledger_change_key(ops, l, "key_1", rename_key, &yes, &got),
	    LEDGER_OK);
	ck_assert_str_eq(got.name, "renamed");
	ck_assert_int_eq(ops->key_get(l, "key_1", &k), LEDGER_OK);
	ck_assert_mem_eq(&got, &k, sizeof(k));
	ck_assert_uint_eq(k.rpm, 60);
}
END_TEST

static inline bool
drain_agent(void *arg, struct ledger_agent *a)
{
	a->draining = true;
	return (*(const bool *)arg);
}

START_TEST(an_agent_is_changed_unless_it_is_thought_better_of)
{
	struct ledger_agent a = {.name = "a1", .models = "m"}, got;
	bool yes = true, no = false;

	ck_assert_int_eq(
	    ledger_change_agent(ops, l, "a1", drain_agent, &yes, &got),
	    LEDGER_MISSING);
	ck_assert_int_eq(ops->agent_put(l, &a), LEDGER_OK);
	ck_assert_int_eq(
	    ledger_change_agent(ops, l, "a1", drain_agent, &no, &got),
	    LEDGER_REFUSED);
	ck_assert_int_eq(ops->agent_get(l, "a1", &got), LEDGER_OK);
	ck_assert_mem_eq(&got, &a, sizeof(a));
	ck_assert_int_eq(
	    ledger_change_agent(ops, l, "a1", drain_agent, &yes, &got),
	    LEDGER_OK);
	ck_assert_int_eq(ops->agent_get(l, "a1", &a), LEDGER_OK);
	ck_assert(a.draining);
	ck_assert_mem_eq(&got, &a, sizeof(a));
}
END_TEST

START_TEST(agents_are_inserted_once_and_replaced_by_id)
{
	struct ledger_agent a = {.name = "a1",
	    .models = "gpt-*",
	    .providers = "openai",
	    .replicas = 2};
	struct ledger_agent b = {.name = "a1"}, got;

	memset(a.token_hash, 3, sizeof(a.token_hash));
	ck_assert_int_eq(ops->agent_put(l, &a), LEDGER_OK);
	ck_assert_uint_eq(a.id, 1);
	ck_assert_int_eq(ops->agent_put(l, &b), LEDGER_CONFLICT);
	a.draining = true;
	ck_assert_int_eq(ops->agent_put(l, &a), LEDGER_OK);
	reopen();
	ck_assert_int_eq(ops->each_agent(l, keep_agent, &got), LEDGER_OK);
	ck_assert_mem_eq(&got, &a, sizeof(a));
	b.id = 99;
	strcpy(b.name, "b");
	ck_assert_int_eq(ops->agent_put(l, &b), LEDGER_MISSING);
}
END_TEST

START_TEST(the_same_prices_are_the_same_version)
{
	struct price_blob *one = load_prices("1e-6"), *same, *two, *got;

	ck_assert_int_eq(ops->price_get(l, 0, &got), LEDGER_MISSING);
	one->time_ms = 11;
	ck_assert_int_eq(ops->price_put(l, one), LEDGER_OK);
	same = load_prices("1e-06");
	same->time_ms = 22;
	ck_assert_int_eq(ops->price_put(l, same), LEDGER_OK);
	ck_assert_uint_eq(same->version, one->version);
	ck_assert_int_eq(same->time_ms, 11);
	two = load_prices("2e-6");
	ops->price_put(l, two);
	ck_assert_uint_eq(two->version, one->version + 1);
	/* Back to the first prices: a version of its own, later in time. */
	ops->price_put(l, same);
	ck_assert_uint_eq(same->version, two->version + 1);
	reopen();
	ck_assert_int_eq(ops->price_get(l, 0, &got), LEDGER_OK);
	ck_assert_uint_eq(got->version, 3);
	free(got);
	ck_assert_int_eq(ops->price_get(l, 1, &got), LEDGER_OK);
	ck_assert_int_eq(got->time_ms, 11);
	ck_assert(price_blob_valid(got, got->size));
	ck_assert_ptr_nonnull(price_blob_find(got, SPAN("openai/gpt-x")));
	free(got);
	tamper("UPDATE price_version SET blob = substr(blob, 1, 100)");
	ck_assert_int_eq(ops->price_get(l, 1, &got), LEDGER_REFUSED);
	free(one);
	free(same);
	free(two);
}
END_TEST

static inline void
add_store_cases(TCase *tc)
{
	tcase_add_test(tc, a_row_is_booked_once_however_often_it_comes);
	tcase_add_test(tc, a_different_row_of_the_same_id_is_a_conflict);
	tcase_add_test(tc, one_batch_books_what_it_can_and_leaves_the_rest_out);
	tcase_add_test(tc, each_of_many_rows_is_judged_by_itself);
	tcase_add_test(tc, a_row_comes_back_as_it_was_booked);
	tcase_add_test(tc, rows_are_listed_newest_first_by_account_and_time);
	tcase_add_test(tc, suspense_keeps_each_raw_row_once);
	tcase_add_test(
	    tc, a_full_audit_recomputes_each_row_from_its_own_version);
	tcase_add_test(tc, a_credit_with_a_ref_counts_once);
	tcase_add_test(tc, accounts_keep_what_they_are_set_to);
	tcase_add_test(tc, keys_are_put_and_replaced_by_their_id);
	tcase_add_test(tc, agents_are_inserted_once_and_replaced_by_id);
	tcase_add_test(tc, a_key_is_changed_unless_it_is_thought_better_of);
	tcase_add_test(tc, an_agent_is_changed_unless_it_is_thought_better_of);
	tcase_add_test(tc, the_same_prices_are_the_same_version);
}

#endif

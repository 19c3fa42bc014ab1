/* The SQLite store: what is booked is booked once, and adds up. */
#include <sys/resource.h>
#include <sys/stat.h>

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hubd/price/price.h"
#include "tests/unit/ledger_fixture.h"

static void
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

static void
keep_last(void *arg, const struct ledger_row *r)
{
	struct ledger_row *out = arg;

	*out = *r;
}

static void
count_row(void *arg, const struct ledger_row *r)
{
	unsigned *n = arg;

	(*n)++;
}

/* ---- booking ------------------------------------------------------------- */

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

START_TEST(a_row_whose_charge_is_refused_is_not_left_behind)
{
	struct ledger_row r = make_row(1, alice, "0.5");

	book(&r, LEDGER_OK);
	tamper("DELETE FROM ledger");
	book(&r, LEDGER_REFUSED);
	ck_assert_uint_eq(audit(false).rows, 0);
	expect_balance(alice, "9.5", "0.5");
}
END_TEST

START_TEST(a_broken_account_holds_up_no_other)
{
	struct ledger_row r[2] = {
	    make_row(1, alice, "0.5"), make_row(2, bob, "0.25")};
	enum ledger_result got[2];

	tamper("UPDATE account SET balance = 'abc' WHERE id = 1");
	ck_assert_int_eq(ops->book(l, r, 2, got), LEDGER_OK);
	ck_assert_int_eq(got[0], LEDGER_REFUSED);
	ck_assert_int_eq(got[1], LEDGER_OK);
	expect_balance(bob, "-0.25", "0.25");
	ck_assert_uint_eq(audit(false).rows, 1);
}
END_TEST

START_TEST(a_full_disk_books_nothing_and_is_survived)
{
	struct rlimit tight = {4096, RLIM_INFINITY}, was;
	struct ledger_row r[50];
	enum ledger_result res[50];
	unsigned i;

	for (i = 0; i < 50; i++)
		r[i] = make_row(i + 1, i % 2 == 0 ? alice : bob, "0.001");
	book(&r[0], LEDGER_OK);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	setrlimit(RLIMIT_FSIZE, &tight);
	ck_assert_int_eq(ops->book(l, r, 50, res), LEDGER_DOWN);
	ck_assert_int_eq(ops->book(l, r, 50, res), LEDGER_DOWN);
	ck_assert_int_eq(ops->checkpoint(l, r, 50), LEDGER_DOWN);
	change(alice, CHANGE_CREDIT, "1", "", LEDGER_DOWN);
	expect_balance(alice, "9.999", "0.001");
	setrlimit(RLIMIT_FSIZE, &was);
	expect_clean(1, "0.001");
	ck_assert_int_eq(ops->book(l, r, 50, res), LEDGER_OK);
	for (i = 0; i < 50; i++)
		ck_assert_int_eq(res[i], LEDGER_OK);
	expect_balance(alice, "9.975", "0.025");
	expect_clean(50, "0.05");
}
END_TEST

START_TEST(a_locked_store_is_down_until_it_is_free)
{
	struct ledger_row r = make_row(1, alice, "0.5");
	enum ledger_result one;
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/hubd.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	ck_assert_int_eq(ops->book(l, &r, 1, &one), LEDGER_DOWN);
	sqlite3_close(db);
	book(&r, LEDGER_OK);
	expect_clean(1, "0.5");
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

/* ---- checkpoints and suspense -------------------------------------------- */

START_TEST(a_checkpoint_lives_until_its_row_is_booked)
{
	struct ledger_row r[2], got;
	unsigned n = 0;

	r[0] = make_row(1, alice, "0.1");
	r[1] = make_row(2, alice, "0.2");
	ck_assert_int_eq(ops->checkpoint(l, r, 2), LEDGER_OK);
	strcpy(r[1].amount, "0.3");
	r[1].usage.n[USAGE_output] = 77;
	ck_assert_int_eq(ops->checkpoint(l, &r[1], 1), LEDGER_OK);
	reopen();
	ops->each_checkpoint(l, count_row, &n);
	ck_assert_uint_eq(n, 2);
	book(&r[0], LEDGER_OK);
	n = 0;
	ops->each_checkpoint(l, count_row, &n);
	ck_assert_uint_eq(n, 1);
	ops->each_checkpoint(l, keep_last, &got);
	ck_assert_str_eq(got.amount, "0.3");
	ck_assert_uint_eq(got.usage.n[USAGE_output], 77);
	expect_clean(1, "0.1");
	/* Booked after power was back: the row is there, so is its copy. */
	book(&got, LEDGER_OK);
	ops->checkpoint(l, &got, 1);
	book(&got, LEDGER_OK);
	n = 0;
	ops->each_checkpoint(l, count_row, &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

static void
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

/* ---- audit --------------------------------------------------------------- */

static const struct {
	const char *sql;
	unsigned bad_rows, bad_accounts;
} frauds[] = {
    {"UPDATE ledger SET amount = '0.4' WHERE amount = '0.5'", 1, 0},
    {"UPDATE ledger SET amount = 'abc' WHERE amount = '0.5'", 1, 0},
    {"UPDATE ledger SET account = 2 WHERE amount = '0.5'", 1, 0},
    {"UPDATE balance_change SET amount = '-0.4' WHERE amount = '-0.5'", 1, 1},
    {"UPDATE account SET balance = '9' WHERE id = 1", 0, 1},
    {"UPDATE account SET spent = '0' WHERE id = 1", 0, 1},
    {"UPDATE balance_change SET amount = '11' WHERE kind = 'credit'", 0, 1},
    {"DELETE FROM ledger WHERE amount = '0.5'", 1, 0},
    {"DELETE FROM balance_change WHERE amount = '-0.5'", 1, 1},
    {"INSERT INTO balance_change (account, time_ms, kind, amount, ref) "
     "VALUES (2, 0, 'charge', '0', 'nothing')",
	1, 0},
};

START_TEST(audit_finds_every_tampering)
{
	struct ledger_row r = make_row(1, alice, "0.5");
	struct ledger_audit a;

	book(&r, LEDGER_OK);
	r = make_row(2, alice, "0.125");
	book(&r, LEDGER_OK);
	expect_clean(2, "0.625");
	tamper(frauds[_i].sql);
	a = audit(false);
	ck_assert_uint_eq(
	    a.bad_rows, frauds[_i].bad_rows == 2 ? 1 : frauds[_i].bad_rows);
	ck_assert_uint_eq(a.bad_accounts, frauds[_i].bad_accounts);
	ck_assert_str_ne(a.first_bad, "");
}
END_TEST

static struct price_blob *
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
	tamper("UPDATE price_version SET blob = x'00' WHERE version = 1");
	ck_assert_uint_eq(audit(true).bad_rows, 2);
	ck_assert_uint_eq(audit(true).unchecked, 1);
	free(b);
	free(b2);
}
END_TEST

/* ---- accounts, keys, agents, prices, backup ------------------------------ */

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

START_TEST(an_account_is_there_with_its_credit_or_not_at_all)
{
	amount_t *a = amount_new();
	uint32_t id = 0, other;

	ck_assert_int_eq(amount_parse(a, "2.5", 3), 0);
	ck_assert_int_eq(ops->account_add(l, "carol", a, &id), LEDGER_OK);
	expect_balance(id, "2.5", "0");
	tamper("CREATE TRIGGER no BEFORE INSERT ON balance_change BEGIN "
	       "SELECT RAISE(ABORT, 'no'); END; "
	       "UPDATE account SET disabled = 0");
	ck_assert_int_ne(ops->account_add(l, "dave", a, &other), LEDGER_OK);
	tamper("DROP TRIGGER no; UPDATE account SET disabled = 0");
	ck_assert_int_eq(ops->account_add(l, "dave", a, &other), LEDGER_OK);
	expect_balance(other, "2.5", "0");
	amount_free(a);
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

static void
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
	k.revoked = true;
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

static void
keep_agent(void *arg, const struct ledger_agent *a)
{
	struct ledger_agent *out = arg;

	*out = *a;
}

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

START_TEST(a_backup_is_a_whole_store_of_its_own)
{
	struct ledger_row r = make_row(1, alice, "0.5");
	char path[128], error[200] = "";
	struct stat st;

	book(&r, LEDGER_OK);
	snprintf(path, sizeof(path), "%s/copy.db", dir);
	ck_assert_msg(ops->backup(l, path, error, sizeof(error)) == LEDGER_OK,
	    "%s", error);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(
	    ops->backup(l, path, error, sizeof(error)), LEDGER_REFUSED);
	ops->close(l);
	l = NULL;
	remove_file("hubd.db");
	remove_file("hubd.db-wal");
	remove_file("hubd.db-shm");
	snprintf(error, sizeof(error), "%s/hubd.db", dir);
	ck_assert_int_eq(rename(path, error), 0);
	reopen();
	expect_balance(alice, "9.5", "0.5");
	expect_clean(1, "0.5");
}
END_TEST

START_TEST(a_reader_sees_one_state_and_holds_up_nobody)
{
	struct ledger_row first = make_row(1, alice, "0.5");
	struct ledger_row second = make_row(2, alice, "0.25");
	struct ledger *writer = l, *reader;
	char error[200] = "", path[128];

	book(&first, LEDGER_OK);
	reader = ops->open_to_read(dir, error, sizeof(error));
	ck_assert_msg(reader != NULL, "%s", error);
	book(&second, LEDGER_OK);
	expect_balance(alice, "9.25", "0.75");
	l = reader;
	expect_balance(alice, "9.5", "0.5");
	expect_clean(1, "0.5");
	ck_assert_int_eq(
	    ops->account_set(l, alice, NULL, &(bool){true}), LEDGER_DOWN);
	snprintf(path, sizeof(path), "%s/copy.db", dir);
	ck_assert_msg(ops->backup(l, path, error, sizeof(error)) == LEDGER_OK,
	    "%s", error);
	l = writer;
	expect_clean(2, "0.75");
	ops->close(reader);
	remove_file("copy.db");
}
END_TEST

START_TEST(a_store_of_another_schema_is_left_alone)
{
	char error[200] = "";

	tamper("UPDATE meta SET value = '99' WHERE name = 'schema'");
	ops->close(l);
	l = ops->open(dir, error, sizeof(error));
	ck_assert_ptr_null(l);
	ck_assert_msg(strstr(error, "schema \"99\"") != NULL, "%s", error);
	tamper("UPDATE meta SET value = '3' WHERE name = 'schema'");
	reopen();
	ck_assert_ptr_null(ops->open("/nonexistent", error, sizeof(error)));
	ck_assert_msg(strstr(error, "/nonexistent") != NULL, "%s", error);
	ck_assert_ptr_eq(ledger_ops_of("sqlite"), &ledger_sqlite);
	ck_assert_ptr_null(ledger_ops_of("sqlite4"));
	ck_assert_ptr_null(ledger_ops_of("mysql://x"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ledger");
	TCase *tc = tcase_create("ledger");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_row_is_booked_once_however_often_it_comes);
	tcase_add_test(tc, a_different_row_of_the_same_id_is_a_conflict);
	tcase_add_test(tc, one_batch_books_what_it_can_and_leaves_the_rest_out);
	tcase_add_test(tc, a_row_whose_charge_is_refused_is_not_left_behind);
	tcase_add_test(tc, a_broken_account_holds_up_no_other);
	tcase_add_test(tc, a_full_disk_books_nothing_and_is_survived);
	tcase_add_test(tc, a_locked_store_is_down_until_it_is_free);
	tcase_add_test(tc, a_row_comes_back_as_it_was_booked);
	tcase_add_test(tc, rows_are_listed_newest_first_by_account_and_time);
	tcase_add_test(tc, a_checkpoint_lives_until_its_row_is_booked);
	tcase_add_test(tc, suspense_keeps_each_raw_row_once);
	tcase_add_loop_test(tc, audit_finds_every_tampering, 0,
	    sizeof(frauds) / sizeof(frauds[0]));
	tcase_add_test(
	    tc, a_full_audit_recomputes_each_row_from_its_own_version);
	tcase_add_test(tc, a_credit_with_a_ref_counts_once);
	tcase_add_test(tc, an_account_is_there_with_its_credit_or_not_at_all);
	tcase_add_test(tc, accounts_keep_what_they_are_set_to);
	tcase_add_test(tc, keys_are_put_and_replaced_by_their_id);
	tcase_add_test(tc, agents_are_inserted_once_and_replaced_by_id);
	tcase_add_test(tc, the_same_prices_are_the_same_version);
	tcase_add_test(tc, a_backup_is_a_whole_store_of_its_own);
	tcase_add_test(tc, a_reader_sees_one_state_and_holds_up_nobody);
	tcase_add_test(tc, a_store_of_another_schema_is_left_alone);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

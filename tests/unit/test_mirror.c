/*
 * What the courier says becomes the copy and then what is published; what is
 * no word of a courier's is found out.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/billing/shared.h"
#include "hubd/ledger/ledger_spool.h"
#include "hubd/price/price.h"
#include "tests/unit/billing_fixture.h"

#define STORE "6f1c0f5e-0000-4000-8000-000000000001"
#define OTHER "6f1c0f5e-0000-4000-8000-000000000002"

static char url[] = "postgresql://hub:secret@db/hub";
static struct buf in, out;

static void
begin(void)
{
	billing_init(&billing, fixture, fixture_process(ROLE_BILLING), &conf,
	    &ledger_spool);
	billing.child = NULL;
	billing_advance(&billing);
}

static void
again(void)
{
	shared_stop(&billing);
	billing_fini(&billing);
	begin();
}

static void
setup(void)
{
	fixture_set_up();
	memset(&conf, 0, sizeof(conf));
	conf.run_dir = conf.state_dir = fixture_dir;
	conf.store = url;
	write_prices("{\"m\":{\"input_cost_per_token\":1.5e-06}}");
	conf.prices.item[0] = xstrdup(fixture_path("prices.json"));
	conf.prices.n = 1;
	worker = fixture_process(ROLE_WORKER);
	buf_init(&in);
	buf_init(&out);
	begin();
}

static void
teardown(void)
{
	static const char *const files[] = {"prices.json", "spool.db",
	    "spool.db-wal", "spool.db-shm", "hub_id"};
	size_t i;

	shared_stop(&billing);
	billing_fini(&billing);
	free(conf.prices.item[0]);
	buf_fini(&in);
	buf_fini(&out);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(fixture_path(files[i]));
	fixture_tear_down();
}

/* ---- words --------------------------------------------------------------- */

static void
say(enum mirror_type type, const void *p, size_t n)
{
	mirror_put(&in, type, 0, p, n);
}

static void
say_store(const char *id)
{
	struct mirror_store s = {{0}};

	snprintf(s.id, sizeof(s.id), "%s", id);
	say(MIRROR_STORE, &s, sizeof(s));
}

static struct ledger_account
make_account(uint32_t id, const char *name, const char *balance, int64_t seq)
{
	struct ledger_account a = {.id = id, .seq = seq};

	snprintf(a.name, sizeof(a.name), "%s", name);
	snprintf(a.balance, sizeof(a.balance), "%s", balance);
	strcpy(a.spent, "0");
	strcpy(a.overdraft, "0");
	return (a);
}

static void
say_account(uint32_t id, const char *name, const char *balance, int64_t seq)
{
	struct ledger_account a = make_account(id, name, balance, seq);

	say(MIRROR_ACCOUNT, &a, sizeof(a));
}

static struct ledger_key
make_key(uint32_t number, uint8_t hash)
{
	struct ledger_key k = {.number = number, .account = 1};

	snprintf(k.id, sizeof(k.id), "key_%u", number);
	memset(k.hash, hash, sizeof(k.hash));
	return (k);
}

static void
say_key(uint32_t number, uint8_t hash, uint8_t revoked)
{
	struct ledger_key k = make_key(number, hash);

	k.revoked = revoked;
	say(MIRROR_KEY, &k, sizeof(k));
}

static void
say_clock(int64_t clock)
{
	say(MIRROR_CLOCK, &clock, sizeof(clock));
}

/* The hub's own files under that number. */
static void
say_prices(uint64_t version)
{
	struct price_blob *blob;
	char error[200];

	ck_assert_int_eq(prices_load(&conf, &blob, error, sizeof(error)), 0);
	blob->version = version;
	price_blob_seal(blob);
	say(MIRROR_PRICE, blob, blob->size);
	free(blob);
}

static void
hear(enum apply_result expected)
{
	enum apply_result result;

	do
		result = mirror_apply(&billing, &in, &out);
	while (result == APPLY_MORE);
	ck_assert_int_eq(result, expected);
}

static void
first_load(void)
{
	say_store(STORE);
	say_account(1, "acme", "5", 1);
	say_key(1, 7, 0);
	say_prices(1);
	say_clock(3);
	hear(APPLY_ALL);
	ck_assert_uint_eq(buf_len(&in), 0);
}

/* As it is published; -1: not at all. */
static int
revocation(uint8_t byte)
{
	uint8_t hash[32];
	struct pub_key k;
	uint32_t row;

	memset(hash, byte, sizeof(hash));
	return (pub_key_find(fixture, hash, 1, &row, &k) ? (int)k.revoked : -1);
}

static bool
key_is_good(uint8_t byte)
{
	return (revocation(byte) == 0);
}

static struct pub_account
published(uint32_t id)
{
	struct pub_account a;

	ck_assert(
	    pub_account_read(fixture, dir_row(&billing.accounts, id), &a));
	return (a);
}

static int64_t
available(uint32_t id)
{
	return (atomic_load(
	    pub_available(fixture, dir_row(&billing.accounts, id))));
}

/* ---- the copy ------------------------------------------------------------ */

START_TEST(users_are_served_when_the_first_load_is_whole)
{
	struct pub_state *ps = shm_pub_state(fixture);

	ck_assert_int_eq(billing.stage, STAGE_WHOLE);
	say_store(STORE);
	say_account(1, "acme", "5", 1);
	say_key(1, 7, 0);
	hear(APPLY_ALL);
	ck_assert(key_is_good(7));
	ck_assert_uint_eq(atomic_load(&ps->loaded), 0);
	again();
	ck_assert_int_eq(billing.stage, STAGE_WHOLE);
	say_prices(4);
	say_clock(3);
	hear(APPLY_ALL);
	ck_assert_uint_eq(atomic_load(&ps->loaded), 1);
	ck_assert_int_eq(billing.stage, STAGE_SERVING);
	ck_assert_uint_eq(pub_prices(fixture)->version, 4);
	ck_assert_str_eq(ps->store, "postgresql");
	ck_assert_str_eq(ps->store_id, STORE);
	ck_assert_uint_eq(strlen(ps->hub_id), 36);
	/* the store is away at the next start */
	again();
	ck_assert_int_eq(billing.stage, STAGE_SERVING);
	ck_assert(key_is_good(7));
}
END_TEST

/* Nobody has refused the files: they are sent again. */
START_TEST(a_store_that_goes_away_at_the_first_prices_is_asked_again)
{
	struct mirror_priced away = {.error = "away", .away = 1};
	struct mirror_priced refused = {.error = "no"};

	say_store(STORE);
	say_clock(3);
	hear(APPLY_ALL);
	ck_assert_int_eq(billing.stage, STAGE_PRICES);
	billing.shared->prices_token = 5;
	billing.shared->prices_first = true;
	shared_priced(&billing, 5, &away);
	ck_assert_uint_eq(billing.shared->prices_token, 0);
	ck_assert_int_eq(billing.stage, STAGE_PRICES);
	billing.shared->prices_token = 6;
	shared_priced(&billing, 6, &refused);
	ck_assert_int_eq(billing.stage, STAGE_SERVING);
}
END_TEST

/* The load comes before the word that the store answers. */
START_TEST(a_reload_before_the_first_load_is_sent_after_it)
{
	char error[200] = "";

	say_store(STORE);
	say_prices(1);
	hear(APPLY_ALL);
	ck_assert_int_eq(billing.stage, STAGE_WHOLE);
	ck_assert_int_eq(
	    prices_reload(&billing, 7, false, error, sizeof(error)), 0);
	billing.shared->courier = (struct offspring *)&billing;
	say_clock(3);
	hear(APPLY_ALL);
	ck_assert_int_eq(billing.stage, STAGE_SERVING);
	ck_assert_str_eq(reload_error, "");
	ck_assert_uint_ne(billing.shared->prices_token, 0);
	ck_assert_uint_eq(billing.shared->prices_cookie, 7);
	billing.shared->courier = NULL;
}
END_TEST

/* An older billing process has left its word behind. */
START_TEST(a_store_is_not_up_before_it_has_answered)
{
	atomic_store(&shm_pub_state(fixture)->shared_ok, 1);
	again();
	ck_assert_uint_eq(atomic_load(&shm_pub_state(fixture)->shared_ok), 0);
}
END_TEST

START_TEST(changes_are_in_force_when_they_are_consumed)
{
	first_load();
	say_key(2, 8, 0);
	say_key(1, 7, 1);
	say_account(1, "acme", "7.5", 2);
	say_account(2, "other", "1", 1);
	say_prices(2);
	say_clock(9);
	hear(APPLY_ALL);
	ck_assert(key_is_good(8));
	ck_assert(!key_is_good(7));
	ck_assert_int_eq(available(1), INT64_C(7500000000));
	ck_assert_int_eq(available(2), INT64_C(1000000000));
	ck_assert_uint_eq(pub_prices(fixture)->version, 2);
}
END_TEST

/* Whoever has said so; a hub that starts later has nothing to cut. */
START_TEST(a_key_that_is_cut_anywhere_is_cut_here)
{
	first_load();
	say_key(1, 7, 1);
	hear(APPLY_ALL);
	ck_assert_int_eq(revocation(7), 1);
	say_key(1, 7, 2);
	say_key(2, 8, 2);
	hear(APPLY_ALL);
	ck_assert_int_eq(revocation(7), 2);
	ck_assert_int_eq(revocation(8), -1);
	again();
	ck_assert_int_eq(revocation(7), 2);
	ck_assert_int_eq(revocation(8), -1);
}
END_TEST

static void
say_balance(uint32_t account, const char *balance, int64_t seq)
{
	struct pg_balance b = {.account = account, .seq = seq, .spent = "0"};

	snprintf(b.balance, sizeof(b.balance), "%s", balance);
	say(MIRROR_BALANCES_OF, &b, sizeof(b));
}

/* Restored from a backup, it counts again from there. */
START_TEST(an_older_store_is_believed_what_accounts_have)
{
	first_load();
	say_balance(1, "4", 9);
	say_balance(1, "5", 8);
	hear(APPLY_ALL);
	ck_assert_int_eq(available(1), INT64_C(4000000000));
	say_clock(2);
	say_balance(1, "7", 5);
	say_balance(1, "5", 4);
	hear(APPLY_ALL);
	ck_assert_int_eq(available(1), INT64_C(7000000000));
}
END_TEST

START_TEST(what_does_not_fit_is_left_out)
{
	struct ledger_key k = make_key(5, 5);

	first_load();
	k.account = 99;
	say(MIRROR_KEY, &k, sizeof(k));
	say_key(6, 6, 0);
	hear(APPLY_ALL);
	ck_assert(!key_is_good(5));
	ck_assert(key_is_good(6));
}
END_TEST

/* ---- rows ---------------------------------------------------------------- */

static struct ledger_row
book_one(unsigned n, const char *amount)
{
	struct ledger_row r = {.time_ms = 1000, .account = 1, .status = 200};
	enum ledger_result result;

	r.id.b[0] = 1;
	r.id.b[15] = (uint8_t)n;
	strcpy(r.outcome, "complete");
	snprintf(r.amount, sizeof(r.amount), "%s", amount);
	ck_assert_int_eq(
	    ledger_spool.book(billing.store, &r, 1, &result), LEDGER_OK);
	ck_assert_int_eq(result, LEDGER_OK);
	ck_assert_int_eq(publish_balance(&billing, 1), LEDGER_OK);
	shared_booked(&billing);
	return (r);
}

static void
expect_applied(uint32_t token)
{
	struct mirror_record r;
	size_t end;

	ck_assert_int_eq(mirror_next(buf_span(&out), 0, &r, &end), MIRROR_GOT);
	ck_assert_int_eq(r.type, MIRROR_APPLIED);
	ck_assert_uint_eq(r.token, token);
	buf_consume(&out, end);
}

START_TEST(rows_wait_until_they_are_taken)
{
	struct pub_state *ps = shm_pub_state(fixture);
	static struct mirror_taken t;
	struct ledger_row r;

	first_load();
	r = book_one(1, "2");
	ck_assert_uint_eq(atomic_load(&ps->spooled), 1);
	ck_assert_int_eq(atomic_load(&ps->spooled_since_ms), 1000);
	ck_assert_int_eq(available(1), INT64_C(3000000000));
	ck_assert_int_eq(published(1).owed, INT64_C(2000000000));
	ck_assert_int_eq(published(1).store_available, INT64_C(5000000000));
	ck_assert_int_eq(published(1).store_seq, 1);
	t.nids = t.nbalances = 1;
	t.ids[0] = r.id;
	t.balances[0] = (struct pg_balance){.account = 1, .seq = 2};
	strcpy(t.balances[0].balance, "3");
	strcpy(t.balances[0].spent, "2");
	mirror_put_taken(&in, 77, &t);
	mirror_put_taken(&in, 78, &t);
	hear(APPLY_ALL);
	expect_applied(77);
	expect_applied(78);
	ck_assert_uint_eq(atomic_load(&ps->spooled), 0);
	ck_assert_int_eq(atomic_load(&ps->spooled_since_ms), 0);
	ck_assert_int_eq(available(1), INT64_C(3000000000));
	ck_assert_int_eq(published(1).owed, 0);
	ck_assert_int_eq(published(1).store_seq, 2);
}
END_TEST

START_TEST(a_refused_row_goes_aside_and_is_owed_no_more)
{
	struct mirror_refused refused = {.reason = "no"};
	int64_t number = 1;

	first_load();
	refused.id = book_one(1, "2").id;
	mirror_put(&in, MIRROR_REFUSED, 5, &refused, sizeof(refused));
	hear(APPLY_ALL);
	expect_applied(5);
	ck_assert_uint_eq(suspended(), 1);
	ck_assert_int_eq(available(1), INT64_C(5000000000));
	ck_assert_uint_eq(atomic_load(&shm_pub_state(fixture)->spooled), 0);
	mirror_put(&in, MIRROR_REFUSED, 6, &refused, sizeof(refused));
	mirror_put(&in, MIRROR_SUSPENDED, 7, &number, sizeof(number));
	hear(APPLY_ALL);
	expect_applied(6);
	expect_applied(7);
	ck_assert_uint_eq(suspended(), 1);
}
END_TEST

static void
keep_number(void *arg, int64_t number, req_id_t id, const char *reason,
    const void *raw, size_t n)
{
	*(int64_t *)arg = number;
}

/* The number of what has gone may be that of what comes next: so the courier
 * says it only once, and waits until it is heard. */
START_TEST(what_is_put_aside_next_stays_until_it_is_there)
{
	struct mirror_refused refused = {.reason = "no"};
	int64_t number = 0;
	int i;

	first_load();
	for (i = 1; i <= 2; i++) {
		refused.id = book_one((uint32_t)i, "2").id;
		mirror_put(&in, MIRROR_REFUSED, 5, &refused, sizeof(refused));
		hear(APPLY_ALL);
		expect_applied(5);
		number = 0;
		ck_assert_int_eq(
		    spool_each_suspense(billing.store, 9, keep_number, &number),
		    LEDGER_OK);
		ck_assert_int_eq(number, 1);
		ck_assert_uint_eq(buf_len(&out), 0);
		mirror_put(&in, MIRROR_SUSPENDED, 6, &number, sizeof(number));
		hear(APPLY_ALL);
		expect_applied(6);
	}
}
END_TEST

/* ---- another store ------------------------------------------------------- */

START_TEST(another_store_is_not_believed_while_rows_wait)
{
	first_load();
	book_one(1, "2");
	say_store(OTHER);
	say_account(1, "mallory", "1000", 9);
	hear(APPLY_FOREIGN);
	ck_assert_str_eq(published(1).name, "acme");
	ck_assert_str_eq(shm_pub_state(fixture)->store_id, STORE);
}
END_TEST

START_TEST(another_store_makes_billing_start_anew)
{
	first_load();
	say_store(OTHER);
	hear(APPLY_ALL); /* does not return */
}
END_TEST

START_TEST(what_the_store_before_had_is_good_no_more)
{
	first_load();
	ck_assert_int_eq(spool_adopt(billing.store, OTHER), LEDGER_OK);
	again();
	ck_assert_int_eq(billing.stage, STAGE_WHOLE);
	ck_assert(!key_is_good(7));
}
END_TEST

/* ---- nonsense ------------------------------------------------------------ */

static void
expect_broken(enum mirror_type type, const void *p, size_t n)
{
	struct mirror_record r;
	struct buf b = {0};
	size_t end;

	mirror_put(&b, type, 0, p, n);
	ck_assert_int_eq(mirror_next(buf_span(&b), 0, &r, &end), MIRROR_BROKEN);
	buf_fini(&b);
}

START_TEST(what_is_no_record_is_found_out)
{
	struct ledger_account a = make_account(1, "acme", "5", 1);
	struct ledger_key k = make_key(1, 7);
	struct ledger_object o = {.account = 1, .kind = OBJECT_FILE};
	static struct mirror_taken t;
	struct pg_balance b = {.seq = 1, .balance = "1", .spent = "x"};

	expect_broken(MIRROR_ACCOUNT, &a, sizeof(a) - 1);
	expect_broken((enum mirror_type)0, NULL, 0);
	expect_broken(MIRROR_TYPES, NULL, 0);
	expect_broken(MIRROR_NUDGE, "x", 1);
	expect_broken(MIRROR_KEEP, &(int64_t){-1}, sizeof(int64_t));
	expect_broken(MIRROR_PRICE, "x", 1);
	a.seq = -1;
	expect_broken(MIRROR_ACCOUNT, &a, sizeof(a));
	a = make_account(1, "acme", "5e", 1);
	expect_broken(MIRROR_ACCOUNT, &a, sizeof(a));
	a = make_account(1, "", "5", 1);
	expect_broken(MIRROR_ACCOUNT, &a, sizeof(a));
	memset(&a.name, 'x', sizeof(a.name));
	expect_broken(MIRROR_ACCOUNT, &a, sizeof(a));
	k.revoked = 3;
	expect_broken(MIRROR_KEY, &k, sizeof(k));
	strcpy(o.id, "../x");
	expect_broken(MIRROR_OBJECT, &o, sizeof(o));
	expect_broken(MIRROR_BALANCES_OF, &b, sizeof(b));
	t.nids = MIRROR_ROWS + 1;
	expect_broken(
	    MIRROR_TAKEN, &t, offsetof(struct mirror_taken, balances));
	t.nids = 0;
	t.nbalances = 1;
	expect_broken(
	    MIRROR_TAKEN, &t, offsetof(struct mirror_taken, balances));
	expect_broken(MIRROR_STORE, "no UUID, and too short", 22);
}
END_TEST

START_TEST(a_record_is_waited_for_until_it_is_whole)
{
	struct mirror_record r;
	struct span part;
	size_t end;

	say_account(1, "acme", "5", 1);
	for (part = buf_span(&in); part.n > 0;) {
		part.n--;
		ck_assert_int_eq(mirror_next(part, 0, &r, &end), MIRROR_MORE);
	}
	buf_ptr(&in)[0] ^= 1;
	hear(APPLY_BROKEN);
}
END_TEST

START_TEST(billings_own_words_are_none_of_a_courier)
{
	first_load();
	say(MIRROR_NUDGE, NULL, 0);
	hear(APPLY_BROKEN);
}
END_TEST

START_TEST(much_is_applied_bit_by_bit)
{
	monotime_t start, longest = {0};
	enum apply_result result;
	unsigned i, turns = 0;
	int64_t ns;

	first_load();
	for (i = 0; i < 30000; i++)
		say_key(1 + i % 30, (uint8_t)(1 + i % 30), 0);
	do {
		start = monotime_now();
		result = mirror_apply(&billing, &in, &out);
		ns = monotime_now().ns - start.ns;
		if (ns > longest.ns)
			longest.ns = ns;
		turns++;
	} while (result == APPLY_MORE);
	ck_assert_int_eq(result, APPLY_ALL);
	ck_assert_uint_gt(turns, 3);
	printf("30,000 keys in %u turns, the longest %.1f ms\n", turns,
	    (double)longest.ns / 1e6);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("mirror");
	Suite *s = suite_create("mirror");
	SRunner *r;
	int bad;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_reload_before_the_first_load_is_sent_after_it);
	tcase_add_test(tc, a_store_is_not_up_before_it_has_answered);
	tcase_add_test(
	    tc, a_store_that_goes_away_at_the_first_prices_is_asked_again);
	tcase_add_test(tc, users_are_served_when_the_first_load_is_whole);
	tcase_add_test(tc, changes_are_in_force_when_they_are_consumed);
	tcase_add_test(tc, a_key_that_is_cut_anywhere_is_cut_here);
	tcase_add_test(tc, an_older_store_is_believed_what_accounts_have);
	tcase_add_test(tc, what_does_not_fit_is_left_out);
	tcase_add_test(tc, rows_wait_until_they_are_taken);
	tcase_add_test(tc, a_refused_row_goes_aside_and_is_owed_no_more);
	tcase_add_test(tc, what_is_put_aside_next_stays_until_it_is_there);
	tcase_add_test(tc, another_store_is_not_believed_while_rows_wait);
	tcase_add_exit_test(tc, another_store_makes_billing_start_anew, 1);
	tcase_add_test(tc, what_the_store_before_had_is_good_no_more);
	tcase_add_test(tc, what_is_no_record_is_found_out);
	tcase_add_test(tc, a_record_is_waited_for_until_it_is_whole);
	tcase_add_test(tc, billings_own_words_are_none_of_a_courier);
	tcase_add_test(tc, much_is_applied_bit_by_bit);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return (bad == 0 ? 0 : 1);
}

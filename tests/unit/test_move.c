/* hubd -m: a store of SQLite comes into PostgreSQL as it is. */
#include <sys/stat.h>

#include <sqlite3.h>

#include "hubd/ledger/move.h"
#include "hubd/price/price.h"
#include "tests/unit/pg_fixture.h"

static const struct ledger_ops *from_ops = &ledger_sqlite;
static struct ledger *from;
static struct price_blob *prices;

static void
open_from(void)
{
	char error[300] = "";

	from = from_ops->open(dir, error, sizeof(error));
	ck_assert_msg(from != NULL, "%s", error);
}

static void
move_setup(void)
{
	l = NULL;
	snprintf(dir, sizeof(dir), "/tmp/test_move.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	make_schema();
	open_from();
}

static void
move_teardown(void)
{
	char command[128];

	from_ops->close(from);
	ops->close(l);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static struct price_blob *
load_blob(void)
{
	char path[128], error[200] = "";
	const char *paths[1] = {path};
	struct price_blob *b = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/prices.json", dir);
	f = fopen(path, "w");
	fputs("{\"openai/gpt-x\": {\"input_cost_per_token\": 2.5e-9}}", f);
	fclose(f);
	ck_assert_msg(
	    price_load(paths, 1, &b, error, sizeof(error)) == 0, "%s", error);
	return (b);
}

static void
book_into(struct ledger_row r)
{
	enum ledger_result one = LEDGER_DOWN;

	ck_assert_int_eq(from_ops->book(from, &r, 1, &one), LEDGER_OK);
	ck_assert_int_eq(one, LEDGER_OK);
}

static void
book_many(unsigned n)
{
	struct ledger_row *rows = calloc(n, sizeof(*rows));
	enum ledger_result *got = calloc(n, sizeof(*got));
	unsigned i;

	for (i = 0; i < n; i++)
		rows[i] = make_row(i + 1, i % 2 == 0 ? bob : alice,
		    "0.000000000000000000000001");
	ck_assert_int_eq(from_ops->book(from, rows, n, got), LEDGER_OK);
	free(rows);
	free(got);
}

/* Something of everything. */
static void
fill(void)
{
	struct ledger_key k = {.id = "key_1",
	    .name = "quote \" back \\",
	    .models = "a,b*",
	    .rpm = 7,
	    .tpm = UINT64_C(1) << 40,
	    .revoked = 2};
	struct ledger_agent agent = {
	    .name = "a1", .providers = "openai", .replicas = 2};
	struct ledger_suspense s;
	struct ledger_row r;
	amount_t *a = amount_new();
	uint32_t carol;
	void *raw;
	size_t n;
	bool yes = true;

	ck_assert_int_eq(amount_parse(a, "10", 2), 0);
	from_ops->account_add(from, "alice", a, &alice);
	from_ops->account_add(from, "bob", NULL, &bob);
	from_ops->account_add(from, "carol", NULL, &carol);
	from_ops->account_set(from, bob, "unlimited", NULL);
	from_ops->account_set(from, carol, "2.5", &yes);
	from_ops->account_change(from, alice, CHANGE_CREDIT, a, "invoice 7");
	amount_neg(a);
	from_ops->account_change(from, carol, CHANGE_DEBIT, a, "fee");
	amount_free(a);
	k.account = bob;
	memset(k.hash, 0xa5, 32);
	ck_assert_int_eq(from_ops->key_put(from, &k), LEDGER_OK);
	memset(agent.token_hash, 0x5a, 32);
	ck_assert_int_eq(from_ops->agent_put(from, &agent), LEDGER_OK);
	prices = load_blob();
	ck_assert_int_eq(from_ops->price_put(from, prices), LEDGER_OK);
	book_many(1200);
	r = make_row(2000, alice, "0.5");
	r.object.event = OBJECT_CREATED;
	r.object.kind = OBJECT_BATCH;
	ck_assert(call_object_add(&r.object, SPAN("batch_a")));
	book_into(r);
	r.id.b[3] = 1;
	r.object.event = OBJECT_ENDED;
	book_into(r);
	from_ops->suspend(from, r.id, "odd", "raw\0bytes", 9);
	r.id.b[4] = 1;
	from_ops->suspend(from, r.id, "odd too", "x", 1);
	req_id_format(r.id, s.id);
	ck_assert_int_eq(
	    from_ops->suspense_get(from, s.id, &s, &raw, &n), LEDGER_OK);
	free(raw);
	s.how = SUSPENSE_DROPPED;
	strcpy(s.by, "root");
	strcpy(s.why, "a test");
	ck_assert_int_eq(from_ops->suspense_resolve(from, &s), LEDGER_OK);
}

static int
move_it(struct ledger_moved *moved, char error[300])
{
	from_ops->close(from);
	from = NULL;
	error[0] = '\0';
	return (ledger_move(dir, url, moved, error, 300));
}

static void
keep_key(void *arg, const struct ledger_key *k)
{
	memcpy(arg, k, sizeof(*k));
}

static void
expect_counts(const struct ledger_moved *moved)
{
	ck_assert_uint_eq(moved->accounts, 3);
	ck_assert_uint_eq(moved->keys, 1);
	ck_assert_uint_eq(moved->agents, 1);
	ck_assert_uint_eq(moved->changes, 3);
	ck_assert_uint_eq(moved->rows, 1202);
	ck_assert_uint_eq(moved->objects, 1);
	ck_assert_uint_eq(moved->prices, 1);
	ck_assert_uint_eq(moved->suspense, 2);
}

static void
expect_put_away(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/hubd.db", dir);
	ck_assert_int_eq(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/hubd.db.moved", dir);
	ck_assert_int_eq(access(path, F_OK), 0);
}

static void
expect_accounts(void)
{
	struct ledger_account a;

	expect_balance(
	    alice, "18.9999999999999999999994", "1.0000000000000000000006");
	expect_balance(
	    bob, "-0.0000000000000000000006", "0.0000000000000000000006");
	ck_assert_int_eq(ops->account_get(l, 3, &a), LEDGER_OK);
	ck_assert_str_eq(a.balance, "-10");
	ck_assert_str_eq(a.overdraft, "2.5");
	ck_assert(a.disabled);
	ops->account_get(l, bob, &a);
	ck_assert(a.overdraft_unlimited && a.seq > 0);
}

static void
expect_key(void)
{
	struct ledger_key k;

	ck_assert_int_eq(ops->each_key(l, keep_key, &k), LEDGER_OK);
	ck_assert_str_eq(k.name, "quote \" back \\");
	ck_assert_uint_eq(k.number, 1);
	ck_assert_uint_eq(k.account, bob);
	ck_assert_uint_eq(k.tpm, UINT64_C(1) << 40);
	ck_assert(k.revoked == 2 && k.hash[31] == 0xa5 && k.old_hash[0] == 0);
}

static void
expect_prices(void)
{
	struct price_blob *b;

	ck_assert_int_eq(ops->price_get(l, 1, &b), LEDGER_OK);
	ck_assert_uint_eq(b->size, prices->size);
	ck_assert_mem_eq(b, prices, b->size);
	free(b);
}

START_TEST(everything_comes_along)
{
	struct ledger_moved moved;
	struct ledger_object o;
	struct ledger_audit audited;
	char error[300];
	uint32_t id;

	fill();
	ck_assert_msg(move_it(&moved, error) == 0, "%s", error);
	expect_counts(&moved);
	expect_put_away();
	l = open_store();
	expect_accounts();
	expect_key();
	expect_prices();
	ck_assert_int_eq(ops->object_get(l, "batch_a", &o), LEDGER_OK);
	ck_assert(o.billed);
	expect_value("SELECT string_agg(concat_ws(' ', seq, reason, how, "
		     "resolved_by, why, length(raw)), ', ' ORDER BY seq) "
		     "FROM suspense",
	    "1 odd    9, 2 odd too dropped root a test 1");
	audited = audit(false);
	ck_assert_str_eq(audited.first_bad, "");
	ck_assert_uint_eq(audited.rows, 1202);
	/* numbers go on behind the last, and followers find all of it */
	ck_assert_int_eq(ops->account_add(l, "dave", NULL, &id), LEDGER_OK);
	ck_assert_uint_eq(id, 4);
	change(alice, CHANGE_CREDIT, "10", "invoice 7", LEDGER_OK);
	expect_value("SELECT count(*) FROM account WHERE changed > 0", "4");
}
END_TEST

START_TEST(a_store_that_is_used_already_is_left_alone)
{
	struct ledger_moved moved;
	char error[300], path[128];

	fill();
	l = open_store();
	ck_assert_int_eq(ops->account_add(l, "eve", NULL, &alice), LEDGER_OK);
	ck_assert_int_eq(move_it(&moved, error), -1);
	ck_assert_str_eq(error, "the store has accounts already");
	expect_value("SELECT count(*) FROM account", "1");
	expect_value("SELECT count(*) FROM ledger", "0");
	snprintf(path, sizeof(path), "%s/hubd.db", dir);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_store_that_does_not_add_up_is_not_moved)
{
	struct ledger_moved moved;
	char error[300], path[128];
	sqlite3 *db;

	fill();
	snprintf(path, sizeof(path), "%s/hubd.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, "UPDATE account SET balance = '1' WHERE id = 1", NULL,
	    NULL, NULL);
	sqlite3_close(db);
	ck_assert_int_eq(move_it(&moved, error), -1);
	ck_assert_str_eq(error, "hubd.db does not add up: account alice");
}
END_TEST

START_TEST(calls_that_were_open_are_billed_first)
{
	struct ledger_moved moved;
	struct ledger_row r;
	char error[300];

	fill();
	r = make_row(7777, alice, "0.1");
	from_ops->checkpoint(from, &r, 1);
	ck_assert_int_eq(move_it(&moved, error), -1);
	ck_assert_ptr_nonnull(strstr(error, "1 calls were open"));
}
END_TEST

/* Ended between the commit and the new name. */
START_TEST(a_move_that_was_cut_off_is_finished)
{
	struct ledger_moved moved;
	char error[300], name[128], to[128];

	fill();
	ck_assert_int_eq(move_it(&moved, error), 0);
	snprintf(name, sizeof(name), "%s/hubd.db", dir);
	snprintf(to, sizeof(to), "%s/hubd.db.moved", dir);
	ck_assert_int_eq(rename(to, name), 0);
	ck_assert_msg(
	    ledger_move(dir, url, &moved, error, 300) == 0, "%s", error);
	ck_assert(moved.before);
	ck_assert_int_eq(access(name, F_OK), -1);
	/* but not if it has gone on since */
	ck_assert_int_eq(rename(to, name), 0);
	open_from();
	book_into(make_row(9999, alice, "0.1"));
	ck_assert_int_eq(move_it(&moved, error), -1);
	ck_assert_ptr_nonnull(strstr(error, "1203 rows"));
	ck_assert_int_eq(access(name, F_OK), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("move");
	TCase *tc = tcase_create("move");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, pg_start, pg_stop);
	tcase_add_checked_fixture(tc, move_setup, move_teardown);
	tcase_add_test(tc, everything_comes_along);
	tcase_add_test(tc, a_store_that_is_used_already_is_left_alone);
	tcase_add_test(tc, a_store_that_does_not_add_up_is_not_moved);
	tcase_add_test(tc, calls_that_were_open_are_billed_first);
	tcase_add_test(tc, a_move_that_was_cut_off_is_finished);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

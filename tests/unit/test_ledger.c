/* The SQLite store: what is booked is booked once, and adds up. */
#include <sys/resource.h>
#include <sys/stat.h>

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/ledger_fixture.h"

#include "tests/unit/ledger_cases.h"

/* ---- booking ------------------------------------------------------------- */

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

START_TEST(a_charge_that_is_refused_takes_no_other_row_along)
{
	struct ledger_row r[20];
	enum ledger_result res[20];
	unsigned i;

	for (i = 0; i < 20; i++)
		r[i] = make_row(i + 1, alice, "0.1");
	book(&r[6], LEDGER_OK);
	tamper("DELETE FROM ledger");
	ck_assert_int_eq(ops->book(l, r, 20, res), LEDGER_OK);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(res[i], i == 6 ? LEDGER_REFUSED : LEDGER_OK);
	ck_assert_uint_eq(audit(false).rows, 19);
	expect_balance(alice, "8", "2");
}
END_TEST

START_TEST(a_broken_account_holds_up_no_other)
{
	struct ledger_row r[34];
	enum ledger_result got[34];
	unsigned i;

	for (i = 0; i < 34; i++)
		r[i] = make_row(i + 1, i % 2 == 0 ? alice : bob, "0.25");
	tamper("UPDATE account SET balance = 'abc' WHERE id = 1");
	ck_assert_int_eq(ops->book(l, r, 34, got), LEDGER_OK);
	for (i = 0; i < 34; i++)
		ck_assert_int_eq(
		    got[i], i % 2 == 0 ? LEDGER_REFUSED : LEDGER_OK);
	expect_balance(bob, "-4.25", "4.25");
	ck_assert_uint_eq(audit(false).rows, 17);
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

/* ---- accounts, keys, agents, prices, backup ------------------------------ */

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

/* Books until much is to be tidied up. */
static void
make_untidy(void)
{
	static struct ledger_row rows[400];
	static enum ledger_result results[400];
	static uint64_t next = 1000;
	size_t i, n;

	for (n = 0; n < 1000 && !ops->is_untidy(l); n++) {
		for (i = 0; i < 400; i++)
			rows[i] = make_row(next++, alice, "0");
		ck_assert_int_eq(ops->book(l, rows, 400, results), LEDGER_OK);
	}
	ck_assert(ops->is_untidy(l));
}

START_TEST(what_a_reader_put_off_is_tidied_up_beside)
{
	char error[200] = "";
	struct ledger_row r = make_row(1, alice, "0");
	struct ledger *reader;

	ck_assert(!ops->is_untidy(l));
	reader = ops->open_to_read(dir, error, sizeof(error));
	ck_assert_msg(reader != NULL, "%s", error);
	make_untidy();
	ck_assert_int_eq(ops->tidy(dir), LEDGER_CONFLICT);
	ops->close(reader);
	ck_assert_int_eq(ops->tidy(dir), LEDGER_OK);
	ops->tidy_rest(l);
	book(&r, LEDGER_OK);
	ck_assert(!ops->is_untidy(l));
	ck_assert_int_eq(ops->tidy("/nonexistent"), LEDGER_DOWN);
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
	ck_assert_str_eq(error, "/nonexistent: No such file or directory");
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
	add_store_cases(tc);
	tcase_add_test(tc, a_row_whose_charge_is_refused_is_not_left_behind);
	tcase_add_test(tc, a_charge_that_is_refused_takes_no_other_row_along);
	tcase_add_test(tc, a_broken_account_holds_up_no_other);
	tcase_add_test(tc, a_full_disk_books_nothing_and_is_survived);
	tcase_add_test(tc, a_locked_store_is_down_until_it_is_free);
	tcase_add_test(tc, a_checkpoint_lives_until_its_row_is_booked);
	tcase_add_loop_test(tc, audit_finds_every_tampering, 0,
	    sizeof(frauds) / sizeof(frauds[0]));
	tcase_add_test(tc, an_account_is_there_with_its_credit_or_not_at_all);
	tcase_add_test(tc, a_backup_is_a_whole_store_of_its_own);
	tcase_add_test(tc, a_reader_sees_one_state_and_holds_up_nobody);
	tcase_add_test(tc, what_a_reader_put_off_is_tidied_up_beside);
	tcase_add_test(tc, a_store_of_another_schema_is_left_alone);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

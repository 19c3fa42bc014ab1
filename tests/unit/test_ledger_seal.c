/*
 * Months of the SQLite store that are put into files of their own: whatever
 * happens between two steps, every row is read once and the sums are right.
 */
#include <sys/stat.h>

#include <inttypes.h>

#include "tests/unit/ledger_fixture.h"

#define NOVEMBER INT64_C(1700000000000) /* 2023-11-14 */
#define DAY	 INT64_C(86400000)
#define DECEMBER (NOVEMBER + 30 * DAY)
#define JANUARY	 (NOVEMBER + 60 * DAY)
#define FEBRUARY INT64_C(1706745600000) /* its first moment */
#define ROWS	 620			/* in three months */

static struct ledger_row
row_of(unsigned n)
{
	static const int64_t times[] = {NOVEMBER, DECEMBER, JANUARY};
	struct ledger_row r =
	    make_row(n, n % 3 == 0 ? bob : alice, "0.000000000000000000000001");

	r.time_ms = times[n * 3 / ROWS] + n / 2; /* two at a time */
	return (r);
}

static void
book_all(void)
{
	static struct ledger_row rows[ROWS];
	static enum ledger_result results[ROWS];
	unsigned i;

	for (i = 0; i < ROWS; i++)
		rows[i] = row_of(i);
	ck_assert_int_eq(ops->book(l, rows, ROWS, results), LEDGER_OK);
}

/* ---- what is read -------------------------------------------------------- */

struct reading {
	struct ledger_filter f;
	unsigned n;
	int next; /* the row that must come; -1: any */
};

static void
on_row(void *arg, const struct ledger_row *r)
{
	struct reading *reading = arg;
	struct ledger_row expected;

	if (reading->next >= 0) {
		expected = row_of((unsigned)reading->next);
		ck_assert_mem_eq(&r->id, &expected.id, sizeof(r->id));
		ck_assert_int_eq(r->time_ms, expected.time_ms);
		ck_assert_str_eq(r->account_name,
		    expected.account == alice ? "alice" : "bob");
		reading->next += reading->f.oldest_first ? 1 : -1;
	}
	reading->n++;
}

static unsigned
read_rows(struct ledger_filter f, int next, enum ledger_result expected)
{
	struct reading reading = {.f = f, .next = next};

	ck_assert_int_eq(ops->each_row(l, &f, on_row, &reading), expected);
	return (reading.n);
}

/* Every row once, in order, from either end, in part, and of one account. */
static void
expect_all_rows(void)
{
	struct ledger_filter f = {.oldest_first = true};

	ck_assert_uint_eq(read_rows(f, 0, LEDGER_OK), ROWS);
	f.oldest_first = false;
	ck_assert_uint_eq(read_rows(f, ROWS - 1, LEDGER_OK), ROWS);
	f.limit = 450;
	ck_assert_uint_eq(read_rows(f, ROWS - 1, LEDGER_OK), 450);
	f = (struct ledger_filter){.account = bob};
	ck_assert_uint_eq(read_rows(f, -1, LEDGER_OK), (ROWS + 2) / 3);
	f = (struct ledger_filter){.oldest_first = true,
	    .since_ms = row_of(100).time_ms,
	    .until_ms = row_of(500).time_ms};
	ck_assert_uint_eq(read_rows(f, 100, LEDGER_OK), 400);
}

static void
expect_good_books(void)
{
	struct ledger_audit a = audit(false);

	ck_assert_str_eq(a.first_bad, "");
	ck_assert_uint_eq(a.bad_rows + a.bad_accounts, 0);
	ck_assert_uint_eq(a.rows, ROWS);
	ck_assert_str_eq(a.ledger_sum, "0.00000000000000000000062");
	ck_assert_str_eq(a.charges_sum, a.ledger_sum);
}

/* ---- sealing ------------------------------------------------------------- */

static bool
seal_step(int64_t ended_ms)
{
	bool more = false;

	ck_assert_int_eq(ops->seal(l, ended_ms, &more), LEDGER_OK);
	return (more);
}

static void
seal_all(void)
{
	while (seal_step(FEBRUARY))
		;
}

static bool
has_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return (access(path, F_OK) == 0);
}

static void
teardown_months(void)
{
	remove_file("ledger-2023-11.db");
	remove_file("ledger-2023-11.db.new");
	remove_file("ledger-2023-12.db");
	remove_file("ledger-2023-12.db.new");
	remove_file("ledger-2024-01.db");
	remove_file("ledger-2024-01.db.new");
	remove_file("away");
	teardown();
}

static int64_t
stored(const char *sql)
{
	char path[128];
	sqlite3_stmt *stmt;
	sqlite3 *db;
	int64_t n;

	snprintf(path, sizeof(path), "%s/hubd.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(
	    sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return (n);
}

START_TEST(months_that_have_ended_are_sealed_and_others_are_not)
{
	book_all();
	while (seal_step(DECEMBER))
		;
	ck_assert(has_file("ledger-2023-11.db"));
	ck_assert(!has_file("ledger-2023-11.db.new"));
	ck_assert(!has_file("ledger-2023-12.db"));
	expect_all_rows();
	expect_good_books();
	ck_assert_uint_eq(audit(false).sealed, 1);
	ck_assert_int_eq(
	    stored("SELECT count(*) FROM ledger"), ROWS - (ROWS + 2) / 3);
	seal_all();
	ck_assert(has_file("ledger-2024-01.db"));
	ck_assert_int_eq(stored("SELECT count(*) FROM ledger"), 0);
	/* the credit */
	ck_assert_int_eq(stored("SELECT count(*) FROM balance_change"), 1);
	expect_all_rows();
	expect_good_books();
	ck_assert_uint_eq(audit(false).sealed, 3);
	ck_assert(!seal_step(FEBRUARY));
}
END_TEST

/* Whoever is killed between two steps begins where the files are. */
START_TEST(after_each_step_every_row_is_read_once)
{
	bool kill = _i != 0;
	int steps = 0;

	book_all();
	while (seal_step(FEBRUARY)) {
		expect_all_rows();
		expect_good_books();
		ck_assert_int_lt(++steps, 400);
		/* a seal that is always killed early never ends */
		if (kill && steps % 11 == 0)
			reopen();
	}
	ck_assert_int_gt(steps, 15);
	expect_all_rows();
	expect_good_books();
	ck_assert_uint_eq(audit(false).sealed, 3);
	expect_balance(
	    bob, "-0.000000000000000000000207", "0.000000000000000000000207");
}
END_TEST

START_TEST(a_row_of_a_sealed_month_is_not_booked_again)
{
	struct ledger_row r = row_of(1), other = r;
	int steps = 0;

	book_all();
	while (seal_step(FEBRUARY)) {
		book(&r, LEDGER_OK);
		steps++;
	}
	ck_assert_int_gt(steps, 15);
	strcpy(other.amount, "5");
	book(&other, LEDGER_CONFLICT);
	book_all();
	expect_all_rows();
	expect_good_books();
}
END_TEST

START_TEST(a_row_is_known_by_the_time_in_its_id)
{
	struct ledger_row r = row_of(1), other;
	int i;

	for (i = 0; i < 6; i++)
		r.id.b[i] = (uint8_t)(r.time_ms >> (40 - 8 * i));
	book(&r, LEDGER_OK);
	seal_all();
	other = r;
	other.time_ms = FEBRUARY;
	book(&other, LEDGER_CONFLICT);
	book(&r, LEDGER_OK);
	ck_assert_uint_eq(audit(false).rows, 1);
}
END_TEST

START_TEST(a_row_that_comes_late_is_read_with_its_month)
{
	struct ledger_row late = make_row(9999, alice, "0.5");
	struct ledger_filter f = {.since_ms = NOVEMBER, .until_ms = DECEMBER};
	unsigned before;

	book_all();
	seal_all();
	before = read_rows(f, -1, LEDGER_OK);
	late.time_ms = NOVEMBER + 3;
	book(&late, LEDGER_OK);
	book(&late, LEDGER_OK);
	ck_assert_uint_eq(read_rows(f, -1, LEDGER_OK), before + 1);
	ck_assert(!seal_step(FEBRUARY)); /* and it stays where it is */
	ck_assert_str_eq(audit(false).first_bad, "");
	ck_assert_uint_eq(audit(false).rows, ROWS + 1);
	expect_balance(
	    alice, "9.499999999999999999999587", "0.500000000000000000000413");
}
END_TEST

/* It comes while the month is being written. */
START_TEST(a_row_that_comes_during_sealing_is_kept)
{
	struct ledger_row late = make_row(9999, alice, "0.5");
	int step = 0;

	late.time_ms = NOVEMBER - 5;
	book_all();
	while (seal_step(FEBRUARY))
		if (++step == _i)
			book(&late, LEDGER_OK);
	ck_assert_int_gt(step, _i);
	book(&late, LEDGER_OK);
	ck_assert_str_eq(audit(false).first_bad, "");
	ck_assert_uint_eq(audit(false).rows, ROWS + 1);
}
END_TEST

/* ---- what goes wrong ----------------------------------------------------- */

static void
move(const char *from, const char *to)
{
	char a[128], b[128];

	snprintf(a, sizeof(a), "%s/%s", dir, from);
	snprintf(b, sizeof(b), "%s/%s", dir, to);
	ck_assert_int_eq(rename(a, b), 0);
}

START_TEST(a_month_that_was_taken_away_counts_by_its_sums)
{
	struct ledger_row r = row_of(1), late = make_row(9999, alice, "1");
	struct ledger_filter f = {.oldest_first = true};
	struct ledger_audit a;

	book_all();
	seal_all();
	move("ledger-2023-11.db", "away");
	reopen();
	a = audit(false);
	ck_assert_uint_eq(a.absent, 1);
	ck_assert_str_eq(a.first_absent, "2023-11");
	expect_good_books();
	ck_assert_uint_eq(
	    read_rows(f, -1, LEDGER_MISSING), ROWS - (ROWS + 2) / 3);
	f.since_ms = DECEMBER;
	ck_assert_uint_eq(read_rows(f, -1, LEDGER_OK), ROWS - (ROWS + 2) / 3);
	/* nobody can say whether it is billed */
	book(&r, LEDGER_REFUSED);
	late.time_ms = NOVEMBER;
	book(&late, LEDGER_REFUSED);
	move("away", "ledger-2023-11.db");
	reopen();
	book(&r, LEDGER_OK);
	expect_all_rows();
	expect_good_books();
}
END_TEST

/* Changes a month's file behind the store's back. */
static void
tamper_month(const char *sql)
{
	char path[128], *why = NULL;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/ledger-2023-11.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, sql, NULL, NULL, &why);
	ck_assert_msg(why == NULL, "%s", why);
	ck_assert_int_gt(sqlite3_changes(db), 0);
	sqlite3_close(db);
}

#define ONE " WHERE id = '01000000-0000-0000-0000-000001000000'"
static const char *const frauds[] = {
    "DELETE FROM ledger" ONE,
    "UPDATE ledger SET amount = '7'" ONE,
    "UPDATE ledger SET amount = '7', charge = '-7'" ONE,
    "UPDATE ledger SET account = 2" ONE,
    "UPDATE ledger SET charge = '0'" ONE,
};

START_TEST(audit_finds_a_month_that_was_changed)
{
	book_all();
	seal_all();
	expect_good_books();
	tamper_month(frauds[_i]);
	ck_assert_uint_gt(audit(false).bad_rows, 0);
	ck_assert_str_ne(audit(false).first_bad, "");
	ck_assert_uint_eq(audit(false).bad_accounts, 0);
}
END_TEST

START_TEST(audit_finds_sums_that_were_changed)
{
	book_all();
	seal_all();
	tamper("UPDATE sealed_sum SET amount = '1' WHERE account = 2");
	ck_assert_uint_gt(audit(false).bad_rows, 0);
	ck_assert_uint_eq(audit(false).bad_accounts, 1);
}
END_TEST

START_TEST(what_does_not_add_up_is_not_sealed)
{
	bool more = true;

	book_all();
	tamper("UPDATE balance_change SET amount = '-1' WHERE ref = "
	       "'01000000-0000-0000-0000-000001000000'");
	while (more)
		if (ops->seal(l, FEBRUARY, &more) == LEDGER_REFUSED)
			break;
	ck_assert(!more);
	ck_assert(!has_file("ledger-2023-11.db"));
	ck_assert(!has_file("ledger-2023-11.db.new"));
	expect_all_rows();
	ck_assert_uint_eq(audit(false).bad_rows, 1);
}
END_TEST

START_TEST(a_file_of_that_name_is_left_alone)
{
	struct stat before, after;
	char path[128];
	bool more;
	FILE *f;

	book_all();
	snprintf(path, sizeof(path), "%s/ledger-2023-11.db", dir);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	fputs("mine", f);
	fclose(f);
	stat(path, &before);
	ck_assert_int_eq(ops->seal(l, FEBRUARY, &more), LEDGER_REFUSED);
	ck_assert(!more);
	stat(path, &after);
	ck_assert_int_eq(after.st_size, 4);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	expect_all_rows();
}
END_TEST

START_TEST(a_check_looks_into_sealed_months)
{
	struct ledger_check check;
	char path[128];
	FILE *f;

	book_all();
	seal_all();
	ck_assert_int_eq(ops->check(l, &check), LEDGER_OK);
	ck_assert_str_eq(check.first, "");
	snprintf(path, sizeof(path), "%s/ledger-2023-12.db", dir);
	ck_assert_ptr_nonnull(f = fopen(path, "r+"));
	fseek(f, 4096 * 3, SEEK_SET);
	for (int i = 0; i < 4096; i++)
		fputc(0x5a, f);
	fclose(f);
	reopen();
	ck_assert_int_eq(ops->check(l, &check), LEDGER_OK);
	ck_assert_uint_gt(check.problems, 0);
	ck_assert_msg(
	    strstr(check.first, "2023-12") != NULL, "%s", check.first);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ledger_seal");
	TCase *tc = tcase_create("ledger_seal");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown_months);
	tcase_add_test(
	    tc, months_that_have_ended_are_sealed_and_others_are_not);
	tcase_add_loop_test(tc, after_each_step_every_row_is_read_once, 0, 2);
	tcase_add_test(tc, a_row_of_a_sealed_month_is_not_booked_again);
	tcase_add_test(tc, a_row_is_known_by_the_time_in_its_id);
	tcase_add_test(tc, a_row_that_comes_late_is_read_with_its_month);
	tcase_add_loop_test(tc, a_row_that_comes_during_sealing_is_kept, 1, 9);
	tcase_add_test(tc, a_month_that_was_taken_away_counts_by_its_sums);
	tcase_add_loop_test(tc, audit_finds_a_month_that_was_changed, 0,
	    sizeof(frauds) / sizeof(frauds[0]));
	tcase_add_test(tc, audit_finds_sums_that_were_changed);
	tcase_add_test(tc, what_does_not_add_up_is_not_sealed);
	tcase_add_test(tc, a_file_of_that_name_is_left_alone);
	tcase_add_test(tc, a_check_looks_into_sealed_months);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

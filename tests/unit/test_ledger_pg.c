/* The PostgreSQL store, on a server of the test's own. */
#include <sys/wait.h>

#include "common/log.h"
#include "common/monotime.h"
#include "hubd/ledger/pg_private.h"
#include "tests/unit/pg_fixture.h"

#include "tests/unit/ledger_cases.h"
#include "tests/unit/ledger_object_cases.h"

/* As id_next() makes them: the time in front. */
static struct ledger_row
row_of_time(unsigned n, const char *amount, int64_t ms)
{
	struct ledger_row r = make_row(n, alice, amount);
	int i;

	r.time_ms = ms;
	for (i = 0; i < 6; i++)
		r.id.b[i] = (uint8_t)(ms >> (40 - 8 * i));
	return (r);
}

/* ---- opening ------------------------------------------------------------- */

START_TEST(a_store_of_a_later_schema_is_left_alone)
{
	char error[300] = "";

	tamper("UPDATE meta SET value = '99' WHERE name = 'schema'");
	ck_assert_ptr_null(ops->open(url, error, sizeof(error)));
	ck_assert_str_eq(error, "schema \"99\", this hubd knows only \"2\"");
	/* nor is one used that became one */
	tamper("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
	       "WHERE pid <> pg_backend_pid() AND query LIKE '%account%'");
	tamper("UPDATE meta SET value = '2' WHERE name = 'schema'");
	reopen();
	ck_assert_ptr_eq(ledger_ops_of("postgresql://x"), &ledger_pg);
}
END_TEST

START_TEST(a_store_of_a_stranger_is_none)
{
	char error[300] = "";

	tamper("UPDATE meta SET value = 'mine' WHERE name = 'store_id'");
	ck_assert_ptr_null(ops->open(url, error, sizeof(error)));
	ck_assert_str_eq(error, "its store_id is none");
}
END_TEST

static void
forget_schema(void)
{
	tamper("DO $$DECLARE s TEXT := current_schema(); BEGIN "
	       "EXECUTE 'DROP SCHEMA ' || s || ' CASCADE'; "
	       "EXECUTE 'CREATE SCHEMA ' || s; END$$");
}

/* What a hub of that time has written. */
START_TEST(a_store_of_an_older_hub_is_brought_up_to_date)
{
	struct ledger_key k;
	struct ledger_check c;

	forget_schema();
	tamper(ledger_postgresql_schema);
	tamper("INSERT INTO account (name) VALUES ('alice')");
	tamper("INSERT INTO access_key (id, account, name, hash, old_hash, "
	       "old_until_ms, rpm, tpm, concurrency, expires_ms, created_ms, "
	       "revoked, models) VALUES ('key_1', 1, '', 'h', '', 0, 0, 0, 0, "
	       "0, 5, true, '')");
	reopen();
	ck_assert_int_eq(ops->check(l, &c), LEDGER_OK);
	ck_assert_str_eq(c.schema, "2");
	ck_assert_str_eq(c.first, "");
	ck_assert_int_eq(ops->each_key(l, keep_key, &k), LEDGER_OK);
	ck_assert_str_eq(k.id, "key_1");
	ck_assert_int_eq(k.revoked, 1);
	k.revoked = 2;
	ck_assert_int_eq(ops->key_put(l, &k), LEDGER_OK);
	ck_assert_int_eq(ops->each_key(l, keep_key, &k), LEDGER_OK);
	ck_assert_int_eq(k.revoked, 2);
}
END_TEST

START_TEST(a_transaction_that_cannot_begin_leaves_none_behind)
{
	struct ledger_key k = {.id = "key_1", .account = alice}, got;

	ck_assert_int_eq(ops->key_put(l, &k), LEDGER_OK);
	tamper("ALTER TABLE ledger RENAME TO hidden");
	ck_assert_int_eq(ops->each_key(l, keep_key, &got), LEDGER_DOWN);
	tamper("ALTER TABLE hidden RENAME TO ledger");
	ck_assert_int_eq(ops->each_key(l, keep_key, &got), LEDGER_OK);
	ck_assert_str_eq(got.id, "key_1");
}
END_TEST

START_TEST(hubs_that_start_at_once_make_one_store)
{
	char error[300], first[40];
	int i, status;

	forget_schema();
	for (i = 0; i < 4; i++) {
		if (fork() == 0) {
			l = ops->open(url, error, sizeof(error));
			if (l == NULL)
				log_warnx("%s", error);
			_exit(l != NULL ? 0 : 1);
		}
	}
	for (i = 0; i < 4; i++) {
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	reopen();
	snprintf(first, sizeof(first), "%s", pg_store_id(l));
	ck_assert_uint_eq(strlen(first), 36);
	reopen();
	ck_assert_str_eq(pg_store_id(l), first);
}
END_TEST

START_TEST(what_is_wrong_with_a_url_is_said_without_it)
{
	static const char *const bad[] = {"postgresql://u:s3cret%zz@h/db",
	    "postgres", "postgresql://u:s3cret@h:99999999/db",
	    "postgresql://u:s3cret@/db?host=/nonexistent",
	    "postgresql://u:x@s3cret@h/db", "postgresql://u:s3cret/x@h/db",
	    "postgresql://u:1/s3cret@h/db"};
	char error[300];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error[0] = '\0';
		ck_assert_ptr_null(ops->open(bad[i], error, sizeof(error)));
		ck_assert_str_ne(error, "");
		ck_assert_msg(strstr(error, "s3cret") == NULL, "%s", error);
	}
}
END_TEST

START_TEST(a_store_that_takes_no_writing_is_down)
{
	struct ledger_row r = make_row(1, alice, "0.5");
	enum ledger_result one;

	size_t n = strlen(url);

	strcpy(url + n, "%20-cdefault_transaction_read_only%3Don");
	reopen();
	ck_assert_int_eq(ops->book(l, &r, 1, &one), LEDGER_DOWN);
	change(alice, CHANGE_CREDIT, "1", "", LEDGER_DOWN);
	expect_balance(alice, "10", "0");
	url[n] = '\0';
	reopen();
	book(&r, LEDGER_OK);
	expect_clean(1, "0.5");
}
END_TEST

/* ---- the connection ------------------------------------------------------ */

static int
backend_pid(struct pgconn *c)
{
	struct pg_rows *rows;
	int pid;

	ck_assert_int_eq(
	    pgconn_run(c, "SELECT pg_backend_pid()", NULL, &rows), LEDGER_OK);
	pid = (int)pg_int(rows, 0, 0);
	pg_rows_free(rows);
	return (pid);
}

START_TEST(a_server_that_hangs_is_given_up_at_the_deadline)
{
	struct pgconn *c = beside(url);
	int pid = backend_pid(c);
	monotime_t start = monotime_now();

	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	pgconn_set_patience(c, 300);
	ck_assert_int_eq(pgconn_script(c, "SELECT 1"), LEDGER_DOWN);
	ck_assert_int_ge(monotime_diff_ms(monotime_now(), start), 299);
	ck_assert(!pgconn_is_open(c));
	ck_assert(!pgconn_may_retry(c));
	ck_assert_str_eq(pgconn_error(c), "no answer in time");
	kill(pid, SIGCONT);
	pgconn_set_patience(c, 0);
	ck_assert_int_eq(pgconn_open(c), LEDGER_OK);
	ck_assert_int_eq(pgconn_script(c, "SELECT 1"), LEDGER_OK);
	pgconn_free(c);
}
END_TEST

START_TEST(a_statement_too_large_for_the_socket_is_sent_whole)
{
	struct pgconn *c = beside(url);
	size_t n = 20 * 1024 * 1024;
	char *text = calloc(1, n + 1);
	struct pg_args args = {0};
	struct pg_rows *rows;

	memset(text, 'x', n);
	pg_add_text(&args, text);
	ck_assert_int_eq(
	    pgconn_run(c, "SELECT $1::text, length($1::text)", &args, &rows),
	    LEDGER_OK);
	ck_assert_int_eq(pg_int(rows, 0, 1), (int64_t)n);
	ck_assert_str_eq(pg_text(rows, 0, 0), text);
	pg_rows_free(rows);
	free(text);
	pgconn_free(c);
}
END_TEST

START_TEST(results_say_whether_to_try_again)
{
	static const struct {
		const char *sql;
		enum ledger_result result;
		bool retry;
	} cases[] = {
	    {"SELECT 1/0", LEDGER_REFUSED, false},
	    {"INSERT INTO account (name) VALUES ('alice')", LEDGER_CONFLICT,
		false},
	    {"INSERT INTO balance_change (account, time_ms, kind, amount, ref) "
	     "VALUES (99, 0, 'debit', 0, '')",
		LEDGER_MISSING, false},
	    {"INSERT INTO balance_change (account, time_ms, kind, amount, ref) "
	     "VALUES (1, 0, 'other', 0, '')",
		LEDGER_REFUSED, false},
	    {"SELECT nothing", LEDGER_DOWN, false},
	    {"DO $$BEGIN RAISE SQLSTATE '40P01'; END$$", LEDGER_DOWN, true},
	    {"DO $$BEGIN RAISE SQLSTATE '40001'; END$$", LEDGER_DOWN, true},
	    {"DO $$BEGIN RAISE SQLSTATE '53100'; END$$", LEDGER_DOWN, false},
	    {"DO $$BEGIN RAISE SQLSTATE '58030'; END$$", LEDGER_DOWN, false},
	    {"SET statement_timeout = 10; SELECT pg_sleep(60)", LEDGER_DOWN,
		false},
	    {"SELECT pg_terminate_backend(pg_backend_pid())", LEDGER_DOWN,
		true},
	};
	struct pgconn *c;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		c = beside(url);
		ck_assert_msg(
		    pgconn_script(c, cases[i].sql) == cases[i].result &&
			pgconn_may_retry(c) == cases[i].retry,
		    "%s: %s %s", cases[i].sql, pgconn_sqlstate(c),
		    pgconn_error(c));
		pgconn_free(c);
	}
}
END_TEST

/* How often the statement is complained of by so many attempts. */
static int
complaints(const char *sql, int attempts)
{
	char path[] = "/tmp/complaints.XXXXXX", text[4096];
	int fd = mkstemp(path), n = 0, i;
	struct pgconn *c;
	const char *p;
	ssize_t size;

	ck_assert_int_ne(fd, -1);
	unlink(path);
	log_use_fd(fd);
	for (i = 0; i < attempts; i++) {
		c = beside(url);
		ck_assert_int_eq(pgconn_script(c, sql), LEDGER_DOWN);
		pgconn_free(c);
	}
	log_use_fd(STDERR_FILENO);
	size = pread(fd, text, sizeof(text) - 1, 0);
	ck_assert_int_ge(size, 0);
	text[size] = '\0';
	for (p = text; (p = strchr(p, '\n')) != NULL; p++)
		n++;
	close(fd);
	return (n);
}

START_TEST(a_failure_that_stays_is_not_logged_each_time)
{
	ck_assert_int_eq(complaints("SELECT nothing", 3), 1);
	ck_assert_int_eq(complaints("SELECT nobody", 2), 1);
	ck_assert_int_eq(complaints("SELECT nobody", 2), 0);
}
END_TEST

START_TEST(a_store_goes_away_and_comes_back)
{
	struct ledger_row r;
	enum ledger_result one;

	/* one that may be ended */
	teardown();
	pg_start();
	setup();
	r = make_row(1, alice, "0.5");
	book(&r, LEDGER_OK);
	pg_halt();
	ck_assert_int_eq(ops->book(l, &r, 1, &one), LEDGER_DOWN);
	ck_assert_int_eq(ops->book(l, &r, 1, &one), LEDGER_DOWN);
	ck_assert_int_eq(pg_socket(l), -1);
	pg_launch();
	book(&r, LEDGER_OK);
	r = make_row(2, alice, "0.25");
	book(&r, LEDGER_OK);
	expect_balance(alice, "9.25", "0.75");
	expect_clean(2, "0.75");
	teardown();
	pg_stop();
}
END_TEST

/* ---- booking ------------------------------------------------------------- */

START_TEST(a_row_refused_by_its_content_is_found_among_the_others)
{
	struct ledger_row r[100];
	enum ledger_result got[100];
	unsigned i;

	for (i = 0; i < 100; i++)
		r[i] = make_row(i + 1, i % 2 == 0 ? alice : bob, "0.01");
	strcpy(r[37].model, "\xff"); /* no UTF-8 */
	r[80].price_version = UINT64_MAX;
	r[99].account = UINT32_MAX;
	strcpy(r[5].model, "quote \" backslash \\ comma , brace } \x01");
	ck_assert_int_eq(ops->book(l, r, 100, got), LEDGER_OK);
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(
		    got[i], i == 37 || i == 99 ? LEDGER_REFUSED : LEDGER_OK);
	expect_balance(alice, "9.5", "0.5");
	expect_balance(bob, "-0.48", "0.48");
	expect_clean(98, "0.98");
	expect_value(
	    "SELECT model FROM ledger WHERE model LIKE 'quote%'", r[5].model);
}
END_TEST

START_TEST(a_batch_is_one_charge_an_account_that_its_rows_name)
{
	struct ledger_row r[9];
	enum ledger_result got[9];
	unsigned i;

	for (i = 0; i < 9; i++)
		r[i] = make_row(i + 1, i % 3 == 0 ? alice : bob, "0.1");
	ck_assert_int_eq(ops->book(l, r, 9, got), LEDGER_OK);
	expect_value("SELECT string_agg(account || ' ' || amount, ',' "
		     "ORDER BY account) FROM balance_change "
		     "WHERE kind = 'charge'",
	    "1 -0.3,2 -0.6");
	expect_value("SELECT count(*) FROM ledger l JOIN balance_change c "
		     "ON c.id = l.charge AND c.account = l.account",
	    "9");
	/* the same again with one more: it alone is charged */
	r[8] = make_row(77, alice, "0.01");
	ck_assert_int_eq(ops->book(l, r, 9, got), LEDGER_OK);
	expect_balance(alice, "9.69", "0.31");
	expect_balance(bob, "-0.6", "0.6");
}
END_TEST

START_TEST(rows_of_any_month_find_a_place)
{
	/* 1970, 2004, the ends of a month, a leap day, year 10889 */
	static const int64_t times[] = {0, 1, 1709164800000, 1709251199999,
	    1709251200000, 1764547199999, 1764547200000, 4102444800000,
	    281474976710655};
	struct ledger_row r;
	char now[16], part[64];
	unsigned i;

	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		r = row_of_time(i + 1, "0.1", times[i]);
		memset(&r.id.b[6], 0xff, 6);
		book(&r, LEDGER_OK);
	}
	expect_clean(9, "0.9");
	expect_value("SELECT tableoid::regclass FROM ledger WHERE time_ms = "
		     "1709251199999",
	    "ledger_2024_02");
	expect_value("SELECT tableoid::regclass FROM ledger WHERE time_ms = "
		     "1709251200000",
	    "ledger_2024_03");
	/* this month's was made on the way; the id is the row's, whatever
	 * its time says */
	value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')", now,
	    sizeof(now));
	snprintf(part, sizeof(part), "SELECT 'ledger_%s'::regclass::text", now);
	value(part, part, sizeof(part));
	r.time_ms++;
	book(&r, LEDGER_CONFLICT);
}
END_TEST

/* ---- audit --------------------------------------------------------------- */

static const struct {
	const char *sql;
	unsigned bad_rows, bad_accounts;
} frauds[] = {
    {"UPDATE ledger SET amount = 0.4 WHERE amount = 0.5", 1, 0},
    {"UPDATE ledger SET amount = 'NaN' WHERE amount = 0.5", 1, 0},
    {"UPDATE ledger SET account = 2 WHERE amount = 0.5", 1, 0},
    {"UPDATE balance_change SET amount = -0.4 WHERE amount = -0.5", 1, 1},
    {"UPDATE account SET balance = 9 WHERE id = 1", 0, 1},
    {"UPDATE account SET spent = 0 WHERE id = 1", 0, 1},
    {"UPDATE balance_change SET amount = 11 WHERE kind = 'credit'", 0, 1},
    {"DELETE FROM ledger WHERE amount = 0.5", 1, 0},
    {"DELETE FROM balance_change WHERE amount = -0.5", 1, 1},
    {"INSERT INTO balance_change (account, time_ms, kind, amount, ref) "
     "VALUES (2, 0, 'charge', 0, 'nothing')",
	1, 0},
    {"UPDATE ledger SET amount = amount + 0.1 WHERE amount = 0.125; "
     "UPDATE ledger SET amount = amount - 0.1 WHERE amount = 0.5",
	2, 0},
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
	ck_assert_uint_eq(a.bad_rows, frauds[_i].bad_rows);
	ck_assert_uint_eq(a.bad_accounts, frauds[_i].bad_accounts);
	ck_assert_str_ne(a.first_bad, "");
}
END_TEST

START_TEST(a_check_finds_what_is_broken)
{
	struct ledger_check c;
	struct ledger_row r = make_row(1, alice, "0.5");

	book(&r, LEDGER_OK);
	ck_assert_int_eq(ops->check(l, &c), LEDGER_OK);
	ck_assert_str_eq(c.first, "");
	ck_assert_uint_eq(c.problems, 0);
	ck_assert_str_eq(c.schema, "2");
	tamper("ALTER TABLE access_key DISABLE TRIGGER stamp");
	tamper("UPDATE ledger SET account = 77");
	ck_assert_int_eq(ops->check(l, &c), LEDGER_OK);
	ck_assert_uint_eq(c.problems, 2);
	ck_assert_msg(
	    strstr(c.first, "trigger stamp") == c.first, "%s", c.first);
}
END_TEST

START_TEST(a_backup_is_left_to_pg_dump)
{
	char error[200] = "";

	ck_assert_int_eq(
	    ops->backup(l, "/tmp/x", error, sizeof(error)), LEDGER_REFUSED);
	ck_assert_ptr_nonnull(strstr(error, "pg_dump"));
}
END_TEST

/* ---- months put aside ---------------------------------------------------- */

#define JAN_2026 INT64_C(1767225600000)
#define FEB_2026 INT64_C(1769904000000)
#define MAR_2026 INT64_C(1772323200000)

/* Months and their rows: a step to put a month away, and one for its sums.
 * Audits hold after each. */
static void
seal_until(int64_t ms, unsigned expected)
{
	unsigned n = 0;
	bool more;

	do {
		ck_assert_int_eq(ops->seal(l, ms, &more), LEDGER_OK);
		n += more;
		ck_assert_str_eq(audit(false).first_bad, "");
	} while (more);
	ck_assert_uint_eq(n, expected);
}

static void
expect_listed(
    struct ledger_filter f, unsigned expected, enum ledger_result result)
{
	unsigned n = 0;

	ck_assert_int_eq(ops->each_row(l, &f, count_row, &n), result);
	ck_assert_uint_eq(n, expected);
}

/* A charge of both months, and one of January alone. */
static void
book_months(void)
{
	struct ledger_row r[3] = {row_of_time(1, "0.5", JAN_2026 + 5),
	    row_of_time(2, "0.25", FEB_2026 - 1),
	    row_of_time(3, "0.125", FEB_2026)};
	enum ledger_result got[3];

	ck_assert_int_eq(ops->book(l, r, 3, got), LEDGER_OK);
	r[0] = row_of_time(4, "1", JAN_2026);
	book(&r[0], LEDGER_OK);
}

START_TEST(months_put_aside_are_listed_and_audited)
{
	struct ledger_audit a;

	book_months();
	seal_until(FEB_2026 - 1, 0);
	seal_until(FEB_2026, 2);
	expect_listed((struct ledger_filter){0}, 4, LEDGER_OK);
	expect_clean(4, "1.875");
	a = audit(false);
	ck_assert_uint_eq(a.sealed, 1);
	ck_assert_uint_eq(a.absent, 0);
	expect_value("SELECT count(*) FROM ledger", "1");
	seal_until(MAR_2026, 2);
	expect_clean(4, "1.875");
	expect_balance(alice, "8.125", "1.875");
	/* who changes it there is found as well */
	tamper("DO $$BEGIN EXECUTE format('UPDATE %s SET amount = 2 WHERE "
	       "amount = 1', (SELECT place FROM sealed_month "
	       "WHERE month = '2026-01')); END$$");
	a = audit(false);
	ck_assert_uint_eq(a.bad_rows, 1);
	ck_assert_str_eq(a.first_bad, "month 2026-01");
}
END_TEST

/* More rows than one step takes, of a few accounts and charges. */
START_TEST(the_sums_of_a_large_month_are_noted_in_steps)
{
	static struct ledger_row r[PG_BATCH_MAX];
	static enum ledger_result got[PG_BATCH_MAX];
	unsigned i, n;

	for (n = 0; n < 21 * PG_BATCH_MAX; n += PG_BATCH_MAX) {
		for (i = 0; i < PG_BATCH_MAX; i++) {
			r[i] = row_of_time(n + i, "0.0001", JAN_2026 + n + i);
			if (i % 2 == 0)
				r[i].account = bob;
		}
		ck_assert_int_eq(ops->book(l, r, PG_BATCH_MAX, got), LEDGER_OK);
	}
	seal_until(FEB_2026, 3);
	expect_clean(21 * PG_BATCH_MAX, "2.1");
	expect_value("SELECT string_agg(rows || ' ' || trim_scale(amount), ',' "
		     "ORDER BY account) FROM sealed_sum",
	    "10500 1.05,10500 1.05");
}
END_TEST

START_TEST(who_may_not_put_a_month_away_is_refused)
{
	bool more;

	book_months();
	tamper("DO $$BEGIN EXECUTE format('CREATE SCHEMA %I', "
	       "current_schema() || '_sealed'); EXECUTE format('CREATE VIEW "
	       "%I.ledger_2026_01 AS SELECT 1', current_schema() || "
	       "'_sealed'); END$$");
	ck_assert_int_eq(ops->seal(l, FEB_2026, &more), LEDGER_REFUSED);
	ck_assert(!more);
	expect_clean(4, "1.875");
}
END_TEST

START_TEST(a_month_that_is_dropped_stays_in_the_books)
{
	struct ledger_audit a;
	struct ledger_row r = row_of_time(1, "0.5", JAN_2026 + 5);

	book_months();
	seal_until(MAR_2026, 4);
	tamper("DO $$BEGIN EXECUTE 'DROP TABLE ' || (SELECT place FROM "
	       "sealed_month WHERE month = '2026-01'); END$$");
	expect_clean(4, "1.875");
	a = audit(false);
	ck_assert_uint_eq(a.sealed, 2);
	ck_assert_uint_eq(a.absent, 1);
	ck_assert_str_eq(a.first_absent, "2026-01");
	expect_listed((struct ledger_filter){0}, 1, LEDGER_MISSING);
	expect_listed((struct ledger_filter){.limit = 1}, 1, LEDGER_OK);
	expect_listed(
	    (struct ledger_filter){.since_ms = FEB_2026}, 1, LEDGER_OK);
	expect_listed((struct ledger_filter){.since_ms = FEB_2026 - 1}, 1,
	    LEDGER_MISSING);
	expect_listed(
	    (struct ledger_filter){.until_ms = JAN_2026}, 0, LEDGER_OK);
	expect_listed((struct ledger_filter){.until_ms = JAN_2026 + 1}, 0,
	    LEDGER_MISSING);
	expect_listed((struct ledger_filter){.account = bob}, 0, LEDGER_OK);
	/* nobody can say whether it was booked: people look at it */
	book(&r, LEDGER_REFUSED);
	expect_clean(4, "1.875");
}
END_TEST

START_TEST(a_row_that_comes_after_its_month_is_booked_once)
{
	struct ledger_row r;
	struct ledger *other;
	enum ledger_result one;

	book_months();
	other = open_store();
	r = row_of_time(9, "0.01", JAN_2026 + 7);
	ck_assert_int_eq(ops->book(other, &r, 1, &one), LEDGER_OK);
	seal_until(FEB_2026, 2);
	/* what is in its table is not booked again, by whoever knew the
	 * month as it was */
	if (ops->book(other, &r, 1, &one) == LEDGER_DOWN)
		ck_assert_int_eq(ops->book(other, &r, 1, &one), LEDGER_OK);
	ck_assert_int_eq(one, LEDGER_OK);
	book(&r, LEDGER_OK);
	strcpy(r.model, "other");
	book(&r, LEDGER_CONFLICT);
	expect_clean(5, "1.885");
	/* what is not is */
	r = row_of_time(10, "0.001", JAN_2026 + 8);
	book(&r, LEDGER_OK);
	book(&r, LEDGER_OK);
	expect_clean(6, "1.886");
	expect_balance(alice, "8.114", "1.886");
	seal_until(FEB_2026, 1);
	book(&r, LEDGER_OK);
	expect_clean(6, "1.886");
	expect_listed((struct ledger_filter){0}, 6, LEDGER_OK);
	ck_assert_uint_eq(audit(false).sealed, 1);
	ops->close(other);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ledger_pg");
	TCase *tc = tcase_create("ledger_pg");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, pg_start, pg_stop);
	tcase_add_checked_fixture(tc, setup, teardown);
	add_store_cases(tc);
	add_object_cases(tc);
	tcase_add_test(tc, a_store_of_a_later_schema_is_left_alone);
	tcase_add_test(tc, a_store_of_a_stranger_is_none);
	tcase_add_test(tc, a_store_of_an_older_hub_is_brought_up_to_date);
	tcase_add_test(tc, a_transaction_that_cannot_begin_leaves_none_behind);
	tcase_add_test(tc, hubs_that_start_at_once_make_one_store);
	tcase_add_test(tc, what_is_wrong_with_a_url_is_said_without_it);
	tcase_add_test(tc, a_store_that_takes_no_writing_is_down);
	tcase_add_test(tc, a_server_that_hangs_is_given_up_at_the_deadline);
	tcase_add_test(tc, a_statement_too_large_for_the_socket_is_sent_whole);
	tcase_add_test(tc, results_say_whether_to_try_again);
	tcase_add_test(tc, a_failure_that_stays_is_not_logged_each_time);
	tcase_add_test(tc, a_store_goes_away_and_comes_back);
	tcase_add_test(
	    tc, a_row_refused_by_its_content_is_found_among_the_others);
	tcase_add_test(tc, a_batch_is_one_charge_an_account_that_its_rows_name);
	tcase_add_test(tc, rows_of_any_month_find_a_place);
	tcase_add_loop_test(tc, audit_finds_every_tampering, 0,
	    sizeof(frauds) / sizeof(frauds[0]));
	tcase_add_test(tc, a_check_finds_what_is_broken);
	tcase_add_test(tc, a_backup_is_left_to_pg_dump);
	tcase_add_test(tc, months_put_aside_are_listed_and_audited);
	tcase_add_test(tc, the_sums_of_a_large_month_are_noted_in_steps);
	tcase_add_test(tc, who_may_not_put_a_month_away_is_refused);
	tcase_add_test(tc, a_month_that_is_dropped_stays_in_the_books);
	tcase_add_test(tc, a_row_that_comes_after_its_month_is_booked_once);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

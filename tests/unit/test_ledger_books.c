/* The SQLite store over years: older files, checks, what was in suspense. */
#include <sys/stat.h>

#include "tests/unit/ledger_fixture.h"

/* ---- files of older hubs ------------------------------------------------- */

/* What a hub of that time has written: schema texts as they were, and rows. */
static const char *const old_schemas[] = {
    "etc/ledger_sqlite.sql",
    "etc/ledger_sqlite_2.sql",
};

static const char old_rows[] =
    "INSERT INTO account (name, balance, spent) VALUES "
    "('alice', '9.5', '0.5'), ('bob', '0', '0');"
    "INSERT INTO balance_change (account, time_ms, kind, amount, ref) VALUES "
    "(1, 1700000000000, 'credit', '10', ''),"
    "(1, 1700000000001, 'charge', '-0.5', "
    "'01000000-0000-0000-0000-000001000000');"
    "INSERT INTO ledger VALUES ('01000000-0000-0000-0000-000001000000', "
    "1700000000001, 1, 'key_abc', 'a1', 'openai', 'openai', 'chat', 'gpt-x', "
    "'openai/gpt-x', 'default', 1, 200, 1, 'complete', 1, "
    "'{\"input\":1000,\"output\":2}', '0.5', '', 0, 1234);"
    "INSERT INTO suspense (id, time_ms, reason, raw) VALUES "
    "('01000000-0000-0000-0000-000002000000', 1700000000002, 'it is odd', "
    "x'7261');";

static void
run_file(sqlite3 *db, const char *path)
{
	static char text[64 * 1024];
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_msg(f != NULL, "%s", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	ck_assert_int_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
}

/* Puts a file of that schema version in the place of the store. */
static void
write_old(int version)
{
	char path[128];
	sqlite3 *db;
	int i;

	ops->close(l);
	l = NULL;
	remove_file("hubd.db");
	remove_file("hubd.db-wal");
	remove_file("hubd.db-shm");
	snprintf(path, sizeof(path), "%s/hubd.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	for (i = 0; i < version; i++)
		run_file(db, old_schemas[i]);
	ck_assert_int_eq(
	    sqlite3_exec(db, old_rows, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

START_TEST(a_store_of_an_older_hub_is_brought_up_to_date)
{
	struct ledger_row r = make_row(1, 1, "0.5");
	struct ledger_suspense s;
	struct ledger_check check;
	struct ledger_audit a;
	void *raw;
	size_t n;

	write_old(_i + 1);
	reopen();
	expect_balance(1, "9.5", "0.5");
	book(&r, LEDGER_OK); /* it is there, as it was */
	r = make_row(3, 2, "0.25");
	book(&r, LEDGER_OK);
	a = audit(false);
	ck_assert_str_eq(a.first_bad, "");
	ck_assert_uint_eq(a.rows, 2);
	ck_assert_uint_eq(a.suspense, 1);
	ck_assert_int_eq(
	    ops->suspense_get(
		l, "01000000-0000-0000-0000-000002000000", &s, &raw, &n),
	    LEDGER_OK);
	ck_assert_uint_eq(n, 2);
	free(raw);
	ck_assert_int_eq(ops->check(l, &check), LEDGER_OK);
	ck_assert_str_eq(check.schema, "3");
	ck_assert_str_eq(check.first, "");
}
END_TEST

/* ---- suspense ------------------------------------------------------------ */

static struct ledger_suspense last;

static void
count_suspense(void *arg, const struct ledger_suspense *s)
{
	unsigned *n = arg;

	last = *s;
	(*n)++;
}

static unsigned
suspended(bool all)
{
	unsigned n = 0;

	ck_assert_int_eq(
	    ops->each_suspense(l, all, count_suspense, &n), LEDGER_OK);
	return (n);
}

START_TEST(what_is_resolved_stays_on_record)
{
	struct ledger_row r = make_row(1, alice, "0.1");
	struct ledger_suspense s;
	char id[REQ_ID_TEXT];
	void *raw;
	size_t n;

	req_id_format(r.id, id);
	ck_assert_int_eq(
	    ops->suspense_get(l, id, &s, &raw, &n), LEDGER_MISSING);
	ops->suspend(l, r.id, "it is odd", "raw\0one", 7);
	ops->suspend(l, r.id, "it is odder", "two", 3);
	ck_assert_int_eq(ops->suspense_get(l, id, &s, &raw, &n), LEDGER_OK);
	ck_assert_uint_eq(n, 7);
	ck_assert_mem_eq(raw, "raw\0one", 7);
	free(raw);
	ck_assert_str_eq(s.reason, "it is odd");
	s.how = SUSPENSE_DROPPED;
	strcpy(s.by, "root");
	strcpy(s.why, "a trial");
	ck_assert_int_eq(ops->suspense_resolve(l, &s), LEDGER_OK);
	ck_assert_int_eq(ops->suspense_resolve(l, &s), LEDGER_CONFLICT);
	ck_assert_uint_eq(audit(false).suspense, 1);
	ck_assert_uint_eq(suspended(false), 1);
	ck_assert_str_eq(last.reason, "it is odder");
	ck_assert_int_eq(ops->suspense_get(l, id, &s, &raw, &n), LEDGER_OK);
	ck_assert_str_eq(s.reason, "it is odder");
	free(raw);
	/* the dropped one does not come back */
	ck_assert_int_eq(
	    ops->suspend(l, r.id, "it is odd", "raw\0one", 7), LEDGER_CONFLICT);
	s.number = 99;
	ck_assert_int_eq(ops->suspense_resolve(l, &s), LEDGER_MISSING);
	s.number = 2;
	s.how = SUSPENSE_RETRIED;
	strcpy(s.by, "root");
	strcpy(s.why, "a trial");
	ck_assert_int_eq(ops->suspense_resolve(l, &s), LEDGER_OK);
	reopen();
	ck_assert_uint_eq(suspended(false), 0);
	ck_assert_uint_eq(suspended(true), 2);
	ck_assert_int_eq(last.how, SUSPENSE_RETRIED);
	ck_assert_int_gt(last.resolved_ms, 1700000000000);
	ck_assert_str_eq(last.by, "root");
	ck_assert_str_eq(last.why, "a trial");
}
END_TEST

/* ---- check --------------------------------------------------------------- */

START_TEST(a_check_finds_what_no_sum_shows)
{
	struct ledger_check check;

	ck_assert_int_eq(ops->check(l, &check), LEDGER_OK);
	ck_assert_uint_eq(check.problems, 0);
	tamper("UPDATE balance_change SET account = 77");
	ck_assert_int_eq(ops->check(l, &check), LEDGER_OK);
	ck_assert_uint_eq(check.problems, 1);
	ck_assert_str_eq(check.first, "balance_change refers to no account");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ledger_books");
	TCase *tc = tcase_create("ledger_books");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(
	    tc, a_store_of_an_older_hub_is_brought_up_to_date, 0, 2);
	tcase_add_test(tc, what_is_resolved_stays_on_record);
	tcase_add_test(tc, a_check_finds_what_no_sum_shows);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Several hubs on one PostgreSQL store: what each does, and hears of it. */
#include <sys/wait.h>

#include <poll.h>

#include "common/monotime.h"
#include "tests/unit/pg_fixture.h"

#define HUBS	 4
#define ACCOUNTS 30
#define BATCH	 60
#define SECONDS	 3

/* Waits until the server says so. */
static void
await_value(struct pgconn *c, const char *sql)
{
	struct pg_rows *rows;
	bool yes = false;
	int i;

	for (i = 0; i < 3000 && !yes; i++) {
		ck_assert_int_eq(
		    pgconn_run_once(c, sql, NULL, &rows), LEDGER_OK);
		yes = pg_count(rows) > 0 && pg_bool(rows, 0, 0);
		pg_rows_free(rows);
		if (!yes)
			usleep(10000);
	}
	ck_assert_msg(yes, "%s", sql);
}

/* ---- d15: many hubs, the same accounts ----------------------------------- */

static void
make_accounts(uint32_t ids[ACCOUNTS])
{
	char name[32];
	int i;

	for (i = 0; i < ACCOUNTS; i++) {
		snprintf(name, sizeof(name), "shared %d", i);
		ck_assert_int_eq(
		    ops->account_add(l, name, NULL, &ids[i]), LEDGER_OK);
	}
}

/* One hub: the same accounts in another order each time. Every batch is given
 * twice, as one whose answer was lost. The exit status says how it went. */
static void
be_a_hub(unsigned hub, const uint32_t ids[ACCOUNTS])
{
	monotime_t end = monotime_add_ms(monotime_now(), SECONDS * 1000);
	static enum ledger_result got[BATCH];
	static struct ledger_row rows[BATCH];
	unsigned n = 0, i;

	l = open_store();
	srandom(hub);
	while (!monotime_reached(end, monotime_now())) {
		for (i = 0; i < BATCH; i++)
			rows[i] =
			    make_row(hub << 24 | ++n, ids[random() % ACCOUNTS],
				"0.000000000000000000000001");
		if (ops->book(l, rows, BATCH, got) != LEDGER_OK ||
		    ops->book(l, rows, BATCH, got) != LEDGER_OK)
			_exit(1);
		for (i = 0; i < BATCH; i++) {
			if (got[i] != LEDGER_OK)
				_exit(2);
		}
	}
	_exit(n > BATCH ? 0 : 3);
}

START_TEST(d15_hubs_that_charge_the_same_accounts_never_deadlock)
{
	uint32_t ids[ACCOUNTS];
	struct pgconn *c = beside(url);
	struct ledger_audit a;
	unsigned hub;
	int status;

	make_accounts(ids);
	for (hub = 1; hub <= HUBS; hub++) {
		if (fork() == 0)
			be_a_hub(hub, ids);
	}
	for (hub = 0; hub < HUBS; hub++) {
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	a = audit(false);
	ck_assert_uint_gt(a.rows, HUBS * BATCH);
	ck_assert_str_eq(a.first_bad, "");
	ck_assert_uint_eq(a.bad_accounts + a.bad_rows, 0);
	ck_assert_str_eq(a.ledger_sum, a.charges_sum);
	/* as the server itself has counted: it has once they are gone */
	await_value(c, "SELECT count(*) = 2 FROM pg_stat_activity WHERE "
		       "backend_type = 'client backend'");
	pgconn_free(c);
	expect_value("SELECT deadlocks FROM pg_stat_database "
		     "WHERE datname = current_database()",
	    "0");
}
END_TEST

/* ---- a connection that is cut off ---------------------------------------- */

#define WAITS                                                         \
	"SELECT count(*) > 0 FROM pg_stat_activity WHERE "            \
	"wait_event_type = 'Lock' AND query LIKE 'WITH locked%' AND " \
	"datname = current_database()"

START_TEST(a_booking_that_is_cut_off_is_tried_again)
{
	struct ledger_row r = make_row(1, alice, "0.5");
	struct pgconn *c = beside(url);
	enum ledger_result one = LEDGER_DOWN;
	struct pgconn *lock = beside(url);
	pid_t pid;
	int status;

	ck_assert_int_eq(
	    pgconn_script(lock, "BEGIN; SELECT 1 FROM account WHERE id = 1 "
				"FOR UPDATE"),
	    LEDGER_OK);
	if ((pid = fork()) == 0) {
		l = open_store();
		_exit(ops->book(l, &r, 1, &one) == LEDGER_OK && one == LEDGER_OK
			  ? 0
			  : 1);
	}
	await_value(c, WAITS);
	ck_assert_int_eq(
	    pgconn_script(c, "SELECT pg_terminate_backend(pid) FROM "
			     "pg_stat_activity WHERE wait_event_type = 'Lock'"),
	    LEDGER_OK);
	/* it is there again */
	await_value(c, WAITS);
	ck_assert_int_eq(pgconn_script(lock, "COMMIT"), LEDGER_OK);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	expect_balance(alice, "9.5", "0.5");
	pgconn_free(lock);
	pgconn_free(c);
}
END_TEST

/* ---- hearing of it ------------------------------------------------------- */

static struct pg_balance told[256];
static unsigned ntold;

static void
on_told(void *arg, const struct pg_balance *b)
{
	ck_assert_uint_lt(ntold, 256);
	told[ntold++] = *b;
}

START_TEST(who_books_is_told_the_balances_also_the_second_time)
{
	struct ledger_row r[2] = {
	    make_row(1, alice, "0.5"), make_row(2, bob, "0.25")};
	enum ledger_result got[2];
	int64_t seq;

	ntold = 0;
	ck_assert_int_eq(pg_book(l, r, 2, got, on_told, NULL), LEDGER_OK);
	ck_assert_uint_eq(ntold, 2);
	seq = told[0].account == alice ? told[0].seq : told[1].seq;
	ck_assert_int_eq(seq, 2); /* its first credit was the first */
	ntold = 0;
	ck_assert_int_eq(pg_book(l, r, 2, got, on_told, NULL), LEDGER_OK);
	ck_assert_uint_eq(ntold, 2);
	ck_assert_str_eq(told[told[0].account == alice ? 0 : 1].balance, "9.5");
	ck_assert_int_eq(told[told[0].account == alice ? 0 : 1].seq, seq);
}
END_TEST

/* Takes notifications until something has come. */
static bool
hear(void)
{
	struct pollfd p;
	bool changed = false;

	ntold = 0;
	while (!changed && ntold == 0) {
		p = (struct pollfd){.fd = pg_socket(l), .events = POLLIN};
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		ck_assert_int_eq(
		    pg_notified(l, on_told, NULL, &changed), LEDGER_OK);
	}
	return (changed);
}

START_TEST(a_hub_hears_of_balances_that_others_change)
{
	struct ledger *other = open_store();
	struct ledger_row r = make_row(1, alice, "0.5");
	enum ledger_result one;
	amount_t *a = amount_new();

	ck_assert_int_eq(pg_listen(l), LEDGER_OK);
	ck_assert_int_eq(ops->book(other, &r, 1, &one), LEDGER_OK);
	ck_assert(!hear());
	ck_assert_uint_eq(ntold, 1);
	ck_assert_uint_eq(told[0].account, alice);
	ck_assert_str_eq(told[0].balance, "9.5");
	ck_assert_str_eq(told[0].spent, "0.5");
	ck_assert_int_eq(told[0].seq, 2);
	ck_assert_int_eq(amount_parse(a, "5", 1), 0);
	ops->account_change(other, bob, CHANGE_CREDIT, a, "");
	hear();
	ck_assert_uint_eq(ntold, 1);
	ck_assert_uint_eq(told[0].account, bob);
	ck_assert_str_eq(told[0].balance, "5");
	amount_free(a);
	ops->close(other);
}
END_TEST

/* More than one notification's room. */
START_TEST(a_batch_of_many_accounts_is_told_in_pieces)
{
	static struct ledger_row r[200];
	static enum ledger_result got[200];
	struct ledger *other = open_store();
	char name[32];
	unsigned i, n = 0;
	uint32_t id;

	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "a%u", i);
		ck_assert_int_eq(
		    ops->account_add(l, name, NULL, &id), LEDGER_OK);
		r[i] = make_row(i, id,
		    "1111111111111111111111111111111111111111111111"
		    ".123456789");
	}
	ck_assert_int_eq(pg_listen(l), LEDGER_OK);
	ck_assert_int_eq(ops->book(other, r, 200, got), LEDGER_OK);
	while (n < 200) {
		hear();
		n += ntold;
	}
	ck_assert_uint_eq(n, 200);
	ops->close(other);
}
END_TEST

struct seen {
	unsigned accounts, keys, agents, prices, objects, removed;
	char last[LEDGER_NAME_MAX];
};

static void
see_account(void *arg, const struct ledger_account *a)
{
	struct seen *s = arg;

	s->accounts++;
	memcpy(s->last, a->name, sizeof(s->last));
}

static void
see_key(void *arg, const struct ledger_key *k)
{
	((struct seen *)arg)->keys++;
}

static void
see_agent(void *arg, const struct ledger_agent *a)
{
	((struct seen *)arg)->agents++;
}

static void
see_object(void *arg, const struct ledger_object *o, bool removed)
{
	struct seen *s = arg;

	ck_assert_uint_eq(o->number, 0);
	if (removed)
		s->removed++;
	else
		s->objects++;
}

static const struct pg_sink sink = {.account = see_account,
    .key = see_key,
    .agent = see_agent,
    .object = see_object};

static struct seen
changes_after(int64_t *clock)
{
	struct seen s = {0};

	ck_assert_int_eq(pg_changes(l, clock, &sink, &s), LEDGER_OK);
	return (s);
}

START_TEST(changes_are_what_came_after_the_clock)
{
	struct ledger *other = open_store();
	struct ledger_key k = {.id = "key_1", .account = alice};
	struct ledger_agent agent = {.name = "a1"};
	struct ledger_row r = make_row(1, alice, "0.5");
	enum ledger_result one;
	int64_t clock = 0, before;
	bool yes = true;
	struct seen s;

	s = changes_after(&clock);
	ck_assert_uint_eq(s.accounts, 2);
	ck_assert_int_gt(clock, 0);
	s = changes_after(&clock);
	ck_assert_uint_eq(s.accounts + s.keys + s.agents, 0);
	ck_assert_int_eq(pg_listen(l), LEDGER_OK);
	ck_assert_int_eq(ops->key_put(other, &k), LEDGER_OK);
	ck_assert(hear());
	ck_assert_int_eq(ops->agent_put(other, &agent), LEDGER_OK);
	ops->account_set(other, bob, NULL, &yes);
	s = changes_after(&clock);
	ck_assert_uint_eq(s.keys, 1);
	ck_assert_uint_eq(s.agents, 1);
	ck_assert_uint_eq(s.accounts, 1);
	ck_assert_str_eq(s.last, "bob");
	/* a charge alone is no change; an object is, coming and going */
	ck_assert_int_eq(ops->book(other, &r, 1, &one), LEDGER_OK);
	before = clock;
	s = changes_after(&clock);
	ck_assert_uint_eq(s.accounts, 0);
	ck_assert_int_eq(clock, before);
	r = make_row(2, alice, "0");
	r.object.event = OBJECT_CREATED;
	r.object.kind = OBJECT_FILE;
	ck_assert(call_object_add(&r.object, SPAN("file-a")));
	ck_assert_int_eq(ops->book(other, &r, 1, &one), LEDGER_OK);
	s = changes_after(&clock);
	ck_assert_uint_eq(s.objects, 1);
	r.object.event = OBJECT_DELETED;
	r.id.b[1] = 7;
	ck_assert_int_eq(ops->book(other, &r, 1, &one), LEDGER_OK);
	s = changes_after(&clock);
	ck_assert_uint_eq(s.removed, 1);
	ck_assert_uint_eq(s.objects, 0);
	/* a clock that went back: all of it */
	clock = INT64_MAX;
	s = changes_after(&clock);
	ck_assert_uint_eq(s.accounts, 2);
	ck_assert_uint_eq(s.keys, 1);
	ops->close(other);
}
END_TEST

/* A change that began first and is committed last must not be missed. */
START_TEST(a_change_that_takes_its_time_is_not_missed)
{
	struct pgconn *slow = beside(url), *c = beside(url);
	bool yes = true;
	int64_t clock = 0;
	struct seen s;
	pid_t pid;
	int status;

	changes_after(&clock);
	ck_assert_int_eq(
	    pgconn_script(slow, "BEGIN; UPDATE account SET disabled = true "
				"WHERE name = 'alice'"),
	    LEDGER_OK);
	if ((pid = fork()) == 0) {
		l = open_store();
		_exit(
		    ops->account_set(l, bob, NULL, &yes) == LEDGER_OK ? 0 : 1);
	}
	await_value(c, "SELECT count(*) > 0 FROM pg_stat_activity WHERE "
		       "wait_event_type = 'Lock'");
	/* bob's is not committed before alice's, which has the lower number */
	s = changes_after(&clock);
	ck_assert_uint_eq(s.accounts, 0);
	ck_assert_int_eq(pgconn_script(slow, "COMMIT"), LEDGER_OK);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	s = changes_after(&clock);
	ck_assert_uint_eq(s.accounts, 2);
	pgconn_free(slow);
	pgconn_free(c);
}
END_TEST

START_TEST(who_does_not_hear_any_more_is_told_so)
{
	bool changed;

	ck_assert_int_eq(pg_listen(l), LEDGER_OK);
	tamper("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
	       "WHERE query LIKE 'LISTEN%'");
	while (pg_notified(l, on_told, NULL, &changed) == LEDGER_OK)
		usleep(1000);
	ck_assert_int_eq(pg_socket(l), -1);
	ck_assert_int_eq(pg_listen(l), LEDGER_OK);
	ck_assert_int_ne(pg_socket(l), -1);
}
END_TEST

/* ---- two hubs change the same -------------------------------------------- */

static bool
limit_key(void *arg, struct ledger_key *k)
{
	k->rpm = 7;
	return (true);
}

static bool
revoke_agent(void *arg, struct ledger_agent *a)
{
	a->revoked = true;
	return (true);
}

/* Another hub does both; it has done the first or waits to. */
static pid_t
let_another_change(void)
{
	struct pgconn *c;
	struct ledger_key k;
	struct ledger_agent a;
	pid_t pid = fork();

	if (pid == 0) {
		l = open_store();
		_exit(ledger_change_key(ops, l, "key_1", limit_key, NULL, &k) ==
				  LEDGER_OK &&
			      ledger_change_agent(ops, l, "edge", revoke_agent,
				  NULL, &a) == LEDGER_OK
			  ? 0
			  : 1);
	}
	c = beside(url);
	await_value(c,
	    "SELECT (SELECT rpm = 7 FROM access_key) AND (SELECT revoked "
	    "FROM agent) OR EXISTS (SELECT 1 FROM pg_stat_activity WHERE "
	    "wait_event_type = 'Lock' AND datname = current_database())");
	pgconn_free(c);
	return (pid);
}

static void
expect_changed(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	expect_value("SELECT rpm FROM access_key", "7");
	expect_value("SELECT revoked FROM agent", "t");
}

static void
make_key_and_agent(void)
{
	struct ledger_key k = {.account = alice, .id = "key_1", .rpm = 1};
	struct ledger_agent a = {.name = "edge", .replicas = 1};

	ck_assert_int_eq(ops->key_put(l, &k), LEDGER_OK);
	ck_assert_int_eq(ops->agent_put(l, &a), LEDGER_OK);
}

static bool
rotate_slowly(void *arg, struct ledger_key *k)
{
	*(pid_t *)arg = let_another_change();
	memset(k->hash, 9, sizeof(k->hash));
	return (true);
}

START_TEST(no_change_of_a_key_is_lost)
{
	struct ledger_key k;
	pid_t pid;

	make_key_and_agent();
	ck_assert_int_eq(
	    ledger_change_key(ops, l, "key_1", rotate_slowly, &pid, &k),
	    LEDGER_OK);
	ck_assert_uint_eq(k.rpm, 1);
	expect_changed(pid);
	expect_value(
	    "SELECT hash = decode(repeat('09', 32), 'hex') FROM access_key",
	    "t");
}
END_TEST

static bool
drain_slowly(void *arg, struct ledger_agent *a)
{
	*(pid_t *)arg = let_another_change();
	a->draining = true;
	return (true);
}

START_TEST(no_change_of_an_agent_is_lost)
{
	struct ledger_agent a;
	pid_t pid;

	make_key_and_agent();
	ck_assert_int_eq(
	    ledger_change_agent(ops, l, "edge", drain_slowly, &pid, &a),
	    LEDGER_OK);
	ck_assert(!a.revoked);
	expect_changed(pid);
	expect_value("SELECT draining FROM agent", "t");
}
END_TEST

/* A call that finds the connection cut makes another, which hears nothing. */
START_TEST(who_has_another_connection_must_listen_again)
{
	struct ledger_account a;
	bool changed;

	ck_assert_int_eq(pg_listen(l), LEDGER_OK);
	ck_assert_int_eq(pg_notified(l, on_told, NULL, &changed), LEDGER_OK);
	tamper("SELECT pg_terminate_backend(pid, 10000) FROM "
	       "pg_stat_activity WHERE query LIKE 'LISTEN%'");
	ck_assert_int_eq(ops->account_get(l, alice, &a), LEDGER_OK);
	ck_assert_int_ne(pg_socket(l), -1);
	ck_assert_int_eq(pg_notified(l, on_told, NULL, &changed), LEDGER_DOWN);
	ck_assert_int_eq(pg_listen(l), LEDGER_OK);
	ck_assert_int_eq(pg_notified(l, on_told, NULL, &changed), LEDGER_OK);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pg_hubs");
	TCase *tc = tcase_create("pg_hubs");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, pg_start, pg_stop);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(
	    tc, d15_hubs_that_charge_the_same_accounts_never_deadlock);
	tcase_add_test(tc, a_booking_that_is_cut_off_is_tried_again);
	tcase_add_test(tc, who_books_is_told_the_balances_also_the_second_time);
	tcase_add_test(tc, a_hub_hears_of_balances_that_others_change);
	tcase_add_test(tc, a_batch_of_many_accounts_is_told_in_pieces);
	tcase_add_test(tc, changes_are_what_came_after_the_clock);
	tcase_add_test(tc, a_change_that_takes_its_time_is_not_missed);
	tcase_add_test(tc, no_change_of_a_key_is_lost);
	tcase_add_test(tc, no_change_of_an_agent_is_lost);
	tcase_add_test(tc, who_does_not_hear_any_more_is_told_so);
	tcase_add_test(tc, who_has_another_connection_must_listen_again);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Cells and buckets: limits that hold among real processes, and kills. */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "shm/cells.h"
#include "tests/unit/shm_fixture.h"

#define PROCS 4
#define LIMIT 3
#define TURNS 30000

/* What the test itself counts: taken now, and the most there ever were. */
struct tally {
	_Atomic int taken, most, granted, over;
	_Atomic int64_t money, most_money;
};

static void
note(_Atomic int *most, int n)
{
	int m = atomic_load(most);

	while (n > m && !atomic_compare_exchange_weak(most, &m, n))
		;
}

static void
hammer_live(process_ref_t me, uint32_t cell, struct tally *t)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		if (!cell_take_live(fixture, cell, me, LIMIT))
			continue;
		note(&t->most, atomic_fetch_add(&t->taken, 1) + 1);
		atomic_fetch_add(&t->granted, 1);
		if (i % 64 == 0)
			sched_yield();
		atomic_fetch_sub(&t->taken, 1);
		cell_give_live(fixture, cell, me);
	}
	_exit(0);
}

START_TEST(processes_at_once_never_exceed_the_limit)
{
	struct tally *t = fixture_shared(sizeof(*t));
	uint32_t cell = cell_of_key(fixture, 1);
	pid_t pids[PROCS];
	int i;

	for (i = 0; i < PROCS; i++) {
		process_ref_t p = fixture_process(ROLE_WORKER);

		if ((pids[i] = fork()) == 0)
			hammer_live(p, cell, t);
	}
	for (i = 0; i < PROCS; i++)
		fixture_join(pids[i]);
	ck_assert_int_le(t->most, LIMIT);
	ck_assert_int_gt(t->granted, TURNS);
	ck_assert_uint_eq(cells_live(fixture, cell), 0);
}
END_TEST

static void
hammer_money(
    process_ref_t me, uint32_t cell, struct tally *t, _Atomic int64_t *avail)
{
	int64_t sum, most;
	int i;

	for (i = 0; i < TURNS; i++) {
		nanousd_t amount = {1 + i % 40};

		if (!cell_take_money(fixture, cell, me, amount, avail))
			continue;
		sum = atomic_fetch_add(&t->money, amount.n) + amount.n;
		most = atomic_load(&t->most_money);
		while (sum > most && !atomic_compare_exchange_weak(
					 &t->most_money, &most, sum))
			;
		atomic_fetch_sub(&t->money, amount.n);
		cell_add_money(fixture, cell, me, (nanousd_t){-amount.n});
	}
	_exit(0);
}

START_TEST(processes_at_once_never_hold_more_than_is_available)
{
	struct tally *t = fixture_shared(sizeof(*t));
	_Atomic int64_t *avail = fixture_shared(sizeof(*avail));
	uint32_t cell = cell_of_account(fixture, 3);
	pid_t pids[PROCS];
	int i;

	*avail = 60;
	for (i = 0; i < PROCS; i++) {
		process_ref_t p = fixture_process(ROLE_WORKER);

		if ((pids[i] = fork()) == 0)
			hammer_money(p, cell, t, avail);
	}
	for (i = 0; i < PROCS; i++)
		fixture_join(pids[i]);
	ck_assert_int_le(t->most_money, 60);
	ck_assert_int_gt(t->most_money, 0);
	ck_assert_int_eq(cells_held(fixture, cell).n, 0);
}
END_TEST

/* d05: the calls of a process that was killed -9 block nobody. */
START_TEST(d05_a_killed_process_holds_no_call_but_its_money_waits)
{
	uint32_t key = cell_of_key(fixture, 0);
	uint32_t account = cell_of_account(fixture, 0);
	process_ref_t dead = fixture_process(ROLE_WORKER);
	process_ref_t other = fixture_process(ROLE_WORKER);
	_Atomic int64_t avail = 100;
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	if ((pid = fork()) == 0) {
		while (cell_take_live(fixture, key, dead, LIMIT))
			;
		if (!cell_take_money(
			fixture, account, dead, (nanousd_t){80}, &avail))
			_exit(1);
		(void)!write(ready[1], "r", 1);
		pause();
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_uint_eq(cells_live(fixture, key), LIMIT);
	ck_assert(!cell_take_live(fixture, key, other, LIMIT));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	process_died(fixture, dead.row);
	/* at once, without anybody having cleaned up */
	ck_assert_uint_eq(cells_live(fixture, key), 0);
	ck_assert(cell_take_live(fixture, key, other, LIMIT));
	/* the money may be owed: it waits for billing */
	ck_assert_int_eq(cells_held(fixture, account).n, 80);
	ck_assert(
	    !cell_take_money(fixture, account, other, (nanousd_t){30}, &avail));
	cells_zero_process(fixture, dead.row);
	process_settled(fixture, dead.row);
	ck_assert_int_eq(cells_held(fixture, account).n, 0);
	ck_assert(
	    cell_take_money(fixture, account, other, (nanousd_t){30}, &avail));
	/* who takes the row next starts from nothing */
	dead = fixture_process(ROLE_WORKER);
	ck_assert_uint_eq(cells_live(fixture, key), 1);
	ck_assert(cell_take_live(fixture, key, dead, LIMIT));
	ck_assert_uint_eq(cells_live(fixture, key), 2);
}
END_TEST

START_TEST(no_limit_is_counted_all_the_same)
{
	uint32_t key = cell_of_key(fixture, 0);
	process_ref_t me = fixture_process(ROLE_WORKER);
	int i;

	for (i = 0; i < 1000; i++)
		ck_assert(cell_take_live(fixture, key, me, 0));
	ck_assert_uint_eq(cells_live(fixture, key), 1000);
	ck_assert(!cell_take_live(fixture, key, me, 1000));
	ck_assert(cell_take_live(fixture, key, me, 1001));
}
END_TEST

START_TEST(huge_holds_saturate_and_are_refused)
{
	uint32_t cell = cell_of_account(fixture, 0);
	process_ref_t me = fixture_process(ROLE_WORKER);
	_Atomic int64_t avail = INT64_MAX - 1;

	ck_assert(cell_take_money(fixture, cell, me, (nanousd_t){7}, &avail));
	ck_assert(!cell_take_money(fixture, cell, me, NANOUSD_MAX, &avail));
	ck_assert_int_eq(cells_held(fixture, cell).n, 7);
	avail = -5;
	ck_assert(!cell_take_money(fixture, cell, me, (nanousd_t){0}, &avail));
}
END_TEST

#define SECOND INT64_C(1000000000)

START_TEST(a_bucket_lets_a_minutes_burst_through_and_then_its_rate)
{
	struct bucket b = {0};
	monotime_t now = {1000 * SECOND};
	int64_t wait;
	int i;

	for (i = 0; i < 60; i++)
		ck_assert(bucket_take(&b, 60, 1, now, &wait));
	ck_assert(!bucket_take(&b, 60, 1, now, &wait));
	ck_assert_int_eq(wait, 1000);
	ck_assert_uint_eq(bucket_left(&b, 60, now), 0);
	now = monotime_add_ms(now, 999);
	ck_assert(!bucket_take(&b, 60, 1, now, &wait));
	ck_assert_int_eq(wait, 1);
	now = monotime_add_ms(now, 1);
	ck_assert(bucket_take(&b, 60, 1, now, &wait));
	now = monotime_add_ms(now, 600000);
	ck_assert_uint_eq(bucket_left(&b, 60, now), 60);
	ck_assert(bucket_take(&b, 0, 5, now, &wait));
}
END_TEST

START_TEST(more_than_the_burst_passes_an_empty_bucket_only)
{
	struct bucket b = {0};
	monotime_t now = {1000 * SECOND};
	int64_t wait;

	ck_assert(bucket_take(&b, 1000, 1, now, &wait));
	ck_assert(!bucket_take(&b, 1000, 5000, now, &wait));
	ck_assert_int_eq(wait, 60);
	now = monotime_add_ms(now, 60);
	ck_assert(bucket_take(&b, 1000, 5000, now, &wait));
	ck_assert(!bucket_take(&b, 1000, 1, now, &wait));
	/* 5001 units of 60 ms, less the minute that may be ahead */
	ck_assert_int_eq(wait, 5001 * 60 - 60000);
}
END_TEST

START_TEST(a_bucket_takes_back_and_takes_more)
{
	struct bucket b = {0};
	monotime_t now = {1000 * SECOND};
	int64_t wait;

	ck_assert(bucket_take(&b, 1000, 600, now, &wait));
	bucket_adjust(&b, 1000, 200, now);
	ck_assert_uint_eq(bucket_left(&b, 1000, now), 600);
	bucket_adjust(&b, 1000, -1000, now);
	ck_assert_uint_eq(bucket_left(&b, 1000, now), 0);
	ck_assert(!bucket_take(&b, 1000, 1, now, &wait));
	bucket_adjust(&b, 1, INT64_MIN, now);
	ck_assert(!bucket_take(&b, 1, UINT64_MAX, now, &wait));
	bucket_adjust(&b, 1, INT64_MAX, now);
	bucket_adjust(&b, 1, INT64_MAX, now);
	ck_assert_uint_eq(bucket_left(&b, 1, now), 1);
}
END_TEST

static void
hammer_bucket(struct bucket *b, monotime_t now, _Atomic int *granted)
{
	int64_t wait;
	int i;

	for (i = 0; i < 5000; i++) {
		if (bucket_take(b, 6000, 1, now, &wait))
			atomic_fetch_add(granted, 1);
	}
	_exit(0);
}

START_TEST(processes_at_once_take_exactly_the_burst)
{
	struct bucket *b = bucket_of_key(fixture, 2, BUCKET_REQUESTS);
	_Atomic int *granted = fixture_shared(sizeof(*granted));
	monotime_t now = {1000 * SECOND};
	pid_t pids[PROCS];
	int i;

	for (i = 0; i < PROCS; i++) {
		if ((pids[i] = fork()) == 0)
			hammer_bucket(b, now, granted);
	}
	for (i = 0; i < PROCS; i++)
		fixture_join(pids[i]);
	ck_assert_int_eq(*granted, 6000);
	ck_assert(bucket_of_key(fixture, 2, BUCKET_TOKENS) == b + 1);
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, processes_at_once_never_exceed_the_limit);
	tcase_add_test(tc, processes_at_once_never_hold_more_than_is_available);
	tcase_add_test(
	    tc, d05_a_killed_process_holds_no_call_but_its_money_waits);
	tcase_add_test(tc, no_limit_is_counted_all_the_same);
	tcase_add_test(tc, huge_holds_saturate_and_are_refused);
	tcase_add_test(
	    tc, a_bucket_lets_a_minutes_burst_through_and_then_its_rate);
	tcase_add_test(tc, more_than_the_burst_passes_an_empty_bucket_only);
	tcase_add_test(tc, a_bucket_takes_back_and_takes_more);
	tcase_add_test(tc, processes_at_once_take_exactly_the_burst);
}

int
main(void)
{
	return (fixture_main("cells", add));
}

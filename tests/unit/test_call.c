/* The call table: who may move a row where, and what a kill leaves. */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "shm/call.h"
#include "tests/unit/shm_fixture.h"

static process_ref_t me;

static call_ref_t
take(void)
{
	uint32_t hint = 0;
	call_ref_t ref;

	ck_assert(call_take(fixture, me.row, &hint, &ref));
	return (ref);
}

static struct call_fixed
fixed(void)
{
	struct call_fixed f = {.time_ms = 1,
	    .account = 1,
	    .key = 2,
	    .hold = {5},
	    .worker_generation = me.generation};

	strcpy(f.endpoint, "chat.completions");
	return (f);
}

static call_ref_t
open_one(void)
{
	struct call_fixed f = fixed();
	call_ref_t ref = take();

	call_open(call_at(fixture, ref), &f);
	return (ref);
}

static call_ref_t
final_one(void)
{
	struct call_progress p = {.outcome = OUTCOME_COMPLETE, .status = 200};
	call_ref_t ref = open_one();

	call_final(call_at(fixture, ref), &p);
	return (ref);
}

static call_ref_t
booked_one(void)
{
	call_ref_t ref = final_one();

	ck_assert(call_book(fixture, ref));
	return (ref);
}

static enum call_state
state_of(call_ref_t ref)
{
	struct call_copy c;

	ck_assert(call_copy(fixture, ref.index, &c));
	return (c.state);
}

static call_ref_t (*const make[])(void) = {
    take, open_one, final_one, booked_one};

START_TEST(a_row_goes_round_and_gets_a_new_name)
{
	call_ref_t a = booked_one(), b;
	uint32_t hint = a.index;

	ck_assert(call_is_booked(call_at(fixture, a)));
	call_free(call_at(fixture, a));
	ck_assert(call_take(fixture, me.row, &hint, &b));
	ck_assert_uint_eq(b.index, a.index);
	ck_assert_uint_eq(b.generation, a.generation + 1);
	/* an old name does nothing to the new call */
	ck_assert(!call_book(fixture, a));
	process_died(fixture, me.row);
	ck_assert(!call_reclaim(fixture, a));
	ck_assert(call_reclaim(fixture, b));
}
END_TEST

START_TEST(a_given_back_row_was_never_open)
{
	call_ref_t a = take();

	call_free(call_at(fixture, a));
	ck_assert_int_eq(state_of(a), CALL_FREE);
}
END_TEST

/* What billing may do to a live worker's row in each state: book FINAL. */
START_TEST(billing_leaves_a_live_workers_row_alone)
{
	call_ref_t ref = make[_i]();
	enum call_state was = (enum call_state)(_i + 1);

	ck_assert_int_eq(state_of(ref), was);
	ck_assert(!call_reclaim(fixture, ref));
	ck_assert(call_book(fixture, ref) == (was == CALL_FINAL));
	ck_assert_int_eq(state_of(ref), was == CALL_FINAL ? CALL_BOOKED : was);
}
END_TEST

/* And to a dead one's: everything ends in FREE, OPEN and FINAL by BOOKED. */
START_TEST(billing_settles_a_dead_workers_row)
{
	call_ref_t ref = make[_i]();
	enum call_state was = (enum call_state)(_i + 1);
	bool billed = was == CALL_OPEN || was == CALL_FINAL;

	process_died(fixture, me.row);
	ck_assert(call_reclaim(fixture, ref) == !billed);
	ck_assert(call_book(fixture, ref) == billed);
	ck_assert(!call_book(fixture, ref));
	if (billed)
		ck_assert(call_reclaim(fixture, ref));
	ck_assert_int_eq(state_of(ref), CALL_FREE);
	ck_assert(!call_reclaim(fixture, ref));
}
END_TEST

static void
open_what_is_open(void)
{
	struct call_fixed f = fixed();

	call_open(call_at(fixture, open_one()), &f);
}

static void
free_what_is_open(void)
{
	call_free(call_at(fixture, open_one()));
}

static void
finish_what_is_taken(void)
{
	struct call_progress p = {.outcome = OUTCOME_FAILED};

	call_final(call_at(fixture, take()), &p);
}

static void
finish_twice(void)
{
	struct call_progress p = {.outcome = OUTCOME_FAILED};

	call_final(call_at(fixture, final_one()), &p);
}

static void
free_what_is_final(void)
{
	call_free(call_at(fixture, final_one()));
}

static void (*const wrong_moves[])(void) = {open_what_is_open,
    free_what_is_open, finish_what_is_taken, finish_twice, free_what_is_final};

START_TEST(the_owner_asserts_its_moves)
{
	int status;
	pid_t pid;

	if ((pid = fork()) == 0) {
		freopen("/dev/null", "w", stderr);
		wrong_moves[_i]();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

START_TEST(a_full_table_takes_no_more)
{
	uint32_t i, hint = 7;
	call_ref_t ref;

	for (i = 0; i < fixture_sizes.max_calls; i++)
		ck_assert(call_take(fixture, me.row, &hint, &ref));
	ck_assert(!call_take(fixture, me.row, &hint, &ref));
	call_free(call_at(fixture, ref));
	ck_assert(call_take(fixture, me.row, &hint, &ref));
}
END_TEST

START_TEST(a_new_call_shows_nothing_of_the_last)
{
	struct call_route r = {.agent = 4, .model = "m"};
	struct call_progress p = {.outcome = OUTCOME_COMPLETE, .cost = {9}};
	struct call_fixed f = fixed();
	call_ref_t ref = open_one();
	struct call_copy c;
	uint32_t hint;

	call_set_route(call_at(fixture, ref), &r);
	call_final(call_at(fixture, ref), &p);
	ck_assert(call_copy(fixture, ref.index, &c));
	ck_assert_str_eq(c.route.model, "m");
	ck_assert_int_eq(c.progress.cost.n, 9);
	ck_assert(call_book(fixture, ref));
	call_free(call_at(fixture, ref));
	hint = ref.index;
	ck_assert(call_take(fixture, me.row, &hint, &ref));
	call_open(call_at(fixture, ref), &f);
	ck_assert(call_copy(fixture, ref.index, &c));
	ck_assert_uint_eq(c.route.agent, 0);
	ck_assert_int_eq(c.progress.cost.n, 0);
	ck_assert_int_eq(c.progress.outcome, OUTCOME_NONE);
}
END_TEST

START_TEST(what_billing_reads_is_checked)
{
	struct call_copy good, c;
	const char *why = NULL;
	call_ref_t ref = final_one();

	ck_assert(call_copy(fixture, ref.index, &good));
	ck_assert(call_copy_valid(&good, &why));
#define BAD(change)                                    \
	do {                                           \
		c = good;                              \
		change;                                \
		why = NULL;                            \
		ck_assert(!call_copy_valid(&c, &why)); \
		ck_assert_ptr_nonnull(why);            \
	} while (0)
	BAD(c.state = CALL_TAKEN);
	BAD(c.fixed.magic = 0);
	BAD(c.fixed.size++);
	BAD(c.fixed.account = 77);
	BAD(c.fixed.crc ^= 1);
	BAD(c.progress.usage.n[USAGE_input] = USAGE_MAX_COUNT + 1);
	BAD(c.progress.outcome = OUTCOMES);
	BAD(c.progress.outcome = OUTCOME_NONE);
	BAD(c.progress.status = 600);
	BAD(c.progress.tier = TIER_COUNT);
	BAD(c.progress.cost.n = -1);
	BAD(memset(c.progress.estimated, 'x', sizeof(c.progress.estimated)));
	BAD(memset(c.route.model, 'x', sizeof(c.route.model)));
	BAD(memset(c.route.provider, 'x', sizeof(c.route.provider)));
#undef BAD
}
END_TEST

/* Writes progress for ever; each is recognisable as a whole. */
static void
write_for_ever(call_ref_t ref)
{
	struct call_progress p = {0};
	struct call_route r = {0};
	uint64_t i;
	unsigned k;

	for (i = 1;; i++) {
		for (k = 0; k < USAGE_KINDS; k++)
			p.usage.n[k] = i;
		p.cost.n = (int64_t)i;
		r.agent = r.attempts = (uint32_t)i;
		memset(r.model, 'a' + (int)(i % 26), sizeof(r.model) - 1);
		call_set_progress(call_at(fixture, ref), &p);
		call_set_route(call_at(fixture, ref), &r);
	}
}

static uint64_t
assert_whole(call_ref_t ref)
{
	struct call_copy c;
	unsigned k;

	ck_assert(call_copy(fixture, ref.index, &c));
	for (k = 0; k < USAGE_KINDS; k++)
		ck_assert_uint_eq(
		    c.progress.usage.n[k], (uint64_t)c.progress.cost.n);
	ck_assert_uint_eq(c.route.agent, c.route.attempts);
	for (k = 0; c.route.agent != 0 && k < sizeof(c.route.model) - 1; k++)
		ck_assert_int_eq(c.route.model[k], c.route.model[0]);
	return (c.progress.usage.n[0]);
}

START_TEST(a_killed_writer_leaves_the_last_whole_copy)
{
	call_ref_t ref = open_one();
	uint64_t seen = 0;
	int round, i;
	pid_t pid;

	for (round = 0; round < 50; round++) {
		if ((pid = fork()) == 0)
			write_for_ever(ref);
		for (i = 0; i < 500; i++)
			seen += assert_whole(ref);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		assert_whole(ref);
	}
	ck_assert_uint_gt(seen, 0);
}
END_TEST

#define HAMMERS	     3
#define HAMMER_CALLS 20000

/* Takes, opens, finishes, waits to be booked, frees; asserts it is alone. */
static void
hammer(uint32_t owner, _Atomic uint32_t *holders)
{
	struct call_progress p = {.outcome = OUTCOME_COMPLETE};
	struct call_fixed f = fixed();
	uint32_t i, hint = owner * 7;
	call_ref_t ref;

	for (i = 0; i < HAMMER_CALLS; i++) {
		while (!call_take(fixture, owner, &hint, &ref))
			;
		if (atomic_fetch_add(&holders[ref.index], 1) != 0)
			_exit(1);
		f.account = i + 1;
		call_open(call_at(fixture, ref), &f);
		call_final(call_at(fixture, ref), &p);
		while (!call_is_booked(call_at(fixture, ref)))
			sched_yield();
		atomic_fetch_sub(&holders[ref.index], 1);
		call_free(call_at(fixture, ref));
	}
	_exit(0);
}

START_TEST(many_workers_never_share_a_row_and_each_call_is_booked_once)
{
	_Atomic uint32_t *holders = fixture_shared(64 * sizeof(*holders));
	uint64_t booked = 0;
	pid_t pids[HAMMERS];
	struct call_copy c;
	const char *why;
	uint32_t i;

	for (i = 0; i < HAMMERS; i++) {
		uint32_t row = fixture_process(ROLE_WORKER).row;

		if ((pids[i] = fork()) == 0)
			hammer(row, holders);
	}
	for (i = 0; booked < HAMMERS * HAMMER_CALLS; i = (i + 1) % 64) {
		if (!call_copy(fixture, i, &c) || c.state != CALL_FINAL)
			continue;
		why = NULL;
		ck_assert_msg(call_copy_valid(&c, &why), "%s", why);
		ck_assert(call_book(fixture, c.ref));
		booked++;
	}
	for (i = 0; i < HAMMERS; i++)
		fixture_join(pids[i]);
}
END_TEST

/* What is swept is what was in use, and calls do not wander through all. */
START_TEST(the_table_in_use_stays_as_small_as_its_calls)
{
	uint32_t hint = 0;
	call_ref_t ref[3], again;
	int i;

	for (i = 0; i < 3; i++)
		ck_assert(call_take(fixture, me.row, &hint, &ref[i]));
	ck_assert_uint_eq(call_rows_used(fixture), 3);
	call_give_back(fixture, &hint, ref[2]);
	call_give_back(fixture, &hint, ref[1]);
	for (i = 0; i < 100; i++) {
		ck_assert(call_take(fixture, me.row, &hint, &again));
		ck_assert_uint_eq(again.index, ref[1].index);
		call_give_back(fixture, &hint, again);
	}
	ck_assert_uint_eq(call_rows_used(fixture), 3);
}
END_TEST

/* An older hub's file says nothing: then all rows are looked at. */
START_TEST(without_a_top_all_rows_count_as_used)
{
	atomic_store(&shm_run_state(fixture)->calls_top, 0);
	(void)take();
	ck_assert_uint_eq(call_rows_used(fixture), fixture->sizes.max_calls);
}
END_TEST

static void
take_worker(void)
{
	me = fixture_process(ROLE_WORKER);
}

static void
add(TCase *tc)
{
	tcase_add_checked_fixture(tc, take_worker, NULL);
	tcase_add_test(tc, a_row_goes_round_and_gets_a_new_name);
	tcase_add_test(tc, a_given_back_row_was_never_open);
	tcase_add_loop_test(tc, billing_leaves_a_live_workers_row_alone, 0, 4);
	tcase_add_loop_test(tc, billing_settles_a_dead_workers_row, 0, 4);
	tcase_add_loop_test(tc, the_owner_asserts_its_moves, 0, 5);
	tcase_add_test(tc, a_full_table_takes_no_more);
	tcase_add_test(tc, the_table_in_use_stays_as_small_as_its_calls);
	tcase_add_test(tc, without_a_top_all_rows_count_as_used);
	tcase_add_test(tc, a_new_call_shows_nothing_of_the_last);
	tcase_add_test(tc, what_billing_reads_is_checked);
	tcase_add_test(tc, a_killed_writer_leaves_the_last_whole_copy);
	tcase_add_test(
	    tc, many_workers_never_share_a_row_and_each_call_is_booked_once);
}

int
main(void)
{
	return (fixture_main("call", add));
}

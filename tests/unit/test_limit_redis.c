/*
 * The limiter of several hubs, on a wire of the test's own: what it asks, what
 * it takes of answers, and what it remembers while there are none. What the
 * scripts do is tested on a real Redis (tests/system/test_redis_scripts.py).
 */
#include <string.h>

#include "hubd/limit/redis_lease.h"
#include "shm/pubtab.h"
#include "tests/unit/shm_fixture.h"

#define FAIR_MS 30000
#define LONG_US 60000000 /* since Redis began to know anything */

/* ---- the wire ------------------------------------------------------------ */

struct sent {
	enum redis_script script;
	char text[4096]; /* arguments, a space before each */
	redis_done_fn *done;
	void *arg;
};

static struct sent sent[64];
static size_t nsent;
static bool broken_wire;
static char failed[128];
static unsigned readies, flushes;
static struct limiter *limiter;
static struct limiter_redis *l;
static monotime_t now;
static process_ref_t me;

/* The bulk strings of an encoded command. */
static void
read_args(struct redis_command *c, char *out, size_t cap)
{
	char *at = buf_cstr(&c->args), *end;
	size_t n, used = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < c->nargs; i++) {
		ck_assert_int_eq(*at, '$');
		n = strtoul(at + 1, &end, 10);
		used += (size_t)snprintf(
		    out + used, cap - used, " %.*s", (int)n, end + 2);
		at = end + 2 + n + 2;
	}
	ck_assert_int_eq(*at, '\0');
}

static bool
on_send(void *arg, struct redis_command *c, redis_done_fn *done, void *done_arg)
{
	struct sent *s = &sent[nsent];

	if (!broken_wire) {
		ck_assert_uint_lt(nsent, 64);
		nsent++;
		s->script = c->script;
		s->done = done;
		s->arg = done_arg;
		read_args(c, s->text, sizeof(s->text));
	}
	redis_command_fini(c);
	return (!broken_wire);
}

static void
on_fail(void *arg, const char *why)
{
	snprintf(failed, sizeof(failed), "%s", why);
	limiter_redis_down(limiter);
}

static void
on_ready(void *arg)
{
	readies++;
}

static void
on_flush_later(void *arg)
{
	flushes++;
}

/* The oldest command is answered so. */
static void
answer(const int64_t *v, size_t n)
{
	const struct redis_reply reply = {.v = v, .n = n};
	struct sent s = sent[0];

	ck_assert_uint_gt(nsent, 0);
	memmove(sent, sent + 1, --nsent * sizeof(sent[0]));
	s.done(s.arg, &reply, now);
}
#define ANSWER(...)                            \
	answer((const int64_t[]){__VA_ARGS__}, \
	    sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void
answer_nothing(void)
{
	struct sent s = sent[0];

	ck_assert_uint_gt(nsent, 0);
	memmove(sent, sent + 1, --nsent * sizeof(sent[0]));
	s.done(s.arg, NULL, now);
}

/* ---- a hub --------------------------------------------------------------- */

static struct limit_rules rules;
static struct admission a;
static enum api_error decision;
static unsigned decisions;

static void
on_decision(struct admission *of, enum api_error error)
{
	ck_assert_ptr_eq(of, &a);
	decision = error;
	decisions++;
}

static void
set_up(void)
{
	struct pub_account account = {.id = 5,
	    .name = "acme",
	    .store_seq = 7,
	    .store_available = 1000,
	    .owed = 3,
	    .version = 70};
	const struct redis_wire wire = {.send = on_send,
	    .fail = on_fail,
	    .ready = on_ready,
	    .flush_later = on_flush_later};

	me = fixture_process(ROLE_WORKER);
	pub_account_write(fixture, 2, &account, 997);
	strcpy(shm_pub_state(fixture)->store_id, "store");
	strcpy(shm_pub_state(fixture)->hub_id, "hub");
	now = monotime_now();
	rules = (struct limit_rules){.share = 50, .lease_ms = FAIR_MS};
	limiter =
	    limiter_redis_new(fixture, &counter_rows(fixture)[me.row], &wire);
	l = (void *)limiter;
	limiter_redis_configure(limiter, &rules);
	ck_assert(!limiter_redis_knows_itself(limiter));
	atomic_store(&shm_pub_state(fixture)->loaded, 1);
	ck_assert(limiter_redis_knows_itself(limiter));
	a = (struct admission){.me = me,
	    .account = 5,
	    .account_row = 2,
	    .key = 9,
	    .key_row = 1,
	    .rpm = 10,
	    .tpm = 600,
	    .tokens = 30,
	    .concurrency = 4,
	    .hold = {200}};
}

static void
connect_to(int64_t epoch)
{
	limiter_redis_up(limiter, now);
	ANSWER(epoch, LONG_US);
	ck_assert(limiter_redis_decides(limiter, now) ||
		  monotime_reached(now, l->young));
}

static void
ask(void)
{
	limiter->ops->admit(limiter, &a, now, on_decision);
}

static void
admit(void)
{
	ask();
	ANSWER(0, 200, 0, 6000000, 3000000);
	ck_assert_int_eq(decision, API_OK);
}

static int64_t
held(void)
{
	return (cells_held(fixture, cell_of_account(fixture, 2)).n);
}

static uint64_t
live(void)
{
	return (cells_live(fixture, cell_of_key(fixture, 1)));
}

static size_t
leases(void)
{
	const struct lease *e;
	size_t n = 0;

	TAILQ_FOREACH (e, &l->leases, entry)
		n++;
	return (n);
}

static void
pass(int64_t ms)
{
	now = monotime_add_ms(now, ms);
}

/* The kind in the last command, which is about one lease. */
static char
kind_told(void)
{
	const char *at;

	ck_assert_uint_gt(nsent, 0);
	ck_assert_int_eq(sent[nsent - 1].script, REDIS_KEEP);
	/* version, then the kind */
	at = strstr(sent[nsent - 1].text, " 70 ");
	ck_assert_ptr_nonnull(at);
	return (at[4]);
}

/* ---- admissions ---------------------------------------------------------- */

START_TEST(all_that_limits_is_asked_in_one_command)
{
	char want[256];

	set_up();
	connect_to(111);
	ask();
	ck_assert_uint_eq(decisions, 0);
	ck_assert_uint_eq(nsent, 1);
	snprintf(want, sizeof(want),
	    " 111 30000000 hub %s 5 2 7 1000 3 70 200 strict 4 6000000 "
	    "3000000",
	    l->leases.tqh_first->id);
	ck_assert_str_eq(sent[0].text, want);
	answer_nothing();
}
END_TEST

START_TEST(an_admission_is_in_cells_and_buckets_too)
{
	set_up();
	connect_to(111);
	ask();
	ANSWER(0, 200, 0, 12000000, 9000000);
	ck_assert_uint_eq(decisions, 1);
	ck_assert_int_eq(decision, API_OK);
	ck_assert_int_eq(a.held.n, 200);
	ck_assert_int_eq(held(), 200);
	ck_assert_uint_eq(live(), 1);
	/* what other hubs have taken of them is known here, too */
	ck_assert_uint_eq(
	    bucket_left(bucket_of_key(fixture, 1, BUCKET_REQUESTS), 10, now),
	    8);
	ck_assert_uint_eq(
	    bucket_left(bucket_of_key(fixture, 1, BUCKET_TOKENS), 600, now),
	    510);
	ck_assert_uint_eq(leases(), 1);
}
END_TEST

static const struct {
	int64_t code, wait_us, retry_ms;
	enum api_error error;
} refusals[] = {
    {LIMIT_RATE, 1500001, 1501, API_ERR_rate_limited},
    {LIMIT_CONCURRENCY, 0, 0, API_ERR_concurrency_limited},
    {LIMIT_BALANCE, 0, 0, API_ERR_insufficient_balance},
};

START_TEST(a_refusal_leaves_nothing)
{
	set_up();
	connect_to(111);
	ask();
	ANSWER(refusals[_i].code, 0, refusals[_i].wait_us, 0, 0);
	ck_assert_int_eq(decision, refusals[_i].error);
	ck_assert_int_eq(a.retry_ms, refusals[_i].retry_ms);
	ck_assert_int_eq(held(), 0);
	ck_assert_uint_eq(live(), 0);
	ck_assert_uint_eq(leases(), 0);
	ck_assert_ptr_null(a.lease);
	ck_assert_uint_eq(nsent, 0);
}
END_TEST

START_TEST(a_soft_hold_is_what_redis_says)
{
	set_up();
	connect_to(111);
	a.soft = true;
	ask();
	ck_assert_ptr_nonnull(strstr(sent[0].text, " 200 soft "));
	ANSWER(0, 17, 0, 0, 0);
	ck_assert_int_eq(a.held.n, 17);
	ck_assert_int_eq(held(), 17);
}
END_TEST

START_TEST(unlimited_is_asked_as_that)
{
	set_up();
	connect_to(111);
	a.unlimited = a.soft = true;
	ask();
	ck_assert_ptr_nonnull(strstr(sent[0].text, " 200 unlimited "));
	answer_nothing();
}
END_TEST

/* ---- answers that are none ----------------------------------------------- */

static const struct {
	int64_t v[6];
	size_t n;
} nonsense[] = {
    {{0}, 0},
    {{0, 200, 0, 0}, 4},
    {{0, 200, 0, 0, 0, 0}, 6},
    {{5, 0, 0, 0, 0}, 5},
    {{-1, 0, 0, 0, 0}, 5},
    {{0, 201, 0, 0, 0}, 5},
    {{0, -1, 0, 0, 0}, 5},
    {{1, 0, -1, 0, 0}, 5},
    {{1, 0, INT64_MAX, 0, 0}, 5},
    {{0, 200, 0, -1, 0}, 5},
    {{0, 200, 0, 0, INT64_MAX}, 5},
};

START_TEST(nonsense_is_taken_for_redis_away)
{
	set_up();
	connect_to(111);
	ask();
	answer(nonsense[_i].v, nonsense[_i].n);
	ck_assert_str_eq(failed, "an answer that is none");
	ck_assert_int_eq(decision, API_OK);
	ck_assert_int_eq(a.rpm, 5);
	ck_assert_int_eq(held(), 200);
	ck_assert(!limiter_redis_decides(limiter, now));
}
END_TEST

START_TEST(an_error_is_told_and_ends_the_connection)
{
	const struct redis_reply reply = {.error = "OOM no memory"};

	set_up();
	connect_to(111);
	ask();
	sent[0].done(sent[0].arg, &reply, now);
	ck_assert_str_eq(failed, "OOM no memory");
	ck_assert_int_eq(decision, API_OK);
}
END_TEST

START_TEST(lists_are_checked)
{
	static const struct {
		int64_t v[4];
		size_t n;
	} bad[] = {{{0}, 0}, {{1}, 1}, {{0, 7}, 2}, {{-5, 7}, 2}, {{1, -1}, 2},
	    {{1, 7, 2}, 3}, {{1, 7, 2, -1}, 4}, {{1, 7, INT64_MAX, 1}, 4},
	    {{INT64_MAX, 7}, 2}, {{1, INT64_MAX}, 2}};
	struct redis_told told;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct redis_reply r = {.v = bad[i].v, .n = bad[i].n};

		ck_assert(!redis_read_told(&r, &told));
	}
	ck_assert(redis_read_told(
	    &(struct redis_reply){.v = (const int64_t[]){9, 7, 5, 2}, .n = 4},
	    &told));
	ck_assert_int_eq(told.epoch, 9);
	ck_assert_int_eq(told.age_us, 7);
	ck_assert_uint_eq(told.n, 1);
	ck_assert_uint_eq(told.list[0].account, 5);
	ck_assert_uint_eq(told.list[0].row, 2);
}
END_TEST

/* ---- without Redis ------------------------------------------------------- */

START_TEST(without_redis_a_share_of_each_limit_is_in_force)
{
	set_up();
	ask();
	ck_assert_uint_eq(decisions, 1);
	ck_assert_int_eq(decision, API_OK);
	ck_assert_uint_eq(a.rpm, 5);
	ck_assert_uint_eq(a.tpm, 300);
	ck_assert_uint_eq(a.concurrency, 2);
	ck_assert_int_eq(held(), 200);
	a.concurrency = 8;
	a.hold.n = 400; /* more than half of what there is */
	ask();
	ck_assert_int_eq(decision, API_ERR_insufficient_balance);
	ck_assert_uint_eq(leases(), 1);
}
END_TEST

START_TEST(a_share_is_never_none)
{
	set_up();
	a.rpm = a.concurrency = 1;
	ask();
	ck_assert_int_eq(decision, API_OK);
	ck_assert_uint_eq(a.rpm, 1);
	ck_assert_uint_eq(a.concurrency, 1);
}
END_TEST

START_TEST(strict_limits_refuse_instead)
{
	set_up();
	rules.strict = true;
	limiter_redis_configure(limiter, &rules);
	ask();
	ck_assert_int_eq(decision, API_ERR_overloaded);
	ck_assert_int_eq(held(), 0);
	ck_assert_uint_eq(leases(), 0);
}
END_TEST

START_TEST(no_answer_is_decided_here_and_told_later)
{
	set_up();
	connect_to(111);
	ask();
	limiter_redis_down(limiter);
	answer_nothing();
	ck_assert_int_eq(decision, API_OK);
	connect_to(111);
	limiter_redis_flush(limiter, now);
	ck_assert_uint_eq(nsent, 1);
	ck_assert_int_eq(kind_told(), 'h');
	ANSWER(0);
	ck_assert(limiter_redis_idle(limiter));
}
END_TEST

START_TEST(a_refusal_here_is_taken_back_there)
{
	set_up();
	connect_to(111);
	a.hold.n = 900;
	ask();
	limiter_redis_down(limiter);
	answer_nothing(); /* Redis may have admitted it */
	ck_assert_int_eq(decision, API_ERR_insufficient_balance);
	ck_assert_uint_eq(leases(), 1);
	connect_to(111);
	limiter_redis_flush(limiter, now);
	ck_assert_int_eq(kind_told(), '-');
	ANSWER(0);
	ck_assert_uint_eq(leases(), 0);
}
END_TEST

START_TEST(a_wire_that_takes_nothing_delays_nobody)
{
	set_up();
	connect_to(111);
	broken_wire = true;
	ask();
	ck_assert_uint_eq(decisions, 1);
	limiter_redis_flush(limiter, now);
	ck_assert_uint_eq(leases(), 1);
}
END_TEST

/* ---- the end of a call --------------------------------------------------- */

START_TEST(a_cost_stays_until_its_row_is_booked)
{
	struct lease *e;

	set_up();
	connect_to(111);
	admit();
	e = a.lease;
	limiter->ops->settle(limiter, &a, (nanousd_t){50}, 20, now);
	ck_assert_int_eq(held(), 50);
	ck_assert_uint_eq(live(), 0);
	limiter_redis_flush(limiter, now);
	ck_assert_int_eq(kind_told(), 'c');
	/* its cost, no call any more, ten tokens of 600 a minute back */
	ck_assert_ptr_nonnull(strstr(sent[0].text, " c 50 0 0 1000000"));
	ANSWER(0);
	ck_assert_uint_eq(leases(), 1);
	limiter->ops->booked(limiter, e, now);
	limiter_redis_flush(limiter, now);
	ck_assert_int_eq(kind_told(), '-');
	ck_assert_uint_eq(leases(), 1);
	ANSWER(0);
	ck_assert_uint_eq(leases(), 0);
}
END_TEST

START_TEST(what_comes_to_nothing_gives_all_back)
{
	set_up();
	connect_to(111);
	admit();
	limiter->ops->cancel(limiter, &a, now);
	ck_assert_int_eq(held(), 0);
	ck_assert_uint_eq(live(), 0);
	limiter_redis_flush(limiter, now);
	ck_assert_ptr_nonnull(strstr(sent[0].text, " - 200 0 6000000 3000000"));
	ANSWER(0);
	ck_assert_uint_eq(leases(), 0);
}
END_TEST

START_TEST(what_redis_never_had_it_is_not_told_to_forget)
{
	struct lease *e;

	set_up();
	ask(); /* Redis is away */
	e = a.lease;
	limiter->ops->settle(limiter, &a, (nanousd_t){50}, 20, now);
	limiter->ops->booked(limiter, e, now);
	ck_assert_uint_eq(leases(), 0);
	connect_to(111);
	limiter_redis_flush(limiter, now);
	ck_assert_uint_eq(nsent, 0);
}
END_TEST

START_TEST(a_change_under_way_is_told_again)
{
	struct lease *e;

	set_up();
	connect_to(111);
	admit();
	e = a.lease;
	limiter->ops->settle(limiter, &a, (nanousd_t){50}, 20, now);
	limiter_redis_flush(limiter, now);
	limiter->ops->booked(limiter, e, now);
	limiter_redis_flush(limiter, now);
	ck_assert_uint_eq(nsent, 2);
	ANSWER(0); /* of the cost */
	ck_assert_uint_eq(leases(), 1);
	ANSWER(0); /* of the end */
	ck_assert_uint_eq(leases(), 0);
}
END_TEST

START_TEST(what_is_gone_is_forgotten_when_redis_has_forgotten_it)
{
	struct lease *e;

	set_up();
	connect_to(111);
	admit();
	e = a.lease;
	limiter_redis_down(limiter);
	limiter->ops->settle(limiter, &a, (nanousd_t){50}, 20, now);
	limiter->ops->booked(limiter, e, now);
	pass(FAIR_MS - 1);
	limiter_redis_tick(limiter, now);
	ck_assert_uint_eq(leases(), 1);
	pass(1);
	limiter_redis_tick(limiter, now);
	ck_assert_uint_eq(leases(), 0);
}
END_TEST

/* ---- renewal, hello ------------------------------------------------------ */

START_TEST(d05_redis_leases_are_renewed_while_their_worker_lives)
{
	set_up();
	connect_to(111);
	admit();
	pass(FAIR_MS / 3 - 1000);
	limiter_redis_tick(limiter, now);
	ck_assert_uint_eq(nsent, 1); /* hello alone */
	ANSWER(111, LONG_US);
	pass(1000);
	limiter_redis_tick(limiter, now);
	ck_assert_uint_eq(nsent, 2);
	ck_assert_int_eq(kind_told(), 'h');
	ANSWER(111, LONG_US);
	ANSWER(0);
	limiter_redis_tick(limiter, now);
	ck_assert_uint_eq(nsent, 1);
	answer_nothing();
}
END_TEST

START_TEST(a_redis_that_was_emptied_is_told_all_and_does_not_decide_yet)
{
	set_up();
	connect_to(111);
	admit();
	limiter_redis_tick(limiter, now);
	ANSWER(222, LONG_US);
	ck_assert(!limiter_redis_decides(limiter, now));
	limiter_redis_flush(limiter, now);
	ck_assert_int_eq(kind_told(), 'h');
	ANSWER(0);
	pass(5999);
	ck_assert(!limiter_redis_decides(limiter, now));
	pass(1);
	ck_assert(limiter_redis_decides(limiter, now));
}
END_TEST

/* Whose place it has taken may have known a Redis that has lost all since. */
START_TEST(a_new_worker_waits_for_others_at_a_redis_that_is_young)
{
	struct run_state *rs = shm_run_state(fixture);

	set_up();
	rs->started_mono_ns = now.ns - 6000 * INT64_C(1000000);
	limiter_redis_up(limiter, now);
	ANSWER(111, 2000000);
	ck_assert(limiter_redis_decides(limiter, now));
	limiter_redis_down(limiter);
	l->epoch = 0;
	rs->started_mono_ns -= 1000000;
	limiter_redis_up(limiter, now);
	ANSWER(111, 6000000);
	ck_assert(limiter_redis_decides(limiter, now));
	limiter_redis_down(limiter);
	l->epoch = 0;
	limiter_redis_up(limiter, now);
	ANSWER(111, 2000000);
	ck_assert_uint_eq(readies, 3);
	pass(3999);
	ck_assert(!limiter_redis_decides(limiter, now));
	pass(1);
	ck_assert(limiter_redis_decides(limiter, now));
}
END_TEST

START_TEST(an_admission_finds_out_that_redis_was_emptied)
{
	set_up();
	connect_to(111);
	ask();
	ANSWER(LIMIT_LOST, 0, 0, 0, 0);
	ck_assert_uint_eq(a.rpm, 5); /* this hub's share */
	ck_assert_uint_eq(nsent, 1);
	ck_assert_int_eq(sent[0].script, REDIS_TELL);
	ANSWER(222, LONG_US);
	limiter_redis_flush(limiter, now);
	ck_assert_int_eq(kind_told(), 'h');
	ANSWER(LIMIT_LOST); /* and once more */
	ck_assert_int_eq(sent[0].script, REDIS_TELL);
	ANSWER(333, LONG_US);
	limiter_redis_flush(limiter, now);
	ck_assert_int_eq(kind_told(), 'h');
	answer_nothing();
}
END_TEST

START_TEST(what_this_hub_owes_is_told_until_redis_has_it)
{
	const struct pub_account paid = {
	    .id = 5, .store_seq = 7, .store_available = 1000, .version = 70};

	set_up();
	pub_account_write(fixture, 2, &paid, 1000);
	limiter_redis_up(limiter, now);
	/* the second of another start's rows, the third of another store */
	ANSWER(111, LONG_US, 5, 2, 5, 4, 6, 3);
	limiter_redis_tick(limiter, now);
	ck_assert_str_eq(sent[0].text,
	    " 111 30000000 hub 0 5 2 7 1000 0 70 5 2 7 1000 0 70");
	ANSWER(111, LONG_US);
	limiter_redis_tick(limiter, now);
	ck_assert_str_eq(sent[0].text, " 111 30000000 hub 0");
	answer_nothing();
}
END_TEST

/* A hub of many accounts, each of which owes something. */
static void
owe_everything(uint32_t n)
{
	struct pub_account account = {.version = 1, .owed = 9};
	struct shm_sizes sizes = fixture_sizes;

	fixture_tear_down();
	sizes.max_accounts = n;
	ck_assert_ptr_nonnull(
	    mkdtemp(strcpy(fixture_dir, "/tmp/hubd-shm.XXXXXX")));
	fixture = shm_create(fixture_dir, &sizes);
	ck_assert_ptr_nonnull(fixture);
	set_up();
	for (uint32_t i = 0; i < n; i++) {
		account.id = 100 + i;
		pub_account_write(fixture, i, &account, 0);
	}
}

/* Answers one hello after the other, while there are some. */
static void
expect_all_told(uint32_t n, int64_t epoch)
{
	char want[64];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(want, sizeof(want), " %u %u 0 0 9 1", 100 + i, i);
		if (strstr(sent[0].text, want) == NULL)
			ANSWER(epoch, LONG_US);
		ck_assert_uint_eq(nsent, 1);
		ck_assert_ptr_nonnull(strstr(sent[0].text, want));
	}
	ANSWER(epoch, LONG_US);
	ck_assert_uint_eq(nsent, 0);
}

/* Redis may have lost its list, or never had it: of calls decided here. */
START_TEST(all_that_this_hub_owes_is_told_a_redis_that_cannot_know_it)
{
	owe_everything(300);
	limiter_redis_up(limiter, now);
	expect_all_told(300, 111);
	limiter_redis_down(limiter);
	limiter_redis_up(limiter, now);
	expect_all_told(300, 111);
	/* and one that says by the way that it has lost it */
	limiter_redis_tick(limiter, now);
	ANSWER(222, LONG_US);
	limiter_redis_tick(limiter, now);
	expect_all_told(300, 222);
	/* and when an admission has found that out */
	pass(6000);
	ask();
	ANSWER(LIMIT_LOST, 0, 0, 0, 0);
	expect_all_told(300, 333);
}
END_TEST

/* They are many, and each worker would tell the same. */
START_TEST(one_worker_tells_all_that_is_owed_at_once_the_others_by_turns)
{
	process_ref_t other;

	owe_everything(300);
	other = fixture_process(ROLE_WORKER);
	l->count = &counter_rows(fixture)[other.row];
	limiter_redis_up(limiter, now);
	ANSWER(111, LONG_US);
	ck_assert_uint_eq(nsent, 0);
	limiter_redis_tick(limiter, now);
	ck_assert_ptr_nonnull(strstr(sent[0].text, " 228 128 0 0 9 1"));
	/* the first is gone */
	process_died(fixture, me.row);
	ANSWER(111, LONG_US);
	ck_assert_ptr_nonnull(strstr(sent[0].text, " 356 256 0 0 9 1"));
	ANSWER(111, LONG_US);
	ck_assert_uint_eq(nsent, 0);
}
END_TEST

/* How long a hello takes that is to tell of n accounts nobody knows. */
static int64_t
time_of_hello(size_t n)
{
	monotime_t start;

	l->unfound = 0;
	for (l->nlist = 0; l->nlist < n; l->nlist++)
		l->list[l->nlist] = (struct redis_listed){7, 0};
	start = monotime_now();
	limiter_redis_tick(limiter, now);
	start.ns = monotime_now().ns - start.ns;
	ANSWER(111, LONG_US);
	return (start.ns);
}

START_TEST(rows_of_another_start_are_looked_for_once)
{
	int64_t one, many;

	owe_everything(20000);
	limiter_redis_up(limiter, now);
	while (nsent > 0)
		ANSWER(111, LONG_US);
	(void)time_of_hello(1);
	one = time_of_hello(1);
	many = time_of_hello(REDIS_LIST_MAX);
	ck_assert_int_lt(many, one * 10);
}
END_TEST

/* It would take a tenth of a second each second, where accounts are many. */
START_TEST(an_account_that_is_nowhere_is_not_looked_for_at_each_hello)
{
	const struct pub_account found = {.id = 7, .version = 1};
	unsigned i;

	set_up();
	connect_to(111);
	for (i = 0; i < 63; i++) {
		limiter_redis_tick(limiter, now);
		if (strstr(sent[0].text, " 7 4 0 0 0 1") != NULL)
			break;
		ANSWER(111, LONG_US, 7, 3);
		if (i == 1) /* by then it has been looked for */
			pub_account_write(fixture, 4, &found, 0);
	}
	ck_assert_uint_eq(i, 62);
	answer_nothing();
}
END_TEST

START_TEST(hello_is_said_once_at_a_time)
{
	set_up();
	connect_to(111);
	limiter_redis_tick(limiter, now);
	limiter_redis_tick(limiter, now);
	ck_assert_uint_eq(nsent, 1);
	answer_nothing();
}
END_TEST

START_TEST(another_store_is_another_place)
{
	set_up();
	connect_to(111);
	admit();
	strcpy(shm_pub_state(fixture)->store_id, "other");
	limiter_redis_tick(limiter, now);
	ck_assert_str_eq(failed, "the store has another id now");
	ck_assert(limiter_redis_knows_itself(limiter));
	connect_to(222);
	ck_assert(limiter_redis_decides(limiter, now));
	limiter_redis_flush(limiter, now);
	ck_assert_int_eq(kind_told(), 'h');
	answer_nothing();
}
END_TEST

START_TEST(many_leases_go_in_few_commands)
{
	set_up();
	a.hold.n = 1;
	a.rpm = a.concurrency = 0;
	a.tpm = 0;
	for (int i = 0; i < 100; i++)
		ask();
	connect_to(111);
	limiter_redis_flush(limiter, now);
	ck_assert_uint_eq(nsent, 4);
	while (nsent > 0)
		ANSWER(0);
	ck_assert(limiter_redis_idle(limiter));
}
END_TEST

/* ---- bytes --------------------------------------------------------------- */

START_TEST(commands_are_resp2)
{
	struct redis_command c;
	struct buf out = {0};
	char want[256];

	redis_command_init(&c, REDIS_KEEP);
	redis_command_key(&c, "k:%d", 1);
	redis_command_text(&c, "a b");
	redis_command_int(&c, INT64_MAX);
	redis_command_int(&c, INT64_MIN);
	redis_command_encode(&c, false, &out);
	snprintf(want, sizeof(want),
	    "*7\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n1\r\n$3\r\nk:1\r\n"
	    "$3\r\na b\r\n$16\r\n9007199254740991\r\n"
	    "$17\r\n-9007199254740991\r\n",
	    redis_script_sha(REDIS_KEEP));
	ck_assert_str_eq(buf_cstr(&out), want);
	buf_reset(&out, 0);
	redis_command_encode(&c, true, &out);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&out), "$4\r\nEVAL\r\n"));
	ck_assert_ptr_nonnull(
	    strstr(buf_cstr(&out), redis_script_text(REDIS_KEEP)));
	redis_command_fini(&c);
	buf_fini(&out);
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, all_that_limits_is_asked_in_one_command);
	tcase_add_test(tc, an_admission_is_in_cells_and_buckets_too);
	tcase_add_loop_test(tc, a_refusal_leaves_nothing, 0,
	    sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tc, a_soft_hold_is_what_redis_says);
	tcase_add_test(tc, unlimited_is_asked_as_that);
	tcase_add_loop_test(tc, nonsense_is_taken_for_redis_away, 0,
	    sizeof(nonsense) / sizeof(nonsense[0]));
	tcase_add_test(tc, an_error_is_told_and_ends_the_connection);
	tcase_add_test(tc, lists_are_checked);
	tcase_add_test(tc, without_redis_a_share_of_each_limit_is_in_force);
	tcase_add_test(tc, a_share_is_never_none);
	tcase_add_test(tc, strict_limits_refuse_instead);
	tcase_add_test(tc, no_answer_is_decided_here_and_told_later);
	tcase_add_test(tc, a_refusal_here_is_taken_back_there);
	tcase_add_test(tc, a_wire_that_takes_nothing_delays_nobody);
	tcase_add_test(tc, a_cost_stays_until_its_row_is_booked);
	tcase_add_test(tc, what_comes_to_nothing_gives_all_back);
	tcase_add_test(tc, what_redis_never_had_it_is_not_told_to_forget);
	tcase_add_test(tc, a_change_under_way_is_told_again);
	tcase_add_test(
	    tc, what_is_gone_is_forgotten_when_redis_has_forgotten_it);
	tcase_add_test(
	    tc, d05_redis_leases_are_renewed_while_their_worker_lives);
	tcase_add_test(
	    tc, a_redis_that_was_emptied_is_told_all_and_does_not_decide_yet);
	tcase_add_test(
	    tc, a_new_worker_waits_for_others_at_a_redis_that_is_young);
	tcase_add_test(tc, an_admission_finds_out_that_redis_was_emptied);
	tcase_add_test(tc, what_this_hub_owes_is_told_until_redis_has_it);
	tcase_add_test(
	    tc, all_that_this_hub_owes_is_told_a_redis_that_cannot_know_it);
	tcase_add_test(
	    tc, one_worker_tells_all_that_is_owed_at_once_the_others_by_turns);
	tcase_add_test(tc, rows_of_another_start_are_looked_for_once);
	tcase_add_test(
	    tc, an_account_that_is_nowhere_is_not_looked_for_at_each_hello);
	tcase_add_test(tc, hello_is_said_once_at_a_time);
	tcase_add_test(tc, another_store_is_another_place);
	tcase_add_test(tc, many_leases_go_in_few_commands);
	tcase_add_test(tc, commands_are_resp2);
}

int
main(void)
{
	return (fixture_main("limit_redis", add));
}

/*
 * Credentials that are fetched: how often the server is asked, who waits,
 * and what becomes of those who wait. The clock and the server are the
 * test's.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/token.h"
#include "common/alloc.h"
#include "common/log.h"
#include "tests/unit/clock_fake.h"
#include "tests/unit/upstream_fake.h"

#define CALLS 1000

static struct {
	struct loop *loop;
	struct loop_timer *stop;
	struct credential *c;
	struct credential_wait wait[CALLS];
	unsigned woken, refused; /* fn with and without a reason */
	char why[TOKEN_WHY_MAX];
	/* the source */
	unsigned freed;
	bool direct;
	int64_t date_ms;
	char flavor[32];
} t;

/* ---- a source: "NAME LIFE_MS" is a token, "next" asks for a step more ---- */

static void
source_request(void *arg, unsigned step, struct token_request *r)
{
	ck_assert_ptr_eq(arg, &t);
	r->http.method = "POST";
	r->direct = t.direct;
	buf_addf(&r->http.url, "http://host/step%u", step);
	provider_request_add(&r->http, "X-Step", "yes");
	buf_addstr(&r->body, "secret body");
}

static enum token_step
source_answer(void *arg, unsigned step, const struct token_answer *a,
    struct token *token, char why[TOKEN_WHY_MAX])
{
	char body[64], name[32];
	long long life;

	t.date_ms = a->date_ms;
	snprintf(
	    t.flavor, sizeof(t.flavor), "%.*s", (int)a->flavor.n, a->flavor.p);
	snprintf(body, sizeof(body), "%.*s", (int)a->body.n, a->body.p);
	if (strcmp(body, "next") == 0)
		return (TOKEN_NEXT);
	if (a->status == 200 && sscanf(body, "%31s %lld", name, &life) == 2) {
		buf_addstr(&token->secret, name);
		token->life_ms = life;
		return (TOKEN_GOT);
	}
	snprintf(why, TOKEN_WHY_MAX, "status %d", a->status);
	return (TOKEN_FAILED);
}

static void
source_free(void *arg)
{
	ck_assert_ptr_eq(arg, &t);
	t.freed++;
}

static const struct token_source source = {
    .request = source_request,
    .answer = source_answer,
    .free = source_free,
};

/* ---- the bench ---------------------------------------------------------- */

static void
on_stop(void *arg)
{
	loop_stop(t.loop);
}

/* Runs what is due now. */
static void
turn(void)
{
	loop_timer_set_ms(t.stop, 0);
	loop_run(t.loop);
}

static void
pass(int64_t ms)
{
	clock_ahead_ms += ms;
	turn();
}

static void
on_ready(void *arg, const char *why)
{
	if (why == NULL) {
		t.woken++;
	} else {
		t.refused++;
		snprintf(t.why, sizeof(t.why), "%s", why);
	}
}

static void
await(size_t i)
{
	t.wait[i].fn = on_ready;
	t.wait[i].arg = &t.wait[i];
	credential_await(t.c, &t.wait[i]);
}

static const char *
secret(void)
{
	static char text[64];
	struct span s = credential_secret(t.c);

	snprintf(text, sizeof(text), "%.*s", (int)s.n, s.p);
	return (text);
}

/* The first call comes, and gets this token. */
static void
have(const char *body)
{
	await(0);
	turn();
	ck_assert_uint_eq(fake_started, 1);
	fake_answer(200, NULL, body);
	ck_assert_uint_eq(t.woken, 1);
}

static void
setup(void)
{
	struct credential_options o = {.name = "x", .proxy = "http://proxy"};

	log_init("test", LOG_LEVEL_ERR);
	t.loop = o.loop = loop_new();
	t.stop = loop_timer_new(t.loop, on_stop, NULL);
	t.c = credential_new(&o, &source, &t);
}

static void
teardown(void)
{
	credential_free(t.c);
	ck_assert_uint_eq(t.freed, 1);
	loop_timer_free(t.stop);
	loop_free(t.loop);
}

/* ---- tests -------------------------------------------------------------- */

START_TEST(nothing_is_fetched_before_somebody_waits)
{
	pass(3600000);
	ck_assert_uint_eq(fake_started, 0);
	clock_ahead_ms = 0;
}
END_TEST

START_TEST(a_fetch_is_made_by_its_source)
{
	static const char *const fields[] = {"Date",
	    "Sun, 06 Nov 1994 08:49:37 GMT", "Metadata-Flavor", "Google", NULL};

	await(0);
	ck_assert_uint_eq(t.woken, 0);
	turn();
	ck_assert_str_eq(
	    fake_text, "POST http://host/step0\nX-Step: yes\n\nsecret body");
	ck_assert(fake_proxied);
	fake_answer(200, fields, "one 60000");
	ck_assert_uint_eq(t.woken, 1);
	ck_assert_str_eq(secret(), "one");
	ck_assert_int_eq(t.date_ms, 784111777000);
	ck_assert_str_eq(t.flavor, "Google");
}
END_TEST

START_TEST(a_fetch_may_take_several_requests)
{
	t.direct = true;
	await(0);
	turn();
	fake_answer(200, NULL, "next");
	turn();
	ck_assert_str_eq(
	    fake_text, "POST http://host/step1\nX-Step: yes\n\nsecret body");
	ck_assert(!fake_proxied);
	ck_assert_int_eq(t.date_ms, -1);
	fake_answer(200, NULL, "one 60000");
	ck_assert_uint_eq(t.woken, 1);
}
END_TEST

START_TEST(d04_a_thousand_calls_cost_one_fetch)
{
	size_t i;

	have("one 20000");
	pass(30000); /* the refresh is under way, unanswered */
	fake_break(UPSTREAM_RESET, "broken");
	pass(30000); /* and the token has run out */
	t.woken = t.refused = fake_started = 0;
	for (i = 0; i < CALLS; i++) {
		await(i);
		turn();
	}
	ck_assert_uint_eq(fake_started, 1);
	ck_assert_uint_eq(t.woken + t.refused, 0);
	fake_answer(200, NULL, "two 3600000");
	ck_assert_uint_eq(t.woken, CALLS);
	for (i = 0; i < CALLS; i++)
		await(i);
	turn();
	ck_assert_uint_eq(t.woken, 2 * CALLS);
	ck_assert_uint_eq(fake_started, 1);
	ck_assert_str_eq(secret(), "two");
}
END_TEST

/* life, and the time at which the next fetch begins */
static const struct {
	const char *body;
	int64_t at_ms;
} ahead[] = {
    {"one 3600000", 3300000},
    {"one 1500000", 1200000},
    {"one 100000", 80000},
    {"one 12000", 10000},
    {"one 999999999999999", 86400000 - 300000},
};

START_TEST(a_token_is_refreshed_ahead_of_its_end)
{
	have(ahead[_i].body);
	pass(ahead[_i].at_ms - 100);
	ck_assert_uint_eq(fake_started, 1);
	pass(200);
	ck_assert_uint_eq(fake_started, 2);
	/* Meanwhile calls go on with what there is. */
	await(1);
	ck_assert_uint_eq(t.woken, 2);
	ck_assert_str_eq(secret(), "one");
	fake_answer(200, NULL, "two 3600000");
	ck_assert_str_eq(secret(), "two");
	clock_ahead_ms = 0;
}
END_TEST

START_TEST(a_server_that_hands_out_the_same_again_is_not_asked_in_a_loop)
{
	char body[64];
	int64_t left = 3600000;

	have("one 3600000");
	while (left > 3000) {
		pass(1000);
		left -= 1000;
		await(1);
		snprintf(body, sizeof(body), "one %lld", (long long)left);
		if (fake_req != NULL)
			fake_answer(200, NULL, body);
	}
	/* At the start, and at 300 s, 60 s, 12 s before the end. */
	ck_assert_uint_eq(fake_started, 4);
	clock_ahead_ms = 0;
}
END_TEST

START_TEST(one_that_nobody_uses_is_left_to_run_out)
{
	have("one 100000");
	pass(81000);
	fake_answer(200, NULL, "two 100000");
	pass(200000);
	ck_assert_uint_eq(fake_started, 2);
	await(1);
	turn();
	ck_assert_uint_eq(fake_started, 3);
	ck_assert_uint_eq(t.woken, 1);
	credential_cancel(&t.wait[1]);
}
END_TEST

START_TEST(a_failing_server_does_not_stall_who_holds_a_token)
{
	unsigned i, fetches;

	have("one 3600000");
	pass(3301000);
	for (i = 1; i < 2900; i++) { /* to 290 s before the end */
		if (fake_req != NULL)
			fake_answer(500, NULL, "");
		await(1);
		ck_assert_uint_eq(t.woken, i + 1);
		pass(100);
	}
	ck_assert_uint_eq(t.refused, 0);
	fetches = fake_started - 1;
	/* Pauses of 1, 2, 4 ... 60 s and up to half of that more. */
	ck_assert_uint_ge(fetches, 6);
	ck_assert_uint_le(fetches, 11);
	/* It is back: so is the token, without a call. */
	pass(90000);
	ck_assert_ptr_nonnull(fake_req);
	fake_answer(200, NULL, "two 3600000");
	ck_assert_str_eq(secret(), "two");
	clock_ahead_ms = 0;
}
END_TEST

START_TEST(who_waits_hears_of_a_failure)
{
	await(0);
	await(1);
	turn();
	fake_answer(400, NULL, "");
	ck_assert_uint_eq(t.refused, 2);
	ck_assert_str_eq(t.why, "status 400");
	/* For a moment nobody asks again, and nobody waits. */
	await(2);
	turn();
	ck_assert_uint_eq(t.refused, 3);
	ck_assert_uint_eq(fake_started, 1);
	pass(1600);
	ck_assert_uint_eq(fake_started, 1);
	await(3);
	turn();
	ck_assert_uint_eq(fake_started, 2);
	fake_break(UPSTREAM_REFUSED, "nobody listens");
	ck_assert_str_eq(t.why, "nobody listens");
	pass(3100);
	await(4);
	turn();
	fake_answer(200, NULL, "one 60000");
	ck_assert_uint_eq(t.woken, 1);
}
END_TEST

START_TEST(a_server_that_is_silent_is_given_up)
{
	await(0);
	turn();
	pass(29900);
	ck_assert_uint_eq(t.refused, 0);
	pass(200);
	ck_assert_uint_eq(t.refused, 1);
	ck_assert_str_eq(t.why, "no answer in time");
	ck_assert_uint_eq(fake_cancelled, 1);
}
END_TEST

START_TEST(a_url_that_is_none_is_a_failure)
{
	fake_refuses = true;
	await(0);
	turn();
	ck_assert_uint_eq(t.refused, 1);
}
END_TEST

static const char *const lifeless[] = {"one 0", "one -5", "one 999"};

START_TEST(a_token_without_a_life_is_none)
{
	await(0);
	turn();
	fake_answer(200, NULL, lifeless[_i]);
	ck_assert_uint_eq(t.refused, 1);
	ck_assert_str_eq(t.why, "it has run out already");
}
END_TEST

START_TEST(a_token_is_not_used_to_its_last_moment)
{
	have("one 100000");
	pass(81000); /* refresh, unanswered */
	pass(13000);
	await(1);
	ck_assert_uint_eq(t.woken, 2);
	pass(1100);
	await(2);
	ck_assert_uint_eq(t.woken, 2);
	credential_cancel(&t.wait[2]);
}
END_TEST

START_TEST(a_refused_token_costs_one_fetch)
{
	uint64_t version;
	size_t i;

	have("one 3600000");
	version = credential_version(t.c);
	for (i = 0; i < CALLS; i++) {
		ck_assert(credential_refused(t.c, version));
		await(i);
	}
	turn();
	ck_assert_uint_eq(fake_started, 2);
	ck_assert_uint_eq(t.woken, 1);
	fake_answer(200, NULL, "two 3600000");
	ck_assert_uint_eq(t.woken, 1 + CALLS);
	/* A late one speaks of the old token. */
	ck_assert(credential_refused(t.c, version));
	await(0);
	turn();
	ck_assert_uint_eq(fake_started, 2);
	/* The new one is refused as well: then it is not the token. */
	version = credential_version(t.c);
	ck_assert(!credential_refused(t.c, version));
	ck_assert(!credential_refused(t.c, version));
	await(1);
	ck_assert_uint_eq(t.woken, 3 + CALLS);
	pass(61000);
	ck_assert(credential_refused(t.c, version));
	await(2);
	turn();
	ck_assert_uint_eq(fake_started, 3);
	credential_cancel(&t.wait[2]);
}
END_TEST

START_TEST(who_goes_is_not_called)
{
	await(0);
	await(1);
	turn();
	credential_cancel(&t.wait[0]);
	credential_cancel(&t.wait[0]);
	fake_answer(200, NULL, "one 60000");
	ck_assert_uint_eq(t.woken, 1);
}
END_TEST

static void
on_last(void *arg, const char *why)
{
	credential_cancel(&t.wait[1]);
	credential_free(t.c);
	t.c = NULL;
	t.woken++;
}

/* The configuration was replaced, and the last call of the old one ends. */
START_TEST(the_last_who_waited_may_free_it)
{
	await(1);
	await(0);
	credential_cancel(&t.wait[1]);
	t.wait[1].fn = on_last;
	credential_cancel(&t.wait[0]);
	t.wait[0].fn = on_last;
	credential_await(t.c, &t.wait[0]);
	credential_await(t.c, &t.wait[1]);
	turn();
	fake_answer(_i == 0 ? 200 : 500, NULL, "one 60000");
	ck_assert_uint_eq(t.woken, 1);
	turn();
}
END_TEST

START_TEST(an_end_while_fetching_cancels_the_request)
{
	await(0);
	turn();
	credential_cancel(&t.wait[0]);
	credential_free(t.c);
	t.c = NULL;
	ck_assert_uint_eq(fake_cancelled, 1);
	ck_assert_ptr_null(fake_req);
	pass(100000);
}
END_TEST

static void
add_tests(TCase *c)
{
	tcase_add_test(c, nothing_is_fetched_before_somebody_waits);
	tcase_add_test(c, a_fetch_is_made_by_its_source);
	tcase_add_test(c, a_fetch_may_take_several_requests);
	tcase_add_test(c, d04_a_thousand_calls_cost_one_fetch);
	tcase_add_loop_test(c, a_token_is_refreshed_ahead_of_its_end, 0,
	    sizeof(ahead) / sizeof(ahead[0]));
	tcase_add_test(
	    c, a_server_that_hands_out_the_same_again_is_not_asked_in_a_loop);
	tcase_add_test(c, one_that_nobody_uses_is_left_to_run_out);
	tcase_add_test(c, a_failing_server_does_not_stall_who_holds_a_token);
	tcase_add_test(c, who_waits_hears_of_a_failure);
	tcase_add_test(c, a_server_that_is_silent_is_given_up);
	tcase_add_test(c, a_url_that_is_none_is_a_failure);
	tcase_add_loop_test(c, a_token_without_a_life_is_none, 0,
	    sizeof(lifeless) / sizeof(lifeless[0]));
	tcase_add_test(c, a_token_is_not_used_to_its_last_moment);
	tcase_add_test(c, a_refused_token_costs_one_fetch);
	tcase_add_test(c, who_goes_is_not_called);
	tcase_add_loop_test(c, the_last_who_waited_may_free_it, 0, 2);
	tcase_add_test(c, an_end_while_fetching_cancels_the_request);
}

int
main(void)
{
	Suite *s = suite_create("token");
	TCase *c = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	add_tests(c);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}

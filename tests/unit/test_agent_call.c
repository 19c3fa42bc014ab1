/*
 * A call at the agent whose provider refuses it: what is tried once more, and
 * what the hub hears. The hub's stream and the provider are the test's.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agentd/agent.h"
#include "agentd/call.h"
#include "agentd/link.h"
#include "agentd/provider.h"
#include "agentd/upstream.h"
#include "common/linkproto.h"
#include "common/log.h"

/* ---- the wall clock stands still at noon --------------------------------- */

#define NOON	 INT64_C(1795867200)
#define ITS_NOON "Sat, 28 Nov 2026 12:00:00 GMT"
#define ITS_TWO	 "Sat, 28 Nov 2026 14:00:00 GMT"

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	if (id != CLOCK_REALTIME)
		return ((int)syscall(SYS_clock_gettime, id, ts));
	*ts = (struct timespec){.tv_sec = NOON};
	return (0);
}

/* ---- the provider ---------------------------------------------------------
 */

struct upstream_req {
	const struct upstream_handler *handler;
	void *arg;
	bool cancelled;
	char date[32]; /* that it was signed with */
};

static struct upstream_req asked[4];
static unsigned nasked;

struct upstream_req *
upstream_start(struct upstream *up, const struct upstream_options *o,
    const struct upstream_handler *handler, void *arg)
{
	struct upstream_req *r = &asked[nasked++];
	const char *const *h;

	(void)up;
	ck_assert_uint_le(nasked, 4);
	*r = (struct upstream_req){.handler = handler, .arg = arg};
	for (h = o->headers; *h != NULL; h++)
		sscanf(*h, "X-Amz-Date: %31s", r->date);
	return (r);
}

void
upstream_resume(struct upstream_req *r)
{
	(void)r;
}

void
upstream_cancel(struct upstream_req *r)
{
	r->cancelled = true;
}

/* ---- the hub --------------------------------------------------------------
 */

struct h2stream {
	char status[8], error[32];
	struct buf body;
	bool ended, reset;
};

static struct h2stream stream;

void
h2stream_respond(
    struct h2stream *s, const struct h2_field *f, size_t n, bool body_follows)
{
	size_t i;

	ck_assert_str_eq(s->status, "");
	s->ended = !body_follows;
	for (i = 0; i < n; i++)
		if (span_eq(f[i].name, SPAN(":status")))
			memcpy(s->status, f[i].value.p, f[i].value.n);
		else if (span_eq(f[i].name, SPAN(LINK_F_ERROR)))
			memcpy(s->error, f[i].value.p, f[i].value.n);
}

size_t
h2stream_write(struct h2stream *s, struct span bytes, bool end)
{
	buf_addspan(&s->body, bytes);
	s->ended = end;
	return (0);
}

void
h2stream_consumed(struct h2stream *s, size_t n, bool reader_empty)
{
	(void)s;
	(void)n;
	(void)reader_empty;
}

void
h2stream_reset(struct h2stream *s, uint32_t code)
{
	(void)code;
	s->reset = true;
}

void
h2stream_set_arg(struct h2stream *s, void *arg)
{
	(void)s;
	(void)arg;
}

void
link_call_over(struct link *l)
{
	(void)l;
}

/* ---- the bench ------------------------------------------------------------
 */

static struct agent agent;
static struct call_list calls;
static struct loop_timer *stop;

static void
on_stop(void *arg)
{
	(void)arg;
	loop_stop(agent.loop);
}

/* Runs what is due now. */
static void
turn(void)
{
	loop_timer_set_ms(stop, 0);
	loop_run(agent.loop);
}

static void
setup(void)
{
	static const char conf[] =
	    "name = \"a\"\ntoken = \"t\"\nhubs = {\"wss://hub\"}\n"
	    "provider \"aws\" {\n type = \"aws\"\n region = \"eu-west-1\"\n"
	    " access_key = \"AKID\"\n secret_key = \"secret\"\n"
	    " models = {\"*\"}\n}\n";
	const struct h2_field f[] = {
	    {SPAN(LINK_F_REQUEST_ID), SPAN("id")},
	    {SPAN(LINK_F_ENDPOINT), SPAN("bedrock.converse")},
	    {SPAN(LINK_F_PROVIDER), SPAN("aws")},
	    {SPAN(LINK_F_MODEL), SPAN("m")},
	};
	char error[200];

	log_init("test", LOG_LEVEL_ERR);
	agent.loop = loop_new();
	stop = loop_timer_new(agent.loop, on_stop, NULL);
	agent.conf =
	    agent_conf_parse("conf", span_str(conf), error, sizeof(error));
	ck_assert_msg(agent.conf != NULL, "%s", error);
	LIST_INIT(&calls);
	call_begin(&agent, NULL, &calls, &stream, f, 4);
	ck_assert_ptr_nonnull(LIST_FIRST(&calls));
	call_on_data(LIST_FIRST(&calls), SPAN("{}"));
	call_on_end(LIST_FIRST(&calls));
	ck_assert_uint_eq(nasked, 1);
	ck_assert_str_eq(asked[0].date, "20261128T120000Z");
}

static void
teardown(void)
{
	if (!LIST_EMPTY(&calls))
		call_end(LIST_FIRST(&calls), CALL_LINK_LOST);
	turn();
	ck_assert_uint_eq(agent.calls, 0);
	ck_assert_uint_eq(agent.body_held, 0);
	agent_conf_unref(agent.conf);
	loop_timer_free(stop);
	loop_free(agent.loop);
	buf_fini(&stream.body);
}

/* The last request is answered, as far as anybody listens. */
static void
answer(int status, const char *exception, const char *date, const char *body)
{
	struct upstream_req *r = &asked[nasked - 1];
	const struct upstream_field f[] = {
	    {SPAN("x-amzn-errortype"), span_str(exception)},
	    {SPAN("date"), span_str(date)},
	    {SPAN("content-type"), SPAN("application/json")},
	};

	ck_assert(!r->cancelled);
	r->handler->on_head(r->arg, status, f, 3);
	if (!r->cancelled)
		r->handler->on_body(r->arg, span_str(body));
	if (!r->cancelled)
		r->handler->on_done(r->arg, UPSTREAM_OK, "");
	turn();
}

static void
check_answer(const char *status, const char *error, const char *body)
{
	ck_assert_str_eq(stream.status, status);
	ck_assert_str_eq(stream.error, error);
	ck_assert_str_eq(buf_cstr(&stream.body), body);
	ck_assert(stream.ended);
	ck_assert(!stream.reset);
}

START_TEST(d10_a_call_is_sent_once_more_by_the_providers_clock)
{
	answer(403, "InvalidSignatureException", ITS_TWO, "expired");
	ck_assert(asked[0].cancelled);
	ck_assert_uint_eq(nasked, 2);
	ck_assert_str_eq(asked[1].date, "20261128T140000Z");
	answer(200, "", ITS_TWO, "{\"usage\":{}}");
	check_answer("200", "", "{\"usage\":{}}");
}
END_TEST

START_TEST(d10_a_call_is_not_sent_a_third_time)
{
	answer(403, "InvalidSignatureException", ITS_TWO, "");
	/* As if every server there had a clock of its own. */
	answer(403, "InvalidSignatureException", ITS_NOON, "");
	ck_assert_uint_eq(nasked, 2);
	check_answer("502", "credentials", "");
}
END_TEST

START_TEST(d10_a_wrong_key_is_tried_once)
{
	answer(403, "SignatureDoesNotMatch", ITS_NOON, "");
	ck_assert_uint_eq(nasked, 1);
	check_answer("502", "credentials", "");
}
END_TEST

START_TEST(a_model_that_is_not_ours_is_not_here)
{
	answer(403, "AccessDeniedException", ITS_NOON,
	    "{\"message\":\"You don't have access to the model.\"}");
	ck_assert_uint_eq(nasked, 1);
	check_answer("502", "unknown_provider", "");
}
END_TEST

START_TEST(the_users_errors_are_his)
{
	answer(400, "ValidationException", ITS_NOON, "{\"message\":\"no\"}");
	check_answer("400", "", "{\"message\":\"no\"}");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("agent_call");
	TCase *t = tcase_create("agent_call");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, d10_a_call_is_sent_once_more_by_the_providers_clock);
	tcase_add_test(t, d10_a_call_is_not_sent_a_third_time);
	tcase_add_test(t, d10_a_wrong_key_is_tried_once);
	tcase_add_test(t, a_model_that_is_not_ours_is_not_here);
	tcase_add_test(t, the_users_errors_are_his);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed > 0);
}

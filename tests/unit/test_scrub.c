/* Errors in the middle of answers: what is of the inside does not pass. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/crc32.h"
#include "common/eventstream.h"
#include "hubd/api/api.h"

/* As it is in JSON: with a way to write it that hides a host. */
#define LEAK                                                                  \
	"server http:\\/\\/10.20.30.40:8443/v1 at edge-7.inner.example.com, " \
	"[fd00::7:1], \\u0031\\u0030.1.2.3 with sk-provider-0123456789 and "  \
	"arn:aws:iam::123456789012:role/inner of 123456789012 "               \
	"(/etc/hubd/agentd.conf) says no"
#define CLEAN                                                         \
	"server [removed] at [removed], [[removed]], [removed] with " \
	"[removed] "                                                  \
	"and [removed] of [removed] ([removed]) says no"

static struct meter_report
run(const char *id, enum meter_frame frame, struct span in, size_t cut,
    struct buf *out)
{
	struct meter *m = meter_new(endpoint_by_id(span_str(id)), frame, false);
	struct meter_report r;
	size_t i, n;
	char *copy;

	buf_reset(out, SIZE_MAX);
	for (i = 0; i < in.n; i += n) {
		n = in.n - i < cut ? in.n - i : cut;
		/* apart, so that reading behind the end is seen */
		copy = xmemdup0(in.p + i, n);
		meter_feed(m, span_of(copy, n), out);
		free(copy);
	}
	meter_finish(m, out);
	r = *meter_get(m);
	meter_free(m);
	return (r);
}

/* However it is cut, the answer fails and the user gets want. */
static void
check(const char *id, enum meter_frame frame, struct span in, struct span want)
{
	static const size_t cuts[] = {1, 2, 3, 7, 64, 400, SIZE_MAX};
	struct buf out = {0};
	size_t i;

	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		ck_assert(run(id, frame, in, cuts[i], &out).failed);
		ck_assert_msg(span_eq(buf_span(&out), want),
		    "%s, cut at %zu: %s", id, cuts[i], buf_cstr(&out));
	}
	buf_fini(&out);
}

/* ---- events and arrays ----------------------------------------------------
 */

#define CHUNK                                                            \
	"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"see " \
	"http://10.20.30.40/\"}}]}\n\n"
#define OPENAI(text)                              \
	"data: {\"error\": {\"message\": \"" text \
	"\", \"type\": \"server_error"            \
	"\",\"param\":null, \"code\":\"x\"}}\n\n"
#define DELTA                                                                  \
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\"," \
	"\"delta\":{\"text\":\"127.0.0.1\"}}\n\n"
#define ANTHROPIC(text)                                                \
	"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":" \
	"\"overloaded_error\",\"message\":\"" text "\"}}\n\n"
#define FAILED(text)                                                           \
	"event: response.failed\ndata: "                                       \
	"{\"type\":\"response.failed\",\"response"                             \
	"\":{\"id\":\"resp_0123456789abcdef0123456789abcdef\",\"created_at\":" \
	"1760000000,\"status\":\"failed\",\"error\":{\"code\":\"server_"       \
	"error\","                                                             \
	"\"message\":\"" text "\"},\"instructions\":\"ask 10.20.30.40\"}}\n\n"
#define GEMINI(text)                                       \
	"{\"error\": {\"code\": 503, \"message\": \"" text \
	"\",\r\n \"status\": "                             \
	"\"UNAVAILABLE\", \"details\": [{\"@type\": "      \
	"\"type.googleapis.com/google."                    \
	"rpc.DebugInfo\", \"detail\": \"" text "\"}]}}"
#define CANDIDATE                                                              \
	"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"127.0.0.1\"}]}" \
	"}]}"

#define EACH(shape)    shape(LEAK), shape(CLEAN)
#define CHAT_ALL(text) CHUNK OPENAI(text) CHUNK
#define CHAT_LINES(text)                                                    \
	": from " text "\r\ndata:{\"error\":\r\ndata: {\"message\":\"" text \
	"\"}}\r\n\r\n"
#define CHAT_LINE(text)	 "data: {\"error\":\"" text "\"}\n\n"
#define CHAT_LAST(text)	 "data: {\"error\":\"" text "\"}"
#define CHAT_WORDS(text) "event: error\ndata: " text "\n\n"
#define CHAT_KEY(text)	 "data: {\"error\":{\"" text "\":1}}\r\r"
#define RESPONSE_ERROR(text)                                           \
	"data: {\"type\":\"error\",\"code\":\"x\",\"message\":\"" text \
	"\",\"sequence_number\":3}\n\n"
#define MESSAGES_ALL(text) DELTA ANTHROPIC(text)
#define GEMINI_DATA(text)                   \
	"data: " CANDIDATE "\r\n\r\ndata: " \
	"{\"error\":{\"code\":503,\"message\":\"" text "\"}}\r\n\r\n"
#define GEMINI_BARE(text)  "data: " CANDIDATE "\r\n\r\n" GEMINI(text) "\n"
#define GEMINI_ARRAY(text) "[" CANDIDATE ",\r\n" GEMINI(text) "\n]"
#define GEMINI_ONLY(text)  "[" GEMINI(text) "]\n"
#define GEMINI_ALONE(text) GEMINI(text) "\n"

static const struct {
	const char *id;
	enum meter_frame frame;
	const char *in, *want;
} streams[] = {
    {"chat.completions", FRAME_EVENTS, EACH(CHAT_ALL)},
    {"chat.completions", FRAME_EVENTS, EACH(CHAT_LINE)},
    {"chat.completions", FRAME_EVENTS, EACH(CHAT_LAST)},
    {"chat.completions", FRAME_EVENTS, EACH(CHAT_KEY)},
    {"chat.completions", FRAME_EVENTS,
	CHAT_WORDS("host 10.20.30.40 is down at /srv/x"),
	CHAT_WORDS("host [removed] is down at [removed]")},
    {"chat.completions", FRAME_EVENTS, CHAT_LINES("edge-7.inner.example.com"),
	": from [removed]\r\ndata: {\"error\": {\"message\":\"[removed]\"}}"
	"\r\n\r\n"},
    {"chat.completions", FRAME_EVENTS,
	"data: {\"error\":{\"account\":123456789012,\"n\":1760}}\n\n",
	"data: {\"error\":{\"account\":null,\"n\":1760}}\n\n"},
    {"responses", FRAME_EVENTS, EACH(FAILED)},
    {"responses", FRAME_EVENTS, EACH(RESPONSE_ERROR)},
    {"messages", FRAME_EVENTS, EACH(MESSAGES_ALL)},
    {"gemini.stream", FRAME_EVENTS, EACH(GEMINI_DATA)},
    {"gemini.stream", FRAME_EVENTS, EACH(GEMINI_BARE)},
    {"gemini.stream", FRAME_ARRAY, EACH(GEMINI_ARRAY)},
    {"gemini.stream", FRAME_ARRAY, EACH(GEMINI_ONLY)},
    {"gemini.stream", FRAME_ARRAY, EACH(GEMINI_ALONE)},
};

START_TEST(d20_errors_in_mid_stream_are_scrubbed)
{
	check(streams[_i].id, streams[_i].frame, span_str(streams[_i].in),
	    span_str(streams[_i].want));
}
END_TEST

START_TEST(d20_errors_with_nothing_to_hide_keep_their_bytes)
{
	struct span clean = span_str(streams[_i].want);

	check(streams[_i].id, streams[_i].frame, clean, clean);
}
END_TEST

/* What cannot be read, and what broke off, is told in our words. */
START_TEST(d20_an_error_that_cannot_be_read_is_replaced)
{
	static const struct {
		const char *id;
		enum meter_frame frame;
		enum dialect dialect;
		const char *before, *error, *after;
	} cases[] = {
	    {"chat.completions", FRAME_EVENTS, DIALECT_OPENAI, CHUNK,
		"data: {\"error\":{\"message\":\"at 10.20.30.40\"}\n\n", CHUNK},
	    {"chat.completions", FRAME_EVENTS, DIALECT_OPENAI, CHUNK,
		"data: {\"error\":{\"message\":\"at 10.20.", ""},
	    {"messages", FRAME_EVENTS, DIALECT_ANTHROPIC, DELTA,
		"event: error\ndata: {\"m\":\"at 10.20.30.40\"]\n\n", ""},
	};
	struct buf in = {0}, want = {0};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&in, SIZE_MAX);
		buf_reset(&want, SIZE_MAX);
		buf_addf(&in, "%s%s%s", cases[i].before, cases[i].error,
		    cases[i].after);
		buf_addstr(&want, cases[i].before);
		api_error_event(&want, cases[i].dialect, cases[i].frame,
		    JOINT_NONE, API_ERR_upstream_error, NULL);
		buf_addstr(&want, cases[i].after);
		check(cases[i].id, cases[i].frame, buf_span(&in),
		    buf_span(&want));
	}
	buf_fini(&in);
	buf_fini(&want);
}
END_TEST

static void
add_pad(struct buf *b, size_t n)
{
	memset(buf_reserve(b, n), 'p', n);
	buf_commit(b, n);
}

static size_t
count(struct buf *b, const char *word)
{
	const char *p = buf_cstr(b);
	size_t n = 0;

	for (; (p = strstr(p, word)) != NULL; p++)
		n++;
	return (n);
}

/* Known early it is replaced; known late it is cut where it is known. */
START_TEST(d20_an_error_too_large_to_hold_does_not_pass)
{
	struct buf in = {0}, out = {0};
	struct meter_report r;
	size_t cut;

	for (cut = 1; cut <= 4097; cut += 512) {
		buf_reset(&in, SIZE_MAX);
		buf_addstr(&in, "data: {\"error\":{\"message\":\"10.20.30.40 ");
		add_pad(&in, METER_HOLD);
		buf_addstr(&in, "\"}}\n\n" CHUNK);
		r = run(
		    "chat.completions", FRAME_EVENTS, buf_span(&in), cut, &out);
		ck_assert(r.failed);
		ck_assert_uint_eq(count(&out, "10.20.30.40"), 1); /* CHUNK's */
		ck_assert_uint_eq(count(&out, "upstream_error"), 1);
		ck_assert_uint_lt(buf_len(&out), 1024);

		buf_reset(&in, SIZE_MAX);
		buf_addstr(&in, "data: {\"pad\":\"");
		add_pad(&in, METER_HOLD + 4096);
		buf_addstr(&in, "\",\"error\":{\"pad\":\"");
		add_pad(&in, 4096);
		buf_addstr(&in, "\",\"message\":\"10.20.30.40\"}}\n\n" CHUNK);
		r = run(
		    "chat.completions", FRAME_EVENTS, buf_span(&in), cut, &out);
		ck_assert(r.failed);
		ck_assert_uint_eq(count(&out, "10.20.30.40"), 1);
		ck_assert_uint_eq(count(&out, "\n\ndata: {\"error\""), 1);
		ck_assert_uint_eq(count(&out, "upstream_error"), 1);
	}
	buf_fini(&in);
	buf_fini(&out);
}
END_TEST

/* ---- Amazon's messages ----------------------------------------------------
 */

static void
put32(struct buf *out, uint32_t n)
{
	char b[4] = {(char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};

	buf_add(out, b, 4);
}

static void
put_header(struct buf *out, const char *name, const char *value)
{
	char n = (char)strlen(name);
	char type[3] = {7, 0, (char)strlen(value)};

	buf_add(out, &n, 1);
	buf_addstr(out, name);
	buf_add(out, type, 3);
	buf_addstr(out, value);
}

/* Of two headers beside what it is, the second no string. */
static void
put_message(struct buf *out, const char *kind, const char *name,
    const char *value, const char *payload)
{
	struct buf h = {0}, m = {0};

	put_header(&h, ":message-type", kind);
	put_header(&h, name, value);
	buf_add(&h, "\1b\3\0\1", 5);
	put32(&m, (uint32_t)(buf_len(&h) + strlen(payload) + 16));
	put32(&m, (uint32_t)buf_len(&h));
	put32(&m, crc32_add(0, buf_ptr(&m), 8));
	buf_addspan(&m, buf_span(&h));
	buf_addstr(&m, payload);
	put32(&m, crc32_add(0, buf_ptr(&m), buf_len(&m)));
	buf_addspan(out, buf_span(&m));
	buf_fini(&h);
	buf_fini(&m);
}

static void
put_stream(struct buf *out, const char *text, const char *where)
{
	put_message(out, "event", ":event-type", "contentBlockDelta",
	    "{\"delta\":{\"text\":\"127.0.0.1\"}}");
	put_message(out, "exception", ":exception-type",
	    "modelStreamErrorException", text);
	put_message(out, "error", ":error-message", where, "");
}

START_TEST(d20_exceptions_of_amazon_are_scrubbed)
{
	static const char *const ids[] = {
	    "bedrock.converse_stream", "bedrock.invoke_stream"};
	struct buf in = {0}, want = {0};
	size_t i;

	put_stream(&in, "{\"message\":\"" LEAK "\",\"originalStatusCode\":424}",
	    "at 10.20.30.40");
	put_stream(&want,
	    "{\"message\":\"" CLEAN "\",\"originalStatusCode\":424}",
	    "at [removed]");
	for (i = 0; i < 2; i++) {
		check(ids[i], FRAME_AMAZON, buf_span(&in), buf_span(&want));
		check(ids[i], FRAME_AMAZON, buf_span(&want), buf_span(&want));
	}
	buf_fini(&in);
	buf_fini(&want);
}
END_TEST

/* In base64: {"error":{"message":"at 10.20.30.40"}}, and "Overloaded". */
START_TEST(d20_errors_inside_of_chunks_are_ours)
{
	const char *leaky =
	    "{\"bytes\":\"eyJlcnJvciI6eyJtZXNzYWdlIjoiYXQgMTAuMj"
	    "AuMzAuNDAifX0=\"}";
	const char *good = "{\"bytes\":\"eyJlcnJvciI6eyJtZXNzYWdlIjoiT3Zlcmxv"
			   "YWRlZCJ9fQ==\"}";
	struct buf in = {0}, want = {0};

	put_message(&in, "event", ":event-type", "chunk", leaky);
	put_message(&in, "event", ":event-type", "chunk", good);
	api_error_event(&want, DIALECT_BEDROCK, FRAME_AMAZON, JOINT_NEXT,
	    API_ERR_upstream_error, NULL);
	put_message(&want, "event", ":event-type", "chunk", good);
	check("bedrock.invoke_stream", FRAME_AMAZON, buf_span(&in),
	    buf_span(&want));
	buf_fini(&in);
	buf_fini(&want);
}
END_TEST

/* ---- plain answers --------------------------------------------------------
 */

START_TEST(d20_a_plain_answer_that_is_an_error_is_scrubbed)
{
	static const char *const cases[][2] = {
	    {"{\"error\":{\"message\":\"" LEAK "\"}} ",
		"{\"error\":{\"message\":\"" CLEAN "\"}} "},
	    {"{\"id\":\"gen-0123456789\",\"error\":\"Overloaded\"}",
		"{\"id\":\"gen-0123456789\",\"error\":\"Overloaded\"}"},
	};
	struct buf body = {0};
	size_t i;

	for (i = 0; i < 2; i++) {
		buf_reset(&body, SIZE_MAX);
		buf_addstr(&body, cases[i][0]);
		api_answer_scrub(&body, DIALECT_OPENAI);
		ck_assert_str_eq(buf_cstr(&body), cases[i][1]);
	}
	buf_reset(&body, SIZE_MAX);
	buf_addstr(&body, "{\"error\":{\"message\":\"10.20.30.40\"}");
	api_answer_scrub(&body, DIALECT_OPENAI);
	ck_assert_uint_eq(count(&body, "10.20"), 0);
	ck_assert_uint_eq(count(&body, "upstream_error"), 1);
	buf_fini(&body);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("scrub");
	TCase *tc = tcase_create("scrub");
	SRunner *runner = srunner_create(suite);
	int n = sizeof(streams) / sizeof(streams[0]), failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, d20_errors_in_mid_stream_are_scrubbed, 0, n);
	tcase_add_loop_test(
	    tc, d20_errors_with_nothing_to_hide_keep_their_bytes, 0, n);
	tcase_add_test(tc, d20_an_error_that_cannot_be_read_is_replaced);
	tcase_add_test(tc, d20_an_error_too_large_to_hold_does_not_pass);
	tcase_add_test(tc, d20_exceptions_of_amazon_are_scrubbed);
	tcase_add_test(tc, d20_errors_inside_of_chunks_are_ours);
	tcase_add_test(tc, d20_a_plain_answer_that_is_an_error_is_scrubbed);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

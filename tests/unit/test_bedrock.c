/* The Bedrock dialect: what a request asks, what an answer reports. */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "common/base64.h"
#include "common/crc32.h"
#include "common/eventstream.h"
#include "hubd/api/api.h"

static enum api_error
inspect(
    const char *id, const char *body, struct api_request *req, const char **why)
{
	struct api_target t = {.endpoint = endpoint_by_id(span_str(id)),
	    .dialect = DIALECT_BEDROCK,
	    .model = "us.x.claude-v1:0"};

	ck_assert_ptr_nonnull(t.endpoint);
	return (api_inspect(&t, span_str(body), req, why));
}

/* ---- inspection -----------------------------------------------------------
 */

START_TEST(a_conversation_is_understood)
{
	const char *body =
	    "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":"
	    "\"What is it?\"},{\"image\":{\"format\":\"png\",\"source\":"
	    "{\"bytes\":\"QUJD\"}}}]}],\"inferenceConfig\":{\"maxTokens\":9},"
	    "\"serviceTier\":{\"type\":\"flex\"},\"requestMetadata\":"
	    "{\"who\":\"somebody\"}}";
	struct api_request r;
	const char *why;

	ck_assert_int_eq(inspect("bedrock.converse", body, &r, &why), API_OK);
	ck_assert_str_eq(r.model, "us.x.claude-v1:0");
	ck_assert(!r.stream);
	ck_assert_uint_eq(r.max_output, 9);
	ck_assert_uint_eq(r.media, 1);
	ck_assert_uint_eq(r.text_bytes, 4 + 11);
	ck_assert_int_eq(r.tier, TIER_FLEX);
	ck_assert(!api_prepares(&r, SPAN("another"), false));
	ck_assert_int_eq(
	    inspect("bedrock.converse_stream", body, &r, &why), API_OK);
	ck_assert(r.stream);
}
END_TEST

START_TEST(each_family_names_its_bound)
{
	static const struct {
		const char *body;
		uint64_t max;
	} cases[] = {
	    {"{\"max_tokens\":5}", 5},
	    {"{\"max_tokens_to_sample\":6}", 6},
	    {"{\"max_gen_len\":7}", 7},
	    {"{\"textGenerationConfig\":{\"maxTokenCount\":8}}", 8},
	    {"{\"inferenceConfig\":{\"max_new_tokens\":9}}", 9},
	    {"{\"inferenceConfig\":{\"maxTokens\":10}}", 10},
	    {"{\"max_tokens\":5,\"max_gen_len\":7}", 7},
	    {"{\"x\":{\"max_tokens\":5}}", 0},
	};
	struct api_request r;
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(
		    inspect("bedrock.invoke", cases[i].body, &r, &why), API_OK);
		ck_assert_msg(
		    r.max_output == cases[i].max, "%s", cases[i].body);
	}
	ck_assert_int_eq(inspect("bedrock.invoke",
			     "{\"max_tokens\":1,\"max_tokens\":2}", &r, &why),
	    API_ERR_invalid_request);
	ck_assert_int_eq(
	    inspect("bedrock.invoke_stream", "{}", &r, &why), API_OK);
	ck_assert(r.stream);
}
END_TEST

/* ---- base64 ---------------------------------------------------------------
 */

START_TEST(base64_is_read_strictly)
{
	static const struct {
		const char *in, *out; /* NULL: bad */
	} cases[] = {
	    {"", ""},
	    {"QQ==", "A"},
	    {"QUI=", "AB"},
	    {"QUJD", "ABC"},
	    {"QUJDRA==", "ABCD"},
	    {"+/+/", "\xfb\xff\xbf"},
	    {"Q", NULL},
	    {"QQ", NULL},
	    {"QUI", NULL},
	    {"QQ=", NULL},
	    {"=", NULL},
	    {"QQ=A", NULL},
	    {"QQ==QQ==", NULL},
	    {"QUJD=", NULL},
	    {"QU D", NULL},
	    {"QU-D", NULL},
	};
	struct base64 b;
	char out[BASE64_ROOM(16)];
	size_t i, j, n;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		base64_init(&b);
		n = 0;
		for (j = 0; cases[i].in[j] != '\0'; j++)
			n += base64_feed(
			    &b, span_of(cases[i].in + j, 1), out + n);
		ck_assert_msg(base64_end(&b) == (cases[i].out != NULL), "%s",
		    cases[i].in);
		if (cases[i].out != NULL)
			ck_assert(
			    span_eq(span_of(out, n), span_str(cases[i].out)));
	}
}
END_TEST

/* ---- messages for the tests -----------------------------------------------
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

static void
put_raw(struct buf *out, struct span headers, struct span payload)
{
	struct buf m = {0};

	put32(&m, (uint32_t)(headers.n + payload.n + 16));
	put32(&m, (uint32_t)headers.n);
	put32(&m, crc32_add(0, buf_ptr(&m), 8));
	buf_addspan(&m, headers);
	buf_addspan(&m, payload);
	put32(&m, crc32_add(0, buf_ptr(&m), buf_len(&m)));
	buf_addspan(out, buf_span(&m));
	buf_fini(&m);
}

/* kind: "event", "exception". */
static void
put(struct buf *out, const char *kind, const char *type, const char *payload)
{
	struct buf headers = {0};

	put_header(&headers, ":message-type", kind);
	put_header(&headers,
	    strcmp(kind, "event") == 0 ? ":event-type" : ":exception-type",
	    type);
	put_raw(out, buf_span(&headers), span_str(payload));
	buf_fini(&headers);
}

static void
put_chunk(struct buf *out, const char *json)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
				     "pqrstuvwxyz0123456789+/";
	struct buf payload = {0};
	size_t n = strlen(json), i;
	uint32_t b;

	buf_addstr(&payload, "{\"p\":\"abc\",\"bytes\":\"");
	for (i = 0; i < n; i += 3) {
		b = (uint32_t)(unsigned char)json[i] << 16;
		b |= i + 1 < n ? (uint32_t)(unsigned char)json[i + 1] << 8 : 0;
		b |= i + 2 < n ? (unsigned char)json[i + 2] : 0;
		buf_addf(&payload, "%c%c%c%c", digits[b >> 18],
		    digits[b >> 12 & 63], i + 1 < n ? digits[b >> 6 & 63] : '=',
		    i + 2 < n ? digits[b & 63] : '=');
	}
	buf_addstr(&payload, "\"}");
	put(out, "event", "chunk", buf_cstr(&payload));
	buf_fini(&payload);
}

static struct meter_report
meter(const char *id, enum meter_frame frame, struct span in)
{
	struct meter *m = meter_new(endpoint_by_id(span_str(id)), frame, false);
	struct meter_report r;
	struct buf out = {0};
	size_t i;

	for (i = 0; i < in.n; i++)
		meter_feed(m, span_of(in.p + i, 1), &out);
	meter_finish(m, &out);
	ck_assert(span_eq(buf_span(&out), in));
	r = *meter_get(m);
	meter_free(m);
	buf_fini(&out);
	return (r);
}

static struct meter_report
stream(const char *id, struct buf *in)
{
	struct meter_report r = meter(id, FRAME_AMAZON, buf_span(in));

	buf_reset(in, SIZE_MAX);
	return (r);
}

static void
ck_usage(const struct meter_report *r, uint64_t in, uint64_t read,
    uint64_t write, uint64_t hour, uint64_t out)
{
	ck_assert(r->has_usage && !r->broken);
	ck_assert_uint_eq(r->usage.n[USAGE_input], in);
	ck_assert_uint_eq(r->usage.n[USAGE_cache_read], read);
	ck_assert_uint_eq(r->usage.n[USAGE_cache_write], write);
	ck_assert_uint_eq(r->usage.n[USAGE_cache_write_1h], hour);
	ck_assert_uint_eq(r->usage.n[USAGE_output], out);
}

/* ---- converse -------------------------------------------------------------
 */

#define TEXT(s) "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"" s "\"}}"
#define USAGE(i, o) \
	"{\"usage\":{\"inputTokens\":" #i ",\"outputTokens\":" #o "}}"

START_TEST(an_answer_reports_usage_beside_its_caches)
{
	struct meter_report r;

	r = meter("bedrock.converse", FRAME_WHOLE,
	    SPAN("{\"output\":{\"message\":{\"content\":[{\"text\":\"abc\"},"
		 "{\"reasoningContent\":{\"reasoningText\":{\"text\":\"de\"}}}]"
		 "}},\"usage\":{\"inputTokens\":11,\"outputTokens\":22,"
		 "\"totalTokens\":1061,\"cacheReadInputTokens\":7,"
		 "\"cacheReadInputTokenCount\":7,\"cacheWriteInputTokens\":"
		 "1021,\"cacheWriteInputTokenCount\":1021,\"cacheDetails\":["
		 "{\"ttl\":\"1h\",\"inputTokens\":21},{\"inputTokens\":1000,"
		 "\"ttl\":\"5m\"}],\"serverToolUsage\":{}},"
		 "\"serviceTier\":{\"type\":\"priority\"}}"));
	ck_usage(&r, 11, 7, 1000, 21, 22);
	ck_assert(r.finished && r.tier_reported && r.tier == TIER_PRIORITY);
	ck_assert_uint_eq(r.text_bytes, 5);
	r = meter("bedrock.converse", FRAME_WHOLE,
	    SPAN("{\"message\":\"The model returned an error.\"}"));
	ck_assert(r.failed && !r.has_usage);
}
END_TEST

START_TEST(a_stream_reports_usage_in_its_metadata)
{
	struct buf in = {0};
	struct meter_report r;

	put(&in, "event", "messageStart", "{\"role\":\"assistant\"}");
	put(&in, "event", "contentBlockDelta", TEXT("hello"));
	put(&in, "event", "messageStop", "{\"stopReason\":\"end_turn\"}");
	r = stream("bedrock.converse_stream", &in);
	ck_assert(r.finished && !r.has_usage && !r.failed && !r.broken);
	ck_assert_uint_eq(r.text_bytes, 5);
	ck_assert_uint_eq(r.events, 1);
	put(&in, "event", "messageStop", "{}");
	put(&in, "event", "metadata", USAGE(3, 4));
	r = stream("bedrock.converse_stream", &in);
	ck_usage(&r, 3, 0, 0, 0, 4);
	ck_assert(r.finished);
	/* in another event it is no usage */
	put(&in, "event", "contentBlockDelta", USAGE(3, 4));
	r = stream("bedrock.converse_stream", &in);
	ck_assert(!r.has_usage && !r.finished);
	buf_fini(&in);
}
END_TEST

START_TEST(an_exception_in_mid_stream_is_a_failure)
{
	struct buf in = {0}, headers = {0};
	struct meter_report r;

	put(&in, "event", "contentBlockDelta", TEXT("a"));
	put(&in, "exception", "throttlingException",
	    "{\"message\":\"slow\",\"usage\":{\"inputTokens\":1}}");
	r = stream("bedrock.converse_stream", &in);
	ck_assert(r.failed && !r.has_usage && !r.broken);
	put_header(&headers, ":message-type", "error");
	put_header(&headers, ":error-code", "x");
	put_raw(&in, buf_span(&headers), SPAN(""));
	r = stream("bedrock.converse_stream", &in);
	ck_assert(r.failed && !r.broken);
	buf_fini(&headers);
	buf_fini(&in);
}
END_TEST

START_TEST(a_message_with_a_wrong_sum_reports_nothing)
{
	struct buf in = {0}, cut = {0};
	struct meter_report r;

	put(&in, "event", "metadata", USAGE(3, 4));
	buf_addspan(&cut, span_of(buf_ptr(&in), buf_len(&in) - 1));
	buf_add(&cut, "?", 1);
	r = stream("bedrock.converse_stream", &cut);
	ck_assert(r.broken && !r.has_usage);
	buf_addspan(&cut, span_of(buf_ptr(&in), buf_len(&in) - 1));
	r = stream("bedrock.converse_stream", &cut);
	ck_assert(r.broken && !r.has_usage);
	buf_fini(&cut);
	buf_fini(&in);
}
END_TEST

/* ---- invoke ---------------------------------------------------------------
 */

#define METRICS(inside) "\"amazon-bedrock-invocationMetrics\":{" inside "}"

START_TEST(bedrocks_own_counts_come_first)
{
	struct buf in = {0};
	struct meter_report r;

	put_chunk(&in, "{\"type\":\"message_start\",\"message\":{\"usage\":{"
		       "\"input_tokens\":9,\"cache_creation_input_tokens\":50,"
		       "\"cache_creation\":{\"ephemeral_1h_input_tokens\":20}"
		       ",\"output_tokens\":1}}}");
	put_chunk(&in, "{\"type\":\"content_block_delta\",\"delta\":{\"text\":"
		       "\"hello\"}}");
	put_chunk(&in, "{\"type\":\"message_delta\",\"usage\":{"
		       "\"output_tokens\":8}}");
	put_chunk(&in, "{\"type\":\"message_stop\"," METRICS(
			   "\"inputTokenCount\":10,\"outputTokenCount\":12,"
			   "\"cacheReadInputTokenCount\":3,"
			   "\"cacheWriteInputTokenCount\":50") "}");
	r = stream("bedrock.invoke_stream", &in);
	ck_usage(&r, 10, 3, 30, 20, 12);
	ck_assert(r.finished && !r.failed);
	ck_assert_uint_eq(r.text_bytes, 5);
	/* without them the model's own */
	put_chunk(&in, "{\"type\":\"message_start\",\"message\":{\"usage\":{"
		       "\"input_tokens\":9,\"output_tokens\":1}}}");
	put_chunk(&in, "{\"type\":\"message_delta\",\"usage\":{"
		       "\"output_tokens\":8}}");
	r = stream("bedrock.invoke_stream", &in);
	ck_usage(&r, 9, 0, 0, 0, 8);
	ck_assert(!r.finished);
	put_chunk(&in, "{\"outputText\":\"no\",\"inputTextTokenCount\":6.0,"
		       "\"totalOutputTextTokenCount\":3.0}");
	r = stream("bedrock.invoke_stream", &in);
	ck_usage(&r, 6, 0, 0, 0, 3);
	put_chunk(&in, "{\"generation\":\"a\",\"prompt_token_count\":6,"
		       "\"generation_token_count\":1}");
	put_chunk(&in, "{\"generation\":\"b\",\"prompt_token_count\":null,"
		       "\"generation_token_count\":2}");
	r = stream("bedrock.invoke_stream", &in);
	ck_usage(&r, 6, 0, 0, 0, 2);
	ck_assert_uint_eq(r.text_bytes, 2);
	buf_fini(&in);
}
END_TEST

START_TEST(a_chunk_that_is_no_base64_is_broken)
{
	struct buf in = {0};
	struct meter_report r;

	put(&in, "event", "chunk", "{\"bytes\":\"e30\"}");
	r = stream("bedrock.invoke_stream", &in);
	ck_assert(r.broken && !r.has_usage);
	put(&in, "event", "chunk", "{\"bytes\":\"e30=\"");
	r = stream("bedrock.invoke_stream", &in);
	ck_assert(r.broken);
	put(&in, "event", "chunk",
	    "{\"bytes\":\"e30=\",\"x\":{\"bytes\":\"?\"}}");
	r = stream("bedrock.invoke_stream", &in);
	ck_assert(!r.broken && !r.has_usage);
	buf_fini(&in);
}
END_TEST

static struct meter_report
invoked(const char *in, const char *out, const char *read, const char *body)
{
	struct meter *m = meter_new(
	    endpoint_by_id(SPAN("bedrock.invoke")), FRAME_WHOLE, false);
	struct meter_report r;
	struct buf to = {0};

	if (in != NULL)
		meter_field(
		    m, SPAN("x-amzn-bedrock-input-token-count"), span_str(in));
	if (out != NULL)
		meter_field(m, SPAN("x-amzn-bedrock-output-token-count"),
		    span_str(out));
	if (read != NULL)
		meter_field(m,
		    SPAN("x-amzn-bedrock-cache-read-input-token-count"),
		    span_str(read));
	meter_feed(m, span_str(body), &to);
	meter_finish(m, &to);
	r = *meter_get(m);
	meter_free(m);
	buf_fini(&to);
	return (r);
}

START_TEST(fields_of_the_head_count)
{
	struct meter_report r;

	r = invoked("6", "43", NULL, "{\"generations\":[{\"text\":\"abc\"}]}");
	ck_usage(&r, 6, 0, 0, 0, 43);
	ck_assert_uint_eq(r.text_bytes, 3);
	r = invoked("3", "1944", "9511",
	    "{\"content\":[{\"text\":\"ab\"}],\"usage\":{\"input_tokens\":4,"
	    "\"cache_read_input_tokens\":1,\"cache_creation_input_tokens\":0,"
	    "\"output_tokens\":5}}");
	ck_usage(&r, 3, 9511, 0, 0, 1944);
	r = invoked("5", NULL, NULL, "{\"embedding\":[0.1]}");
	ck_usage(&r, 5, 0, 0, 0, 0);
	/* what is no JSON at all, an image, has them too */
	r = invoked("5", "6", NULL, "\x89PNG");
	ck_usage(&r, 5, 0, 0, 0, 6);
	ck_assert(r.finished);
	/* without them the model's own */
	r = invoked(NULL, NULL, NULL,
	    "{\"inputTextTokenCount\":6,\"results\":[{\"tokenCount\":26,"
	    "\"outputText\":\"x\"}]}");
	ck_usage(&r, 6, 0, 0, 0, 26);
	r = invoked("x", "-1", NULL, "{}");
	ck_assert(!r.has_usage);
}
END_TEST

/* ---- our errors -----------------------------------------------------------
 */

static void
on_head(void *arg, const struct eventstream_header *h, size_t n)
{
	struct buf *seen = arg;

	buf_addspan(seen, eventstream_text(h, n, SPAN(":message-type")));
	buf_addstr(seen, " ");
	buf_addspan(seen, eventstream_text(h, n, SPAN(":exception-type")));
	buf_addstr(seen, " ");
}

static void
on_payload(void *arg, struct span piece)
{
	buf_addspan(arg, piece);
}

static void
on_end(void *arg, size_t end)
{
	(void)end;
	buf_addstr(arg, " whole");
}

START_TEST(an_error_in_mid_stream_is_a_message)
{
	static const struct eventstream_handler h = {
	    on_head, on_payload, on_end};
	struct buf event = {0}, seen = {0};
	struct eventstream e;

	api_error_event(&event, DIALECT_BEDROCK, FRAME_AMAZON, JOINT_NEXT,
	    API_ERR_agent_lost, "r-1");
	eventstream_init(&e, &h, &seen);
	ck_assert(eventstream_feed(&e, buf_span(&event)));
	ck_assert_str_eq(buf_cstr(&seen),
	    "exception internalServerException {\"message\":\"The connection "
	    "to the provider was lost.\",\"reason\":\"agent_lost\","
	    "\"request_id\":\"r-1\"} whole");
	eventstream_fini(&e);
	buf_reset(&event, 512);
	api_error_event(&event, DIALECT_BEDROCK, FRAME_AMAZON, JOINT_NONE,
	    API_ERR_agent_lost, "r-1");
	ck_assert_uint_eq(buf_len(&event), 0);
	buf_fini(&event);
	buf_fini(&seen);
}
END_TEST

START_TEST(an_error_follows_whole_messages_alone)
{
	struct meter *m = meter_new(
	    endpoint_by_id(SPAN("bedrock.invoke_stream")), FRAME_AMAZON, false);
	struct buf in = {0}, out = {0};

	put_chunk(&in, "{}");
	meter_feed(m, span_of(buf_ptr(&in), buf_len(&in) - 1), &out);
	ck_assert_int_eq(meter_joint(m), JOINT_NONE);
	meter_feed(m, span_of(buf_ptr(&in) + buf_len(&in) - 1, 1), &out);
	ck_assert_int_eq(meter_joint(m), JOINT_NEXT);
	meter_feed(m, SPAN("????????????"), &out);
	ck_assert_int_eq(meter_joint(m), JOINT_NONE);
	meter_free(m);
	buf_fini(&in);
	buf_fini(&out);
}
END_TEST

START_TEST(d07_a_20_mb_message_needs_no_memory)
{
	static char block[65536];
	struct meter *m = meter_new(
	    endpoint_by_id(SPAN("bedrock.invoke_stream")), FRAME_AMAZON, false);
	struct buf in = {0}, payload = {0}, out = {0};
	size_t before, most = 0, now, at, n;

	memset(block, 'A', sizeof(block));
	buf_addstr(&payload, "{\"p\":\"");
	for (n = 0; n < 320; n++)
		buf_add(&payload, block, sizeof(block));
	buf_addstr(&payload, "\",\"bytes\":\"e30=\"}");
	put(&in, "event", "chunk", buf_cstr(&payload));
	put_chunk(&in, "{" METRICS("\"inputTokenCount\":1") "}");
	buf_fini(&payload);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (at = 0; at < buf_len(&in); at += n) {
		n = buf_len(&in) - at < 65536 ? buf_len(&in) - at : 65536;
		buf_reset(&out, SIZE_MAX);
		meter_feed(m, span_of(buf_ptr(&in) + at, n), &out);
		now = mallinfo2().uordblks + mallinfo2().hblkhd - before;
		most = now > most ? now : most;
	}
	meter_finish(m, &out);
	ck_assert_uint_lt(most, 512 * 1024);
	ck_assert(meter_get(m)->has_usage && !meter_get(m)->broken);
	ck_assert_uint_eq(meter_get(m)->usage.n[USAGE_input], 1);
	meter_free(m);
	buf_fini(&in);
	buf_fini(&out);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("bedrock");
	TCase *tc = tcase_create("bedrock");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, a_conversation_is_understood);
	tcase_add_test(tc, each_family_names_its_bound);
	tcase_add_test(tc, base64_is_read_strictly);
	tcase_add_test(tc, an_answer_reports_usage_beside_its_caches);
	tcase_add_test(tc, a_stream_reports_usage_in_its_metadata);
	tcase_add_test(tc, an_exception_in_mid_stream_is_a_failure);
	tcase_add_test(tc, a_message_with_a_wrong_sum_reports_nothing);
	tcase_add_test(tc, bedrocks_own_counts_come_first);
	tcase_add_test(tc, a_chunk_that_is_no_base64_is_broken);
	tcase_add_test(tc, fields_of_the_head_count);
	tcase_add_test(tc, an_error_in_mid_stream_is_a_message);
	tcase_add_test(tc, an_error_follows_whole_messages_alone);
	tcase_add_test(tc, d07_a_20_mb_message_needs_no_memory);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed != 0);
}

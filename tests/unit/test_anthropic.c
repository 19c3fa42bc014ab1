/* The Anthropic dialect: what a request asks, what an answer reports. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "hubd/api/api.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static enum api_error
inspect(
    const char *id, const char *body, struct api_request *req, const char **why)
{
	struct api_target t = {.endpoint = endpoint_by_id(span_str(id)),
	    .dialect = DIALECT_ANTHROPIC};

	ck_assert_ptr_nonnull(t.endpoint);
	return (api_inspect(&t, span_str(body), req, why));
}

/* ---- inspection -----------------------------------------------------------
 */

START_TEST(a_request_is_understood)
{
	const char *body =
	    "{\"model\":\"claude-x\",\"max_tokens\":77,\"stream\":true,"
	    "\"service_tier\":\"auto\",\"metadata\":{\"user_id\":\"u-123\"},"
	    "\"system\":\"Be brief.\",\"messages\":[{\"role\":\"user\","
	    "\"content\":[{\"type\":\"text\",\"text\":\"What is it?\"},"
	    "{\"type\":\"image\",\"source\":{\"type\":\"base64\","
	    "\"media_type\":\"image/png\",\"data\":\"QUJD\"}},"
	    "{\"type\":\"document\",\"source\":{\"type\":\"text\","
	    "\"data\":\"A long text.\"}}]}]}";
	struct api_request r;
	const char *why;

	ck_assert_int_eq(inspect("messages", body, &r, &why), API_OK);
	ck_assert_str_eq(r.model, "claude-x");
	ck_assert(r.stream && !r.no_output && !r.model_differs);
	ck_assert_uint_eq(r.max_output, 77);
	ck_assert_uint_eq(r.n, 1);
	ck_assert_int_eq(r.tier, TIER_DEFAULT);
	ck_assert_uint_eq(r.media, 2);
	/* roles and types are text as well */
	ck_assert_uint_eq(r.text_bytes, 9 + 4 + 4 + 11 + 5 + 8 + 12);
	ck_assert_int_eq(
	    inspect("messages.count_tokens", body, &r, &why), API_OK);
	ck_assert(r.no_output);
	ck_assert_int_eq(inspect("messages",
			     "{\"model\":\"a\",\"speed\":\"fast\",\"service_"
			     "tier\":\"auto\"}",
			     &r, &why),
	    API_OK);
	ck_assert_int_eq(r.tier, TIER_FAST);
}
END_TEST

START_TEST(what_is_long_and_has_no_blank_is_media)
{
	struct buf body = {0};
	struct api_request r;
	const char *why;

	buf_addf(&body, "{\"model\":\"m\",\"messages\":[\"%0*d\",\"a %0*d\"]}",
	    2000, 7, 2000, 7);
	ck_assert_int_eq(
	    inspect("messages", buf_cstr(&body), &r, &why), API_OK);
	ck_assert_uint_eq(r.media, 1);
	ck_assert_uint_eq(r.text_bytes, 2002);
	buf_fini(&body);
}
END_TEST

static const struct {
	const char *body, *why;
} refused[] = {
    {"", "valid JSON"},
    {"{\"model\":\"m\"} x", "valid JSON"},
    {"[]", "JSON object"},
    {"{}", "missing"},
    {"{\"x\":{\"model\":\"m\"}}", "missing"},
    {"{\"model\":\"\"}", "empty"},
    {"{\"model\":7}", "\"model\" has a wrong"},
    {"{\"model\":\"a\\nb\"}", "\"model\" has a wrong"},
    {"{\"model\":\"a\",\"model\":\"b\"}", "\"model\" is there twice"},
    {"{\"model\":\"a\",\"\\u006dodel\":\"b\"}", "\"model\" is spelt"},
    {"{\"model\":\"a\",\"Model\":\"b\"}", "\"model\" is spelt"},
    {"{\"model\":\"a\",\"stream\":1}", "\"stream\" has a wrong"},
    {"{\"model\":\"a\",\"stream\":true,\"stream\":false}", "twice"},
    {"{\"model\":\"a\",\"max_tokens\":-1}", "\"max_tokens\" has a wrong"},
    {"{\"model\":\"a\",\"max_tokens\":1.5}", "\"max_tokens\" has a wrong"},
    {"{\"model\":\"a\",\"max_tokens\":\"5\"}", "\"max_tokens\" has a wrong"},
    {"{\"model\":\"a\",\"service_tier\":7}", "\"service_tier\" has a wrong"},
};

START_TEST(what_is_ambiguous_is_refused)
{
	struct api_request r;
	const char *why;
	size_t i;

	for (i = 0; i < ROWS(refused); i++) {
		ck_assert_msg(inspect("messages", refused[i].body, &r, &why) ==
				  API_ERR_invalid_request,
		    "%s", refused[i].body);
		ck_assert_msg(strstr(why, refused[i].why) != NULL, "%s: %s",
		    refused[i].body, why);
	}
}
END_TEST

START_TEST(only_the_models_name_is_spliced)
{
	const char *body = "{ \"stream\" :true,\"model\": \"a\" , \"x\":1 }";
	struct api_request r;
	struct buf b = {0};
	const char *why;

	ck_assert_int_eq(inspect("messages", body, &r, &why), API_OK);
	ck_assert(!api_prepares(&r, SPAN("a"), false));
	buf_addstr(&b, body);
	api_prepare(&r, &b, SPAN("claude-\"b\""), false);
	ck_assert_str_eq(buf_cstr(&b),
	    "{ \"stream\" :true,\"model\": \"claude-\\\"b\\\"\" , \"x\":1 }");
	buf_fini(&b);
}
END_TEST

/* ---- metering -------------------------------------------------------------
 */

static struct meter_report
meter(bool stream, const char *text)
{
	struct meter *m =
	    meter_new(endpoint_by_id(SPAN("messages")), stream, false);
	struct meter_report r;
	struct buf out = {0};
	size_t i;

	for (i = 0; text[i] != '\0'; i++)
		meter_feed(m, span_of(text + i, 1), &out);
	meter_finish(m, &out);
	ck_assert_str_eq(buf_cstr(&out), text);
	r = *meter_get(m);
	meter_free(m);
	buf_fini(&out);
	return (r);
}

#define START(usage)                                                        \
	"event: message_start\ndata: {\"type\":\"message_start\","          \
	"\"message\":{\"type\":\"message\",\"content\":[],\"usage\":" usage \
	"}}\n\n"
#define TEXT(s)                                                    \
	"event: content_block_delta\ndata: {\"type\":"             \
	"\"content_block_delta\",\"index\":0,\"delta\":{\"type\":" \
	"\"text_delta\",\"text\":\"" s "\"}}\n\n"
#define DELTA(usage)                                               \
	"event: message_delta\ndata: {\"type\":\"message_delta\"," \
	"\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":" usage "}\n\n"
#define STOP "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
#define PING "event: ping\ndata: {\"type\": \"ping\"}\n\n"

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

START_TEST(a_delta_overwrites_what_it_names)
{
	struct meter_report r;

	r = meter(true,
	    START("{\"input_tokens\":1051,\"cache_read_input_tokens\":7,"
		  "\"output_tokens\":2}") PING TEXT("hello")
		DELTA("{\"output_tokens\":40}") STOP);
	ck_usage(&r, 1051, 7, 0, 0, 40);
	ck_assert(r.finished && !r.failed && !r.partial);
	ck_assert_uint_eq(r.text_bytes, 5);
	ck_assert_uint_eq(r.events, 1);
	r = meter(true,
	    START("{\"input_tokens\":1051,\"output_tokens\":2}") DELTA(
		"{\"input_tokens\":4727,\"cache_read_input_tokens\":6289,"
		"\"cache_creation_input_tokens\":null,"
		"\"output_tokens\":9}") DELTA("{\"output_tokens\":11}") STOP);
	ck_usage(&r, 4727, 6289, 0, 0, 11);
}
END_TEST

START_TEST(what_was_written_to_caches_is_split)
{
	struct meter_report r;

	r = meter(false,
	    "{\"usage\":{\"input_tokens\":3,\"cache_creation_input_tokens\":"
	    "100,\"cache_creation\":{\"ephemeral_5m_input_tokens\":60,"
	    "\"ephemeral_1h_input_tokens\":40},\"output_tokens\":5}}");
	ck_usage(&r, 3, 0, 60, 40, 5);
	/* The sum grew; what is not split is of 5 minutes. */
	r = meter(true,
	    START("{\"input_tokens\":3,\"cache_creation_input_tokens\":30,"
		  "\"cache_creation\":{\"ephemeral_5m_input_tokens\":10,"
		  "\"ephemeral_1h_input_tokens\":20},\"output_tokens\":1}")
		DELTA("{\"cache_creation_input_tokens\":33,"
		      "\"output_tokens\":5}") STOP);
	ck_usage(&r, 3, 0, 13, 20, 5);
	/* The split is more than the sum: the sum counts. */
	r = meter(false,
	    "{\"usage\":{\"input_tokens\":3,\"cache_creation_input_tokens\":"
	    "10,\"cache_creation\":{\"ephemeral_1h_input_tokens\":40},"
	    "\"output_tokens\":5}}");
	ck_usage(&r, 3, 0, 0, 10, 5);
	r = meter(false,
	    "{\"usage\":{\"input_tokens\":3,\"cache_creation\":"
	    "{\"ephemeral_5m_input_tokens\":2,\"ephemeral_1h_input_tokens\":4"
	    "},\"output_tokens\":5}}");
	ck_usage(&r, 3, 0, 2, 4, 5);
}
END_TEST

START_TEST(steps_are_the_bill_where_there_are_any)
{
	struct meter_report r;

	r = meter(true,
	    START("{\"input_tokens\":9,\"output_tokens\":1}")
		DELTA("{\"input_tokens\":612,\"output_tokens\":2819,"
		      "\"iterations\":[{\"type\":\"compaction\","
		      "\"input_tokens\":60385,\"output_tokens\":522,"
		      "\"cache_read_input_tokens\":5,"
		      "\"cache_creation_input_tokens\":6,\"cache_creation\":"
		      "{\"ephemeral_1h_input_tokens\":6}},{\"type\":"
		      "\"message\",\"input_tokens\":612,"
		      "\"output_tokens\":2819}]}") STOP);
	ck_usage(&r, 60997, 5, 0, 6, 3341);
	r = meter(false, "{\"usage\":{\"input_tokens\":3,\"output_tokens\":5,"
			 "\"iterations\":[]}}");
	ck_usage(&r, 3, 0, 0, 0, 5);
	r = meter(false, "{\"usage\":{\"iterations\":null,\"input_tokens\":3,"
			 "\"output_tokens\":5}}");
	ck_usage(&r, 3, 0, 0, 0, 5);
}
END_TEST

START_TEST(tools_thoughts_and_tiers_are_told_apart)
{
	struct meter_report r;

	r = meter(false,
	    "{\"type\":\"message\",\"content\":[{\"type\":\"thinking\","
	    "\"thinking\":\"hm\"},{\"type\":\"text\",\"text\":\"yes\"}],"
	    "\"usage\":{\"input_tokens\":3,\"output_tokens\":50,"
	    "\"output_tokens_details\":{\"thinking_tokens\":20},"
	    "\"server_tool_use\":{\"web_search_requests\":2,"
	    "\"web_fetch_requests\":1},\"service_tier\":\"priority\"}}");
	ck_usage(&r, 3, 0, 0, 0, 30);
	ck_assert_uint_eq(r.usage.n[USAGE_reasoning], 20);
	ck_assert_uint_eq(r.usage.n[USAGE_searches], 2);
	ck_assert_uint_eq(r.usage.n[USAGE_tool_calls], 1);
	ck_assert(r.tier_reported && r.tier == TIER_PRIORITY);
	ck_assert_uint_eq(r.text_bytes, 5);
	ck_assert(r.finished);
	r = meter(false, "{\"usage\":{\"input_tokens\":1,\"output_tokens\":2,"
			 "\"speed\":\"fast\",\"service_tier\":\"standard\"}}");
	ck_assert(r.tier_reported && r.tier == TIER_FAST);
	r = meter(false,
	    "{\"usage\":{\"input_tokens\":1,\"output_tokens\":2,"
	    "\"speed\":\"standard\",\"service_tier\":\"priority\"}}");
	ck_assert(r.tier_reported && r.tier == TIER_PRIORITY);
	r = meter(false, "{\"usage\":{\"input_tokens\":1,\"output_tokens\":2,"
			 "\"server_tool_use\":null,\"service_tier\":null}}");
	ck_usage(&r, 1, 0, 0, 0, 2);
	ck_assert(!r.tier_reported);
}
END_TEST

START_TEST(usage_counts_only_in_its_place)
{
	struct meter_report r;

	r = meter(true,
	    TEXT(
		"\\\"usage\\\":{\\\"input_tokens\\\":9}") "data: "
							  "{\"type\":\"content_"
							  "block_start\","
							  "\"content_block\":"
							  "{\"usage\":{\"input_"
							  "tokens\":9}}}"
							  "\n\n" STOP);
	ck_assert(!r.has_usage && r.finished);
	r = meter(false,
	    "{\"content\":[{\"usage\":{\"input_tokens\":9}}],\"x\":{\"usage\":"
	    "{\"input_tokens\":9}}}");
	ck_assert(!r.has_usage);
	r = meter(false, "{\"usage\":{\"input_tokens\":-1}}");
	ck_assert(!r.has_usage && r.broken);
	r = meter(false,
	    "{\"usage\":{\"input_tokens\":1,\"iterations\":[{"
	    "\"input_tokens\":1099511627776},{\"input_tokens\":1}]}}");
	ck_assert(!r.has_usage && r.broken);
}
END_TEST

START_TEST(an_error_in_mid_stream_bills_what_was_reported)
{
	struct meter_report r;

	r = meter(true, START("{\"input_tokens\":50,\"output_tokens\":1}") TEXT(
			    "hello") "event: error\ndata: "
				     "{\"type\":\"error\",\"error\":{\"type\":"
				     "\"overloaded_error\",\"message\":"
				     "\"Overloaded\"}}\n\n");
	ck_assert(r.failed && !r.finished);
	ck_usage(&r, 50, 0, 0, 0, 1);
}
END_TEST

START_TEST(a_stream_that_breaks_off_has_a_partial_report)
{
	struct meter_report r;
	struct learnt l = {0};
	struct usage u;

	r = meter(true, START("{\"input_tokens\":50,\"output_tokens\":1}")
			    TEXT("hello, this is a text of forty bytes...."));
	ck_assert(r.partial && !r.failed && !r.finished);
	ck_assert_str_eq(estimate_rest(&l, &r, &u), "bytes");
	ck_assert_uint_eq(u.n[USAGE_input], 50);
	ck_assert_uint_eq(u.n[USAGE_output], 10);
	r.usage.n[USAGE_output] = 30;
	ck_assert_str_eq(estimate_rest(&l, &r, &u), "");
	ck_assert_uint_eq(u.n[USAGE_output], 30);
}
END_TEST

START_TEST(counting_tokens_is_free)
{
	const struct endpoint *ep =
	    endpoint_by_id(SPAN("messages.count_tokens"));
	struct api_request req = {.text_bytes = 100};
	struct meter_report rep = {0};
	struct learnt l = {0};
	struct usage u;

	ck_assert_str_eq(estimate_usage(&l, ep, &req, &rep, &u), "");
	ck_assert(usage_is_zero(&u));
	estimate_bound(&l, ep, &req, &u);
	ck_assert(usage_is_zero(&u));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("anthropic");
	TCase *tc = tcase_create("anthropic");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, a_request_is_understood);
	tcase_add_test(tc, what_is_long_and_has_no_blank_is_media);
	tcase_add_test(tc, what_is_ambiguous_is_refused);
	tcase_add_test(tc, only_the_models_name_is_spliced);
	tcase_add_test(tc, a_delta_overwrites_what_it_names);
	tcase_add_test(tc, what_was_written_to_caches_is_split);
	tcase_add_test(tc, steps_are_the_bill_where_there_are_any);
	tcase_add_test(tc, tools_thoughts_and_tiers_are_told_apart);
	tcase_add_test(tc, usage_counts_only_in_its_place);
	tcase_add_test(tc, an_error_in_mid_stream_bills_what_was_reported);
	tcase_add_test(tc, a_stream_that_breaks_off_has_a_partial_report);
	tcase_add_test(tc, counting_tokens_is_free);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed != 0);
}

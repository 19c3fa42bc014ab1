/* The Gemini dialect: what a request asks, what an answer reports. */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "hubd/api/api.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static enum api_error
inspect(
    const char *id, const char *body, struct api_request *req, const char **why)
{
	struct api_target t = {.endpoint = endpoint_by_id(span_str(id)),
	    .dialect = DIALECT_GEMINI,
	    .model = "gemini-x"};

	ck_assert_ptr_nonnull(t.endpoint);
	return (api_inspect(&t, span_str(body), req, why));
}

/* ---- inspection -----------------------------------------------------------
 */

START_TEST(a_request_is_understood)
{
	const char *body =
	    "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"What?\"},"
	    "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"QUJD\"}},"
	    "{\"file_data\":{\"file_uri\":\"gs://x\"}}]}],"
	    "\"safetySettings\":[{\"category\":\"A LONG NAME\"}],"
	    "\"generationConfig\":{\"maxOutputTokens\":50,"
	    "\"candidateCount\":2,\"temperature\":0.5}}";
	struct api_request r;
	const char *why;

	ck_assert_int_eq(inspect("gemini.generate", body, &r, &why), API_OK);
	ck_assert_str_eq(r.model, "gemini-x");
	ck_assert(!r.stream && !r.no_output);
	ck_assert_uint_eq(r.max_output, 50);
	ck_assert_uint_eq(r.n, 2);
	ck_assert_uint_eq(r.media, 2);
	ck_assert_uint_eq(r.text_bytes, 4 + 5);
	ck_assert_int_eq(inspect("gemini.stream", body, &r, &why), API_OK);
	ck_assert(r.stream);
	ck_assert_int_eq(
	    inspect("gemini.count_tokens", body, &r, &why), API_OK);
	ck_assert(r.no_output);
	ck_assert_int_eq(
	    inspect("gemini.generate",
		"{\"generation_config\":{\"max_output_tokens\":7},"
		"\"serviceTier\":\"flex\",\"model\":\"models/other\"}",
		&r, &why),
	    API_OK);
	ck_assert_uint_eq(r.max_output, 7);
	ck_assert_int_eq(r.tier, TIER_FLEX);
	ck_assert_str_eq(r.model, "gemini-x");
}
END_TEST

static const struct {
	const char *body, *why;
} refused[] = {
    {"[]", "JSON object"},
    {"{", "valid JSON"},
    {"{\"generationConfig\":1}", "\"generationConfig\" has a wrong"},
    {"{\"generationConfig\":{},\"generationConfig\":{}}", "twice"},
    {"{\"GenerationConfig\":{}}", "spelt"},
    {"{\"generationConfig\":{\"maxOutputTokens\":\"x\"}}", "wrong"},
    {"{\"generationConfig\":{\"maxOutputTokens\":1,\"maxOutputTokens\":2}}",
	"twice"},
};

START_TEST(what_is_ambiguous_is_refused)
{
	struct api_request r;
	const char *why;
	size_t i;

	for (i = 0; i < ROWS(refused); i++) {
		ck_assert_msg(inspect("gemini.generate", refused[i].body, &r,
				  &why) == API_ERR_invalid_request,
		    "%s", refused[i].body);
		ck_assert_msg(strstr(why, refused[i].why) != NULL, "%s: %s",
		    refused[i].body, why);
	}
}
END_TEST

START_TEST(a_rename_renames_the_body_too)
{
	const char *body =
	    "{\"requests\":[{\"model\":\"models/gemini-x\",\"content\":"
	    "{\"model\":\"m\"}},{ \"model\" : \"gemini-x\" }],"
	    "\"other\":{\"model\":\"m\"},\"model\":\"models/gemini-x\"}";
	struct api_request r;
	struct buf b = {0};
	const char *why;

	ck_assert_int_eq(inspect("gemini.batch_embed", body, &r, &why), API_OK);
	ck_assert(!api_prepares(&r, SPAN("gemini-x"), false));
	buf_addstr(&b, body);
	api_prepare(&r, &b, SPAN("y"), false);
	ck_assert_str_eq(buf_cstr(&b),
	    "{\"requests\":[{\"model\":\"models/y\",\"content\":"
	    "{\"model\":\"m\"}},{ \"model\" : \"models/y\" }],"
	    "\"other\":{\"model\":\"m\"},\"model\":\"models/y\"}");
	buf_fini(&b);
}
END_TEST

/* ---- metering -------------------------------------------------------------
 */

static struct meter_report
meter(const char *id, enum meter_frame frame, const char *text)
{
	struct meter *m = meter_new(endpoint_by_id(span_str(id)), frame, false);
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

static struct meter_report
whole(const char *text)
{
	return (meter("gemini.generate", FRAME_WHOLE, text));
}

static struct meter_report
events(const char *text)
{
	return (meter("gemini.stream", FRAME_EVENTS, text));
}

static struct meter_report
array(const char *text)
{
	return (meter("gemini.stream", FRAME_ARRAY, text));
}

static void
ck_usage(
    const struct meter_report *r, uint64_t in, uint64_t out, uint64_t thoughts)
{
	ck_assert(r->has_usage && !r->broken);
	ck_assert_uint_eq(r->usage.n[USAGE_input], in);
	ck_assert_uint_eq(r->usage.n[USAGE_output], out);
	ck_assert_uint_eq(r->usage.n[USAGE_reasoning], thoughts);
}

#define META(inside) "\"usageMetadata\":{" inside "}"
#define SAID(s) \
	"\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" s "\"}]}}]"
#define ENDED "\"candidates\":[{\"finishReason\":\"STOP\",\"index\":0}]"

START_TEST(thoughts_and_tools_are_beside_the_counts)
{
	struct meter_report r;

	r = whole("{" META("\"promptTokenCount\":10,"
			   "\"candidatesTokenCount\":20,"
			   "\"thoughtsTokenCount\":5,"
			   "\"toolUsePromptTokenCount\":7,"
			   "\"totalTokenCount\":42") "," SAID("abc") "}");
	ck_usage(&r, 17, 20, 5);
	ck_assert(r.finished);
	ck_assert_uint_eq(r.text_bytes, 3);
	/* what is zero is left out, and so are others now and then */
	r = whole("{" META("\"promptTokenCount\":10,\"totalTokenCount\":15,"
			   "\"thoughtsTokenCount\":5") "}");
	ck_usage(&r, 10, 0, 5);
	r = whole("{" META("\"candidatesTokenCount\":23,"
			   "\"thoughtsTokenCount\":67") "}");
	ck_usage(&r, 0, 23, 67);
	r = whole("{" META("\"candidatesTokenCount\":23,"
			   "\"totalTokenCount\":30") "}");
	ck_usage(&r, 7, 23, 0);
	r = whole("{" META("\"thoughtsTokenCount\":5") "}");
	ck_usage(&r, 0, 0, 5);
	r = whole("{" META("\"trafficType\":\"ON_DEMAND\"") "}");
	ck_assert(!r.has_usage && !r.broken);
	r = whole("{" META("\"promptTokenCount\":-1") "}");
	ck_assert(!r.has_usage && r.broken);
	r = whole("{" META("\"promptTokenCount\":1099511627776,"
			   "\"toolUsePromptTokenCount\":1") "}");
	ck_assert(!r.has_usage && r.broken);
}
END_TEST

START_TEST(caches_and_modalities_are_parts_of_the_prompt)
{
	struct meter_report r;

	r = whole("{" META(
	    "\"promptTokenCount\":1000,\"cachedContentTokenCount\":600,"
	    "\"candidatesTokenCount\":100,\"promptTokensDetails\":["
	    "{\"modality\":\"TEXT\",\"tokenCount\":300},"
	    "{\"tokenCount\":500,\"modality\":\"AUDIO\"},"
	    "{\"modality\":\"IMAGE\",\"tokenCount\":200}],"
	    "\"cacheTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":"
	    "450},{\"modality\":\"TEXT\",\"tokenCount\":150}],"
	    "\"candidatesTokensDetails\":[{\"modality\":\"IMAGE\","
	    "\"tokenCount\":90}]") "}");
	ck_usage(&r, 150, 10, 0);
	ck_assert_uint_eq(r.usage.n[USAGE_cache_read], 600);
	ck_assert_uint_eq(r.usage.n[USAGE_audio_input], 50);
	ck_assert_uint_eq(r.usage.n[USAGE_image_input], 200);
	ck_assert_uint_eq(r.usage.n[USAGE_image_output], 90);
	/* numbers for names, as $alt=json;enum-encoding=int has them */
	r = whole("{" META(
	    "\"promptTokenCount\":10,\"promptTokensDetails\":[{\"modality\":4,"
	    "\"tokenCount\":3},{\"modality\":1,\"tokenCount\":5},"
	    "{\"modality\":2,\"tokenCount\":2}],\"trafficType\":1") "}");
	ck_usage(&r, 5, 0, 0);
	ck_assert_uint_eq(r.usage.n[USAGE_audio_input], 3);
	ck_assert_uint_eq(r.usage.n[USAGE_image_input], 2);
	/* details that do not add up never exceed the count */
	r = whole("{" META(
	    "\"promptTokenCount\":4,\"promptTokensDetails\":[{\"modality\":"
	    "\"AUDIO\",\"tokenCount\":9}]") "}");
	ck_usage(&r, 0, 0, 0);
	ck_assert_uint_eq(r.usage.n[USAGE_audio_input], 4);
	/* nor do they begin anew at zero */
	r = whole("{" META(
	    "\"promptTokenCount\":4,\"promptTokensDetails\":[{\"modality\":"
	    "\"AUDIO\",\"tokenCount\":18446744073709551615},{\"modality\":"
	    "\"AUDIO\",\"tokenCount\":2}]") "}");
	ck_assert(!r.has_usage && r.broken);
}
END_TEST

START_TEST(tiers_have_two_names)
{
	struct meter_report r;

	r = whole(
	    "{" META("\"promptTokenCount\":1,\"serviceTier\":\"flex\"") "}");
	ck_assert(r.tier_reported && r.tier == TIER_FLEX);
	r = whole("{" META("\"promptTokenCount\":1,\"trafficType\":"
			   "\"ON_DEMAND_PRIORITY\"") "}");
	ck_assert(r.tier_reported && r.tier == TIER_PRIORITY);
	r = whole("{" META("\"promptTokenCount\":1,\"trafficType\":"
			   "\"ON_DEMAND\"") "}");
	ck_assert(!r.tier_reported);
}
END_TEST

START_TEST(of_a_stream_the_last_usage_counts_whole)
{
	struct meter_report r;

	r = events("data: {" SAID("ab") "," META(
	    "\"promptTokenCount\":5,\"candidatesTokenCount\":21,"
	    "\"toolUsePromptTokenCount\":9") "}\r\n\r\n"
					     "data: {" SAID(
						 "cd") "}\r\n\r\n"
						       "data: {" ENDED "," META(
							   "\"promptTokenCount"
							   "\":87,"
							   "\"thoughtsTokenCoun"
							   "t\":78,"
							   "\"totalTokenCount\""
							   ":165") "}\r\n\r\n");
	ck_usage(&r, 87, 0, 78);
	ck_assert(r.finished && !r.failed && !r.partial);
	ck_assert_uint_eq(r.text_bytes, 4);
	ck_assert_uint_eq(r.events, 2);
	r = events("data: {" SAID("ab") "," META(
	    "\"promptTokenCount\":5") "}\r\n\r\n"
				      "data: {" META("\"trafficType\":\"ON_"
						     "DEMAND\"") "}\r\n\r\n");
	ck_usage(&r, 5, 0, 0);
	ck_assert(!r.finished);
}
END_TEST

START_TEST(an_array_is_a_stream_as_well)
{
	struct meter_report r;

	r = array("[{" SAID("ab") "," META(
	    "\"promptTokenCount\":5") "}\n,\r\n{"
				      "\"candidates\":[{\"finishReason\":1}]"
				      "," META(
					  "\"promptTokenCount\":6,"
					  "\"candidatesTokenCount\":2") "}\n]");
	ck_usage(&r, 6, 2, 0);
	ck_assert(r.finished && !r.failed);
	ck_assert_uint_eq(r.events, 1);
	r = array("[]");
	ck_assert(!r.has_usage && !r.broken && !r.finished);
	r = array("[{" META("\"promptTokenCount\":5") "}");
	ck_assert(r.has_usage && r.broken);
	r = array("[[{" META("\"promptTokenCount\":5") "}]]");
	ck_assert(!r.has_usage);
	r = array("[{" META("\"promptTokenCount\":5") "},{\"error\":{\"code\":"
						      "500}}]");
	ck_assert(r.failed);
	ck_assert_uint_eq(r.usage.n[USAGE_input], 5);
	r = array("{\"error\":{\"code\":500}}");
	ck_assert(r.failed && !r.has_usage);
}
END_TEST

START_TEST(a_bare_error_ends_the_events)
{
	struct meter_report r;

	r = events("data: {" SAID("ab") "," META(
	    "\"promptTokenCount\":5") "}\r\n\r\n"
				      "{\r\n  \"error\": {\r\n    \"code\": "
				      "503\r\n  }\r\n}\r\n");
	ck_assert(r.failed && r.has_usage && !r.finished);
	ck_assert_uint_eq(r.usage.n[USAGE_input], 5);
	r = events("data: {\"error\":{\"code\":503}}\r\n\r\n");
	ck_assert(r.failed);
	/* where it is no line of its own it is text */
	r = events("data: \r\ndata: {" SAID("{") "}\r\n\r\n");
	ck_assert(!r.failed && r.text_bytes == 1);
}
END_TEST

START_TEST(a_blocked_prompt_is_an_end)
{
	struct meter_report r;

	r = events("data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}"
		   "\r\n\r\n");
	ck_assert(r.finished && !r.has_usage && !r.failed);
	r = events("data: {\"promptFeedback\":{}}\r\n\r\n");
	ck_assert(!r.finished);
}
END_TEST

START_TEST(embeddings_report_the_prompt)
{
	struct meter_report r;

	r = meter("gemini.batch_embed", FRAME_WHOLE,
	    "{\"embeddings\":[{\"values\":[0.1]}]," META(
		"\"promptTokenCount\":7,\"promptTokenDetails\":[{\"modality\":"
		"\"TEXT\",\"tokenCount\":7}]") "}");
	ck_usage(&r, 7, 0, 0);
}
END_TEST

static enum meter_joint
joint(const char *text)
{
	struct meter *m = meter_new(
	    endpoint_by_id(SPAN("gemini.stream")), FRAME_ARRAY, false);
	enum meter_joint j;
	struct buf out = {0};

	meter_feed(m, span_str(text), &out);
	j = meter_joint(m);
	meter_free(m);
	buf_fini(&out);
	return (j);
}

START_TEST(a_broken_array_may_have_room_for_an_error)
{
	ck_assert_int_eq(joint(""), JOINT_NONE);
	ck_assert_int_eq(joint("["), JOINT_FIRST);
	ck_assert_int_eq(joint("[{"), JOINT_NONE);
	ck_assert_int_eq(joint("[{}"), JOINT_NEXT);
	ck_assert_int_eq(joint("[{}\n"), JOINT_NEXT);
	ck_assert_int_eq(joint("[{},\r\n"), JOINT_FIRST);
	ck_assert_int_eq(joint("[{},{\"a\":[{}"), JOINT_NONE);
	ck_assert_int_eq(joint("[{}]"), JOINT_NONE);
	ck_assert_int_eq(joint("{\"a\":{}"), JOINT_NONE);
}
END_TEST

START_TEST(d07_a_64_mb_element_needs_no_memory)
{
	static char block[65536];
	struct meter *m = meter_new(
	    endpoint_by_id(SPAN("gemini.stream")), FRAME_ARRAY, false);
	struct buf out = {0};
	size_t before, most = 0, now;
	int i;

	memset(block, 'z', sizeof(block));
	meter_feed(m,
	    SPAN("[{\"candidates\":[{\"content\":{\"parts\":[{"
		 "\"text\":\""),
	    &out);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (i = 0; i < 1024; i++) {
		buf_reset(&out, SIZE_MAX);
		meter_feed(m, span_of(block, sizeof(block)), &out);
		now = mallinfo2().uordblks + mallinfo2().hblkhd - before;
		most = now > most ? now : most;
	}
	meter_feed(
	    m, SPAN("\"}]}}]," META("\"promptTokenCount\":11") "}]"), &out);
	meter_finish(m, &out);
	ck_assert_uint_lt(most, 512 * 1024);
	ck_assert_uint_eq(meter_get(m)->usage.n[USAGE_input], 11);
	ck_assert_uint_eq(meter_get(m)->text_bytes, 1024 * sizeof(block));
	meter_free(m);
	buf_fini(&out);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("gemini");
	TCase *tc = tcase_create("gemini");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, a_request_is_understood);
	tcase_add_test(tc, what_is_ambiguous_is_refused);
	tcase_add_test(tc, a_rename_renames_the_body_too);
	tcase_add_test(tc, thoughts_and_tools_are_beside_the_counts);
	tcase_add_test(tc, caches_and_modalities_are_parts_of_the_prompt);
	tcase_add_test(tc, tiers_have_two_names);
	tcase_add_test(tc, of_a_stream_the_last_usage_counts_whole);
	tcase_add_test(tc, an_array_is_a_stream_as_well);
	tcase_add_test(tc, a_bare_error_ends_the_events);
	tcase_add_test(tc, a_blocked_prompt_is_an_end);
	tcase_add_test(tc, embeddings_report_the_prompt);
	tcase_add_test(tc, a_broken_array_may_have_room_for_an_error);
	tcase_add_test(tc, d07_a_64_mb_element_needs_no_memory);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed != 0);
}

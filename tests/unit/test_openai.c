/* The OpenAI dialect: endpoints, keys, inspection, splicing, errors. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "hubd/api/api.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static const struct api_target *
endpoint(const char *id)
{
	static struct api_target t;

	t = (struct api_target){.endpoint = endpoint_by_id(span_str(id))};
	ck_assert_ptr_nonnull(t.endpoint);
	return (&t);
}

static enum api_error
inspect(const char *body, struct api_request *req)
{
	const char *why;
	enum api_error e = api_inspect(
	    endpoint("chat.completions"), span_str(body), req, &why);

	ck_assert_msg((e == API_OK) == (why == NULL), "%s", body);
	return (e);
}

/* ---- endpoints, keys ---------------------------------------------------- */

START_TEST(endpoints_are_an_allow_list)
{
	size_t n;

	ck_assert_ptr_null(endpoint_by_id(SPAN("files.invent")));
	ck_assert_ptr_nonnull(endpoint_by_id(SPAN("chat.completions")));
	ck_assert_ptr_nonnull(endpoint_all(&n));
	ck_assert_uint_ge(n, 4);
}
END_TEST

/* ---- inspection --------------------------------------------------------- */

START_TEST(a_request_is_understood)
{
	const char *body =
	    " {\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9llo\"}],"
	    "\"stream\":true,\"model\":\"gpt\\u002d4.1\",\"max_tokens\":7,"
	    "\"max_completion_tokens\":9,\"n\":2,\"service_tier\":\"flex\","
	    "\"stream_options\":{\"x\":1,\"include_usage\":false},"
	    "\"user\":\"somebody with a long name\"}\n";
	struct api_request r;

	ck_assert_int_eq(inspect(body, &r), API_OK);
	ck_assert_str_eq(r.model, "gpt-4.1");
	ck_assert(strncmp(body + r.model_at.begin, "\"gpt\\u002d4.1\"",
		      r.model_at.end - r.model_at.begin) == 0);
	ck_assert(r.stream && !r.asked_usage && !r.no_output);
	ck_assert_uint_eq(r.max_output, 9);
	ck_assert_uint_eq(r.n, 2);
	ck_assert_int_eq(r.tier, TIER_FLEX);
	ck_assert_int_eq(body[r.body_end], '}');
	ck_assert_int_eq(body[r.options_end], '}');
	ck_assert_int_eq(body[r.options_at.begin], '{');
	ck_assert(memcmp(body + r.include_at.begin, "false", 5) == 0);
	ck_assert_uint_eq(r.text_bytes, 4 + 6);
	ck_assert_uint_eq(r.media, 0);
}
END_TEST

static const struct {
	const char *body, *why;
} refused[] = {
    {"", "valid JSON"},
    {"{", "valid JSON"},
    {"{\"model\":\"m\"} x", "valid JSON"},
    {"[{\"model\":\"m\"}]", "JSON object"},
    {"\"model\"", "JSON object"},
    {"{}", "missing"},
    {"{\"x\":{\"model\":\"m\"}}", "missing"},
    {"{\"model\":\"\"}", "empty"},
    {"{\"model\":null}", "\"model\""},
    {"{\"model\":7}", "\"model\""},
    {"{\"model\":{}}", "\"model\""},
    {"{\"model\":\"a\\u0000b\"}", "\"model\""},
    {"{\"model\":\"a\\nb\"}", "\"model\""},
    {"{\"model\":\"a\",\"model\":\"b\"}", "\"model\""},
    {"{\"model\":\"a\",\"\\u006dodel\":\"b\"}", "\"model\""},
    {"{\"\\u006dodel\":\"b\"}", "\"model\""},
    {"{\"model\":\"a\",\"Model\":\"b\"}", "\"model\""},
    {"{\"model\":\"a\",\"stream\":true,\"stream\":false}", "\"stream\""},
    {"{\"model\":\"a\",\"stream\":\"true\"}", "\"stream\""},
    {"{\"model\":\"a\",\"stream\":1}", "\"stream\""},
    {"{\"model\":\"a\",\"stream_options\":[]}", "\"stream_options\""},
    {"{\"model\":\"a\",\"stream_options\":{},\"stream_options\":{}}",
	"\"stream_options\""},
    {"{\"model\":\"a\",\"stream_options\":{\"include_usage\":true,"
     "\"include_usage\":false}}",
	"\"include_usage\""},
    {"{\"model\":\"a\",\"stream_options\":{\"include_usag\\u0065\":true}}",
	"\"include_usage\""},
    {"{\"model\":\"a\",\"stream_options\":{\"include_usage\":1}}",
	"\"include_usage\""},
    {"{\"model\":\"a\",\"max_tokens\":-1}", "\"max_tokens\""},
    {"{\"model\":\"a\",\"max_tokens\":\"5\"}", "\"max_tokens\""},
    {"{\"model\":\"a\",\"max_tokens\":1,\"max_tokens\":2}", "\"max_tokens\""},
    {"{\"model\":\"a\",\"max_completion_tokens\":99999999999999999999}",
	"\"max_completion_tokens\""},
    {"{\"model\":\"a\",\"n\":1.5}", "\"n\""},
    {"{\"model\":\"a\",\"n\":1,\"N\":2}", "\"n\""},
    {"{\"model\":\"a\",\"service_tier\":1}", "\"service_tier\""},
};

START_TEST(what_is_ambiguous_is_refused)
{
	struct api_request r;
	const char *why;

	ck_assert_int_eq(api_inspect(endpoint("chat.completions"),
			     span_str(refused[_i].body), &r, &why),
	    API_ERR_invalid_request);
	ck_assert_msg(strstr(why, refused[_i].why) != NULL, "%s: %s",
	    refused[_i].body, why);
}
END_TEST

START_TEST(long_model_names_are_refused)
{
	char name[API_MODEL_MAX + 1], body[300];
	struct api_request r;

	memset(name, 'm', sizeof(name));
	name[API_MODEL_MAX - 1] = '\0';
	snprintf(body, sizeof(body), "{\"model\":\"%s\"}", name);
	ck_assert_int_eq(inspect(body, &r), API_OK);
	name[API_MODEL_MAX - 1] = 'm';
	name[API_MODEL_MAX] = '\0';
	snprintf(body, sizeof(body), "{\"model\":\"%s\"}", name);
	ck_assert_int_eq(inspect(body, &r), API_ERR_invalid_request);
}
END_TEST

START_TEST(the_same_names_elsewhere_are_free)
{
	struct api_request r;

	ck_assert_int_eq(
	    inspect("{\"model\":\"a\",\"tools\":[{\"model\":1,\"model\":2,"
		    "\"str\\u0065am\":{\"n\":[]}}],\"metadata\":{\"stream\":"
		    "\"x\",\"include_usage\":7}}",
		&r),
	    API_OK);
	ck_assert(!r.stream && r.n == 1 && r.max_output == 0);
}
END_TEST

START_TEST(media_are_counted_and_not_weighed)
{
	struct api_request r;

	ck_assert_int_eq(
	    inspect("{\"model\":\"a\",\"messages\":[{\"role\":\"user\","
		    "\"content\":[{\"type\":\"image_url\",\"image_url\":{"
		    "\"url\":\"data:image/png;base64,AAAAAAAAAAAAAAA\","
		    "\"detail\":\"low\"}},{\"type\":\"text\",\"text\":"
		    "\"what\"},{\"type\":\"input_audio\",\"input_audio\":{"
		    "\"data\":\"BBBBBBBB\",\"format\":\"wav\"}},\"plain\"]}]}",
		&r),
	    API_OK);
	ck_assert_uint_eq(r.media, 2);
	ck_assert_uint_eq(r.text_bytes, 4 + 9 + 4 + 4 + 11 + 5);
}
END_TEST

static enum api_error
inspect_response(const char *body, struct api_request *req)
{
	const char *why;

	return (api_inspect(endpoint("responses"), span_str(body), req, &why));
}

START_TEST(a_response_is_asked_for_in_the_foreground)
{
	struct api_request r;

	ck_assert_int_eq(
	    inspect_response(
		"{\"model\":\"a\",\"stream\":true,\"background\":false,"
		"\"max_output_tokens\":70,\"store\":true,"
		"\"previous_response_id\":\"resp_0123456789\","
		"\"input\":[{\"role\":\"user\",\"content\":[{\"type\":"
		"\"input_image\",\"image_url\":\"data:AAAAAAAAAAAAA\"},"
		"{\"type\":\"input_text\",\"text\":\"what\"}]}]}",
		&r),
	    API_OK);
	ck_assert(r.stream && !r.no_output);
	ck_assert_uint_eq(r.max_output, 70);
	ck_assert_uint_eq(r.media, 1);
	ck_assert_uint_eq(r.text_bytes, 4 + 11 + 10 + 4);
	ck_assert_int_eq(
	    inspect_response("{\"model\":\"a\",\"background\":true}", &r),
	    API_ERR_invalid_request);
	ck_assert_int_eq(
	    inspect_response("{\"model\":\"a\",\"background\":false,"
			     "\"background\":null}",
		&r),
	    API_ERR_invalid_request);
	ck_assert_int_eq(
	    inspect_response("{\"model\":\"a\",\"background\":1}", &r),
	    API_ERR_invalid_request);
	ck_assert_int_eq(
	    inspect("{\"model\":\"a\",\"background\":true}", &r), API_OK);
}
END_TEST

START_TEST(speech_is_counted_by_the_character)
{
	struct api_request r;
	const char *why;

	ck_assert_int_eq(
	    api_inspect(endpoint("audio.speech"),
		SPAN("{\"model\":\"tts-1\",\"stream_format\":\"sse\","
		     "\"response_format\":\"wav\",\"input\":"
		     "\"h\\u00e9\\ud83d\\ude00 \xc3\xa9\\n\\\\\"}"),
		&r, &why),
	    API_OK);
	ck_assert_uint_eq(r.characters, 7);
	ck_assert_uint_eq(r.sound_rate, 48000);
	ck_assert(r.stream);
	ck_assert_int_eq(
	    api_inspect(endpoint("audio.speech"),
		SPAN("{\"model\":\"tts-1\",\"stream_format\":\"sse\","
		     "\"stream_format\":\"audio\"}"),
		&r, &why),
	    API_ERR_invalid_request);
}
END_TEST

/* ---- forms --------------------------------------------------------------- */

#define PART(name, value)                                     \
	"--x\r\nContent-Disposition: form-data; name=\"" name \
	"\"\r\n\r\n" value "\r\n"
#define SOUND "file\"; filename=\"a.wav"

static enum api_error
inspect_form(const char *body, struct api_request *req, const char **why)
{
	struct span boundary;

	ck_assert_int_eq(
	    api_form_type(SPAN("multipart/form-data; boundary=x"), &boundary),
	    API_OK);
	return (api_inspect_form(endpoint("audio.transcriptions"), boundary,
	    span_str(body), req, why));
}

START_TEST(a_form_is_understood)
{
	const char *body = PART(SOUND, "0123456789\r\n") PART("stream", "true")
	    PART("prompt", "four") PART("model", "whisper-1")
		PART("n", "3") "--x--\r\n";
	struct api_request r;
	struct buf out = {0};
	const char *why;

	ck_assert_int_eq(inspect_form(body, &r, &why), API_OK);
	ck_assert_str_eq(r.model, "whisper-1");
	ck_assert(r.stream && r.form && r.n == 3);
	ck_assert_uint_eq(r.media, 1);
	ck_assert_uint_eq(r.media_bytes, 12);
	ck_assert_uint_eq(r.text_bytes, 4);
	buf_addstr(&out, body);
	api_prepare(&r, &out, SPAN("large-v3"), true);
	ck_assert_str_eq(buf_cstr(&out),
	    PART(SOUND, "0123456789\r\n") PART("stream", "true") PART("prompt",
		"four") PART("model", "large-v3") PART("n", "3") "--x--\r\n");
	buf_fini(&out);
}
END_TEST

static const struct {
	const char *body, *why;
} bad_forms[] = {
    {"", "multipart"},
    {PART("model", "m"), "multipart"},
    {PART("file", "x") "--x--", "missing"},
    {PART("model", "") "--x--", "empty"},
    {PART("model", "a\nb") "--x--", "\"model\""},
    {PART("model", "a") PART("model", "a") "--x--", "\"model\" is there twice"},
    {PART("Model", "a") "--x--", "\"model\" is spelt"},
    {PART("model\"; filename=\"a", "m") "--x--", "\"model\" is spelt"},
    {PART("model", "m") PART("stream", "1") "--x--", "\"stream\""},
    {PART("model", "m") PART("stream", "true") PART("stream", "true") "--x--",
	"\"stream\" is there twice"},
    {PART("model", "m") PART("n", "-1") "--x--", "\"n\""},
    {PART("model", "m") PART("response_format", "text")
	    PART("response_format", "json") "--x--",
	"\"response_format\""},
};

START_TEST(an_ambiguous_form_is_refused)
{
	struct api_request r;
	const char *why;

	ck_assert_int_eq(inspect_form(bad_forms[_i].body, &r, &why),
	    API_ERR_invalid_request);
	ck_assert_msg(strstr(why, bad_forms[_i].why) != NULL, "%s", why);
}
END_TEST

START_TEST(a_wav_tells_how_long_it_is)
{
	static const char wav[] =
	    "RIFF....WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0"
	    "\2\0\x10\0data....";
	struct span boundary = SPAN("x");
	struct api_request r;
	struct buf body = {0};
	const char *why;

	buf_addstr(&body, PART("model", "m"));
	buf_addstr(&body, "--x\r\nContent-Disposition: form-data; name=\"" SOUND
			  "\"\r\n\r\n");
	buf_add(&body, wav, sizeof(wav) - 1);
	buf_addstr(&body, "\r\n--x--");
	ck_assert_int_eq(api_inspect_form(endpoint("audio.translations"),
			     boundary, buf_span(&body), &r, &why),
	    API_OK);
	ck_assert_uint_eq(r.sound_rate, 32000);
	buf_fini(&body);
}
END_TEST

START_TEST(legacy_answers_multiply)
{
	struct api_request r;
	const char *why;

	ck_assert_int_eq(
	    api_inspect(endpoint("completions"),
		SPAN("{\"model\":\"a\",\"prompt\":[\"x\",\"y\",[1,2]],"
		     "\"best_of\":4,\"n\":2}"),
		&r, &why),
	    API_OK);
	ck_assert_uint_eq(r.n, 12);
	ck_assert_uint_eq(r.text_bytes, 1 + 1 + 4 + 4);
	ck_assert_int_eq(
	    api_inspect(endpoint("embeddings"),
		SPAN("{\"model\":\"a\",\"input\":[\"x\",\"y\"]}"), &r, &why),
	    API_OK);
	ck_assert(r.n == 1 && r.no_output);
}
END_TEST

/* ---- splicing ----------------------------------------------------------- */

static const struct {
	const char *body, *model;
	bool ask;
	const char *want;
} splices[] = {
    {" {\"a\" : 1.50, \"model\" :\"x\",\"b\":\"\\u0041\"}\n", "x", false,
	" {\"a\" : 1.50, \"model\" :\"x\",\"b\":\"\\u0041\"}\n"},
    {" {\"a\" : 1.50, \"model\" :\"x\",\"b\":\"\\u0041\"}\n", "long\"er", false,
	" {\"a\" : 1.50, \"model\" :\"long\\\"er\",\"b\":\"\\u0041\"}\n"},
    {"{\"model\":\"x\" }", "yy", true,
	"{\"model\":\"yy\" ,\"stream_options\":{\"include_usage\":true}}"},
    {"{\"model\":\"x\",\"stream_options\":{},\"b\":2}", "yyyy", true,
	"{\"model\":\"yyyy\",\"stream_options\":{\"include_usage\":true},"
	"\"b\":2}"},
    {"{\"stream_options\":{ },\"model\":\"xxx\"}", "y", true,
	"{\"stream_options\":{ \"include_usage\":true},\"model\":\"y\"}"},
    {"{\"stream_options\":{\"o\":[{}]},\"model\":\"xxx\"}", "y", true,
	"{\"stream_options\":{\"o\":[{}],\"include_usage\":true},"
	"\"model\":\"y\"}"},
    {"{\"stream_options\":{\"include_usage\": false },\"model\":\"x\"}", "x",
	true,
	"{\"stream_options\":{\"include_usage\": true },\"model\":\"x\"}"},
    {"{\"stream_options\":null,\"model\":\"x\"}", "x", true,
	"{\"stream_options\":{\"include_usage\":true},\"model\":\"x\"}"},
    {"{\"stream_options\":{\"include_usage\":true},\"model\":\"x\"}", "x", true,
	"{\"stream_options\":{\"include_usage\":true},\"model\":\"x\"}"},
};

START_TEST(splicing_keeps_all_other_bytes)
{
	struct api_request r, again;
	struct buf b = {0};

	ck_assert_int_eq(inspect(splices[_i].body, &r), API_OK);
	buf_addstr(&b, splices[_i].body);
	api_prepare(&r, &b, span_str(splices[_i].model), splices[_i].ask);
	ck_assert_str_eq(buf_cstr(&b), splices[_i].want);
	ck_assert_int_eq(inspect(buf_cstr(&b), &again), API_OK);
	ck_assert_str_eq(again.model, splices[_i].model);
	ck_assert_int_eq(again.asked_usage, splices[_i].ask);
	buf_fini(&b);
}
END_TEST

/* ---- errors ------------------------------------------------------------- */

START_TEST(errors_have_the_dialects_shape)
{
	struct buf b = {0};

	api_error_body(&b, DIALECT_OPENAI, API_ERR_rate_limited, NULL, "r-1");
	ck_assert_str_eq(buf_cstr(&b),
	    "{\"error\":{\"message\":\"Too many requests or tokens in this "
	    "time.\",\"type\":\"requests\",\"param\":null,\"code\":"
	    "\"rate_limited\",\"request_id\":\"r-1\"}}");
	buf_reset(&b, SIZE_MAX);
	api_error_event(&b, DIALECT_OPENAI, FRAME_EVENTS, JOINT_NONE,
	    API_ERR_agent_lost, "r-2");
	ck_assert(span_starts(buf_span(&b), SPAN("data: {\"error\":{")));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&b), "\"r-2\"}}\n\n"));
	ck_assert_int_eq(api_error_status(API_ERR_insufficient_balance), 402);
	ck_assert_str_eq(
	    api_error_code(API_ERR_length_required), "body_too_large");
	buf_fini(&b);
}
END_TEST

#define R "[removed]"

static const struct {
	const char *in, *out;
} texts[] = {
    /* what stays */
    {"The model `gpt-4.1` does not exist or you do not have access to it.",
	NULL},
    {"This model's maximum context length is 128000 tokens. However, your "
     "messages resulted in 131072 tokens.",
	NULL},
    {"Invalid 'messages[0].content[1].type': 'messages.0.content' and/or "
     "'tools.function.name' must be text, e.g. \"a\", i.e. a string.",
	NULL},
    {"Unsupported parameter: 'max_tokens' is not supported with this model. "
     "Use 'max_completion_tokens' instead.",
	NULL},
    {"meta-llama/Llama-3.1-8B-Instruct-Turbo, claude-3-5-sonnet-20241022, "
     "gpt-4o-mini-2024-07-18 and anthropic.claude-3-5-sonnet-20241022-v2:0",
	NULL},
    {"application/json is not image/png; try v1.2.3 at 12:30:00 (code:400).",
	NULL},
    {"Please try again in 114h18m0s. Limit 100000, Used 96749, Requested "
     "19126.",
	NULL},
    {"temperature must be <= 2.0, got -1.5; top_p=0.95, seed: 123456789", NULL},
    {"No tool output found for function call call_abc123DEF456ghi789JKL.",
	NULL},
    {"Invalid schema: std::string is a user-defined type, key-value pairs "
     "only.Please fix.",
	NULL},
    {"Caf\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd \xe2\x80\x9cgpt-4\xe2\x80\x9d",
	NULL},
    /* URLs and hosts */
    {"See https://platform.openai.com/account/api-keys.", "See " R "."},
    {"at (http://10.0.0.5:8000/v1?x=(1)&y=[2],3) it", "at (" R " it"},
    {"Visit platform.openai.com/docs, please", "Visit " R ", please"},
    {"upstream api.internal.example.com refused", "upstream " R " refused"},
    {"no route to db01.prod.foo or ip-10-0-3-4.ec2.internal",
	"no route to " R " or " R},
    {"connect to localhost:8080 or vllm-worker-3:8000 failed",
	"connect to " R " or " R " failed"},
    {"mail ops@example.org or a.b@c.de", "mail " R " or " R},
    {"ws://x and S3://bucket/key and redis://:pw@h/0", R " and " R " and " R},
    {"host=api.foo.com;", R ";"},
    /* addresses */
    {"dial tcp 10.1.2.3:443: refused", "dial tcp " R ": refused"},
    {"from 192.168.0.1, via 172.16.0.0/12", "from " R ", via " R},
    {"peer [2001:db8::1]:8443 and ::1 and fe80::1%eth0",
	"peer [" R "]:8443 and " R " and " R},
    {"client=127.0.0.1 x10.0.0.4 root@box:22", R " " R " " R},
    {"claude-3-5-sonnet@20241022 of v1.2.3.4-beta", NULL},
    {"fault at 0x7ffdeadbeef01234", "fault at " R},
    {"::ffff:10.0.0.1", R},
    /* paths */
    {"open /etc/hub/key.pem: denied", "open " R ": denied"},
    {"File \"/usr/lib/python3/x.py\", line 3", "File \"" R "\", line 3"},
    {"in app/server.py:17 and main.go, ~/x ./y ../z",
	"in " R " and " R ", " R " " R " " R},
    {"C:\\Users\\me\\k.txt or \\\\srv\\share", R " or " R},
    /* keys and accounts */
    {"Incorrect API key provided: sk-abc12*****xyz9.",
	"Incorrect API key provided: " R "."},
    {"provided:sk-proj-AAAABBBBCCCC", R},
    {"Rate limit reached for gpt-4o-mini in organization org-AbCdEf0123456789 "
     "on tokens per min (TPM): Limit 100000",
	"Rate limit reached for gpt-4o-mini in organization " R
	" on tokens per min (TPM): Limit 100000"},
    {"project `proj_abcdefgh` of user-x7K2", "project `" R "` of " R},
    {"AKIAIOSFODNN7EXAMPLE / AIzaSyA1234567890abcdefg / ya29.a0AfH6",
	R " / " R " / " R},
    {"token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "token " R},
    {"id 9f86d081884c7d659a2feaa0c55ad015 of "
     "123e4567-e89b-12d3-a456-426614174000",
	"id " R " of " R},
    {"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", R},
    {"account 123456789012, 1234-5678-9012", "account " R ", " R},
    {"arn:aws:bedrock:us-east-1:123456789012:model/x in projects/my-proj/x",
	R " in " R},
    {"Signature Zm9vYmFyQmF6cXV4MTIzNDU2Nzg5MA== bad", "Signature " R " bad"},
};

START_TEST(d20_provider_messages_are_scrubbed)
{
	const char *want = texts[_i].out ? texts[_i].out : texts[_i].in;
	struct buf body = {0}, out = {0};
	struct json *doc;
	const char *got;

	buf_addstr(&body, "{\"error\":{\"message\":");
	json_quote(&body, span_str(texts[_i].in));
	buf_addstr(&body, "}}");
	ck_assert(api_error_scrub(&out, DIALECT_OPENAI, 400, buf_span(&body)));
	doc = json_parse(buf_span(&out), NULL, 0);
	got = json_get_str(json_get(doc, "error"), "message");
	ck_assert_str_eq(got, want);
	json_free(doc);
	buf_fini(&body);
	buf_fini(&out);
}
END_TEST

START_TEST(members_of_an_error_stay_or_go_whole)
{
	struct buf out = {0};

	ck_assert(api_error_scrub(&out, DIALECT_OPENAI, 429,
	    SPAN("[{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":"
		 "\"m\",\"param\":\"messages[0].role\",\"type\":\"at "
		 "10.0.0.1\",\"inner\":\"secret\"},\"x\":1}]")));
	ck_assert_str_eq(buf_cstr(&out),
	    "{\"error\":{\"message\":\"m\",\"type\":null,\"param\":"
	    "\"messages[0].role\",\"code\":\"rate_limit_exceeded\"}}");
	buf_reset(&out, SIZE_MAX);
	ck_assert(api_error_scrub(&out, DIALECT_OPENAI, 404,
	    SPAN("{\"error\":{\"code\":404,\"message\":\"m\"}}")));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&out), "\"code\":404}"));
	buf_fini(&out);
}
END_TEST

START_TEST(what_is_no_such_error_becomes_ours)
{
	static const char good[] = "{\"error\":{\"message\":\"m\"}}";
	static const char *const odd[] = {"", "<html>", "{}", "[]",
	    "{\"error\":\"m\"}", "{\"error\":{\"message\":null}}",
	    "{\"message\":\"m\"}", "{\"error\":{\"message\":\"m\"}"};
	static const int statuses[] = {401, 402, 403, 408, 409, 500, 503, 529};
	struct buf out = {0};
	size_t i;

	for (i = 0; i < ROWS(odd); i++)
		ck_assert(!api_error_scrub(
		    &out, DIALECT_OPENAI, 400, span_str(odd[i])));
	for (i = 0; i < ROWS(statuses); i++)
		ck_assert(!api_error_scrub(
		    &out, DIALECT_OPENAI, statuses[i], span_str(good)));
	ck_assert_uint_eq(buf_len(&out), 0);
	buf_fini(&out);
}
END_TEST

#define LOOP(tc, test, table) tcase_add_loop_test(tc, test, 0, ROWS(table))

int
main(void)
{
	Suite *suite = suite_create("openai");
	TCase *tc = tcase_create("openai");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, endpoints_are_an_allow_list);
	tcase_add_test(tc, a_request_is_understood);
	LOOP(tc, what_is_ambiguous_is_refused, refused);
	tcase_add_test(tc, long_model_names_are_refused);
	tcase_add_test(tc, the_same_names_elsewhere_are_free);
	tcase_add_test(tc, media_are_counted_and_not_weighed);
	tcase_add_test(tc, a_response_is_asked_for_in_the_foreground);
	tcase_add_test(tc, speech_is_counted_by_the_character);
	tcase_add_test(tc, a_form_is_understood);
	tcase_add_loop_test(
	    tc, an_ambiguous_form_is_refused, 0, ROWS(bad_forms));
	tcase_add_test(tc, a_wav_tells_how_long_it_is);
	tcase_add_test(tc, legacy_answers_multiply);
	LOOP(tc, splicing_keeps_all_other_bytes, splices);
	tcase_add_test(tc, errors_have_the_dialects_shape);
	LOOP(tc, d20_provider_messages_are_scrubbed, texts);
	tcase_add_test(tc, members_of_an_error_stay_or_go_whole);
	tcase_add_test(tc, what_is_no_such_error_becomes_ours);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

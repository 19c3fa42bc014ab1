/* Metering: recorded answers under every cut, hiding, bounded memory. */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "hubd/api/api.h"

#define RECORDINGS "../shared/recordings/"

static struct buf
slurp(const char *path)
{
	struct buf b = {0};
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL)
		return (b);
	while ((n = fread(buf_reserve(&b, 65536), 1, 65536, f)) > 0)
		buf_commit(&b, n);
	fclose(f);
	return (b);
}

static const struct endpoint *
endpoint(const char *id)
{
	const struct endpoint *ep = endpoint_by_id(span_str(id));

	ck_assert_ptr_nonnull(ep);
	return (ep);
}

struct run {
	const struct endpoint *ep;
	bool stream, hide;
};

/* Feeds in, first bytes of it alone, then cut by cut. */
static struct meter_report
run(struct run how, struct span in, size_t first, size_t cut, struct buf *out)
{
	struct meter *m = meter_new(how.ep, how.stream, how.hide);
	struct meter_report r;
	size_t i, n;
	char *copy;

	buf_reset(out, SIZE_MAX);
	for (i = 0; i < in.n; i += n) {
		n = i == 0 && first > 0 ? first : cut;
		n = in.n - i < n ? in.n - i : n;
		/* apart, so that reading behind the end is seen */
		copy = xmemdup0(in.p + i, n);
		meter_feed(m, span_of(copy, n), out);
		free(copy);
		if (!how.stream)
			ck_assert_uint_eq(buf_len(out), i + n);
	}
	meter_finish(m, out);
	r = *meter_get(m);
	meter_free(m);
	return (r);
}

static struct meter_report
stream(const char *text, bool hide, struct buf *out)
{
	return (run((struct run){endpoint("chat.completions"), true, hide},
	    span_str(text), 0, SIZE_MAX, out));
}

static void
same_report(const struct meter_report *a, const struct meter_report *b)
{
	ck_assert_mem_eq(&a->usage, &b->usage, sizeof(a->usage));
	ck_assert_int_eq(a->has_usage, b->has_usage);
	ck_assert_int_eq(a->finished, b->finished);
	ck_assert_int_eq(a->failed, b->failed);
	ck_assert_int_eq(a->broken, b->broken);
	ck_assert_int_eq(a->tier, b->tier);
	ck_assert_int_eq(a->tier_reported, b->tier_reported);
	ck_assert_uint_eq(a->text_bytes, b->text_bytes);
	ck_assert_uint_eq(a->events, b->events);
}

/* ---- recordings --------------------------------------------------------- */

static uint64_t
count(const struct json *obj, const char *name)
{
	return ((uint64_t)json_get_int(obj, name, 0));
}

static uint64_t
part(uint64_t *left, uint64_t n)
{
	n = n < *left ? n : *left;
	*left -= n;
	return (n);
}

/* The same mapping, written a second time, on the manifest's tree. */
static struct usage
expected(const struct json *u)
{
	bool io = json_get(u, "input_tokens") != NULL;
	const struct json *in =
	    json_get(u, io ? "input_tokens_details" : "prompt_tokens_details");
	const struct json *out = json_get(
	    u, io ? "output_tokens_details" : "completion_tokens_details");
	uint64_t p = count(u, io ? "input_tokens" : "prompt_tokens"),
		 c = count(u, io ? "output_tokens" : "completion_tokens"),
		 t = count(u, "total_tokens"),
		 r = count(out, "reasoning_tokens");
	struct usage e = {0};

	if (json_get(in, "cached_tokens") != NULL)
		e.n[USAGE_cache_read] = part(&p, count(in, "cached_tokens"));
	else
		e.n[USAGE_cache_read] =
		    part(&p, count(u, "prompt_cache_hit_tokens") +
				 count(u, "num_cached_tokens"));
	e.n[USAGE_cache_write] = part(&p, count(in, "cache_write_tokens"));
	e.n[USAGE_audio_input] = part(&p, count(in, "audio_tokens"));
	e.n[USAGE_image_input] = part(&p, count(in, "image_tokens"));
	e.n[USAGE_input] = p;
	if (r > 0 && !io && t == count(u, "prompt_tokens") + c + r)
		e.n[USAGE_reasoning] = r;
	else
		e.n[USAGE_reasoning] = part(&c, r);
	e.n[USAGE_audio_output] = part(&c, count(out, "audio_tokens"));
	e.n[USAGE_image_output] = part(&c, count(out, "image_tokens"));
	e.n[USAGE_output] = c;
	e.n[USAGE_milliseconds] = count(u, "seconds") * 1000;
	return (e);
}

static void
check_usage(const struct json *entry, const struct meter_report *r)
{
	const struct json *final = json_get(entry, "usage_final");
	const char *file = json_get_str(entry, "file");
	struct usage want;
	unsigned k;

	if (final == NULL || final->type != JSON_OBJECT ||
	    strcmp(json_get_str(entry, "endpoint"), "responses.input_tokens") ==
		0) {
		ck_assert_msg(!r->has_usage, "%s", file);
		return;
	}
	ck_assert_msg(r->has_usage && !r->broken, "%s", file);
	want = expected(final);
	for (k = 0; k < USAGE_KINDS; k++)
		ck_assert_msg(r->usage.n[k] == want.n[k],
		    "%s: %s is %lu, not %lu", file, usage_kind_str(k),
		    (unsigned long)r->usage.n[k], (unsigned long)want.n[k]);
}

/* Every way to cut gives the same bytes and the same report. */
static void
check_cuts(struct run how, struct span in, const struct meter_report *whole,
    struct span want)
{
	static const size_t cuts[] = {1, 7, 37, 1024};
	struct meter_report r;
	struct buf out = {0};
	size_t i;

	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		r = run(how, in, 0, cuts[i], &out);
		same_report(&r, whole);
		ck_assert(span_eq(buf_span(&out), want));
	}
	for (i = 1; in.n <= 4096 && i < in.n; i++) {
		r = run(how, in, i, SIZE_MAX, &out);
		same_report(&r, whole);
		ck_assert(span_eq(buf_span(&out), want));
	}
	buf_fini(&out);
}

/* What a user who did not ask for usage would have been sent. */
static void
without_usage(struct span in, struct buf *out)
{
	const char *p = in.p, *end = in.p + in.n, *stop, *cut;
	struct json *doc;
	const struct json *usage, *choices;

	for (; p < end; p = stop) {
		stop = memmem(p, (size_t)(end - p), "\n\n", 2);
		stop = stop == NULL ? end : stop + 2;
		cut = memmem(p, (size_t)(stop - p), "data: {", 7);
		doc =
		    cut == NULL
			? NULL
			: json_parse(span_of(cut + 6, (size_t)(stop - cut - 6)),
			      NULL, 0);
		usage = json_get(doc, "usage");
		choices = json_get(doc, "choices");
		cut = memmem(p, (size_t)(stop - p), ",\"usage\":null", 13);
		if (usage != NULL && usage->type == JSON_NULL) {
			ck_assert_ptr_nonnull(cut);
			buf_add(out, p, (size_t)(cut - p));
			buf_add(out, cut + 13, (size_t)(stop - cut - 13));
		} else if (usage == NULL || choices == NULL ||
			   choices->first != NULL)
			buf_add(out, p, (size_t)(stop - p));
		json_free(doc);
	}
}

static void
check_hidden(struct run how, struct span in, const struct meter_report *open)
{
	struct buf want = {0}, out = {0};
	struct meter_report r;

	how.hide = true;
	without_usage(in, &want);
	r = run(how, in, 0, SIZE_MAX, &out);
	same_report(&r, open);
	ck_assert(span_eq(buf_span(&out), buf_span(&want)));
	check_cuts(how, in, &r, buf_span(&want));
	buf_fini(&want);
	buf_fini(&out);
}

static bool
is_wanted(const struct json *entry)
{
	const char *provider = json_get_str(entry, "provider");
	const char *id = json_get_str(entry, "endpoint");

	return ((strcmp(provider, "openai") == 0 ||
		    strcmp(provider, "compat") == 0) &&
		strcmp(id, "models") != 0 &&
		endpoint_by_id(span_str(id)) != NULL);
}

static void
check_recording(const struct json *entry)
{
	const char *file = json_get_str(entry, "file");
	const char *dot = strrchr(file, '.');
	struct run how = {endpoint(json_get_str(entry, "endpoint")),
	    strcmp(dot, ".sse") == 0, false};
	char path[512];
	struct buf in, out = {0};
	struct meter_report r;

	snprintf(path, sizeof(path), RECORDINGS "%s", file);
	in = slurp(path);
	ck_assert_uint_gt(buf_len(&in), 0);
	r = run(how, buf_span(&in), 0, SIZE_MAX, &out);
	if (!r.failed ||
	    memmem(buf_ptr(&out), buf_len(&out), "[removed]", 9) == NULL)
		ck_assert(span_eq(buf_span(&in), buf_span(&out)));
	check_usage(entry, &r);
	check_cuts(how, buf_span(&in), &r, buf_span(&out));
	if (how.stream && meter_asks_usage(how.ep))
		check_hidden(how, buf_span(&in), &r);
	buf_fini(&in);
	buf_fini(&out);
}

START_TEST(recordings_are_metered_as_reported)
{
	struct buf text = slurp(RECORDINGS "manifest.json");
	struct json *manifest, *entry;
	char error[200] = "";
	size_t n = 0;

	if (buf_len(&text) == 0) {
		printf("left out: " RECORDINGS " is missing\n");
		return;
	}
	manifest = json_parse(buf_span(&text), error, sizeof(error));
	ck_assert_msg(manifest != NULL, "%s", error);
	for (entry = manifest->first; entry != NULL; entry = entry->next) {
		if (!is_wanted(entry))
			continue;
		check_recording(entry);
		n++;
	}
	ck_assert_uint_gt(n, 180);
	json_free(manifest);
	buf_fini(&text);
}
END_TEST

/* ---- the responses API -------------------------------------------------- */

#define IO(i, o) "{\"input_tokens\":" #i ",\"output_tokens\":" #o "}"

static struct meter_report
answer(const char *id, bool sse, const char *text)
{
	struct buf out = {0};
	struct meter_report r = run((struct run){endpoint(id), sse, false},
	    span_str(text), 0, SIZE_MAX, &out);

	ck_assert_str_eq(buf_cstr(&out), text);
	buf_fini(&out);
	return (r);
}

START_TEST(a_response_has_usage_only_where_it_ends)
{
	struct meter_report r;

	r = answer("responses", true,
	    "data: "
	    "{\"type\":\"response.in_progress\",\"response\":{\"usage\":" IO(
		9, 9) "}}\n\n");
	ck_assert(!r.has_usage && !r.finished);
	r = answer("responses", true,
	    "data: {\"response\":{\"usage\":" IO(
		3, 4) ",\"output\":[{\"usage\":" IO(9,
		9) "}]},"
		   "\"type\":\"response.incomplete\"}\n\n");
	ck_assert(r.has_usage && r.finished && !r.failed);
	ck_assert_uint_eq(r.usage.n[USAGE_input], 3);
	ck_assert_uint_eq(r.usage.n[USAGE_output], 4);
	r = answer("responses", true,
	    "data: {\"type\":\"x\",\"usage\":" IO(
		9, 9) "}\n\n"
		      "data: "
		      "{\"type\":\"response.output_text.delta\",\"delta\":"
		      "\"hey\"}\n\n");
	ck_assert(!r.has_usage && !r.finished);
	ck_assert_uint_eq(r.text_bytes, 3);
}
END_TEST

START_TEST(a_response_that_failed_says_so)
{
	ck_assert(answer("responses", true,
	    "data: {\"type\":\"response.failed\",\"response\":{}}\n\n")
		      .failed);
	ck_assert(answer(
	    "responses", true, "data: {\"type\":\"error\",\"code\":\"x\"}\n\n")
		      .failed);
	ck_assert(!answer("responses", false,
	    "{\"error\":null,\"type\":\"error\",\"usage\":" IO(1, 2) "}")
		       .failed);
	ck_assert(
	    answer("responses", false, "{\"error\":{\"code\":\"x\"}}").failed);
}
END_TEST

START_TEST(counts_and_moderations_are_not_read)
{
	ck_assert(!answer("responses.input_tokens", false,
	    "{\"input_tokens\":5,\"usage\":" IO(1, 2) "}")
		       .has_usage);
	ck_assert(answer("moderations", false, "{\"usage\":1}").finished);
}
END_TEST

/* ---- images and sound --------------------------------------------------- */

START_TEST(what_an_image_model_puts_out_is_image)
{
	struct meter_report r;

	r = answer("images.generations", false,
	    "{\"data\":[{},{}],\"usage\":{\"input_tokens\":50,"
	    "\"input_tokens_details\":{\"text_tokens\":10,\"image_tokens\":"
	    "40},\"output_tokens\":272}}");
	ck_assert_uint_eq(r.images, 2);
	ck_assert_uint_eq(r.usage.n[USAGE_input], 10);
	ck_assert_uint_eq(r.usage.n[USAGE_image_input], 40);
	ck_assert_uint_eq(r.usage.n[USAGE_image_output], 272);
	ck_assert_uint_eq(r.usage.n[USAGE_output], 0);
	r = answer("images.edits", false,
	    "{\"usage\":{\"input_tokens\":1,\"output_tokens\":272,"
	    "\"output_tokens_details\":{\"image_tokens\":200,\"text_tokens\":"
	    "72}}}");
	ck_assert_uint_eq(r.usage.n[USAGE_image_output], 200);
	ck_assert_uint_eq(r.usage.n[USAGE_output], 72);
	r = answer("images.generations", true,
	    "data: {\"type\":\"image_generation.partial_image\",\"usage\":" IO(
		9, 9) "}\n\n"
		      "data: "
		      "{\"type\":\"image_generation.completed\",\"usage\":" IO(
			  1, 2) "}\n\n");
	ck_assert(r.finished && r.images == 1);
	ck_assert_uint_eq(r.usage.n[USAGE_image_output], 2);
}
END_TEST

START_TEST(speech_is_not_read_unless_it_comes_in_events)
{
	struct meter_report r;

	r = answer("audio.speech", false, "{\"usage\":" IO(1, 2) "}");
	ck_assert(r.finished && !r.has_usage && !r.broken);
	ck_assert_uint_eq(r.bytes, 46);
	r = answer("audio.speech", true,
	    "data: {\"type\":\"speech.audio.done\",\"usage\":" IO(
		14, 101) "}\n\n");
	ck_assert(r.finished && r.has_usage);
	ck_assert_uint_eq(r.usage.n[USAGE_input], 14);
	ck_assert_uint_eq(r.usage.n[USAGE_audio_output], 101);
}
END_TEST

static const struct {
	const char *usage;
	uint64_t ms, input, audio, output;
	bool broken;
} transcripts[] = {
    {"{\"type\":\"duration\",\"seconds\":7}", 7000, 0, 0, 0, false},
    {"{\"type\":\"duration\",\"seconds\":7.25}", 7250, 0, 0, 0, false},
    {"{\"type\":\"duration\",\"seconds\":0.0001}", 1, 0, 0, 0, false},
    {"{\"type\":\"duration\",\"seconds\":-7}", 0, 0, 0, 0, true},
    {"{\"type\":\"duration\",\"seconds\":1e9}", 0, 0, 0, 0, true},
    {"{\"type\":\"duration\",\"seconds\":\"7\"}", 0, 0, 0, 0, true},
    {"{\"type\":\"duration\",\"seconds\":99999999999999999999}", 0, 0, 0, 0,
	true},
    {"{\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":{"
     "\"text_tokens\":4,\"audio_tokens\":10},\"output_tokens\":45}",
	0, 4, 10, 45, false},
};

START_TEST(a_transcript_is_seconds_or_tokens)
{
	struct buf text = {0};
	struct meter_report r;

	buf_addf(&text, "{\"text\":\"hey\",\"duration\":6.4702,\"usage\":%s}",
	    transcripts[_i].usage);
	r = answer("audio.transcriptions", false, buf_cstr(&text));
	buf_fini(&text);
	ck_assert_int_eq(r.broken, transcripts[_i].broken);
	ck_assert_int_eq(r.has_usage, !transcripts[_i].broken);
	ck_assert_uint_eq(r.usage.n[USAGE_milliseconds], transcripts[_i].ms);
	ck_assert_uint_eq(r.usage.n[USAGE_input], transcripts[_i].input);
	ck_assert_uint_eq(r.usage.n[USAGE_audio_input], transcripts[_i].audio);
	ck_assert_uint_eq(r.usage.n[USAGE_output], transcripts[_i].output);
	ck_assert_uint_eq(r.duration_ms, 6471);
	ck_assert_uint_eq(r.text_bytes, 3);
}
END_TEST

START_TEST(a_transcript_may_be_plain_text)
{
	struct meter_report r;

	r = answer("audio.translations", false, "1\n00:00 --> 00:01\nhey\n");
	ck_assert(r.finished && !r.broken && !r.has_usage);
	ck_assert_uint_eq(r.text_bytes, 22);
	r = answer("audio.transcriptions", true,
	    "data: {\"type\":\"transcript.text.delta\",\"delta\":\"hey\"}\n\n"
	    "data: {\"type\":\"transcript.text.done\",\"text\":\"hey\"}\n\n");
	ck_assert(r.finished && r.text_bytes == 3);
	ck_assert(!meter_may_sniff(endpoint("audio.transcriptions")));
	ck_assert(meter_may_sniff(endpoint("responses")));
}
END_TEST

/* ---- cases of our own --------------------------------------------------- */

#define USAGE(p, c) "{\"prompt_tokens\":" #p ",\"completion_tokens\":" #c "}"
#define TEXT	    "{\"index\":0,\"delta\":{\"content\":\"hey\"}}"
#define STOP	    "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}"

static const struct {
	const char *in, *out;
} hidden[] = {
    {"data: {\"choices\":[" TEXT "],\"usage\":null}\n\n",
	"data: {\"choices\":[" TEXT "]}\n\n"},
    {"data:{\"usage\": null , \"choices\":[" TEXT "]}\r\n\r\n",
	"data:{\"choices\":[" TEXT "]}\r\n\r\n"},
    {"data: {\"a\":1 , \"usage\":null , \"b\":2}\r\r",
	"data: {\"a\":1  , \"b\":2}\r\r"},
    {"data: {\"usage\":null}\n\n", "data: {}\n\n"},
    {": hi\n\ndata: {\"choices\":[],\"usage\":" USAGE(1, 2) "}\n\n"
							    "data: [DONE]\n\n",
	": hi\n\ndata: [DONE]\n\n"},
    {"id: 7\nevent: x\ndata: {\"choices\":[],\"usage\":" USAGE(
	 1, 2) "}\r\n\r\n: end\r\n",
	": end\r\n"},
    /* not ours: another place, another shape, an error, no choices */
    {"data: {\"choices\":[" STOP "],\"usage\":" USAGE(1, 2) "}\n\n", NULL},
    {"data: {\"x\":{\"usage\":null},\"choices\":[]}\n\n", NULL},
    {"data: {\"x\":\"\\\"usage\\\":null\"}\n\n", NULL},
    {"data: {\"choices\":[],\"usage\":[]}\n\n", NULL},
    {"data: {\"usage\":" USAGE(1, 2) "}\n\n", NULL},
    {"data: {\"choices\":[],\"error\":{},\"usage\":" USAGE(1, 2) "}\n\n", NULL},
    {"data: {\"choices\":[]\ndata: ,\"usage\":null}\n\n", NULL},
    {"data: {\"choices\":[],\"usage\":null\n\n", NULL},
    {": comment\n\n\n\n:\n", NULL},
    {"data: {\"choices\":[" TEXT, NULL},
    /* the end without an empty line */
    {"data: [DONE]\n\ndata: {\"choices\":[],\"usage\":" USAGE(1, 2) "}\n",
	"data: [DONE]\n\n"},
};

START_TEST(only_what_we_caused_is_hidden)
{
	const char *want = hidden[_i].out ? hidden[_i].out : hidden[_i].in;
	struct run how = {endpoint("chat.completions"), true, true};
	struct span in = span_str(hidden[_i].in);
	struct buf out = {0};
	struct meter_report r = run(how, in, 0, SIZE_MAX, &out);

	ck_assert_str_eq(buf_cstr(&out), want);
	check_cuts(how, in, &r, span_str(want));
	buf_fini(&out);
}
END_TEST

START_TEST(usage_is_taken_only_at_its_path)
{
	struct buf out = {0};
	struct meter_report r;

	r = stream("data: {\"choices\":[{\"usage\":" USAGE(
		       9, 9) ",\"delta\":{\"content\":\"\\\"usage\\\":" USAGE(8,
		       8) "\"}}],\"x\":{\"usage\":" USAGE(7, 7) "}}\n\n",
	    false, &out);
	ck_assert(!r.has_usage);
	r = stream("data: [{\"usage\":" USAGE(9, 9) "}]\n\n", false, &out);
	ck_assert(!r.has_usage);
	r = stream(
	    "data: {\"usage\":null}\n\ndata: {\"usage\":{}}\n\n", false, &out);
	ck_assert(!r.has_usage && !r.broken);
	buf_fini(&out);
}
END_TEST

START_TEST(the_last_usage_replaces_earlier_ones)
{
	struct buf out = {0};
	struct meter_report r;

	r = stream("data: {\"usage\":{\"prompt_tokens\":5,"
		   "\"prompt_tokens_details\":{\"cached_tokens\":3}}}\n\n"
		   "data: {\"usage\":" USAGE(6,
		       2) "}\n\n"
			  "data: {\"x_groq\":{\"usage\":" USAGE(1, 1) "}}\n\n",
	    false, &out);
	ck_assert_uint_eq(r.usage.n[USAGE_input], 6);
	ck_assert_uint_eq(r.usage.n[USAGE_cache_read], 0);
	ck_assert_uint_eq(r.usage.n[USAGE_output], 2);
	r = stream(
	    "data: {\"x_groq\":{\"usage\":" USAGE(4, 1) "}}\n\n", false, &out);
	ck_assert_uint_eq(r.usage.n[USAGE_input], 4);
	buf_fini(&out);
}
END_TEST

static const struct {
	const char *usage;
	uint64_t input, cached, output, reasoning;
} maps[] = {
    {"{\"prompt_tokens\":10}", 10, 0, 0, 0},
    {"{\"prompt_tokens\":10,\"completion_tokens\":3,\"prompt_tokens_details\":"
     "{\"cached_tokens\":25}}",
	0, 10, 3, 0},
    {"{\"prompt_tokens\":10,\"completion_tokens\":3,\"prompt_cache_hit_tokens"
     "\":4,\"prompt_tokens_details\":{\"cached_tokens\":4}}",
	6, 4, 3, 0},
    {"{\"prompt_tokens\":10,\"completion_tokens\":3,\"num_cached_tokens\":4,"
     "\"prompt_tokens_details\":null}",
	6, 4, 3, 0},
    {"{\"prompt_tokens\":43,\"completion_tokens\":10,\"total_tokens\":53,"
     "\"completion_tokens_details\":{\"reasoning_tokens\":11}}",
	43, 0, 0, 10},
    {"{\"prompt_tokens\":12,\"completion_tokens\":1,\"total_tokens\":303,"
     "\"completion_tokens_details\":{\"reasoning_tokens\":290}}",
	12, 0, 1, 290},
    {"{\"completion_tokens\":12,\"prompt_tokens\":35,\"total_tokens\":109}", 35,
	0, 12, 62},
    {"{\"prompt_tokens\":6.0,\"total_tokens\":6.0}", 6, 0, 0, 0},
};

START_TEST(usage_is_made_disjoint)
{
	struct buf in = {0}, out = {0};
	struct meter_report r;

	buf_addf(&in, "data: {\"usage\":%s}\n\n", maps[_i].usage);
	r = stream(buf_cstr(&in), false, &out);
	ck_assert(r.has_usage && !r.broken);
	ck_assert_uint_eq(r.usage.n[USAGE_input], maps[_i].input);
	ck_assert_uint_eq(r.usage.n[USAGE_cache_read], maps[_i].cached);
	ck_assert_uint_eq(r.usage.n[USAGE_output], maps[_i].output);
	ck_assert_uint_eq(r.usage.n[USAGE_reasoning], maps[_i].reasoning);
	buf_fini(&in);
	buf_fini(&out);
}
END_TEST

START_TEST(counts_that_cannot_be_true_are_not_believed)
{
	static const char *const bad[] = {"-1", "1.5", "\"7\"", "1e3",
	    "1099511627777", "99999999999999999999", "{}x"};
	struct buf in = {0}, out = {0};
	struct meter_report r;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_reset(&in, SIZE_MAX);
		buf_addf(&in, "data: {\"usage\":{\"prompt_tokens\":%s}}\n\n",
		    bad[i]);
		r = stream(buf_cstr(&in), false, &out);
		ck_assert_msg(r.broken && !r.has_usage, "%s", bad[i]);
	}
	buf_fini(&in);
	buf_fini(&out);
}
END_TEST

START_TEST(the_end_of_an_answer_is_known)
{
	struct run doc = {endpoint("chat.completions"), false, false};
	struct buf out = {0};
	struct meter_report r;

	r = stream("data: {\"choices\":[" TEXT "]}\n\n", false, &out);
	ck_assert(!r.finished && r.text_bytes == 3 && r.events == 1);
	r = stream("data: {\"choices\":[" STOP "]}\n\n", false, &out);
	ck_assert(r.finished && !r.failed);
	r = stream(
	    "data: {\"choices\":[" STOP ",{\"index\":1}]}\n\n", false, &out);
	ck_assert(!r.finished);
	r = stream("data: {\"choices\":[" STOP ",{\"index\":1}]}\n\n"
		   "data: {\"choices\":[{\"finish_reason\":\"length\","
		   "\"index\":1}]}\n\n",
	    false, &out);
	ck_assert(r.finished);
	r = stream("data: [DONE]\n\n", false, &out);
	ck_assert(r.finished && !r.broken);
	r = run(doc, SPAN("{\"choices\":[" TEXT "]} "), 0, 1, &out);
	ck_assert(r.finished && !r.broken);
	r = run(doc, SPAN("{\"choices\":[" STOP "]"), 0, 1, &out);
	ck_assert(!r.finished && r.broken);
	buf_fini(&out);
}
END_TEST

START_TEST(errors_in_mid_stream_are_seen)
{
	struct buf out = {0};
	struct meter_report r;

	r = stream("data: {\"error\":{\"message\":\"x\"}}\n\n", false, &out);
	ck_assert(r.failed && !r.has_usage);
	r = stream("data: {\"error\":{},\"choices\":[" TEXT
		   "],\"usage\":" USAGE(1, 2) "}\n\ndata: [DONE]\n\n",
	    false, &out);
	ck_assert(r.failed && r.has_usage);
	r = stream("event: error\ndata: {}\n\n", false, &out);
	ck_assert(r.failed);
	r = stream(
	    "data: {\"error\":null,\"x\":{\"error\":{}}}\n\n", false, &out);
	ck_assert(!r.failed);
	buf_fini(&out);
}
END_TEST

START_TEST(an_emoji_cut_in_two_costs_no_usage)
{
	struct buf out = {0};
	struct meter_report r;

	r = stream("data: {\"choices\":[{\"delta\":{\"content\":\"\\ud83d\"}}],"
		   "\"usage\":" USAGE(3, 4) "}\n\n",
	    false, &out);
	ck_assert(r.has_usage && !r.broken);
	buf_fini(&out);
}
END_TEST

START_TEST(the_tier_reported_is_known)
{
	struct buf out = {0};
	struct meter_report r;

	r = stream("data: {\"service_tier\":\"flex\"}\n\n", false, &out);
	ck_assert(r.tier_reported && r.tier == TIER_FLEX);
	r = stream("data: {\"service_tier\":null}\n\n", false, &out);
	ck_assert(!r.tier_reported);
	r = stream(
	    "data: {\"x\":{\"service_tier\":\"flex\"}}\n\n", false, &out);
	ck_assert(!r.tier_reported);
	buf_fini(&out);
}
END_TEST

START_TEST(text_is_counted_in_every_place_of_it)
{
	struct buf out = {0};
	struct meter_report r;

	r = stream("data: {\"choices\":[{\"delta\":{\"content\":\"\\u00e9\","
		   "\"reasoning_content\":\"abc\",\"role\":\"assistant\","
		   "\"tool_calls\":[{\"id\":\"call_1\",\"function\":"
		   "{\"arguments\":\"{}\"}}]},\"text\":\"wxyz\"}]}\n\n"
		   "data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":"
		   "\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":"
		   "\"12345\"}]}]}}]}\n\n",
	    false, &out);
	ck_assert_uint_eq(r.text_bytes, 2 + 3 + 2 + 4 + 5);
	ck_assert_uint_eq(r.events, 2);
	buf_fini(&out);
}
END_TEST

/* ---- bounded memory ----------------------------------------------------- */

static void
feed_huge(struct run how, const char *head, const char *tail)
{
	static char block[65536];
	struct meter *m = meter_new(how.ep, how.stream, how.hide);
	struct buf out = {0};
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, most = 0;
	size_t now;
	uint64_t passed = 0;
	int i;

	memset(block, 'z', sizeof(block));
	meter_feed(m, span_str(head), &out);
	for (i = 0; i < 1024; i++) {
		meter_feed(m, span_of(block, sizeof(block)), &out);
		passed += buf_len(&out);
		now = mallinfo2().uordblks + mallinfo2().hblkhd - before;
		most = now > most ? now : most;
		buf_reset(&out, SIZE_MAX);
	}
	meter_feed(m, span_str(tail), &out);
	meter_finish(m, &out);
	passed += buf_len(&out);
	ck_assert_uint_eq(
	    passed, strlen(head) + strlen(tail) + 1024 * sizeof(block));
	ck_assert_uint_lt(most, 512 * 1024);
	ck_assert(meter_get(m)->has_usage && meter_get(m)->finished);
	ck_assert_uint_eq(meter_get(m)->usage.n[USAGE_input], 11);
	ck_assert_uint_eq(meter_get(m)->usage.n[USAGE_output], 22);
	ck_assert_uint_ge(meter_get(m)->text_bytes, 1024 * sizeof(block));
	meter_free(m);
	buf_fini(&out);
}

START_TEST(d07_usage_is_right_after_a_64_mb_line)
{
	const struct endpoint *ep = endpoint("chat.completions");
	const char *head = "data: {\"choices\":[{\"delta\":{\"content\":\"";
	const char *tail = "\"}}]}\n\ndata: {\"choices\":[" STOP
			   "],\"usage\":" USAGE(11, 22) "}\n\n";

	feed_huge((struct run){ep, true, false}, head, tail);
	feed_huge((struct run){ep, true, true}, head, tail);
	feed_huge((struct run){ep, true, true}, head,
	    "\"},\"finish_reason\":\"stop\"}],\"usage\":" USAGE(
		11, 22) "}\n\n");
	feed_huge((struct run){ep, false, false},
	    "{\"choices\":[{\"message\":{\"content\":\"",
	    "\"}}],\"usage\":" USAGE(11, 22) "}");
}
END_TEST

START_TEST(an_event_beyond_the_hold_passes)
{
	const char *head = "data: {\"pad\":\"";
	const char *tail = "\",\"choices\":[],\"usage\":" USAGE(1, 2) "}\n\n";
	size_t pad, fits = METER_HOLD - strlen(head) - strlen(tail);
	struct run how = {endpoint("chat.completions"), true, true};
	struct buf in = {0}, out = {0};
	struct meter_report r;

	for (pad = fits; pad <= fits + 1; pad++) {
		buf_reset(&in, SIZE_MAX);
		buf_addstr(&in, head);
		memset(buf_reserve(&in, pad), 'p', pad);
		buf_commit(&in, pad);
		buf_addstr(&in, tail);
		r = run(how, buf_span(&in), 0, SIZE_MAX, &out);
		ck_assert(r.has_usage);
		ck_assert_uint_eq(
		    buf_len(&out), pad == fits ? 0 : buf_len(&in));
		check_cuts(how, buf_span(&in), &r, buf_span(&out));
	}
	buf_fini(&in);
	buf_fini(&out);
}
END_TEST

START_TEST(an_endpoint_without_a_meter_passes_all)
{
	struct run how = {endpoint("models"), true, true};
	struct buf out = {0};

	run(how, SPAN("data: {\"usage\":null}\n\n"), 0, 3, &out);
	ck_assert_str_eq(buf_cstr(&out), "data: {\"usage\":null}\n\n");
	buf_fini(&out);
}
END_TEST

#define LOOP(tc, test, table) \
	tcase_add_loop_test(tc, test, 0, sizeof(table) / sizeof((table)[0]))

int
main(void)
{
	Suite *suite = suite_create("meter");
	TCase *tc = tcase_create("meter");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, recordings_are_metered_as_reported);
	tcase_add_test(tc, a_response_has_usage_only_where_it_ends);
	tcase_add_test(tc, a_response_that_failed_says_so);
	tcase_add_test(tc, counts_and_moderations_are_not_read);
	tcase_add_test(tc, what_an_image_model_puts_out_is_image);
	tcase_add_test(tc, speech_is_not_read_unless_it_comes_in_events);
	LOOP(tc, a_transcript_is_seconds_or_tokens, transcripts);
	tcase_add_test(tc, a_transcript_may_be_plain_text);
	LOOP(tc, only_what_we_caused_is_hidden, hidden);
	tcase_add_test(tc, usage_is_taken_only_at_its_path);
	tcase_add_test(tc, the_last_usage_replaces_earlier_ones);
	LOOP(tc, usage_is_made_disjoint, maps);
	tcase_add_test(tc, counts_that_cannot_be_true_are_not_believed);
	tcase_add_test(tc, the_end_of_an_answer_is_known);
	tcase_add_test(tc, errors_in_mid_stream_are_seen);
	tcase_add_test(tc, an_emoji_cut_in_two_costs_no_usage);
	tcase_add_test(tc, the_tier_reported_is_known);
	tcase_add_test(tc, text_is_counted_in_every_place_of_it);
	tcase_add_test(tc, d07_usage_is_right_after_a_64_mb_line);
	tcase_add_test(tc, an_event_beyond_the_hold_passes);
	tcase_add_test(tc, an_endpoint_without_a_meter_passes_all);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

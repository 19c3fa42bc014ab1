/*
 * The recordings of Azure, Anthropic, Gemini, Vertex AI and Bedrock through
 * the meters alone: whole, cut in every way, and the usage as reported. What
 * it should be is computed here from the manifest, by the providers' rules.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/jscan.h"
#include "hubd/api/api.h"

#define RECORDINGS  "../shared/recordings/"
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#define EACH_CUT_MAX 6000 /* bytes of one that is cut at every position */

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

/* ---- what the manifest says -----------------------------------------------
 */

static uint64_t
count(const struct json *obj, const char *name)
{
	const struct json *j = json_get(obj, name);
	uint64_t n = 0;

	if (j == NULL || j->type == JSON_NULL)
		return (0);
	if (j->type == JSON_NUMBER || j->type == JSON_STRING)
		ck_assert(jscan_count(span_str(j->text), &n));
	return (n);
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return (a < b ? a : b);
}

static void
want_openai(const struct json *u, struct usage *w)
{
	bool io = json_get(u, "input_tokens") != NULL;
	const struct json *in = json_get(u, io ? "input_tokens_details"
					       : "prompt_tokens_details"),
			  *out = json_get(u, io ? "output_tokens_details"
						: "completion_tokens_details");
	uint64_t cached = count(in, "cached_tokens");
	uint64_t written = count(in, "cache_write_tokens");
	uint64_t thought = count(out, "reasoning_tokens");

	w->n[USAGE_cache_read] = cached;
	w->n[USAGE_cache_write] = written;
	w->n[USAGE_audio_input] = count(in, "audio_tokens");
	w->n[USAGE_input] = count(u, io ? "input_tokens" : "prompt_tokens") -
			    cached - written - w->n[USAGE_audio_input];
	w->n[USAGE_reasoning] = thought;
	w->n[USAGE_audio_output] = count(out, "audio_tokens");
	w->n[USAGE_output] =
	    count(u, io ? "output_tokens" : "completion_tokens") - thought -
	    w->n[USAGE_audio_output];
}

static void
add_message(const struct json *u, struct usage *w)
{
	const struct json *split = json_get(u, "cache_creation");
	uint64_t written = count(u, "cache_creation_input_tokens");
	uint64_t hour =
	    least(written, count(split, "ephemeral_1h_input_tokens"));

	w->n[USAGE_input] += count(u, "input_tokens");
	w->n[USAGE_cache_read] += count(u, "cache_read_input_tokens");
	w->n[USAGE_cache_write_1h] += hour;
	w->n[USAGE_cache_write] += written - hour;
	w->n[USAGE_output] += count(u, "output_tokens");
}

/* The four are disjoint; steps are the bill where there are any. */
static void
want_anthropic(const struct json *u, struct usage *w)
{
	const struct json *steps = json_get(u, "iterations"), *tools;
	uint64_t thought;

	if (steps != NULL && steps->first != NULL) {
		for (steps = steps->first; steps != NULL; steps = steps->next)
			add_message(steps, w);
	} else {
		add_message(u, w);
	}
	thought =
	    count(json_get(u, "output_tokens_details"), "thinking_tokens");
	w->n[USAGE_reasoning] = thought;
	w->n[USAGE_output] -= thought;
	tools = json_get(u, "server_tool_use");
	w->n[USAGE_searches] = count(tools, "web_search_requests");
	w->n[USAGE_tool_calls] = count(tools, "web_fetch_requests");
}

/* Of a modality, by its name and its number. */
static uint64_t
modality(const struct json *u, const char *list, const char *name,
    const char *number)
{
	const struct json *d = json_get(u, list), *m;
	uint64_t n = 0;

	for (d = d != NULL ? d->first : NULL; d != NULL; d = d->next) {
		m = json_get(d, "modality");
		if (strcmp(m->text, name) == 0 || strcmp(m->text, number) == 0)
			n += count(d, "tokenCount");
	}
	return (n);
}

static void
want_gemini(const struct json *u, struct usage *w)
{
	static const char in[] = "promptTokensDetails";
	static const char kept[] = "cacheTokensDetails";
	static const char out[] = "candidatesTokensDetails";

	w->n[USAGE_cache_read] = count(u, "cachedContentTokenCount");
	w->n[USAGE_audio_input] =
	    modality(u, in, "AUDIO", "4") - modality(u, kept, "AUDIO", "4");
	w->n[USAGE_image_input] =
	    modality(u, in, "IMAGE", "2") - modality(u, kept, "IMAGE", "2");
	w->n[USAGE_input] = count(u, "promptTokenCount") +
			    count(u, "toolUsePromptTokenCount") -
			    w->n[USAGE_cache_read] - w->n[USAGE_audio_input] -
			    w->n[USAGE_image_input];
	w->n[USAGE_audio_output] = modality(u, out, "AUDIO", "4");
	w->n[USAGE_image_output] = modality(u, out, "IMAGE", "2");
	w->n[USAGE_output] = count(u, "candidatesTokenCount") -
			     w->n[USAGE_audio_output] -
			     w->n[USAGE_image_output];
	w->n[USAGE_reasoning] = count(u, "thoughtsTokenCount");
}

/* The first of some names that is there. */
static uint64_t
either(const struct json *u, const char *const *names)
{
	for (; *names != NULL; names++)
		if (json_get(u, *names) != NULL)
			return (count(u, *names));
	return (0);
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
want_bedrock(const struct json *u, struct usage *w)
{
	const struct json *results = json_get(u, "results.tokenCount");

	w->n[USAGE_input] = either(
	    u, NAMES("inputTokens", "inputTokenCount", "inputTextTokenCount",
		   "prompt_token_count", "input_tokens", "prompt_tokens",
		   "x-amzn-bedrock-input-token-count"));
	w->n[USAGE_output] =
	    either(u, NAMES("outputTokens", "outputTokenCount",
			  "totalOutputTextTokenCount", "generation_token_count",
			  "output_tokens", "completion_tokens",
			  "x-amzn-bedrock-output-token-count"));
	if (results != NULL && results->first != NULL)
		ck_assert(jscan_count(
		    span_str(results->first->text), &w->n[USAGE_output]));
	w->n[USAGE_cache_read] =
	    either(u, NAMES("cacheReadInputTokens", "cacheReadInputTokenCount",
			  "cache_read_input_tokens"));
	w->n[USAGE_cache_write] = either(
	    u, NAMES("cacheWriteInputTokens", "cacheWriteInputTokenCount",
		   "cache_creation_input_tokens"));
}

/* ---- which endpoint a recording is of -------------------------------------
 */

static const struct source {
	const char *provider, *endpoint; /* of the manifest */
	const char *id;
	void (*want)(const struct json *, struct usage *); /* NULL: free */
} sources[] = {
    {"azure", "chat.completions", "chat.completions", want_openai},
    {"azure", "completions", "completions", want_openai},
    {"azure", "embeddings", "embeddings", want_openai},
    {"azure", "responses", "responses", want_openai},
    {"bedrock", "chat.completions", "chat.completions", want_openai},
    {"bedrock", "responses", "responses", want_openai},
    {"anthropic", "messages", "messages", want_anthropic},
    {"anthropic", "count_tokens", "messages.count_tokens", NULL},
    {"gemini", "generateContent", "gemini.generate", want_gemini},
    {"gemini", "streamGenerateContent", "gemini.stream", want_gemini},
    {"gemini", "batchEmbedContents", "gemini.batch_embed", want_gemini},
    {"gemini", "countTokens", "gemini.count_tokens", NULL},
    {"vertex", "generateContent", "gemini.generate", want_gemini},
    {"vertex", "streamGenerateContent", "gemini.stream", want_gemini},
    {"vertex", "countTokens", "gemini.count_tokens", NULL},
    {"bedrock", "converse", "bedrock.converse", want_bedrock},
    {"bedrock", "converse-stream", "bedrock.converse_stream", want_bedrock},
    {"bedrock", "invoke", "bedrock.invoke", want_bedrock},
    {"bedrock", "invoke-with-response-stream", "bedrock.invoke_stream",
	want_bedrock},
};

/* Recordings of which the manifest's figures are not what is reported. */
static const struct odd {
	const char *file;
	uint64_t input, output;
	const char *why;
} odd[] = {
    {"vertex/generatecontent-unary-success-no-billable-characters.json", 0, 0,
	"an answer of countTokens: it has no usage"},
    {"vertex/generatecontent-unary-success-total-tokens.json", 0, 0,
	"an answer of countTokens: it has no usage"},
    {"bedrock/invoke-with-response-stream-test-guardrail-invoke-stream.bin", 6,
	3, "the manifest has none, but Titan counted, with fractions"},
};

static const struct odd *
odd_of(const char *file)
{
	for (size_t i = 0; i < ROWS(odd); i++)
		if (strcmp(odd[i].file, file) == 0)
			return (&odd[i]);
	return (NULL);
}

static const struct source *
source_of(const struct json *entry)
{
	const char *provider = json_get_str(entry, "provider");
	const char *endpoint = json_get_str(entry, "endpoint");

	for (size_t i = 0; i < ROWS(sources); i++)
		if (strcmp(sources[i].provider, provider) == 0 &&
		    strcmp(sources[i].endpoint, endpoint) == 0)
			return (&sources[i]);
	return (NULL);
}

/* ---- requests -------------------------------------------------------------
 */

/* A form or gzip among the requests is not for this reader. */
static bool
is_json_request(const struct buf *b)
{
	return (buf_len(b) > 0 && *buf_ptr(b) == '{');
}

/* What was really sent leads to the endpoint, and is understood. */
static void
check_request(const struct json *entry, const struct source *source)
{
	const char *file = json_get_str(entry, "request_body");
	const char *url = json_get_str(entry, "url"), *path, *query;
	const struct json *model = json_get(entry, "request_model");
	struct http1_head h = {.method = SPAN("POST")};
	struct api_target t;
	struct api_request r;
	const char *why = NULL;
	char name[512];
	struct buf body;

	if (file == NULL || json_get_int(entry, "status", 0) != 200 ||
	    strstr(url, "://") == NULL)
		return;
	path = strchr(strstr(url, "://") + 3, '/');
	query = strchr(path, '?');
	h.path = query != NULL ? span_of(path, (size_t)(query - path))
			       : span_str(path);
	if (query != NULL)
		h.query = span_str(query + 1);
	api_target(&h, false, &t);
	ck_assert_msg(t.error == API_OK, "%s: %s", url, t.why);
	ck_assert_msg(strcmp(t.endpoint->id, source->id) == 0, "%s: %s", url,
	    t.endpoint->id);
	snprintf(name, sizeof(name), RECORDINGS "%s", file);
	body = slurp(name);
	if (is_json_request(&body)) {
		ck_assert_msg(
		    api_inspect(&t, buf_span(&body), &r, &why) == API_OK,
		    "%s: %s", file, why);
		if (t.model[0] == '\0')
			ck_assert_str_eq(r.model, json_get_str(model, "body"));
		ck_assert_msg(r.text_bytes + r.media > 0, "%s", file);
	}
	buf_fini(&body);
}

/* ---- metering -------------------------------------------------------------
 */

struct recording {
	const char *file;
	const struct source *source;
	const struct endpoint *ep;
	enum meter_frame frame;
	const struct json *head; /* fields of the answer */
	struct buf in;
};

/* Feeds first bytes of it alone, then cut by cut. */
/* What passes is what came, but for what errors tell of the inside. */
static void
check_bytes(
    const struct recording *rec, const struct meter_report *r, struct span out)
{
	const struct span mark = SPAN("[removed]");

	if (r->failed && memmem(out.p, out.n, mark.p, mark.n) != NULL)
		ck_assert(memmem(out.p, out.n, "://", 3) == NULL);
	else
		ck_assert_msg(
		    span_eq(out, buf_span(&rec->in)), "%s", rec->file);
}

static struct meter_report
run(const struct recording *rec, size_t first, size_t cut)
{
	struct meter *m = meter_new(rec->ep, rec->frame, false);
	struct span in = buf_span(&rec->in);
	const struct json *f;
	struct meter_report r;
	struct buf out = {0};
	size_t i, n;
	char *copy;

	f = rec->head != NULL ? rec->head->first : NULL;
	for (; f != NULL; f = f->next)
		meter_field(m, span_str(f->key), span_str(f->text));
	for (i = 0; i < in.n; i += n) {
		n = i == 0 && first > 0 ? first : cut;
		n = in.n - i < n ? in.n - i : n;
		/* apart, so that reading behind the end is seen */
		copy = xmemdup0(in.p + i, n);
		meter_feed(m, span_of(copy, n), &out);
		free(copy);
	}
	meter_finish(m, &out);
	r = *meter_get(m);
	meter_free(m);
	check_bytes(rec, &r, buf_span(&out));
	buf_fini(&out);
	return (r);
}

static void
same_report(const struct recording *rec, const struct meter_report *a,
    const struct meter_report *b)
{
	ck_assert_msg(
	    memcmp(&a->usage, &b->usage, sizeof(a->usage)) == 0 &&
		a->has_usage == b->has_usage && a->partial == b->partial &&
		a->finished == b->finished && a->failed == b->failed &&
		a->broken == b->broken && a->tier == b->tier &&
		a->text_bytes == b->text_bytes && a->events == b->events &&
		a->bytes == b->bytes,
	    "%s", rec->file);
}

/* All that is wrong is told, not only the first. */
static unsigned wrong;

static void
check_usage(const struct recording *rec, const struct json *final,
    const struct meter_report *r)
{
	const struct odd *o = odd_of(rec->file);
	struct usage want = {0};
	size_t k;

	if (o != NULL) {
		want.n[USAGE_input] = o->input;
		want.n[USAGE_output] = o->output;
	} else if (rec->source->want != NULL && final != NULL &&
		   final->type == JSON_OBJECT) {
		rec->source->want(final, &want);
	}
	if (r->has_usage == usage_is_zero(&want)) {
		printf("%s: usage %s\n", rec->file,
		    r->has_usage ? "out of nowhere" : "not found");
		wrong++;
	}
	for (k = 0; k < USAGE_KINDS; k++) {
		if (r->usage.n[k] == want.n[k])
			continue;
		printf("%s: %s is %lu, not %lu\n", rec->file, usage_kind_str(k),
		    (unsigned long)r->usage.n[k], (unsigned long)want.n[k]);
		wrong++;
	}
}

/* The shortest so far of each endpoint and frame is cut everywhere. */
static struct recording shortest[64];
static size_t nshortest;

static void
keep_shortest(const struct recording *rec)
{
	size_t i;

	for (i = 0; i < nshortest; i++)
		if (shortest[i].ep == rec->ep &&
		    shortest[i].frame == rec->frame)
			break;
	if (i == nshortest) {
		nshortest++;
	} else if (buf_len(&shortest[i].in) <= buf_len(&rec->in)) {
		return;
	} else {
		buf_fini(&shortest[i].in);
	}
	ck_assert_uint_lt(i, ROWS(shortest));
	shortest[i] = *rec;
	memset(&shortest[i].in, 0, sizeof(shortest[i].in));
	buf_addspan(&shortest[i].in, buf_span(&rec->in));
}

static void
check_recording(const struct json *entry, const struct source *source)
{
	static const size_t cuts[] = {1, 2, 3, 7, 37, 1024, 65536};
	const char *type = json_get_str(entry, "content_type");
	struct recording rec = {.file = json_get_str(entry, "file"),
	    .source = source,
	    .ep = endpoint_by_id(span_str(source->id)),
	    .head = json_get(entry, "response_headers")};
	struct meter_report whole, r;
	char path[512];

	ck_assert_ptr_nonnull(rec.ep);
	snprintf(path, sizeof(path), RECORDINGS "%s", rec.file);
	rec.in = slurp(path);
	ck_assert_uint_gt(buf_len(&rec.in), 0);
	rec.frame = meter_frame_of(rec.ep, span_str(type));
	whole = run(&rec, 0, SIZE_MAX);
	if (json_get_int(entry, "status", 0) == 200)
		check_usage(&rec, json_get(entry, "usage_final"), &whole);
	for (size_t i = 0; i < ROWS(cuts); i++) {
		r = run(&rec, 0, cuts[i]);
		same_report(&rec, &r, &whole);
	}
	if (whole.has_usage && !whole.broken)
		keep_shortest(&rec);
	buf_fini(&rec.in);
}

START_TEST(recordings_are_metered_as_reported)
{
	struct buf text = slurp(RECORDINGS "manifest.json");
	struct json *manifest, *entry;
	const struct source *source;
	struct meter_report whole, r;
	size_t n = 0, i, at;

	if (buf_len(&text) == 0) {
		printf("left out: " RECORDINGS " is missing\n");
		return;
	}
	manifest = json_parse(buf_span(&text), NULL, 0);
	ck_assert_ptr_nonnull(manifest);
	for (entry = manifest->first; entry != NULL; entry = entry->next) {
		if ((source = source_of(entry)) == NULL)
			continue;
		check_request(entry, source);
		check_recording(entry, source);
		n++;
	}
	ck_assert_uint_gt(n, 260);
	ck_assert_uint_eq(wrong, 0);
	for (i = 0; i < nshortest; i++) {
		whole = run(&shortest[i], 0, SIZE_MAX);
		for (at = 1; at < least(buf_len(&shortest[i].in), EACH_CUT_MAX);
		     at++) {
			r = run(&shortest[i], at, SIZE_MAX);
			same_report(&shortest[i], &r, &whole);
		}
		buf_fini(&shortest[i].in);
	}
	ck_assert_uint_gt(nshortest, 12);
	json_free(manifest);
	buf_fini(&text);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("recordings");
	TCase *tc = tcase_create("recordings");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, recordings_are_metered_as_reported);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed != 0);
}

/*
 * What a Gemini request asks. The model is in the path; where a body names
 * it as well it must be the same, so that a rename renames it there, too.
 */
#include <string.h>

#include "common/json.h"
#include "hubd/api/dialect.h"
#include "hubd/api/inspect.h"

/* Both spellings are good (proto3's JSON). */
static const struct ask_field top[] = {
    ASK("generationConfig", ASK_CONFIG),
    ASK("generation_config", ASK_CONFIG),
    ASK("serviceTier", ASK_TIER),
    ASK("service_tier", ASK_TIER),
    ASK("safetySettings", ASK_QUIET),
    ASK("safety_settings", ASK_QUIET),
    ASK("cachedContent", ASK_QUIET),
    ASK("cached_content", ASK_QUIET),
    ASK("labels", ASK_QUIET),
    ASK("model", ASK_QUIET),
    ASK_END,
};
static const struct ask_field config[] = {
    ASK("maxOutputTokens", ASK_MAX),
    ASK("max_output_tokens", ASK_MAX),
    ASK("candidateCount", ASK_N),
    ASK("candidate_count", ASK_N),
    ASK_END,
};
static const char *const media[] = {
    "inlineData", "inline_data", "fileData", "file_data", NULL};
static const struct ask_shape shape = {
    .top = top, .config = config, .media = media};

enum api_error
gemini_inspect(const struct endpoint *ep, struct span body,
    struct api_request *req, const char **why)
{
	req->stream = ep->stream;
	req->no_output =
	    ep->meter == METER_COUNT || ep->meter == METER_GEMINI_EMBED;
	return (inspect_json(&shape, body, req, why));
}

/* ---- renaming -------------------------------------------------------------
 */

struct renamer {
	struct buf places; /* of struct api_place */
	bool holder;	   /* the top member under way may hold a model */
	bool model;	   /* its value comes next */
};

/* Of requests, which is a list of them, and of a request to be counted. */
static bool
on_key(struct jscan *s, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	struct renamer *r = arg;

	(void)s, (void)cut, (void)escaped, (void)begin;
	if (depth == 1)
		r->holder = span_eq(key, SPAN("requests")) ||
			    span_eq(key, SPAN("generateContentRequest"));
	r->model = span_eq(key, SPAN("model")) &&
		   (depth == 1 || (depth <= 3 && r->holder));
	return (true);
}

static bool
on_value(
    struct jscan *s, void *arg, unsigned depth, const struct jscan_value *v)
{
	struct renamer *r = arg;
	struct api_place at = {v->begin, v->end};

	(void)s, (void)depth;
	if (r->model && v->type == JSCAN_STRING)
		buf_add(&r->places, &at, sizeof(at));
	r->model = false;
	return (true);
}

static const struct jscan_handler renaming = {
    .on_key = on_key, .on_value = on_value};

/* The last place first, so that the others keep their offsets. */
static void
splice_all(const struct renamer *r, struct buf *body, struct span model)
{
	const char *p = buf_ptr(&r->places);
	size_t n = buf_len(&r->places) / sizeof(struct api_place);
	struct buf name = {0}, quoted = {0};
	struct api_place at;

	buf_addstr(&name, "models/");
	buf_addspan(&name, model);
	json_quote(&quoted, buf_span(&name));
	while (n-- > 0) {
		memcpy(&at, p + n * sizeof(at), sizeof(at));
		buf_splice(body, at.begin, at.end - at.begin, buf_ptr(&quoted),
		    buf_len(&quoted));
	}
	buf_fini(&quoted);
	buf_fini(&name);
}

void
gemini_prepare(const struct api_request *req, struct buf *body,
    struct span model, bool ask_usage)
{
	struct renamer r = {0};
	struct jscan s;

	(void)req, (void)ask_usage;
	jscan_init(&s, &renaming, &r);
	jscan_feed(&s, buf_span(body));
	splice_all(&r, body, model);
	buf_fini(&r.places);
}

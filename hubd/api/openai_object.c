/*
 * What requests about objects ask. There is no model in them: those of a
 * batch are in the lines of its file, which nobody reads here.
 */
#include <string.h>

#include "common/multipart.h"
#include "hubd/api/dialect.h"

#define LIST_LIMIT_MAX 10000

static void
begin(struct api_request *req)
{
	req->no_model = req->no_output = true;
	req->n = 1;
}

/* ---- a file: a form ------------------------------------------------------ */

struct upload {
	struct api_request *req;
	const char *why;
	bool purpose;
};

static bool
on_field(void *arg, const struct multipart_field *v)
{
	struct upload *u = arg;

	if (!span_ieq(v->name, SPAN("purpose")))
		return (true);
	if (!span_eq(v->name, SPAN("purpose")) || v->file || u->purpose ||
	    v->cut) {
		u->why = "The field \"purpose\" is there twice, or spelt in "
			 "an ambiguous way.";
		return (false);
	}
	u->purpose = true;
	u->req->batch = span_ieq(v->text, SPAN("batch"));
	return (true);
}

enum api_error
openai_inspect_upload(struct span boundary, struct span body,
    struct api_request *req, const char **why)
{
	struct upload u = {.req = req};
	struct multipart m;

	begin(req);
	req->form = true;
	multipart_init(&m, boundary, on_field, &u);
	if (multipart_feed(&m, body) != MULTIPART_DONE && u.why == NULL)
		u.why = "The body is not a valid multipart form.";
	else if (u.why == NULL && !u.purpose)
		u.why = "The field \"purpose\" is missing.";
	*why = u.why;
	return (u.why == NULL ? API_OK : API_ERR_invalid_request);
}

/* ---- a batch: JSON ------------------------------------------------------- */

struct batch {
	struct api_request *req;
	const char *why;
	bool is_file; /* the value that follows is the file's id */
};

static bool
on_key(struct jscan *s, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	const struct span name = SPAN("input_file_id");
	struct batch *b = arg;

	(void)s, (void)cut, (void)begin;
	b->is_file = false;
	if (depth != 1 || !span_ieq(key, name))
		return (true);
	if (escaped || !span_eq(key, name) || b->req->nrefs > 0) {
		b->why = "The field \"input_file_id\" is there twice, or "
			 "spelt in an ambiguous way.";
		return (false);
	}
	b->is_file = true;
	return (true);
}

static bool
on_value(
    struct jscan *s, void *arg, unsigned depth, const struct jscan_value *v)
{
	struct batch *b = arg;

	(void)s;
	if (depth == 0 && v->type != JSCAN_OBJECT) {
		b->why = "The body is not a JSON object.";
		return (false);
	}
	if (b->is_file && v->type == JSCAN_STRING)
		b->req->refs[b->req->nrefs++] =
		    (struct api_ref){{v->begin + 1, v->end - 1}, OBJECT_FILE};
	b->is_file = false;
	return (true);
}

static const struct jscan_handler handler = {
    .on_key = on_key, .on_value = on_value};

enum api_error
openai_inspect_batch(
    struct span body, struct api_request *req, const char **why)
{
	struct batch b = {.req = req};
	struct jscan s;

	begin(req);
	req->batch = true;
	jscan_init(&s, &handler, &b);
	jscan_feed(&s, body);
	if (jscan_finish(&s) == JSCAN_BAD)
		b.why = "The body is not valid JSON.";
	else if (b.why == NULL && req->nrefs == 0)
		b.why = "The field \"input_file_id\" is missing.";
	*why = b.why;
	return (b.why == NULL ? API_OK : API_ERR_invalid_request);
}

/* ---- what has no body, and lists ----------------------------------------- */

enum api_error
openai_inspect_nothing(
    struct span body, struct api_request *req, const char **why)
{
	begin(req);
	if (body.n == 0 || span_eq(body, SPAN("{}")))
		return (API_OK);
	*why = "This endpoint takes no body.";
	return (API_ERR_invalid_request);
}

static bool
take_limit(struct span v, struct api_list *list)
{
	uint64_t n;

	if (!jscan_count(v, &n) || n == 0 || n > LIST_LIMIT_MAX)
		return (false);
	list->limit = (uint32_t)n;
	return (true);
}

static bool
take_after(struct span v, struct api_list *list)
{
	if (!object_id_ok(v))
		return (false);
	memcpy(list->after, v.p, v.n);
	list->after[v.n] = '\0';
	return (true);
}

/* What is unknown is nobody's; what is known is as it should be. */
static bool
take_pair(struct span name, struct span v, struct api_list *list)
{
	if (span_eq(name, SPAN("limit")))
		return (list->limit == 0 && take_limit(v, list));
	if (span_eq(name, SPAN("after")))
		return (list->after[0] == '\0' && take_after(v, list));
	if (!span_eq(name, SPAN("order")))
		return (!span_eq(name, SPAN("stream")) ||
			span_eq(v, SPAN("false")));
	list->ascending = span_eq(v, SPAN("asc"));
	list->descending = span_eq(v, SPAN("desc"));
	return (list->ascending || list->descending);
}

bool
api_list_query(struct span query, struct api_list *list)
{
	const char *end, *equal;
	struct span pair, value;

	memset(list, 0, sizeof(*list));
	while (query.n > 0) {
		end = memchr(query.p, '&', query.n);
		pair = span_of(
		    query.p, end != NULL ? (size_t)(end - query.p) : query.n);
		query.p += pair.n + (end != NULL);
		query.n -= pair.n + (end != NULL);
		equal = memchr(pair.p, '=', pair.n);
		if (equal == NULL)
			continue;
		value =
		    span_of(equal + 1, (size_t)(pair.p + pair.n - equal) - 1);
		pair.n = (size_t)(equal - pair.p);
		if (!take_pair(pair, value, list))
			return (false);
	}
	return (true);
}

/* One pass over a request, guided by a table. */
#include "hubd/api/inspect.h"

#include <string.h>

#include "common/json.h"
#include "hubd/api/reader.h"

#define ENCODED_MIN 1024 /* shorter strings are text, whatever they hold */

struct inspector {
	const struct ask_shape *shape;
	struct api_request *req;
	const char *why;
	const struct ask_field *field; /* whose value comes next, or NULL */
	const struct ask_field *top;   /* the one at the top, under way */
	uint32_t seen_top, seen_config;
	unsigned media_depth; /* keys deeper than that are of media */
	bool media_next;
};

static bool
refuse(struct inspector *in, const char *why)
{
	in->why = why;
	return (false);
}

/* The row of a key; *in_why is set if it is there in an odd way. */
static const struct ask_field *
find_field(struct inspector *in, const struct ask_field *list, uint32_t *seen,
    struct span key, bool escaped)
{
	const struct ask_field *f;
	uint32_t bit = 1;

	for (f = list; f != NULL && f->name != NULL; f++, bit <<= 1) {
		if (!span_ieq(key, span_str(f->name)))
			continue;
		if (f->ask == ASK_QUIET)
			return (f);
		if (escaped || !span_eq(key, span_str(f->name)))
			in->why = f->odd;
		else if (*seen & bit)
			in->why = f->twice;
		*seen |= bit;
		return (f);
	}
	return (NULL);
}

static bool
is_media(const struct ask_shape *shape, struct span key)
{
	const char *const *m;

	for (m = shape->media; *m != NULL; m++)
		if (span_eq(key, span_str(*m)))
			return (true);
	return (false);
}

static bool
on_key(struct jscan *s, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	struct inspector *in = arg;

	(void)s, (void)begin;
	in->field = NULL;
	if (cut)
		key = span_of(NULL, 0);
	if (depth <= in->media_depth)
		in->media_depth = 0;
	in->media_next =
	    depth > 1 && in->media_depth == 0 && is_media(in->shape, key);
	if (depth == 1) {
		in->req->gap_last = false;
		in->field = in->top =
		    find_field(in, in->shape->top, &in->seen_top, key, escaped);
	} else if (depth == 2 && in->top != NULL &&
		   in->top->ask == ASK_CONFIG) {
		in->field = find_field(
		    in, in->shape->config, &in->seen_config, key, escaped);
	}
	return (in->why == NULL);
}

/* Next to a model in the path that of the body does not count. */
static const char *
skip_model(struct api_request *req, const struct jscan_value *v,
    const char *wrong_type)
{
	if (v->type == JSCAN_OBJECT || v->type == JSCAN_ARRAY)
		return (wrong_type);
	req->model_at = (struct api_place){v->begin, v->end};
	req->model_differs = v->type != JSCAN_STRING || v->cut ||
			     !span_eq(v->text, span_str(req->model));
	return (NULL);
}

const char *
inspect_model(struct api_request *req, const struct jscan_value *v,
    const char *wrong_type)
{
	size_t i;

	if (req->named)
		return (skip_model(req, v, wrong_type));
	if (v->type != JSCAN_STRING)
		return (wrong_type);
	if (v->size == 0)
		return ("The model's name is empty.");
	if (v->cut || v->size >= API_MODEL_MAX)
		return ("The model's name is too long.");
	for (i = 0; i < v->text.n; i++) {
		if ((unsigned char)v->text.p[i] < 0x20 || v->text.p[i] == 0x7f)
			return (wrong_type);
	}
	memcpy(req->model, v->text.p, v->text.n);
	req->model[v->text.n] = '\0';
	req->model_at = (struct api_place){v->begin, v->end};
	return (NULL);
}

bool
inspect_count(const struct jscan_value *v, uint64_t *out)
{
	uint64_t n;

	if (v->type == JSCAN_NULL)
		return (true);
	if (v->type != JSCAN_NUMBER || v->cut || !jscan_count(v->text, &n) ||
	    n > USAGE_MAX_COUNT)
		return (false);
	if (n > *out)
		*out = n;
	return (true);
}

bool
inspect_bool(const struct jscan_value *v, bool *out)
{
	if (v->type != JSCAN_TRUE && v->type != JSCAN_FALSE &&
	    v->type != JSCAN_NULL)
		return (false);
	*out = v->type == JSCAN_TRUE;
	return (true);
}

static bool
take_count(struct inspector *in, const struct jscan_value *v, uint64_t *out)
{
	return (inspect_count(v, out) || refuse(in, in->field->type));
}

static bool
take_tier(struct inspector *in, const struct jscan_value *v)
{
	if (v->type == JSCAN_NULL)
		return (true);
	if (v->type != JSCAN_STRING || v->cut)
		return (refuse(in, in->field->type));
	if (in->req->tier != TIER_FAST)
		in->req->tier = service_tier_parse(v->text.p, v->text.n);
	return (true);
}

static bool
take_field(struct inspector *in, const struct jscan_value *v)
{
	switch (in->field->ask) {
	case ASK_MODEL:
		in->why = inspect_model(in->req, v, in->field->type);
		return (in->why == NULL);
	case ASK_STREAM:
		return (inspect_bool(v, &in->req->stream) ||
			refuse(in, in->field->type));
	case ASK_TIER:
		return (take_tier(in, v));
	case ASK_MAX:
		return (take_count(in, v, &in->req->max_output));
	case ASK_N:
		return (take_count(in, v, &in->req->n));
	case ASK_CONFIG:
		if (v->type != JSCAN_OBJECT && v->type != JSCAN_NULL)
			return (refuse(in, in->field->type));
		return (true);
	case ASK_QUIET:
		break;
	}
	return (true);
}

/* Long and without a blank it is no text that somebody wrote. */
static bool
is_encoded(const struct jscan_value *v)
{
	return (v->size >= ENCODED_MIN && v->cut &&
		memchr(v->text.p, ' ', v->text.n) == NULL &&
		memchr(v->text.p, '\n', v->text.n) == NULL);
}

static void
weigh(struct inspector *in, const struct jscan_value *v)
{
	bool named = in->media_depth != 0;

	if (v->type != JSCAN_STRING)
		return;
	if (is_encoded(v))
		in->req->media += !named;
	else if (!named || memchr(v->text.p, ' ', v->text.n) != NULL)
		in->req->text_bytes += v->size;
}

static bool
on_value(
    struct jscan *s, void *arg, unsigned depth, const struct jscan_value *v)
{
	struct inspector *in = arg;
	struct api_request *req = in->req;

	(void)s;
	if (depth == 0) {
		req->model_gap = (struct api_place){v->begin + 1, v->begin + 1};
		req->gap_last = true;
		return (v->type == JSCAN_OBJECT
			    ? true
			    : refuse(in, "The body is not a JSON object."));
	}
	if (depth <= in->media_depth)
		in->media_depth = 0;
	if (in->media_next && v->type == JSCAN_OBJECT) {
		req->media++;
		in->media_depth = depth;
	}
	in->media_next = false;
	if (in->field != NULL) {
		const struct ask_field *f = in->field;
		bool good = take_field(in, v);

		in->field = NULL;
		if (f->ask != ASK_QUIET || !good)
			return (good);
	}
	if (in->top == NULL || in->top->ask != ASK_QUIET)
		weigh(in, v);
	return (true);
}

static bool
on_close(struct jscan *s, void *arg, unsigned depth, uint64_t offset)
{
	struct inspector *in = arg;

	(void)s;
	if (depth == 0)
		in->req->body_end = offset - 1;
	return (true);
}

static const struct jscan_handler inspecting = {
    .on_key = on_key, .on_value = on_value, .on_close = on_close};

enum api_error
inspect_json(const struct ask_shape *shape, struct span body,
    struct api_request *req, const char **why)
{
	struct inspector in = {.shape = shape, .req = req};
	struct jscan s;

	jscan_init(&s, &inspecting, &in);
	jscan_feed(&s, body);
	if (jscan_finish(&s) == JSCAN_BAD)
		in.why = "The body is not valid JSON.";
	else if (in.why == NULL && req->model[0] == '\0')
		in.why = "The field \"model\" is missing.";
	if (req->n == 0)
		req->n = 1;
	*why = in.why;
	return (in.why == NULL ? API_OK : API_ERR_invalid_request);
}

void
splice_model(const struct api_request *req, struct buf *body, struct span model)
{
	struct api_place at = req->model_at;
	struct buf value = {0};

	if (!req->model_differs && span_eq(model, span_str(req->model)))
		return;
	if (at.end == 0) {
		at = req->model_gap;
		buf_addstr(&value, "\"model\":");
	}
	json_quote(&value, model);
	if (req->model_at.end == 0 && !req->gap_last)
		buf_addstr(&value, ",");
	buf_splice(body, at.begin, at.end - at.begin, buf_ptr(&value),
	    buf_len(&value));
	buf_fini(&value);
}

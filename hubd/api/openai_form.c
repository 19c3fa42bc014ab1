/*
 * What an OpenAI request asks whose body is a form: files of sound and
 * images, with the model's name anywhere among them.
 */
#include <string.h>

#include "common/multipart.h"
#include "hubd/api/dialect.h"

#define WAV_HEAD     44
#define WAV_RATE_MIN 4000 /* bytes a second; others are not believed */
#define WAV_RATE_MAX 768000
#define N_MAX	     1000000

enum form_field { FF_MODEL, FF_STREAM, FF_N, FF_FORMAT, FF_COUNT };

/* Fields that decide routing, money or the shape of the answer. */
static const struct {
	const char *name, *twice, *odd, *value;
} fields[FF_COUNT] = {
#define FIELD(f, n)                                              \
	[f] = {n, "The field \"" n "\" is there twice.",         \
	    "The field \"" n "\" is spelt in an ambiguous way.", \
	    "The field \"" n "\" has a wrong value."}
    FIELD(FF_MODEL, "model"),
    FIELD(FF_STREAM, "stream"),
    FIELD(FF_N, "n"),
    FIELD(FF_FORMAT, "response_format"),
#undef FIELD
};

struct form {
	struct api_request *req;
	const char *why;
	unsigned seen;
};

static bool
refuse(struct form *f, const char *why)
{
	f->why = why;
	return (false);
}

static bool
take_model(struct form *f, const struct multipart_field *v)
{
	size_t i;

	if (f->req->named) {
		f->req->model_at =
		    (struct api_place){v->begin, v->begin + v->size};
		f->req->model_differs =
		    v->cut || !span_eq(v->text, span_str(f->req->model));
		return (true);
	}
	if (v->size == 0)
		return (refuse(f, "The model's name is empty."));
	if (v->cut || v->size >= API_MODEL_MAX)
		return (refuse(f, "The model's name is too long."));
	for (i = 0; i < v->text.n; i++) {
		if ((unsigned char)v->text.p[i] < 0x20 || v->text.p[i] == 0x7f)
			return (refuse(f, fields[FF_MODEL].value));
	}
	memcpy(f->req->model, v->text.p, v->text.n);
	f->req->model[v->text.n] = '\0';
	f->req->model_at = (struct api_place){v->begin, v->begin + v->size};
	return (true);
}

/* Servers read "1" and "yes" in different ways. */
static bool
take_stream(struct form *f, const struct multipart_field *v)
{
	if (!v->cut && (span_ieq(v->text, SPAN("true")) ||
			   span_ieq(v->text, SPAN("false")))) {
		f->req->stream = span_ieq(v->text, SPAN("true"));
		return (true);
	}
	return (refuse(f, fields[FF_STREAM].value));
}

static bool
take_n(struct form *f, const struct multipart_field *v)
{
	uint64_t n;

	if (v->cut || !jscan_count(v->text, &n) || n > N_MAX)
		return (refuse(f, fields[FF_N].value));
	f->req->n = n;
	return (true);
}

static uint32_t
little32(const char *p)
{
	uint32_t n = 0;
	int i;

	for (i = 3; i >= 0; i--)
		n = n << 8 | (unsigned char)p[i];
	return (n);
}

/* Plain WAV says how many bytes make a second. */
static void
weigh_file(struct form *f, const struct multipart_field *v)
{
	uint32_t rate;

	f->req->media++;
	f->req->media_bytes += v->size;
	if (v->text.n >= WAV_HEAD && memcmp(v->text.p, "RIFF", 4) == 0 &&
	    memcmp(v->text.p + 8, "WAVEfmt ", 8) == 0) {
		rate = little32(v->text.p + 28);
		if (rate >= WAV_RATE_MIN && rate <= WAV_RATE_MAX)
			f->req->sound_rate = rate;
	}
}

static bool
take_field(
    struct form *f, enum form_field which, const struct multipart_field *v)
{
	if (!span_eq(v->name, span_str(fields[which].name)) || v->file)
		return (refuse(f, fields[which].odd));
	if (f->seen & 1u << which)
		return (refuse(f, fields[which].twice));
	f->seen |= 1u << which;
	switch (which) {
	case FF_MODEL:
		return (take_model(f, v));
	case FF_STREAM:
		return (take_stream(f, v));
	case FF_N:
		return (take_n(f, v));
	case FF_FORMAT:
	case FF_COUNT:
		break;
	}
	return (true);
}

static bool
on_field(void *arg, const struct multipart_field *v)
{
	struct form *f = arg;
	enum form_field which;

	for (which = 0; which < FF_COUNT; which++)
		if (span_ieq(v->name, span_str(fields[which].name)))
			return (take_field(f, which, v));
	if (v->file)
		weigh_file(f, v);
	else if (span_eq(v->name, SPAN("prompt")))
		f->req->text_bytes += v->size;
	return (true);
}

enum api_error
openai_inspect_form(struct span boundary, struct span body,
    struct api_request *req, const char **why)
{
	struct form f = {.req = req};
	struct multipart m;

	req->form = true;
	req->n = 1;
	multipart_init(&m, boundary, on_field, &f);
	if (multipart_feed(&m, body) != MULTIPART_DONE && f.why == NULL)
		f.why = "The body is not a valid multipart form.";
	else if (f.why == NULL && req->model_at.end == 0 && !req->named)
		f.why = "The field \"model\" is missing.";
	req->model_differs |= req->model_at.end == 0;
	if (req->n == 0)
		req->n = 1;
	*why = f.why;
	return (f.why == NULL ? API_OK : API_ERR_invalid_request);
}

/* One field more, at the beginning; a form with a preamble stays as it is. */
static void
add_model(struct buf *body, struct span model)
{
	struct span s = buf_span(body);
	const char *end = memmem(s.p, s.n, "\r\n", 2);
	struct buf part = {0};

	if (end == NULL || !span_starts(s, SPAN("--")))
		return;
	buf_add(&part, s.p, (size_t)(end - s.p));
	buf_addstr(&part,
	    "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n");
	buf_addspan(&part, model);
	buf_addstr(&part, "\r\n");
	buf_splice(body, 0, 0, buf_ptr(&part), buf_len(&part));
	buf_fini(&part);
}

void
openai_prepare_form(
    const struct api_request *req, struct buf *body, struct span model)
{
	if (req->model_at.end == 0) {
		add_model(body, model);
		return;
	}
	buf_splice(body, req->model_at.begin,
	    req->model_at.end - req->model_at.begin, model.p, model.n);
}

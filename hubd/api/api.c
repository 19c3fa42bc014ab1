/* Dispatch to the dialects. */
#include "hubd/api/api.h"

#include <assert.h>
#include <string.h>

#include "common/multipart.h"
#include "hubd/api/dialect.h"

static const struct dialect_ops *const dialects[DIALECT_COUNT] = {
    [DIALECT_OPENAI] = &dialect_openai,
    [DIALECT_AZURE] = &dialect_azure,
    [DIALECT_ANTHROPIC] = &dialect_anthropic,
    [DIALECT_GEMINI] = &dialect_gemini,
    [DIALECT_BEDROCK] = &dialect_bedrock,
};

const struct dialect_ops *
dialect_ops(enum dialect d)
{
	assert(d < DIALECT_COUNT);
	return (dialects[d]);
}

const char *
dialect_str(enum dialect d)
{
	return (dialect_ops(d)->name);
}

const char *
api_id_field(enum dialect d)
{
	return (dialect_ops(d)->id_field);
}

/* A name of the list, or one that begins like one that ends in "-". */
static bool
listed(const char *const *list, struct span name)
{
	size_t n;

	for (; list != NULL && *list != NULL; list++) {
		n = strlen(*list);
		if (name.n == n || (name.n > n && (*list)[n - 1] == '-'))
			if (span_ieq(span_of(name.p, n), span_of(*list, n)))
				return (true);
	}
	return (false);
}

bool
api_forwards(enum dialect d, struct span name)
{
	return (listed(dialect_ops(d)->forwards, name));
}

bool
api_carries(enum dialect d, int status, struct span name)
{
	const struct dialect_ops *ops = dialect_ops(d);

	return (listed(ops->carries, name) ||
		(status == 429 && listed(ops->carries_429, name)));
}

struct span
api_carried_value(enum dialect d, struct span name, struct span value)
{
	const struct dialect_ops *ops = dialect_ops(d);

	return (ops->carried_value != NULL ? ops->carried_value(name, value)
					   : value);
}

void
api_models(
    struct buf *out, enum dialect d, const struct api_model *list, size_t n)
{
	struct jout o;

	jout_init(&o, out);
	dialect_ops(d)->models(&o, list, n);
}

void
api_model(struct buf *out, enum dialect d, const struct api_model *m)
{
	struct jout o;

	jout_init(&o, out);
	dialect_ops(d)->model(&o, m);
}

void
api_error_body(struct buf *out, enum dialect d, enum api_error e,
    const char *detail, const char *request_id)
{
	dialect_ops(d)->error_body(out, e, detail, request_id);
}

void
api_error_fields(struct buf *out, enum dialect d, enum api_error e)
{
	if (dialect_ops(d)->error_fields != NULL)
		dialect_ops(d)->error_fields(out, e);
}

void
api_error_event(struct buf *out, enum dialect d, enum meter_frame frame,
    enum meter_joint joint, enum api_error e, const char *request_id)
{
	const struct dialect_ops *ops = dialect_ops(d);

	if (frame == FRAME_EVENTS && ops->event_begin != NULL) {
		buf_addstr(out, ops->event_begin);
		ops->error_body(out, e, NULL, request_id);
		buf_addstr(out, ops->event_end);
	} else if (joint != JOINT_NONE && ops->error_joined != NULL) {
		ops->error_joined(out, joint, e, request_id);
	}
}

static bool
scrub_error(struct buf *out, enum dialect d, struct span provider_body)
{
	struct json *doc = scrub_parse(provider_body);
	struct jout o;
	bool good;

	jout_init(&o, out);
	good = dialect_ops(d)->put_error(&o, doc);
	json_free(doc);
	return (good);
}

bool
api_error_scrub(
    struct buf *out, enum dialect d, int status, struct span provider_body)
{
	switch (status) {
	case 400:
	case 404:
	case 413:
	case 422:
	case 429:
		return (scrub_error(out, d, provider_body));
	default:
		return (false);
	}
}

void
api_answer_scrub(struct buf *body, enum dialect d)
{
	struct buf clean = {0};

	if (!scrub_document(&clean, buf_span(body)))
		dialect_ops(d)->error_body(
		    &clean, API_ERR_upstream_error, NULL, NULL);
	buf_splice(body, 0, buf_len(body), buf_ptr(&clean), buf_len(&clean));
	buf_fini(&clean);
}

/* From before 2024-09 Azure refuses stream_options. */
#define AZURE_ASKED "2024-09"

/* What the target alone says. */
static const char *
begin_request(const struct api_target *t, struct api_request *req)
{
	memset(req, 0, sizeof(*req));
	req->dialect = t->dialect;
	req->no_ask = t->version[0] != '\0' &&
		      strcmp(t->version, AZURE_ASKED) < 0 &&
		      t->version[0] == '2';
	if (t->model[0] == '\0')
		return (NULL);
	if (strlen(t->model) >= sizeof(req->model))
		return ("The model's name is too long.");
	memcpy(req->model, t->model, strlen(t->model) + 1);
	req->named = true;
	return (NULL);
}

enum api_error
api_inspect(const struct api_target *t, struct span body,
    struct api_request *req, const char **why)
{
	assert(dialect_ops(t->dialect)->inspect != NULL);
	if ((*why = begin_request(t, req)) != NULL)
		return (API_ERR_invalid_request);
	if (t->endpoint->bodiless)
		return (openai_inspect_nothing(body, req, why));
	if (t->endpoint->use == USE_CREATE)
		return (openai_inspect_batch(body, req, why));
	return (dialect_ops(t->dialect)->inspect(t->endpoint, body, req, why));
}

enum api_error
api_form_type(struct span type, struct span *boundary)
{
	*boundary = multipart_boundary(type);
	return (boundary->n != 0 ? API_OK : API_ERR_unsupported_encoding);
}

enum api_error
api_inspect_form(const struct api_target *t, struct span boundary,
    struct span body, struct api_request *req, const char **why)
{
	const struct dialect_ops *ops = dialect_ops(t->dialect);

	assert(t->endpoint->form && ops->inspect_form != NULL);
	if ((*why = begin_request(t, req)) != NULL)
		return (API_ERR_invalid_request);
	if (t->endpoint->use == USE_CREATE)
		return (openai_inspect_upload(boundary, body, req, why));
	return (ops->inspect_form(boundary, body, req, why));
}

bool
api_prepares(const struct api_request *req, struct span model, bool ask_usage)
{
	return (dialect_ops(req->dialect)->prepare != NULL && !req->no_model &&
		(ask_usage || req->model_differs ||
		    !span_eq(model, span_str(req->model))));
}

void
api_prepare(const struct api_request *req, struct buf *body, struct span model,
    bool ask_usage)
{
	if (api_prepares(req, model, ask_usage))
		dialect_ops(req->dialect)->prepare(req, body, model, ask_usage);
}

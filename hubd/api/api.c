/* Dispatch to the dialects. */
#include <assert.h>
#include "hubd/api/api.h"

#include <assert.h>

#include "common/multipart.h"
#include "hubd/api/dialect.h"

static const struct dialect_ops *const dialects[DIALECT_COUNT] = {
    [DIALECT_OPENAI] = &dialect_openai,
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

struct span
api_key_of(enum dialect d, const struct http1_head *head)
{
	return (dialect_ops(d)->key_of(head));
}

void
api_error_body(struct buf *out, enum dialect d, enum api_error e,
    const char *detail, const char *request_id)
{
	dialect_ops(d)->error_body(out, e, detail, request_id);
}

void
api_error_event(
    struct buf *out, enum dialect d, enum api_error e, const char *request_id)
{
	dialect_ops(d)->error_event(out, e, request_id);
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
		return (dialect_ops(d)->error_scrub(out, provider_body));
	default:
		return (false);
	}
}

enum api_error
api_inspect(const struct endpoint *ep, struct span body,
    struct api_request *req, const char **why)
{
	memset(req, 0, sizeof(*req));
	req->dialect = ep->dialect;
	*why = NULL;
	return (dialect_ops(ep->dialect)->inspect(ep, body, req, why));
}

enum api_error
api_form_type(struct span type, struct span *boundary)
{
	*boundary = multipart_boundary(type);
	return (boundary->n != 0 ? API_OK : API_ERR_unsupported_encoding);
}

enum api_error
api_inspect_form(const struct endpoint *ep, struct span boundary,
    struct span body, struct api_request *req, const char **why)
{
	const struct dialect_ops *ops = dialect_ops(ep->dialect);

	assert(ep->form && ops->inspect_form != NULL);
	memset(req, 0, sizeof(*req));
	req->dialect = ep->dialect;
	*why = NULL;
	return (ops->inspect_form(boundary, body, req, why));
}

void
api_prepare(const struct api_request *req, struct buf *body, struct span model,
    bool ask_usage)
{
	dialect_ops(req->dialect)->prepare(req, body, model, ask_usage);
}

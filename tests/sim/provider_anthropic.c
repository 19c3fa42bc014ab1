/* Anthropic: x-api-key or a bearer key, a version, errors with a type. */
#include <string.h>

#include "tests/sim/provider.h"

static const struct wording words[] = {
    {400, "invalid_request_error", "The request is not valid."},
    {401, "authentication_error", "invalid x-api-key"},
    {402, "billing_error", "Your credit balance is too low."},
    {403, "permission_error",
	"Your API key does not have permission to use the specified "
	"resource."},
    {404, "not_found_error", "Not found"},
    {413, "request_too_large", "Request exceeds the maximum size"},
    {429, "rate_limit_error",
	"This request would exceed your organization's rate limit of 50 "
	"requests per minute."},
    {529, "overloaded_error", "Overloaded"},
    {0, "api_error", "Internal server error"},
};

static bool
owns(const struct sim_request *q)
{
	struct span path = q->head->path;

	return (span_starts(path, SPAN("/v1/messages")) ||
		span_eq(path, SPAN("/v1/complete")) ||
		(span_starts(path, SPAN("/v1/models")) &&
		    http1_find(q->head, "anthropic-version") != NULL));
}

static void
refuse(struct play *p, int status, const char *code, const char *message)
{
	struct wording w = wording_of(words, status, code, message);
	struct buf b = {0};

	buf_addf(&b,
	    "{\"type\":\"error\",\"error\":{\"type\":\"%s\","
	    "\"message\":",
	    w.code);
	json_quote(&b, span_str(w.message));
	buf_addstr(&b, "},\"request_id\":\"req_sim0123456789\"}");
	play_refusal(p, status, &b);
}

static bool
version_is_known(struct span v)
{
	return (
	    span_eq(v, SPAN("2023-06-01")) || span_eq(v, SPAN("2026-10-21")));
}

static bool
admit(const struct sim_request *q, struct play *p)
{
	struct span key = field_of(q, "x-api-key"), bearer = bearer_of(q);
	struct span version = field_of(q, "anthropic-version");

	if (sim_secrets.key != NULL && key.n == 0 && bearer.n == 0)
		refuse(p, 401, NULL, "x-api-key header is required");
	else if (sim_secrets.key != NULL && !is_key(key.n ? key : bearer))
		refuse(p, 401, NULL, NULL);
	else if (version.n == 0)
		refuse(p, 400, NULL, "anthropic-version: header is required");
	else if (!version_is_known(version))
		refuse(p, 400, NULL, "anthropic-version: not a valid version");
	else if (q->endpoint == NULL)
		refuse(p, 404, NULL, NULL);
	else
		return (true);
	return (false);
}

const struct sim_provider provider_anthropic = {
    .name = "anthropic",
    .owns = owns,
    .admit = admit,
    .refuse = refuse,
};

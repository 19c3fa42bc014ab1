/*
 * Azure OpenAI: OpenAI's bodies under /openai/, either dated, with the
 * deployment in the path and an api-version in the query, or "v1"; api-key or
 * a token of Entra ID; errors with a string for a code.
 */
#include <string.h>

#include "tests/sim/provider.h"

static const struct wording words[] = {
    {400, "BadRequest", "The request is not valid."},
    {401, "401",
	"Access denied due to invalid subscription key or wrong API "
	"endpoint. Make sure to provide a valid key for an active "
	"subscription and use a correct regional API endpoint for your "
	"resource."},
    {403, "403",
	"The principal lacks the required data action to perform this "
	"operation."},
    {404, "DeploymentNotFound",
	"The API deployment for this resource does not exist. If you "
	"created the deployment within the last 5 minutes, please wait a "
	"moment and try again."},
    {429, "429",
	"Requests have exceeded the call rate limit of your "
	"current pricing tier. Please retry after 1 second."},
    {0, "InternalServerError",
	"The server had an error while processing your request."},
};

/* A base URL that ends in '/' makes "//openai/"; Azure takes it. */
static struct span
path_of(const struct sim_request *q)
{
	struct span path = q->head->path;

	if (span_starts(path, SPAN("//")))
		path = span_of(path.p + 1, path.n - 1);
	return (path);
}

static bool
owns(const struct sim_request *q)
{
	return (span_starts(path_of(q), SPAN("/openai/")));
}

static void
refuse(struct play *p, int status, const char *code, const char *message)
{
	struct wording w = wording_of(words, status, code, message);
	struct buf b = {0};
	struct jout j;

	jout_init(&j, &b);
	jout_begin_object(&j);
	jout_key(&j, "error");
	jout_begin_object(&j);
	jout_kstr(&j, "code", w.code);
	jout_kstr(&j, "message", w.message);
	jout_end_object(&j);
	jout_end_object(&j);
	play_refusal(p, status, &b);
}

static bool
key_fits(const struct sim_request *q)
{
	struct span token = bearer_of(q);
	const struct issued *i;
	bool expired;

	if (is_key(field_of(q, "api-key")))
		return (true);
	/* The v1 API takes its key as OpenAI's does, too. */
	if (token.n == 0 || is_key(token))
		return (token.n > 0);
	i = issued_find(token, &expired);
	return (i != NULL && i->kind == ISSUED_ENTRA);
}

/* stream_options is known since 2024-09-01-preview. */
static bool
knows_options(struct span version)
{
	return (version.n < 10 || memcmp(version.p, "2024-09-01", 10) >= 0);
}

static bool
version_fits(const struct sim_request *q, struct play *p)
{
	struct buf version = {0};
	bool dated = !span_starts(path_of(q), SPAN("/openai/v1/"));
	bool fits = true;

	if (param_of(q->head->query, "api-version", &version) != dated &&
	    dated) {
		refuse(p, 404, "404", "Resource not found");
		fits = false;
	} else if (dated && q->options && !knows_options(buf_span(&version))) {
		refuse(p, 400, "BadRequest",
		    "Unrecognized request argument supplied: stream_options");
		fits = false;
	}
	buf_fini(&version);
	return (fits);
}

static bool
admit(const struct sim_request *q, struct play *p)
{
	if (sim_secrets.key != NULL && !key_fits(q))
		refuse(p, 401, NULL,
		    field_of(q, "api-key").n > 0 || bearer_of(q).n > 0
			? NULL
			: "Access denied due to missing subscription key. "
			  "Make sure to include subscription key when "
			  "making requests to an API.");
	else if (q->endpoint == NULL)
		refuse(p, 404, "404", "Resource not found");
	else
		return (version_fits(q, p));
	return (false);
}

const struct sim_provider provider_azure = {
    .name = "azure",
    .owns = owns,
    .admit = admit,
    .refuse = refuse,
};

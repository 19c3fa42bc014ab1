/*
 * Google: the Gemini API with a key in a header or the query, and Vertex AI
 * with an OAuth token (or a key in its express mode); errors as
 * google.rpc.Status.
 */
#include <string.h>

#include "tests/sim/provider.h"

static const struct wording words[] = {
    {400, "INVALID_ARGUMENT", "Request contains an invalid argument."},
    {401, "UNAUTHENTICATED",
	"Request had invalid authentication credentials. Expected OAuth 2 "
	"access token, login cookie or other valid authentication "
	"credential."},
    {403, "PERMISSION_DENIED",
	"Method doesn't allow unregistered callers (callers without "
	"established identity). Please use API Key or other form of API "
	"consumer identity to call this API."},
    {404, "NOT_FOUND",
	"The model is not found for this API version, or is not supported "
	"for this method. Call ListModels to see the list of available "
	"models and their supported methods."},
    {429, "RESOURCE_EXHAUSTED",
	"You exceeded your current quota, please check your plan and "
	"billing details."},
    {503, "UNAVAILABLE", "The model is overloaded. Please try again later."},
    {0, "INTERNAL", "An internal error has occurred."},
};

static bool
owns(const struct sim_request *q)
{
	struct span path = q->head->path;

	return (span_starts(path, SPAN("/v1beta")) ||
		span_starts(path, SPAN("/v1/projects/")) ||
		span_starts(path, SPAN("/v1/publishers/")) ||
		(span_starts(path, SPAN("/v1/models/")) &&
		    memchr(path.p, ':', path.n) != NULL));
}

/* The details of a status, as far as clients read them. */
static void
put_details(struct jout *j, int status, const char *code)
{
	jout_key(j, "details");
	jout_begin_array(j);
	jout_begin_object(j);
	if (status == 429) {
		jout_kstr(
		    j, "@type", "type.googleapis.com/google.rpc.RetryInfo");
		jout_kstr(j, "retryDelay", "1s");
	} else {
		jout_kstr(
		    j, "@type", "type.googleapis.com/google.rpc.ErrorInfo");
		jout_kstr(j, "reason", code);
		jout_kstr(j, "domain", "googleapis.com");
	}
	jout_end_object(j);
	jout_end_array(j);
}

/* code is the reason in the details; the status has its own name. */
static void
refuse(struct play *p, int status, const char *code, const char *message)
{
	struct wording w = wording_of(words, status, NULL, message);
	struct buf b = {0};
	struct jout j;

	jout_init(&j, &b);
	jout_begin_object(&j);
	jout_key(&j, "error");
	jout_begin_object(&j);
	jout_kint(&j, "code", status);
	jout_kstr(&j, "message", w.message);
	jout_kstr(&j, "status", w.code);
	if (code != NULL || status == 429)
		put_details(&j, status, code);
	jout_end_object(&j);
	jout_end_object(&j);
	play_refusal(p, status, &b);
}

static bool
token_fits(struct span token)
{
	bool expired;
	const struct issued *i = issued_find(token, &expired);

	return (i != NULL &&
		(i->kind == ISSUED_OAUTH || i->kind == ISSUED_METADATA));
}

/* The API key in the header or the query; false: none is there. */
static bool
find_key(const struct sim_request *q, struct buf *key)
{
	struct span field = field_of(q, "x-goog-api-key");

	buf_addspan(key, field);
	return (field.n > 0 || param_of(q->head->query, "key", key));
}

/* 0, or the status to refuse with. */
static int
check_credentials(const struct sim_request *q)
{
	struct span token = bearer_of(q);
	struct buf key = {0};
	int status = 403;

	/* Its OpenAI-shaped corner takes the key as a bearer. */
	if (token.n > 0 && path_has(q, "/openai/"))
		status = is_key(token) ? 0 : 400;
	else if (token.n > 0)
		status = token_fits(token) ? 0 : 401;
	else if (path_has(q, "/projects/"))
		status = 401;
	else if (find_key(q, &key))
		status = is_key(buf_span(&key)) ? 0 : 400;
	buf_fini(&key);
	return (status);
}

static bool
admit(const struct sim_request *q, struct play *p)
{
	int status = sim_secrets.key != NULL ? check_credentials(q) : 0;

	if (status == 400)
		refuse(p, 400, "API_KEY_INVALID",
		    "API key not valid. Please pass a valid API key.");
	else if (status != 0)
		refuse(p, status, NULL, NULL);
	else if (q->endpoint == NULL)
		refuse(p, 404, NULL, NULL);
	else
		return (true);
	return (false);
}

const struct sim_provider provider_google = {
    .name = "google",
    .owns = owns,
    .admit = admit,
    .refuse = refuse,
};

/*
 * Where Google's credentials come from: the OAuth token endpoint, which takes
 * a signed JWT (RFC 7523), and the metadata server of a virtual machine.
 */
#include <string.h>

#include "tests/sim/provider.h"

#define REAL_URL   "https://oauth2.googleapis.com/token"
#define GRANT	   "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define LONGEST	   3600 /* seconds that a JWT may live */
#define LEEWAY	   60
#define FRESH	   60 /* the metadata server renews in the last minute */
#define TOKEN_PATH "/computeMetadata/v1/instance/service-accounts/default/token"

static const struct wording words[] = {
    {400, "invalid_grant", "Invalid grant."},
    {401, "invalid_client", "The OAuth client was not found."},
    {403, "access_denied", "Missing Metadata-Flavor:Google header."},
    {404, "not_found", "Not found."},
    {429, "rate_limit_exceeded", "Rate limit exceeded."},
    {0, "internal_failure", "Internal failure."},
};

static bool
owns(const struct sim_request *q)
{
	return (span_eq(q->head->path, SPAN("/token")) ||
		span_starts(q->head->path, SPAN("/computeMetadata/")));
}

static void
refuse(struct play *p, int status, const char *code, const char *message)
{
	struct wording w = wording_of(words, status, code, message);
	struct buf b = {0};
	struct jout j;

	jout_init(&j, &b);
	jout_begin_object(&j);
	jout_kstr(&j, "error", w.code);
	jout_kstr(&j, "error_description", w.message);
	jout_end_object(&j);
	play_refusal(p, status, &b);
}

static void
play_token(struct play *p, const struct issued *i)
{
	struct buf b = {0};
	struct jout j;

	jout_init(&j, &b);
	jout_begin_object(&j);
	jout_kstr(&j, "access_token", i->name);
	jout_kint(&j, "expires_in", i->expires - sim_now());
	jout_kstr(&j, "token_type", "Bearer");
	jout_end_object(&j);
	play_json(p, 200, &b);
}

static bool
is_timely(const struct json *claims)
{
	int64_t iat = json_get_int(claims, "iat", INT64_MAX / 2);
	int64_t exp = json_get_int(claims, "exp", 0), now = sim_now();

	return (iat <= now + LEEWAY && exp > now - LEEWAY && exp > iat &&
		exp - iat <= LONGEST);
}

/* Is the audience this very endpoint, or the one that it plays? */
static bool
is_for_us(const struct sim_request *q, const struct json *claims)
{
	const char *aud = json_get_str(claims, "aud");
	struct buf url = {0};
	bool same;

	buf_addstr(&url, "http://");
	buf_addspan(&url, q->head->host);
	buf_addspan(&url, q->head->path);
	same = aud != NULL && (span_eq(span_str(aud), buf_span(&url)) ||
				  strcmp(aud, REAL_URL) == 0);
	buf_fini(&url);
	return (same);
}

/* What is wrong with an assertion; NULL: nothing. */
static const char *
flaw_of(const struct sim_request *q, const struct json *claims)
{
	if (claims == NULL)
		return ("Invalid JWT Signature.");
	if (json_get_str(claims, "iss") == NULL)
		return ("Invalid issuer: Not a service account.");
	if (!is_for_us(q, claims))
		return ("Invalid JWT: Failed audience check.");
	if (!is_timely(claims))
		return ("Invalid JWT: Token must be a short-lived token (60 "
			"minutes) and in a reasonable timeframe. Check your "
			"iat and exp values in the JWT claim.");
	return (NULL);
}

static void
answer_assertion(
    const struct sim_request *q, struct play *p, struct span assertion)
{
	struct json *claims = jwt_verify(assertion);
	const char *flaw = flaw_of(q, claims);

	if (flaw != NULL)
		refuse(p, 400, NULL, flaw);
	else if (json_get_str(claims, "scope") == NULL)
		refuse(p, 400, "invalid_scope",
		    "Invalid OAuth scope or ID token audience provided.");
	else
		play_token(p, issue(ISSUED_OAUTH));
	json_free(claims);
}

static void
answer_oauth(const struct sim_request *q, struct play *p)
{
	struct buf grant = {0}, assertion = {0};

	if (!param_of(q->body, "grant_type", &grant) ||
	    !span_eq(buf_span(&grant), SPAN(GRANT)))
		refuse(p, 400, "unsupported_grant_type", "Invalid grant_type.");
	else if (!param_of(q->body, "assertion", &assertion))
		refuse(p, 400, "invalid_request",
		    "Missing required parameter: assertion");
	else
		answer_assertion(q, p, buf_span(&assertion));
	buf_fini(&grant);
	buf_fini(&assertion);
}

static void
answer_metadata(const struct sim_request *q, struct play *p)
{
	const struct issued *i;

	if (!span_eq(field_of(q, "metadata-flavor"), SPAN("Google"))) {
		refuse(p, 403, NULL, NULL);
		return;
	}
	http1_put_field(&p->extra, "Metadata-Flavor", SPAN("Google"));
	if (!span_eq(q->head->path, SPAN(TOKEN_PATH))) {
		refuse(p, 404, NULL, NULL);
		return;
	}
	i = issued_newest(ISSUED_METADATA, FRESH);
	if (i != NULL)
		issued_count(ISSUED_METADATA);
	play_token(p, i ? i : issue(ISSUED_METADATA));
}

static void
answer(const struct sim_request *q, struct play *p)
{
	if (!span_eq(q->head->path, SPAN("/token")))
		answer_metadata(q, p);
	else if (!span_eq(q->head->method, SPAN("POST")))
		refuse(p, 405, "invalid_request", "POST it.");
	else
		answer_oauth(q, p);
}

const struct sim_provider issuer_google = {
    .name = "google-issuer",
    .owns = owns,
    .answer = answer,
    .refuse = refuse,
};

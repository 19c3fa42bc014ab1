/* Entra ID: tokens for client credentials (RFC 6749, 4.4). */
#include <stdio.h>
#include <string.h>

#include "tests/sim/provider.h"

static const struct wording words[] = {
    {400, "invalid_request",
	"AADSTS900144: The request body must contain a parameter that is "
	"missing."},
    {401, "invalid_client",
	"AADSTS7000215: Invalid client secret provided. Ensure the secret "
	"being sent in the request is the client secret value, not the "
	"client secret ID, for a secret added to app."},
    {429, "temporarily_unavailable",
	"AADSTS90033: A transient error has occurred. Please try again."},
    {0, "server_error",
	"AADSTS90033: A transient error has occurred. Please try again."},
};

static bool
owns(const struct sim_request *q)
{
	return (path_has(q, "/oauth2/v2.0/token"));
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
	jout_key(&j, "error_codes");
	jout_begin_array(&j);
	jout_int(&j, 7000215);
	jout_end_array(&j);
	jout_kstr(&j, "correlation_id", "00000000-0000-4000-8000-000000000001");
	jout_end_object(&j);
	play_refusal(p, status, &b);
}

static bool
has(const struct sim_request *q, const char *name, const char *value)
{
	struct buf got = {0};
	bool same = param_of(q->body, name, &got) && value != NULL &&
		    span_eq(buf_span(&got), span_str(value));

	buf_fini(&got);
	return (same);
}

/* ".../.default" of some resource: the scope of a client of its own. */
static bool
scope_fits(const struct sim_request *q)
{
	struct buf scope = {0};
	struct span end = SPAN("/.default");
	bool fits =
	    param_of(q->body, "scope", &scope) && buf_len(&scope) > end.n &&
	    memcmp(buf_ptr(&scope) + buf_len(&scope) - end.n, end.p, end.n) ==
		0;

	buf_fini(&scope);
	return (fits);
}

static void
play_token(struct play *p, const struct issued *i)
{
	struct buf b = {0};
	struct jout j;

	jout_init(&j, &b);
	jout_begin_object(&j);
	jout_kstr(&j, "token_type", "Bearer");
	jout_kint(&j, "expires_in", i->expires - sim_now());
	jout_kint(&j, "ext_expires_in", i->expires - sim_now());
	jout_kstr(&j, "access_token", i->name);
	jout_end_object(&j);
	play_json(p, 200, &b);
}

static void
answer(const struct sim_request *q, struct play *p)
{
	if (!has(q, "grant_type", "client_credentials"))
		refuse(p, 400, "unsupported_grant_type",
		    "AADSTS70003: The app requested an unsupported grant "
		    "type.");
	else if (!has(q, "client_id", sim_secrets.client))
		refuse(p, 400, "unauthorized_client",
		    "AADSTS700016: Application was not found in the "
		    "directory.");
	else if (!scope_fits(q))
		refuse(p, 400, "invalid_scope",
		    "AADSTS70011: The provided value for the input parameter "
		    "'scope' is not valid.");
	else if (!has(q, "client_secret", sim_secrets.client_secret))
		refuse(p, 401, NULL, NULL);
	else
		play_token(p, issue(ISSUED_ENTRA));
}

const struct sim_provider issuer_entra = {
    .name = "entra",
    .owns = owns,
    .answer = answer,
    .refuse = refuse,
};

/*
 * Google: the Gemini API and Vertex AI, with an API key, a service account
 * (RFC 7523) or the account of the machine that we run on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/agent_conf.h"
#include "agentd/base_url.h"
#include "agentd/google_key.h"
#include "agentd/google_url.h"
#include "agentd/oauth.h"
#include "agentd/provider.h"
#include "agentd/token.h"
#include "common/alloc.h"
#include "common/json.h"
#include "common/monotime.h"

#define SCOPE	      "https://www.googleapis.com/auth/cloud-platform"
#define GRANT	      "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define METADATA_HOST "169.254.169.254"
#define METADATA_PATH \
	"/computeMetadata/v1/instance/service-accounts/default/token"
#define SKEW_MS 30000 /* of our clock; less is not why Google refuses */

static const struct {
	const char *id, *method;
} endpoints[] = {
    {"gemini.generate", "generateContent"},
    {"gemini.stream", "streamGenerateContent"},
    {"gemini.count_tokens", "countTokens"},
    {"gemini.embed", "embedContent"},
    {"gemini.batch_embed", "batchEmbedContents"},
};

static const char *const kept_fields[] = {"content-type", "retry-after", NULL};
static const char *const sent_fields[] = {"x-server-timeout", NULL};

/* conf->state, by check() */
struct google {
	struct google_key *key; /* NULL: there is another credential */
	struct google_place place;
};

/* ---- tokens for a service account --------------------------------------- */

struct account {
	struct google_key *key; /* of the section */
	int64_t skew_ms;	/* the token server's clock minus ours */
};

static void
account_request(void *arg, unsigned step, struct token_request *r)
{
	struct account *a = arg;
	struct buf jwt = {0};

	(void)step;
	buf_addstr(&r->http.url, google_key_token_uri(a->key));
	oauth_post(r);
	oauth_form(&r->body, "grant_type", GRANT);
	/* Without a signature the server says what is wrong. */
	google_key_assert(
	    a->key, SCOPE, (walltime_ms() + a->skew_ms) / 1000, &jwt);
	oauth_form(&r->body, "assertion", buf_cstr(&jwt));
	buf_fini(&jwt);
}

/* Was it our clock? Then its own is known from now on. */
static bool
learn_clock(struct account *a, const struct token_answer *answer)
{
	int64_t skew, change;

	if (answer->status < 400 || answer->status >= 500 ||
	    answer->date_ms == -1)
		return (false);
	skew = answer->date_ms - walltime_ms();
	change = skew - a->skew_ms;
	if (change > -SKEW_MS && change < SKEW_MS)
		return (false);
	a->skew_ms = skew;
	return (true);
}

static enum token_step
account_answer(void *arg, unsigned step, const struct token_answer *answer,
    struct token *t, char why[TOKEN_WHY_MAX])
{
	if (step == 0 && learn_clock(arg, answer))
		return (TOKEN_NEXT);
	return (oauth_answer(answer, t, why));
}

static const struct token_source account_source = {
    .request = account_request,
    .answer = account_answer,
    .free = free,
};

/* ---- tokens of the machine ---------------------------------------------- */

static void
metadata_request(void *arg, unsigned step, struct token_request *r)
{
	const char *host = getenv("GCE_METADATA_HOST");

	(void)arg;
	(void)step;
	buf_addf(&r->http.url, "http://%s" METADATA_PATH,
	    host != NULL && *host != '\0' ? host : METADATA_HOST);
	r->http.method = "GET";
	r->direct = true;
	provider_request_add(&r->http, "Metadata-Flavor", "Google");
	provider_request_add(&r->http, "User-Agent", "agentd/" VERSION);
}

static enum token_step
metadata_answer(void *arg, unsigned step, const struct token_answer *a,
    struct token *t, char why[TOKEN_WHY_MAX])
{
	(void)arg;
	(void)step;
	if (span_eq(a->flavor, SPAN("Google")))
		return (oauth_answer(a, t, why));
	snprintf(why, TOKEN_WHY_MAX, "there is no metadata server of Google's");
	return (TOKEN_FAILED);
}

static const struct token_source metadata_source = {
    .request = metadata_request,
    .answer = metadata_answer,
    .free = free,
};

static struct credential *
google_credential(
    const struct provider_conf *conf, const struct credential_options *o)
{
	const struct google *g = conf->state;
	struct account *a;

	if (conf->metadata)
		return (credential_new(o, &metadata_source, NULL));
	if (g->key == NULL)
		return (NULL);
	a = xcalloc(1, sizeof(*a));
	a->key = g->key;
	return (credential_new(o, &account_source, a));
}

/* ---- the section -------------------------------------------------------- */

static bool
has_key(const struct provider_conf *c)
{
	return (c->api_key != NULL && c->api_key[0] != '\0');
}

static const char *
flaw_of(struct provider_conf *c, struct google *g)
{
	unsigned n = (unsigned)has_key(c) + (c->service_account != NULL) +
		     (unsigned)c->metadata;
	const char *why = NULL;
	struct base_url u;

	if (n == 0)
		return ("has none of api_key, service_account and metadata");
	if (n > 1)
		return ("has more than one of api_key, service_account and "
			"metadata");
	if (c->base_url != NULL &&
	    (!base_url_split(c->base_url, &u) || u.query.n > 0))
		return ("base_url is not an http or https URL without a query");
	if (c->service_account != NULL)
		g->key = google_key_load(c->service_account, &why);
	return (why);
}

static bool
google_check(struct provider_conf *c, const char **why)
{
	struct google *g = xcalloc(1, sizeof(*g));
	struct google_place *at = &g->place;

	c->state = g;
	if ((*why = flaw_of(c, g)) != NULL)
		return (false);
	at->base_url = c->base_url;
	at->vertex = c->project != NULL || c->location != NULL ||
		     google_url_is_vertex(c->base_url);
	at->location = c->location != NULL ? c->location : "global";
	at->project = c->project;
	if (at->project == NULL && g->key != NULL)
		at->project = google_key_project(g->key);
	/* Only a key alone tells Vertex whose it is. */
	if (at->vertex && at->project == NULL && !has_key(c))
		*why = "project is missing";
	/* A host of Vertex is some place's. */
	else if (at->vertex && at->project != NULL && c->base_url != NULL &&
		 c->location == NULL)
		*why = "location is missing";
	return (*why == NULL);
}

static void
google_release(struct provider_conf *c)
{
	struct google *g = c->state;

	if (g == NULL)
		return;
	google_key_free(g->key);
	free(g);
	c->state = NULL;
}

/* ---- calls -------------------------------------------------------------- */

static const char *
method_of(const char *endpoint)
{
	size_t i;

	for (i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		if (strcmp(endpoints[i].id, endpoint) == 0)
			return (endpoints[i].method);
	return (NULL);
}

static bool
google_make(const struct provider_conf *conf, const struct provider_call *call,
    struct provider_request *r)
{
	const struct google *g = conf->state;
	const char *method = method_of(call->endpoint);

	if (method == NULL ||
	    !google_url(&g->place, call->model, method, call->alt, &r->url))
		return (false);
	r->method = "POST";
	if (conf->credential != NULL)
		provider_request_add2(r, "Authorization", "Bearer ",
		    credential_secret(conf->credential).p);
	else
		provider_request_add(r, "x-goog-api-key", conf->api_key);
	provider_request_finish(r, call, sent_fields);
	return (true);
}

static bool
google_keep_field(struct span name)
{
	return (provider_field_in(name, kept_fields));
}

/* A key that is not valid is 400 here, as a user's mistake is. */
static enum provider_verdict
google_on_head(struct provider_conf *conf, const struct provider_answer *a)
{
	(void)conf;
	return (a->status == 400 ? PROVIDER_LOOK : provider_on_head(a->status));
}

/* The error, which a stream that is an array has in an array of one. */
static bool
is_key_refused(const struct json *doc)
{
	const struct json *d;
	const char *reason;

	if (doc != NULL && doc->type == JSON_ARRAY)
		doc = doc->first;
	d = json_get(json_get(doc, "error"), "details");
	for (d = d != NULL ? d->first : NULL; d != NULL; d = d->next) {
		reason = json_get_str(d, "reason");
		if (reason != NULL && strncmp(reason, "API_KEY_", 8) == 0)
			return (true);
	}
	return (false);
}

static enum provider_verdict
google_on_error(struct provider_conf *conf, int status, struct span body)
{
	struct json *doc = json_parse(body, NULL, 0);
	bool refused = is_key_refused(doc);

	(void)conf;
	(void)status;
	json_free(doc);
	return (refused ? PROVIDER_REFUSED : PROVIDER_PASS);
}

const struct provider_type provider_google = {
    .name = "google",
    .check = google_check,
    .release = google_release,
    .credential = google_credential,
    .make = google_make,
    .keep_field = google_keep_field,
    .on_head = google_on_head,
    .on_error = google_on_error,
};

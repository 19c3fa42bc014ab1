/*
 * Azure OpenAI: OpenAI's bodies at other addresses, which are either dated
 * (the deployment in the path, a version in the query) or "v1" (the
 * deployment in the body, as a model). Keys, or tokens of Entra ID.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/agent_conf.h"
#include "agentd/azure_url.h"
#include "agentd/base_url.h"
#include "agentd/oauth.h"
#include "agentd/provider.h"
#include "agentd/provider_openai.h"
#include "agentd/token.h"
#include "common/alloc.h"

static const char *const kept_fields[] = {
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-ratelimit-",
    "openai-processing-ms",
    "openai-model",
    NULL,
};

static const char *const sent_fields[] = {"openai-beta", NULL};

/* ---- tokens of Entra ID ------------------------------------------------- */

/* Clouds of their own have their own servers of tokens, and resources. */
static const struct cloud {
	const char *host_ends, *authority, *scope;
} clouds[] = {
    {".azure.us", "https://login.microsoftonline.us",
	"https://cognitiveservices.azure.us/.default"},
    {".azure.cn", "https://login.partner.microsoftonline.cn",
	"https://cognitiveservices.azure.cn/.default"},
    {"", "https://login.microsoftonline.com",
	"https://cognitiveservices.azure.com/.default"},
};

static const struct cloud *
cloud_of(const char *base_url)
{
	const struct cloud *c = clouds;
	struct base_url u;

	if (!base_url_split(base_url, &u))
		return (&clouds[2]);
	while (!base_url_host_ends(&u, c->host_ends))
		c++;
	return (c);
}

struct entra {
	const struct provider_conf *conf;
};

static void
entra_request(void *arg, unsigned step, struct token_request *r)
{
	const struct provider_conf *conf = ((struct entra *)arg)->conf;
	const struct cloud *cloud = cloud_of(conf->base_url);
	struct base_url u;

	(void)step;
	if (base_url_split(
		conf->authority != NULL ? conf->authority : cloud->authority,
		&u))
		base_url_put(&u, &r->http.url);
	buf_addstr(&r->http.url, "/");
	url_encode(&r->http.url, span_str(conf->tenant));
	buf_addstr(&r->http.url, "/oauth2/v2.0/token");
	oauth_post(r);
	oauth_form(&r->body, "grant_type", "client_credentials");
	oauth_form(&r->body, "client_id", conf->client_id);
	oauth_form(&r->body, "client_secret", conf->client_secret);
	oauth_form(&r->body, "scope", cloud->scope);
}

static enum token_step
entra_answer(void *arg, unsigned step, const struct token_answer *a,
    struct token *t, char why[TOKEN_WHY_MAX])
{
	(void)arg;
	(void)step;
	return (oauth_answer(a, t, why));
}

static const struct token_source entra_source = {
    .request = entra_request,
    .answer = entra_answer,
    .free = free,
};

/* ---- the type ----------------------------------------------------------- */

static bool
is_modelled(const struct provider_conf *conf, struct span deployment)
{
	char name[256];
	size_t i;

	snprintf(name, sizeof(name), "%.*s", (int)deployment.n, deployment.p);
	for (i = 0; i < conf->models.n; i++)
		if (fnmatch(conf->models.item[i], name, 0) == 0)
			return (true);
	return (deployment.n == 0);
}

static bool
has_key(const struct provider_conf *c)
{
	return (c->api_key != NULL && c->api_key[0] != '\0');
}

static const char *
flaw_of(const struct provider_conf *c)
{
	unsigned parts = (c->tenant != NULL) + (c->client_id != NULL) +
			 (c->client_secret != NULL);
	struct base_url u;

	if (c->base_url == NULL)
		return ("base_url is missing");
	if (azure_url_flaw(c->base_url) != NULL)
		return (azure_url_flaw(c->base_url));
	if (!is_modelled(c, azure_url_deployment(c->base_url)))
		return ("base_url names a deployment that models has not");
	if (c->api_version != NULL && !azure_url_is_version(c->api_version))
		return ("api_version is not like 2024-10-21");
	if (parts == 0 && !has_key(c))
		return ("has neither api_key nor tenant, client_id and "
			"client_secret");
	if (parts > 0 && has_key(c))
		return ("has api_key and an application of Entra ID");
	if (parts == 1 || parts == 2)
		return ("wants all of tenant, client_id and client_secret");
	if (c->authority != NULL &&
	    (!base_url_split(c->authority, &u) || u.query.n > 0))
		return ("authority is not an http or https URL");
	return (NULL);
}

static bool
azure_check(struct provider_conf *conf, const char **why)
{
	*why = flaw_of(conf);
	return (*why == NULL);
}

static struct credential *
azure_credential(
    const struct provider_conf *conf, const struct credential_options *o)
{
	struct entra *e;

	if (conf->tenant == NULL)
		return (NULL);
	e = xcalloc(1, sizeof(*e));
	e->conf = conf;
	return (credential_new(o, &entra_source, e));
}

static bool
put_url(const struct provider_conf *conf, const struct provider_call *call,
    const struct openai_endpoint *e, struct buf *url)
{
	struct buf path = {0};
	bool ok;

	ok = provider_openai_path(call, e, &path) &&
	     azure_url(conf->base_url, call->model, conf->api_version,
		 call->api_version, buf_cstr(&path), e->azure == AZURE_SCOPED,
		 url);
	buf_fini(&path);
	if (ok)
		provider_openai_query(call, url);
	return (ok);
}

static bool
azure_make(const struct provider_conf *conf, const struct provider_call *call,
    struct provider_request *r)
{
	struct openai_endpoint e;

	if (!provider_openai_endpoint(call, &e) || e.azure == AZURE_NONE)
		return (false);
	r->method = e.method;
	if (!put_url(conf, call, &e, &r->url))
		return (false);
	if (conf->credential != NULL)
		provider_request_add2(r, "Authorization", "Bearer ",
		    credential_secret(conf->credential).p);
	else
		provider_request_add(r, "api-key", conf->api_key);
	provider_request_finish(r, call, sent_fields);
	return (true);
}

static bool
azure_keep_field(struct span name)
{
	return (provider_field_in(name, kept_fields));
}

const struct provider_type provider_azure = {
    .name = "azure",
    .check = azure_check,
    .credential = azure_credential,
    .make = azure_make,
    .keep_field = azure_keep_field,
};

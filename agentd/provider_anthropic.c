/* Anthropic's Messages API. */
#include <string.h>

#include "agentd/agent_conf.h"
#include "agentd/base_url.h"
#include "agentd/provider.h"

#define ANTHROPIC_URL	  "https://api.anthropic.com"
#define ANTHROPIC_VERSION "2023-06-01"

static const struct {
	const char *id, *path;
} endpoints[] = {
    {"messages", "/messages"},
    {"messages.count_tokens", "/messages/count_tokens"},
};

static const char *const kept_fields[] = {
    "content-type",
    "retry-after",
    "x-should-retry",
    "anthropic-ratelimit-",
    "request-id",
    NULL,
};

/* Of the user's own; the version besides. */
static const char *const sent_fields[] = {"anthropic-beta", NULL};

/*
 * The API is at /v1 of whatever people paste: Anthropic's own clients want
 * a base without it, others with it.
 */
static bool
put_url(const struct provider_conf *conf, const char *path, struct buf *out)
{
	const char *text =
	    conf->base_url != NULL ? conf->base_url : ANTHROPIC_URL;
	struct base_url u;

	if (!base_url_split(text, &u) || u.query.n > 0)
		return (false);
	base_url_cut(&u, "/count_tokens");
	base_url_cut(&u, "/messages");
	base_url_put(&u, out);
	if (!base_url_has_version(&u))
		buf_addstr(out, "/v1");
	buf_addstr(out, path);
	return (true);
}

static bool
anthropic_check(struct provider_conf *conf, const char **why)
{
	struct buf url = {0};
	bool ok = put_url(conf, "", &url);

	buf_fini(&url);
	*why =
	    !ok ? "base_url is not an http or https URL without a query" : NULL;
	if (ok && (conf->api_key == NULL || conf->api_key[0] == '\0'))
		*why = "api_key is missing";
	return (*why == NULL);
}

/* Keys go in a field of their own, tokens of OAuth as such. */
static void
put_key(const struct provider_conf *conf, struct provider_request *r)
{
	if (strncmp(conf->api_key, "sk-ant-oat", 10) == 0)
		provider_request_add2(
		    r, "Authorization", "Bearer ", conf->api_key);
	else
		provider_request_add(r, "x-api-key", conf->api_key);
}

static const char *
path_of(const char *endpoint)
{
	size_t i;

	for (i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		if (strcmp(endpoints[i].id, endpoint) == 0)
			return (endpoints[i].path);
	return (NULL);
}

static bool
anthropic_make(const struct provider_conf *conf,
    const struct provider_call *call, struct provider_request *r)
{
	const char *path = path_of(call->endpoint);
	const char *version = provider_call_field(call, "anthropic-version");

	if (path == NULL || !put_url(conf, path, &r->url))
		return (false);
	r->method = "POST";
	put_key(conf, r);
	provider_request_add(r, "anthropic-version",
	    version != NULL ? version : ANTHROPIC_VERSION);
	provider_request_finish(r, call, sent_fields);
	return (true);
}

static bool
anthropic_keep_field(struct span name)
{
	return (provider_field_in(name, kept_fields));
}

/* 402 is about the bill of whose key it is. */
static enum provider_verdict
anthropic_on_head(struct provider_conf *conf, const struct provider_answer *a)
{
	(void)conf;
	return (
	    a->status == 402 ? PROVIDER_REFUSED : provider_on_head(a->status));
}

const struct provider_type provider_anthropic = {
    .name = "anthropic",
    .check = anthropic_check,
    .make = anthropic_make,
    .keep_field = anthropic_keep_field,
    .on_head = anthropic_on_head,
};

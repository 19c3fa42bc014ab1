/* The provider types of this version, and what they share. */
#include "agentd/provider.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "agentd/agent_conf.h"
#include "agentd/token.h"
#include "common/crypto.h"

static const struct provider_type *const types[] = {
    &provider_anthropic,
    &provider_aws,
    &provider_azure,
    &provider_google,
    &provider_openai,
};

const struct provider_type *
provider_type_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i]->name, name) == 0)
			return (types[i]);
	return (NULL);
}

void
providers_start(
    struct agent_conf *conf, struct loop *loop, struct upstream *upstream)
{
	struct credential_options o = {.loop = loop, .upstream = upstream};
	struct provider_conf *p;
	size_t i;

	for (i = 0; i < conf->nproviders; i++) {
		p = &conf->providers[i];
		if (p->type->credential == NULL)
			continue;
		o.name = p->name;
		o.proxy = p->proxy != NULL ? p->proxy : conf->proxy;
		o.proxy_loopback = p->proxy != NULL;
		o.ca_file = p->ca_file != NULL ? p->ca_file : conf->ca_file;
		p->credential = p->type->credential(p, &o);
	}
}

enum provider_verdict
provider_on_head(int status)
{
	return (
	    status == 401 || status == 403 ? PROVIDER_REFUSED : PROVIDER_PASS);
}

struct span
provider_answer_field(const struct provider_answer *a, struct span name)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		if (span_ieq(a->fields[i].name, name))
			return (a->fields[i].value);
	return (SPAN(""));
}

const char *
provider_call_field(const struct provider_call *call, const char *name)
{
	size_t i;

	for (i = 0; i < call->nfields; i++)
		if (strcmp(call->fields[i].name, name) == 0)
			return (call->fields[i].value);
	return (NULL);
}

void
provider_request_fini(struct provider_request *r)
{
	if (r->lines.mem != NULL)
		crypto_wipe(r->lines.mem, r->lines.cap);
	buf_fini(&r->url);
	buf_fini(&r->lines);
	r->headers[0] = NULL;
}

void
provider_request_add(
    struct provider_request *r, const char *name, const char *value)
{
	provider_request_add2(r, name, "", value);
}

void
provider_request_add2(struct provider_request *r, const char *name,
    const char *prefix, const char *value)
{
	buf_addstr(&r->lines, name);
	buf_addstr(&r->lines, ": ");
	buf_addstr(&r->lines, prefix);
	buf_addstr(&r->lines, value);
	buf_add(&r->lines, "", 1);
}

void
provider_request_seal(struct provider_request *r)
{
	const char *p = buf_ptr(&r->lines);
	const char *end = p + buf_len(&r->lines);
	size_t n = 0;

	for (; p < end; p += strlen(p) + 1) {
		assert(n < PROVIDER_MAX_HEADERS);
		r->headers[n++] = p;
	}
	r->headers[n] = NULL;
}

void
provider_request_finish(struct provider_request *r,
    const struct provider_call *call, const char *const *list)
{
	size_t i;

	if (call->content_type[0] != '\0')
		provider_request_add(r, "Content-Type", call->content_type);
	provider_request_add(r, "User-Agent", "agentd/" VERSION);
	for (i = 0; i < call->nfields; i++)
		if (provider_field_in(span_str(call->fields[i].name), list))
			provider_request_add(
			    r, call->fields[i].name, call->fields[i].value);
	provider_request_seal(r);
}

bool
provider_field_in(struct span name, const char *const *list)
{
	size_t n;

	for (; *list != NULL; list++) {
		n = strlen(*list);
		if (name.n < n || strncasecmp(name.p, *list, n) != 0)
			continue;
		if (name.n == n || (*list)[n - 1] == '-')
			return (true);
	}
	return (false);
}

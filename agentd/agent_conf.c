/* agentd.conf read and checked as a whole; its options: agent_options.c. */
#include "agentd/agent_conf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agentd/provider.h"
#include "agentd/token.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/linkproto.h"

/* ---- hubs --------------------------------------------------------------- */

static bool
is_loopback(struct span host)
{
	return (span_ieq(host, SPAN("localhost")) ||
		span_eq(host, SPAN("[::1]")) ||
		(span_starts(host, SPAN("127.")) &&
		    strspn(host.p, "0123456789.") >= host.n));
}

static struct span
host_of(struct span authority)
{
	const char *colon;

	if (authority.n > 0 && authority.p[0] == '[') {
		colon = memchr(authority.p, ']', authority.n);
		return (colon == NULL ? span_of(authority.p, 0)
				      : span_of(authority.p,
					    (size_t)(colon + 1 - authority.p)));
	}
	colon = memchr(authority.p, ':', authority.n);
	return (colon == NULL
		    ? authority
		    : span_of(authority.p, (size_t)(colon - authority.p)));
}

bool
agent_conf_is_port(const char *s, size_t n)
{
	unsigned long port = 0;
	size_t i;

	for (i = 1; i < n && s[i] >= '0' && s[i] <= '9' && port <= 65535; i++)
		port = port * 10 + (unsigned long)(s[i] - '0');
	return (n > 0 && s[0] == ':' && i == n && port > 0 && port <= 65535);
}

char *
agent_conf_hub_url(const char *url, bool plaintext, const char **why)
{
	bool tls = strncasecmp(url, "wss://", 6) == 0;
	const char *rest = url + (tls ? 6 : 5), *slash;
	struct span host, port, authority;

	*why = NULL;
	if (!tls && strncasecmp(url, "ws://", 5) != 0)
		*why = "is not a ws:// or wss:// URL";
	else if (strpbrk(url, " \t\r\n?#\\@\"") != NULL)
		*why = "has characters that a hub's URL has not";
	if (*why != NULL)
		return (NULL);
	slash = strchr(rest, '/');
	authority = span_of(
	    rest, slash == NULL ? strlen(rest) : (size_t)(slash - rest));
	host = host_of(authority);
	port = span_of(host.p + host.n, authority.n - host.n);
	if (host.n == 0)
		*why = "names no host";
	else if (port.n > 0 && !agent_conf_is_port(port.p, port.n))
		*why = "has a port that is not from 1 to 65535";
	else if (!tls && !plaintext && !is_loopback(host))
		*why = "would send the token unencrypted: use wss://, or set "
		       "plaintext = true";
	if (*why != NULL)
		return (NULL);
	if (slash == NULL)
		return (xasprintf("%s%s", url, LINK_PATH));
	if (slash[1] == '\0')
		return (xasprintf("%s%s", url, LINK_PATH + 1));
	return (xstrdup(url));
}

/* ---- the whole ---------------------------------------------------------- */

static int
check_hubs(struct agent_conf *c, const char *name, char *error, size_t cap)
{
	const char *why;
	char *full;
	size_t i;

	for (i = 0; i < c->hubs.n; i++) {
		full = agent_conf_hub_url(c->hubs.item[i], c->plaintext, &why);
		if (full == NULL) {
			snprintf(error, cap, "%s:%u: hub \"%s\" %s", name,
			    c->hubs_line, c->hubs.item[i], why);
			return (-1);
		}
		free(c->hubs.item[i]);
		c->hubs.item[i] = full;
	}
	return (0);
}

#define IN(field) offsetof(struct provider_conf, field)

/* Options that not every type has. */
static const struct {
	const char *option;
	size_t at;
	const char *types[4];
} owned[] = {
    {"api_key", IN(api_key), {"openai", "azure", "anthropic", "google"}},
    {"api_version", IN(api_version), {"azure"}},
    {"authority", IN(authority), {"azure"}},
    {"tenant", IN(tenant), {"azure"}},
    {"client_id", IN(client_id), {"azure"}},
    {"client_secret", IN(client_secret), {"azure"}},
    {"project", IN(project), {"google"}},
    {"location", IN(location), {"google"}},
    {"service_account", IN(service_account), {"google"}},
    {"region", IN(region), {"aws"}},
    {"access_key", IN(access_key), {"aws"}},
    {"secret_key", IN(secret_key), {"aws"}},
    {"session_token", IN(session_token), {"aws"}},
    {"bearer", IN(bearer), {"aws"}},
};

static bool
has_option(size_t i, const char *type)
{
	size_t j;

	for (j = 0; j < 4 && owned[i].types[j] != NULL; j++)
		if (strcmp(owned[i].types[j], type) == 0)
			return (true);
	return (false);
}

/* The first option that a section of this type cannot have, or NULL. */
static const char *
foreign_option(const struct provider_conf *p)
{
	const char *value;
	size_t i;

	for (i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
		memcpy(&value, (const char *)p + owned[i].at, sizeof(value));
		if (value != NULL && !has_option(i, p->type_name))
			return (owned[i].option);
	}
	return (p->metadata && strcmp(p->type_name, "google") != 0 ? "metadata"
								   : NULL);
}

static int
check_provider(
    struct provider_conf *p, const char *name, char *error, size_t cap)
{
	const char *why = agent_conf_check_name(p->name), *option;

	p->type = provider_type_find(p->type_name);
	assert(p->type != NULL); /* check_type() */
	if ((option = foreign_option(p)) != NULL) {
		snprintf(error, cap,
		    "%s:%u: provider \"%s\": has %s, which type %s has not",
		    name, p->line, p->name, option, p->type_name);
		return (-1);
	}
	if (why == NULL && p->type->check(p, &why))
		return (0);
	snprintf(error, cap, "%s:%u: provider \"%s\": %s", name, p->line,
	    p->name, why);
	return (-1);
}

static int
check_providers(struct agent_conf *c, const char *name, char *error, size_t cap)
{
	size_t i;

	if (c->nproviders == 0) {
		snprintf(error, cap, "%s: no provider section", name);
		return (-1);
	}
	for (i = 0; i < c->nproviders; i++)
		if (check_provider(&c->providers[i], name, error, cap) == -1)
			return (-1);
	return (0);
}

static struct agent_conf *
finish(struct agent_conf *c, const char *name, char *error, size_t cap)
{
	c->refs = 1;
	if (check_hubs(c, name, error, cap) == 0 &&
	    check_providers(c, name, error, cap) == 0)
		return (c);
	agent_conf_unref(c);
	return (NULL);
}

struct agent_conf *
agent_conf_load(const char *path, char *error, size_t cap)
{
	struct agent_conf *c = xcalloc(1, sizeof(*c));

	if (conf_read(&agent_schema, path, c, error, cap) == -1) {
		free(c);
		return (NULL);
	}
	return (finish(c, path, error, cap));
}

struct agent_conf *
agent_conf_parse(const char *name, struct span text, char *error, size_t cap)
{
	struct agent_conf *c = xcalloc(1, sizeof(*c));

	if (conf_parse(&agent_schema, name, text, c, error, cap) == -1) {
		free(c);
		return (NULL);
	}
	return (finish(c, name, error, cap));
}

struct agent_conf *
agent_conf_ref(struct agent_conf *c)
{
	c->refs++;
	return (c);
}

static void
wipe(char *secret)
{
	if (secret != NULL)
		crypto_wipe(secret, strlen(secret));
}

static void
provider_fini(struct provider_conf *p)
{
	credential_free(p->credential);
	/* A check before this one may have refused the whole. */
	if (p->type != NULL && p->type->release != NULL)
		p->type->release(p);
	wipe(p->api_key);
	wipe(p->client_secret);
	wipe(p->secret_key);
	wipe(p->session_token);
	wipe(p->bearer);
}

void
agent_conf_unref(struct agent_conf *c)
{
	size_t i;

	if (c == NULL || --c->refs > 0)
		return;
	wipe(c->token);
	for (i = 0; i < c->nproviders; i++)
		provider_fini(&c->providers[i]);
	conf_free(&agent_schema, c);
	free(c);
}

struct provider_conf *
agent_conf_provider(struct agent_conf *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->nproviders; i++)
		if (strcmp(c->providers[i].name, name) == 0)
			return (&c->providers[i]);
	return (NULL);
}

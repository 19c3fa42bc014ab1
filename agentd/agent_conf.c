/* agentd.conf: the table of its options, and what a table cannot check. */
#include "agentd/agent_conf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "agentd/provider.h"
#include "agentd/token.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/linkproto.h"

#define NAME_MAX_LEN 64
#define FILE_OPT     CONF_NONEMPTY

#define AT(field) offsetof(struct agent_conf, field)
#define IN(field) offsetof(struct provider_conf, field)

static const char *
check_name(const char *s)
{
	size_t i;

	if (strlen(s) > NAME_MAX_LEN)
		return ("is longer than 64 characters");
	for (i = 0; s[i] != '\0'; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyz"
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
			s[i]) == NULL)
			return ("has characters beyond letters, digits, ._-");
	return (NULL);
}

/* What goes into a header line of ours. */
static const char *
check_secret(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return ("has blanks or control characters");
	return (NULL);
}

static const char *
check_file(const char *s)
{
	return (access(s, R_OK) == 0 ? NULL : "cannot be read");
}

static const char *
check_ui(const char *s)
{
	const char *colon = strrchr(s, ':');
	char *end;
	unsigned long port;

	if (colon == NULL || colon == s)
		return ("is not ADDRESS:PORT");
	port = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port > 65535)
		return ("has no port up to 65535");
	return (NULL);
}

static const char *
check_type(const char *s)
{
	static const char *const later[] = {
	    "azure", "anthropic", "google", "aws"};
	size_t i;

	if (provider_type_find(s) != NULL)
		return (NULL);
	for (i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (strcmp(s, later[i]) == 0)
			return ("is not in this version");
	return ("is no provider type");
}

static const struct conf_option options[] = {
    {.name = "name",
	.type = CONF_STR,
	.offset = AT(name),
	.flags = CONF_REQUIRED | CONF_NONEMPTY,
	.check = check_name},
    {.name = "hubs",
	.type = CONF_LIST,
	.offset = AT(hubs),
	.flags = CONF_REQUIRED | CONF_NONEMPTY},
    {.name = "token",
	.type = CONF_STR,
	.offset = AT(token),
	.flags = CONF_REQUIRED | CONF_NONEMPTY,
	.check = check_secret},
    {.name = "links",
	.type = CONF_INT,
	.offset = AT(links),
	.def = "2",
	.min = 1,
	.max = 64},
    {.name = "capacity",
	.type = CONF_INT,
	.offset = AT(capacity),
	.def = "256",
	.min = 1,
	.max = LINK_MAX_STREAMS - 1},
    {.name = "ui",
	.type = CONF_STR,
	.offset = AT(ui),
	.flags = CONF_NONEMPTY,
	.check = check_ui},
    {.name = "ca_file",
	.type = CONF_STR,
	.offset = AT(ca_file),
	.flags = FILE_OPT,
	.check = check_file},
    {.name = "proxy",
	.type = CONF_STR,
	.offset = AT(proxy),
	.flags = CONF_NONEMPTY},
    {.name = "log",
	.type = CONF_STR,
	.offset = AT(log),
	.flags = CONF_NONEMPTY},
    {.name = "plaintext",
	.type = CONF_BOOL,
	.offset = AT(plaintext),
	.def = "false"},
    {.name = "link_max_age",
	.type = CONF_TIME,
	.offset = AT(link_max_age_ms),
	.def = "24h",
	.min = 1000,
	.max = 30 * 86400000LL},
    {.name = "drain",
	.type = CONF_TIME,
	.offset = AT(drain_ms),
	.def = "300s",
	.max = 86400000LL},
};

static const struct conf_option provider_options[] = {
    {.name = "type",
	.type = CONF_STR,
	.offset = IN(type_name),
	.flags = CONF_REQUIRED,
	.check = check_type},
    {.name = "base_url",
	.type = CONF_STR,
	.offset = IN(base_url),
	.flags = CONF_NONEMPTY},
    {.name = "api_key",
	.type = CONF_STR,
	.offset = IN(api_key),
	.check = check_secret},
    {.name = "models",
	.type = CONF_LIST,
	.offset = IN(models),
	.flags = CONF_REQUIRED | CONF_NONEMPTY},
    {.name = "weight",
	.type = CONF_INT,
	.offset = IN(weight),
	.def = "1",
	.min = 0,
	.max = 1000},
    {.name = "capacity",
	.type = CONF_INT,
	.offset = IN(capacity),
	.def = "0",
	.max = LINK_MAX_STREAMS},
    {.name = "proxy",
	.type = CONF_STR,
	.offset = IN(proxy),
	.flags = CONF_NONEMPTY},
    {.name = "ca_file",
	.type = CONF_STR,
	.offset = IN(ca_file),
	.flags = FILE_OPT,
	.check = check_file},
};

static const struct conf_section sections[] = {
    {.name = "provider",
	.options = provider_options,
	.noptions = sizeof(provider_options) / sizeof(provider_options[0]),
	.titled = true,
	.size = sizeof(struct provider_conf),
	.array_offset = AT(providers),
	.count_offset = AT(nproviders),
	.title_offset = IN(name)},
};

static const struct conf_schema schema = {
    .options = options,
    .noptions = sizeof(options) / sizeof(options[0]),
    .sections = sections,
    .nsections = sizeof(sections) / sizeof(sections[0]),
};

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

char *
agent_conf_hub_url(const char *url, bool plaintext, const char **why)
{
	bool tls = strncasecmp(url, "wss://", 6) == 0;
	const char *rest = url + (tls ? 6 : 5), *slash;
	struct span host;

	*why = NULL;
	if (!tls && strncasecmp(url, "ws://", 5) != 0)
		*why = "is not a ws:// or wss:// URL";
	else if (strpbrk(url, " \t\r\n?#\\@\"") != NULL)
		*why = "has characters that a hub's URL has not";
	if (*why != NULL)
		return (NULL);
	slash = strchr(rest, '/');
	host = host_of(span_of(
	    rest, slash == NULL ? strlen(rest) : (size_t)(slash - rest)));
	if (host.n == 0)
		*why = "names no host";
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
			snprintf(error, cap, "%s: hub \"%s\" %s", name,
			    c->hubs.item[i], why);
			return (-1);
		}
		free(c->hubs.item[i]);
		c->hubs.item[i] = full;
	}
	return (0);
}

static int
check_providers(struct agent_conf *c, const char *name, char *error, size_t cap)
{
	const char *why = NULL;
	struct provider_conf *p;
	size_t i;

	if (c->nproviders == 0) {
		snprintf(error, cap, "%s: no provider section", name);
		return (-1);
	}
	for (i = 0; i < c->nproviders; i++) {
		p = &c->providers[i];
		p->type = provider_type_find(p->type_name);
		assert(p->type != NULL); /* check_type() */
		if (check_name(p->name) == NULL && p->type->check(p, &why))
			continue;
		snprintf(error, cap, "%s: provider \"%s\" %s", name, p->name,
		    why != NULL ? why : check_name(p->name));
		return (-1);
	}
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

	if (conf_read(&schema, path, c, error, cap) == -1) {
		free(c);
		return (NULL);
	}
	return (finish(c, path, error, cap));
}

struct agent_conf *
agent_conf_parse(const char *name, struct span text, char *error, size_t cap)
{
	struct agent_conf *c = xcalloc(1, sizeof(*c));

	if (conf_parse(&schema, name, text, c, error, cap) == -1) {
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
	conf_free(&schema, c);
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

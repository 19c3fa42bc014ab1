/* The options of agentd.conf as tables, and what one value must be like. */
#include <string.h>
#include <strings.h>
#include <stdlib.h>
#include <unistd.h>

#include "agentd/agent_conf.h"
#include "agentd/provider.h"
#include "agentd/trust.h"
#include "common/linkproto.h"

#define NAME_MAX_LEN 64

#define AT(field) offsetof(struct agent_conf, field)
#define IN(field) offsetof(struct provider_conf, field)

const char *
agent_conf_check_name(const char *s)
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
check_ca(const char *s)
{
	const char *why = check_file(s);

	if (why == NULL && !trust_is_good(s))
		why = "has no certificates in PEM";
	return (why);
}

/* What becomes a part of a path or a query. */
static const char *
check_word(const char *s)
{
	for (; *s != '\0'; s++)
		if (strchr("abcdefghijklmnopqrstuvwxyz"
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-",
			*s) == NULL)
			return ("has characters beyond letters, digits, .:_-");
	return (NULL);
}

/* What becomes a part of a host's name. */
static const char *
check_label(const char *s)
{
	for (; *s != '\0'; s++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-", *s) == NULL)
			return ("has characters beyond a-z, digits and -");
	return (NULL);
}

/* Without a scheme it is HTTP. */
static const char *
check_proxy(const char *s)
{
	static const char *const schemes[] = {
	    "http", "https", "socks5", "socks5h", "socks4", "socks4a"};
	const char *host = strstr(s, "://");
	size_t i, n = host == NULL ? 0 : (size_t)(host - s);

	if (strpbrk(s, " \t\r\n") != NULL)
		return ("has blanks");
	if (host == NULL)
		return (NULL);
	if (host[3] == '\0')
		return ("names no host");
	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strlen(schemes[i]) == n &&
		    strncasecmp(s, schemes[i], n) == 0)
			return (NULL);
	return ("is no http://, https:// or socks5:// URL");
}

static const char *
check_ui(const char *s)
{
	const char *colon = strrchr(s, ':');

	if (colon == NULL || colon == s)
		return ("is not ADDRESS:PORT");
	if (!agent_conf_is_port(colon, strlen(colon)))
		return ("has no port from 1 to 65535");
	return (NULL);
}

static const char *
check_type(const char *s)
{
	return (provider_type_find(s) != NULL ? NULL : "is no provider type");
}

static const struct conf_option options[] = {
    {.name = "name",
	.type = CONF_STR,
	.offset = AT(name),
	.flags = CONF_REQUIRED | CONF_NONEMPTY,
	.check = agent_conf_check_name},
    {.name = "hubs",
	.type = CONF_LIST,
	.offset = AT(hubs),
	.flags = CONF_REQUIRED | CONF_NONEMPTY,
	.line_offset = AT(hubs_line)},
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
	.flags = CONF_NONEMPTY,
	.check = check_ca},
    {.name = "proxy",
	.type = CONF_STR,
	.offset = AT(proxy),
	.flags = CONF_NONEMPTY,
	.check = check_proxy},
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
    {.name = "api_version",
	.type = CONF_STR,
	.offset = IN(api_version),
	.flags = CONF_NONEMPTY,
	.check = check_word},
    {.name = "authority",
	.type = CONF_STR,
	.offset = IN(authority),
	.flags = CONF_NONEMPTY},
    {.name = "tenant",
	.type = CONF_STR,
	.offset = IN(tenant),
	.flags = CONF_NONEMPTY,
	.check = check_word},
    {.name = "client_id",
	.type = CONF_STR,
	.offset = IN(client_id),
	.flags = CONF_NONEMPTY,
	.check = check_word},
    {.name = "client_secret",
	.type = CONF_STR,
	.offset = IN(client_secret),
	.flags = CONF_NONEMPTY,
	.check = check_secret},
    {.name = "project",
	.type = CONF_STR,
	.offset = IN(project),
	.flags = CONF_NONEMPTY,
	.check = check_word},
    {.name = "location",
	.type = CONF_STR,
	.offset = IN(location),
	.flags = CONF_NONEMPTY,
	.check = check_label},
    {.name = "service_account",
	.type = CONF_STR,
	.offset = IN(service_account),
	.flags = CONF_NONEMPTY,
	.check = check_file},
    {.name = "metadata",
	.type = CONF_BOOL,
	.offset = IN(metadata),
	.def = "false"},
    {.name = "region",
	.type = CONF_STR,
	.offset = IN(region),
	.flags = CONF_NONEMPTY,
	.check = check_label},
    {.name = "access_key",
	.type = CONF_STR,
	.offset = IN(access_key),
	.flags = CONF_NONEMPTY,
	.check = check_word},
    {.name = "secret_key",
	.type = CONF_STR,
	.offset = IN(secret_key),
	.flags = CONF_NONEMPTY,
	.check = check_secret},
    {.name = "session_token",
	.type = CONF_STR,
	.offset = IN(session_token),
	.flags = CONF_NONEMPTY,
	.check = check_secret},
    {.name = "bearer",
	.type = CONF_STR,
	.offset = IN(bearer),
	.flags = CONF_NONEMPTY,
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
	.flags = CONF_NONEMPTY,
	.check = check_proxy},
    {.name = "ca_file",
	.type = CONF_STR,
	.offset = IN(ca_file),
	.flags = CONF_NONEMPTY,
	.check = check_ca},
};

static const struct conf_section sections[] = {
    {.name = "provider",
	.options = provider_options,
	.noptions = sizeof(provider_options) / sizeof(provider_options[0]),
	.titled = true,
	.size = sizeof(struct provider_conf),
	.array_offset = AT(providers),
	.count_offset = AT(nproviders),
	.title_offset = IN(name),
	.line_offset = IN(line)},
};

const struct conf_schema agent_schema = {
    .options = options,
    .noptions = sizeof(options) / sizeof(options[0]),
    .sections = sections,
    .nsections = sizeof(sections) / sizeof(sections[0]),
};

/* hubd.conf: the table of options, its checks, and each role's part. */
#include "hubd/hub_conf.h"

#include <ctype.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/address.h"
#include "hubd/ledger/pgconn.h"
#include "hubd/limit/redis_url.h"

#define RUN_DIR_MAX    80 /* the path of a socket below it has 107 bytes */
#define LISTEN_MAX     8
#define WORKERS_MAX    64
#define MODEL_NAME_MAX 127

static const char *const unpriced_words[] = {"refuse", "free", NULL};
static const char *const disconnect_words[] = {"cancel", "drain", NULL};
static const char *const hold_words[] = {"strict", "soft", NULL};
static const char *const format_words[] = {"json", "logfmt", NULL};
static const char *const strategy_words[] = {"load", "latency", "price", NULL};
static const char *const level_words[] = {
    "error", "warn", "info", "debug", NULL};

static const char *
check_address(const char *value)
{
	return (address_wrong(value));
}

static const char *
check_run_dir(const char *value)
{
	return (strlen(value) > RUN_DIR_MAX ? "is too long a path" : NULL);
}

/* Its form alone; what it says may hold a password, and is not repeated. */
static const char *
check_url(const char *p)
{
	for (; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~')
			return ("must have %XX for what is no plain character");
		if (*p == '%' && (!isxdigit((unsigned char)p[1]) ||
				     !isxdigit((unsigned char)p[2])))
			return ("must have two hexadecimal digits behind %");
	}
	return (NULL);
}

static const char *
check_store(const char *value)
{
	const char *why;

	if (strcmp(value, "sqlite") == 0)
		return (NULL);
	if (strncmp(value, "postgresql://", 13) != 0 &&
	    strncmp(value, "postgres://", 11) != 0)
		return ("must be \"sqlite\" or \"postgresql://...\"");
	if ((why = check_url(value)) != NULL)
		return (why);
	if (!pgconn_url_ok(value))
		return ("must be postgresql://user:password@host:port/database?"
			"option=value as libpq takes it, with %40 and %2F for "
			"@ and / in a password");
	return (NULL);
}

static const char *
check_limits(const char *value)
{
	struct redis_url url;

	if (strcmp(value, "local") == 0)
		return (NULL);
	return (redis_url_parse(value, &url));
}

#define OPTION(field, kind, value, marks, ...)          \
	{.name = #field,                                \
	    .type = CONF_##kind,                        \
	    .offset = offsetof(struct hub_conf, field), \
	    .def = value,                               \
	    .mark = (marks),                            \
	    ##__VA_ARGS__},
#define TIMEOUT(field, value, marks)
#define TLS(...)
#define ROUTE(...)
static const struct conf_option options[] = {
#include "hubd/options.def"
};
#undef OPTION
#undef TIMEOUT
#undef TLS
#undef ROUTE

#define OPTION(...)
#define TLS(...)
#define ROUTE(...)
#define TIMEOUT(field, value, marks)                            \
	{.name = #field,                                        \
	    .type = CONF_TIME,                                  \
	    .offset = offsetof(struct hub_conf, timeout.field), \
	    .def = value,                                       \
	    .mark = (marks),                                    \
	    .min = 1},
static const struct conf_option timeouts[] = {
#include "hubd/options.def"
};
#undef OPTION
#undef TIMEOUT
#undef TLS
#undef ROUTE

#define OPTION(...)
#define TIMEOUT(...)
#define ROUTE(...)
#define TLS(field, kind, value, marks, ...)             \
	{.name = #field,                                \
	    .type = CONF_##kind,                        \
	    .offset = offsetof(struct hub_conf, field), \
	    .def = value,                               \
	    .mark = (marks),                            \
	    ##__VA_ARGS__},
static const struct conf_option tls_options[] = {
#include "hubd/options.def"
};
#undef OPTION
#undef TIMEOUT
#undef TLS
#undef ROUTE

#define OPTION(...)
#define TIMEOUT(...)
#define TLS(...)
#define ROUTE(field, kind, value, marks, ...)            \
	{.name = #field,                                 \
	    .type = CONF_##kind,                         \
	    .offset = offsetof(struct hub_route, field), \
	    .def = value,                                \
	    .mark = (marks),                             \
	    ##__VA_ARGS__},
static const struct conf_option route_options[] = {
#include "hubd/options.def"
};
#undef OPTION
#undef TIMEOUT
#undef TLS
#undef ROUTE

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct conf_section sections[] = {
    {.name = "timeout", .options = timeouts, .noptions = COUNT(timeouts)},
    {.name = "tls", .options = tls_options, .noptions = COUNT(tls_options)},
    {.name = "route",
	.options = route_options,
	.noptions = COUNT(route_options),
	.titled = true,
	.size = sizeof(struct hub_route),
	.array_offset = offsetof(struct hub_conf, routes),
	.count_offset = offsetof(struct hub_conf, nroutes),
	.title_offset = offsetof(struct hub_route, name)},
};

static const struct conf_schema schema = {.options = options,
    .noptions = COUNT(options),
    .sections = sections,
    .nsections = COUNT(sections)};

static uint32_t
cores(void)
{
	cpu_set_t set;
	int n;

	if (sched_getaffinity(0, sizeof(set), &set) == -1)
		return (1);
	n = CPU_COUNT(&set);
	return (n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (uint32_t)n);
}

static const char *
routes_wrong(const struct hub_conf *c)
{
	size_t i, k;

	if (c->nroutes > HUB_ROUTES)
		return ("more than 64 sections route");
	for (i = 0; i < c->nroutes; i++) {
		if (c->routes[i].name[0] == '\0' ||
		    strlen(c->routes[i].name) > MODEL_NAME_MAX)
			return ("section route: its name is empty or too long");
		for (k = 0; k < i; k++)
			if (strcmp(c->routes[i].name, c->routes[k].name) == 0)
				return ("section route: two have one name");
	}
	return (NULL);
}

static size_t
times_in(const struct conf_list *list, const char *address)
{
	size_t i, n = 0;

	for (i = 0; i < list->n; i++)
		n += strcmp(list->item[i], address) == 0;
	return (n);
}

/* One address cannot be listened on twice. */
static const char *
addresses_wrong(const struct hub_conf *c)
{
	static char why[160];
	const struct conf_list *lists[] = {&c->listen, &c->admin_listen};
	const char *address;
	size_t i, k;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < lists[k]->n; i++) {
			address = lists[k]->item[i];
			if (times_in(lists[0], address) +
				times_in(lists[1], address) ==
			    1)
				continue;
			snprintf(why, sizeof(why),
			    "%.100s is listened on twice", address);
			return (why);
		}
	}
	return (NULL);
}

static const char *
whole_wrong(const struct hub_conf *c)
{
	const char *why;

	if (c->listen.n > LISTEN_MAX || c->admin_listen.n > LISTEN_MAX)
		return ("more than 8 addresses to listen on");
	if (c->certificate.n != c->key.n)
		return ("section tls: each certificate has its key, in the "
			"same order");
	if (c->max_body > c->body_memory)
		return ("max_body is larger than body_memory");
	if ((why = addresses_wrong(c)) != NULL)
		return (why);
	return (routes_wrong(c));
}

struct hub_conf *
hub_conf_read(const char *path, char *error, size_t cap)
{
	struct hub_conf *c = xcalloc(1, sizeof(*c));
	const char *why;

	if (conf_read(&schema, path, c, error, cap) == -1) {
		free(c);
		return (NULL);
	}
	c->path = xstrdup(path);
	if (c->workers == 0)
		c->workers = cores();
	if ((why = whole_wrong(c)) != NULL) {
		snprintf(error, cap, "%s: %s", path, why);
		hub_conf_free(c);
		return (NULL);
	}
	return (c);
}

void
hub_conf_free(struct hub_conf *c)
{
	if (c == NULL)
		return;
	conf_free(&schema, c);
	free(c->path);
	free(c);
}

/* ---- parts ----------------------------------------------------------------
 */

struct filter {
	unsigned mask, want;
	const struct conf_option *only;
};

static bool
wanted(const struct conf_option *o, void *arg)
{
	const struct filter *f = arg;

	return (
	    f->only != NULL ? o == f->only : (o->mark & f->mask) == f->want);
}

static void
add_part(const struct hub_conf *c, struct filter f, struct buf *out)
{
	conf_serialise(&schema, c, wanted, &f, out);
}

void
hub_conf_serialise(
    const struct hub_conf *c, enum process_role role, struct buf *out)
{
	unsigned mark = role == ROLE_WORKER    ? HUB_FOR_WORKER
			: role == ROLE_BILLING ? HUB_FOR_BILLING
			: role == ROLE_ADMIN   ? HUB_FOR_ADMIN
					       : 0; /* all of it */

	add_part(c, (struct filter){.mask = mark, .want = mark}, out);
}

struct hub_conf *
hub_conf_deserialise(const char *text, size_t n)
{
	struct hub_conf *c = xcalloc(1, sizeof(*c));

	if (conf_deserialise(&schema, span_of(text, n), c) == 0)
		return (c);
	free(c);
	return (NULL);
}

/* Is there a line of that option? Lines begin with \n here. */
static bool
mentions(struct span text, const char *section, const char *name)
{
	static const char *const begin[] = {"", "+"};
	char line[80];

	for (size_t i = 0; i < COUNT(begin); i++) {
		int n = snprintf(line, sizeof(line), "\n%s%s%s%s=", begin[i],
		    section, section[0] != '\0' ? "." : "", name);

		if (memmem(text.p, text.n, line, (size_t)n) != NULL)
			return (true);
	}
	return (false);
}

/* Those that the text does not mention, as the file has them. */
static void
add_missing(const struct hub_conf *file, struct span text, const char *section,
    const struct conf_option *list, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (!mentions(text, section, list[i].name))
			add_part(file, (struct filter){.only = &list[i]}, out);
	}
}

static void
add_all_missing(const struct hub_conf *file, struct span text, struct buf *out)
{
	const struct conf_section *s;

	add_missing(file, text, "", options, COUNT(options), out);
	for (s = sections; s < sections + COUNT(sections); s++) {
		if (!s->titled)
			add_missing(
			    file, text, s->name, s->options, s->noptions, out);
	}
}

struct hub_conf *
hub_conf_inherit(const char *text, size_t n, const struct hub_conf *file)
{
	struct hub_conf *c = xcalloc(1, sizeof(*c));
	struct buf said = {0}, all = {0};

	buf_addstr(&said, "\n");
	buf_add(&said, text, n);
	if (file != NULL)
		add_all_missing(file, buf_span(&said), &all);
	buf_add(&all, text, n);
	conf_deserialise_known(&schema, buf_span(&all), c);
	buf_fini(&said);
	buf_fini(&all);
	return (c);
}

static bool
differs(const struct hub_conf *a, const struct hub_conf *b,
    const struct conf_option *o)
{
	struct buf one = {0}, other = {0};
	bool same;

	add_part(a, (struct filter){.only = o}, &one);
	add_part(b, (struct filter){.only = o}, &other);
	same = span_eq(buf_span(&one), buf_span(&other));
	buf_fini(&one);
	buf_fini(&other);
	return (!same);
}

struct hub_conf *
hub_conf_merge(const struct hub_conf *old, const struct hub_conf *fresh,
    void (*tell)(const char *option))
{
	struct hub_conf *merged;
	struct buf text = {0};
	size_t i;

	for (i = 0; i < COUNT(options); i++) {
		if ((options[i].mark & HUB_LIVE) == 0 &&
		    differs(old, fresh, &options[i]))
			tell(options[i].name);
	}
	add_part(old, (struct filter){.mask = HUB_LIVE, .want = 0}, &text);
	add_part(
	    fresh, (struct filter){.mask = HUB_LIVE, .want = HUB_LIVE}, &text);
	merged = hub_conf_deserialise(buf_ptr(&text), buf_len(&text));
	buf_fini(&text);
	if (merged == NULL)
		fatalx("a configuration does not come back as it was");
	/* where Redis is may change, whether it decides may not */
	if (redis_url_is(old->limits) != redis_url_is(fresh->limits)) {
		tell("limits");
		free(merged->limits);
		merged->limits = xstrdup(old->limits);
	}
	merged->path = xstrdup(old->path);
	return (merged);
}

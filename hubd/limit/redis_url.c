/* Redis's URLs. */
#include "hubd/limit/redis_url.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/hex.h"
#include "common/span.h"

static const struct {
	const char *scheme;
	bool local;
} schemes[] = {
    {"redis://", false},
    {"unix://", true},
    {"redis+unix://", true},
};
#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

bool
redis_url_is(const char *text)
{
	return (
	    strncmp(text, "redis", 5) == 0 || strncmp(text, "unix:", 5) == 0);
}

/* Takes %XX back; no byte may be a control character. */
static const char *
unescape(struct span from, char *to, size_t cap)
{
	size_t i, n = 0;
	int high, low;
	char c;

	for (i = 0; i < from.n; i++) {
		c = from.p[i];
		if (c == '%') {
			if (from.n - i < 3 ||
			    (high = hex_digit(from.p[i + 1])) == -1 ||
			    (low = hex_digit(from.p[i + 2])) == -1)
				return ("% is not followed by two hexadecimal "
					"digits");
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (iscntrl((unsigned char)c))
			return ("has a control character");
		if (n + 1 >= cap)
			return ("has a user or password that is too long");
		to[n++] = c;
	}
	to[n] = '\0';
	return (NULL);
}

static const char *
take_login(struct span *rest, struct redis_url *u)
{
	const char *slash = memchr(rest->p, '/', rest->n), *at, *colon, *why;
	struct span login;

	/* the last one: some write it into the password as it is */
	at = memrchr(
	    rest->p, '@', slash == NULL ? rest->n : (size_t)(slash - rest->p));
	if (at == NULL)
		return (NULL);
	login = span_of(rest->p, (size_t)(at - rest->p));
	rest->n -= login.n + 1;
	rest->p = at + 1;
	colon = memchr(login.p, ':', login.n);
	if (colon == NULL)
		return ("has a user without a password");
	if ((why = unescape(span_of(login.p, (size_t)(colon - login.p)),
		 u->user, sizeof(u->user))) != NULL)
		return (why);
	return (unescape(
	    span_of(colon + 1, login.n - (size_t)(colon - login.p) - 1),
	    u->password, sizeof(u->password)));
}

static bool
take_number(struct span text, uint32_t max, uint32_t *n)
{
	uint32_t v = 0;

	if (text.n == 0 || text.n > 5)
		return (false);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return (false);
		v = v * 10 + (uint32_t)(text.p[i] - '0');
	}
	*n = v;
	return (v <= max);
}

static const char *
take_port(struct span *rest, struct redis_url *u)
{
	const char *colon = memrchr(rest->p, ':', rest->n);
	uint32_t port;

	u->port = REDIS_PORT;
	/* one within brackets is IPv6's */
	if (colon == NULL ||
	    memchr(colon, ']', rest->n - (size_t)(colon - rest->p)) != NULL)
		return (NULL);
	if (!take_number(
		span_of(colon + 1, rest->n - (size_t)(colon - rest->p) - 1),
		UINT16_MAX, &port) ||
	    port == 0)
		return ("has a port that is not from 1 to 65535");
	u->port = (uint16_t)port;
	rest->n = (size_t)(colon - rest->p);
	return (NULL);
}

static bool
is_host_character(char c)
{
	return (isalnum((unsigned char)c) || strchr(".-_:[],%", c) != NULL);
}

static const char *
take_host(struct span rest, struct redis_url *u)
{
	const char *why;

	if ((why = take_port(&rest, u)) != NULL)
		return (why);
	if (rest.n == 0)
		return ("names no host");
	if (rest.n >= sizeof(u->host))
		return ("has a host that is too long");
	for (size_t i = 0; i < rest.n; i++)
		if (!is_host_character(rest.p[i]))
			return ("has characters that no host has");
	if (memchr(rest.p, ':', rest.n) != NULL && rest.p[0] != '[' &&
	    memchr(rest.p, ',', rest.n) == NULL)
		return ("has an IPv6 address without brackets");
	memcpy(u->host, rest.p, rest.n);
	u->host[rest.n] = '\0';
	u->host_len = rest.n;
	return (NULL);
}

static const char *
parse_tcp(struct span rest, struct redis_url *u)
{
	const char *slash = memchr(rest.p, '/', rest.n);
	struct span db;

	if (slash != NULL) {
		db = span_of(slash + 1, rest.n - (size_t)(slash - rest.p) - 1);
		rest.n = (size_t)(slash - rest.p);
		if (db.n > 0 && !take_number(db, REDIS_DB_MAX, &u->db))
			return ("has a database that is no number");
	}
	return (take_host(rest, u));
}

static const char *
parse_unix(struct span rest, struct redis_url *u)
{
	const char *query = memchr(rest.p, '?', rest.n);
	const struct span db = SPAN("?db=");
	struct span tail;

	if (query != NULL) {
		tail = span_of(query, rest.n - (size_t)(query - rest.p));
		rest.n -= tail.n;
		if (!span_starts(tail, db) ||
		    !take_number(span_of(tail.p + db.n, tail.n - db.n),
			REDIS_DB_MAX, &u->db))
			return ("may have ?db=NUMBER alone behind its path");
	}
	if (rest.n == 0 || rest.p[0] != '/')
		return ("needs the whole path of a socket");
	if (rest.n >= sizeof(u->path))
		return ("has a path that is too long for a socket");
	memcpy(u->path, rest.p, rest.n);
	return (NULL);
}

const char *
redis_url_parse(const char *text, struct redis_url *u)
{
	struct span rest = span_str(text);
	const char *why;
	size_t i, n;

	memset(u, 0, sizeof(*u));
	if (strncmp(text, "rediss://", 9) == 0)
		return ("asks for TLS, which this version does not speak to "
			"Redis: use a Unix socket, or a tunnel");
	for (i = 0; i < SCHEMES; i++) {
		n = strlen(schemes[i].scheme);
		if (strncmp(text, schemes[i].scheme, n) == 0)
			break;
	}
	if (i == SCHEMES)
		return ("must be \"local\", redis://host:port/db or "
			"unix:///path?db=N");
	rest = span_of(text + n, rest.n - n);
	if ((why = take_login(&rest, u)) != NULL)
		return (why);
	u->host_at = (size_t)(rest.p - text);
	return (schemes[i].local ? parse_unix(rest, u) : parse_tcp(rest, u));
}

static struct span
nth_host(const struct redis_url *u, unsigned n)
{
	const char *from = u->host, *comma;

	while (n-- > 0) {
		comma = strchr(from, ',');
		from = comma == NULL ? u->host : comma + 1;
	}
	return (span_of(from, strcspn(from, ",")));
}

void
redis_url_host(const struct redis_url *u, unsigned n, char *out, size_t cap)
{
	struct span host = nth_host(u, n);

	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = span_of(host.p + 1, host.n - 2);
	snprintf(out, cap, "%.*s", (int)host.n, host.p);
}

char *
redis_url_with_host(
    const char *text, const struct redis_url *u, const char *host)
{
	return (xasprintf("%.*s%s%s", (int)u->host_at, text, host,
	    text + u->host_at + u->host_len));
}

void
redis_url_name(const struct redis_url *u, char out[REDIS_NAME_MAX])
{
	if (u->host[0] == '\0')
		snprintf(out, REDIS_NAME_MAX, "%s", u->path);
	else
		snprintf(out, REDIS_NAME_MAX, "%s:%u", u->host, u->port);
}

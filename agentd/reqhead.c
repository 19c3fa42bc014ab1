/* The head of a request to a provider. */
#include "agentd/reqhead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "common/alloc.h"
#include "common/http1.h"

/* ---- URLs --------------------------------------------------------------- */

static bool
take_scheme(struct span *s, bool *tls)
{
	const char *const scheme[] = {"http://", "https://"};
	size_t i, n;

	for (i = 0; i < 2; i++) {
		n = strlen(scheme[i]);
		if (s->n < n || strncasecmp(s->p, scheme[i], n) != 0)
			continue;
		*s = span_of(s->p + n, s->n - n);
		*tls = i == 1;
		return (true);
	}
	return (false);
}

static bool
is_port(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return (false);
	return (s.n >= 1 && s.n <= 5);
}

/* Letters, digits, "-", "_", "." and in brackets ":" (RFC 3986 3.2.2). */
static bool
is_host(struct span s, bool bracketed)
{
	size_t i;
	char c;

	for (i = 0; i < s.n; i++) {
		c = s.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '-' || c == '_' ||
			c == '.' || (bracketed && c == ':')))
			return (false);
	}
	return (s.n > 0);
}

static bool
split_authority(struct url *u)
{
	struct span s = u->authority;
	bool bracketed = s.n > 0 && s.p[0] == '[';
	const char *end =
	    s.n > 0 ? memchr(s.p, bracketed ? ']' : ':', s.n) : NULL;

	if (bracketed) {
		if (end == NULL)
			return (false);
		u->host = span_of(s.p + 1, (size_t)(end - s.p) - 1);
		end++;
	} else {
		end = end != NULL ? end : s.p + s.n;
		u->host = span_of(s.p, (size_t)(end - s.p));
	}
	u->port = span_of(end, s.n - (size_t)(end - s.p));
	if (!is_host(u->host, bracketed))
		return (false);
	if (u->port.n == 0)
		return (true);
	u->port = span_of(u->port.p + 1, u->port.n - 1);
	return (*end == ':' && is_port(u->port));
}

static bool
is_target(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f ||
		    s.p[i] == '#')
			return (false);
	return (true);
}

bool
url_split(const char *text, struct url *u)
{
	struct span s = span_str(text);
	size_t n;

	if (!take_scheme(&s, &u->tls))
		return (false);
	for (n = 0; n < s.n && s.p[n] != '/' && s.p[n] != '?'; n++)
		;
	u->authority = span_of(s.p, n);
	u->target = span_of(s.p + n, s.n - n);
	return (split_authority(u) && is_target(u->target));
}

bool
url_is_loopback(const struct url *u)
{
	const struct span tail = SPAN(".localhost");
	struct span h = u->host;

	if (span_ieq(h, SPAN("localhost")) || span_eq(h, SPAN("127.0.0.1")) ||
	    span_eq(h, SPAN("::1")))
		return (true);
	return (h.n > tail.n &&
		span_ieq(span_of(h.p + h.n - tail.n, tail.n), tail));
}

/* ---- heads -------------------------------------------------------------- */

static bool
has_line(const char *const *lines, const char *name)
{
	size_t n = strlen(name);

	for (; *lines != NULL; lines++)
		if (strncasecmp(*lines, name, n) == 0 && (*lines)[n] == ':')
			return (true);
	return (false);
}

/* The scheme's own port is left out, as everybody does. */
static void
put_host(struct buf *out, const struct url *u)
{
	struct span host = u->authority;

	if (span_eq(u->port, u->tls ? SPAN("443") : SPAN("80")))
		host.n -= u->port.n + 1;
	buf_addspan(out, host);
}

static void
put_target(struct buf *out, const struct url *u, bool absolute)
{
	if (absolute) {
		buf_addstr(out, "http://");
		put_host(out, u);
	}
	if (u->target.n == 0 || u->target.p[0] != '/')
		buf_addstr(out, "/");
	buf_addspan(out, u->target);
}

/* user:password@ of the proxy's URL, with its percents resolved. */
static void
put_login(struct buf *out, const char *proxy)
{
	const char *from = strstr(proxy, "://");
	const char *end;
	struct buf plain = {0};
	char *base64;

	from = from != NULL ? from + 3 : proxy;
	end = memrchr(from, '@', strcspn(from, "/?#"));
	if (end == NULL || http1_unescape(span_of(from, (size_t)(end - from)),
			       false, &plain) == -1) {
		buf_fini(&plain);
		return;
	}
	base64 = xmalloc(4 * ((buf_len(&plain) + 2) / 3) + 1);
	EVP_EncodeBlock((unsigned char *)base64,
	    (const unsigned char *)buf_ptr(&plain), (int)buf_len(&plain));
	buf_addstr(out, "Proxy-Authorization: Basic ");
	buf_addstr(out, base64);
	buf_addstr(out, "\r\n");
	free(base64);
	buf_fini(&plain);
}

static void
put_length(struct buf *out, const char *method, size_t n)
{
	char line[48];

	/* RFC 9110 8.6: not where a body means nothing. */
	if (n == 0 &&
	    (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
		strcmp(method, "DELETE") == 0))
		return;
	snprintf(line, sizeof(line), "Content-Length: %zu\r\n", n);
	buf_addstr(out, line);
}

void
reqhead_put(struct buf *out, const char *method, const struct url *u,
    const char *const *lines, size_t body_length, const char *proxy)
{
	buf_addstr(out, method);
	buf_addstr(out, " ");
	put_target(out, u, proxy != NULL);
	buf_addstr(out, " HTTP/1.1\r\n");
	if (!has_line(lines, "Host")) {
		buf_addstr(out, "Host: ");
		put_host(out, u);
		buf_addstr(out, "\r\n");
	}
	if (!has_line(lines, "Accept"))
		buf_addstr(out, "Accept: */*\r\n");
	for (; *lines != NULL; lines++) {
		buf_addstr(out, *lines);
		buf_addstr(out, "\r\n");
	}
	put_length(out, method, body_length);
	if (proxy != NULL)
		put_login(out, proxy);
	buf_addstr(out, "\r\n");
}

/* Taking base URLs apart, and encoding what is appended to them. */
#include "agentd/base_url.h"

#include <string.h>
#include <strings.h>

static bool
take_nocase(struct span *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s->n < n || strncasecmp(s->p, prefix, n) != 0)
		return (false);
	*s = span_of(s->p + n, s->n - n);
	return (true);
}

static bool
is_clean(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' ||
		    (unsigned char)s.p[i] >= 0x7f ||
		    strchr("@#\\\"<>^`{|}", s.p[i]) != NULL)
			return (false);
	return (true);
}

/* What is before the first c; rest begins with c, or is empty. */
static struct span
before(struct span s, char c, struct span *rest)
{
	const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;
	size_t n = at != NULL ? (size_t)(at - s.p) : s.n;

	*rest = span_of(s.p + n, s.n - n);
	return (span_of(s.p, n));
}

static struct span
strip_slashes(struct span s)
{
	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	return (s);
}

bool
base_url_split(const char *text, struct base_url *u)
{
	struct span s = span_str(text);

	u->scheme = "https://";
	if (take_nocase(&s, "http://"))
		u->scheme = "http://";
	else if (!take_nocase(&s, "https://") &&
		 memmem(s.p, s.n, "://", 3) != NULL)
		return (false);
	if (!is_clean(s))
		return (false);
	s = before(s, '?', &u->query);
	if (u->query.n > 0)
		u->query = span_of(u->query.p + 1, u->query.n - 1);
	u->authority = before(s, '/', &u->path);
	u->path = strip_slashes(u->path);
	return (u->authority.n > 0);
}

bool
base_url_cut(struct base_url *u, const char *tail)
{
	size_t n = strlen(tail);

	if (u->path.n < n || memcmp(u->path.p + u->path.n - n, tail, n) != 0)
		return (false);
	u->path = strip_slashes(span_of(u->path.p, u->path.n - n));
	return (true);
}

bool
base_url_has_version(const struct base_url *u)
{
	const char *slash =
	    u->path.n > 0 ? memrchr(u->path.p, '/', u->path.n) : NULL;
	const char *p, *end = u->path.p + u->path.n;

	if (slash == NULL || end - slash < 3 || slash[1] != 'v')
		return (false);
	for (p = slash + 2; p < end; p++)
		if (strchr("0123456789abcdefghijklmnopqrstuvwxyz", *p) == NULL)
			return (false);
	return (slash[2] >= '0' && slash[2] <= '9');
}

void
base_url_put(const struct base_url *u, struct buf *out)
{
	buf_addstr(out, u->scheme);
	buf_addspan(out, u->authority);
	buf_addspan(out, u->path);
}

bool
base_url_host_ends(const struct base_url *u, const char *tail)
{
	struct span port, host = before(u->authority, ':', &port);
	size_t n = strlen(tail);

	return (host.n >= n && strncasecmp(host.p + host.n - n, tail, n) == 0);
}

static void
encode(struct buf *out, struct span s, const char *safe)
{
	static const char unreserved[] = "abcdefghijklmnopqrstuvwxyz"
					 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789-._~";
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] != '\0' && (strchr(unreserved, s.p[i]) != NULL ||
					  strchr(safe, s.p[i]) != NULL))
			buf_add(out, s.p + i, 1);
		else
			buf_addf(out, "%%%02X", (unsigned char)s.p[i]);
	}
}

void
url_encode(struct buf *out, struct span s)
{
	encode(out, s, "");
}

bool
url_encode_path(struct buf *out, struct span s)
{
	struct span rest = s, segment;

	for (;;) {
		segment = before(rest, '/', &rest);
		if (segment.n == 0 || span_eq(segment, SPAN(".")) ||
		    span_eq(segment, SPAN("..")))
			return (false);
		/* Of a version, as in "claude@20250514". */
		encode(out, segment, "@");
		if (rest.n == 0)
			return (true);
		buf_addstr(out, "/");
		rest = span_of(rest.p + 1, rest.n - 1);
	}
}

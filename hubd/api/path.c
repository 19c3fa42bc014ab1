/* Patterns of paths: which path fits, and what stands for a name in it. */
#include "hubd/api/path.h"

#include <string.h>

#include "common/buf.h"
#include "common/http1.h"
#include "common/utf8.h"

static size_t
segment(struct span s)
{
	const char *slash = s.n > 0 ? memchr(s.p, '/', s.n) : NULL;

	return (slash != NULL ? (size_t)(slash - s.p) : s.n);
}

static struct span
from(struct span s, size_t at)
{
	return (span_of(s.p + at, s.n - at));
}

static bool
is_id(struct span s)
{
	static const char good[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ_.-";
	size_t i;

	if (s.n == 0 || s.n > PATH_ID_MAX || span_eq(s, SPAN(".")) ||
	    span_eq(s, SPAN("..")))
		return (false);
	for (i = 0; i < s.n; i++)
		if (memchr(good, s.p[i], sizeof(good) - 1) == NULL)
			return (false);
	return (true);
}

/* What stands between a pattern's placeholder, which begins at open, and its
 * end; false: the path ends in another way. */
static bool
take_name(const char *open, struct span rest, struct span *name)
{
	struct span after = span_str(strchr(open, '}') + 1);

	if (rest.n <= after.n || !span_eq(from(rest, rest.n - after.n), after))
		return (false);
	*name = span_of(rest.p, rest.n - after.n);
	switch (open[1]) {
	case 'i':
		return (is_id(*name));
	case 'n':
		return (memchr(name->p, '/', name->n) == NULL &&
			memchr(name->p, ':', name->n) == NULL);
	default:
		return (true);
	}
}

bool
path_fits(const char *pattern, struct span path, struct span *name)
{
	size_t i;

	*name = span_of(NULL, 0);
	for (i = 0; pattern[i] != '\0' && pattern[i] != '{'; i++)
		if (i == path.n || path.p[i] != pattern[i])
			return (false);
	return (pattern[i] == '\0'
		    ? i == path.n
		    : take_name(pattern + i, from(path, i), name));
}

/* One step: a literal byte, or a segment for a placeholder. */
static size_t
step(const char **pattern, struct span path, struct span *name)
{
	size_t n;

	if (**pattern != '*' && **pattern != '{') {
		n = path.n > 0 && *path.p == **pattern;
		(*pattern)++;
		return (n);
	}
	n = segment(path);
	if (**pattern == '{') {
		*name = span_of(path.p, n);
		*pattern = strchr(*pattern, '}');
	}
	(*pattern)++;
	return (n);
}

bool
path_begins(
    const char *pattern, struct span path, struct span *rest, struct span *name)
{
	size_t n;

	*name = span_of(NULL, 0);
	while (*pattern != '\0') {
		if ((n = step(&pattern, path, name)) == 0)
			return (false);
		path = from(path, n);
	}
	*rest = path;
	return (true);
}

/* ---- names ----------------------------------------------------------------
 */

/* Would a URL with it lead elsewhere? */
static bool
has_dots(struct span s)
{
	struct span part;

	for (;; s = from(s, part.n + 1)) {
		part = span_of(s.p, segment(s));
		if (span_eq(part, SPAN(".")) || span_eq(part, SPAN("..")))
			return (true);
		if (part.n == s.n)
			return (false);
	}
}

static bool
is_text(struct span s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i, n;

	for (i = 0; i < s.n; i += n) {
		n = 1;
		if (p[i] < 0x20 || p[i] == 0x7f || p[i] == '\\')
			return (false);
		if (p[i] >= 0x80 && (n = utf8_char(p + i, s.n - i)) == 0)
			return (false);
	}
	return (true);
}

bool
path_decode(struct span name, char *out, size_t cap)
{
	struct buf plain = {0};
	struct span s;
	bool good;

	good = http1_unescape(name, false, &plain) == 0;
	s = buf_span(&plain);
	good = good && s.n > 0 && s.n < cap && is_text(s) && !has_dots(s);
	if (good) {
		memcpy(out, s.p, s.n);
		out[s.n] = '\0';
	}
	buf_fini(&plain);
	return (good);
}

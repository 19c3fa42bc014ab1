/* One structured line of a log, as logfmt or as JSON. */
#include "common/logline.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "common/digits.h"
#include "common/plain.h"
#include "common/utf8.h"

#define ESCAPE_MAX 6 /* bytes of \uNNNN */
#define CUT	   "..."

/* ---- values ---------------------------------------------------------------
 */

/* The code point of a well-formed character of two or three bytes. */
static unsigned
code_point(const unsigned char *p, size_t len)
{
	if (len == 2)
		return ((p[0] & 0x1fu) << 6 | (p[1] & 0x3fu));
	return ((p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu));
}

static void
put_escape(struct buf *out, unsigned c)
{
	if (c == '"' || c == '\\')
		buf_addf(out, "\\%c", (char)c);
	else
		buf_addf(out, "\\u%04x", c);
}

/* One character, escaped if need be; its bytes. */
static size_t
put_char(struct buf *out, const unsigned char *p, size_t n)
{
	size_t len;

	if (p[0] < 0x80) {
		if (p[0] < 0x20 || p[0] == 0x7f || p[0] == '"' || p[0] == '\\')
			put_escape(out, p[0]);
		else
			buf_add(out, p, 1);
		return (1);
	}
	if ((len = utf8_char(p, n)) == 0) {
		/* No text has this: not even a replacement character that
		 * was in the value to begin with stands unescaped. */
		buf_addstr(out, "\\ufffd");
		return (1);
	}
	if (utf8_is_control(p, len))
		put_escape(out, code_point(p, len));
	else
		buf_add(out, p, len);
	return (len);
}

static void
put_quoted(struct buf *out, struct span s)
{
	const size_t most = LOGLINE_VALUE_MAX - ESCAPE_MAX - sizeof(CUT);
	size_t start = buf_len(out), i = 0, used, left, run;
	const char *p = s.p;

	buf_add(out, "\"", 1);
	while (i < s.n) {
		used = buf_len(out) - start;
		if (used > most) {
			buf_addstr(out, CUT);
			break;
		}
		left = s.n - i < most + 1 - used ? s.n - i : most + 1 - used;
		run = (size_t)(plain_run(p + i, p + i + left) - (p + i));
		if (run > 0)
			buf_add(out, p + i, run);
		else
			run = put_char(
			    out, (const unsigned char *)p + i, s.n - i);
		i += run;
	}
	buf_add(out, "\"", 1);
}

/* May it stand without quotes in logfmt? */
static bool
is_bare(struct span s)
{
	size_t i;

	if (s.n == 0 || s.n > LOGLINE_VALUE_MAX)
		return (false);
	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') ||
			(c != '\0' && strchr("-._:/@+*,~[]%", c) != NULL)))
			return (false);
	}
	return (true);
}

/* ---- the line -------------------------------------------------------------
 */

static char *
put_text(char *to, const char *text, size_t n)
{
	memcpy(to, text, n);
	return (to + n);
}

static void
put_key(struct logline *l, const char *key)
{
	bool json = l->format == LOGLINE_JSON;
	const char *group = l->group != NULL && !json ? l->group : "";
	size_t n = strlen(key), ngroup = strlen(group);
	char *from = buf_reserve(l->out, n + ngroup + 4), *to = from;

	if (l->comma)
		*to++ = json ? ',' : ' ';
	l->comma = true;
	if (json)
		*to++ = '"';
	if (ngroup > 0) {
		to = put_text(to, group, ngroup);
		*to++ = '.';
	}
	to = put_text(to, key, n);
	if (json)
		to = put_text(to, "\":", 2);
	else
		*to++ = '=';
	buf_commit(l->out, (size_t)(to - from));
}

/* The text of a second, which many lines share. */
static struct span
second_text(time_t s)
{
	static char text[LOGLINE_TIME_MAX];
	static time_t made = -1;
	static size_t n;
	struct tm tm;

	if (s != made) {
		gmtime_r(&s, &tm);
		n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", &tm);
		made = s;
	}
	return (span_of(text, n));
}

static void
put_time(struct logline *l, int64_t ms)
{
	struct span second = second_text((time_t)(ms / 1000));
	char text[LOGLINE_TIME_MAX + 4];

	memcpy(text, second.p, second.n);
	digits_put_padded(text + second.n, 3, (uint64_t)(ms % 1000));
	text[second.n + 3] = 'Z';
	logline_str(l, "time", span_of(text, second.n + 4));
}

void
logline_begin(struct logline *l, struct buf *out, enum logline_format format,
    int64_t time_ms, const char *event)
{
	*l = (struct logline){.out = out, .format = format};
	if (format == LOGLINE_JSON)
		buf_addstr(out, "{");
	put_time(l, time_ms);
	logline_str(l, "event", span_str(event));
}

void
logline_str(struct logline *l, const char *key, struct span value)
{
	put_key(l, key);
	if (l->format == LOGLINE_LOGFMT && is_bare(value))
		buf_addspan(l->out, value);
	else
		put_quoted(l->out, value);
}

void
logline_uint(struct logline *l, const char *key, uint64_t n)
{
	put_key(l, key);
	buf_adduint(l->out, n);
}

void
logline_bool(struct logline *l, const char *key, bool yes)
{
	put_key(l, key);
	buf_addstr(l->out, yes ? "true" : "false");
}

void
logline_ms(struct logline *l, const char *key, int64_t us)
{
	char point[4] = {'.'};

	if (us < 0)
		us = 0;
	digits_put_padded(point + 1, 3, (uint64_t)us % 1000);
	put_key(l, key);
	buf_adduint(l->out, (uint64_t)us / 1000);
	buf_add(l->out, point, sizeof(point));
}

void
logline_open(struct logline *l, const char *group)
{
	assert(l->group == NULL);
	if (l->format == LOGLINE_JSON) {
		put_key(l, group);
		buf_addstr(l->out, "{");
		l->comma = false;
	}
	l->group = group;
}

void
logline_close(struct logline *l)
{
	assert(l->group != NULL);
	if (l->format == LOGLINE_JSON)
		buf_addstr(l->out, "}");
	l->group = NULL;
	l->comma = true;
}

void
logline_end(struct logline *l)
{
	buf_addstr(l->out, l->format == LOGLINE_JSON ? "}\n" : "\n");
}

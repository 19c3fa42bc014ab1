/* Writing JSON into a buffer. */
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/utf8.h"

/* The number of a well-formed character of at most three bytes. */
static unsigned
code_point(const unsigned char *p, size_t n)
{
	if (n == 1)
		return (p[0]);
	if (n == 2)
		return ((p[0] & 0x1fU) << 6 | (p[1] & 0x3fU));
	return ((p[0] & 0x0fU) << 12 | (p[1] & 0x3fU) << 6 | (p[2] & 0x3fU));
}

/* What may not stand there as it is, of which left bytes are there; returns
 * how many it took. */
static size_t
escape(struct buf *out, const unsigned char *p, size_t left)
{
	size_t n = p[0] < 0x80 ? 1 : utf8_char(p, left);

	if (n == 0) {
		buf_addstr(out, "\xef\xbf\xbd");
		return (1);
	}
	switch (p[0]) {
	case '"':
		buf_addstr(out, "\\\"");
		break;
	case '\\':
		buf_addstr(out, "\\\\");
		break;
	case '\n':
		buf_addstr(out, "\\n");
		break;
	case '\r':
		buf_addstr(out, "\\r");
		break;
	case '\t':
		buf_addstr(out, "\\t");
		break;
	default:
		buf_addf(out, "\\u%04x", code_point(p, n));
	}
	return (n);
}

void
json_quote(struct buf *out, struct span s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = 0, run = 0, n;

	buf_add(out, "\"", 1);
	while (i < s.n) {
		n = utf8_shown(p + i, s.n - i);
		if (n > 0 && p[i] != '"' && p[i] != '\\') {
			i += n;
			continue;
		}
		buf_add(out, s.p + run, i - run);
		i += escape(out, p + i, s.n - i);
		run = i;
	}
	buf_add(out, s.p + run, i - run);
	buf_add(out, "\"", 1);
}

void
jout_init(struct jout *o, struct buf *out)
{
	o->out = out;
	o->comma = false;
}

static void
separate(struct jout *o)
{
	if (o->comma)
		buf_add(o->out, ",", 1);
	o->comma = true;
}

static void
begin(struct jout *o, const char *bracket)
{
	separate(o);
	buf_addstr(o->out, bracket);
	o->comma = false;
}

static void
end(struct jout *o, const char *bracket)
{
	buf_addstr(o->out, bracket);
	o->comma = true;
}

void
jout_begin_object(struct jout *o)
{
	begin(o, "{");
}

void
jout_end_object(struct jout *o)
{
	end(o, "}");
}

void
jout_begin_array(struct jout *o)
{
	begin(o, "[");
}

void
jout_end_array(struct jout *o)
{
	end(o, "]");
}

void
jout_key(struct jout *o, const char *key)
{
	separate(o);
	json_quote(o->out, span_str(key));
	buf_add(o->out, ":", 1);
	o->comma = false;
}

void
jout_raw(struct jout *o, const char *text)
{
	separate(o);
	buf_addstr(o->out, text);
}

void
jout_str(struct jout *o, const char *s)
{
	if (s == NULL)
		jout_null(o);
	else
		jout_span(o, span_str(s));
}

void
jout_span(struct jout *o, struct span s)
{
	separate(o);
	json_quote(o->out, s);
}

void
jout_int(struct jout *o, int64_t n)
{
	separate(o);
	buf_addf(o->out, "%" PRId64, n);
}

void
jout_uint(struct jout *o, uint64_t n)
{
	separate(o);
	buf_addf(o->out, "%" PRIu64, n);
}

void
jout_bool(struct jout *o, bool value)
{
	jout_raw(o, value ? "true" : "false");
}

void
jout_null(struct jout *o)
{
	jout_raw(o, "null");
}

void
jout_kstr(struct jout *o, const char *key, const char *s)
{
	jout_key(o, key);
	jout_str(o, s);
}

void
jout_kint(struct jout *o, const char *key, int64_t n)
{
	jout_key(o, key);
	jout_int(o, n);
}

void
jout_kuint(struct jout *o, const char *key, uint64_t n)
{
	jout_key(o, key);
	jout_uint(o, n);
}

void
jout_kbool(struct jout *o, const char *key, bool value)
{
	jout_key(o, key);
	jout_bool(o, value);
}

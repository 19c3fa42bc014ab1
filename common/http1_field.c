/*
 * Fields of HTTP/1.1 heads: which characters may stand where, and what the
 * fields that concern the message itself say. What is ambiguous is refused.
 */
#include "common/http1_private.h"

#include <string.h>

/* Letters are in three classes; so are digits, with their own. */
#define ALPHA (HTTP1_TOKEN | HTTP1_TARGET | HTTP1_HOST)

const uint8_t http1_class_of[256] = {
    ['A' ... 'Z'] = ALPHA,
    ['a' ... 'z'] = ALPHA,
    ['0' ... '9'] = ALPHA | HTTP1_DIGIT,
    ['!'] = HTTP1_TOKEN | HTTP1_TARGET,
    ['$'] = HTTP1_TOKEN | HTTP1_TARGET,
    ['%'] = HTTP1_TOKEN | HTTP1_TARGET | HTTP1_HOST,
    ['&'] = HTTP1_TOKEN | HTTP1_TARGET,
    ['\''] = HTTP1_TOKEN | HTTP1_TARGET,
    ['*'] = HTTP1_TOKEN | HTTP1_TARGET,
    ['+'] = HTTP1_TOKEN | HTTP1_TARGET,
    ['-'] = HTTP1_TOKEN | HTTP1_TARGET | HTTP1_HOST,
    ['.'] = HTTP1_TOKEN | HTTP1_TARGET | HTTP1_HOST,
    ['^'] = HTTP1_TOKEN | HTTP1_TARGET,
    ['_'] = HTTP1_TOKEN | HTTP1_TARGET | HTTP1_HOST,
    ['`'] = HTTP1_TOKEN | HTTP1_TARGET,
    ['|'] = HTTP1_TOKEN | HTTP1_TARGET,
    ['~'] = HTTP1_TOKEN | HTTP1_TARGET | HTTP1_HOST,
    ['#'] = HTTP1_TOKEN,
    ['"'] = HTTP1_TARGET,
    ['('] = HTTP1_TARGET,
    [')'] = HTTP1_TARGET,
    [','] = HTTP1_TARGET,
    ['/'] = HTTP1_TARGET,
    [':'] = HTTP1_TARGET | HTTP1_HOST,
    [';'] = HTTP1_TARGET,
    ['<'] = HTTP1_TARGET,
    ['='] = HTTP1_TARGET,
    ['>'] = HTTP1_TARGET,
    ['?'] = HTTP1_TARGET,
    ['@'] = HTTP1_TARGET,
    ['['] = HTTP1_TARGET | HTTP1_HOST,
    ['\\'] = HTTP1_TARGET,
    [']'] = HTTP1_TARGET | HTTP1_HOST,
    ['{'] = HTTP1_TARGET,
    ['}'] = HTTP1_TARGET,
};

enum http1_error
http1_take_text(struct http1_cursor *c, struct span text)
{
	size_t left = (size_t)(c->end - c->p);
	size_t n = left < text.n ? left : text.n;

	if (memcmp(c->p, text.p, n) != 0)
		return (HTTP1_BAD);
	c->p += n;
	return (n == text.n ? HTTP1_OK : HTTP1_MORE);
}

const char *
http1_skip_value(const char *p, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t x, del;

	for (;;) {
		for (; end - p >= 8; p += 8) {
			memcpy(&x, p, 8);
			del = x ^ ones * 0x7f;
			if ((((x - ones * 0x20) & ~x) | ((del - ones) & ~del)) &
			    ones * 0x80)
				break;
		}
		while (p < end && (uint8_t)*p >= 0x20 && *p != 0x7f)
			p++;
		if (p == end || *p != '\t')
			return (p);
		p++;
	}
}

static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t');
}

static struct span
trim(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	while (p < end && is_blank(end[-1]))
		end--;
	return (span_of(p, (size_t)(end - p)));
}

/* The cursor is at the beginning of a line that is not empty. */
static enum http1_error
take_field(struct http1_cursor *c, struct http1_field *f, const char **why)
{
	const char *from;

	f->name = http1_take_class(c, HTTP1_TOKEN);
	if (c->p == c->end)
		return (HTTP1_MORE);
	if (*c->p != ':' || f->name.n == 0) {
		*why = "field name";
		return (HTTP1_BAD);
	}
	from = ++c->p;
	c->p = http1_skip_value(from, c->end);
	f->value = trim(from, c->p);
	*why = "field value";
	return (http1_take_text(c, SPAN("\r\n")));
}

/* ---- what fields mean ---- */

static bool
span_int(struct span s, uint64_t *out)
{
	size_t i;

	if (s.n == 0 || s.n > 18)
		return (false);
	*out = 0;
	for (i = 0; i < s.n; i++) {
		if (!http1_is_class(s.p[i], HTTP1_DIGIT))
			return (false);
		*out = *out * 10 + (uint64_t)(s.p[i] - '0');
	}
	return (true);
}

bool
http1_is_host(struct span s)
{
	struct http1_cursor c = {s.p, s.p + s.n};

	return (s.n > 0 && http1_take_class(&c, HTTP1_HOST).n == s.n);
}

static enum http1_error
bad(struct http1_facts *facts, const char *why)
{
	facts->why = why;
	return (HTTP1_BAD);
}

static enum http1_error
note_length(struct http1_facts *facts, struct span value)
{
	if (facts->has_length)
		return (bad(facts, "second content-length"));
	if (!span_int(value, &facts->length))
		return (bad(facts, "content-length"));
	facts->has_length = true;
	return (HTTP1_OK);
}

static enum http1_error
note_coding(struct http1_facts *facts, struct span value)
{
	if (facts->chunked)
		return (bad(facts, "second transfer-encoding"));
	if (!span_ieq(value, SPAN("chunked"))) {
		facts->why = "transfer-encoding";
		return (HTTP1_UNSUPPORTED);
	}
	facts->chunked = true;
	return (HTTP1_OK);
}

static enum http1_error
note_host(struct http1_facts *facts, struct span value)
{
	if (facts->has_host)
		return (bad(facts, "second host"));
	if (!http1_is_host(value))
		return (bad(facts, "host"));
	facts->has_host = true;
	facts->host = value;
	return (HTTP1_OK);
}

static enum http1_error
note_expect(struct http1_facts *facts, struct span value)
{
	if (!span_ieq(value, SPAN("100-continue"))) {
		facts->why = "expectation";
		return (HTTP1_EXPECT);
	}
	facts->expect_continue = true;
	return (HTTP1_OK);
}

static void
note_connection(struct http1_facts *facts, struct span value)
{
	if (http1_list_has(value, "close"))
		facts->close = true;
	if (http1_list_has(value, "upgrade"))
		facts->connection_upgrade = true;
}

/* Fields that decide on framing and connection; told apart by length. */
static enum http1_error
note_field(struct http1_facts *facts, const struct http1_field *f)
{
	switch (f->name.n) {
	case sizeof("host") - 1:
		if (span_ieq(f->name, SPAN("host")))
			return (note_host(facts, f->value));
		break;
	case sizeof("expect") - 1:
		if (span_ieq(f->name, SPAN("expect")))
			return (note_expect(facts, f->value));
		break;
	case sizeof("upgrade") - 1:
		if (span_ieq(f->name, SPAN("upgrade")))
			facts->has_upgrade = true;
		break;
	case sizeof("connection") - 1:
		if (span_ieq(f->name, SPAN("connection")))
			note_connection(facts, f->value);
		break;
	case sizeof("content-length") - 1:
		if (span_ieq(f->name, SPAN("content-length")))
			return (note_length(facts, f->value));
		break;
	case sizeof("content-encoding") - 1:
		if (span_ieq(f->name, SPAN("content-encoding")) &&
		    f->value.n > 0 && !span_ieq(f->value, SPAN("identity")))
			facts->coded = true;
		break;
	case sizeof("transfer-encoding") - 1:
		if (span_ieq(f->name, SPAN("transfer-encoding")))
			return (note_coding(facts, f->value));
		break;
	default:
		break;
	}
	return (HTTP1_OK);
}

enum http1_error
http1_take_fields(struct http1_cursor *c, struct http1_field *fields,
    size_t *nfields, http1_keep_fn *keep, struct http1_facts *facts)
{
	struct http1_field *f;
	enum http1_error r;

	for (;;) {
		if (c->p == c->end)
			return (HTTP1_MORE);
		if (*c->p == '\r')
			break;
		if (*nfields == HTTP1_MAX_FIELDS) {
			facts->why = "too many fields";
			return (HTTP1_TOO_LARGE);
		}
		f = &fields[*nfields];
		r = take_field(c, f, &facts->why);
		if (r == HTTP1_OK)
			r = note_field(facts, f);
		if (r != HTTP1_OK)
			return (r);
		if (keep == NULL || keep(f->name))
			(*nfields)++;
	}
	facts->why = "empty line";
	if ((r = http1_take_text(c, SPAN("\r\n"))) != HTTP1_OK)
		return (r);
	if (facts->chunked && facts->has_length)
		return (bad(facts, "content-length and transfer-encoding"));
	facts->why = NULL;
	return (HTTP1_OK);
}

/* ---- asking ---- */

const struct http1_field *
http1_find(const struct http1_head *head, const char *name)
{
	struct span s = span_str(name);
	size_t i;

	for (i = 0; i < head->nfields; i++)
		if (span_ieq(head->fields[i].name, s))
			return (&head->fields[i]);
	return (NULL);
}

size_t
http1_count(const struct http1_head *head, const char *name)
{
	struct span s = span_str(name);
	size_t i, n = 0;

	for (i = 0; i < head->nfields; i++)
		if (span_ieq(head->fields[i].name, s))
			n++;
	return (n);
}

bool
http1_list_has(struct span value, const char *token)
{
	const char *p = value.p, *end = value.p + value.n, *comma;

	while (p < end) {
		comma = memchr(p, ',', (size_t)(end - p));
		if (comma == NULL)
			comma = end;
		if (span_ieq(trim(p, comma), span_str(token)))
			return (true);
		p = comma < end ? comma + 1 : end;
	}
	return (false);
}

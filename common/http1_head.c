/*
 * Heads of HTTP/1.1 messages, read in one pass. A head that comes in pieces
 * is parsed once when its first piece is there and once when its end is:
 * between these only line ends are looked at.
 */
#include "common/http1.h"

#include <string.h>

#define TOKEN  1
#define TARGET 2
#define HOST   4
#define DIGIT  8

/* Letters are in three classes; so are digits, with their own. */
#define ALPHA (TOKEN | TARGET | HOST)

static const uint8_t class_of[256] = {
    ['A' ... 'Z'] = ALPHA,
    ['a' ... 'z'] = ALPHA,
    ['0' ... '9'] = ALPHA | DIGIT,
    ['!'] = TOKEN | TARGET,
    ['$'] = TOKEN | TARGET,
    ['%'] = TOKEN | TARGET | HOST,
    ['&'] = TOKEN | TARGET,
    ['\''] = TOKEN | TARGET,
    ['*'] = TOKEN | TARGET,
    ['+'] = TOKEN | TARGET,
    ['-'] = TOKEN | TARGET | HOST,
    ['.'] = TOKEN | TARGET | HOST,
    ['^'] = TOKEN | TARGET,
    ['_'] = TOKEN | TARGET | HOST,
    ['`'] = TOKEN | TARGET,
    ['|'] = TOKEN | TARGET,
    ['~'] = TOKEN | TARGET | HOST,
    ['#'] = TOKEN,
    ['"'] = TARGET,
    ['('] = TARGET,
    [')'] = TARGET,
    [','] = TARGET,
    ['/'] = TARGET,
    [':'] = TARGET | HOST,
    [';'] = TARGET,
    ['<'] = TARGET,
    ['='] = TARGET,
    ['>'] = TARGET,
    ['?'] = TARGET,
    ['@'] = TARGET,
    ['['] = TARGET | HOST,
    ['\\'] = TARGET,
    [']'] = TARGET | HOST,
    ['{'] = TARGET,
    ['}'] = TARGET,
};

/* What the fields say about the message, of requests and of responses. */
struct facts {
	const char *why;
	struct span host;
	uint64_t length;
	bool has_host, has_length, chunked, close;
	bool connection_upgrade, has_upgrade, expect_continue;
};

struct cursor {
	const char *p, *end;
};

static bool
is_class(char c, uint8_t class)
{
	return ((class_of[(uint8_t)c] & class) != 0);
}

static struct span
take_class(struct cursor *c, uint8_t class)
{
	const char *from = c->p;

	while (c->p < c->end && is_class(*c->p, class))
		c->p++;
	return (span_of(from, (size_t)(c->p - from)));
}

/* Exactly these bytes come next. */
static enum http1_error
take_text(struct cursor *c, struct span text)
{
	size_t left = (size_t)(c->end - c->p);
	size_t n = left < text.n ? left : text.n;

	if (memcmp(c->p, text.p, n) != 0)
		return (HTTP1_BAD);
	c->p += n;
	return (n == text.n ? HTTP1_OK : HTTP1_MORE);
}

/* At the first control character (not a tab) or at the end. */
static const char *
skip_value(const char *p, const char *end)
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
take_field(struct cursor *c, struct http1_field *f, const char **why)
{
	const char *from;

	f->name = take_class(c, TOKEN);
	if (c->p == c->end)
		return (HTTP1_MORE);
	if (*c->p != ':' || f->name.n == 0) {
		*why = "field name";
		return (HTTP1_BAD);
	}
	from = ++c->p;
	c->p = skip_value(from, c->end);
	f->value = trim(from, c->p);
	*why = "field value";
	return (take_text(c, SPAN("\r\n")));
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
		if (!is_class(s.p[i], DIGIT))
			return (false);
		*out = *out * 10 + (uint64_t)(s.p[i] - '0');
	}
	return (true);
}

static bool
is_host(struct span s)
{
	struct cursor c = {s.p, s.p + s.n};

	return (s.n > 0 && take_class(&c, HOST).n == s.n);
}

static enum http1_error
bad(struct facts *facts, const char *why)
{
	facts->why = why;
	return (HTTP1_BAD);
}

static enum http1_error
note_length(struct facts *facts, struct span value)
{
	if (facts->has_length)
		return (bad(facts, "second content-length"));
	if (!span_int(value, &facts->length))
		return (bad(facts, "content-length"));
	facts->has_length = true;
	return (HTTP1_OK);
}

static enum http1_error
note_coding(struct facts *facts, struct span value)
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
note_host(struct facts *facts, struct span value)
{
	if (facts->has_host)
		return (bad(facts, "second host"));
	if (!is_host(value))
		return (bad(facts, "host"));
	facts->has_host = true;
	facts->host = value;
	return (HTTP1_OK);
}

static enum http1_error
note_expect(struct facts *facts, struct span value)
{
	if (!span_ieq(value, SPAN("100-continue"))) {
		facts->why = "expectation";
		return (HTTP1_EXPECT);
	}
	facts->expect_continue = true;
	return (HTTP1_OK);
}

static void
note_connection(struct facts *facts, struct span value)
{
	if (http1_list_has(value, "close"))
		facts->close = true;
	if (http1_list_has(value, "upgrade"))
		facts->connection_upgrade = true;
}

/* Fields that decide on framing and connection; told apart by length. */
static enum http1_error
note_field(struct facts *facts, const struct http1_field *f)
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
	case sizeof("transfer-encoding") - 1:
		if (span_ieq(f->name, SPAN("transfer-encoding")))
			return (note_coding(facts, f->value));
		break;
	default:
		break;
	}
	return (HTTP1_OK);
}

/* All fields and the empty line behind them. */
static enum http1_error
take_fields(struct cursor *c, struct http1_field *fields, size_t *nfields,
    struct facts *facts)
{
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
		r = take_field(c, &fields[*nfields], &facts->why);
		if (r == HTTP1_OK)
			r = note_field(facts, &fields[*nfields]);
		if (r != HTTP1_OK)
			return (r);
		(*nfields)++;
	}
	facts->why = "empty line";
	if ((r = take_text(c, SPAN("\r\n"))) != HTTP1_OK)
		return (r);
	if (facts->chunked && facts->has_length)
		return (bad(facts, "content-length and transfer-encoding"));
	facts->why = NULL;
	return (HTTP1_OK);
}

/* ---- requests ---- */

static void
split_path(struct http1_head *head, struct span s)
{
	const char *mark = s.n > 0 ? memchr(s.p, '?', s.n) : NULL;

	head->path = s;
	head->query = span_of("", 0);
	if (mark != NULL) {
		head->path.n = (size_t)(mark - s.p);
		head->query = span_of(mark + 1, s.n - head->path.n - 1);
	}
	if (head->path.n == 0)
		head->path = SPAN("/");
}

/* Sets host only for the absolute form. */
static bool
parse_target(struct http1_head *head)
{
	struct span t = head->target;
	size_t n;

	head->host = span_of("", 0);
	if (t.p[0] == '/') {
		split_path(head, t);
		return (true);
	}
	if (span_eq(t, SPAN("*"))) {
		head->path = t;
		head->query = span_of("", 0);
		return (span_eq(head->method, SPAN("OPTIONS")));
	}
	if (t.n > 7 && strncasecmp(t.p, "http://", 7) == 0)
		n = 7;
	else if (t.n > 8 && strncasecmp(t.p, "https://", 8) == 0)
		n = 8;
	else
		return (false);
	t = span_of(t.p + n, t.n - n);
	for (n = 0; n < t.n && t.p[n] != '/' && t.p[n] != '?'; n++)
		;
	head->host = span_of(t.p, n);
	split_path(head, span_of(t.p + n, t.n - n));
	return (is_host(head->host));
}

static enum http1_error
take_version(struct cursor *c)
{
	struct span rest = span_of(c->p, (size_t)(c->end - c->p));
	enum http1_error r;

	r = take_text(c, SPAN("HTTP/1.1"));
	if (r != HTTP1_BAD)
		return (r);
	if ((r = take_text(c, SPAN("HTTP/"))) != HTTP1_OK)
		return (r);
	if (rest.n < 8)
		return (HTTP1_MORE);
	if (is_class(rest.p[5], DIGIT) && rest.p[6] == '.' &&
	    is_class(rest.p[7], DIGIT))
		return (HTTP1_VERSION);
	return (HTTP1_BAD);
}

static enum http1_error
take_request_line(struct cursor *c, struct http1_head *head)
{
	enum http1_error r;

	head->why = "method";
	head->method = take_class(c, TOKEN);
	if (head->method.n == 0 && c->p < c->end)
		return (HTTP1_BAD);
	if ((r = take_text(c, SPAN(" "))) != HTTP1_OK)
		return (r);
	head->why = "target";
	head->target = take_class(c, TARGET);
	if (head->target.n == 0 && c->p < c->end)
		return (HTTP1_BAD);
	if ((r = take_text(c, SPAN(" "))) != HTTP1_OK)
		return (r);
	if (!parse_target(head))
		return (HTTP1_BAD);
	head->why = "version";
	if ((r = take_version(c)) != HTTP1_OK)
		return (r);
	return (take_text(c, SPAN("\r\n")));
}

static enum http1_error
parse_request(struct cursor c, struct http1_head *head)
{
	const char *begin = c.p;
	struct facts facts = {0};
	enum http1_error r;
	int i;

	head->nfields = 0;
	head->why = "empty line";
	for (i = 0; i < 2 && c.p < c.end && *c.p == '\r'; i++)
		if ((r = take_text(&c, SPAN("\r\n"))) != HTTP1_OK)
			return (r);
	if ((r = take_request_line(&c, head)) != HTTP1_OK)
		return (r);
	r = take_fields(&c, head->fields, &head->nfields, &facts);
	head->why = facts.why;
	if (r != HTTP1_OK)
		return (r);
	if (!facts.has_host) {
		head->why = "no host";
		return (HTTP1_BAD);
	}
	if (head->host.n > 0 && !span_ieq(head->host, facts.host)) {
		head->why = "host and target differ";
		return (HTTP1_BAD);
	}
	head->host = facts.host;
	head->chunked = facts.chunked;
	head->has_length = facts.has_length;
	head->length = facts.length;
	head->close = facts.close;
	head->upgrade = facts.connection_upgrade && facts.has_upgrade;
	head->expect_continue = facts.expect_continue;
	head->size = (size_t)(c.p - begin);
	return (HTTP1_OK);
}

/* ---- responses ---- */

static enum http1_error
take_status_line(struct cursor *c, int *status)
{
	enum http1_error r;
	struct span digits;

	if ((r = take_version(c)) != HTTP1_OK)
		return (r);
	if ((r = take_text(c, SPAN(" "))) != HTTP1_OK)
		return (r);
	digits = take_class(c, DIGIT);
	if (digits.n > 3 || (digits.n < 3 && c->p < c->end))
		return (HTTP1_BAD);
	if ((r = take_text(c, SPAN(" "))) != HTTP1_OK)
		return (r);
	*status = (digits.p[0] - '0') * 100 + (digits.p[1] - '0') * 10 +
		  digits.p[2] - '0';
	c->p = skip_value(c->p, c->end);
	return (*status < 100 ? HTTP1_BAD : take_text(c, SPAN("\r\n")));
}

static enum http1_error
parse_response(struct cursor c, struct http1_response *res)
{
	const char *begin = c.p;
	struct facts facts = {0};
	enum http1_error r;

	res->nfields = 0;
	if ((r = take_status_line(&c, &res->status)) != HTTP1_OK)
		return (r);
	r = take_fields(&c, res->fields, &res->nfields, &facts);
	if (r != HTTP1_OK)
		return (r);
	res->chunked = facts.chunked;
	res->has_length = facts.has_length;
	res->length = facts.length;
	res->close = facts.close;
	res->size = (size_t)(c.p - begin);
	return (HTTP1_OK);
}

/* ---- heads in pieces ---- */

/*
 * Is it worth parsing? Always at first; after that when a line has come that
 * is empty, or that has no CR and so is an error.
 */
static bool
end_in_sight(struct span bytes, size_t scanned)
{
	const char *p = bytes.p + scanned, *end = bytes.p + bytes.n;

	if (scanned == 0)
		return (true);
	while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (p[-1] != '\r')
			return (true);
		if (p - bytes.p < 2 || p[-2] == '\n')
			return (true);
		p++;
	}
	return (false);
}

static struct cursor
bounded(struct span bytes)
{
	size_t n = bytes.n < HTTP1_MAX_HEAD ? bytes.n : HTTP1_MAX_HEAD;

	return ((struct cursor){bytes.p, bytes.p + n});
}

static enum http1_error
unfinished(struct span bytes, size_t *scanned)
{
	*scanned = bytes.n;
	return (bytes.n < HTTP1_MAX_HEAD ? HTTP1_MORE : HTTP1_TOO_LARGE);
}

enum http1_error
http1_parse_head(struct span bytes, size_t *scanned, struct http1_head *head)
{
	enum http1_error r = HTTP1_MORE;

	if (end_in_sight(bytes, *scanned))
		r = parse_request(bounded(bytes), head);
	if (r == HTTP1_MORE) {
		head->why = "too large";
		return (unfinished(bytes, scanned));
	}
	return (r);
}

enum http1_error
http1_parse_response(
    struct span bytes, size_t *scanned, struct http1_response *res)
{
	enum http1_error r = HTTP1_MORE;

	if (end_in_sight(bytes, *scanned))
		r = parse_response(bounded(bytes), res);
	return (r == HTTP1_MORE ? unfinished(bytes, scanned) : r);
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

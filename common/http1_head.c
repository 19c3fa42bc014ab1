/*
 * Heads of HTTP/1.1 messages, read in one pass. A head that comes in pieces
 * is parsed once when its first piece is there and once when its end is:
 * between these only line ends are looked at.
 */
#include "common/http1_private.h"

#include <string.h>

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
	return (http1_is_host(head->host));
}

static enum http1_error
take_version(struct http1_cursor *c)
{
	struct span rest = span_of(c->p, (size_t)(c->end - c->p));
	enum http1_error r;

	r = http1_take_text(c, SPAN("HTTP/1.1"));
	if (r != HTTP1_BAD)
		return (r);
	if ((r = http1_take_text(c, SPAN("HTTP/"))) != HTTP1_OK)
		return (r);
	if (rest.n < 8)
		return (HTTP1_MORE);
	if (http1_is_class(rest.p[5], HTTP1_DIGIT) && rest.p[6] == '.' &&
	    http1_is_class(rest.p[7], HTTP1_DIGIT))
		return (HTTP1_VERSION);
	return (HTTP1_BAD);
}

static enum http1_error
take_request_line(struct http1_cursor *c, struct http1_head *head)
{
	enum http1_error r;

	head->why = "method";
	head->method = http1_take_class(c, HTTP1_TOKEN);
	if (head->method.n == 0 && c->p < c->end)
		return (HTTP1_BAD);
	if ((r = http1_take_text(c, SPAN(" "))) != HTTP1_OK)
		return (r);
	head->why = "target";
	head->target = http1_take_class(c, HTTP1_TARGET);
	if (head->target.n == 0 && c->p < c->end)
		return (HTTP1_BAD);
	if ((r = http1_take_text(c, SPAN(" "))) != HTTP1_OK)
		return (r);
	if (!parse_target(head))
		return (HTTP1_BAD);
	head->why = "version";
	if ((r = take_version(c)) != HTTP1_OK)
		return (r);
	return (http1_take_text(c, SPAN("\r\n")));
}

static enum http1_error
parse_request(struct http1_cursor c, struct http1_head *head)
{
	const char *begin = c.p;
	struct http1_facts facts = {0};
	enum http1_error r;
	int i;

	head->nfields = 0;
	head->why = "empty line";
	for (i = 0; i < 2 && c.p < c.end && *c.p == '\r'; i++)
		if ((r = http1_take_text(&c, SPAN("\r\n"))) != HTTP1_OK)
			return (r);
	if ((r = take_request_line(&c, head)) != HTTP1_OK)
		return (r);
	r = http1_take_fields(&c, head->fields, &head->nfields, NULL, &facts);
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

/* What HTTP/1.0 servers at home send is not worth an error. */
static enum http1_error
take_answer_version(struct http1_cursor *c, bool *old)
{
	enum http1_error r = take_version(c);

	if (r != HTTP1_VERSION)
		return (r);
	/* The cursor is behind the slash. */
	*old = true;
	r = http1_take_text(c, SPAN("1.0"));
	return (r == HTTP1_BAD ? HTTP1_VERSION : r);
}

static enum http1_error
take_reason(struct http1_cursor *c, bool tolerant)
{
	enum http1_error r;

	if (tolerant && c->p < c->end && *c->p == '\r')
		return (HTTP1_OK);
	if ((r = http1_take_text(c, SPAN(" "))) != HTTP1_OK)
		return (r);
	c->p = http1_skip_value(c->p, c->end);
	return (HTTP1_OK);
}

static enum http1_error
take_status_line(
    struct http1_cursor *c, bool tolerant, struct http1_response *res)
{
	enum http1_error r;
	struct span digits;

	r = tolerant ? take_answer_version(c, &res->old) : take_version(c);
	if (r != HTTP1_OK)
		return (r);
	if ((r = http1_take_text(c, SPAN(" "))) != HTTP1_OK)
		return (r);
	digits = http1_take_class(c, HTTP1_DIGIT);
	if (digits.n > 3 || (digits.n < 3 && c->p < c->end))
		return (HTTP1_BAD);
	if ((r = take_reason(c, tolerant)) != HTTP1_OK)
		return (r);
	res->status = (digits.p[0] - '0') * 100 + (digits.p[1] - '0') * 10 +
		      digits.p[2] - '0';
	return (
	    res->status < 100 ? HTTP1_BAD : http1_take_text(c, SPAN("\r\n")));
}

static enum http1_error
parse_response(struct http1_cursor c, bool tolerant, http1_keep_fn *keep,
    struct http1_response *res)
{
	const char *begin = c.p;
	struct http1_facts facts = {0};
	enum http1_error r;

	res->nfields = 0;
	res->old = false;
	if ((r = take_status_line(&c, tolerant, res)) != HTTP1_OK)
		return (r);
	r = http1_take_fields(&c, res->fields, &res->nfields, keep, &facts);
	if (r != HTTP1_OK)
		return (r);
	if (res->old && facts.chunked)
		return (HTTP1_BAD);
	res->chunked = facts.chunked;
	res->has_length = facts.has_length;
	res->length = facts.length;
	res->close = facts.close || res->old;
	res->coded = facts.coded;
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

static struct http1_cursor
bounded(struct span bytes, size_t max)
{
	return ((struct http1_cursor){
	    bytes.p, bytes.p + (bytes.n < max ? bytes.n : max)});
}

static enum http1_error
unfinished(struct span bytes, size_t max, size_t *scanned)
{
	*scanned = bytes.n;
	return (bytes.n < max ? HTTP1_MORE : HTTP1_TOO_LARGE);
}

enum http1_error
http1_parse_head(struct span bytes, size_t *scanned, struct http1_head *head)
{
	enum http1_error r = HTTP1_MORE;

	if (end_in_sight(bytes, *scanned))
		r = parse_request(bounded(bytes, HTTP1_MAX_HEAD), head);
	if (r == HTTP1_MORE) {
		head->why = "too large";
		return (unfinished(bytes, HTTP1_MAX_HEAD, scanned));
	}
	return (r);
}

enum http1_error
http1_parse_response(
    struct span bytes, size_t *scanned, struct http1_response *res)
{
	enum http1_error r = HTTP1_MORE;

	if (end_in_sight(bytes, *scanned))
		r = parse_response(
		    bounded(bytes, HTTP1_MAX_HEAD), false, NULL, res);
	return (
	    r == HTTP1_MORE ? unfinished(bytes, HTTP1_MAX_HEAD, scanned) : r);
}

enum http1_error
http1_parse_answer(struct span bytes, size_t *scanned, http1_keep_fn *keep,
    struct http1_response *res)
{
	enum http1_error r = HTTP1_MORE;

	if (end_in_sight(bytes, *scanned))
		r = parse_response(
		    bounded(bytes, HTTP1_MAX_ANSWER_HEAD), true, keep, res);
	return (r == HTTP1_MORE
		    ? unfinished(bytes, HTTP1_MAX_ANSWER_HEAD, scanned)
		    : r);
}

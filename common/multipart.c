/* multipart/form-data, byte by byte where it matters. */
#include "common/multipart.h"

#include <assert.h>
#include <string.h>

enum state {
	S_START, /* the first boundary's line */
	S_VALUE,
	S_BEHIND, /* a boundary: padding, CRLF or the last one's "--" */
	S_DASH,	  /* the second "-" */
	S_LF,	  /* of the boundary's line */
	S_HEAD,
	S_END,
};

enum line_end {
	LE_NONE,
	LE_HEAD, /* the empty line before the value */
	LE_CR,
	LE_LF,
	LE_CRLF
};

static const struct span line_ends[] = {
    [LE_NONE] = {NULL, 0},
    [LE_HEAD] = {NULL, 0},
    [LE_CR] = {"\r", 1},
    [LE_LF] = {"\n", 1},
    [LE_CRLF] = {"\r\n", 2},
};

/* ---- the type ----------------------------------------------------------- */

static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t');
}

static struct span
skip_blanks(struct span s)
{
	while (s.n > 0 && is_blank(*s.p))
		s = span_of(s.p + 1, s.n - 1);
	return (s);
}

static bool
is_token_char(char c)
{
	return (
	    c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?={}", c) == NULL);
}

/* RFC 2046: bchars. */
static bool
is_boundary(struct span s)
{
	size_t i;

	if (s.n == 0 || s.n > MULTIPART_BOUNDARY_MAX || s.p[s.n - 1] == ' ')
		return (false);
	for (i = 0; i < s.n; i++) {
		if ((s.p[i] >= '0' && s.p[i] <= '9') ||
		    (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
		    (s.p[i] >= 'a' && s.p[i] <= 'z'))
			continue;
		if (s.p[i] == '\0' || strchr("'()+_,-./:=? ", s.p[i]) == NULL)
			return (false);
	}
	return (true);
}

struct param {
	struct span name, value;
};

/*
 * Takes "; name=value" off s. 1: there was one; 0: there is none left; -1:
 * it cannot be read in one way only.
 */
static int
take_param(struct span *s, struct param *p)
{
	struct span in = skip_blanks(*s);
	size_t n = 0;
	bool quoted;

	if (in.n == 0)
		return (0);
	if (*in.p != ';')
		return (-1);
	in = skip_blanks(span_of(in.p + 1, in.n - 1));
	while (n < in.n && is_token_char(in.p[n]))
		n++;
	if (n == 0 || n == in.n || in.p[n] != '=')
		return (-1);
	p->name = span_of(in.p, n);
	in = span_of(in.p + n + 1, in.n - n - 1);
	quoted = in.n > 0 && *in.p == '"';
	if (quoted)
		in = span_of(in.p + 1, in.n - 1);
	for (n = 0; n < in.n; n++)
		if (quoted ? in.p[n] == '"' : !is_token_char(in.p[n]))
			break;
	if (quoted && (n == in.n || (n > 0 && in.p[n - 1] == '\\')))
		return (-1);
	p->value = span_of(in.p, n);
	*s = span_of(in.p + n + quoted, in.n - n - quoted);
	return (1);
}

struct span
multipart_boundary(struct span type)
{
	const struct span want = SPAN("multipart/form-data");
	struct span found = {NULL, 0};
	struct param p;
	int more;

	if (type.n < want.n || !span_ieq(span_of(type.p, want.n), want))
		return (found);
	type = span_of(type.p + want.n, type.n - want.n);
	while ((more = take_param(&type, &p)) == 1) {
		if (!span_ieq(p.name, SPAN("boundary")))
			continue;
		if (found.n != 0 || !is_boundary(p.value))
			return (span_of(NULL, 0));
		found = p.value;
	}
	return (more == 0 ? found : span_of(NULL, 0));
}

/* ---- the head of a part -------------------------------------------------- */

static bool
take_name(struct multipart *m, struct span name)
{
	if (m->field.name.p != NULL || name.n >= sizeof(m->name) ||
	    memchr(name.p, '\\', name.n) != NULL)
		return (false);
	memcpy(m->name, name.p, name.n);
	m->field.name = span_of(m->name, name.n);
	return (true);
}

static bool
take_disposition(struct multipart *m, struct span value)
{
	const struct span want = SPAN("form-data");
	struct param p;
	int more;

	if (m->named || value.n < want.n ||
	    !span_ieq(span_of(value.p, want.n), want))
		return (false);
	m->named = true;
	value = span_of(value.p + want.n, value.n - want.n);
	while ((more = take_param(&value, &p)) == 1) {
		if (span_ieq(p.name, SPAN("name*")))
			return (false);
		if (span_ieq(p.name, SPAN("name")) && !take_name(m, p.value))
			return (false);
		if (span_ieq(p.name, SPAN("filename")) ||
		    span_ieq(p.name, SPAN("filename*")))
			m->field.file = true;
	}
	return (more == 0 && m->field.name.p != NULL);
}

/* Values are bytes as they are: no other encoding of them is understood. */
static bool
is_plain_encoding(struct span v)
{
	return (span_ieq(v, SPAN("binary")) || span_ieq(v, SPAN("8bit")) ||
		span_ieq(v, SPAN("7bit")));
}

static bool
take_line(struct multipart *m, struct span line)
{
	struct span name, value;
	size_t n = 0;

	while (n < line.n && is_token_char(line.p[n]))
		n++;
	if (n == 0 || n == line.n || line.p[n] != ':' ||
	    memchr(line.p, '\0', line.n) != NULL)
		return (false);
	name = span_of(line.p, n);
	value = skip_blanks(span_of(line.p + n + 1, line.n - n - 1));
	while (value.n > 0 && is_blank(value.p[value.n - 1]))
		value.n--;
	if (span_ieq(name, SPAN("content-disposition")))
		return (take_disposition(m, value));
	if (span_ieq(name, SPAN("content-transfer-encoding")))
		return (is_plain_encoding(value));
	return (true);
}

static void
begin_part(struct multipart *m)
{
	m->state = S_HEAD;
	m->line_len = m->head_len = m->text_len = 0;
	m->cr = m->named = false;
	m->field = (struct multipart_field){0};
	if (++m->parts > MULTIPART_PARTS)
		m->result = MULTIPART_BAD;
}

static void
begin_value(struct multipart *m)
{
	m->state = S_VALUE;
	m->field.begin = m->offset + 1;
	m->line_end = LE_HEAD;
	m->matched = 0;
	if (!m->named)
		m->result = MULTIPART_BAD;
}

static void
head_byte(struct multipart *m, char c)
{
	if (m->cr) {
		m->cr = false;
		if (c != '\n')
			m->result = MULTIPART_BAD;
		else if (m->line_len == 0)
			begin_value(m);
		else if (!take_line(m, span_of(m->line, m->line_len)))
			m->result = MULTIPART_BAD;
		m->line_len = 0;
		return;
	}
	if (c == '\r') {
		m->cr = true;
		return;
	}
	if (c == '\n' || m->line_len == sizeof(m->line) ||
	    ++m->head_len > MULTIPART_HEAD) {
		m->result = MULTIPART_BAD;
		return;
	}
	m->line[m->line_len++] = c;
}

/* ---- values -------------------------------------------------------------- */

static void
keep(struct multipart *m, struct span bytes)
{
	size_t n = sizeof(m->text) - m->text_len;

	if (bytes.n < n)
		n = bytes.n;
	if (n > 0)
		memcpy(m->text + m->text_len, bytes.p, n);
	m->text_len += n;
	m->field.size += bytes.n;
}

/* What looked like a boundary was the value's own. */
static void
keep_matched(struct multipart *m)
{
	keep(m, line_ends[m->line_end]);
	keep(m, span_of(m->mark, m->matched));
	m->line_end = LE_NONE;
	m->matched = 0;
}

static void
end_value(struct multipart *m)
{
	/* Half a line end, or the head's: some parsers see a boundary
	 * here. */
	if (m->line_end != LE_CRLF) {
		m->result = MULTIPART_BAD;
		return;
	}
	m->state = S_BEHIND;
	m->line_end = LE_NONE;
	m->matched = 0;
	m->field.text = span_of(m->text, m->text_len);
	m->field.cut = m->field.size > m->text_len;
	if (!m->fn(m->arg, &m->field))
		m->result = MULTIPART_STOPPED;
}

static void
value_byte(struct multipart *m, char c)
{
	if (c == '\n' && m->line_end == LE_CR && m->matched == 0) {
		m->line_end = LE_CRLF;
		return;
	}
	if (m->line_end != LE_NONE && c == m->mark[m->matched]) {
		if (++m->matched == m->mark_len)
			end_value(m);
		return;
	}
	keep_matched(m);
	if (c == '\r' || c == '\n')
		m->line_end = c == '\r' ? LE_CR : LE_LF;
	else
		keep(m, span_of(&c, 1));
}

/* How many bytes from the start of s can be no part of a boundary. */
static size_t
plain_run(const struct multipart *m, struct span s)
{
	size_t n = 0;

	if (m->state != S_VALUE || m->line_end != LE_NONE)
		return (0);
	while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n')
		n++;
	return (n);
}

/* ---- boundaries ---------------------------------------------------------- */

static void
start_byte(struct multipart *m, char c)
{
	if (c != m->mark[m->matched])
		m->result = MULTIPART_BAD;
	else if (++m->matched == m->mark_len)
		m->state = S_BEHIND;
}

static void
behind_byte(struct multipart *m, char c)
{
	if (c == '\r')
		m->state = S_LF;
	else if (c == '-' && !m->cr)
		m->state = S_DASH;
	else if (!is_blank(c))
		m->result = MULTIPART_BAD;
	m->cr = true; /* no "--" behind padding */
}

static void
take_byte(struct multipart *m, char c)
{
	switch ((enum state)m->state) {
	case S_START:
		start_byte(m, c);
		break;
	case S_VALUE:
		value_byte(m, c);
		break;
	case S_BEHIND:
		behind_byte(m, c);
		break;
	case S_DASH:
		m->state = S_END;
		m->result = c == '-' ? MULTIPART_DONE : MULTIPART_BAD;
		break;
	case S_LF:
		begin_part(m);
		if (c != '\n')
			m->result = MULTIPART_BAD;
		break;
	case S_HEAD:
		head_byte(m, c);
		break;
	case S_END:
		if (!is_blank(c) && c != '\r' && c != '\n')
			m->result = MULTIPART_BAD;
		break;
	}
}

void
multipart_init(
    struct multipart *m, struct span boundary, multipart_fn *fn, void *arg)
{
	assert(boundary.n > 0 && boundary.n <= MULTIPART_BOUNDARY_MAX);
	memset(m, 0, sizeof(*m));
	m->fn = fn;
	m->arg = arg;
	memcpy(m->mark, "--", 2);
	memcpy(m->mark + 2, boundary.p, boundary.n);
	m->mark_len = boundary.n + 2;
}

enum multipart_result
multipart_feed(struct multipart *m, struct span bytes)
{
	size_t n;

	while (bytes.n > 0 &&
	       (m->result == MULTIPART_MORE || m->result == MULTIPART_DONE)) {
		n = plain_run(m, bytes);
		if (n > 0) {
			keep(m, span_of(bytes.p, n));
		} else {
			take_byte(m, *bytes.p);
			n = 1;
		}
		m->offset += n;
		bytes = span_of(bytes.p + n, bytes.n - n);
	}
	return (m->result);
}

/*
 * Server-sent events, split as they pass: a state for the place in the line
 * and the few bytes that tell field names apart.
 */
#include "common/sse.h"

#include <stdint.h>
#include <string.h>

enum sse_state {
	LINE_START,
	FIELD,	 /* in the field's name, or in a comment */
	DATA,	 /* in the value of a data field */
	NAME,	 /* in the value of an event field */
	IGNORED, /* in any other value */
	STRAY,	 /* behind the events: handler->on_stray */
};

void
sse_init(struct sse *s, const struct sse_handler *handler, void *arg)
{
	memset(s, 0, sizeof(*s));
	s->handler = handler;
	s->arg = arg;
	s->state = LINE_START;
}

/* The first CR or LF at or behind p, else end. */
static const char *
line_end(const char *p, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t x, cr, lf;

	for (; end - p >= 8; p += 8) {
		memcpy(&x, p, sizeof(x));
		cr = x ^ ones * '\r';
		lf = x ^ ones * '\n';
		if ((((cr - ones) & ~cr) | ((lf - ones) & ~lf)) & ones * 0x80)
			break;
	}
	while (p < end && *p != '\r' && *p != '\n')
		p++;
	return (p);
}

static bool
field_is(const struct sse *s, const char *name)
{
	size_t n = strlen(name);

	return (s->field_len == n && memcmp(s->field, name, n) == 0);
}

/* The field's name is complete: its value begins, even if it is empty. */
static void
begin_value(struct sse *s)
{
	s->state = IGNORED;
	if (field_is(s, "data")) {
		if (s->has_data)
			s->handler->on_data(s->arg, SPAN("\n"));
		s->has_data = true;
		s->state = DATA;
	} else if (field_is(s, "event")) {
		s->name_len = 0;
		s->state = NAME;
	}
}

/* Part of a name; names longer than all that we know need not be kept. */
static void
add_field(struct sse *s, const char *p, size_t n)
{
	if (n > sizeof(s->field) - s->field_len)
		n = sizeof(s->field) - s->field_len;
	memcpy(s->field + s->field_len, p, n);
	s->field_len += n;
}

static void
add_name(struct sse *s, const char *p, size_t n)
{
	if (n > SSE_NAME_MAX - s->name_len)
		n = SSE_NAME_MAX - s->name_len;
	memcpy(s->name + s->name_len, p, n);
	s->name_len += n;
}

static void
take_value(struct sse *s, const char *p, size_t n)
{
	if (n == 0)
		return;
	if (s->state == DATA)
		s->handler->on_data(s->arg, span_of(p, n));
	else if (s->state == NAME)
		add_name(s, p, n);
}

/* Bytes of one line, without its end. */
static void
take_line(struct sse *s, const char *p, const char *end)
{
	const char *colon;

	if (p == end)
		return;
	if (s->state == LINE_START) {
		s->field_len = 0;
		s->state = FIELD;
	}
	if (s->state == FIELD) {
		colon = memchr(p, ':', (size_t)(end - p));
		add_field(s, p, (size_t)((colon ? colon : end) - p));
		if (colon == NULL)
			return;
		p = colon + 1;
		begin_value(s);
		s->skip_blank = true;
		if (p == end)
			return;
	}
	if (s->skip_blank && *p == ' ')
		p++;
	s->skip_blank = false;
	take_value(s, p, (size_t)(end - p));
}

static void
end_line(struct sse *s, size_t offset)
{
	bool had_data = s->has_data;

	if (s->state == FIELD)
		begin_value(s);
	s->skip_blank = false;
	if (s->state != LINE_START) {
		s->state = LINE_START;
		return;
	}
	s->name[s->name_len] = '\0';
	s->has_data = false;
	s->name_len = 0;
	s->handler->on_event(s->arg, s->name, had_data, offset);
}

/* The byte order mark, which may begin a stream; how much of it is here. */
static size_t
take_bom(struct sse *s, struct span bytes)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t i = 0;

	while (s->bom < 3 && i < bytes.n) {
		if (bytes.p[i] != mark[s->bom]) {
			/* What looked like a mark begins a line. */
			if (s->bom > 0)
				take_line(s, mark, mark + s->bom);
			s->bom = 3;
			break;
		}
		s->bom++;
		i++;
	}
	return (i);
}

void
sse_feed(struct sse *s, struct span bytes)
{
	const char *p = bytes.p, *end = bytes.p + bytes.n, *eol;

	p += take_bom(s, bytes);
	while (p < end) {
		if (s->last_cr && *p == '\n') {
			s->last_cr = false;
			p++;
			continue;
		}
		s->last_cr = false;
		if (s->state == LINE_START && *p == '{' &&
		    s->handler->on_stray != NULL)
			s->state = STRAY;
		if (s->state == STRAY) {
			s->handler->on_stray(
			    s->arg, span_of(p, (size_t)(end - p)));
			return;
		}
		eol = line_end(p, end);
		take_line(s, p, eol);
		if (eol == end)
			return;
		p = eol + 1;
		s->last_cr = *eol == '\r';
		if (s->last_cr && p < end && *p == '\n') {
			s->last_cr = false;
			p++;
		}
		end_line(s, (size_t)(p - bytes.p));
	}
}

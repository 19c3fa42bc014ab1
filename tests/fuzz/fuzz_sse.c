/*
 * Server-sent events: however the bytes are cut, the events are those that
 * a plain reading of the standard, line by line, finds.
 */
#include <string.h>

#include "common/buf.h"
#include "common/sse.h"
#include "tests/fuzz/fuzz.h"

struct seen {
	struct buf log, data, stray;
	size_t piece; /* of the bytes fed at once */
};

static void
on_data(void *arg, struct span piece)
{
	buf_addspan(&((struct seen *)arg)->data, piece);
}

static void
note(struct seen *s, const char *name, bool has_data)
{
	buf_addf(&s->log, "[%s %d %zu:", name, has_data, buf_len(&s->data));
	buf_addspan(&s->log, buf_span(&s->data));
	buf_reset(&s->data, SIZE_MAX);
}

static void
on_event(void *arg, const char *name, bool has_data, size_t end)
{
	struct seen *s = arg;

	MUST(end <= s->piece && strlen(name) <= SSE_NAME_MAX);
	note(s, name, has_data);
}

static void
on_stray(void *arg, struct span piece)
{
	struct seen *s = arg;

	buf_reset(&s->data, SIZE_MAX);
	buf_addspan(&s->stray, piece);
}

static const struct sse_handler handler = {
    .on_data = on_data, .on_event = on_event};
static const struct sse_handler with_strays = {
    .on_data = on_data, .on_event = on_event, .on_stray = on_stray};

static void
read_in_steps(
    const struct sse_handler *h, struct span in, size_t step, struct seen *s)
{
	struct sse sse;
	size_t at;

	sse_init(&sse, h, s);
	for (at = 0; at < in.n; at += s->piece) {
		char *p;

		s->piece = in.n - at < step ? in.n - at : step;
		MUST((p = malloc(s->piece)) != NULL);
		memcpy(p, in.p + at, s->piece);
		sse_feed(&sse, span_of(p, s->piece));
		free(p);
	}
}

/* ---- the standard, word for word ------------------------------------------
 */

struct plain {
	struct seen *seen;
	char name[SSE_NAME_MAX + 1];
	bool has_data;
};

static void
plain_line(struct plain *p, struct span line)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct span name = line, value = {0};

	if (line.n == 0) {
		note(p->seen, p->name, p->has_data);
		p->name[0] = '\0';
		p->has_data = false;
		return;
	}
	if (colon != NULL) {
		name.n = (size_t)(colon - line.p);
		value = span_of(colon + 1, line.n - name.n - 1);
		if (value.n > 0 && value.p[0] == ' ')
			value = span_of(value.p + 1, value.n - 1);
	}
	if (span_eq(name, SPAN("data"))) {
		if (p->has_data)
			buf_addstr(&p->seen->data, "\n");
		p->has_data = true;
		buf_addspan(&p->seen->data, value);
	} else if (span_eq(name, SPAN("event"))) {
		size_t n = value.n < SSE_NAME_MAX ? value.n : SSE_NAME_MAX;

		if (n > 0)
			memcpy(p->name, value.p, n);
		p->name[n] = '\0';
	}
}

static void
read_plainly(struct span in, bool strays, struct seen *s)
{
	struct plain p = {.seen = s};
	size_t i, start = 0;

	if (span_starts(in, SPAN("\xef\xbb\xbf")))
		start = 3;
	for (i = start; i < in.n; i++) {
		if (strays && i == start && in.p[i] == '{') {
			buf_addspan(&s->stray, span_of(in.p + i, in.n - i));
			return;
		}
		if (in.p[i] != '\n' && in.p[i] != '\r')
			continue;
		plain_line(&p, span_of(in.p + start, i - start));
		if (in.p[i] == '\r' && i + 1 < in.n && in.p[i + 1] == '\n')
			i++;
		start = i + 1;
	}
}

static void
seen_fini(struct seen *s)
{
	buf_fini(&s->log);
	buf_fini(&s->data);
	buf_fini(&s->stray);
}

static void
compare(const struct sse_handler *h, struct span in, size_t step)
{
	struct seen plain = {0}, whole = {0}, cut = {0};

	read_plainly(in, h->on_stray != NULL, &plain);
	read_in_steps(h, in, SIZE_MAX, &whole);
	read_in_steps(h, in, step, &cut);
	MUST(span_eq(buf_span(&whole.log), buf_span(&cut.log)));
	MUST(span_eq(buf_span(&whole.log), buf_span(&plain.log)));
	MUST(span_eq(buf_span(&whole.stray), buf_span(&cut.stray)));
	MUST(span_eq(buf_span(&whole.stray), buf_span(&plain.stray)));
	seen_fini(&plain);
	seen_fini(&whole);
	seen_fini(&cut);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in;

	if (size < 1)
		return (0);
	in = span_of((const char *)data + 1, size - 1);
	compare(&handler, in, (size_t)data[0] + 1);
	compare(&with_strays, in, (size_t)data[0] + 1);
	return (0);
}

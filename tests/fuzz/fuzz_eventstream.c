/*
 * Event streams: however the bytes are cut, the messages are those that a
 * plain reading, message by message, finds. The first byte chooses the cut,
 * and whether the CRCs are made right first, which no fuzzer guesses.
 */
#include <string.h>

#include "common/buf.h"
#include "common/crc32.h"
#include "common/eventstream.h"
#include "tests/fuzz/fuzz.h"

struct seen {
	struct buf log;
	size_t piece; /* of the bytes fed at once */
	bool open;
};

static void
note_header(struct buf *log, struct span name, unsigned type, struct span value)
{
	buf_addf(log, "<%zu ", name.n);
	buf_addspan(log, name);
	buf_addf(log, " %u %zu ", type, value.n);
	buf_addspan(log, value);
}

static void
on_head(void *arg, const struct eventstream_header *h, size_t n)
{
	struct seen *s = arg;
	size_t i;

	MUST(!s->open && n <= EVENTSTREAM_NHEADERS);
	s->open = true;
	for (i = 0; i < n; i++)
		note_header(&s->log, h[i].name, h[i].type, h[i].value);
	buf_addstr(&s->log, "|");
}

static void
on_payload(void *arg, struct span piece)
{
	struct seen *s = arg;

	MUST(s->open && piece.n > 0 && piece.n <= s->piece);
	buf_addspan(&s->log, piece);
}

static void
on_end(void *arg, size_t end)
{
	struct seen *s = arg;

	MUST(s->open && end > 0 && end <= s->piece);
	s->open = false;
	buf_addstr(&s->log, "]");
}

static const struct eventstream_handler handler = {on_head, on_payload, on_end};

/* How the stream ended is told in the log, too. */
static void
read_in_steps(struct span in, size_t step, struct seen *s)
{
	struct eventstream es;
	size_t at;
	bool ok = true;

	eventstream_init(&es, &handler, s);
	for (at = 0; at < in.n; at += s->piece) {
		char *p;

		s->piece = in.n - at < step ? in.n - at : step;
		MUST((p = malloc(s->piece)) != NULL);
		memcpy(p, in.p + at, s->piece);
		MUST(!eventstream_feed(&es, span_of(p, s->piece)) || ok);
		ok = es.error == EVENTSTREAM_OK;
		free(p);
	}
	buf_addf(&s->log, "(%d %d)", es.error, eventstream_at_boundary(&es));
	eventstream_fini(&es);
}

/* ---- message by message -------------------------------------------------- */

static uint32_t
get32(struct span in, size_t at)
{
	const uint8_t *p = (const uint8_t *)in.p + at;

	return ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		(uint32_t)p[2] << 8 | p[3]);
}

static void
set32(struct span in, size_t at, uint32_t v)
{
	char *p = (char *)in.p + at;

	p[0] = (char)(v >> 24);
	p[1] = (char)(v >> 16);
	p[2] = (char)(v >> 8);
	p[3] = (char)v;
}

/* Both CRCs of each message that is there. */
static void
set_right(struct span in)
{
	size_t at = 0, total;

	while (in.n - at >= 12) {
		total = get32(in, at);
		set32(in, at + 8, crc32_add(0, in.p + at, 8));
		if (total < 16 || total > in.n - at)
			return;
		set32(in, at + total - 4, crc32_add(0, in.p + at, total - 4));
		at += total;
	}
}

/* The header's size at p, 0: it is none. */
static size_t
header_size(
    struct span p, struct span *name, unsigned *type, struct span *value)
{
	static const size_t sizes[] = {0, 0, 1, 2, 4, 8, 2, 2, 8, 16};
	size_t at;

	if (p.n < 1 || p.n < 2u + (uint8_t)p.p[0])
		return (0);
	*name = span_of(p.p + 1, (uint8_t)p.p[0]);
	*type = (uint8_t)p.p[1 + name->n];
	at = 2 + name->n;
	if (*type > 9 || p.n - at < sizes[*type])
		return (0);
	*value = span_of(p.p + at, sizes[*type]);
	if (*type == 6 || *type == 7) {
		size_t n = (size_t)(uint8_t)p.p[at] << 8 | (uint8_t)p.p[at + 1];

		if (n > 32767 || n > p.n - at - 2)
			return (0);
		*value = span_of(p.p + at + 2, n);
		at += 2;
	}
	return (at + value->n);
}

static bool
comes_before(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return (order < 0 || (order == 0 && a.n < b.n));
}

/* The headers by their names, found anew for each: slow and plain. */
static int
read_headers(struct span in, struct buf *log)
{
	struct span name, value, low = {0}, rest, best = {0}, best_value = {0};
	unsigned type, best_type = 0, seen = 0, n = 0, same;
	size_t size;

	for (rest = in; rest.n > 0; n++) {
		size = header_size(rest, &name, &type, &value);
		if (size == 0 || n == 1024)
			return (EVENTSTREAM_BAD_HEADERS);
		rest = span_of(rest.p + size, rest.n - size);
	}
	for (; seen < n; seen++) {
		same = 0;
		for (rest = in; rest.n > 0;) {
			size = header_size(rest, &name, &type, &value);
			rest = span_of(rest.p + size, rest.n - size);
			if (seen > 0 && !comes_before(low, name))
				continue;
			if (same > 0 && span_eq(name, best)) {
				same++;
			} else if (same == 0 || comes_before(name, best)) {
				same = 1;
				best = name;
				best_value = value;
				best_type = type;
			}
		}
		if (same != 1)
			return (EVENTSTREAM_DUPLICATE);
		low = best;
		note_header(log, best, best_type, best_value);
	}
	return (EVENTSTREAM_OK);
}

/* The message at the front; what is wrong with it, -1: it is not whole. */
static int
read_message(struct span in, struct buf *log)
{
	size_t total, headers;
	int error;

	if (in.n < 12)
		return (-1);
	if (get32(in, 8) != crc32_add(0, in.p, 8))
		return (EVENTSTREAM_BAD_PRELUDE);
	total = get32(in, 0);
	headers = get32(in, 4);
	if (total > 25165824 || headers > 131072 || total < 16 + headers)
		return (EVENTSTREAM_BAD_LENGTH);
	if (in.n - 12 < headers)
		return (-1);
	error = read_headers(span_of(in.p + 12, headers), log);
	if (error != EVENTSTREAM_OK)
		return (error);
	buf_addstr(log, "|");
	in = span_of(in.p, in.n < total ? in.n : total);
	buf_add(log, in.p + 12 + headers,
	    (in.n < total - 4 ? in.n : total - 4) - 12 - headers);
	if (in.n < total)
		return (-1);
	if (get32(in, total - 4) != crc32_add(0, in.p, total - 4))
		return (EVENTSTREAM_BAD_MESSAGE);
	buf_addstr(log, "]");
	return (EVENTSTREAM_OK);
}

static void
read_plainly(struct span in, struct seen *s)
{
	size_t known, total;
	int error = 0;

	while (in.n > 0 && error == EVENTSTREAM_OK) {
		known = buf_len(&s->log);
		error = read_message(in, &s->log);
		/* Headers that are not taken are not told. */
		if (error == EVENTSTREAM_BAD_HEADERS ||
		    error == EVENTSTREAM_DUPLICATE)
			s->log.end = s->log.off + known;
		if (error == EVENTSTREAM_OK) {
			total = get32(in, 0);
			in = span_of(in.p + total, in.n - total);
		}
	}
	buf_addf(&s->log, "(%d %d)", error > 0 ? error : 0, error == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen plain = {0}, whole = {0}, cut = {0};
	struct span in;
	char *copy;

	if (size < 1)
		return (0);
	MUST((copy = malloc(size)) != NULL);
	memcpy(copy, data + 1, size - 1);
	in = span_of(copy, size - 1);
	if (data[0] & 1)
		set_right(in);
	read_plainly(in, &plain);
	read_in_steps(in, SIZE_MAX, &whole);
	read_in_steps(in, (size_t)data[0] / 2 + 1, &cut);
	MUST(span_eq(buf_span(&whole.log), buf_span(&cut.log)));
	MUST(span_eq(buf_span(&whole.log), buf_span(&plain.log)));
	buf_fini(&plain.log);
	buf_fini(&whole.log);
	buf_fini(&cut.log);
	free(copy);
	return (0);
}

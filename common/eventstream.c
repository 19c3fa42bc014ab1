/*
 * Event streams, read as they pass: a state for the place in the message and
 * the headers of one message.
 */
#include "common/eventstream.h"

#include <stdlib.h>

#include "common/crc32.h"

#define PRELUDE	  12 /* two lengths and their CRC */
#define CRC	  4
#define HEAD_KEEP 4096 /* memory kept between messages */

enum eventstream_state {
	IN_PRELUDE,
	IN_HEADERS,
	IN_PAYLOAD,
	IN_CRC,
	BROKEN,
};

void
eventstream_init(
    struct eventstream *s, const struct eventstream_handler *handler, void *arg)
{
	memset(s, 0, sizeof(*s));
	s->handler = handler;
	s->arg = arg;
	s->state = IN_PRELUDE;
}

void
eventstream_fini(struct eventstream *s)
{
	buf_fini(&s->head);
}

bool
eventstream_at_boundary(const struct eventstream *s)
{
	return (s->state == IN_PRELUDE && s->got == 0);
}

static void
break_off(struct eventstream *s, enum eventstream_error error)
{
	s->state = BROKEN;
	s->error = error;
}

static uint32_t
be32(const uint8_t *p)
{
	return ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		(uint32_t)p[2] << 8 | p[3]);
}

/* ---- headers ------------------------------------------------------------ */

/* The first n of the bytes, which are moved on; false: they are not there. */
static bool
take(struct span *s, size_t n, struct span *out)
{
	if (s->n < n)
		return (false);
	*out = span_of(s->p, n);
	*s = span_of(s->p + n, s->n - n);
	return (true);
}

static bool
take_value(struct span *s, enum eventstream_type type, struct span *out)
{
	static const uint8_t sizes[] = {
	    [EVENTSTREAM_INT8] = 1,
	    [EVENTSTREAM_INT16] = 2,
	    [EVENTSTREAM_INT32] = 4,
	    [EVENTSTREAM_INT64] = 8,
	    [EVENTSTREAM_TIMESTAMP] = 8,
	    [EVENTSTREAM_UUID] = 16,
	};
	struct span size;
	size_t n;

	if (type > EVENTSTREAM_UUID)
		return (false);
	if (type != EVENTSTREAM_BYTES && type != EVENTSTREAM_STRING)
		return (take(s, sizes[type], out));
	if (!take(s, 2, &size))
		return (false);
	n = (size_t)(uint8_t)size.p[0] << 8 | (uint8_t)size.p[1];
	return (n <= EVENTSTREAM_VALUE_MAX && take(s, n, out));
}

static bool
take_header(struct span *s, struct eventstream_header *h)
{
	struct span byte;

	if (!take(s, 1, &byte) || !take(s, (uint8_t)byte.p[0], &h->name) ||
	    !take(s, 1, &byte))
		return (false);
	h->type = (enum eventstream_type)(uint8_t)byte.p[0];
	return (take_value(s, h->type, &h->value));
}

static int
by_name(const void *x, const void *y)
{
	const struct eventstream_header *a = x, *b = y;
	size_t n = a->name.n < b->name.n ? a->name.n : b->name.n;
	int order = n == 0 ? 0 : memcmp(a->name.p, b->name.p, n);

	if (order != 0)
		return (order);
	return ((a->name.n > b->name.n) - (a->name.n < b->name.n));
}

/* Fills h with the headers, *n of them, by their names. */
static enum eventstream_error
take_headers(struct span left, struct eventstream_header *h, size_t *n)
{
	size_t i;

	for (*n = 0; left.n > 0; ++*n)
		if (*n == EVENTSTREAM_NHEADERS || !take_header(&left, &h[*n]))
			return (EVENTSTREAM_BAD_HEADERS);
	if (*n > 1)
		qsort(h, *n, sizeof(h[0]), by_name);
	for (i = 1; i < *n; i++)
		if (span_eq(h[i - 1].name, h[i].name))
			return (EVENTSTREAM_DUPLICATE);
	return (EVENTSTREAM_OK);
}

static void
end_headers(struct eventstream *s)
{
	struct eventstream_header h[EVENTSTREAM_NHEADERS];
	enum eventstream_error error;
	size_t n;

	error = take_headers(buf_span(&s->head), h, &n);
	if (error != EVENTSTREAM_OK) {
		break_off(s, error);
		return;
	}
	s->state = s->payload > 0 ? IN_PAYLOAD : IN_CRC;
	s->handler->on_head(s->arg, h, n);
	buf_reset(&s->head, HEAD_KEEP);
}

struct span
eventstream_text(const struct eventstream_header *h, size_t n, struct span name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (h[i].type == EVENTSTREAM_STRING && span_eq(h[i].name, name))
			return (h[i].value);
	return (SPAN(""));
}

/* ---- the parts of a message --------------------------------------------- */

/* Fills fixed up to want bytes; true when they are all there. */
static bool
gather(struct eventstream *s, struct span *in, size_t want)
{
	size_t n = want - s->got < in->n ? want - s->got : in->n;

	memcpy(s->fixed + s->got, in->p, n);
	*in = span_of(in->p + n, in->n - n);
	s->got += n;
	if (s->got < want)
		return (false);
	s->got = 0;
	return (true);
}

/* Up to *left bytes, which pass into the message's CRC. */
static struct span
pass(struct eventstream *s, struct span *in, uint32_t *left)
{
	struct span piece = *in;

	if (piece.n > *left)
		piece.n = *left;
	*in = span_of(in->p + piece.n, in->n - piece.n);
	*left -= (uint32_t)piece.n;
	s->crc = crc32_add(s->crc, piece.p, piece.n);
	return (piece);
}

static void
read_prelude(struct eventstream *s, struct span *in)
{
	uint32_t total;

	if (!gather(s, in, PRELUDE))
		return;
	if (crc32_add(0, s->fixed, 8) != be32(s->fixed + 8)) {
		break_off(s, EVENTSTREAM_BAD_PRELUDE);
		return;
	}
	total = be32(s->fixed);
	s->headers = be32(s->fixed + 4);
	if (total > EVENTSTREAM_MESSAGE_MAX ||
	    s->headers > EVENTSTREAM_HEADERS_MAX ||
	    total < s->headers + PRELUDE + CRC) {
		break_off(s, EVENTSTREAM_BAD_LENGTH);
		return;
	}
	s->payload = total - s->headers - PRELUDE - CRC;
	s->crc = crc32_add(0, s->fixed, PRELUDE);
	s->state = IN_HEADERS;
	if (s->headers == 0)
		end_headers(s);
}

static void
read_headers(struct eventstream *s, struct span *in)
{
	buf_addspan(&s->head, pass(s, in, &s->headers));
	if (s->headers == 0)
		end_headers(s);
}

static void
read_payload(struct eventstream *s, struct span *in)
{
	struct span piece = pass(s, in, &s->payload);

	if (s->payload == 0)
		s->state = IN_CRC;
	s->handler->on_payload(s->arg, piece);
}

static void
read_crc(struct eventstream *s, struct span *in, size_t whole)
{
	if (!gather(s, in, CRC))
		return;
	if (be32(s->fixed) != s->crc) {
		break_off(s, EVENTSTREAM_BAD_MESSAGE);
		return;
	}
	s->state = IN_PRELUDE;
	s->handler->on_end(s->arg, whole - in->n);
}

bool
eventstream_feed(struct eventstream *s, struct span bytes)
{
	struct span in = bytes;

	while (in.n > 0 && s->state != BROKEN)
		switch (s->state) {
		case IN_PRELUDE:
			read_prelude(s, &in);
			break;
		case IN_HEADERS:
			read_headers(s, &in);
			break;
		case IN_PAYLOAD:
			read_payload(s, &in);
			break;
		default:
			read_crc(s, &in, bytes.n);
			break;
		}
	return (s->state != BROKEN);
}

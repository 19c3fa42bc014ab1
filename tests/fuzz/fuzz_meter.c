/*
 * The meter must report and put out the same however an answer is cut, put
 * out all bytes if nothing is to be hidden, and never invent any; but errors
 * are scrubbed, and one too large to be held is cut where it is known. The
 * first byte says whose answer it is and how it is framed, the second how it
 * is cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hubd/api/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct endpoint *
pick(unsigned n)
{
	size_t count;
	const struct endpoint *all = endpoint_all(&count);

	return (&all[n % count]);
}

/* 0: one document, 1: events, 2: the endpoint's own frame, if it has one, 3:
 * events of which usage is to be hidden. */
static enum meter_frame
frame_of(const struct endpoint *e, unsigned how)
{
	if (how == 2)
		return (meter_frame_of(
		    e, SPAN("application/vnd.amazon.eventstream")));
	return (how == 0 ? FRAME_WHOLE : FRAME_EVENTS);
}

static struct meter_report
run(const struct endpoint *e, struct span in, size_t cut, unsigned how,
    struct buf *out)
{
	struct meter *m = meter_new(e, frame_of(e, how), how == 3);
	struct meter_report r;
	size_t i, n;
	char *copy;

	for (i = 0; i < in.n; i += n) {
		n = in.n - i < cut ? in.n - i : cut;
		copy = malloc(n);
		if (copy == NULL)
			abort();
		memcpy(copy, in.p + i, n);
		meter_feed(m, span_of(copy, n), out);
		free(copy);
	}
	meter_finish(m, out);
	r = *meter_get(m);
	meter_free(m);
	return (r);
}

static bool
same(const struct meter_report *a, const struct meter_report *b)
{
	return (memcmp(&a->usage, &b->usage, sizeof(a->usage)) == 0 &&
		a->has_usage == b->has_usage && a->partial == b->partial &&
		a->finished == b->finished && a->failed == b->failed &&
		a->broken == b->broken &&
		a->tier_reported == b->tier_reported && a->tier == b->tier &&
		a->text_bytes == b->text_bytes && a->events == b->events);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = {0}, cut = {0};
	const struct endpoint *e;
	struct meter_report a, b;
	struct span in;
	unsigned how;

	if (size < 2)
		return (0);
	e = pick(data[0] >> 2);
	if (e->local)
		return (0);
	how = data[0] & 3;
	in = span_of((const char *)data + 2, size - 2);
	a = run(e, in, SIZE_MAX, how, &whole);
	b = run(e, in, 1 + data[1], how, &cut);
	if (!same(&a, &b))
		abort();
	if (!(a.failed && in.n > METER_HOLD) &&
	    !span_eq(buf_span(&whole), buf_span(&cut)))
		abort();
	if (!a.failed && (buf_len(&whole) > in.n ||
			     (how != 3 && !span_eq(buf_span(&whole), in))))
		abort();
	buf_fini(&whole);
	buf_fini(&cut);
	return (0);
}

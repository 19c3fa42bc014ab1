/*
 * The meter must report and put out the same however an answer is cut, put
 * out all bytes if nothing is to be hidden, and never invent any.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hubd/api/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct meter_report
run(struct span in, size_t cut, bool stream, bool hide, struct buf *out)
{
	struct meter *m =
	    meter_new(endpoint_by_id(SPAN("chat.completions")), stream, hide);
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
		a->has_usage == b->has_usage && a->finished == b->finished &&
		a->failed == b->failed && a->broken == b->broken &&
		a->tier_reported == b->tier_reported && a->tier == b->tier &&
		a->text_bytes == b->text_bytes && a->events == b->events);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = {0}, cut = {0};
	struct meter_report a, b;
	struct span in;
	bool stream, hide;

	if (size < 2)
		return (0);
	stream = data[0] & 1;
	hide = data[0] & 2;
	in = span_of((const char *)data + 2, size - 2);
	a = run(in, SIZE_MAX, stream, hide, &whole);
	b = run(in, 1 + data[1], stream, hide, &cut);
	if (!same(&a, &b) || !span_eq(buf_span(&whole), buf_span(&cut)))
		abort();
	if (buf_len(&whole) > in.n ||
	    (!(stream && hide) && !span_eq(buf_span(&whole), in)))
		abort();
	buf_fini(&whole);
	buf_fini(&cut);
	return (0);
}

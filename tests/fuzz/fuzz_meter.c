/*
 * The meter must report and put out the same however an answer is cut, put
 * out all bytes if nothing is to be hidden, and never invent any.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hubd/api/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What the first byte of an input chooses. */
static const struct mode {
	const char *id;
	enum meter_frame frame;
	bool hide;
} modes[] = {
    {"chat.completions", FRAME_WHOLE, false},
    {"chat.completions", FRAME_EVENTS, false},
    {"chat.completions", FRAME_WHOLE, true},
    {"chat.completions", FRAME_EVENTS, true},
    {"responses", FRAME_EVENTS, false},
    {"messages", FRAME_WHOLE, false},
    {"messages", FRAME_EVENTS, false},
    {"gemini.generate", FRAME_WHOLE, false},
    {"gemini.stream", FRAME_EVENTS, false},
    {"gemini.stream", FRAME_ARRAY, false},
    {"gemini.embed", FRAME_WHOLE, false},
    {"bedrock.converse", FRAME_WHOLE, false},
    {"bedrock.converse_stream", FRAME_AMAZON, false},
    {"bedrock.invoke", FRAME_WHOLE, false},
    {"bedrock.invoke_stream", FRAME_AMAZON, false},
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

static struct meter_report
run(const struct mode *how, struct span in, size_t cut, struct buf *out)
{
	struct meter *m =
	    meter_new(endpoint_by_id(span_str(how->id)), how->frame, how->hide);
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
	struct meter_report a, b;
	struct span in;
	const struct mode *how;

	if (size < 2)
		return (0);
	how = &modes[data[0] % MODES];
	in = span_of((const char *)data + 2, size - 2);
	a = run(how, in, SIZE_MAX, &whole);
	b = run(how, in, 1 + data[1], &cut);
	if (!same(&a, &b) || !span_eq(buf_span(&whole), buf_span(&cut)))
		abort();
	if (buf_len(&whole) > in.n ||
	    (!(how->hide && how->frame == FRAME_EVENTS) &&
		!span_eq(buf_span(&whole), in)))
		abort();
	buf_fini(&whole);
	buf_fini(&cut);
	return (0);
}

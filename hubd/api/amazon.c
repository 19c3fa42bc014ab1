/* Documents in Amazon's event streams. */
#include "hubd/api/amazon.h"

#include <string.h>

/* ---- what is wrapped: {"bytes":"<base64>","p":"<padding>"} ----------------
 */

static bool
on_key(struct jscan *s, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	struct amazon *a = arg;

	(void)s, (void)cut, (void)escaped, (void)begin;
	a->in_bytes = depth == 1 && span_eq(key, SPAN("bytes"));
	return (true);
}

static void
on_text(struct jscan *s, void *arg, struct span piece)
{
	struct amazon *a = arg;
	char plain[BASE64_ROOM(1024)];
	struct span part;
	size_t n;

	(void)s;
	for (; a->in_bytes && piece.n > 0;
	     piece = span_of(piece.p + part.n, piece.n - part.n)) {
		part = span_of(piece.p, piece.n < 1024 ? piece.n : 1024);
		n = base64_feed(&a->base64, part, plain);
		if (n > 0)
			a->handler->on_data(a->arg, span_of(plain, n));
	}
}

static bool
on_value(
    struct jscan *s, void *arg, unsigned depth, const struct jscan_value *v)
{
	struct amazon *a = arg;

	(void)s, (void)depth, (void)v;
	a->in_bytes = false;
	return (true);
}

static const struct jscan_handler unwrapping = {
    .on_key = on_key, .on_value = on_value, .on_text = on_text};

/* ---- messages -------------------------------------------------------------
 */

static void
on_head(void *arg, const struct eventstream_header *h, size_t n)
{
	struct amazon *a = arg;
	struct span type = eventstream_text(h, n, SPAN(":message-type"));

	a->is_event = span_eq(type, SPAN("event"));
	a->in_bytes = false;
	base64_init(&a->base64);
	jscan_init(&a->outer, &unwrapping, a);
	a->handler->on_begin(
	    a->arg, eventstream_text(h, n, SPAN(":event-type")), !a->is_event);
}

static void
on_payload(void *arg, struct span piece)
{
	struct amazon *a = arg;

	if (!a->is_event)
		return;
	if (a->wrapped)
		jscan_feed(&a->outer, piece);
	else
		a->handler->on_data(a->arg, piece);
}

static void
on_end(void *arg, size_t end)
{
	struct amazon *a = arg;

	if (a->is_event && a->wrapped &&
	    (jscan_finish(&a->outer) != JSCAN_DONE || !base64_end(&a->base64)))
		a->broken = true;
	a->messages++;
	a->handler->on_end(a->arg, end);
}

static const struct eventstream_handler messages = {
    .on_head = on_head, .on_payload = on_payload, .on_end = on_end};

void
amazon_init(struct amazon *a, const struct amazon_handler *handler, void *arg,
    bool wrapped)
{
	memset(a, 0, sizeof(*a));
	a->handler = handler;
	a->arg = arg;
	a->wrapped = wrapped;
	eventstream_init(&a->stream, &messages, a);
}

void
amazon_fini(struct amazon *a)
{
	eventstream_fini(&a->stream);
}

bool
amazon_feed(struct amazon *a, struct span bytes)
{
	return (eventstream_feed(&a->stream, bytes) && !a->broken);
}

/*
 * Two sessions of a link, memory to memory, driven by the input: requests,
 * answers, bodies, resets; and bytes between them that are changed, dropped
 * or doubled. Every stream is closed once, and nothing comes after.
 */
#include <string.h>

#include "common/buf.h"
#include "common/h2link.h"
#include "tests/fuzz/fuzz.h"

#define STREAMS 64

struct seen {
	struct h2stream *s;
	bool used, ended, closed;
	size_t unread;
};

struct side {
	struct h2link *l;
	struct buf wire; /* on its way to the other */
	struct seen streams[STREAMS];
	size_t n;
	bool broken;
};

static struct seen *
seen_of(struct h2stream *s)
{
	struct seen *x = h2stream_arg(s);

	MUST(x != NULL && x->s == s && !x->closed);
	return (x);
}

static void
check_fields(const struct h2_field *f, size_t n)
{
	size_t i;
	unsigned sum = 0;

	for (i = 0; i < n; i++) {
		MUST(f[i].name.n > 0);
		for (size_t k = 0; k < f[i].value.n; k++)
			sum += (unsigned char)f[i].value.p[k];
	}
	MUST(sum < UINT32_MAX);
}

static void
on_want_send(void *arg)
{
}

static void
on_request(void *arg, struct h2stream *s, const struct h2_field *f, size_t n)
{
	struct side *d = arg;
	struct seen *x;

	check_fields(f, n);
	if (d->n == STREAMS) {
		static struct seen extra;

		extra = (struct seen){.s = s, .used = true};
		h2stream_set_arg(s, &extra);
		h2stream_reset(s, H2_REFUSED_STREAM);
		return;
	}
	x = &d->streams[d->n++];
	*x = (struct seen){.s = s, .used = true};
	h2stream_set_arg(s, x);
}

static void
on_response(void *arg, struct h2stream *s, const struct h2_field *f, size_t n)
{
	seen_of(s);
	check_fields(f, n);
}

static void
on_data(void *arg, struct h2stream *s, struct span bytes)
{
	struct seen *x = seen_of(s);

	MUST(!x->ended);
	x->unread += bytes.n;
	MUST(h2stream_unconsumed(s) >= bytes.n);
}

static void
on_end(void *arg, struct h2stream *s)
{
	struct seen *x = seen_of(s);

	MUST(!x->ended);
	x->ended = true;
}

static void
on_close(void *arg, struct h2stream *s, uint32_t code)
{
	struct seen *x = seen_of(s);

	x->closed = true;
	x->s = NULL;
}

static void
on_writable(void *arg, struct h2stream *s)
{
	seen_of(s);
}

static void
on_goaway(void *arg)
{
}

static void
on_pong(void *arg)
{
}

static const struct h2link_handler handler = {on_want_send, on_request,
    on_response, on_data, on_end, on_close, on_writable, on_goaway, on_pong};

/* ---- the script ------------------------------------------------------------
 */

struct script {
	const uint8_t *p, *end;
	struct side side[2];
};

static unsigned
next(struct script *s)
{
	return (s->p < s->end ? *s->p++ : 0);
}

static void
ask(struct side *d, bool body)
{
	static const struct h2_field f[] = {{SPAN(":method"), SPAN("POST")},
	    {SPAN(":path"), SPAN("/call")}, {SPAN("hub-model"), SPAN("m")}};
	struct seen *x;

	if (d->n == STREAMS)
		return;
	x = &d->streams[d->n];
	x->s = h2link_request(d->l, f, 3, body, x);
	if (x->s != NULL) {
		x->used = true;
		d->n++;
	}
}

static void
answer(struct seen *x, bool body)
{
	static const struct h2_field f[] = {{SPAN(":status"), SPAN("200")},
	    {SPAN("content-type"), SPAN("text/event-stream")}};

	h2stream_respond(x->s, f, 2, body);
}

static void
pull(struct side *d, size_t max)
{
	if (!d->broken && h2link_pull(d->l, &d->wire, max) == -1)
		d->broken = true;
}

static void
feed(struct side *to, struct side *from, size_t n)
{
	if (n > buf_len(&from->wire))
		n = buf_len(&from->wire);
	if (!to->broken && n > 0 &&
	    h2link_feed(to->l, span_of(buf_ptr(&from->wire), n)) == -1) {
		to->broken = true;
		MUST(h2link_error(to->l) != NULL);
	}
	buf_consume(&from->wire, n);
}

static void
spoil(struct script *s, struct buf *wire)
{
	size_t at = next(s) | next(s) << 8;
	unsigned how = next(s), what = next(s);
	char byte = (char)what;

	if (buf_len(wire) == 0)
		return;
	at %= buf_len(wire);
	if (how % 3 == 0)
		buf_splice(wire, at, 1, &byte, 1);
	else if (how % 3 == 1)
		buf_splice(wire, at, 1, NULL, 0);
	else
		buf_splice(wire, at, 0, &byte, 1);
}

static void
stream_step(struct script *s, struct side *d, bool server, unsigned what)
{
	static const char block[40000];
	struct seen *x;

	if (d->n == 0)
		return;
	x = &d->streams[next(s) % d->n];
	if (x->s == NULL)
		return;
	if (what == 0 && server)
		answer(x, next(s) & 1);
	else if (what <= 1)
		h2stream_write(x->s, span_of(block, next(s) * 150), false);
	else if (what == 2)
		h2stream_write(x->s, span_of(block, next(s)), true);
	else if (what == 3)
		h2stream_reset(x->s, next(s) & 1 ? H2_CANCEL : 0x77);
	else if (what == 4) {
		h2stream_consumed(x->s, x->unread, next(s) & 1);
		x->unread = 0;
	} else
		h2stream_limit_window(x->s, 16384);
}

static void
step(struct script *s)
{
	unsigned what = next(s), who = what >> 7;
	struct side *d = &s->side[who], *peer = &s->side[!who];

	if (d->broken)
		return;
	what = what % 16;
	if (what == 0)
		ask(&s->side[0], next(s) & 1);
	else if (what <= 6)
		stream_step(s, d, who == 1, what - 1);
	else if (what <= 9)
		pull(d, next(s) * 300 + 1);
	else if (what <= 12)
		feed(peer, d, next(s) * 300 + 1);
	else if (what == 13)
		spoil(s, &d->wire);
	else if (what == 14)
		h2link_ping(d->l);
	else
		h2link_goaway(d->l);
}

static void
finish(struct side *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->streams[i].s != NULL) {
			h2stream_reset(d->streams[i].s, H2_CANCEL);
			MUST(d->streams[i].closed);
		}
	h2link_free(d->l);
	buf_fini(&d->wire);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct script s;

	memset(&s, 0, sizeof(s));
	s.p = data;
	s.end = data + n;
	s.side[0].l = h2link_new(H2LINK_CLIENT, &handler, &s.side[0], NULL);
	s.side[1].l = h2link_new(H2LINK_SERVER, &handler, &s.side[1], NULL);
	while (s.p < s.end)
		step(&s);
	for (int i = 0; i < 8; i++) {
		pull(&s.side[i & 1], 1 << 20);
		feed(&s.side[!(i & 1)], &s.side[i & 1], SIZE_MAX);
	}
	finish(&s.side[0]);
	finish(&s.side[1]);
	return (0);
}

/* The pieces of an answer: where they are cut, and faults between them. */
#include <assert.h>
#include <string.h>

#include "tests/sim/sim.h"

void
play_fini(struct play *p)
{
	struct buf head = p->head, extra = p->extra;

	buf_fini(&p->owned);
	synth_free(p->synth);
	buf_reset(&head, 4096);
	buf_reset(&extra, 4096);
	memset(p, 0, sizeof(*p));
	p->head = head;
	p->extra = extra;
}

/* Bytes up to and with the empty line that ends the first event of s. */
static size_t
event_end(struct span s)
{
	size_t at = 0;

	while (at < s.n) {
		const char *nl = memchr(s.p + at, '\n', s.n - at);

		if (nl == NULL)
			break;
		at = (size_t)(nl - s.p) + 1;
		if (at < s.n && s.p[at] == '\n')
			return (at + 1);
		if (at + 1 < s.n && s.p[at] == '\r' && s.p[at + 1] == '\n')
			return (at + 2);
	}
	return (s.n);
}

/* Bytes of the frame at the front of s. */
static size_t
frame_end(struct span s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t n;

	if (s.n < 4)
		return (s.n);
	n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	return (n < 16 || n > s.n ? s.n : n);
}

static bool
has_midway_fault(const struct play *p)
{
	return (p->manner.fault == FAULT_RESET ||
		p->manner.fault == FAULT_STALL ||
		p->manner.fault == FAULT_CLOSE);
}

/* Where the body breaks off; SIZE_MAX if it does not. */
static size_t
fault_offset(const struct play *p)
{
	if (!has_midway_fault(p))
		return (SIZE_MAX);
	if (p->manner.at >= 0 && (size_t)p->manner.at < p->body.n)
		return ((size_t)p->manner.at);
	return (p->body.n / 2);
}

static struct span
next_piece(const struct play *p, size_t stop)
{
	struct span rest = {p->body.p + p->off, p->body.n - p->off};

	if (rest.n > stop - p->off)
		rest.n = stop - p->off;
	if (p->manner.cut > 0) {
		if ((uint64_t)p->manner.cut < rest.n)
			rest.n = (size_t)p->manner.cut;
	} else if (p->events == EVENTS_SSE)
		rest.n = event_end(rest);
	else if (p->events == EVENTS_FRAMES)
		rest.n = frame_end(rest);
	return (rest);
}

static void
send_piece(struct play *p, struct peer *peer, struct span piece)
{
	struct buf *out = &p->head; /* the head, or empty once it is sent */

	if (p->chunked && piece.n > 0)
		http1_put_chunk(out, piece.p, piece.n);
	else
		buf_addspan(out, piece);
	p->off += piece.n;
	if (p->chunked && p->off == p->body.n)
		http1_put_chunk(out, NULL, 0);
	peer_send(peer, buf_ptr(out), buf_len(out));
	buf_reset(out, 65536);
	p->head_sent = true;
}

static enum play_result
break_off(struct play *p, struct peer *peer)
{
	if (!p->head_sent)
		send_piece(p, peer, SPAN(""));
	if (p->manner.fault == FAULT_RESET)
		return (PLAY_RESET);
	if (p->manner.fault == FAULT_STALL)
		return (PLAY_STALL);
	/* A chunk that announces more than will come. */
	if (p->chunked)
		peer_send(peer, "40\r\ndata: {\"cho", 15);
	return (PLAY_CLOSE);
}

enum play_result
play_step(struct play *p, struct peer *peer)
{
	size_t stop = fault_offset(p);

	assert(p->active);
	if (p->manner.fault == FAULT_REFUSE)
		return (PLAY_CLOSE);
	if (p->manner.fault == FAULT_HANG)
		return (PLAY_STALL);
	if (p->synth != NULL)
		return (has_midway_fault(p) && synth_breaks(p)
			    ? break_off(p, peer)
			    : synth_step(p, peer));
	if (p->off >= stop)
		return (break_off(p, peer));
	send_piece(p, peer, next_piece(p, stop));
	if (p->off == p->body.n)
		return (PLAY_DONE);
	p->due.ns += p->manner.delay_ns;
	return (PLAY_AGAIN);
}

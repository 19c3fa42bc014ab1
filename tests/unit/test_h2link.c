/* The link's session: two of them, memory to memory. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/h2link.h"
#include "common/linkproto.h"

#define BIG (1024 * 1024)

/* What one stream's owner saw. */
struct seen {
	struct h2stream *s;
	size_t bytes, unread;
	int heads, ends, closes, writables;
	uint32_t code;
	int status;
	char path[32];
	size_t left_to_send;
};

struct side {
	struct h2link *l;
	struct side *peer;
	struct buf wire;
	int want_send, goaways, pongs, accepted;
	size_t fed_max;
	bool hold;	      /* does not read */
	int reset_in;	      /* resets inside that callback */
	struct seen *streams; /* of a server: by order */
	size_t n;
};

enum { IN_REQUEST = 1, IN_RESPONSE, IN_DATA, IN_END, IN_CLOSE, IN_WRITABLE };

#define MAX_SEEN 8192

static struct side client, server;

static void
maybe_reset(struct side *d, int where, struct h2stream *s)
{
	if (d->reset_in != where)
		return;
	h2stream_reset(s, H2_CANCEL);
	h2stream_reset(s, H2_CANCEL);
	ck_assert_uint_eq(
	    h2stream_write(s, SPAN("to a closed stream"), true), 0);
	h2stream_consumed(s, 0, true);
}

static void
on_want_send(void *arg)
{
	((struct side *)arg)->want_send++;
}

static void
on_request(void *arg, struct h2stream *s, const struct h2_field *f, size_t n)
{
	struct side *d = arg;
	struct seen *x;
	size_t i;

	ck_assert_uint_lt(d->n, MAX_SEEN);
	x = &d->streams[d->n++];
	x->s = s;
	x->heads++;
	for (i = 0; i < n; i++)
		if (span_eq(f[i].name, SPAN(":path")))
			snprintf(x->path, sizeof(x->path), "%.*s",
			    (int)f[i].value.n, f[i].value.p);
	h2stream_set_arg(s, x);
	maybe_reset(d, IN_REQUEST, s);
}

static void
on_response(void *arg, struct h2stream *s, const struct h2_field *f, size_t n)
{
	struct side *d = arg;
	struct seen *x = h2stream_arg(s);

	ck_assert_uint_ge(n, 1);
	x->heads++;
	x->status = atoi(f[0].value.p);
	maybe_reset(d, IN_RESPONSE, s);
}

static void
on_data(void *arg, struct h2stream *s, struct span bytes)
{
	struct side *d = arg;
	struct seen *x = h2stream_arg(s);

	ck_assert_int_eq(x->closes, 0);
	x->bytes += bytes.n;
	if (d->hold)
		x->unread += bytes.n;
	else
		h2stream_consumed(s, bytes.n, true);
	maybe_reset(d, IN_DATA, s);
}

static void
on_end(void *arg, struct h2stream *s)
{
	struct seen *x = h2stream_arg(s);

	ck_assert_int_eq(x->closes, 0);
	x->ends++;
	maybe_reset(arg, IN_END, s);
}

static void
on_close(void *arg, struct h2stream *s, uint32_t code)
{
	struct seen *x = h2stream_arg(s);

	x->closes++;
	x->code = code;
	ck_assert_int_eq(x->closes, 1);
	maybe_reset(arg, IN_CLOSE, s);
	x->s = NULL;
}

static void
on_writable(void *arg, struct h2stream *s)
{
	struct seen *x = h2stream_arg(s);
	static char block[16384];
	size_t n;

	ck_assert_int_eq(x->closes, 0);
	x->writables++;
	maybe_reset(arg, IN_WRITABLE, s);
	while (x->closes == 0 && x->left_to_send > 0) {
		n = x->left_to_send < sizeof(block) ? x->left_to_send
						    : sizeof(block);
		x->left_to_send -= n;
		if (h2stream_write(s, span_of(block, n), x->left_to_send == 0) >
		    65536)
			break;
	}
}

static void
on_goaway(void *arg)
{
	((struct side *)arg)->goaways++;
}

static void
on_pong(void *arg)
{
	((struct side *)arg)->pongs++;
}

static const struct h2link_handler handler = {on_want_send, on_request,
    on_response, on_data, on_end, on_close, on_writable, on_goaway, on_pong};

/* One direction once; the number of bytes carried. */
static size_t
carry(struct side *from, size_t max)
{
	int n = h2link_pull(from->l, &from->wire, max);

	ck_assert_int_ge(n, 0);
	ck_assert_int_le(n, (int)max + 16384 + 9);
	if (n > 0)
		ck_assert_int_eq(
		    h2link_feed(from->peer->l, buf_span(&from->wire)), 0);
	buf_reset(&from->wire, BIG);
	return ((size_t)n);
}

static void
pump(void)
{
	while (carry(&client, 65536) + carry(&server, 65536) > 0)
		;
}

/* Nobody has heard anything yet. */
static void
setup_unheard(const struct h2link_options *options)
{
	memset(&client, 0, sizeof(client));
	memset(&server, 0, sizeof(server));
	client.peer = &server;
	server.peer = &client;
	server.streams = xcalloc(MAX_SEEN, sizeof(struct seen));
	client.streams = xcalloc(MAX_SEEN, sizeof(struct seen));
	client.l = h2link_new(H2LINK_CLIENT, &handler, &client, options);
	server.l = h2link_new(H2LINK_SERVER, &handler, &server, options);
}

static void
setup_with(const struct h2link_options *options)
{
	setup_unheard(options);
	pump();
}

static void
setup(void)
{
	setup_with(NULL);
}

static void
teardown(void)
{
	h2link_free(client.l);
	h2link_free(server.l);
	buf_fini(&client.wire);
	buf_fini(&server.wire);
	free(client.streams);
	free(server.streams);
}

static struct seen *
request(bool body_follows)
{
	static const struct h2_field f[] = {
	    {{":method", 7}, {"POST", 4}},
	    {{":path", 5}, {"/call", 5}},
	    {{"hub-model", 9}, {"m", 1}},
	};
	struct seen *x = &client.streams[client.n];

	ck_assert_uint_lt(client.n, MAX_SEEN);
	x->s = h2link_request(client.l, f, 3, body_follows, x);
	if (x->s == NULL)
		return (NULL);
	client.n++;
	return (x);
}

static void
respond(struct seen *x, size_t body)
{
	struct h2_field f = {SPAN(":status"), SPAN("200")};

	h2stream_respond(x->s, &f, 1, body > 0);
	x->left_to_send = body;
	if (body > 0)
		on_writable(&server, x->s);
	x->writables = 0;
}

static void
read_all(struct seen *x)
{
	size_t n = x->unread;

	x->unread = 0;
	if (n > 0)
		h2stream_consumed(x->s, n, true);
}

START_TEST(a_request_and_its_answer_pass)
{
	struct seen *c = request(true), *s;

	ck_assert_uint_gt(h2stream_write(c->s, SPAN("hello "), false), 0);
	pump();
	ck_assert_uint_eq(server.n, 1);
	s = &server.streams[0];
	ck_assert_str_eq(s->path, "/call");
	ck_assert_uint_eq(s->bytes, 6);
	ck_assert_int_eq(s->ends, 0);
	h2stream_write(c->s, SPAN("world"), true);
	pump();
	ck_assert_uint_eq(s->bytes, 11);
	ck_assert_int_eq(s->ends, 1);
	respond(s, 100000);
	pump();
	ck_assert_int_eq(c->status, 200);
	ck_assert_uint_eq(c->bytes, 100000);
	ck_assert_int_eq(c->ends, 1);
	ck_assert_int_eq(c->closes, 1);
	ck_assert_uint_eq(c->code, H2_NO_ERROR);
	ck_assert_uint_eq(s->code, H2_NO_ERROR);
	ck_assert_uint_eq(h2link_streams(client.l), 0);
	ck_assert_uint_eq(h2link_streams(server.l), 0);
}
END_TEST

START_TEST(an_empty_body_and_an_empty_answer_end_the_stream)
{
	struct seen *c = request(false);

	pump();
	ck_assert_int_eq(server.streams[0].ends, 1);
	respond(&server.streams[0], 0);
	pump();
	ck_assert_int_eq(c->ends, 1);
	ck_assert_int_eq(c->closes, 1);
	ck_assert_uint_eq(c->code, H2_NO_ERROR);
}
END_TEST

/* d17: what stops is the stream whose reader stopped, and nothing else. */
START_TEST(d17_stopped_readers_do_not_stall_the_next_stream)
{
	struct seen *c[65];
	int i;

	client.hold = true;
	for (i = 0; i < 64; i++)
		c[i] = request(false);
	pump();
	for (i = 0; i < 64; i++)
		respond(&server.streams[i], 4 * BIG);
	pump();
	for (i = 0; i < 64; i++) {
		ck_assert_uint_eq(c[i]->bytes, 65536);
		ck_assert_uint_eq(h2stream_unconsumed(c[i]->s), 65536);
	}
	client.hold = false;
	c[64] = request(false);
	pump();
	respond(&server.streams[64], 4 * BIG);
	pump();
	ck_assert_uint_eq(c[64]->bytes, 4 * BIG);
	ck_assert_int_eq(c[64]->closes, 1);
	for (i = 0; i < 64; i++) {
		ck_assert_uint_eq(c[i]->bytes, 65536);
		read_all(c[i]);
	}
	pump();
	for (i = 0; i < 64; i++)
		ck_assert_uint_eq(c[i]->bytes, 4 * BIG);
}
END_TEST

START_TEST(a_full_window_grows_while_the_reader_keeps_up)
{
	struct seen *c = request(false);
	size_t before;

	pump();
	respond(&server.streams[0], 16 * BIG);
	/* A few turns of the reader keeping up, then it stops. */
	while (c->bytes < 4 * BIG)
		carry(&server, 65536), carry(&client, 65536);
	client.hold = true;
	before = c->bytes;
	pump();
	ck_assert_uint_gt(c->bytes - before, 512 * 1024);
	ck_assert_uint_le(h2stream_unconsumed(c->s), BIG);
}
END_TEST

START_TEST(a_limited_window_stays_small)
{
	struct seen *c = request(false);
	size_t before, round;

	h2stream_limit_window(c->s, 16384);
	pump();
	respond(&server.streams[0], 8 * BIG);
	client.hold = true;
	pump();
	for (round = 0; round < 20; round++) {
		before = c->bytes;
		read_all(c);
		pump();
		ck_assert_uint_le(h2stream_unconsumed(c->s), 65536);
	}
	ck_assert_uint_gt(c->bytes, before);
	ck_assert_uint_le(h2stream_unconsumed(c->s), 16384);
}
END_TEST

START_TEST(the_writer_is_told_when_its_queue_is_low)
{
	static char block[100000];
	struct seen *c = request(false);

	pump();
	client.hold = true;
	respond(&server.streams[0], 1);
	server.streams[0].left_to_send = 0;
	pump();
	c = request(false);
	h2stream_limit_window(c->s, 65536);
	pump();
	h2stream_respond(server.streams[1].s,
	    &(struct h2_field){SPAN(":status"), SPAN("200")}, 1, true);
	ck_assert_uint_eq(h2stream_write(server.streams[1].s,
			      span_of(block, sizeof(block)), false),
	    sizeof(block));
	ck_assert_uint_eq(h2stream_write(server.streams[1].s,
			      span_of(block, sizeof(block)), false),
	    2 * sizeof(block));
	pump();
	/* 200000 less a window of 65536 is above the mark. */
	ck_assert_int_eq(server.streams[1].writables, 0);
	read_all(c);
	pump();
	ck_assert_int_eq(server.streams[1].writables, 0);
	read_all(c);
	pump();
	ck_assert_int_eq(server.streams[1].writables, 1);
}
END_TEST

START_TEST(a_ping_overtakes_bulk)
{
	struct seen *c;

	client.hold = true;
	c = request(false);
	pump();
	respond(&server.streams[0], BIG);
	h2link_ping(server.l);
	carry(&server, 1);
	carry(&client, 65536);
	ck_assert_int_eq(server.pongs, 1);
	ck_assert_uint_lt(c->bytes, 65536);
}
END_TEST

START_TEST(a_reset_overtakes_bulk_and_drops_it)
{
	struct seen *c = request(false);

	pump();
	respond(&server.streams[0], BIG);
	carry(&server, 1);
	h2stream_reset(server.streams[0].s, H2_INTERNAL_ERROR);
	carry(&server, 1);
	ck_assert_int_eq(c->closes, 1);
	ck_assert_uint_eq(c->code, H2_INTERNAL_ERROR);
	ck_assert_uint_lt(c->bytes, 65536);
	pump();
	ck_assert_uint_eq(h2link_streams(server.l), 0);
}
END_TEST

/* d03: the abort and the last chunk pass each other, in every order. */
START_TEST(d03_a_reset_races_the_last_chunk)
{
	struct seen *c, *s;
	int order;

	for (order = 0; order < 4; order++) {
		c = request(false);
		pump();
		s = &server.streams[server.n - 1];
		respond(s, 1000);
		if (order & 1)
			h2link_pull(server.l, &server.wire, 65536);
		h2stream_reset(c->s, H2_CANCEL);
		ck_assert_int_eq(c->closes, 1);
		ck_assert_uint_eq(c->code, H2_CANCEL);
		if (order & 2) {
			h2link_pull(server.l, &server.wire, 65536);
			h2link_feed(client.l, buf_span(&server.wire));
			buf_reset(&server.wire, BIG);
		}
		pump();
		ck_assert_int_eq(c->closes, 1);
		ck_assert_int_eq(s->closes, 1);
	}
	ck_assert_uint_eq(h2link_streams(client.l), 0);
	ck_assert_uint_eq(h2link_streams(server.l), 0);
	ck_assert_uint_gt(h2link_room(client.l), 4000);
}
END_TEST

START_TEST(a_reset_inside_any_callback_is_safe)
{
	struct seen *c;
	int i;

	for (i = IN_REQUEST; i <= IN_WRITABLE; i++) {
		client.reset_in = server.reset_in = i;
		c = request(true);
		h2stream_write(c->s, SPAN("body"), true);
		pump();
		if (server.streams[server.n - 1].s != NULL)
			respond(&server.streams[server.n - 1], 300000);
		pump();
		ck_assert_int_eq(c->closes, 1);
		ck_assert_int_eq(server.streams[server.n - 1].closes, 1);
		ck_assert_uint_eq(h2link_streams(client.l), 0);
		ck_assert_uint_eq(h2link_streams(server.l), 0);
	}
}
END_TEST

START_TEST(a_request_reset_before_it_was_sent_leaves_nothing)
{
	uint32_t room = h2link_room(client.l);
	struct seen *c = request(true);
	struct h2stream *stream = c->s;

	ck_assert_uint_eq(h2link_room(client.l), room - 1);
	h2stream_write(stream, SPAN("x"), true);
	h2stream_reset(stream, H2_CANCEL);
	h2stream_reset(stream, H2_CANCEL);
	ck_assert_int_eq(c->closes, 1);
	pump();
	ck_assert_uint_eq(server.n, 0);
	ck_assert_uint_eq(h2link_room(client.l), room);
	request(false);
	pump();
	ck_assert_uint_eq(server.n, 1);
}
END_TEST

START_TEST(a_refused_stream_is_told_as_refused)
{
	struct seen *c = request(true);

	pump();
	h2stream_reset(server.streams[0].s, H2_REFUSED_STREAM);
	pump();
	ck_assert_uint_eq(c->code, H2_REFUSED_STREAM);
	ck_assert_int_eq(c->heads, 0);
}
END_TEST

START_TEST(cancels_do_not_end_the_session)
{
	int i;

	for (i = 0; i < 5000; i++) {
		struct seen *c = request(false);

		if (i % 2)
			pump();
		h2stream_reset(c->s, H2_CANCEL);
		pump();
	}
	ck_assert_uint_eq(h2link_streams(server.l), 0);
	request(false);
	pump();
	ck_assert_int_eq(server.streams[server.n - 1].ends, 1);
}
END_TEST

START_TEST(streams_beyond_the_peers_limit_are_not_queued)
{
	struct seen *c[9];
	int i;

	teardown();
	setup_with(&(struct h2link_options){.max_streams = 8});
	ck_assert_uint_eq(h2link_room(client.l), 8);
	for (i = 0; i < 8; i++)
		ck_assert_ptr_nonnull(c[i] = request(false));
	ck_assert_ptr_null(request(false));
	pump();
	ck_assert_uint_eq(server.n, 8);
	ck_assert_ptr_null(request(false));
	/* Reset, but the peer does not know yet. */
	h2stream_reset(c[3]->s, H2_CANCEL);
	ck_assert_ptr_null(request(false));
	carry(&client, 65536);
	ck_assert_ptr_nonnull(request(false));
	pump();
	ck_assert_uint_eq(server.n, 9);
	ck_assert_uint_eq(h2link_streams(server.l), 8);
}
END_TEST

START_TEST(goaway_refuses_what_crossed_it_and_lets_the_rest_end)
{
	struct seen *a = request(false), *b;

	pump();
	h2link_goaway(server.l);
	h2link_goaway(server.l);
	b = request(false);
	pump();
	ck_assert_int_eq(client.goaways, 1);
	ck_assert(h2link_going(client.l));
	ck_assert_int_eq(b->closes, 1);
	ck_assert_uint_eq(b->code, H2_REFUSED_STREAM);
	ck_assert_uint_eq(server.n, 1);
	ck_assert_ptr_null(request(false));
	respond(&server.streams[0], 10);
	pump();
	ck_assert_int_eq(a->closes, 1);
	ck_assert_uint_eq(a->bytes, 10);
}
END_TEST

START_TEST(a_request_behind_a_queued_goaway_is_refused)
{
	struct seen *c;

	c = request(false);
	h2link_goaway(server.l);
	/* The request arrives while the GOAWAY still waits. */
	carry(&client, 65536);
	ck_assert_uint_eq(server.n, 0);
	pump();
	ck_assert_int_eq(c->closes, 1);
	ck_assert_uint_eq(c->code, H2_REFUSED_STREAM);
}
END_TEST

START_TEST(a_request_that_never_left_is_refused_by_goaway)
{
	struct seen *c;

	h2link_goaway(server.l);
	c = request(false);
	carry(&server, 65536);
	pump();
	ck_assert_int_eq(c->closes, 1);
	ck_assert_uint_eq(c->code, H2_REFUSED_STREAM);
	ck_assert_uint_eq(h2link_streams(client.l), 0);
}
END_TEST

START_TEST(a_head_over_the_limits_resets_its_stream_only)
{
	static char value[2000];
	struct h2_field f[60];
	struct seen *c = &client.streams[client.n++];
	size_t i;

	memset(value, 'v', sizeof(value));
	f[0] = (struct h2_field){SPAN(":method"), SPAN("GET")};
	f[1] = (struct h2_field){SPAN(":path"), SPAN("/call")};
	for (i = 2; i < 60; i++)
		f[i] = (struct h2_field){
		    SPAN("x"), span_of(value, sizeof(value) - i)};
	c->s = h2link_request(client.l, f, 60, false, c);
	ck_assert_ptr_nonnull(c->s);
	pump();
	ck_assert_int_eq(c->closes, 1);
	ck_assert_uint_eq(server.n, 0);
	ck_assert_uint_eq(h2link_streams(server.l), 0);
	request(false);
	pump();
	ck_assert_uint_eq(server.n, 1);
}
END_TEST

START_TEST(garbage_breaks_the_session_and_only_that)
{
	ck_assert_int_eq(
	    h2link_feed(server.l, SPAN("GET / HTTP/1.1\r\n\r\n   ")), 0);
	while (h2link_pull(server.l, &server.wire, 65536) > 0)
		;
	ck_assert_int_eq(h2link_pull(server.l, &server.wire, 65536), -1);
	ck_assert_int_eq(h2link_feed(server.l, SPAN("x")), -1);
	ck_assert_str_ne(h2link_error(server.l), "none");
}
END_TEST

/* ---- random order ---- */

static unsigned seed;

static unsigned
rnd(unsigned below)
{
	seed = seed * 1664525 + 1013904223;
	return ((seed >> 8) % below);
}

static void
act_on(struct side *d, struct seen *x)
{
	static char block[90000];

	if (x->s == NULL)
		return;
	switch (rnd(6)) {
	case 0:
		h2stream_reset(x->s, rnd(2) ? H2_CANCEL : H2_REFUSED_STREAM);
		break;
	case 1:
		read_all(x);
		break;
	case 2:
		h2stream_limit_window(x->s, 1 + rnd(100000));
		break;
	case 3:
		if (d == &server && x->status == 0) {
			x->status = 1;
			h2stream_respond(x->s,
			    &(struct h2_field){SPAN(":status"), SPAN("200")}, 1,
			    rnd(4) != 0);
		}
		break;
	default:
		if (d == &client || x->status == 1)
			h2stream_write(x->s, span_of(block, rnd(sizeof(block))),
			    rnd(4) == 0);
	}
}

static void
step(void)
{
	struct side *d = rnd(2) ? &client : &server;
	size_t back;

	switch (rnd(8)) {
	case 0:
		if (client.n < MAX_SEEN)
			request(rnd(2));
		break;
	case 1:
		carry(d, 1 + rnd(70000));
		break;
	case 2:
		d->hold = rnd(2);
		d->reset_in = rnd(4) ? 0 : (int)rnd(7);
		break;
	case 3:
		if (rnd(50) == 0)
			h2link_ping(d->l);
		break;
	default:
		back = rnd(20);
		if (d->n > back)
			act_on(d, &d->streams[d->n - 1 - back]);
	}
}

START_TEST(any_order_of_calls_is_safe_and_every_stream_closes_once)
{
	size_t i;
	int n;

	seed = (unsigned)_i * 7919 + 1;
	for (n = 0; n < 3000; n++)
		step();
	client.reset_in = server.reset_in = 0;
	client.hold = server.hold = false;
	for (i = 0; i < client.n; i++)
		if (client.streams[i].s != NULL)
			h2stream_reset(client.streams[i].s, H2_CANCEL);
	pump();
	for (i = 0; i < client.n; i++)
		ck_assert_int_eq(client.streams[i].closes, 1);
	for (i = 0; i < server.n; i++)
		ck_assert_int_eq(server.streams[i].closes, 1);
	ck_assert_uint_eq(h2link_streams(client.l), 0);
	ck_assert_uint_eq(h2link_streams(server.l), 0);
	ck_assert_uint_eq(h2link_room(client.l), LINK_MAX_STREAMS);
}
END_TEST

/* RFC 9113, 6.5.2: before the peer's SETTINGS there is no limit. */
START_TEST(a_burst_before_the_settings_goes_out)
{
	int i;

	teardown();
	setup_unheard(NULL);
	for (i = 0; i < 1000; i++)
		request(false);
	pump();
	ck_assert_uint_eq(server.n, 1000);
	ck_assert_uint_eq(h2link_room(client.l), LINK_MAX_STREAMS - 1000);
}
END_TEST

START_TEST(of_a_burst_before_the_settings_what_is_too_much_is_refused)
{
	int i, refused = 0;

	teardown();
	setup_unheard(&(struct h2link_options){.max_streams = 8});
	for (i = 0; i < 20; i++)
		request(false);
	pump();
	ck_assert_uint_eq(server.n, 8);
	ck_assert_uint_eq(h2link_room(client.l), 0);
	for (i = 0; i < 20; i++)
		if (client.streams[i].closes == 1) {
			ck_assert_uint_eq(
			    client.streams[i].code, H2_REFUSED_STREAM);
			refused++;
		}
	ck_assert_int_eq(refused, 12);
}
END_TEST

START_TEST(damaged_bytes_never_crash)
{
	struct buf *w = &client.wire;
	int i;

	seed = (unsigned)_i + 77;
	for (i = 0; i < 30; i++)
		request(rnd(2));
	h2link_pull(client.l, w, 65536);
	for (i = 0; i < 4; i++)
		buf_ptr(w)[rnd((unsigned)buf_len(w))] ^= (char)(1 << rnd(8));
	if (h2link_feed(server.l, buf_span(w)) == 0)
		while (h2link_pull(server.l, &server.wire, 65536) > 0)
			;
	h2link_feed(client.l, buf_span(&server.wire));
}
END_TEST

/*
 * Ids that never come again leave the table of fields to those that do: the
 * heads stay as short as the second one.
 */
START_TEST(passing_fields_push_out_nothing)
{
	struct h2_field f[] = {
	    {SPAN(":method"), SPAN("POST")},
	    {SPAN(":path"), SPAN("/call")},
	    {SPAN("hub-model"), SPAN("a name of some length, as models have")},
	    {SPAN("hub-request-id"), SPAN("")},
	};
	char id[64];
	size_t n, second = 0;
	int i;

	for (i = 0; i < 200; i++) {
		snprintf(id, sizeof(id), "%040d", i);
		f[3].value = span_str(id);
		ck_assert_ptr_nonnull(h2link_request(
		    client.l, f, 4, false, &client.streams[client.n++]));
		n = carry(&client, 65536);
		if (i == 1)
			second = n;
		else if (i > 1)
			ck_assert_uint_le(n, second + 8);
		respond(&server.streams[i], 0);
		pump();
		ck_assert_int_eq(server.streams[i].closes, 1);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("h2link");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_request_and_its_answer_pass);
	tcase_add_test(t, an_empty_body_and_an_empty_answer_end_the_stream);
	tcase_add_test(t, d17_stopped_readers_do_not_stall_the_next_stream);
	tcase_add_test(t, a_full_window_grows_while_the_reader_keeps_up);
	tcase_add_test(t, a_limited_window_stays_small);
	tcase_add_test(t, the_writer_is_told_when_its_queue_is_low);
	tcase_add_test(t, passing_fields_push_out_nothing);
	tcase_add_test(t, a_ping_overtakes_bulk);
	tcase_add_test(t, a_reset_overtakes_bulk_and_drops_it);
	tcase_add_test(t, d03_a_reset_races_the_last_chunk);
	tcase_add_test(t, a_reset_inside_any_callback_is_safe);
	tcase_add_test(t, a_request_reset_before_it_was_sent_leaves_nothing);
	tcase_add_test(t, a_refused_stream_is_told_as_refused);
	tcase_add_test(t, cancels_do_not_end_the_session);
	tcase_add_test(t, streams_beyond_the_peers_limit_are_not_queued);
	tcase_add_test(t, goaway_refuses_what_crossed_it_and_lets_the_rest_end);
	tcase_add_test(t, a_request_behind_a_queued_goaway_is_refused);
	tcase_add_test(t, a_request_that_never_left_is_refused_by_goaway);
	tcase_add_test(t, a_head_over_the_limits_resets_its_stream_only);
	tcase_add_test(t, garbage_breaks_the_session_and_only_that);
	tcase_add_loop_test(
	    t, any_order_of_calls_is_safe_and_every_stream_closes_once, 0, 20);
	tcase_add_test(t, a_burst_before_the_settings_goes_out);
	tcase_add_test(
	    t, of_a_burst_before_the_settings_what_is_too_much_is_refused);
	tcase_add_loop_test(t, damaged_bytes_never_crash, 0, 100);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}

/* One live link: WebSocket messages in and out, HTTP/2 inside. */
#include "agentd/link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "agentd/agent.h"
#include "agentd/announce.h"
#include "agentd/call.h"
#include "common/alloc.h"
#include "common/h2link.h"
#include "common/linkproto.h"
#include "common/log.h"
#include "common/ws.h"

#define LINK_MAGIC 0x6c696e6b
#define OUT_KEEP   16384 /* of a message's memory */

struct link {
	unsigned magic;
	struct agent *agent;
	struct conn *conn;
	struct h2link *h2;
	struct ws_reader reader;
	const struct link_owner *owner;
	void *arg;
	struct call_list calls;
	struct h2stream *announce; /* NULL: the hub has not asked */
	struct buf out;		   /* of one message */
	struct loop_work pump_work, read_work, drain_work;
	struct loop_timer *ping;
	unsigned silent; /* periods */
	bool heard;	 /* in this one */
	bool draining, closed;
};

/* ---- sending ------------------------------------------------------------ */

/* One message from the session to the connection. false: no more now. */
static bool
pump_once(struct link *l)
{
	size_t waiting = conn_unsent(l->conn);
	int n;

	/* What waits in the kernel's stead cannot be overtaken. */
	if (waiting > LINK_QUEUE_MAX / 2)
		return (false);
	n = h2link_pull(l->h2, &l->out, LINK_QUEUE_MAX - waiting);
	if (n > 0)
		ws_put_frame(conn_out(l->conn), WS_CLIENT, WS_OP_BINARY,
		    buf_ptr(&l->out), buf_len(&l->out));
	buf_reset(&l->out, OUT_KEEP);
	if (n < 0)
		link_close(l, h2link_error(l->h2));
	else
		conn_flush_later(l->conn);
	return (n > 0);
}

static void
pump(void *arg)
{
	struct link *l = arg;

	assert(l->magic == LINK_MAGIC);
	while (!l->closed && pump_once(l)) {
		if (conn_unsent(l->conn) > LINK_QUEUE_MAX / 2)
			conn_flush_now(l->conn);
	}
}

static void
on_want_send(void *arg)
{
	struct link *l = arg;

	if (!l->closed)
		loop_defer(l->agent->loop, &l->pump_work);
}

/* ---- the end ------------------------------------------------------------ */

static void
link_free(void *arg)
{
	struct link *l = arg;

	h2link_free(l->h2);
	buf_fini(&l->out);
	l->magic = 0;
	free(l);
}

static void
link_close_with(struct link *l, const char *why, uint16_t code)
{
	struct call *c;

	if (l->closed)
		return;
	l->closed = true;
	while ((c = LIST_FIRST(&l->calls)) != NULL)
		call_end(c, CALL_LINK_LOST);
	loop_timer_free(l->ping);
	loop_work_cancel(&l->pump_work);
	loop_work_cancel(&l->read_work);
	loop_work_cancel(&l->drain_work);
	ws_put_close(conn_out(l->conn), WS_CLIENT, code, "");
	conn_close(l->conn, CONN_CLOSE_LINGER);
	loop_dispose_later(l->agent->loop, link_free, l);
	l->owner->on_down(l->arg, l, why);
}

void
link_close(struct link *l, const char *why)
{
	assert(l->magic == LINK_MAGIC);
	link_close_with(l, why, 1000);
}

static void
on_drained(void *arg)
{
	struct link *l = arg;

	assert(l->magic == LINK_MAGIC);
	if (!LIST_EMPTY(&l->calls))
		return;
	pump(l); /* the GOAWAY, the last of the answers */
	if (conn_unsent(l->conn) <= LINK_QUEUE_MAX / 2)
		link_close_with(l, "drained", 1001);
}

static void
check_drained(struct link *l)
{
	if (l->draining && !l->closed && LIST_EMPTY(&l->calls))
		loop_defer(l->agent->loop, &l->drain_work);
}

void
link_drain(struct link *l)
{
	assert(l->magic == LINK_MAGIC);
	if (l->closed || l->draining)
		return;
	l->draining = true;
	h2link_goaway(l->h2);
	check_drained(l);
}

void
link_call_over(struct link *l)
{
	check_drained(l);
}

/* ---- streams ------------------------------------------------------------ */

static struct span
field(const struct h2_field *f, size_t n, struct span name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (span_eq(f[i].name, name))
			return (f[i].value);
	return (SPAN(""));
}

void
link_announce(struct link *l)
{
	struct buf text = {0};

	if (l->closed || l->announce == NULL)
		return;
	announce_put(l->agent, &text);
	h2stream_write(l->announce, buf_span(&text), false);
	buf_fini(&text);
}

static void
open_announce(struct link *l, struct h2stream *s)
{
	struct h2_field f[] = {
	    {SPAN(":status"), SPAN("200")},
	    {SPAN("content-type"), SPAN("application/x-ndjson")},
	};

	if (l->announce != NULL) {
		h2stream_reset(s, H2_PROTOCOL_ERROR);
		return;
	}
	l->announce = s;
	h2stream_respond(s, f, 2, true);
	link_announce(l);
}

static void
on_request(void *arg, struct h2stream *s, const struct h2_field *f, size_t n)
{
	struct link *l = arg;
	struct h2_field unknown = {SPAN(":status"), SPAN("404")};
	struct span method = field(f, n, SPAN(":method"));
	struct span path = field(f, n, SPAN(":path"));

	if (l->closed)
		h2stream_reset(s, H2_REFUSED_STREAM);
	else if (span_eq(path, SPAN(LINK_CALL)) &&
		 span_eq(method, SPAN("POST")))
		call_begin(l->agent, l, &l->calls, s, f, n);
	else if (span_eq(path, SPAN(LINK_ANNOUNCE)) &&
		 span_eq(method, SPAN("GET")))
		open_announce(l, s);
	else
		h2stream_respond(s, &unknown, 1, false);
}

/* We ask for nothing, so nothing is answered. */
static void
on_response(void *arg, struct h2stream *s, const struct h2_field *f, size_t n)
{
	(void)arg;
	(void)f;
	(void)n;
	h2stream_reset(s, H2_PROTOCOL_ERROR);
}

static void
on_data(void *arg, struct h2stream *s, struct span bytes)
{
	struct call *c = h2stream_arg(s);

	(void)arg;
	if (c != NULL)
		call_on_data(c, bytes);
	else
		h2stream_consumed(s, bytes.n, true);
}

static void
on_end(void *arg, struct h2stream *s)
{
	struct call *c = h2stream_arg(s);

	(void)arg;
	if (c != NULL)
		call_on_end(c);
}

static void
on_close(void *arg, struct h2stream *s, uint32_t code)
{
	struct link *l = arg;
	struct call *c = h2stream_arg(s);

	if (s == l->announce)
		l->announce = NULL;
	else if (c != NULL)
		call_on_close(c, code);
}

static void
on_writable(void *arg, struct h2stream *s)
{
	struct call *c = h2stream_arg(s);

	(void)arg;
	if (c != NULL)
		call_on_writable(c);
}

static void
on_goaway(void *arg)
{
	struct link *l = arg;

	if (!l->closed && !l->draining)
		l->owner->on_goaway(l->arg, l);
}

/* The silence that ends a link is broken by any byte; see on_ping_timer. */
static void
on_pong(void *arg)
{
	(void)arg;
}

static const struct h2link_handler h2_handler = {
    .on_want_send = on_want_send,
    .on_request = on_request,
    .on_response = on_response,
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_close,
    .on_writable = on_writable,
    .on_goaway = on_goaway,
    .on_pong = on_pong,
};

/* ---- receiving ---------------------------------------------------------- */

static void
on_closed(struct link *l, struct span reason)
{
	char why[WS_WHY_MAX + sizeof("closed by the hub: ")];

	snprintf(why, sizeof(why), "closed by the hub%s%.*s",
	    reason.n > 0 ? ": " : "", (int)reason.n, reason.p);
	link_close(l, why);
}

static void
on_ws_event(struct link *l, enum ws_event event, struct span data)
{
	switch (event) {
	case WS_DATA:
		if (h2link_feed(l->h2, data) == -1)
			link_close_with(l, h2link_error(l->h2), 1002);
		break;
	case WS_PING:
		ws_put_frame(
		    conn_out(l->conn), WS_CLIENT, WS_OP_PONG, data.p, data.n);
		conn_flush_later(l->conn);
		break;
	case WS_CLOSE:
		on_closed(l, data);
		break;
	case WS_ERROR:
		link_close_with(l, "broken WebSocket frames", l->reader.code);
		break;
	case WS_MORE:
	case WS_PONG:
		break;
	}
}

static void
read_frames(void *arg)
{
	struct link *l = arg;
	struct buf *in = conn_in(l->conn);
	enum ws_event event;
	struct span data;
	size_t used;

	assert(l->magic == LINK_MAGIC);
	if (buf_len(in) > 0)
		l->heard = true;
	while (!l->closed && buf_len(in) > 0) {
		data = SPAN("");
		used = ws_read(
		    &l->reader, buf_ptr(in), buf_len(in), &event, &data);
		on_ws_event(l, event, data);
		if (!l->closed)
			buf_consume(in, used);
	}
}

static void
on_conn(struct conn *conn, enum conn_event event, void *arg)
{
	struct link *l = arg;

	assert(l->magic == LINK_MAGIC && l->conn == conn);
	switch (event) {
	case CONN_READABLE:
		read_frames(l);
		break;
	case CONN_DRAINED:
		pump(l);
		check_drained(l);
		break;
	case CONN_EOF:
	case CONN_ERROR:
		link_close(l, "connection lost");
		break;
	}
}

static void
on_ping_timer(void *arg)
{
	struct link *l = arg;

	assert(l->magic == LINK_MAGIC);
	l->silent = l->heard ? 0 : l->silent + 1;
	l->heard = false;
	if (l->silent >= LINK_SILENT_PERIODS) {
		link_close(l, "the hub is silent");
		return;
	}
	h2link_ping(l->h2);
	loop_timer_set_ms(l->ping, LINK_PING_MS);
}

struct link *
link_new(struct agent *a, struct conn *conn, const struct link_owner *owner,
    void *arg)
{
	struct link *l = xcalloc(1, sizeof(*l));
	/* One stream more than calls: the announcement. */
	struct h2link_options options = {
	    .max_streams = a->conf->capacity + 1,
	};

	l->magic = LINK_MAGIC;
	l->agent = a;
	l->conn = conn;
	l->owner = owner;
	l->arg = arg;
	LIST_INIT(&l->calls);
	l->pump_work = (struct loop_work){.fn = pump, .arg = l};
	l->read_work = (struct loop_work){.fn = read_frames, .arg = l};
	l->drain_work = (struct loop_work){.fn = on_drained, .arg = l};
	ws_reader_init(&l->reader, WS_CLIENT);
	l->h2 = h2link_new(H2LINK_SERVER, &h2_handler, l, &options);
	conn_set_owner(conn, on_conn, l);
	conn_set_notsent_lowat(conn, LINK_NOTSENT_LOWAT);
	l->heard = true;
	l->ping = loop_timer_new(a->loop, on_ping_timer, l);
	loop_timer_set_ms(l->ping, LINK_PING_MS);
	/* The settings go out, and what came with the handshake comes in. */
	on_want_send(l);
	loop_defer(a->loop, &l->read_work);
	return (l);
}

/* An HTTP/2 session over a connection: links and relays. */
#include <assert.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "hubd/worker/pipe.h"

#define CLOSE_NORMAL 1000 /* of a WebSocket */

void
pipe_want_send(void *arg)
{
	struct pipe *p = arg;

	loop_defer(p->w->loop, &p->pump);
}

void
pipe_on_pong(void *arg)
{
	struct pipe *p = arg;

	p->heard = true;
}

static void
broken(struct pipe *p)
{
	log_warnx(
	    "session with %s: %s", conn_peer(p->conn), h2link_error(p->h2));
	pipe_kill(p, "session broken");
}

/* Moves bytes of the session into the connection, up to the cap. */
static void
pump(void *arg)
{
	struct pipe *p = arg;
	struct buf *scratch = &p->w->scratch;
	int n;

	while (!p->dead) {
		if (conn_unsent(p->conn) >= LINK_QUEUE_MAX)
			conn_flush_now(p->conn);
		if (p->dead || conn_unsent(p->conn) >= LINK_QUEUE_MAX)
			break;
		buf_reset(scratch, LINK_QUEUE_MAX * 2);
		n = h2link_pull(
		    p->h2, scratch, LINK_QUEUE_MAX - conn_unsent(p->conn));
		if (n < 0)
			broken(p);
		if (n <= 0)
			break;
		if (p->ws)
			ws_put_frame(conn_out(p->conn), WS_SERVER, WS_OP_BINARY,
			    buf_ptr(scratch), buf_len(scratch));
		else
			buf_add(conn_out(p->conn), buf_ptr(scratch),
			    buf_len(scratch));
	}
	if (!p->dead)
		conn_flush_later(p->conn);
}

static void
feed(struct pipe *p, struct span bytes)
{
	if (h2link_feed(p->h2, bytes) == -1)
		broken(p);
}

static void
on_ws_event(struct pipe *p, enum ws_event event, struct span data)
{
	switch (event) {
	case WS_MORE:
	case WS_PONG:
		break;
	case WS_DATA:
		feed(p, data);
		break;
	case WS_PING:
		/* Who does not read gets no pongs either. */
		if (conn_unsent(p->conn) >= LINK_QUEUE_MAX)
			break;
		ws_put_frame(
		    conn_out(p->conn), WS_SERVER, WS_OP_PONG, data.p, data.n);
		conn_flush_later(p->conn);
		break;
	case WS_CLOSE:
		pipe_kill(p, "closed by the peer");
		break;
	case WS_ERROR:
		p->code = p->reader.code;
		pipe_kill(p, "WebSocket protocol error");
		break;
	}
}

static void
read_frames(struct pipe *p, struct buf *in)
{
	enum ws_event event;
	struct span data;
	size_t used;

	while (!p->dead && buf_len(in) > 0) {
		used = ws_read(
		    &p->reader, buf_ptr(in), buf_len(in), &event, &data);
		on_ws_event(p, event, data);
		buf_consume(in, used);
		if (used == 0 && event == WS_MORE)
			break;
	}
}

static void
on_conn(struct conn *c, enum conn_event event, void *arg)
{
	struct pipe *p = arg;
	struct buf *in = conn_in(c);

	if (p->dead)
		return;
	switch (event) {
	case CONN_READABLE:
		p->heard = true;
		p->silent = 0;
		if (p->ws) {
			read_frames(p, in);
			break;
		}
		feed(p, buf_span(in));
		buf_consume(in, buf_len(in));
		break;
	case CONN_DRAINED:
		loop_defer(p->w->loop, &p->pump);
		break;
	case CONN_EOF:
		pipe_kill(p, "connection ended by the peer");
		break;
	case CONN_ERROR:
		pipe_kill(p, "connection lost");
		break;
	}
}

static void
on_ping_timer(void *arg)
{
	struct pipe *p = arg;

	if (p->dead)
		return;
	if (!p->heard && ++p->silent >= LINK_SILENT_PERIODS) {
		pipe_kill(p, "silent for too long");
		return;
	}
	p->heard = false;
	h2link_ping(p->h2);
	loop_timer_set_ms(p->ping, LINK_PING_MS);
}

static void
dispose(void *arg)
{
	struct pipe *p = arg;

	h2link_free(p->h2);
	free(p);
}

static void
bury(void *arg)
{
	struct pipe *p = arg;
	struct upstream *up;

	while ((up = LIST_FIRST(&p->upstreams)) != NULL)
		upstream_lost(up);
	p->ops->on_dead(p, p->why);
	loop_work_cancel(&p->pump);
	loop_timer_free(p->ping);
	/* Who dialled can do something about it. */
	if (p->ws)
		ws_put_close(conn_out(p->conn), WS_SERVER, p->code, p->why);
	conn_close(p->conn, CONN_CLOSE_LINGER);
	p->conn = NULL;
	loop_dispose_later(p->w->loop, dispose, p);
}

void
pipe_kill(struct pipe *p, const char *why)
{
	if (p->dead)
		return;
	p->dead = true;
	p->why = why;
	loop_defer(p->w->loop, &p->bury);
}

struct pipe *
pipe_new(struct worker *w, struct conn *conn, enum h2link_role role, bool ws,
    const struct h2link_handler *handler, const struct pipe_ops *ops,
    void *owner)
{
	struct h2link_options options = {.max_streams = LINK_MAX_STREAMS};
	struct pipe *p = xcalloc(1, sizeof(*p));

	assert(handler->on_want_send == pipe_want_send);
	p->w = w;
	p->conn = conn;
	p->ops = ops;
	p->owner = owner;
	p->ws = ws;
	p->code = CLOSE_NORMAL;
	p->pump = (struct loop_work){.fn = pump, .arg = p};
	p->bury = (struct loop_work){.fn = bury, .arg = p};
	LIST_INIT(&p->upstreams);
	if (ws)
		ws_reader_init(&p->reader, WS_SERVER);
	p->h2 = h2link_new(role, handler, p, &options);
	p->ping = loop_timer_new(w->loop, on_ping_timer, p);
	loop_timer_set_ms(p->ping, LINK_PING_MS);
	conn_set_owner(conn, on_conn, p);
	conn_set_notsent_lowat(conn, LINK_NOTSENT_LOWAT);
	conn_set_in_limit(conn, 256 * 1024);
	loop_defer(w->loop, &p->pump);
	return (p);
}

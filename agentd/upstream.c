/*
 * Requests to providers: one at a time on a connection that is kept, which
 * libcurl has made (tunnel.c).
 */
#include "agentd/upstream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "agentd/answer.h"
#include "agentd/origin.h"
#include "agentd/reqhead.h"
#include "agentd/tunnel.h"
#include "common/alloc.h"
#include "common/buf.h"
#include "common/log.h"

#define PIECE	  65536 /* of a body, given to the connection at once */
#define SPARE_MAX 256	/* requests kept for reuse, with their buffers */
#define HEAD_KEEP 4096	/* and how much of those */
#define IDLE_MS	  60000 /* that a connection waits for a request */
#define REQ_MAGIC 0x75707265

struct upstream {
	struct loop *loop;
	struct tunnels *tunnels;
	struct origins *origins;
	SLIST_HEAD(, upstream_req) spare;
	unsigned nspare;
	unsigned live; /* requests whose memory is in use */
	bool freed;    /* by its owner; waits for the last of those */
};

struct upstream_req {
	unsigned magic;
	SLIST_ENTRY(upstream_req) spare;
	struct upstream *up;
	const struct upstream_handler *handler;
	void *arg;
	char method[16];
	struct buf head; /* as it goes out */
	struct span body;
	http1_keep_fn *keep_field;
	struct origin *origin;
	struct tunnel *tunnel; /* being made */
	struct line *line;     /* NULL: none yet, or no more */
	struct loop_work work; /* going on after a pause */
	struct answer answer;
	size_t sent; /* of the body, to the connection */
	bool reused; /* the line has served before */
	bool heard;  /* a byte of an answer */
	bool paused, failed, over;
};

/* ---- the end ------------------------------------------------------------ */

static void
upstream_release(struct upstream *up)
{
	struct upstream_req *r;

	if (!up->freed || up->live > 0)
		return;
	origins_free(up->origins);
	while ((r = SLIST_FIRST(&up->spare)) != NULL) {
		SLIST_REMOVE_HEAD(&up->spare, spare);
		buf_fini(&r->head);
		free(r);
	}
	free(up);
}

static void
req_dispose(void *arg)
{
	struct upstream_req *r = arg;
	struct upstream *up = r->up;
	struct buf head = r->head;

	if (up->nspare == SPARE_MAX) {
		buf_fini(&head);
		free(r);
	} else {
		buf_reset(&head, HEAD_KEEP);
		*r = (struct upstream_req){.up = up, .head = head};
		SLIST_INSERT_HEAD(&up->spare, r, spare);
		up->nspare++;
	}
	up->live--;
	upstream_release(up);
}

/* Lets go of everything; the line is kept only if its exchange is whole. */
static void
req_release(struct upstream_req *r, bool keep)
{
	assert(!r->over);
	r->over = true;
	loop_work_cancel(&r->work);
	tunnel_cancel(r->tunnel);
	if (r->line != NULL && keep)
		line_give(r->line);
	else if (r->line != NULL)
		line_close(r->line);
	origin_unref(r->origin);
	loop_dispose_later(r->up->loop, req_dispose, r);
}

static void
finish(struct upstream_req *r, enum upstream_end end, const char *detail)
{
	struct conn *conn = r->line != NULL ? r->line->conn : NULL;
	bool keep = end == UPSTREAM_OK && !r->answer.close && !r->failed &&
		    r->sent == r->body.n && conn_unsent(conn) == 0 &&
		    buf_len(conn_in(conn)) == 0 && !conn_ended(conn);

	req_release(r, keep);
	r->handler->on_done(r->arg, end, detail);
}

/* ---- the answer --------------------------------------------------------- */

static void
tell_head(struct upstream_req *r, const struct http1_response *res)
{
	struct upstream_field f[UPSTREAM_MAX_FIELDS];
	size_t i;

	for (i = 0; i < res->nfields && i < UPSTREAM_MAX_FIELDS; i++) {
		f[i].name = res->fields[i].name;
		f[i].value = res->fields[i].value;
	}
	r->handler->on_head(r->arg, res->status, f, i);
}

/* Before a piece of the body is taken from the buffer. */
static bool
may_go_on(struct upstream_req *r)
{
	if (r->answer.state != ANSWER_IN_BODY || r->handler->may_take(r->arg))
		return (true);
	r->paused = true;
	conn_want_read(r->line->conn, false);
	return (false);
}

/* Takes one step; false: there is no more to do now. */
static bool
step(struct upstream_req *r)
{
	struct buf *in = conn_in(r->line->conn);
	struct http1_response head;
	enum answer_event event;
	struct span data;
	size_t used;

	if (buf_len(in) > 0 && !may_go_on(r))
		return (false);
	used = answer_read(&r->answer, buf_span(in), &event, &head, &data);
	if (event == ANSWER_HEAD)
		tell_head(r, &head);
	else if (event == ANSWER_DATA)
		r->handler->on_body(r->arg, data);
	/* The connection is open until the end of the turn, and so is in. */
	buf_consume(in, used);
	if (r->over)
		return (false);
	if (event == ANSWER_END)
		finish(r, UPSTREAM_OK, "");
	else if (event == ANSWER_BAD)
		finish(r, UPSTREAM_RESET, r->answer.error);
	return (event == ANSWER_HEAD || event == ANSWER_DATA);
}

static void connect_anew(struct upstream_req *);

/* All that has come was read, and no more will. */
static void
at_end(struct upstream_req *r)
{
	if (!r->failed && answer_ended(&r->answer))
		finish(r, UPSTREAM_OK, "");
	else if (r->reused && !r->heard)
		connect_anew(r);
	else
		finish(r, UPSTREAM_RESET,
		    r->heard ? "the answer breaks off"
			     : "the connection was closed without an answer");
}

/* After a failure: did the kernel hold more? */
static bool
read_rest(struct upstream_req *r)
{
	struct conn *c = r->line->conn;
	size_t before = buf_len(conn_in(c));

	conn_read_rest(c);
	if (buf_len(conn_in(c)) == before)
		return (false);
	r->heard = true;
	return (true);
}

static void
advance(struct upstream_req *r)
{
	do {
		while (!r->paused && step(r))
			;
	} while (!r->over && !r->paused && r->failed && read_rest(r));
	if (!r->over && !r->paused && (r->failed || conn_ended(r->line->conn)))
		at_end(r);
}

static void
on_work(void *arg)
{
	struct upstream_req *r = arg;

	assert(r->magic == REQ_MAGIC && r->paused);
	r->paused = false;
	conn_want_read(r->line->conn, true);
	advance(r);
}

/* ---- the request -------------------------------------------------------- */

/* As much of the body as the socket takes. */
static void
send_body(struct upstream_req *r)
{
	struct conn *c = r->line->conn;
	size_t n;

	while (r->sent < r->body.n && conn_unsent(c) == 0) {
		n = r->body.n - r->sent < PIECE ? r->body.n - r->sent : PIECE;
		conn_write(c, r->body.p + r->sent, n);
		r->sent += n;
		if (r->sent < r->body.n)
			conn_flush_now(c);
	}
}

static void
on_conn(struct conn *c, enum conn_event event, void *arg)
{
	struct upstream_req *r = arg;

	assert(r->magic == REQ_MAGIC && r->line->conn == c);
	switch (event) {
	case CONN_DRAINED:
		send_body(r);
		break;
	case CONN_ERROR:
		r->failed = true;
		advance(r);
		break;
	case CONN_READABLE:
		r->heard = true;
		advance(r);
		break;
	case CONN_EOF:
		advance(r);
		break;
	}
}

static void
begin(struct upstream_req *r, struct line *line)
{
	struct conn *c = line->conn;
	size_t n = r->body.n < PIECE ? r->body.n : PIECE;

	r->line = line;
	answer_init(&r->answer, r->method, r->keep_field);
	conn_set_owner(c, on_conn, r);
	buf_reserve(conn_out(c), buf_len(&r->head) + n);
	buf_addspan(conn_out(c), buf_span(&r->head));
	conn_write(c, r->body.p, n);
	r->sent = n;
	if (r->sent < r->body.n) {
		conn_flush_now(c);
		send_body(r);
	}
}

static enum upstream_end
end_of(enum tunnel_end end)
{
	switch (end) {
	case TUNNEL_REFUSED:
		return (UPSTREAM_REFUSED);
	case TUNNEL_TLS:
		return (UPSTREAM_TLS);
	case TUNNEL_TIMEOUT:
		return (UPSTREAM_TIMEOUT);
	case TUNNEL_OK:
	case TUNNEL_CONNECT:
	default:
		return (UPSTREAM_CONNECT);
	}
}

static void
on_tunnel(void *arg, struct conn *conn, enum tunnel_end end, const char *why)
{
	struct upstream_req *r = arg;

	assert(r->magic == REQ_MAGIC);
	r->tunnel = NULL;
	if (conn == NULL)
		finish(r, end_of(end), why);
	else
		begin(r, line_new(r->origin, conn));
}

static bool
start_tunnel(struct upstream_req *r)
{
	r->reused = false;
	r->tunnel =
	    tunnel_start(r->up->tunnels, origin_way(r->origin), on_tunnel, r);
	return (r->tunnel != NULL);
}

/*
 * The line had died before the request came to it: nobody has seen that, and
 * it may be sent again (RFC 9110 9.2.2), once and on a new connection.
 */
static void
connect_anew(struct upstream_req *r)
{
	line_close(r->line);
	r->line = NULL;
	r->failed = false;
	if (!start_tunnel(r))
		finish(r, UPSTREAM_CONNECT, "curl takes no request");
}

/* ---- starting ----------------------------------------------------------- */

static struct upstream_req *
take_req(struct upstream *up)
{
	struct upstream_req *r = SLIST_FIRST(&up->spare);

	if (r == NULL) {
		r = xcalloc(1, sizeof(*r));
		r->up = up;
	} else {
		SLIST_REMOVE_HEAD(&up->spare, spare);
		up->nspare--;
	}
	r->magic = REQ_MAGIC;
	up->live++;
	return (r);
}

/* An HTTP proxy is spoken to; what else there is, curl hides. */
static bool
is_http_proxy(const char *proxy)
{
	return (strstr(proxy, "://") == NULL ||
		strncasecmp(proxy, "http://", 7) == 0 ||
		strncasecmp(proxy, "https://", 8) == 0);
}

static bool
are_clean(const char *const *lines)
{
	for (; *lines != NULL; lines++)
		if ((*lines)[strcspn(*lines, "\r\n")] != '\0')
			return (false);
	return (true);
}

/* Finds a line, or has one made. */
static bool
find_line(struct upstream_req *r)
{
	struct line *line = line_take(r->origin);

	if (line == NULL)
		return (start_tunnel(r));
	r->reused = true;
	begin(r, line);
	return (true);
}

struct upstream_req *
upstream_start(struct upstream *up, const struct upstream_options *o,
    const struct upstream_handler *handler, void *arg)
{
	struct upstream_req *r;
	struct origin_key key = {.ca_file = o->ca_file};
	const char *to_proxy = NULL;
	struct url url;

	if (!url_split(o->url, &url) || !are_clean(o->headers) ||
	    strlen(o->method) >= sizeof(r->method)) {
		log_warnx("a request that cannot be sent");
		return (NULL);
	}
	key.tls = url.tls;
	key.authority = url.authority;
	if (o->proxy != NULL && (o->proxy_loopback || !url_is_loopback(&url)))
		key.proxy = o->proxy;
	if (key.proxy != NULL && !url.tls && is_http_proxy(key.proxy))
		to_proxy = key.proxy;
	r = take_req(up);
	r->handler = handler;
	r->arg = arg;
	r->keep_field = o->keep_field;
	r->body = o->body;
	r->work = (struct loop_work){.fn = on_work, .arg = r};
	memcpy(r->method, o->method, strlen(o->method) + 1);
	reqhead_put(&r->head, o->method, &url, o->headers, o->body.n, to_proxy);
	r->origin = origin_get(up->origins, &key);
	if (find_line(r))
		return (r);
	log_warnx("curl takes no request");
	req_release(r, false);
	return (NULL);
}

void
upstream_resume(struct upstream_req *r)
{
	assert(r->magic == REQ_MAGIC);
	if (r->paused && !r->over)
		loop_defer(r->up->loop, &r->work);
}

void
upstream_cancel(struct upstream_req *r)
{
	assert(r->magic == REQ_MAGIC);
	if (!r->over)
		req_release(r, false);
}

struct upstream *
upstream_new(struct loop *loop, struct tunnels *tunnels)
{
	struct upstream *up = xcalloc(1, sizeof(*up));

	up->loop = loop;
	up->tunnels = tunnels;
	up->origins = origins_new(loop, IDLE_MS);
	SLIST_INIT(&up->spare);
	return (up);
}

void
upstream_free(struct upstream *up)
{
	if (up == NULL)
		return;
	up->freed = true;
	upstream_release(up);
}

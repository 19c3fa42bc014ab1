/*
 * The HTTP server of admin_listen: GET and HEAD, one answer at a time, a
 * deadline on everything (d13).
 */
#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/conn.h"
#include "common/http1.h"
#include "common/ids.h"
#include "common/log.h"
#include "hubd/admin/admin.h"

#define MAX_CLIENTS  256
#define ACCEPTS	     16	  /* a turn, so that answers are not starved */
#define PAUSE_MS     1000 /* when no descriptor is left */
#define REST_MS	     1000 /* for those who are in when it ends */
#define REST_STEP_MS 10
#define UNSENT_MAX   262144 /* answers wait while more than this is unread */
#define CLIENT_MAGIC 0x61646d63

struct listener {
	struct http *http;
	struct loop_io *io;
	int fd;
};

/* What a connection waits for; each has its deadline. */
enum await { AWAIT_HEAD, AWAIT_NEXT, AWAIT_WRITE };

struct client {
	uint32_t magic;
	TAILQ_ENTRY(client) link; /* the longest silent first */
	struct http *http;
	struct conn *conn;
	struct loop_timer *timer;
	enum await await;
	size_t scanned;
};

struct http {
	struct hub_child *child;
	struct listener listeners[HUB_MAX_LISTEN];
	struct loop_timer *pause;
	struct loop_timer *rest; /* NULL: it serves */
	monotime_t rest_until;
	struct id_source *ids;
	TAILQ_HEAD(, client) clients;
	unsigned nclients;
};

/* ---- a connection ------------------------------------------------------- */

static void
client_drop(struct client *c, enum conn_close how)
{
	struct http *h = c->http;

	TAILQ_REMOVE(&h->clients, c, link);
	h->nclients--;
	conn_close(c->conn, how);
	loop_timer_free(c->timer);
	c->magic = 0;
	loop_free_later(h->child->loop, c);
}

static struct client *
client_of(void *arg)
{
	struct client *c = arg;

	if (c->magic != CLIENT_MAGIC)
		abort();
	return (c);
}

static void
on_deadline(void *arg)
{
	client_drop(client_of(arg), CONN_CLOSE_NOW);
}

/* A deadline is set when the wait begins; bytes that drip do not move it. */
static void
client_await(struct client *c, enum await what)
{
	const struct hub_timeouts *t = &c->http->child->conf->timeout;

	c->await = what;
	loop_timer_set_ms(c->timer, what == AWAIT_HEAD	  ? t->header
				    : what == AWAIT_WRITE ? t->write
							  : t->keepalive);
}

static void
put_answer(struct client *c, int status, const char *type, struct buf *body,
    bool head_only, bool close)
{
	struct buf *out = conn_out(c->conn);
	char id[REQ_ID_TEXT], length[24], date[32];
	time_t now = time(NULL);
	size_t n = buf_len(body);
	struct tm tm;

	req_id_format(id_next(c->http->ids), id);
	snprintf(length, sizeof(length), "%zu", n);
	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	http1_put_status(out, status);
	http1_put_field(out, "date", span_str(date));
	http1_put_field(out, "content-type", span_str(type));
	http1_put_field(out, "content-length", span_str(length));
	http1_put_field(out, "cache-control", SPAN("no-store"));
	http1_put_field(out, "x-request-id", span_str(id));
	if (status == 405)
		http1_put_field(out, "allow", SPAN("GET, HEAD"));
	if (close)
		http1_put_field(out, "connection", SPAN("close"));
	http1_put_end(out);
	if (!head_only)
		buf_addspan(out, buf_span(body));
	conn_flush_later(c->conn);
}

/* Answers and closes: what could not be understood has no next request. */
static void
refuse(struct client *c, int status)
{
	struct buf body = {0};

	buf_addf(&body, "%s.\n", http1_reason(status));
	put_answer(c, status, "text/plain", &body, false, true);
	buf_fini(&body);
	client_drop(c, CONN_CLOSE_LINGER);
}

/* false: the connection is gone. */
static bool
serve_request(struct client *c, const struct http1_head *head)
{
	bool is_get = span_eq(head->method, SPAN("GET"));
	bool is_head = span_eq(head->method, SPAN("HEAD"));
	bool close = head->close || c->http->rest != NULL;
	struct buf body = {0};
	const char *type;
	int status;

	if (!is_get && !is_head) {
		refuse(c, 405);
		return (false);
	}
	if (head->chunked || head->length > 0 || head->expect_continue) {
		refuse(c, 400);
		return (false);
	}
	status = admin_answer(c->http->child, head->path, &body, &type);
	put_answer(c, status, type, &body, is_head, close);
	buf_fini(&body);
	if (close)
		client_drop(c, CONN_CLOSE_LINGER);
	return (!close);
}

/* Answers what has arrived whole, as long as the answers are being read. */
static void
serve(struct client *c)
{
	struct buf *in = conn_in(c->conn);
	struct http1_head head;
	enum http1_error e;
	bool fresh = c->await != AWAIT_HEAD;

	while (buf_len(in) > 0 && conn_unsent(c->conn) <= UNSENT_MAX) {
		e = http1_parse_head(buf_span(in), &c->scanned, &head);
		if (e == HTTP1_MORE) {
			if (fresh)
				client_await(c, AWAIT_HEAD);
			return;
		}
		if (e != HTTP1_OK) {
			refuse(c, http1_error_status(e));
			return;
		}
		if (!serve_request(c, &head))
			return;
		buf_consume(in, head.size);
		c->scanned = 0;
		fresh = true;
	}
	client_await(
	    c, conn_unsent(c->conn) > UNSENT_MAX ? AWAIT_WRITE : AWAIT_NEXT);
	conn_want_read(c->conn, true);
}

static void
on_conn(struct conn *conn, enum conn_event event, void *arg)
{
	struct client *c = client_of(arg);

	switch (event) {
	case CONN_READABLE:
	case CONN_DRAINED:
		TAILQ_REMOVE(&c->http->clients, c, link);
		TAILQ_INSERT_TAIL(&c->http->clients, c, link);
		serve(c);
		break;
	case CONN_EOF:
		client_drop(c, CONN_CLOSE_LINGER);
		break;
	case CONN_ERROR:
		client_drop(c, CONN_CLOSE_NOW);
		break;
	}
}

static void
client_new(struct http *h, int fd)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->magic = CLIENT_MAGIC;
	c->http = h;
	c->conn = conn_new(h->child->loop, fd, on_conn, c);
	conn_set_in_limit(c->conn, HTTP1_MAX_HEAD + 1);
	c->timer = loop_timer_new(h->child->loop, on_deadline, c);
	client_await(c, AWAIT_HEAD);
	TAILQ_INSERT_TAIL(&h->clients, c, link);
	h->nclients++;
}

/* ---- listeners ---------------------------------------------------------- */

static void
listeners_want(struct http *h, int what)
{
	int i;

	for (i = 0; i < h->child->fds.nlisten; i++)
		loop_io_want(h->listeners[i].io, what);
}

static void
on_pause_over(void *arg)
{
	listeners_want(arg, LOOP_READ);
}

static void
on_listener(void *arg, int what)
{
	struct listener *l = arg;
	struct http *h = l->http;
	int i, fd;

	for (i = 0; i < ACCEPTS; i++) {
		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1)
			break;
		if (h->nclients == MAX_CLIENTS)
			client_drop(TAILQ_FIRST(&h->clients), CONN_CLOSE_NOW);
		client_new(h, fd);
	}
	if (i < ACCEPTS && (errno == EMFILE || errno == ENFILE)) {
		log_warn("accept");
		listeners_want(h, 0);
		loop_timer_set_ms(h->pause, PAUSE_MS);
	}
}

struct http *
http_start(struct hub_child *child)
{
	struct http *h = xcalloc(1, sizeof(*h));
	int i;

	h->child = child;
	TAILQ_INIT(&h->clients);
	h->ids = id_source_new((uint16_t)child->me.row);
	h->pause = loop_timer_new(child->loop, on_pause_over, h);
	for (i = 0; i < child->fds.nlisten; i++) {
		h->listeners[i].http = h;
		h->listeners[i].fd = child->fds.listen[i];
		h->listeners[i].io = loop_io_new(child->loop,
		    child->fds.listen[i], on_listener, &h->listeners[i]);
	}
	listeners_want(h, LOOP_READ);
	return (h);
}

/* Between requests nobody waits for anything. */
static void
drop_idle(struct http *h)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&h->clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->await == AWAIT_NEXT)
			client_drop(c, CONN_CLOSE_LINGER);
	}
}

static void
on_rest(void *arg)
{
	struct http *h = arg;

	drop_idle(h);
	if ((h->nclients == 0 && !conn_lingers_unsaid()) ||
	    monotime_reached(h->rest_until, monotime_now()))
		loop_stop(h->child->loop);
	else
		loop_timer_set_ms(h->rest, REST_STEP_MS);
}

void
http_rest(struct http *h)
{
	if (h->rest != NULL)
		return;
	loop_timer_clear(h->pause);
	listeners_want(h, 0);
	h->rest = loop_timer_new(h->child->loop, on_rest, h);
	h->rest_until = monotime_add_ms(monotime_now(), REST_MS);
	/* who has asked by now is heard first */
	loop_timer_set_ms(h->rest, REST_STEP_MS);
}

void
http_stop(struct http *h)
{
	int i;

	while (!TAILQ_EMPTY(&h->clients))
		client_drop(TAILQ_FIRST(&h->clients), CONN_CLOSE_NOW);
	for (i = 0; i < h->child->fds.nlisten; i++)
		loop_io_free(h->listeners[i].io);
	loop_timer_free(h->pause);
	loop_timer_free(h->rest);
	id_source_free(h->ids);
	free(h);
}

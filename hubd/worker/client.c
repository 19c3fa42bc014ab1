/* A user's connection: heads, bodies, one request at a time. */
#include <assert.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "hubd/worker/access.h"
#include "hubd/worker/client_private.h"

#define CLIENT_MAGIC 0x434c4e54u
#define UNREAD_HIGH  65536 /* of answers not read: no further request */
#define HEADS_A_TURN 16	   /* of one connection */

static void on_again(void *);

void
client_change_state(struct client *c, enum client_state next)
{
	assert(c->state != CLIENT_CLOSING);
	c->state = next;
	c->since = loop_now(c->w->loop);
}

struct conn *
client_conn(struct client *c)
{
	return (c->conn);
}

struct worker *
client_worker(struct client *c)
{
	return (c->w);
}

struct client *
client_next(struct client *c)
{
	return (LIST_NEXT(c, entry));
}

bool
client_will_close(const struct client *c)
{
	return (c->close || c->w->draining);
}

bool
client_wants_body(const struct client *c)
{
	return (!c->head_only);
}

struct access *
client_access(struct client *c)
{
	return (c->request != NULL ? c->request->access : c->access);
}

struct buf *
client_fields(struct client *c)
{
	return (&c->fields);
}

/* The one teardown; the connection is the caller's to close or keep. */
static void
end(struct client *c)
{
	struct request *r = c->request;

	if (c->state == CLIENT_CLOSING)
		return;
	client_change_state(c, CLIENT_CLOSING);
	c->request = NULL;
	LIST_REMOVE(c, entry);
	c->w->nclients--;
	atomic_store(&c->w->row->clients, c->w->nclients);
	loop_timer_free(c->timer);
	loop_work_cancel(&c->again);
	buf_fini(&c->fields);
	access_end(c->w, &c->access, NULL);
	if (r != NULL)
		request_user_gone(r);
	loop_free_later(c->w->loop, c);
}

static void
close_client(struct client *c, enum conn_close how)
{
	struct conn *conn = c->conn;

	if (c->state == CLIENT_CLOSING)
		return;
	end(c);
	conn_close(conn, how);
}

void
client_kill(struct client *c, const char *why)
{
	log_debug("client %s: %s", conn_peer(c->conn), why);
	close_client(c, CONN_CLOSE_NOW);
}

struct conn *
client_detach(struct client *c)
{
	struct conn *conn = c->conn;

	end(c);
	return (conn);
}

/* ---- deadlines ----------------------------------------------------------- */

static monotime_t
body_deadline(const struct client *c)
{
	const struct hub_timeouts *t = &c->w->conf->timeout;
	int64_t ms = t->body + (int64_t)(c->body_bytes / 65536) * 1000;

	return (monotime_add_ms(c->since, ms < 600000 ? ms : 600000));
}

/* It is the user's turn to read, not to write. */
static bool
waits_for_reader(const struct client *c)
{
	return (c->state == CLIENT_BUSY ||
		(c->state == CLIENT_HEAD && !c->started &&
		    conn_unsent(c->conn) > 0));
}

static monotime_t
deadline(const struct client *c)
{
	const struct hub_timeouts *t = &c->w->conf->timeout;

	if (waits_for_reader(c))
		return (
		    monotime_add_ms(conn_write_progress(c->conn), t->write));
	if (c->state == CLIENT_BODY)
		return (body_deadline(c));
	return (
	    monotime_add_ms(c->since, c->started ? t->header : t->keepalive));
}

void
client_refuse_head(struct client *c, enum api_error error, int64_t retry_ms)
{
	req_id_t id = id_next(c->w->ids);
	char text[REQ_ID_TEXT];

	req_id_format(id, text);
	client_change_state(c, CLIENT_BUSY);
	if (c->access == NULL)
		c->access = access_begin(c->w, conn_peer(c->conn), NULL, text);
	counter_add(c->w->count, COUNT_refused, 1);
	reply_error(c->w, c, DIALECT_OPENAI, error, NULL, text, retry_ms, true);
}

void
client_refuse(struct client *c, enum dialect d, enum api_error error,
    const char *detail, const char *id, bool close)
{
	counter_add(c->w->count, COUNT_refused, 1);
	reply_error(c->w, c, d, error, detail, id,
	    error == API_ERR_overloaded ? 1000 : -1, close);
}

static void
timed_out(struct client *c)
{
	if (waits_for_reader(c)) {
		counter_add(c->w->count, COUNT_slow_cut, 1);
		client_kill(c, "does not read its answer");
	} else if (c->state == CLIENT_HEAD && buf_len(conn_in(c->conn)) == 0) {
		close_client(c, CONN_CLOSE_NOW);
	} else if (c->request != NULL) {
		client_change_state(c, CLIENT_BUSY);
		client_refuse(c, c->request->dialect, API_ERR_request_timeout,
		    NULL, c->request->id_text, true);
	} else {
		client_refuse_head(c, API_ERR_request_timeout, -1);
	}
}

static void
arm(struct client *c)
{
	if (c->state == CLIENT_BUSY && conn_unsent(c->conn) == 0)
		loop_timer_set_ms(c->timer, c->w->conf->timeout.write);
	else
		loop_timer_set_at(c->timer, deadline(c));
}

static void
on_timer(void *arg)
{
	struct client *c = arg;

	assert(c->magic == CLIENT_MAGIC);
	if (c->waits) {
		on_again(c);
		return;
	}
	/* What was written in this very turn is not late. */
	if (conn_unsent(c->conn) > 0)
		conn_flush_now(c->conn);
	if (c->state == CLIENT_BUSY && conn_unsent(c->conn) == 0) {
		arm(c);
		return;
	}
	if (monotime_reached(deadline(c), loop_now(c->w->loop)))
		timed_out(c);
	else
		arm(c);
}

/* ---- reading ------------------------------------------------------------- */

static enum api_error
head_error(enum http1_error e)
{
	switch (e) {
	case HTTP1_TOO_LARGE:
		return (API_ERR_headers_too_large);
	case HTTP1_VERSION:
		return (API_ERR_version);
	case HTTP1_UNSUPPORTED:
		return (API_ERR_not_implemented);
	case HTTP1_EXPECT:
		return (API_ERR_expectation_failed);
	case HTTP1_OK:
	case HTTP1_MORE:
	case HTTP1_BAD:
		break;
	}
	return (API_ERR_invalid_request);
}

/* false: nothing more can be done with the bytes that are here. */
static bool
read_head(struct client *c)
{
	struct buf *in = conn_in(c->conn);
	struct http1_head head;
	enum http1_error e;

	if (buf_len(in) == 0)
		return (false);
	if (!c->started) {
		c->started = true;
		c->since = loop_now(c->w->loop);
	}
	e = http1_parse_head(buf_span(in), &c->scanned, &head);
	if (e == HTTP1_MORE)
		return (false);
	c->scanned = 0;
	if (e != HTTP1_OK) {
		log_debug("client %s: bad head: %s", conn_peer(c->conn),
		    head.why != NULL ? head.why : "");
		client_refuse_head(c, head_error(e), -1);
		return (false);
	}
	/* The spans of head live until the buffer is touched. If the client
	 * ended, the buffer is gone or a link's. */
	client_head(c, &head);
	if (buf_len(in) >= head.size)
		buf_consume(in, head.size);
	return (true);
}

static bool
read_body(struct client *c)
{
	struct buf *in = conn_in(c->conn);
	struct request *r = c->request;
	struct span data;
	ssize_t used;

	while (!c->body.done && buf_len(in) > 0) {
		used = http1_body_take(&c->body, buf_span(in), &data);
		if (used == -1) {
			client_refuse(c, r->dialect, API_ERR_invalid_request,
			    "The body's framing is broken.", r->id_text, true);
			return (false);
		}
		buf_addspan(&r->body, data);
		c->body_bytes += data.n;
		buf_consume(in, (size_t)used);
		if (used == 0 && data.n == 0)
			break;
		if (buf_len(&r->body) > c->w->conf->max_body) {
			client_refuse(c, r->dialect, API_ERR_body_too_large,
			    NULL, r->id_text, true);
			return (false);
		}
		if (!request_count_body(r)) {
			client_refuse(c, r->dialect, API_ERR_overloaded, NULL,
			    r->id_text, true);
			return (false);
		}
	}
	if (!c->body.done)
		return (false);
	client_change_state(c, CLIENT_BUSY);
	request_start(r);
	return (true);
}

/* Answers pile up: who does not read them asks for no more. */
static bool
is_clogged(struct client *c)
{
	if (conn_unsent(c->conn) > UNREAD_HIGH)
		conn_flush_now(c->conn);
	return (conn_unsent(c->conn) > UNREAD_HIGH);
}

/* Pipelined requests that are answered at once: others come in between. */
static bool
has_had_its_turn(struct client *c)
{
	monotime_t now = loop_now(c->w->loop);

	if (c->turn.ns != now.ns) {
		c->turn = now;
		c->heads = 0;
	}
	if (c->heads < HEADS_A_TURN)
		c->heads++;
	else
		c->waits = true;
	return (c->waits);
}

static void
advance(struct client *c)
{
	bool more = true;

	c->waits = false;
	while (more && c->state != CLIENT_CLOSING) {
		if (c->state == CLIENT_HEAD)
			more = !is_clogged(c) && !has_had_its_turn(c) &&
			       read_head(c);
		else if (c->state == CLIENT_BODY)
			more = read_body(c);
		else
			more = false;
	}
	if (c->state == CLIENT_CLOSING)
		return;
	if (c->waits)
		loop_timer_set_ms(c->timer, 0);
	else
		arm(c);
}

static void
on_again(void *arg)
{
	struct client *c = arg;

	advance(c);
	/* Reading stops when pipelined requests fill the buffer. */
	if (c->state != CLIENT_CLOSING)
		conn_want_read(c->conn, true);
}

static void
on_drained(struct client *c)
{
	if (c->request != NULL) {
		request_drained(c->request);
		return;
	}
	if (c->state != CLIENT_HEAD || c->started)
		return;
	c->since = loop_now(c->w->loop);
	on_again(c);
}

/* Closes it between requests; what was answered still goes out. */
static void
close_idle(struct client *c)
{
	close_client(
	    c, conn_unsent(c->conn) > 0 ? CONN_CLOSE_LINGER : CONN_CLOSE_NOW);
}

static void
on_conn(struct conn *conn, enum conn_event event, void *arg)
{
	struct client *c = arg;

	assert(c->magic == CLIENT_MAGIC);
	if (c->state == CLIENT_CLOSING)
		return;
	switch (event) {
	case CONN_READABLE:
		advance(c);
		break;
	case CONN_DRAINED:
		on_drained(c);
		break;
	case CONN_EOF:
		if (c->request == NULL) {
			close_idle(c);
			break;
		}
		/* FALLTHROUGH */
	case CONN_ERROR:
		close_client(c, CONN_CLOSE_NOW);
		break;
	}
}

void
client_done(struct client *c, bool keep)
{
	struct request *r = c->request;

	if (c->state == CLIENT_CLOSING)
		return;
	c->request = NULL;
	if (r != NULL) {
		r->client = NULL;
		if (!r->opened)
			request_free(r);
	}
	access_end(c->w, &c->access, NULL);
	if (!keep || c->close || c->w->draining) {
		close_client(c, CONN_CLOSE_LINGER);
		return;
	}
	client_change_state(c, CLIENT_HEAD);
	c->started = c->head_only = false;
	c->scanned = 0;
	buf_reset(&c->fields, 512);
	loop_defer(c->w->loop, &c->again);
}

void
client_drain(struct client *c)
{
	if (c->state == CLIENT_HEAD && !c->started)
		close_idle(c);
}

void
client_new(struct worker *w, int fd, struct tls *tls)
{
	struct client *c;

	c = xcalloc(1, sizeof(*c));
	c->magic = CLIENT_MAGIC;
	c->w = w;
	c->state = CLIENT_HEAD;
	/* The first head is due at once: the wait counts from here. */
	c->started = true;
	c->since = loop_now(w->loop);
	c->again = (struct loop_work){.fn = on_again, .arg = c};
	if (tls != NULL)
		c->conn =
		    conn_new_over(w->loop, fd, &conn_tls, tls, on_conn, c);
	else
		c->conn = conn_new(w->loop, fd, on_conn, c);
	c->timer = loop_timer_new(w->loop, on_timer, c);
	LIST_INSERT_HEAD(&w->clients, c, entry);
	w->nclients++;
	atomic_store(&w->row->clients, w->nclients);
	arm(c);
	if (w->nclients > w->max_clients)
		client_refuse_head(c, API_ERR_overloaded, 1000);
}

/* A user's connection: heads, bodies, one request at a time. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "hubd/worker/access.h"
#include "hubd/worker/worker.h"

#define CLIENT_MAGIC 0x434c4e54u
#define UNREAD_HIGH  65536 /* of answers not read: no further request */
#define HEADS_A_TURN 16	   /* of one connection */

enum client_state {
	CLIENT_HEAD,	/* waiting for, or reading, a head */
	CLIENT_BODY,	/* reading the request's body */
	CLIENT_BUSY,	/* a request is being answered */
	CLIENT_CLOSING, /* gone: freed after the turn */
};

struct client {
	unsigned magic;
	struct worker *w;
	struct conn *conn;
	LIST_ENTRY(client) entry;
	enum client_state state;
	struct request *request;
	size_t scanned; /* of the head under way */
	bool started;	/* a byte of the head is here */
	bool close;	/* after this reply */
	bool waits;	/* for the next turn, to begin another request */
	unsigned heads; /* begun in this turn */
	monotime_t turn;
	bool head_only; /* HEAD: replies have no body */
	struct http1_body body;
	struct buf fields;     /* more of them, for the reply */
	struct access *access; /* until there is a request */
	uint64_t body_bytes;
	struct loop_timer *timer;
	monotime_t since; /* of this state */
	struct loop_work again;
};

static void on_again(void *);

static void
change_state(struct client *c, enum client_state next)
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
	change_state(c, CLIENT_CLOSING);
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

/* ---- deadlines -------------------------------------------------------------
 */

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

/* An error to a head that has no request yet, under an id of its own. */
static void
refuse_head(struct client *c, enum api_error error, int64_t retry_ms)
{
	req_id_t id = id_next(c->w->ids);
	char text[REQ_ID_TEXT];

	req_id_format(id, text);
	change_state(c, CLIENT_BUSY);
	if (c->access == NULL)
		c->access = access_begin(c->w, conn_peer(c->conn), NULL, text);
	counter_add(c->w->count, COUNT_refused, 1);
	reply_error(c->w, c, DIALECT_OPENAI, error, NULL, text, retry_ms, true);
}

/* close: a body is on its way that nobody will read. */
static void
refuse(struct client *c, enum dialect d, enum api_error error,
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
		change_state(c, CLIENT_BUSY);
		refuse(c, c->request->dialect, API_ERR_request_timeout, NULL,
		    c->request->id_text, true);
	} else {
		refuse_head(c, API_ERR_request_timeout, -1);
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

/* ---- reading ---------------------------------------------------------------
 */

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

/* The type goes to the provider as it is, so it must fit there. */
static bool
has_form_type(const struct http1_head *h)
{
	const struct http1_field *type = http1_find(h, "content-type");
	struct span boundary;

	return (type != NULL && type->value.n < REQUEST_TYPE_MAX &&
		api_form_type(type->value, &boundary) == API_OK);
}

static void
note_type(struct request *r, const struct http1_head *h)
{
	struct span type = SPAN("application/json");

	if (r->endpoint->form)
		type = http1_find(h, "content-type")->value;
	else if (r->endpoint->bodiless)
		type = SPAN("");
	assert(type.n < sizeof(r->type));
	memcpy(r->type, type.p, type.n);
	r->type[type.n] = '\0';
}

/* What the head alone decides about the body. */
static enum api_error
body_error(const struct client *c, const struct http1_head *h,
    const struct endpoint *e)
{
	const struct http1_field *encoding = http1_find(h, "content-encoding");

	if (e->local)
		return (h->chunked || h->length > 0 ? API_ERR_invalid_request
						    : API_OK);
	if (encoding != NULL && !span_ieq(encoding->value, SPAN("identity")))
		return (API_ERR_unsupported_encoding);
	if (e->form && !has_form_type(h))
		return (API_ERR_unsupported_encoding);
	if (!h->chunked && !h->has_length && !e->bodiless)
		return (API_ERR_length_required);
	if (h->has_length && h->length > c->w->conf->max_body)
		return (API_ERR_body_too_large);
	return (API_OK);
}

/*
 * Key, account, endpoint: in this order, whatever the path, so that nobody
 * without a key learns what there is.
 */
static enum api_error
head_check(struct client *c, const struct http1_head *h, struct api_target *t,
    struct identity *who)
{
	enum api_error error;

	if (!atomic_load(&shm_pub_state(c->w->shm)->loaded))
		return (API_ERR_overloaded);
	error = auth_key(c->w->shm, api_key_of(t, h), walltime_ms(), who);
	if (error != API_ERR_invalid_api_key)
		access_who(c->access, who);
	if (error != API_OK)
		return (error);
	if (t->error == API_OK)
		return (body_error(c, h, t->endpoint));
	if (t->error == API_ERR_method_not_allowed) {
		buf_addstr(&c->fields, "allow: ");
		api_target_methods(h, c->w->conf->objects, &c->fields);
		buf_addstr(&c->fields, "\r\n");
	}
	return (t->error);
}

static void
begin_body(struct client *c, const struct http1_head *h)
{
	http1_body_init(&c->body,
	    h->chunked ? HTTP1_BODY_CHUNKED : HTTP1_BODY_LENGTH, h->length);
	c->body_bytes = 0;
	change_state(c, CLIENT_BODY);
	if (h->expect_continue && buf_len(conn_in(c->conn)) == h->size)
		conn_write(c->conn, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static void
answer_local(struct client *c, const struct identity *who,
    const struct api_target *t, const struct api_list *list, const char *id)
{
	if (t->endpoint->use == USE_LIST)
		objects_list(c->w, c, who, t, list, id);
	else
		local_models(c->w, c, who, t, id);
}

static void
on_head(struct client *c, const struct http1_head *h)
{
	struct worker *w = c->w;
	struct api_target target;
	struct api_list list = {.limit = 0};
	struct identity who;
	enum api_error error;
	req_id_t id = id_next(w->ids);
	char text[REQ_ID_TEXT];

	req_id_format(id, text);
	counter_add(w->count, COUNT_requests, 1);
	c->close = h->close || w->retiring;
	c->head_only = span_eq(h->method, SPAN("HEAD"));
	change_state(c, CLIENT_BUSY);
	c->access = access_begin(w, conn_peer(c->conn), h, text);
	(void)FAILPOINT("worker.head_read");
	if (local_health(w, c, h, text))
		return;
	if (w->draining) {
		refuse_head(c, API_ERR_overloaded, 1000);
		return;
	}
	if (span_eq(h->path, SPAN(LINK_PATH))) {
		link_accept(w, c, h, text);
		return;
	}
	api_target(h, w->conf->objects, &target);
	error = head_check(c, h, &target, &who);
	if (error != API_OK) {
		refuse(c, target.dialect, error,
		    error == target.error ? target.why : NULL, text,
		    h->chunked || h->length > 0);
		return;
	}
	if (target.endpoint->use != USE_NONE &&
	    !api_list_query(h->query, &list)) {
		refuse(c, target.dialect, API_ERR_invalid_request,
		    "The query has a wrong value.", text,
		    h->chunked || h->length > 0);
		return;
	}
	if (target.endpoint->local) {
		answer_local(c, &who, &target, &list, text);
		return;
	}
	c->request = request_new(c, &target, &who, id, c->access);
	c->request->list = list;
	c->access = NULL;
	if (!request_take_fields(c->request, h)) {
		refuse(c, target.dialect, API_ERR_headers_too_large, NULL, text,
		    true);
		return;
	}
	note_type(c->request, h);
	begin_body(c, h);
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
		refuse_head(c, head_error(e), -1);
		return (false);
	}
	/* The spans of head live until the buffer is touched. If the client
	 * ended, the buffer is gone or a link's. */
	on_head(c, &head);
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
			refuse(c, r->dialect, API_ERR_invalid_request,
			    "The body's framing is broken.", r->id_text, true);
			return (false);
		}
		buf_addspan(&r->body, data);
		c->body_bytes += data.n;
		buf_consume(in, (size_t)used);
		if (used == 0 && data.n == 0)
			break;
		if (buf_len(&r->body) > c->w->conf->max_body) {
			refuse(c, r->dialect, API_ERR_body_too_large, NULL,
			    r->id_text, true);
			return (false);
		}
		if (!request_count_body(r)) {
			refuse(c, r->dialect, API_ERR_overloaded, NULL,
			    r->id_text, true);
			return (false);
		}
	}
	if (!c->body.done)
		return (false);
	change_state(c, CLIENT_BUSY);
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
	change_state(c, CLIENT_HEAD);
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
		refuse_head(c, API_ERR_overloaded, 1000);
}

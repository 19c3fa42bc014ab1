/*
 * Events of connections, and the reading and writing they lead to. Each
 * connection has two events: `in` reads, or, while reading is paused, only
 * watches for the end; `out` exists while the socket is full.
 */
#include "common/conn_private.h"

#include <assert.h>
#include <sys/socket.h>

#include "common/log.h"

#define TURN_BYTES 65536 /* read per turn, so that nobody starves others */

/* ---- telling the owner ---- */

static void
tell(struct conn *c, enum conn_event event)
{
	if (!c->closed)
		c->fn(c, event, c->arg);
}

void
conn_tell_put_off(struct conn *c)
{
	bool drained = c->tell_drained, error = c->tell_error;

	c->tell_drained = c->tell_error = false;
	if (error)
		tell(c, CONN_ERROR);
	else if (drained)
		tell(c, CONN_DRAINED);
}

/* ---- events ---- */

static void
conn_failed(struct conn *c)
{
	if (c->failed)
		return;
	c->failed = true;
	c->tell_error = true;
	event_del(&c->in);
	event_del(&c->out);
	c->in_mode = IN_OFF;
	c->out_armed = false;
	loop_defer(c->loop, &c->work);
}

static void
add_event(struct conn *c, struct event *ev)
{
	if (event_add(ev, NULL) == 0)
		return;
	log_warn("cannot watch a connection of %s", c->peer);
	conn_failed(c);
}

void
conn_await_room(struct conn *c)
{
	/* libevent wants one kind of triggering for a descriptor. */
	short et = c->in_mode == IN_WATCH ? EV_ET : 0;

	if (c->out_armed || c->failed)
		return;
	c->out_armed = true;
	event_assign(
	    &c->out, loop_base(c->loop), c->fd, EV_WRITE | et, conn_on_out, c);
	add_event(c, &c->out);
}

void
conn_set_in_mode(struct conn *c, enum in_mode mode)
{
	bool out = c->out_armed;
	short what = EV_READ | EV_PERSIST;

	event_del(&c->in);
	if (out) {
		event_del(&c->out);
		c->out_armed = false;
	}
	c->in_mode = mode;
	if (mode == IN_WATCH)
		what |= EV_CLOSED | EV_ET;
	event_assign(&c->in, loop_base(c->loop), c->fd, what, conn_on_in, c);
	add_event(c, &c->in);
	if (out)
		conn_await_room(c);
}

static size_t
in_room(const struct conn *c)
{
	size_t len = buf_len(&c->inbuf);

	return (len < c->in_limit ? c->in_limit - len : 0);
}

static bool
may_read(const struct conn *c)
{
	if (c->failed || c->eof)
		return (false);
	return (c->goodbye != NULL || (c->want_read && in_room(c) > 0));
}

void
conn_update_in(struct conn *c)
{
	enum in_mode mode;

	if (c->failed || c->fd == -1)
		return;
	mode = may_read(c) || c->write_wants_read ? IN_READ : IN_WATCH;
	if (mode != c->in_mode)
		conn_set_in_mode(c, mode);
}

/* ---- writing ---- */

static void
wait_for_room(struct conn *c)
{
	if (!c->waited) {
		c->waited = true;
		c->progress = loop_now(c->loop);
	}
	conn_await_room(c);
}

void
conn_flush(struct conn *c)
{
	size_t len = buf_len(&c->outbuf);
	ssize_t n;

	if (len == 0 || c->out_armed || c->write_wants_read || c->failed)
		return;
	n = c->transport->write(c->state, c->fd, buf_ptr(&c->outbuf), len);
	if (n > 0) {
		c->progress = loop_now(c->loop);
		buf_consume(&c->outbuf, (size_t)n);
		if ((size_t)n < len)
			wait_for_room(c);
		else if (c->waited) {
			c->waited = false;
			c->tell_drained = true;
		}
	} else if (n == CONN_IO_WANT_READ) {
		c->write_wants_read = true;
		c->waited = true;
		conn_update_in(c);
	} else if (n == CONN_IO_WANT_WRITE)
		wait_for_room(c);
	else
		conn_failed(c);
}

/* ---- reading ---- */

static size_t
min_size(size_t a, size_t b)
{
	return (a < b ? a : b);
}

/* Reads once into the buffer; the result is the transport's. */
static ssize_t
read_once(struct conn *c, size_t most, bool *more)
{
	size_t ask = min_size(c->read_size, most);
	ssize_t n;

	n = c->transport->read(
	    c->state, c->fd, buf_reserve(&c->inbuf, ask), ask);
	if (n > 0)
		buf_commit(&c->inbuf, (size_t)n);
	*more =
	    n > 0 && ((size_t)n == ask || (c->transport->pending != NULL &&
					      c->transport->pending(c->state)));
	if (n == (ssize_t)c->read_size && c->read_size < TURN_BYTES)
		c->read_size *= 2;
	else if (n > 0 && (size_t)n < c->read_size / 4 &&
		 c->read_size > CONN_READ_MIN)
		c->read_size /= 2;
	return (n);
}

void
conn_read_rest(struct conn *c)
{
	bool more = true;

	while (more && !c->closed && !c->eof && in_room(c) > 0)
		read_once(c, in_room(c), &more);
}

static void
read_some(struct conn *c)
{
	size_t got = 0;
	ssize_t n = CONN_IO_WANT_READ;
	bool more = true;

	while (more && got < TURN_BYTES && in_room(c) > 0) {
		n = read_once(c, min_size(TURN_BYTES - got, in_room(c)), &more);
		if (n > 0)
			got += (size_t)n;
	}
	loop_defer(c->loop, &c->work);
	if (got > 0)
		tell(c, CONN_READABLE);
	if (c->closed)
		return;
	if (n == CONN_IO_EOF) {
		c->eof = true;
		conn_update_in(c);
		tell(c, CONN_EOF);
	} else if (n == CONN_IO_ERROR) {
		conn_failed(c);
		conn_tell_put_off(c);
	} else if (n == CONN_IO_WANT_WRITE) {
		c->read_wants_write = true;
		conn_await_room(c);
	}
	conn_update_in(c);
}

/* A lingering connection's peer may talk on; nobody listens. */
static void
read_and_drop(struct conn *c)
{
	static char dropped[TURN_BYTES];
	ssize_t n;

	n = c->transport->read(c->state, c->fd, dropped, sizeof(dropped));
	if (n == CONN_IO_EOF)
		c->eof = true;
	else if (n == CONN_IO_ERROR)
		conn_failed(c);
	conn_update_in(c);
	loop_defer(c->loop, &c->work);
}

/* Something happened to a connection that is not being read. */
static void
watch_event(struct conn *c, short what)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		conn_failed(c);
		conn_tell_put_off(c);
	} else if ((what & EV_CLOSED) != 0 && !c->want_read && !c->eof &&
		   !c->early_eof) {
		c->early_eof = true;
		tell(c, CONN_EOF);
	}
}

void
conn_on_in(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	assert(c->magic == CONN_MAGIC);
	loop_turn_begin(c->loop);
	if (c->in_mode == IN_WATCH) {
		watch_event(c, what);
		return;
	}
	if (c->write_wants_read) {
		c->write_wants_read = false;
		loop_defer(c->loop, &c->work);
	}
	if (c->goodbye != NULL)
		read_and_drop(c);
	else if (may_read(c))
		read_some(c);
}

void
conn_on_out(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	assert(c->magic == CONN_MAGIC);
	loop_turn_begin(c->loop);
	c->out_armed = false;
	if (c->read_wants_write) {
		c->read_wants_write = false;
		if (may_read(c))
			event_active(&c->in, EV_READ, 0);
	}
	conn_flush(c);
	loop_defer(c->loop, &c->work);
	conn_tell_put_off(c);
}

/*
 * Connections under the loop. Each has two events: `in` reads, or, while
 * reading is paused, only watches for the end; `out` exists while the socket
 * is full. Closed connections that still have something to say stay here,
 * out of their owners' sight, until they have said it or run out of time.
 */
#include "common/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/alloc.h"
#include "common/conn_transport.h"
#include "common/log.h"

#define TURN_BYTES 65536 /* read per turn, so that nobody starves others */
#define READ_MIN   4096
#define IN_LIMIT   65536
#define LINGER_MS  2000	  /* for the peer to close, once all is written */
#define STALL_MS   30000  /* for a peer that takes nothing of it */
#define GOODBYE_MS 300000 /* for all of it */
#define CONN_MAGIC 0x636f6e6e

enum in_mode {
	IN_OFF,
	IN_READ,
	/*
	 * libevent does not tell EV_CLOSED of a reset (EPOLLERR), it makes
	 * EV_READ of it; so EV_READ is asked for too, edge-triggered, and
	 * bytes that come meanwhile are left where they are.
	 */
	IN_WATCH,
};

struct conn {
	uint32_t magic;
	int fd; /* -1 once closed */
	struct event in, out;
	struct loop *loop;
	const struct conn_transport *transport;
	void *state;
	conn_fn *fn;
	void *arg;
	struct buf inbuf, outbuf;
	struct loop_work work; /* the end of the turn */
	monotime_t progress;   /* see conn_write_progress() */
	size_t in_limit;
	size_t read_size; /* what the next read asks for */
	enum in_mode in_mode;
	bool out_armed;
	bool want_read;
	bool read_wants_write, write_wants_read; /* the transport's wishes */
	bool waited;	   /* the socket was full since all was written */
	bool tell_drained; /* the owner is still to hear of it */
	bool tell_error;
	bool eof;	  /* all that the peer sent was read */
	bool early_eof;	  /* the owner heard of the end while paused */
	bool failed;	  /* nothing comes or goes any more */
	bool closed;	  /* by the owner */
	bool end_written; /* of a lingering one: only the peer's end is due */
	struct loop_timer *goodbye; /* not NULL: lingering */
	monotime_t goodbye_until;
	LIST_ENTRY(conn) link; /* of lingering ones */
	char peer[INET6_ADDRSTRLEN + 10];
};

static LIST_HEAD(, conn) lingering = LIST_HEAD_INITIALIZER(lingering);

static void conn_on_in(evutil_socket_t, short, void *);
static void conn_on_out(evutil_socket_t, short, void *);
static void conn_on_turn_end(void *);

/* ---- telling the owner ---- */

static void
tell(struct conn *c, enum conn_event event)
{
	if (!c->closed)
		c->fn(c, event, c->arg);
}

static void
tell_put_off(struct conn *c)
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

static void
arm_out(struct conn *c)
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

static void
set_in_mode(struct conn *c, enum in_mode mode)
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
		arm_out(c);
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

static void
update_in(struct conn *c)
{
	enum in_mode mode;

	if (c->failed || c->fd == -1)
		return;
	mode = may_read(c) || c->write_wants_read ? IN_READ : IN_WATCH;
	if (mode != c->in_mode)
		set_in_mode(c, mode);
}

/* ---- the end of a connection ---- */

static void
conn_free(void *arg)
{
	struct conn *c = arg;

	buf_fini(&c->inbuf);
	buf_fini(&c->outbuf);
	c->magic = 0;
	free(c);
}

static void
conn_destroy(struct conn *c)
{
	if (c->fd == -1)
		return;
	event_del(&c->in);
	event_del(&c->out);
	loop_work_cancel(&c->work);
	if (c->goodbye != NULL) {
		LIST_REMOVE(c, link);
		loop_timer_free(c->goodbye);
	}
	if (c->transport->free != NULL)
		c->transport->free(c->state);
	close(c->fd);
	c->fd = -1;
	loop_dispose_later(c->loop, conn_free, c);
}

/* ---- writing ---- */

static void
wait_for_room(struct conn *c)
{
	if (!c->waited) {
		c->waited = true;
		c->progress = loop_now(c->loop);
	}
	arm_out(c);
}

static void
flush(struct conn *c)
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
		update_in(c);
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
		 c->read_size > READ_MIN)
		c->read_size /= 2;
	return (n);
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
		update_in(c);
		tell(c, CONN_EOF);
	} else if (n == CONN_IO_ERROR) {
		conn_failed(c);
		tell_put_off(c);
	} else if (n == CONN_IO_WANT_WRITE) {
		c->read_wants_write = true;
		arm_out(c);
	}
	update_in(c);
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
	update_in(c);
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
		tell_put_off(c);
	} else if ((what & EV_CLOSED) != 0 && !c->want_read && !c->eof &&
		   !c->early_eof) {
		c->early_eof = true;
		tell(c, CONN_EOF);
	}
}

static void
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

static void
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
	flush(c);
	loop_defer(c->loop, &c->work);
	tell_put_off(c);
}

/* ---- the end of the turn ---- */

static void
release_empty(struct buf *b)
{
	if (buf_len(b) == 0)
		buf_fini(b);
}

/* One step of a lingering connection's way out. */
static void
linger_step(struct conn *c)
{
	if (c->failed || (c->eof && buf_len(&c->outbuf) == 0)) {
		conn_destroy(c);
		return;
	}
	if (buf_len(&c->outbuf) > 0 || c->end_written)
		return;
	c->end_written = true;
	c->transport->end(c->state, c->fd);
	loop_timer_set_ms(c->goodbye, LINGER_MS);
}

static void
conn_on_turn_end(void *arg)
{
	struct conn *c = arg;

	assert(c->magic == CONN_MAGIC);
	flush(c);
	tell_put_off(c);
	if (c->fd == -1)
		return;
	update_in(c);
	if (c->in_mode == IN_READ && c->transport->pending != NULL &&
	    c->transport->pending(c->state))
		event_active(&c->in, EV_READ, 0);
	release_empty(&c->inbuf);
	release_empty(&c->outbuf);
	if (c->goodbye != NULL)
		linger_step(c);
}

/* ---- lingering ---- */

static void
linger_on_timer(void *arg)
{
	struct conn *c = arg;
	monotime_t now = monotime_now();

	if (c->end_written || monotime_reached(c->goodbye_until, now) ||
	    monotime_diff_ms(now, c->progress) >= STALL_MS)
		conn_destroy(c);
	else
		loop_timer_set_ms(c->goodbye, STALL_MS);
}

static void
linger_start(struct conn *c)
{
	buf_fini(&c->inbuf);
	c->goodbye = loop_timer_new(c->loop, linger_on_timer, c);
	c->goodbye_until = monotime_add_ms(monotime_now(), GOODBYE_MS);
	LIST_INSERT_HEAD(&lingering, c, link);
	loop_timer_set_ms(c->goodbye, STALL_MS);
	update_in(c);
	loop_defer(c->loop, &c->work);
}

unsigned
conn_lingering(void)
{
	struct conn *c;
	unsigned n = 0;

	LIST_FOREACH (c, &lingering, link)
		n++;
	return (n);
}

void
conn_close(struct conn *c, enum conn_close how)
{
	if (c->closed)
		return;
	assert(c->magic == CONN_MAGIC);
	c->closed = true;
	if (how == CONN_CLOSE_NOW || c->failed)
		conn_destroy(c);
	else
		linger_start(c);
}

/* ---- making and asking ---- */

static void
name_peer(struct conn *c)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage space;
	} a;
	socklen_t len = sizeof(a);
	char host[INET6_ADDRSTRLEN];

	if (getpeername(c->fd, &a.sa, &len) == -1)
		snprintf(c->peer, sizeof(c->peer), "unknown");
	else if (a.sa.sa_family == AF_INET &&
		 inet_ntop(AF_INET, &a.in.sin_addr, host, sizeof(host)) != NULL)
		snprintf(c->peer, sizeof(c->peer), "%s:%u", host,
		    ntohs(a.in.sin_port));
	else if (a.sa.sa_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &a.in6.sin6_addr, host, sizeof(host)) !=
		     NULL)
		snprintf(c->peer, sizeof(c->peer), "[%s]:%u", host,
		    ntohs(a.in6.sin6_port));
	else
		snprintf(c->peer, sizeof(c->peer), "unix");
}

struct conn *
conn_new_over(struct loop *l, int fd, const struct conn_transport *transport,
    void *state, conn_fn *fn, void *arg)
{
	struct conn *c = xcalloc(1, sizeof(*c));
	int on = 1;

	assert(fd >= 0 && fn != NULL);
	c->magic = CONN_MAGIC;
	c->fd = fd;
	c->loop = l;
	c->transport = transport;
	c->state = state;
	c->fn = fn;
	c->arg = arg;
	c->in_limit = IN_LIMIT;
	c->read_size = READ_MIN;
	c->want_read = true;
	c->progress = loop_now(l);
	c->work.fn = conn_on_turn_end;
	c->work.arg = c;
	name_peer(c);
	/* Fails on Unix sockets, which have no such delay. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	event_assign(&c->in, loop_base(l), fd, EV_READ, conn_on_in, c);
	event_assign(&c->out, loop_base(l), fd, EV_WRITE, conn_on_out, c);
	update_in(c);
	return (c);
}

struct conn *
conn_new(struct loop *l, int fd, conn_fn *fn, void *arg)
{
	return (conn_new_over(l, fd, &conn_plain, NULL, fn, arg));
}

void
conn_set_owner(struct conn *c, conn_fn *fn, void *arg)
{
	c->fn = fn;
	c->arg = arg;
}

struct buf *
conn_in(struct conn *c)
{
	return (&c->inbuf);
}

void
conn_set_in_limit(struct conn *c, size_t bytes)
{
	c->in_limit = bytes;
	if (!c->closed)
		update_in(c);
}

void
conn_want_read(struct conn *c, bool want)
{
	if (c->closed)
		return;
	/* While a buffer was full the edge of the peer's end may be gone. */
	if (!want && c->want_read && c->in_mode == IN_WATCH && !c->eof)
		set_in_mode(c, IN_WATCH);
	c->want_read = want;
	update_in(c);
	loop_defer(c->loop, &c->work);
}

struct buf *
conn_out(struct conn *c)
{
	return (&c->outbuf);
}

void
conn_write(struct conn *c, const void *p, size_t n)
{
	buf_add(&c->outbuf, p, n);
	conn_flush_later(c);
}

void
conn_flush_later(struct conn *c)
{
	if (!c->closed)
		loop_defer(c->loop, &c->work);
}

void
conn_flush_now(struct conn *c)
{
	if (c->closed)
		return;
	flush(c);
	loop_defer(c->loop, &c->work);
}

size_t
conn_unsent(const struct conn *c)
{
	return (buf_len(&c->outbuf));
}

monotime_t
conn_write_progress(const struct conn *c)
{
	return (c->progress);
}

void
conn_set_notsent_lowat(struct conn *c, int bytes)
{
	setsockopt(
	    c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

int
conn_fd(const struct conn *c)
{
	return (c->fd);
}

const char *
conn_peer(const struct conn *c)
{
	return (c->peer);
}

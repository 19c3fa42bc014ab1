/*
 * The life of connections: making, asking, the end of a turn, closing.
 * Closed ones that still have something to say stay here, out of their
 * owners' sight, until they have said it or run out of time.
 */
#include "common/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/conn_private.h"

#define IN_LIMIT   65536
#define LINGER_MS  2000	  /* for the peer to close, once all is written */
#define STALL_MS   30000  /* for a peer that takes nothing of it */
#define GOODBYE_MS 300000 /* for all of it */

static LIST_HEAD(, conn) lingering = LIST_HEAD_INITIALIZER(lingering);

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
	if (!c->transport->end(c->state, c->fd)) {
		conn_await_room(c);
		return;
	}
	c->end_written = true;
	loop_timer_set_ms(c->goodbye, LINGER_MS);
}

static void
conn_on_turn_end(void *arg)
{
	struct conn *c = arg;

	assert(c->magic == CONN_MAGIC);
	conn_flush(c);
	conn_tell_put_off(c);
	if (c->fd == -1)
		return;
	conn_update_in(c);
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
	conn_update_in(c);
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

bool
conn_lingers_unsaid(void)
{
	struct conn *c;

	LIST_FOREACH (c, &lingering, link)
		if (!c->end_written)
			return (true);
	return (false);
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

	assert(fd >= 0);
	c->magic = CONN_MAGIC;
	c->fd = fd;
	c->loop = l;
	c->transport = transport;
	c->state = state;
	c->fn = fn;
	c->arg = arg;
	c->in_limit = IN_LIMIT;
	c->read_size = CONN_READ_MIN;
	c->want_read = true;
	c->progress = loop_now(l);
	c->work.fn = conn_on_turn_end;
	c->work.arg = c;
	name_peer(c);
	/* Fails on Unix sockets, which have no such delay. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	event_assign(&c->in, loop_base(l), fd, EV_READ, conn_on_in, c);
	event_assign(&c->out, loop_base(l), fd, EV_WRITE, conn_on_out, c);
	conn_update_in(c);
	/* A handshake may have read more than was its own: ask for pending. */
	loop_defer(l, &c->work);
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
		conn_update_in(c);
}

void
conn_want_read(struct conn *c, bool want)
{
	if (c->closed)
		return;
	/* While a buffer was full the edge of the peer's end may be gone. */
	if (!want && c->want_read && c->in_mode == IN_WATCH && !c->eof)
		conn_set_in_mode(c, IN_WATCH);
	c->want_read = want;
	conn_update_in(c);
	loop_defer(c->loop, &c->work);
}

bool
conn_ended(const struct conn *c)
{
	return (c->eof);
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
	conn_flush(c);
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

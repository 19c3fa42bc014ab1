/*
 * The control socket: each connection brings one request line and takes one
 * answer. Clients are many at once; a reload's answer comes when the master
 * and the prices are done with it, and what may be long is answered by an
 * errand.
 */
#include <sys/queue.h>
#include <sys/socket.h>

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/conn.h"
#include "common/log.h"
#include "hubd/billing/commands.h"
#include "hubd/billing/errand.h"
#include "hubd/billing/offspring.h"

#define CLIENTS_MAX    64
#define CLIENT_MAGIC   0x63746c63
#define ACCEPT_BATCH   16
#define ANSWER_WAIT_MS 60000 /* for a reload */
#define PAUSE_MS       100   /* of accepting, when descriptors are short */

struct client {
	uint32_t magic;
	struct control *control;
	struct conn *conn;
	struct loop_timer *deadline;
	uint32_t cookie;       /* of the reload it waits for, or 0 */
	struct errand *errand; /* who answers it, or NULL */
	LIST_ENTRY(client) entry;
};

struct control {
	struct billing *b;
	struct loop_io *io;
	struct loop_timer *resume;
	LIST_HEAD(, client) clients;
	unsigned n;
	bool resting;
	uint32_t asker; /* user id of whose command runs */
};

/* Is its request still to come? */
static bool
is_reading(const struct client *c)
{
	return (c->cookie == 0 && c->errand == NULL);
}

static void
drop(struct client *c, enum conn_close how)
{
	struct control *control = c->control;

	assert(c->magic == CLIENT_MAGIC);
	errand_end(c->errand);
	conn_close(c->conn, how);
	loop_timer_free(c->deadline);
	LIST_REMOVE(c, entry);
	c->magic = 0;
	loop_free_later(control->b->loop, c);
	/* one that was too many may be waiting */
	if (control->n-- == CLIENTS_MAX && !control->resting)
		loop_io_want(control->io, LOOP_READ);
}

static void
send_answer(struct client *c, struct buf *answer)
{
	conn_write(c->conn, buf_ptr(answer), buf_len(answer));
	drop(c, CONN_CLOSE_LINGER);
}

static uint32_t
user_of(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == -1)
		return (UINT32_MAX);
	return (peer.uid);
}

uint32_t
control_asker(const struct billing *b)
{
	return (b->self != NULL ? user_of(b->self->client) : b->control->asker);
}

static void
refuse(struct client *c, const char *why)
{
	struct buf answer;

	buf_init(&answer);
	command_refuse(why, &answer);
	send_answer(c, &answer);
	buf_fini(&answer);
}

static void
on_errand_ended(void *arg)
{
	struct client *c = arg;

	assert(c->magic == CLIENT_MAGIC);
	drop(c, CONN_CLOSE_LINGER);
}

/* From now on somebody else writes to the client, and nobody reads. */
static void
hand_over(struct client *c, struct span line)
{
	const char *why;

	c->errand = errand_start(
	    c->control->b, line, conn_fd(c->conn), on_errand_ended, c, &why);
	if (c->errand == NULL) {
		refuse(c, why);
		return;
	}
	loop_timer_clear(c->deadline);
	conn_want_read(c->conn, false);
}

static void
run(struct client *c, struct span line)
{
	struct billing *b = c->control->b;
	struct buf answer;

	if (command_is_errand(b, line)) {
		hand_over(c, line);
		return;
	}
	buf_init(&answer);
	c->control->asker = user_of(conn_fd(c->conn));
	c->cookie = command_run(b, line, &answer, NULL, NULL);
	if (c->cookie == 0)
		send_answer(c, &answer);
	else
		loop_timer_set_ms(c->deadline, ANSWER_WAIT_MS);
	buf_fini(&answer);
}

static void
on_readable(struct client *c)
{
	struct buf *in = conn_in(c->conn);
	const char *end;

	if (!is_reading(c))
		return;
	end = memchr(buf_ptr(in), '\n', buf_len(in));
	if (end != NULL)
		run(c, span_of(buf_ptr(in), (size_t)(end - buf_ptr(in))));
	else if (buf_len(in) >= CTL_REQUEST_MAX)
		drop(c, CONN_CLOSE_NOW);
}

/* A client may be done with sending while it waits; one that has closed its
 * socket waits for nothing. */
static bool
is_gone(const struct client *c)
{
	struct pollfd p = {.fd = conn_fd(c->conn)};

	return (is_reading(c) || (poll(&p, 1, 0) == 1 &&
				     (p.revents & (POLLHUP | POLLERR)) != 0));
}

static void
on_event(struct conn *conn, enum conn_event event, void *arg)
{
	struct client *c = arg;

	assert(c->magic == CLIENT_MAGIC && c->conn == conn);
	switch (event) {
	case CONN_READABLE:
		on_readable(c);
		break;
	case CONN_EOF:
		if (is_gone(c))
			drop(c, CONN_CLOSE_NOW);
		break;
	case CONN_ERROR:
		drop(c, CONN_CLOSE_NOW);
		break;
	case CONN_DRAINED:
		break;
	}
}

static void
on_deadline(void *arg)
{
	struct client *c = arg;

	assert(c->magic == CLIENT_MAGIC);
	if (is_reading(c))
		drop(c, CONN_CLOSE_NOW);
	else
		refuse(c, "the reload takes too long; see the log");
}

static void
add_client(struct control *control, int fd)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->magic = CLIENT_MAGIC;
	c->control = control;
	c->conn = conn_new(control->b->loop, fd, on_event, c);
	conn_set_in_limit(c->conn, CTL_REQUEST_MAX);
	c->deadline = loop_timer_new(control->b->loop, on_deadline, c);
	loop_timer_set_ms(c->deadline, CTL_DEADLINE_MS);
	LIST_INSERT_HEAD(&control->clients, c, entry);
	control->n++;
}

/* Those that connect and say nothing keep nobody out: the oldest goes. */
static void
make_room(struct control *control)
{
	struct client *c, *oldest = NULL;

	if (control->n < CLIENTS_MAX)
		return;
	LIST_FOREACH (c, &control->clients, entry)
		if (is_reading(c))
			oldest = c;
	if (oldest != NULL)
		drop(oldest, CONN_CLOSE_NOW);
	else /* all wait for answers; drop() goes on */
		loop_io_want(control->io, 0);
}

static void
on_resume(void *arg)
{
	struct control *control = arg;

	if (!control->resting)
		loop_io_want(control->io, LOOP_READ);
}

static void
pause_accepting(struct control *control)
{
	log_warn("control socket");
	loop_io_want(control->io, 0);
	loop_timer_set_ms(control->resume, PAUSE_MS);
}

static void
on_accept(void *arg, int what)
{
	struct control *control = arg;
	int i, fd;

	for (i = 0; i < ACCEPT_BATCH; i++) {
		make_room(control);
		if (control->n >= CLIENTS_MAX)
			return;
		fd = accept4(control->b->child->fds.control, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			if (errno != EAGAIN && errno != EINTR &&
			    errno != ECONNABORTED)
				pause_accepting(control);
			return;
		}
		add_client(control, fd);
	}
}

void
control_reloaded(struct billing *b, uint32_t cookie, const char *error)
{
	struct client *c, *next;
	struct buf answer;

	if (b->control == NULL || cookie == 0)
		return;
	for (c = LIST_FIRST(&b->control->clients); c != NULL; c = next) {
		next = LIST_NEXT(c, entry);
		if (c->cookie != cookie)
			continue;
		buf_init(&answer);
		command_reloaded(b, error, &answer);
		send_answer(c, &answer);
		buf_fini(&answer);
	}
}

bool
control_rest(struct billing *b)
{
	b->control->resting = true;
	loop_io_want(b->control->io, 0);
	return (b->control->n == 0 && conn_lingering() == 0);
}

void
control_start(struct billing *b)
{
	struct control *control = xcalloc(1, sizeof(*control));

	control->b = b;
	LIST_INIT(&control->clients);
	b->control = control;
	control->io =
	    loop_io_new(b->loop, b->child->fds.control, on_accept, control);
	control->resume = loop_timer_new(b->loop, on_resume, control);
	loop_io_want(control->io, LOOP_READ);
}

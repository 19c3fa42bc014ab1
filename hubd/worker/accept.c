/* Listeners: our slot's, and those of a neighbour whose worker is away. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "hubd/worker/worker.h"

#define ACCEPT_A_TURN 64 /* so that accepting starves nobody */
#define PAUSE_MS      100

struct listener {
	struct acceptor *acceptor;
	struct loop_io *io;
	int fd;
	uint32_t slot;
	bool own_fd;
	LIST_ENTRY(listener) entry;
};

struct acceptor {
	struct worker *w;
	LIST_HEAD(, listener) listeners;
	struct loop_timer *resume;
};

static void
want(struct acceptor *a, int what)
{
	struct listener *l;

	LIST_FOREACH (l, &a->listeners, entry)
		loop_io_want(l->io, what);
}

static void
on_resume(void *arg)
{
	want(arg, LOOP_READ);
}

/* Out of room: the connection waits in the kernel for a moment. */
static void
pause_accepting(struct acceptor *a)
{
	want(a, 0);
	loop_timer_set_ms(a->resume, PAUSE_MS);
}

static void
remove_listener(struct listener *l)
{
	loop_io_free(l->io);
	if (l->own_fd)
		close(l->fd);
	LIST_REMOVE(l, entry);
	loop_free_later(l->acceptor->w->loop, l);
}

static void
on_accept(void *arg, int what)
{
	struct listener *l = arg;
	struct worker *w = l->acceptor->w;
	int fd;

	for (int i = 0; i < ACCEPT_A_TURN; i++) {
		if (w->handshakes != NULL && handshakes_full(w->handshakes)) {
			pause_accepting(l->acceptor);
			return;
		}
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd != -1) {
			counter_add(w->count, COUNT_connections, 1);
			if (w->handshakes != NULL)
				handshake_new(w->handshakes, fd);
			else
				client_new(w, fd, NULL);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			log_warn("accept");
			pause_accepting(l->acceptor);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static void
add_listener(struct acceptor *a, uint32_t slot, int fd, bool own_fd)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->acceptor = a;
	l->fd = fd;
	l->slot = slot;
	l->own_fd = own_fd;
	l->io = loop_io_new(a->w->loop, fd, on_accept, l);
	loop_io_want(l->io, LOOP_READ);
	LIST_INSERT_HEAD(&a->listeners, l, entry);
}

struct acceptor *
acceptor_new(struct worker *w)
{
	struct acceptor *a = xcalloc(1, sizeof(*a));
	struct hub_child *child = w->child;

	a->w = w;
	LIST_INIT(&a->listeners);
	a->resume = loop_timer_new(w->loop, on_resume, a);
	for (int i = 0; i < child->fds.nlisten; i++)
		add_listener(a, child->slot, child->fds.listen[i], false);
	return (a);
}

void
acceptor_add(struct acceptor *a, uint32_t slot, const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add_listener(a, slot, fds[i], true);
	atomic_store(&a->w->row->neighbour, slot + 1);
}

void
acceptor_remove(struct acceptor *a, uint32_t slot)
{
	struct listener *l = LIST_FIRST(&a->listeners), *next;

	for (; l != NULL; l = next) {
		next = LIST_NEXT(l, entry);
		if (l->slot == slot && l->own_fd)
			remove_listener(l);
	}
	atomic_store(&a->w->row->neighbour, 0);
}

void
acceptor_stop(struct acceptor *a)
{
	while (!LIST_EMPTY(&a->listeners))
		remove_listener(LIST_FIRST(&a->listeners));
	atomic_store(&a->w->row->neighbour, 0);
}

void
acceptor_free(struct acceptor *a)
{
	while (!LIST_EMPTY(&a->listeners))
		remove_listener(LIST_FIRST(&a->listeners));
	loop_timer_free(a->resume);
	free(a);
}

/* TLS handshakes under way: bounded in number and in time. */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "hubd/tls_pack.h"
#include "hubd/worker/worker.h"

/* At the cap one that is as slow as this makes room for others. */
#define SLOW_MS 1000

struct handshake {
	struct handshakes *all;
	TAILQ_ENTRY(handshake) entry;
	int fd;
	struct tls *tls;
	struct loop_io *io;
	struct loop_timer *timer;
	monotime_t since;
};

struct handshakes {
	struct worker *w;
	struct tls_context *context;
	TAILQ_HEAD(, handshake) list; /* the oldest first */
	uint32_t n;
};

/* ---- the context --------------------------------------------------------- */

struct handshakes *
handshakes_new(struct worker *w)
{
	struct handshakes *all;
	char error[256];

	if (w->child->fds.tls == -1)
		return (NULL);
	all = xcalloc(1, sizeof(*all));
	all->w = w;
	TAILQ_INIT(&all->list);
	all->context = tls_pack_open(w->child->fds.tls, error, sizeof(error));
	if (all->context == NULL)
		fatalx("tls: %s", error);
	close(w->child->fds.tls);
	return (all);
}

void
handshakes_renew(struct handshakes *all, int fd)
{
	struct tls_context *fresh;
	char error[256];

	if ((fresh = tls_pack_open(fd, error, sizeof(error))) == NULL) {
		log_errx("tls: %s", error);
		return;
	}
	tls_context_free(all->context);
	all->context = fresh;
}

/* ---- one handshake ------------------------------------------------------- */

/* What it is about is the caller's now. */
static void
leave(struct handshake *h)
{
	TAILQ_REMOVE(&h->all->list, h, entry);
	h->all->n--;
	loop_io_free(h->io);
	loop_timer_free(h->timer);
	loop_free_later(h->all->w->loop, h);
}

static void
fail(struct handshake *h, const char *why)
{
	struct worker *w = h->all->w;

	log_debug("TLS handshake: %s", why);
	counter_add(w->count, COUNT_tls_failed, 1);
	leave(h);
	tls_free(h->tls);
	close(h->fd);
}

static void
succeed(struct handshake *h)
{
	struct worker *w = h->all->w;

	if (tls_resumed(h->tls))
		counter_add(w->count, COUNT_tls_resumed, 1);
	else
		counter_add(w->count, COUNT_tls_full, 1);
	leave(h);
	client_new(w, h->fd, h->tls);
}

static void
on_late(void *arg)
{
	fail(arg, "takes too long");
}

static void
on_io(void *arg, int what)
{
	struct handshake *h = arg;
	const char *why;

	switch (tls_handshake(h->tls, &why)) {
	case TLS_DONE:
		succeed(h);
		break;
	case TLS_WANT_READ:
		loop_io_want(h->io, LOOP_READ);
		break;
	case TLS_WANT_WRITE:
		loop_io_want(h->io, LOOP_WRITE);
		break;
	case TLS_FAILED:
		fail(h, why);
		break;
	}
}

uint32_t
handshakes_count(const struct handshakes *all)
{
	return (all != NULL ? all->n : 0);
}

void
handshake_new(struct handshakes *all, int fd)
{
	struct worker *w = all->w;
	struct handshake *h = xcalloc(1, sizeof(*h));

	h->all = all;
	h->fd = fd;
	h->tls = tls_accept(all->context, fd);
	h->since = loop_now(w->loop);
	h->io = loop_io_new(w->loop, fd, on_io, h);
	h->timer = loop_timer_new(w->loop, on_late, h);
	loop_io_want(h->io, LOOP_READ);
	loop_timer_set_ms(h->timer, w->conf->timeout.handshake);
	TAILQ_INSERT_TAIL(&all->list, h, entry);
	all->n++;
}

bool
handshakes_full(struct handshakes *all)
{
	struct handshake *oldest = TAILQ_FIRST(&all->list);
	monotime_t now = loop_now(all->w->loop);

	if (all->n < all->w->conf->max_handshakes)
		return (false);
	assert(oldest != NULL);
	if (monotime_diff_ms(now, oldest->since) < SLOW_MS)
		return (true);
	fail(oldest, "makes room for others");
	return (false);
}

void
handshakes_free(struct handshakes *all)
{
	if (all == NULL)
		return;
	while (!TAILQ_EMPTY(&all->list))
		fail(TAILQ_FIRST(&all->list), "the hub ends");
	tls_context_free(all->context);
	free(all);
}

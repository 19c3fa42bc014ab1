/*
 * Tidying up the store. A query that reads for long puts it off, and the
 * first commit after it would have to do it all: that is given to a child,
 * which nobody waits for.
 */
#include <sys/socket.h>

#include <errno.h>

#include "hubd/billing/billing.h"
#include "hubd/billing/offspring.h"

#define AGAIN_MS 2000 /* while somebody reads an older state */

static void
let_go(struct billing *b)
{
	struct tidier *t = &b->tidier;

	loop_io_free(t->io);
	offspring_end(t->child);
	t->io = NULL;
	t->child = NULL;
	t->not_before = monotime_add_ms(monotime_now(), AGAIN_MS);
}

/* A byte says that little is left, which then is billing's to do. */
static void
on_word(void *arg, int what)
{
	struct billing *b = arg;
	char byte;
	ssize_t n =
	    recv(offspring_socket(b->tidier.child), &byte, sizeof(byte), 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 1)
		b->ops->tidy_rest(b->store);
	let_go(b);
}

void
tidy_look(struct billing *b)
{
	struct tidier *t = &b->tidier;

	if (b->store == NULL || b->ops->is_untidy == NULL ||
	    !b->ops->is_untidy(b->store) || t->child != NULL ||
	    !monotime_reached(t->not_before, monotime_now()))
		return;
	t->child = offspring_start(b, OFFSPRING_TIDIER, -1);
	if (t->child == NULL) { /* late is better than never */
		b->ops->tidy_rest(b->store);
		return;
	}
	t->io = loop_io_new(b->loop, offspring_socket(t->child), on_word, b);
	loop_io_want(t->io, LOOP_READ);
}

void
tidy_stop(struct billing *b)
{
	let_go(b);
}

/*
 * Errands that have changed something in a store that several hubs share:
 * they ask that it be in force here, too, before they answer their client.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/billing/shared.h"

#define ASKER_INPUT 4096 /* an errand has little to say */

struct asker {
	struct billing *b;
	struct loop_io *io;
	int fd;
	void (*gone)(void *);
	void *arg;
	struct buf in;
	bool asks;	 /* a question of its is open */
	uint32_t theirs; /* its token */
	uint32_t ours;	 /* of the same, to the courier; 0: none has it */
	LIST_ENTRY(asker) entry;
};

static void
answer(struct asker *a, bool done)
{
	struct buf out = {0};
	uint32_t said = done;

	a->asks = false;
	a->ours = 0;
	mirror_put(&out, MIRROR_SYNCED, a->theirs, &said, sizeof(said));
	/* It fits, or nobody reads: then there is nobody to tell. */
	if (write(a->fd, buf_ptr(&out), buf_len(&out)) == -1)
		log_debug("an errand does not hear its answer");
	buf_fini(&out);
}

void
askers_synced(struct shared *s, uint32_t token, bool done)
{
	struct asker *a;

	LIST_FOREACH (a, &s->askers, entry)
		if (token != 0 && a->ours == token)
			answer(a, done);
}

/* To the courier that lives, or else to the next. */
static void
ask(struct asker *a)
{
	struct shared *s = a->b->shared;

	if (++s->tokens == 0)
		s->tokens = 1;
	a->ours = s->tokens;
	if (!shared_send(s, MIRROR_SYNC, a->ours, NULL, 0))
		a->ours = 0;
}

void
askers_lost(struct shared *s)
{
	struct asker *a;

	LIST_FOREACH (a, &s->askers, entry)
		a->ours = 0;
}

void
askers_again(struct shared *s)
{
	struct asker *a;

	LIST_FOREACH (a, &s->askers, entry)
		if (a->asks)
			ask(a);
}

/* false: it says what it may not. */
static bool
hear(struct asker *a)
{
	struct mirror_record r;
	size_t end;

	for (;;) {
		switch (mirror_next(buf_span(&a->in), 0, &r, &end)) {
		case MIRROR_MORE:
			return (buf_len(&a->in) < ASKER_INPUT);
		case MIRROR_BROKEN:
			return (false);
		case MIRROR_GOT:
			break;
		}
		if (r.type != MIRROR_SYNC)
			return (false);
		a->asks = true;
		a->theirs = r.token;
		ask(a);
		buf_consume(&a->in, end);
	}
}

static void
on_asker(void *arg, int what)
{
	struct asker *a = arg;
	ssize_t n = read(a->fd, buf_reserve(&a->in, ASKER_INPUT), ASKER_INPUT);

	if (n > 0)
		buf_commit(&a->in, (size_t)n);
	else if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && hear(a))
		return;
	loop_io_want(a->io, 0);
	a->gone(a->arg);
}

struct asker *
asker_new(struct billing *b, int fd, void (*gone)(void *), void *arg)
{
	struct asker *a = xcalloc(1, sizeof(*a));

	a->b = b;
	a->fd = fd;
	a->gone = gone;
	a->arg = arg;
	a->io = loop_io_new(b->loop, fd, on_asker, a);
	loop_io_want(a->io, LOOP_READ);
	LIST_INSERT_HEAD(&b->shared->askers, a, entry);
	return (a);
}

void
asker_free(struct asker *a)
{
	if (a == NULL)
		return;
	LIST_REMOVE(a, entry);
	loop_io_free(a->io);
	buf_fini(&a->in);
	loop_free_later(a->b->loop, a);
}

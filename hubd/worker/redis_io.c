/* Redis's connection on the worker's loop: when hiredis may read and write. */
#include <stdlib.h>

#include "common/alloc.h"
#include "hubd/worker/redis_private.h"

/* The readiness of one connection's descriptor, until hiredis closes it. */
struct readiness {
	redisAsyncContext *ac;
	struct loop_io *io;
	int want;
	bool busy, gone; /* in the middle of on_io() it is freed after that */
};

static void
on_io(void *arg, int what)
{
	struct readiness *d = arg;
	struct redis *r = d->ac->data;

	d->busy = true;
	if (what & LOOP_READ) {
		r->heard = monotime_now();
		redisAsyncHandleRead(d->ac);
	}
	if (!d->gone && (what & LOOP_WRITE)) {
		redisAsyncHandleWrite(d->ac);
		redis_note_written(r);
	}
	d->busy = false;
	if (d->gone)
		free(d);
}

static void
want(struct readiness *d, int what)
{
	if (what == d->want)
		return;
	d->want = what;
	loop_io_want(d->io, what);
}

static void
add_read(void *arg)
{
	struct readiness *d = arg;

	want(d, d->want | LOOP_READ);
}

static void
del_read(void *arg)
{
	struct readiness *d = arg;

	want(d, d->want & ~LOOP_READ);
}

static void
add_write(void *arg)
{
	struct readiness *d = arg;

	want(d, d->want | LOOP_WRITE);
}

static void
del_write(void *arg)
{
	struct readiness *d = arg;

	want(d, d->want & ~LOOP_WRITE);
}

static void
clean_up(void *arg)
{
	struct readiness *d = arg;

	loop_io_free(d->io);
	d->gone = true;
	if (!d->busy)
		free(d);
}

void
redis_watch(struct redis *r, redisAsyncContext *ac)
{
	struct readiness *d = xcalloc(1, sizeof(*d));

	d->ac = ac;
	d->io = loop_io_new(r->w->loop, ac->c.fd, on_io, d);
	ac->ev.data = d;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = clean_up;
}

/* The limiter of one machine: cells and buckets in shared memory. */
#include <stdlib.h>

#include "common/alloc.h"
#include "hubd/limit/limit_cells.h"

static void
local_admit(
    struct limiter *l, struct admission *a, monotime_t now, admit_fn *done)
{
	done(a, limit_cells_take(l->shm, a, now));
}

static void
local_settle(struct limiter *l, struct admission *a, nanousd_t cost,
    uint64_t tokens, monotime_t now)
{
	limit_cells_settle(l->shm, a, cost, tokens, now);
}

static void
local_booked(struct limiter *l, struct lease *lease, monotime_t now)
{
}

static void
local_cancel(struct limiter *l, struct admission *a, monotime_t now)
{
	limit_cells_cancel(l->shm, a, now);
}

static void
local_free(struct limiter *l)
{
	free(l);
}

static const struct limiter_ops local_ops = {
    .name = "local",
    .admit = local_admit,
    .settle = local_settle,
    .booked = local_booked,
    .cancel = local_cancel,
    .free = local_free,
};

struct limiter *
limiter_local_new(const struct shm *shm)
{
	struct limiter *l = xcalloc(1, sizeof(*l));

	*l = (struct limiter){&local_ops, shm};
	return (l);
}

/* A ring of row numbers without duplicates. */
#include "hubd/billing/due.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

void
due_init(struct due *d, uint32_t max_calls)
{
	d->ring = xcalloc(max_calls, sizeof(*d->ring));
	d->queued = xcalloc(max_calls, sizeof(*d->queued));
	d->size = max_calls;
	d->head = d->count = 0;
}

void
due_fini(struct due *d)
{
	free(d->ring);
	free(d->queued);
	memset(d, 0, sizeof(*d));
}

bool
due_push(struct due *d, uint32_t index)
{
	if (index >= d->size || d->queued[index])
		return (false);
	d->queued[index] = true;
	d->ring[(d->head + d->count) % d->size] = index;
	d->count++;
	return (true);
}

bool
due_pop(struct due *d, uint32_t *index)
{
	if (d->count == 0)
		return (false);
	*index = d->ring[d->head];
	d->queued[*index] = false;
	d->head = (d->head + 1) % d->size;
	d->count--;
	return (true);
}

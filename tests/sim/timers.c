/* A binary heap of the peers that wait for a time, earliest first. */
#include <assert.h>

#include "common/alloc.h"
#include "tests/sim/peer.h"

static struct peer **heap;
static size_t used, capacity;

static void
put(size_t at, struct peer *p)
{
	heap[at] = p;
	p->timer_at = at;
}

static bool
earlier(const struct peer *a, const struct peer *b)
{
	return (a->wake.ns < b->wake.ns);
}

static void
sift_up(size_t at)
{
	struct peer *p = heap[at];

	while (at > 0 && earlier(p, heap[(at - 1) / 2])) {
		put(at, heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(at, p);
}

static void
sift_down(size_t at)
{
	struct peer *p = heap[at];
	size_t child;

	while ((child = 2 * at + 1) < used) {
		if (child + 1 < used && earlier(heap[child + 1], heap[child]))
			child++;
		if (!earlier(heap[child], p))
			break;
		put(at, heap[child]);
		at = child;
	}
	put(at, p);
}

void
timers_set(struct peer *p, monotime_t when)
{
	assert(p->timer_at == TIMER_NONE);
	if (used == capacity) {
		capacity = capacity ? capacity * 2 : 1024;
		heap = xrealloc(heap, capacity * sizeof(*heap));
	}
	p->wake = when;
	put(used, p);
	used++;
	sift_up(used - 1);
}

void
timers_clear(struct peer *p)
{
	struct peer *last;
	size_t at = p->timer_at;

	if (at == TIMER_NONE)
		return;
	p->timer_at = TIMER_NONE;
	last = heap[--used];
	if (last == p)
		return;
	put(at, last);
	sift_up(at);
	sift_down(last->timer_at);
}

bool
timers_next(monotime_t *when)
{
	if (used == 0)
		return (false);
	*when = heap[0]->wake;
	return (true);
}

struct peer *
timers_pop_due(monotime_t now)
{
	struct peer *p;

	if (used == 0 || !monotime_reached(heap[0]->wake, now))
		return (NULL);
	p = heap[0];
	timers_clear(p);
	return (p);
}

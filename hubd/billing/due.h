/*
 * The call rows that billing has to look at, each at most once: named by
 * messages or found by the sweep.
 */
#ifndef HUBD_BILLING_DUE_H
#define HUBD_BILLING_DUE_H

#include <stdbool.h>
#include <stdint.h>

struct due {
	uint32_t *ring; /* of max_calls */
	bool *queued;	/* by row */
	uint32_t size, head, count;
};

void due_init(struct due *, uint32_t max_calls);
void due_fini(struct due *);
/* false: it was there already, or there is no such row. */
bool due_push(struct due *, uint32_t index);
/* false: nothing is due. */
bool due_pop(struct due *, uint32_t *index);

#endif

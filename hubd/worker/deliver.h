/* A provider's answer to the user: its head, its bytes, its end. */
#ifndef HUBD_WORKER_DELIVER_H
#define HUBD_WORKER_DELIVER_H

#include <stdbool.h>

#include "common/span.h"
#include "shm/call.h"

struct request;

/* The head of a reply whose bytes come as they come; the user is there. */
void deliver_head(struct request *);
/* What the meter let through, as one chunk; the user is there. */
void deliver_chunk(struct request *, struct span);
/*
 * The provider's answer is complete, and so is its call: frees the request,
 * now or when its row is booked. For what was made is good when the user
 * hears of it, and what was deleted gone. tell_cost: in the head, of a reply
 * that was held whole.
 */
void deliver_end(struct request *, enum call_outcome, bool tell_cost);

#endif

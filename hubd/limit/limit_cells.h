/*
 * What a call takes of cells and buckets in shared memory: all that the local
 * limiter is, and this hub's own books of the calls that another limiter has
 * admitted.
 */
#ifndef HUBD_LIMIT_LIMIT_CELLS_H
#define HUBD_LIMIT_LIMIT_CELLS_H

#include "hubd/limit/limit.h"

/* Checks all, then takes all; a refusal has taken nothing. */
enum api_error limit_cells_take(
    const struct shm *, struct admission *, monotime_t now);
/* Another limiter has admitted it, with a->held: takes without asking. What
 * its buckets say is the caller's to write: bucket_set(). */
void limit_cells_note(const struct shm *, struct admission *);
/* As limiter_ops's of these names. */
void limit_cells_settle(const struct shm *, struct admission *, nanousd_t cost,
    uint64_t tokens, monotime_t now);
void limit_cells_cancel(const struct shm *, struct admission *, monotime_t now);

#endif

/*
 * Cells: what one process holds of one account or limited key. A process
 * writes only its own column; what a limit compares with is the sum over
 * the columns of live processes, and for holds also of dead ones that
 * billing has not settled yet. No lock, no counter that a crash could leave
 * up (d05).
 */
#ifndef SHM_CELLS_H
#define SHM_CELLS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/money.h"
#include "shm/process.h"
#include "shm/shm.h"

struct cell {
	_Atomic int64_t held;	     /* nano-dollars */
	_Atomic uint32_t live;	     /* calls */
	_Atomic uint32_t generation; /* of the process that wrote live */
};
_Static_assert(sizeof(struct cell) == 16, "shared layout");

/* Rows: accounts first (row), then keys (max_accounts + row). */
uint32_t cell_of_account(const struct shm *, uint32_t account_row);
uint32_t cell_of_key(const struct shm *, uint32_t key_row);

/* Sum over live generations. */
uint64_t cells_live(const struct shm *, uint32_t cell);
/* Sum over live and unsettled processes. */
nanousd_t cells_held(const struct shm *, uint32_t cell);

/*
 * Takes one live call if fewer than limit (0: no limit) are there: sum, add
 * to the own cell, sum again; if over, take it back and try again, at most
 * 8 times. Never over the limit.
 */
bool cell_take_live(
    const struct shm *, uint32_t cell, process_ref_t me, uint32_t limit);
void cell_give_live(const struct shm *, uint32_t cell, process_ref_t me);

/* The same with money: held of all plus amount must not exceed available,
 * which is read through the pointer each time (billing may change it). */
bool cell_take_money(const struct shm *, uint32_t cell, process_ref_t me,
    nanousd_t amount, const _Atomic int64_t *available);
/* Adds to the own cell without asking (may be negative). */
void cell_add_money(
    const struct shm *, uint32_t cell, process_ref_t me, nanousd_t amount);

/* billing: zeroes the whole column of a dead process. */
void cells_zero_process(const struct shm *, uint32_t process_row);

/* ---- rate buckets -------------------------------------------------------- */

/*
 * GCRA: one 64-bit theoretical arrival time in nanoseconds, changed by
 * compare-and-swap. Two of them a key: requests and tokens. A limit is per
 * minute, with a burst of the whole minute.
 */
struct bucket {
	_Atomic int64_t tat;
};

enum bucket_what { BUCKET_REQUESTS, BUCKET_TOKENS };
struct bucket *bucket_of_key(
    const struct shm *, uint32_t key_row, enum bucket_what);
/*
 * Takes n units if the burst has room. Otherwise false, nothing is taken,
 * and *wait_ms is how long until it would succeed (n above the whole burst:
 * it is let through when the bucket is empty).
 */
bool bucket_take(struct bucket *, uint64_t per_minute, uint64_t n,
    monotime_t now, int64_t *wait_ms);
/* Gives back (n > 0) or takes what was used beyond (n < 0). */
void bucket_adjust(
    struct bucket *, uint64_t per_minute, int64_t n, monotime_t now);
/* As somebody else keeps it: full again in so many nanoseconds. */
void bucket_set(struct bucket *, int64_t full_in_ns, monotime_t now);
/* Units that could be taken now. */
uint64_t bucket_left(
    const struct bucket *, uint64_t per_minute, monotime_t now);
/* Nanoseconds until the whole burst is there again; 0: it is. */
int64_t bucket_full_in_ns(const struct bucket *, monotime_t now);

#endif

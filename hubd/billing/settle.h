/*
 * From a row of the call table to a row of the ledger: checked as input from
 * outside, priced exactly. The same row always gives the same result, so
 * that booking it twice is harmless.
 */
#ifndef HUBD_BILLING_SETTLE_H
#define HUBD_BILLING_SETTLE_H

#include <stdbool.h>

#include "hubd/billing/directory.h"
#include "hubd/billing/versions.h"
#include "hubd/ledger/ledger.h"
#include "shm/call.h"

struct settler {
	const struct dir_table *keys, *agents;
	struct versions *versions;
	amount_t *sum; /* scratch */
};

enum settle_result {
	SETTLE_OK,
	SETTLE_LATER,	/* the store is away */
	SETTLE_SUSPEND, /* *why says what is wrong with the row */
};

/* orphaned: its worker died while it was OPEN. *cost is the amount in
 * nano-dollars, rounded up, for the counters. */
enum settle_result settle(struct settler *, const struct call_copy *,
    bool orphaned, struct ledger_row *, nanousd_t *cost, const char **why);

#endif

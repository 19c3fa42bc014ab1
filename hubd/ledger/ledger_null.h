/*
 * A store in memory, for tests of whoever uses stores: as strict as a real
 * one, gone with its process.
 */
#ifndef HUBD_LEDGER_LEDGER_NULL_H
#define HUBD_LEDGER_LEDGER_NULL_H

#include <stdbool.h>

#include "hubd/ledger/ledger.h"

extern const struct ledger_ops ledger_null;

/* From now on every call finds the store away, or not any more. */
void ledger_null_set_down(struct ledger *, bool down);
/* Rows booked so far. */
size_t ledger_null_rows(const struct ledger *);
/* Checkpoints now. */
size_t ledger_null_checkpoints(const struct ledger *);

#endif

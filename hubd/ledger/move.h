/* Moving a hub's store from SQLite into PostgreSQL, with nothing lost. */
#ifndef HUBD_LEDGER_MOVE_H
#define HUBD_LEDGER_MOVE_H

#include "hubd/ledger/ledger.h"

struct ledger_moved {
	uint64_t accounts, keys, agents, changes, rows, objects, prices,
	    suspense;
	bool before; /* it had been moved already, only not put away */
};

/*
 * Copies hubd.db of that folder, with its sealed months, into the store that
 * url names, which must have no accounts: numbers, ids and amounts as they
 * are, in one transaction. Both are audited and compared before it is
 * committed; then hubd.db becomes hubd.db.moved. Nobody else may have either
 * open. -1: nothing has changed, and why.
 */
int ledger_move(const char *state_dir, const char *url, struct ledger_moved *,
    char *error, size_t cap);

#endif

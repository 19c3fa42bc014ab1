/* The PostgreSQL side of a move; see move.h. */
#ifndef HUBD_LEDGER_PG_MOVE_H
#define HUBD_LEDGER_PG_MOVE_H

#include "hubd/ledger/move.h"

/* Has the store accounts? REFUSED: yes, and not those of the store of that
 * id; CONFLICT: just those. */
enum ledger_result pg_move_check(struct ledger *pg, const char *from_id);
/*
 * Copies all of it. judge is asked before the commit, with the audit of what
 * there is then: false, and it was not. OK; REFUSED: judge's; else error says
 * what.
 */
enum ledger_result pg_move(struct ledger *pg, struct ledger *sqlite,
    const char *from_id, struct ledger_moved *,
    bool (*judge)(void *, const struct ledger_audit *), void *arg, char *error,
    size_t cap);

#endif

/*
 * The spool: a SQLite file of the hub's own (state_dir/spool.db, schema and
 * functions of ledger_sqlite) between billing and a store that several hubs
 * share. It holds the rows that this hub has booked and the shared store has
 * not, and a copy of that store's accounts, keys, agents and prices, under
 * its numbers, so that a hub serves while the store is away.
 *
 * balance = what the shared store last said - what waits here.
 */
#ifndef HUBD_LEDGER_LEDGER_SPOOL_H
#define HUBD_LEDGER_LEDGER_SPOOL_H

#include "hubd/ledger/ledger.h"
#include "hubd/ledger/ledger_pg.h"

/* As ledger_sqlite, with rows waiting to be taken on. What changes accounts,
 * keys, agents and prices is not for billing to call on it: NULL. */
extern const struct ledger_ops ledger_spool;

/* A connection of the courier's own, for reading. NULL and error. */
struct ledger *spool_open_reader(const char *where, char *error, size_t cap);

/* How many rows wait, and when the oldest had ended (0: none waits). */
enum ledger_result spool_waiting(
    struct ledger *, uint64_t *rows, int64_t *since_ms);
/* The oldest rows that wait, with what they did to objects. */
enum ledger_result spool_each_row(struct ledger *, uint32_t limit,
    void (*fn)(void *, const struct ledger_row *), void *arg);
/* One of them. */
enum ledger_result spool_row_get(
    struct ledger *, req_id_t, struct ledger_row *);
/* The oldest that were put aside here; raw is good during the call. */
enum ledger_result spool_each_suspense(struct ledger *, uint32_t limit,
    void (*fn)(void *, int64_t number, req_id_t, const char *reason,
	const void *raw, size_t n),
    void *arg);
/* That one is in the shared store. */
enum ledger_result spool_suspense_taken(struct ledger *, int64_t number);

/*
 * Rows that are done with: removed, what is owed lowered, and these balances
 * applied where seq is newer: one transaction. Rows that are not there are
 * left out. It does not wait for the disk: rows that a loss of power brings
 * back are taken again.
 *
 * For rows that the shared store has taken, balances must have what each of
 * their accounts has with them: a row whose charge is in neither would count
 * nowhere.
 */
enum ledger_result spool_taken(struct ledger *, const req_id_t *ids, size_t n,
    const struct pg_balance *, size_t nbalances);

/* The shared store says so: inserted or replaced by its number. CONFLICT: two
 * numbers claim one name. */
enum ledger_result spool_put_account(
    struct ledger *, const struct ledger_account *);
enum ledger_result spool_put_key(struct ledger *, const struct ledger_key *);
enum ledger_result spool_put_agent(
    struct ledger *, const struct ledger_agent *);
enum ledger_result spool_put_price(struct ledger *, const struct price_blob *);
enum ledger_result spool_put_object(
    struct ledger *, const struct ledger_object *, bool removed);
/* Many of these in one transaction, which does not wait for the disk: what a
 * loss of power takes away is loaded again. */
enum ledger_result spool_begin(struct ledger *);
enum ledger_result spool_commit(struct ledger *);
void spool_rollback(struct ledger *);

#define SPOOL_NOT_WHOLE (-1) /* as a clock: the first load is not done */

/* Up to which change, of which store, the copy is; "" before the first. */
enum ledger_result spool_clock_get(
    struct ledger *, char store_id[LEDGER_ID_MAX], int64_t *clock);
/* Inside spool_begin() or outside. */
enum ledger_result spool_clock_set(struct ledger *, int64_t clock);
/* The store is an older one than the copy is of: what it says next of each
 * account counts, whatever its seq. */
enum ledger_result spool_doubt_balances(struct ledger *);
/* From now on the copy is of that store: what was there is forgotten, unless
 * rows wait: CONFLICT. */
enum ledger_result spool_adopt(struct ledger *, const char *store_id);

#endif

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

/* As ledger_sqlite, with rows waiting to be taken on; what changes accounts,
 * keys, agents and prices is not for billing to call on it. */
extern const struct ledger_ops ledger_spool;

/* How much waits, and the time of the oldest (0: nothing). */
enum ledger_result spool_waiting(
    struct ledger *, uint64_t *rows, int64_t *since_ms);
/* The oldest rows that wait, with what they did to objects; for a connection
 * of the courier's own. */
enum ledger_result spool_each_row(struct ledger *, uint32_t limit,
    void (*fn)(void *, const struct ledger_row *), void *arg);

/* Rows that the shared store has taken: removed, owed lowered, and these
 * balances applied where seq is newer: one transaction. */
enum ledger_result spool_taken(struct ledger *, const req_id_t *ids, size_t n,
    const struct pg_balance *, size_t nbalances);

/* The shared store says so: inserted or replaced by its number. */
enum ledger_result spool_put_account(
    struct ledger *, const struct ledger_account *);
enum ledger_result spool_put_key(struct ledger *, const struct ledger_key *);
enum ledger_result spool_put_agent(
    struct ledger *, const struct ledger_agent *);
enum ledger_result spool_put_price(struct ledger *, const struct price_blob *);
enum ledger_result spool_put_object(
    struct ledger *, const struct ledger_object *, bool removed);
/* Many of these in one transaction. */
enum ledger_result spool_begin(struct ledger *);
enum ledger_result spool_commit(struct ledger *);

/* Up to which change, of which store, the copy is. Another store: the copy is
 * emptied first, unless rows wait: CONFLICT. */
enum ledger_result spool_clock_get(
    struct ledger *, char store_id[40], int64_t *clock);
enum ledger_result spool_clock_set(
    struct ledger *, const char *store_id, int64_t clock);

#endif

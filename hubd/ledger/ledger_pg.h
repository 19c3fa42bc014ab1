/*
 * The PostgreSQL store, which several hubs share. Calls block, each until a
 * deadline of its own (10 s; a long listing renews it with each row; audits
 * and checks wait up to 10 min for a sum, while the server answers): they
 * are for children of billing, never for billing itself. A connection that
 * is lost or was cut at a deadline is LEDGER_DOWN, and made anew by the next
 * call.
 *
 * Beside struct ledger_ops it has what the courier needs: booking a batch of
 * spooled rows with the balances that come of it, and following changes.
 */
#ifndef HUBD_LEDGER_LEDGER_PG_H
#define HUBD_LEDGER_LEDGER_PG_H

#include "hubd/ledger/ledger.h"

#define PG_BATCH_MAX 1000 /* rows of one statement */

extern const struct ledger_ops ledger_pg; /* open(): where is the URL */

/* What an account has after a change; seq grows by one with each. */
struct pg_balance {
	uint32_t account;
	int64_t seq;
	char balance[AMOUNT_TEXT_MAX];
	char spent[AMOUNT_TEXT_MAX];
};

typedef void pg_balance_fn(void *, const struct pg_balance *);

/*
 * Books rows by one statement, at most PG_BATCH_MAX: as ledger_ops.book, but
 * a row that is there already is OK only if it is equal. fn is told of each
 * balance that changed, after the commit. Retries 40001, 40P01, 08*, 57P01
 * itself, a few times; then DOWN with nothing promised: the same rows may be
 * given again.
 */
enum ledger_result pg_book(struct ledger *, struct ledger_row *, size_t n,
    enum ledger_result *results, pg_balance_fn *fn, void *arg);

/* What follows changes. Any may be NULL. */
struct pg_sink {
	void (*account)(void *, const struct ledger_account *);
	void (*key)(void *, const struct ledger_key *);
	void (*agent)(void *, const struct ledger_agent *);
	void (*price)(void *, const struct price_blob *);
	/* number is 0: it is the store's own that counts */
	void (*object)(void *, const struct ledger_object *, bool removed);
};

/* LISTENs on the ledger's own connection. */
enum ledger_result pg_listen(struct ledger *);
/* The socket to poll for reading; -1 while there is no connection. It may be
 * another after any call. */
int pg_socket(const struct ledger *);
/* Takes what has been notified: balances to fn; *changed says whether
 * anything else has changed, for pg_changes(). DOWN: the connection is lost,
 * and with it notifications, also if a call has made another meanwhile:
 * pg_listen() again. Does not wait. */
enum ledger_result pg_notified(
    struct ledger *, pg_balance_fn *fn, void *arg, bool *changed);
/*
 * Everything that changed after *clock, of one snapshot, accounts first,
 * then keys, agents, price versions (ascending), objects; *clock is then
 * that of the snapshot. A *clock greater than the store's: all of it.
 */
enum ledger_result pg_changes(
    struct ledger *, int64_t *clock, const struct pg_sink *, void *arg);
/* The balances of all accounts: for the poll. */
enum ledger_result pg_balances(struct ledger *, pg_balance_fn *, void *arg);

/* The store's UUID; "" before the first connection. */
const char *pg_store_id(const struct ledger *);

#endif

/*
 * The courier as it sees itself: a child of billing that may wait for the
 * shared store as long as it likes. Private to its files.
 */
#ifndef HUBD_BILLING_COURIER_H
#define HUBD_BILLING_COURIER_H

#include "common/monotime.h"
#include "hubd/billing/mirror.h"
#include "hubd/billing/offspring.h"
#include "hubd/ledger/ledger_pg.h"
#include "hubd/ledger/ledger_spool.h"

struct courier {
	struct offspring_self *self;
	struct ledger *spool; /* to read */
	struct ledger *store; /* NULL: it could not be opened yet */
	bool up;	      /* it answers, and is listened to */
	bool told_up;	      /* what billing was told last */
	char store_id[LEDGER_ID_MAX];
	int64_t clock;	   /* of the copy, with what is on its way to it */
	uint64_t suspense; /* in the store */
	int64_t *seen;	   /* by account: the newest seq that was told */
	uint32_t nseen;

	bool rows;	   /* some may wait */
	bool aside;	   /* some may have been put aside */
	uint32_t tokens;   /* given out */
	uint32_t awaiting; /* billing's APPLIED to that; 0: none */
	uint32_t nballast; /* balances gathered for one record */
	struct pg_balance *ballast;

	int64_t keep; /* months that are older are put away; 0: none */
	int64_t backoff_ms;
	monotime_t retry_at, look_at, said_at, seal_at;
	struct buf in, out;
};

/* ---- courier.c ----------------------------------------------------------- */

void courier_put(struct courier *, enum mirror_type, uint32_t token,
    const void *p, size_t n);
/* To billing; waits for it. Does not return if it is gone. */
void courier_flush(struct courier *);
/* The store could not do something. */
void courier_down(struct courier *);
/* A sign of life, if the last one is some time ago: for what takes long. */
void courier_breathe(struct courier *);

/* ---- courier_balances.c -------------------------------------------------- */

/* Has billing not been told of it? From now on it has. */
bool courier_is_news(struct courier *, const struct pg_balance *);
/* The same, or, of one that somebody has made none of, nothing to spend. */
struct pg_balance courier_readable(const struct pg_balance *);
/* Gathers a balance that is news; told when all are. */
void courier_balance(void *courier, const struct pg_balance *);
void courier_tell_balances(struct courier *);

/* ---- courier_rows.c ------------------------------------------------------ */

/* One batch of rows that wait to the store, and word of it to billing. */
void courier_flow(struct courier *);
/* The same with what was put aside here. */
void courier_flow_suspense(struct courier *);

#endif

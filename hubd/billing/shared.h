/*
 * Billing's side of a store that several hubs share: the courier's life, what
 * it says, what it is asked. Private to this room.
 */
#ifndef HUBD_BILLING_SHARED_H
#define HUBD_BILLING_SHARED_H

#include <sys/queue.h>

#include "hubd/billing/billing.h"
#include "hubd/billing/mirror.h"
#include "hubd/billing/offspring.h"

struct asker;

struct shared {
	struct billing *b;
	struct offspring *courier; /* NULL: none lives */
	struct loop_io *io;
	struct loop_timer *tick;  /* every second */
	struct loop_timer *apply; /* goes on with what was read */
	struct buf in, out;
	bool input_full; /* not read on until some of it is applied */
	bool away;	 /* this hub's own file did not take the last of it */
	bool up;	 /* the shared store answers */
	bool unanswered; /* the courier asked it in vain */
	bool known;	 /* it has been up before */
	bool foreign;	 /* it is another one than rows wait for: said once */
	unsigned silent; /* ticks since the courier's last word */
	monotime_t started;
	monotime_t restart_at;
	monotime_t flush_until; /* at shutdown; 0: it has not begun */
	uint32_t tokens;	/* given out */

	/* a table of prices on its way to the store */
	uint32_t prices_token; /* 0: none */
	bool prices_first;
	bool prices_refused;	/* the first: the hub serves without */
	uint32_t prices_cookie; /* of the reload */
	monotime_t prices_deadline;

	LIST_HEAD(, asker) askers;
};

/* ---- mirror_apply.c ------------------------------------------------------ */

enum apply_result {
	APPLY_ALL,     /* what is left is no whole record */
	APPLY_MORE,    /* enough for now: others have their turn */
	APPLY_AWAY,    /* this hub's own file cannot take it now */
	APPLY_BROKEN,  /* this is no courier */
	APPLY_FOREIGN, /* it is of another store, and rows wait for the one
			  before */
};

/*
 * Applies records from in for some milliseconds and consumes them; each is
 * in force (published, workers woken) when it is gone from in. Answers go to
 * out; what is not for the copy to shared_told(). A store that is not the one
 * the copy is of ends the process: it starts anew with an empty copy.
 */
enum apply_result mirror_apply(
    struct billing *, struct buf *in, struct buf *out);

/* ---- shared.c ------------------------------------------------------------ */

/* STATE, PRICED, SYNCED. */
void shared_told(struct billing *, const struct mirror_record *);
/* How much waits, for all to see. */
void shared_say_waiting(struct billing *);
/* Queues a record for the courier; false: none lives. */
bool shared_send(
    struct shared *, enum mirror_type, uint32_t token, const void *p, size_t n);

/* ---- shared_prices.c ----------------------------------------------------- */

void shared_priced(
    struct billing *, uint32_t token, const struct mirror_priced *);
/* The courier is gone, or a second has passed. */
void shared_prices_lost(struct billing *);
void shared_prices_tick(struct billing *);

/* ---- asker.c ------------------------------------------------------------- */

void askers_synced(struct shared *, uint32_t token, bool done);
/* Their courier is gone: they wait for the next, as long as they like. */
void askers_lost(struct shared *);
/* It is there. */
void askers_again(struct shared *);

#endif

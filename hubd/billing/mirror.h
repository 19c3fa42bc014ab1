/*
 * What billing and its children say to each other about a store that several
 * hubs share: framed records over the pair of stream sockets between them.
 * Everything that changes this hub's copy comes from the courier, in one
 * order; an errand that has changed something has the courier fetch it.
 *
 * Both ends are this program, but what is read is checked as if it came from
 * outside.
 */
#ifndef HUBD_BILLING_MIRROR_H
#define HUBD_BILLING_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "hubd/ledger/ledger.h"
#include "hubd/ledger/ledger_pg.h"

#define MIRROR_MAGIC	0x6d697272u
#define MIRROR_BALANCES 1000 /* of one record, at most */
#define MIRROR_ROWS	250  /* of one record, at most */

enum mirror_type {
	/* courier to billing */
	MIRROR_STORE = 1,   /* which one it is: struct mirror_store */
	MIRROR_ACCOUNT,	    /* struct ledger_account */
	MIRROR_KEY,	    /* struct ledger_key */
	MIRROR_AGENT,	    /* struct ledger_agent */
	MIRROR_PRICE,	    /* struct price_blob */
	MIRROR_OBJECT,	    /* struct ledger_object */
	MIRROR_GONE,	    /* the same: it is no more */
	MIRROR_CLOCK,	    /* int64_t: the copy is up to this change */
	MIRROR_BALANCES_OF, /* struct pg_balance, any number */
	MIRROR_TAKEN,	    /* struct mirror_taken; wants APPLIED */
	MIRROR_REFUSED,	    /* struct mirror_refused; wants APPLIED */
	MIRROR_SUSPENDED,   /* int64_t: that number of suspense is there; wants
			       APPLIED */
	MIRROR_STATE,	    /* struct mirror_state; also as a sign of life */
	MIRROR_PRICED,	    /* struct mirror_priced: to PRICES */
	/* billing to courier */
	MIRROR_NUDGE,	 /* rows wait */
	MIRROR_APPLIED,	 /* to TAKEN, REFUSED, SUSPENDED, with their token */
	MIRROR_KEEP,	 /* int64_t: `ledger_keep` is that from now on */
	MIRROR_PRICES,	 /* struct price_blob: make it a version */
	MIRROR_PRICES_1, /* the same, unless there is one already */
	/* errand to billing, billing to courier */
	MIRROR_SYNC, /* fetch what has changed; wants SYNCED */
	/* the other way round */
	MIRROR_SYNCED, /* uint32_t: 1 it is in force here, 0 it is not */
	MIRROR_TYPES
};

struct mirror_head {
	uint32_t magic;
	uint32_t type;
	uint32_t size;	/* of what is behind this head */
	uint32_t token; /* of a question, repeated in its answer; else 0 */
};

struct mirror_store {
	char id[LEDGER_ID_MAX];
};

struct mirror_taken {
	uint32_t nids, nbalances;
	req_id_t ids[MIRROR_ROWS];
	struct pg_balance balances[MIRROR_ROWS]; /* only nbalances are sent */
};

struct mirror_refused {
	req_id_t id;
	char reason[64];
};

struct mirror_state {
	uint32_t up;	   /* the shared store answers */
	uint32_t asked;	   /* ... or it was asked and did not */
	uint64_t suspense; /* rows in it that wait for people */
};

struct mirror_priced {
	uint64_t version; /* 0: it is none, error says why */
	char error[120];
	uint64_t away; /* nobody has refused it: the store did not answer */
};

/* A record as it lies in a buffer. */
struct mirror_record {
	enum mirror_type type;
	uint32_t token;
	const char *p; /* not aligned: copied out, see mirror_get() */
	uint32_t size;
};

/* Appends one. n is the size that the type has, or one of those it may. */
void mirror_put(
    struct buf *, enum mirror_type, uint32_t token, const void *p, size_t n);
/* The same for struct mirror_taken, of which only what is used is sent. */
void mirror_put_taken(
    struct buf *, uint32_t token, const struct mirror_taken *);

/* Would whoever reads that content of a record take it? */
bool mirror_fits(enum mirror_type, const void *p, size_t n);

enum mirror_next { MIRROR_GOT, MIRROR_MORE, MIRROR_BROKEN };
/*
 * The record at offset at of what has been read; *end is the offset behind
 * it. BROKEN: what comes is no record, or one that cannot be: there is
 * nothing to be had from this peer any more.
 */
enum mirror_next mirror_next(
    struct span in, size_t at, struct mirror_record *, size_t *end);
/* Copies a record of fixed size to out. */
void mirror_get(const struct mirror_record *, void *out);
/* A copy of a price table, the caller's to free. */
struct price_blob *mirror_price(const struct mirror_record *);
void mirror_get_taken(const struct mirror_record *, struct mirror_taken *);

/* ---- in an errand -------------------------------------------------------- */

/*
 * What was committed in the shared store before this call is in force in all
 * of this hub when it returns 0; -1: not (yet): the courier did not answer
 * within timeout_ms. socket is blocking.
 */
int mirror_sync(int socket, int timeout_ms);

#endif

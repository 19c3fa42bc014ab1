/*
 * The call table: one row an admitted request while it lives. The row is the
 * event; messages only name it. It is also the recovery record: whatever is
 * killed, billing makes exactly one ledger row out of every row that was
 * OPEN, and treats what it finds as input from outside.
 *
 *	FREE -> TAKEN	a worker's; nothing is promised
 *	TAKEN -> OPEN	the commit point: fixed part and its CRC are whole,
 *			nothing has been sent to an agent
 *	OPEN -> FINAL	usage and outcome are complete
 *	FINAL -> BOOKED	billing: after commit and after the new `available`
 *			of the account has been published
 *	BOOKED -> FREE	its worker, having taken the amount off its cell;
 *			billing instead if the worker is dead
 *	TAKEN -> FREE	its worker; billing if the worker is dead
 *	OPEN -> BOOKED	billing, if the worker is dead (orphaned)
 *
 * The word holds generation (40 bits), owner's process row (16) and state
 * (8), and changes only by compare-and-swap. The owner is in the word so
 * that a worker killed right after taking a row is known to have it.
 */
#ifndef SHM_CALL_H
#define SHM_CALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ids.h"
#include "common/money.h"
#include "shm/object.h"
#include "shm/pricetab.h"
#include "shm/process.h"
#include "shm/shm.h"
#include "shm/usage.h"

#define CALL_MAGIC   0x4c4c4143u /* "CALL" */
#define CALL_VERSION 2		 /* 1: without object */

enum call_state { CALL_FREE, CALL_TAKEN, CALL_OPEN, CALL_FINAL, CALL_BOOKED };
const char *call_state_str(enum call_state);

enum call_outcome {
	OUTCOME_NONE,	   /* still open */
	OUTCOME_COMPLETE,  /* relayed to its end, whatever its status */
	OUTCOME_CANCELLED, /* the user went away */
	OUTCOME_FAILED,
	OUTCOME_TIMED_OUT,
	OUTCOME_ORPHANED, /* its worker died; set by billing */
	OUTCOMES
};
const char *call_outcome_str(enum call_outcome);

/* Immutable from OPEN on; covered by crc. Fields are only appended. */
struct call_fixed {
	uint32_t magic;
	uint16_t version;
	uint16_t size; /* of this struct in the version that wrote it */
	req_id_t id;
	int64_t time_ms; /* of admission, wall clock */
	int64_t time_ns; /* the same, monotonic: for ages */
	uint64_t price_version;
	nanousd_t hold;	  /* on the account's cell */
	uint32_t account; /* id in the store */
	uint32_t account_row;
	uint32_t key;	  /* number in the store */
	uint32_t key_row; /* its cell is live + 1; UINT32_MAX: none */
	uint32_t worker_generation;
	uint8_t dialect, stream, pad[2];
	char endpoint[24];
	uint32_t pad2;
	uint32_t crc; /* CRC-32 of all before it */
};

/* Which candidate is being tried; two copies. */
struct call_route {
	uint32_t agent; /* id in the store; 0: not sent yet */
	uint32_t attempts;
	uint32_t price_at; /* offset of the entry in its version's blob */
	uint32_t pad;
	char provider[32];
	char model[PRICE_NAME_MAX];
};

/* What has been seen; two copies. Before the provider reports usage it is
 * our running estimate, so that an orphan is billed by what was seen. */
struct call_progress {
	struct usage usage;
	uint8_t outcome;      /* enum call_outcome */
	uint8_t tier;	      /* enum service_tier */
	uint8_t priced_whole; /* 0: a kind had no price */
	uint8_t pad;
	uint16_t status; /* that the user got; 0: no head yet */
	uint16_t pad2;
	int64_t end_ms;	    /* wall clock, when FINAL */
	nanousd_t cost;	    /* rounded up: what the cell holds from FINAL on */
	char estimated[16]; /* "" : reported by the provider */
};

struct call_row {
	_Atomic uint64_t word;
	_Atomic uint32_t route_seq; /* copy in force is seq & 1 */
	_Atomic uint32_t progress_seq;
	struct call_fixed fixed;
	struct call_route route[2];
	struct call_progress progress[2];
	/* What it did to an object: one copy, whole if object_is_set. */
	_Atomic uint32_t object_is_set;
	struct call_object object;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct call_fixed) == 112, "recovery record");
_Static_assert(sizeof(struct call_route) == 176, "recovery record");
_Static_assert(sizeof(struct call_progress) == 168, "recovery record");
_Static_assert(sizeof(struct call_row) == 960, "recovery record");

/* Names a row for ever: the row may be used again, the name is not. */
typedef struct {
	uint32_t index;
	uint64_t generation;
} call_ref_t;

static inline enum call_state
call_word_state(uint64_t word)
{
	return ((enum call_state)(word & 0xff));
}
static inline uint32_t
call_word_owner(uint64_t word)
{
	return ((uint32_t)(word >> 8) & 0xffff);
}
static inline uint64_t
call_word_generation(uint64_t word)
{
	return (word >> 24);
}

struct call_row *call_rows(const struct shm *); /* sizes.max_calls */
/* Those from this on were never taken: who looks at all may stop here. */
uint32_t call_rows_used(const struct shm *);

/* ---- the worker's side --------------------------------------------------- */

/*
 * Takes a FREE row for the process in row owner. hint is the worker's own
 * memory of where to look. false: the table is full.
 */
bool call_take(
    const struct shm *, uint32_t owner, uint32_t *hint, call_ref_t *);
struct call_row *call_at(const struct shm *, call_ref_t);
/* Fills magic, version, size and CRC of a TAKEN row's fixed part; OPEN. */
void call_open(struct call_row *, const struct call_fixed *);
/* Owner only, while OPEN. */
void call_set_route(struct call_row *, const struct call_route *);
void call_set_progress(struct call_row *, const struct call_progress *);
/* NULL: it has not touched any (a new attempt begins). */
void call_set_object(struct call_row *, const struct call_object *);
/* The last progress, then FINAL. */
void call_final(struct call_row *, const struct call_progress *);
/* TAKEN or BOOKED -> FREE, generation + 1. */
void call_free(struct call_row *);
/* The same, and the next is looked for there if that is further in front:
 * the table in use stays small, and rows are in the caches still. */
void call_give_back(const struct shm *, uint32_t *hint, call_ref_t);
bool call_is_booked(const struct call_row *);

/* ---- everyone's ---------------------------------------------------------- */

/* A copy of a row that is consistent in itself, taken from shared memory. */
struct call_copy {
	call_ref_t ref;
	enum call_state state;
	uint32_t owner;
	struct call_fixed fixed;
	struct call_route route;
	struct call_progress progress;
	struct call_object object;
};
/* false: the row changed hands meanwhile. */
bool call_copy(const struct shm *, uint32_t index, struct call_copy *);
/* Checks magic, version, size, CRC, and every field's range: for billing. */
bool call_copy_valid(const struct call_copy *, const char **why);

/* ---- billing's side ------------------------------------------------------ */

/* FINAL -> BOOKED; or from OPEN if its owner is dead. false: it was not in
 * that state any more. */
bool call_book(const struct shm *, call_ref_t);
/* A dead owner's TAKEN or BOOKED row. */
bool call_reclaim(const struct shm *, call_ref_t);

#endif

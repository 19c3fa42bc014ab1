/*
 * The published table of objects: whose each is and who holds it. Billing
 * writes; workers read. It is a ring: an object's row is its number in the
 * store modulo the size, so that the newest take the place of the oldest;
 * the store keeps those, too. Rows are found by id through chains, whose one
 * writer is billing: a reader that meets a change on its way looks again.
 */
#ifndef SHM_OBJTAB_H
#define SHM_OBJTAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "shm/object.h"
#include "shm/shm.h"

struct pub_object {
	uint64_t number; /* in the store: grows; 0: the row is empty */
	int64_t created_ms;
	uint32_t account, agent; /* ids in the store */
	uint8_t kind;		 /* enum object_kind */
	uint8_t billed;		 /* a batch: nothing more is to be paid */
	uint8_t pad[6];
	char provider[32]; /* section at the agent */
	char id[OBJECT_ID_MAX];
};

struct pub_object_row {
	_Atomic uint32_t seq;  /* two copies, as in pubtab.h */
	_Atomic uint32_t next; /* of its chain: row + 1; 0: the last */
	struct pub_object copy[2];
} __attribute__((aligned(64)));

/* Before the heads of the chains. */
struct object_index {
	_Atomic uint64_t last;	  /* the largest number published */
	_Atomic uint32_t changes; /* grows when a row leaves its chain */
	uint32_t pad[13];
	_Atomic uint32_t head[]; /* row + 1; 0: none */
};

/* ---- readers ------------------------------------------------------------- */

/* false: no object of that id is published. */
bool pub_object_find(const struct shm *, struct span id, struct pub_object *);
/*
 * The newest one of that account and kind whose number is smaller than
 * before (UINT64_MAX: any); or, if forward, the oldest whose number is larger
 * (0: any). false: there is none.
 */
bool pub_object_next(const struct shm *, uint32_t account,
    enum object_kind kind, uint64_t from, bool forward, struct pub_object *);

/* What is in a row; false: nothing. */
bool pub_object_at(const struct shm *, uint32_t row, struct pub_object *);

/* ---- billing ------------------------------------------------------------- */

/* Publishes one, or what has changed of it. *left: an older one had to leave
 * for it. Does nothing if it is itself too old to have a place. */
void pub_object_write(
    const struct shm *, const struct pub_object *, bool *left);
/* Does nothing if it is not published. */
void pub_object_remove(const struct shm *, struct span id);
/* Empties a row, whatever is in it. */
void pub_object_clear(const struct shm *, uint32_t row);

#endif

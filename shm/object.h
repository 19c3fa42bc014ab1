/*
 * Objects that users keep at a provider: files, batches, stored responses.
 * Each belongs to the account that made it and to the agent and provider
 * section that hold it. What a call did to one travels in the call's row,
 * so that whatever is killed, the object is known if and only if the row
 * that made it is booked.
 */
#ifndef SHM_OBJECT_H
#define SHM_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"

#define OBJECT_ID_MAX  88  /* bytes of an id, terminator included */
#define OBJECT_IDS_MAX 136 /* of all ids in a call's row */

enum object_kind {
	OBJECT_NONE,
	OBJECT_FILE,
	OBJECT_BATCH,
	OBJECT_RESPONSE,
	OBJECT_KINDS
};
const char *object_kind_str(enum object_kind);

enum object_event {
	OBJECT_UNTOUCHED,
	OBJECT_CREATED,
	OBJECT_DELETED,
	OBJECT_ENDED, /* a batch was seen at its end: it is billed, once, and
			 the files behind it are the account's */
	OBJECT_EVENTS
};

/*
 * Part of a call's row. ids: the object's, then those of files that came with
 * it, each terminated, an empty one behind the last.
 */
struct call_object {
	uint8_t event, kind;
	uint8_t pad[2];
	char ids[OBJECT_IDS_MAX];
};
_Static_assert(sizeof(struct call_object) == 140, "recovery record");

/* Is it an id that can be kept: [A-Za-z0-9_.-], no dot in front, of a size
 * that fits? */
bool object_id_ok(struct span id);
/* Puts an id behind those that are there. false: it is none, or there is no
 * room. */
bool call_object_add(struct call_object *, struct span id);
/* The i-th id, or NULL behind the last. */
const char *call_object_id(const struct call_object *, unsigned i);
/* Is everything in its range? For what comes from shared memory. */
bool call_object_ok(const struct call_object *);

#endif

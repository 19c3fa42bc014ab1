/*
 * The registry: which agents each worker reaches. One row a (process,
 * agent): written by that process, skipped by readers once its generation
 * is dead. Load figures are plain atomics; the announcement has two copies
 * and a sequence, so a kill leaves the last whole one.
 */
#ifndef SHM_REGISTRY_H
#define SHM_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/monotime.h"
#include "shm/process.h"
#include "shm/shm.h"

#define REGISTRY_PROVIDERS 8	/* sections of one agent */
#define REGISTRY_GLOBS	   1536 /* bytes of all its model patterns */

struct registry_provider {
	char name[32];
	char type[16];
	uint32_t weight;   /* 1 by default */
	uint32_t globs_at; /* offset into globs: patterns, each terminated */
	uint32_t nglobs;
	uint32_t pad;
};

struct registry_announce {
	uint32_t agent;	   /* id in the store */
	uint32_t capacity; /* calls at once, of the whole agent */
	uint32_t nproviders;
	uint32_t pad;
	char name[64];
	char version[16];
	char instance[40];
	int64_t clock_skew_ms; /* agent's minus ours, at the announcement */
	struct registry_provider providers[REGISTRY_PROVIDERS];
	char globs[REGISTRY_GLOBS];
};

/*
 * How one provider of an agent has done lately, as this process has seen
 * it; the index is that of the announcement. A provider that an agent's
 * reload puts elsewhere takes over what was noted of its place: a minute's
 * cooling at most.
 */
struct registry_health {
	_Atomic int64_t cool_until_ns; /* monotonic; passed: not cooling */
	_Atomic uint32_t failures;     /* in a row */
	_Atomic uint32_t latency_us;   /* smoothed time to the first byte */
};

struct registry_row {
	_Atomic uint32_t generation; /* of the writing process; 0: never */
	_Atomic uint32_t links;	     /* live ones here; 0: row is empty */
	_Atomic uint32_t draining;   /* of those, draining */
	_Atomic uint32_t calls;	     /* streams on them now */
	_Atomic uint32_t errors;     /* 8 each; an answer takes an eighth off */
	_Atomic uint32_t latency_us; /* smoothed time to first byte */
	_Atomic uint64_t served;
	_Atomic uint32_t seq; /* announcement in force is seq & 1 */
	uint32_t pad;
	struct registry_health health[REGISTRY_PROVIDERS];
	struct registry_announce announce[2];
} __attribute__((aligned(64)));

/* Row of process row p and agent row a (that of the agents table). */
struct registry_row *registry_at(
    const struct shm *, uint32_t process_row, uint32_t agent_row);

/* Writers: own rows only. They raise run_state.registry_version. */
void registry_announce(const struct shm *, process_ref_t me, uint32_t agent_row,
    const struct registry_announce *);
void registry_set_links(const struct shm *, process_ref_t me,
    uint32_t agent_row, uint32_t links, uint32_t draining);
/*
 * Notes in the own row how a request to a provider went: its first byte came
 * after so long; or it failed, and is left alone until then. Failures in a
 * row, with this one, are returned.
 */
void registry_note_good(const struct shm *, process_ref_t me,
    uint32_t agent_row, uint32_t provider, uint32_t us);
uint32_t registry_note_bad(const struct shm *, process_ref_t me,
    uint32_t agent_row, uint32_t provider);
void registry_cool(const struct shm *, process_ref_t me, uint32_t agent_row,
    uint32_t provider, monotime_t until);
/* Forgets all rows of a process row that is about to be used anew. */
void registry_clear(const struct shm *, uint32_t process_row);

/* Is the row of a live process, with links that take requests? */
bool registry_usable(
    const struct shm *, uint32_t process_row, uint32_t agent_row);
/* A walk over a provider's patterns, in an announcement that was read: zeroed
 * to begin with. The next one; NULL: it was the last, or what follows is
 * broken. */
struct registry_walk {
	uint32_t n, at;
};
const char *registry_next_glob(const struct registry_announce *,
    const struct registry_provider *, struct registry_walk *);
/* A consistent copy; false if there is none. */
bool registry_read(const struct shm *, uint32_t process_row, uint32_t agent_row,
    struct registry_announce *);
/* Until when a provider is left alone, whoever found out; long ago: it is
 * not. */
monotime_t registry_cool_until(
    const struct shm *, uint32_t agent_row, uint32_t provider);
/* The best that a live process has seen of it; 0: nobody has asked it. */
uint32_t registry_latency(
    const struct shm *, uint32_t agent_row, uint32_t provider);
/* Calls of an agent over all live processes. */
uint32_t registry_load(const struct shm *, uint32_t agent_row);

#endif

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
/* Forgets all rows of a process row that is about to be used anew. */
void registry_clear(const struct shm *, uint32_t process_row);

/* Is the row of a live process, with links that take requests? */
bool registry_usable(
    const struct shm *, uint32_t process_row, uint32_t agent_row);
/* A consistent copy; false if there is none. */
bool registry_read(const struct shm *, uint32_t process_row, uint32_t agent_row,
    struct registry_announce *);
/* Calls of an agent over all live processes. */
uint32_t registry_load(const struct shm *, uint32_t agent_row);

#endif

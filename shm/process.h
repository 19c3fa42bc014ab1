/*
 * The process table: one row a running process. State and generation are
 * stored by the master alone (a death is its one store after waitpid), but
 * that billing moves a worker's row from DEAD to FREE when nothing of it is
 * left. Everything else in a row is written by the process itself.
 */
#ifndef SHM_PROCESS_H
#define SHM_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/monotime.h"
#include "shm/shm.h"

enum process_role {
	ROLE_NONE,
	ROLE_MASTER,
	ROLE_WORKER,
	ROLE_BILLING,
	ROLE_ADMIN
};
const char *process_role_str(enum process_role);

enum process_state { PROCESS_FREE, PROCESS_LIVE, PROCESS_DEAD };

/* What a live process says of itself. */
enum process_phase { PHASE_STARTING, PHASE_SERVING, PHASE_DRAINING };
const char *process_phase_str(enum process_phase);

/* Who admits calls in it. */
enum process_limits {
	LIMITS_LOCAL,  /* `limits = "local"` */
	LIMITS_SHARED, /* Redis, for all hubs */
	LIMITS_SHARE,  /* this hub alone: Redis is away */
	LIMITS_NOBODY, /* nobody, with limit_strict: Redis is away */
};

struct process_row {
	_Atomic uint64_t word; /* generation << 8 | state */
	uint32_t role;	       /* master, before LIVE */
	uint32_t slot;	       /* listener slot of a worker */
	_Atomic int32_t pid;   /* master, right after fork */
	_Atomic uint32_t phase;
	int64_t started_ms;
	_Atomic int64_t heartbeat_ns; /* CLOCK_MONOTONIC, each second */
	_Atomic uint64_t epoch;	      /* of the turn; 0 asleep */
	_Atomic uint32_t links, streams, clients; /* for shows */
	_Atomic uint32_t neighbour; /* also serves this slot + 1; 0 none */
	char last_words[160];
	_Atomic uint32_t limits; /* enum process_limits, of a worker */
	uint8_t pad[28];
};
_Static_assert(sizeof(struct process_row) == 256, "shared layout");

/* A row and its generation: names one process for ever. */
typedef struct {
	uint32_t row;
	uint32_t generation; /* low 32 bits are plenty */
} process_ref_t;

struct process_row *process_rows(const struct shm *); /* sizes.nprocs */
enum process_state process_state_of(const struct process_row *);
uint32_t process_generation(const struct process_row *);
/* Is it a process of that role, alive as far as the master knows? */
bool process_row_lives(const struct process_row *, enum process_role);
/* Is that process alive as far as the master knows? */
bool process_is_live(const struct shm *, process_ref_t);

/* master: takes a FREE row, generation + 1, LIVE. -1: none is free. */
int process_take(const struct shm *, enum process_role, uint32_t slot);
/* master: the one store. Rows other than workers' become FREE at once. */
void process_died(const struct shm *, uint32_t row);
/* billing: DEAD -> FREE once its calls are booked and its cells zeroed. */
void process_settled(const struct shm *, uint32_t row);

/* The process itself. */
void process_beat(struct process_row *, monotime_t now);
void process_set_phase(struct process_row *, enum process_phase);
void process_last_words(struct process_row *, const char *);
/* Epochs (rule 8): at the start of a turn, and before sleeping. */
void process_awake(const struct shm *, struct process_row *);
void process_asleep(struct process_row *);
/* billing: has every live process passed that epoch? */
bool process_all_passed(const struct shm *, uint64_t epoch);

#endif

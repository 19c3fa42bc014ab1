/*
 * The process table. State and generation are the master's (and billing's
 * for DEAD -> FREE of workers); the rest of a row is its process's own.
 */
#include "shm/process.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "shm/layout.h"

static const char *const roles[] = {
    [ROLE_NONE] = "none",
    [ROLE_MASTER] = "master",
    [ROLE_WORKER] = "worker",
    [ROLE_BILLING] = "billing",
    [ROLE_ADMIN] = "admin",
};

static const char *const phases[] = {
    [PHASE_STARTING] = "starting",
    [PHASE_SERVING] = "serving",
    [PHASE_DRAINING] = "draining",
};

const char *
process_role_str(enum process_role role)
{
	return ((unsigned)role <= ROLE_ADMIN ? roles[role] : "unknown");
}

const char *
process_phase_str(enum process_phase phase)
{
	return ((unsigned)phase <= PHASE_DRAINING ? phases[phase] : "unknown");
}

struct process_row *
process_rows(const struct shm *shm)
{
	return (shm_table(shm, SHM_T_PROCESS));
}

static struct process_row *
row_at(const struct shm *shm, uint32_t row)
{
	assert(row < shm->sizes.nprocs);
	return (&process_rows(shm)[row]);
}

enum process_state
process_state_of(const struct process_row *row)
{
	return ((enum process_state)(atomic_load(&row->word) & 0xff));
}

bool
process_row_lives(const struct process_row *row, enum process_role role)
{
	return (row->role == role && process_state_of(row) == PROCESS_LIVE);
}

uint32_t
process_generation(const struct process_row *row)
{
	return ((uint32_t)(atomic_load(&row->word) >> 8));
}

bool
process_is_live(const struct shm *shm, process_ref_t ref)
{
	uint64_t word;

	if (ref.row >= shm->sizes.nprocs)
		return (false);
	word = atomic_load(&row_at(shm, ref.row)->word);
	return ((word & 0xff) == PROCESS_LIVE &&
		(uint32_t)(word >> 8) == ref.generation);
}

static void
move_to(struct process_row *row, uint64_t generation, enum process_state state)
{
	atomic_store(&row->word, generation << 8 | (uint64_t)state);
}

int
process_take(const struct shm *shm, enum process_role role, uint32_t slot)
{
	struct process_row *row;
	uint64_t generation;
	/* billing alone frees the rows of dead workers: it must find one */
	uint32_t i = role == ROLE_WORKER ? SHM_OTHER_PROCS : 0;

	for (; i < shm->sizes.nprocs; i++) {
		row = row_at(shm, i);
		if (process_state_of(row) == PROCESS_FREE)
			break;
	}
	if (i == shm->sizes.nprocs)
		return (-1);
	generation = (atomic_load(&row->word) >> 8) + 1;
	if ((uint32_t)generation == 0)
		generation++;
	memset((char *)row + sizeof(row->word), 0,
	    sizeof(*row) - sizeof(row->word));
	row->role = (uint32_t)role;
	row->slot = slot;
	row->started_ms = walltime_ms();
	atomic_store(&row->heartbeat_ns, monotime_now().ns);
	move_to(row, generation, PROCESS_LIVE);
	return ((int)i);
}

void
process_died(const struct shm *shm, uint32_t i)
{
	struct process_row *row = row_at(shm, i);
	uint64_t word = atomic_load(&row->word);

	assert((word & 0xff) == PROCESS_LIVE);
	move_to(row, word >> 8,
	    row->role == ROLE_WORKER ? PROCESS_DEAD : PROCESS_FREE);
}

void
process_settled(const struct shm *shm, uint32_t i)
{
	struct process_row *row = row_at(shm, i);
	uint64_t word = atomic_load(&row->word);

	assert((word & 0xff) == PROCESS_DEAD);
	move_to(row, word >> 8, PROCESS_FREE);
}

void
shm_all_died(const struct shm *shm)
{
	uint32_t i;

	for (i = 0; i < shm->sizes.nprocs; i++) {
		if (process_state_of(row_at(shm, i)) == PROCESS_LIVE)
			process_died(shm, i);
	}
}

void
process_beat(struct process_row *row, monotime_t now)
{
	atomic_store_explicit(&row->heartbeat_ns, now.ns, memory_order_relaxed);
}

void
process_set_phase(struct process_row *row, enum process_phase phase)
{
	atomic_store(&row->phase, (uint32_t)phase);
}

void
process_last_words(struct process_row *row, const char *text)
{
	snprintf(row->last_words, sizeof(row->last_words), "%s", text);
}

void
process_awake(const struct shm *shm, struct process_row *row)
{
	/* Sequentially consistent, as is the load of price_current behind
	 * it: either billing sees this epoch or we see its new buffer. */
	atomic_store(&row->epoch, atomic_load(&shm_pub_state(shm)->epoch));
}

void
process_asleep(struct process_row *row)
{
	atomic_store(&row->epoch, 0);
}

bool
process_all_passed(const struct shm *shm, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; i < shm->sizes.nprocs; i++) {
		const struct process_row *row = row_at(shm, i);
		uint64_t at;

		if (process_state_of(row) != PROCESS_LIVE)
			continue;
		at = atomic_load(&row->epoch);
		if (at != 0 && at < epoch)
			return (false);
	}
	return (true);
}

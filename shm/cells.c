/*
 * Cells: a column a process. A taker sums, adds to its own cell and sums
 * again: of several that add at once the last one to add sees all others,
 * so the limit holds without any lock (rule 7).
 */
#include "shm/cells.h"

#include <assert.h>
#include <string.h>

#include "shm/layout.h"

#define TAKE_TRIES 8

static struct cell *
cell_at(const struct shm *shm, uint32_t process_row, uint32_t cell)
{
	struct cell *cells = shm_table(shm, SHM_T_CELLS);
	uint32_t ncells = shm_ncells(&shm->sizes);

	assert(process_row < shm->sizes.nprocs && cell < ncells);
	return (&cells[(size_t)process_row * ncells + cell]);
}

uint32_t
cell_of_account(const struct shm *shm, uint32_t account_row)
{
	assert(account_row < shm->sizes.max_accounts);
	return (account_row);
}

uint32_t
cell_of_key(const struct shm *shm, uint32_t key_row)
{
	assert(key_row < shm->sizes.max_keys);
	return (shm->sizes.max_accounts + key_row);
}

uint64_t
cells_live(const struct shm *shm, uint32_t cell)
{
	uint64_t sum = 0;
	uint32_t p;

	for (p = 0; p < shm->sizes.nprocs; p++) {
		const struct process_row *row = &process_rows(shm)[p];
		const struct cell *c;

		if (process_state_of(row) != PROCESS_LIVE)
			continue;
		c = cell_at(shm, p, cell);
		if (atomic_load(&c->generation) == process_generation(row))
			sum += atomic_load(&c->live);
	}
	return (sum);
}

nanousd_t
cells_held(const struct shm *shm, uint32_t cell)
{
	nanousd_t sum = {0};
	uint32_t p;

	for (p = 0; p < shm->sizes.nprocs; p++) {
		if (process_state_of(&process_rows(shm)[p]) == PROCESS_FREE)
			continue;
		sum = nanousd_add(sum,
		    (nanousd_t){atomic_load(&cell_at(shm, p, cell)->held)});
	}
	return (sum);
}

/* One writer: load and store are enough, but the store must come before
 * the sums that follow it, in everybody's eyes. */
static void
add_live(struct cell *c, process_ref_t me, int32_t n)
{
	uint32_t live = 0;

	if (atomic_load(&c->generation) == me.generation)
		live = atomic_load(&c->live);
	assert(n > 0 || live > 0);
	atomic_store(&c->live, live + (uint32_t)n);
	if (atomic_load(&c->generation) != me.generation)
		atomic_store(&c->generation, me.generation);
}

bool
cell_take_live(
    const struct shm *shm, uint32_t cell, process_ref_t me, uint32_t limit)
{
	struct cell *c = cell_at(shm, me.row, cell);
	int i;

	if (limit == 0) {
		add_live(c, me, 1);
		return (true);
	}
	for (i = 0; i < TAKE_TRIES; i++) {
		if (cells_live(shm, cell) >= limit)
			return (false);
		add_live(c, me, 1);
		if (cells_live(shm, cell) <= limit)
			return (true);
		add_live(c, me, -1);
	}
	return (false);
}

void
cell_give_live(const struct shm *shm, uint32_t cell, process_ref_t me)
{
	add_live(cell_at(shm, me.row, cell), me, -1);
}

void
cell_add_money(
    const struct shm *shm, uint32_t cell, process_ref_t me, nanousd_t amount)
{
	struct cell *c = cell_at(shm, me.row, cell);
	nanousd_t held = {atomic_load(&c->held)};

	atomic_store(&c->held, nanousd_add(held, amount).n);
}

bool
cell_take_money(const struct shm *shm, uint32_t cell, process_ref_t me,
    nanousd_t amount, const _Atomic int64_t *available)
{
	struct cell *c = cell_at(shm, me.row, cell);
	int64_t before;
	int i;

	assert(amount.n >= 0);
	for (i = 0; i < TAKE_TRIES; i++) {
		if (nanousd_add(cells_held(shm, cell), amount).n >
		    atomic_load(available))
			return (false);
		/* put back, not subtracted: adding may have saturated */
		before = atomic_load(&c->held);
		cell_add_money(shm, cell, me, amount);
		if (cells_held(shm, cell).n <= atomic_load(available))
			return (true);
		atomic_store(&c->held, before);
	}
	return (false);
}

void
cells_zero_process(const struct shm *shm, uint32_t process_row)
{
	assert(
	    process_state_of(&process_rows(shm)[process_row]) == PROCESS_DEAD);
	memset(cell_at(shm, process_row, 0), 0,
	    shm_ncells(&shm->sizes) * sizeof(struct cell));
}

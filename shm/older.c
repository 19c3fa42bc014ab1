/*
 * Files of older hubds, for the calls in them that have not been billed.
 * Layout 2 had no objects: its header names fewer tables and sizes, and a
 * row of a call ends with its progress. Layout 3 had other counters.
 */
#include "shm/call.h"
#include "shm/layout.h"

struct sizes_2 {
	uint32_t workers, nprocs, max_calls, max_keys, max_accounts, max_agents;
};

#define TABLES_2 13 /* processes and calls have the numbers of today */

struct header_2 {
	uint64_t magic;
	uint32_t layout;
	uint32_t header_size;
	uint64_t file_size;
	struct sizes_2 sizes;
	char build[32];
	char boot_id[40];
	int64_t created_ms;
	uint64_t table_at[TABLES_2];
	_Atomic uint32_t ready;
	uint32_t pad;
};
_Static_assert(sizeof(struct header_2) == 240, "as it was");

#define CALL_ROW_2 832

static bool
is_within(uint64_t at, uint64_t rows, uint64_t row_size, uint64_t file_size)
{
	return (at % 64 == 0 && at >= sizeof(struct header_2) &&
		at <= file_size && rows <= (file_size - at) / row_size);
}

static bool
is_layout_2(const struct header_2 *h, uint64_t size)
{
	return (h->magic == SHM_RUN_MAGIC && h->layout == 2 &&
		h->header_size == sizeof(*h) && h->file_size == size &&
		atomic_load(&h->ready) == 1 && h->sizes.max_calls > 0 &&
		h->sizes.nprocs > 0 &&
		is_within(h->table_at[SHM_T_PROCESS], h->sizes.nprocs,
		    sizeof(struct process_row), size) &&
		is_within(h->table_at[SHM_T_CALL], h->sizes.max_calls,
		    CALL_ROW_2, size));
}

static bool
map_layout_2(struct shm *shm, uint64_t file_size)
{
	char *base = (char *)shm->run;
	const struct header_2 *h = (const void *)shm->run;

	if (!is_layout_2(h, file_size))
		return (false);
	shm->sizes = (struct shm_sizes){.workers = h->sizes.workers,
	    .nprocs = h->sizes.nprocs,
	    .max_calls = h->sizes.max_calls};
	shm->table[SHM_T_PROCESS] = base + h->table_at[SHM_T_PROCESS];
	shm->table[SHM_T_CALL] = base + h->table_at[SHM_T_CALL];
	shm->call_row_size = CALL_ROW_2;
	return (true);
}

static bool
is_layout_3(const struct shm_header *h, uint64_t size)
{
	return (h->magic == SHM_RUN_MAGIC && h->layout == 3 &&
		h->header_size == sizeof(*h) && h->file_size == size &&
		atomic_load(&h->ready) == 1 && h->sizes.max_calls > 0 &&
		h->sizes.nprocs > 0 &&
		is_within(h->table_at[SHM_T_PROCESS], h->sizes.nprocs,
		    sizeof(struct process_row), size) &&
		is_within(h->table_at[SHM_T_CALL], h->sizes.max_calls,
		    sizeof(struct call_row), size));
}

static bool
map_layout_3(struct shm *shm, uint64_t file_size)
{
	char *base = (char *)shm->run;
	const struct shm_header *h = shm->run;

	if (!is_layout_3(h, file_size))
		return (false);
	shm->sizes = h->sizes;
	shm->table[SHM_T_PROCESS] = base + h->table_at[SHM_T_PROCESS];
	shm->table[SHM_T_CALL] = base + h->table_at[SHM_T_CALL];
	shm->call_row_size = sizeof(struct call_row);
	return (true);
}

bool
shm_map_older(struct shm *shm, uint64_t file_size)
{
	return (map_layout_2(shm, file_size) || map_layout_3(shm, file_size));
}

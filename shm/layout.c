/* How many bytes each table takes. */
#include "shm/layout.h"

#include "shm/call.h"
#include "shm/cells.h"
#include "shm/counters.h"
#include "shm/objtab.h"
#include "shm/pricetab.h"
#include "shm/process.h"
#include "shm/pubtab.h"
#include "shm/registry.h"

/* Checked here, once, that no struct changes without its layout number. */
_Static_assert(sizeof(struct shm_header) == 264, "shared layout");
_Static_assert(sizeof(struct run_state) == 64, "shared layout");
_Static_assert(sizeof(struct pub_state) == 192, "shared layout");
_Static_assert(sizeof(struct registry_row) == 4608, "shared layout");
_Static_assert(sizeof(struct pub_key_row) == 832, "shared layout");
_Static_assert(sizeof(struct pub_account_row) == 832, "shared layout");
_Static_assert(sizeof(struct pub_agent_row) == 896, "shared layout");
_Static_assert(sizeof(struct pub_object_row) == 320, "shared layout");
_Static_assert(sizeof(struct object_index) == 64, "shared layout");
_Static_assert(sizeof(struct bucket) == 8, "shared layout");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared words are lock-free");

uint32_t
shm_ncells(const struct shm_sizes *s)
{
	return (s->max_accounts + s->max_keys);
}

uint32_t
shm_key_slots(const struct shm_sizes *s)
{
	uint32_t n = 64;

	/* a key and its predecessor, and never more than half full */
	while (n < 4 * s->max_keys)
		n *= 2;
	return (n);
}

uint32_t
shm_object_heads(const struct shm_sizes *s)
{
	uint32_t n = 1;

	while (n < s->max_objects)
		n *= 2;
	return (n);
}

uint64_t
shm_table_bytes(const struct shm_sizes *s, enum shm_table t)
{
	switch (t) {
	case SHM_T_PROCESS:
		return (s->nprocs * sizeof(struct process_row));
	case SHM_T_COUNTERS:
		return (s->nprocs * sizeof(struct counter_row));
	case SHM_T_REGISTRY:
		return ((uint64_t)s->nprocs * s->max_agents *
			sizeof(struct registry_row));
	case SHM_T_CALL:
		return (s->max_calls * sizeof(struct call_row));
	case SHM_T_CELLS:
		return (
		    (uint64_t)s->nprocs * shm_ncells(s) * sizeof(struct cell));
	case SHM_T_BUCKETS:
		return (s->max_keys * 2 * sizeof(struct bucket));
	case SHM_T_RUN_STATE:
		return (sizeof(struct run_state));
	case SHM_T_PRICES:
		return (sizeof(struct price_buffers) +
			(uint64_t)PRICE_BUFFERS * PRICE_BLOB_MAX);
	case SHM_T_KEYS:
		return (s->max_keys * sizeof(struct pub_key_row));
	case SHM_T_KEY_INDEX:
		return (shm_key_slots(s) * sizeof(uint64_t));
	case SHM_T_ACCOUNTS:
		return (s->max_accounts * sizeof(struct pub_account_row));
	case SHM_T_AGENTS:
		return (s->max_agents * sizeof(struct pub_agent_row));
	case SHM_T_OBJECTS:
		return (s->max_objects * sizeof(struct pub_object_row));
	case SHM_T_OBJECT_INDEX:
		return (sizeof(struct object_index) +
			shm_object_heads(s) * sizeof(uint32_t));
	case SHM_T_PUB_STATE:
		return (sizeof(struct pub_state));
	case SHM_TABLES:
		break;
	}
	return (0);
}

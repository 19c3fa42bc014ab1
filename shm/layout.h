/*
 * What shm.c needs to know of every table, private to this room: how many
 * bytes each takes with given sizes.
 */
#ifndef SHM_LAYOUT_H
#define SHM_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/shm.h"

uint64_t shm_table_bytes(const struct shm_sizes *, enum shm_table);

/*
 * Sets sizes, table[] and call_row_size for what is mapped as shm->run and
 * was made by an older hubd: processes and calls alone, which is what has to
 * be billed. false: it is none that can be read.
 */
bool shm_map_older(struct shm *, uint64_t file_size);

/* In an old file nobody lives any more: stores DEAD for all who did. */
void shm_all_died(const struct shm *);

/* Cells of one process, and slots of the index of keys. */
uint32_t shm_ncells(const struct shm_sizes *);
uint32_t shm_key_slots(const struct shm_sizes *);
/* Heads of the chains of objects. */
uint32_t shm_object_heads(const struct shm_sizes *);

/* The price table: three buffers, each free once its epoch has passed. */
#define PRICE_BUFFERS 3

struct price_buffers {
	_Atomic uint64_t retired_at[PRICE_BUFFERS];
	uint64_t pad[5];
};
_Static_assert(sizeof(struct price_buffers) == 64, "shared layout");

#endif

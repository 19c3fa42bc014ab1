/*
 * What billing knows by heart of accounts, keys and agents: name and
 * published row of every id. Rows stay what they are while the hub runs, so
 * that what a worker has noted stays true.
 */
#ifndef HUBD_BILLING_DIRECTORY_H
#define HUBD_BILLING_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "hubd/ledger/ledger.h"

#define DIR_NO_ROW UINT32_MAX
#define DIR_ID_MAX (1u << 24) /* a larger id is not believed */

struct dir_entry {
	uint32_t row;		    /* DIR_NO_ROW: not published */
	char name[LEDGER_NAME_MAX]; /* "": there is no such id */
};

struct dir_table {
	struct dir_entry *by_id;
	uint32_t size; /* of by_id */
	uint32_t rows; /* in use: 0 .. rows - 1 */
	uint32_t max_rows;
};

void dir_init(struct dir_table *, uint32_t max_rows);
void dir_fini(struct dir_table *);

/* Enters or renames an id; its row, if it has one, stays. false: the id is
 * out of range. */
bool dir_put(struct dir_table *, uint32_t id, const char *name);
/* Says which row an id has, as found in shared memory or as just taken. */
void dir_set_row(struct dir_table *, uint32_t id, uint32_t row);
/* The row of a known id, a fresh one if it has none yet; DIR_NO_ROW if all
 * are taken. */
uint32_t dir_take_row(struct dir_table *, uint32_t id);
/* Is there room for one more row? */
bool dir_has_room(const struct dir_table *);

/* DIR_NO_ROW and "" for an unknown id. */
uint32_t dir_row(const struct dir_table *, uint32_t id);
const char *dir_name(const struct dir_table *, uint32_t id);
/* The id of a name, 0 if there is none. */
uint32_t dir_find(const struct dir_table *, const char *name);

#endif

/* Names and published rows by id. */
#include "hubd/billing/directory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

void
dir_init(struct dir_table *d, uint32_t max_rows)
{
	memset(d, 0, sizeof(*d));
	d->max_rows = max_rows;
}

void
dir_fini(struct dir_table *d)
{
	free(d->by_id);
	memset(d, 0, sizeof(*d));
}

static void
grow(struct dir_table *d, uint32_t id)
{
	uint32_t i, size = d->size ? d->size : 64;

	while (size <= id)
		size *= 2;
	if (size == d->size)
		return;
	d->by_id = xrealloc(d->by_id, (size_t)size * sizeof(*d->by_id));
	for (i = d->size; i < size; i++) {
		d->by_id[i].row = DIR_NO_ROW;
		d->by_id[i].name[0] = '\0';
	}
	d->size = size;
}

static bool
known(const struct dir_table *d, uint32_t id)
{
	return (id != 0 && id < d->size && d->by_id[id].name[0] != '\0');
}

bool
dir_put(struct dir_table *d, uint32_t id, const char *name)
{
	if (id == 0 || id > DIR_ID_MAX || name[0] == '\0')
		return (false);
	grow(d, id);
	snprintf(d->by_id[id].name, sizeof(d->by_id[id].name), "%s", name);
	return (true);
}

void
dir_set_row(struct dir_table *d, uint32_t id, uint32_t row)
{
	assert(row < d->max_rows);
	if (id == 0 || id > DIR_ID_MAX)
		return;
	grow(d, id);
	d->by_id[id].row = row;
	if (d->rows <= row)
		d->rows = row + 1;
}

bool
dir_has_room(const struct dir_table *d)
{
	return (d->rows < d->max_rows);
}

uint32_t
dir_take_row(struct dir_table *d, uint32_t id)
{
	assert(known(d, id));
	if (d->by_id[id].row == DIR_NO_ROW && dir_has_room(d))
		dir_set_row(d, id, d->rows);
	return (d->by_id[id].row);
}

uint32_t
dir_row(const struct dir_table *d, uint32_t id)
{
	return (known(d, id) ? d->by_id[id].row : DIR_NO_ROW);
}

const char *
dir_name(const struct dir_table *d, uint32_t id)
{
	return (known(d, id) ? d->by_id[id].name : "");
}

uint32_t
dir_find(const struct dir_table *d, const char *name)
{
	uint32_t id;

	if (name[0] == '\0')
		return (0);
	for (id = 1; id < d->size; id++)
		if (strcmp(d->by_id[id].name, name) == 0)
			return (id);
	return (0);
}

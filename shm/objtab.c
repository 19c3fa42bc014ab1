/* Published objects: billing writes, everyone else has them read-only. */
#include "shm/objtab.h"

#include <assert.h>
#include <string.h>

#include "shm/layout.h"
#include "shm/twocopy.h"

#define LOOKS_MAX 64 /* at a chain that changes under the reader's eyes */

static struct pub_object_row *
rows_of(const struct shm *shm)
{
	return (shm_table(shm, SHM_T_OBJECTS));
}

static struct object_index *
index_of(const struct shm *shm)
{
	return (shm_table(shm, SHM_T_OBJECT_INDEX));
}

static _Atomic uint32_t *
head_of(const struct shm *shm, struct span id)
{
	uint32_t h = UINT32_C(2166136261); /* FNV-1a */
	size_t i;

	for (i = 0; i < id.n; i++)
		h = (h ^ (unsigned char)id.p[i]) * UINT32_C(16777619);
	h ^= h >> 15;
	return (&index_of(shm)->head[h & (shm_object_heads(&shm->sizes) - 1)]);
}

bool
pub_object_at(const struct shm *shm, uint32_t row, struct pub_object *o)
{
	const struct pub_object_row *r = &rows_of(shm)[row];

	assert(row < shm->sizes.max_objects);
	return (twocopy_read(&r->seq, r->copy, sizeof(*o), o) != 0 &&
		o->number != 0);
}

/* ---- readers ------------------------------------------------------------- */

static bool
has_id(const struct pub_object *o, struct span id)
{
	return (id.n < sizeof(o->id) && memcmp(o->id, id.p, id.n) == 0 &&
		o->id[id.n] == '\0');
}

static bool
walk(const struct shm *shm, struct span id, struct pub_object *o)
{
	uint32_t at = atomic_load(head_of(shm, id)), steps;

	for (steps = shm->sizes.max_objects; at != 0 && steps > 0; steps--) {
		if (at > shm->sizes.max_objects)
			return (false);
		if (pub_object_at(shm, at - 1, o) && has_id(o, id))
			return (true);
		at = atomic_load(&rows_of(shm)[at - 1].next);
	}
	return (false);
}

bool
pub_object_find(const struct shm *shm, struct span id, struct pub_object *o)
{
	unsigned look;
	uint32_t changes;

	if (shm->sizes.max_objects == 0 || !object_id_ok(id))
		return (false);
	for (look = 0; look < LOOKS_MAX; look++) {
		changes = atomic_load(&index_of(shm)->changes);
		if (walk(shm, id, o))
			return (true);
		if (changes == atomic_load(&index_of(shm)->changes))
			return (false);
	}
	return (false);
}

static bool
is_wanted(const struct pub_object *o, uint32_t account, enum object_kind kind,
    uint64_t number)
{
	return (o->number == number && o->account == account &&
		o->kind == (uint8_t)kind);
}

bool
pub_object_next(const struct shm *shm, uint32_t account, enum object_kind kind,
    uint64_t from, bool forward, struct pub_object *o)
{
	uint64_t max = shm->sizes.max_objects, last, first, n;

	if (max == 0)
		return (false);
	last = atomic_load(&index_of(shm)->last);
	first = last > max ? last - max + 1 : 1;
	if (forward) {
		for (n = from < first ? first : from + 1; n <= last; n++)
			if (pub_object_at(shm, (uint32_t)(n % max), o) &&
			    is_wanted(o, account, kind, n))
				return (true);
		return (false);
	}
	for (n = from > last ? last + 1 : from; n > first; n--)
		if (pub_object_at(shm, (uint32_t)((n - 1) % max), o) &&
		    is_wanted(o, account, kind, n - 1))
			return (true);
	return (false);
}

/* ---- billing ------------------------------------------------------------- */

static void
write_row(const struct shm *shm, uint32_t row, const struct pub_object *o)
{
	struct pub_object_row *r = &rows_of(shm)[row];

	twocopy_write(&r->seq, r->copy, sizeof(*o), o);
}

/*
 * Takes a row out of the chain of the id that it has. The row's own next
 * stays until it is used again, for readers that stand on it. One that is in
 * no chain (its writer was killed in between) is left alone.
 */
static void
unlink_row(const struct shm *shm, uint32_t row, struct span id)
{
	_Atomic uint32_t *at = head_of(shm, id);
	uint32_t steps, next;

	for (steps = shm->sizes.max_objects; steps > 0; steps--) {
		if ((next = atomic_load(at)) == 0)
			return;
		if (next - 1 == row) {
			atomic_store(at, atomic_load(&rows_of(shm)[row].next));
			break;
		}
		at = &rows_of(shm)[next - 1].next;
	}
	atomic_fetch_add(&index_of(shm)->changes, 1);
}

static bool
is_linked(const struct shm *shm, uint32_t row, struct span id)
{
	uint32_t at = atomic_load(head_of(shm, id)), steps;

	for (steps = shm->sizes.max_objects; at != 0 && steps > 0; steps--) {
		if (at - 1 == row)
			return (true);
		at = atomic_load(&rows_of(shm)[at - 1].next);
	}
	return (false);
}

static void
link_row(const struct shm *shm, uint32_t row, struct span id)
{
	_Atomic uint32_t *head = head_of(shm, id);

	atomic_store(&rows_of(shm)[row].next, atomic_load(head));
	atomic_store(head, row + 1);
}

static void
note_last(const struct shm *shm, uint64_t number)
{
	if (atomic_load(&index_of(shm)->last) < number)
		atomic_store(&index_of(shm)->last, number);
}

void
pub_object_write(const struct shm *shm, const struct pub_object *o, bool *left)
{
	uint32_t max = shm->sizes.max_objects, row;
	struct pub_object old;
	bool same;

	*left = false;
	assert(shm->pub_writable && o->number != 0);
	if (max == 0)
		return;
	row = (uint32_t)(o->number % max);
	if (pub_object_at(shm, row, &old)) {
		if (old.number > o->number)
			return;
		same = old.number == o->number && strcmp(old.id, o->id) == 0;
		*left = old.number != o->number;
		if (!same)
			unlink_row(shm, row, span_str(old.id));
	}
	write_row(shm, row, o);
	if (!is_linked(shm, row, span_str(o->id)))
		link_row(shm, row, span_str(o->id));
	note_last(shm, o->number);
}

void
pub_object_clear(const struct shm *shm, uint32_t row)
{
	struct pub_object o;

	assert(shm->pub_writable);
	if (!pub_object_at(shm, row, &o))
		return;
	unlink_row(shm, row, span_str(o.id));
	memset(&o, 0, sizeof(o));
	write_row(shm, row, &o);
}

void
pub_object_remove(const struct shm *shm, struct span id)
{
	struct pub_object o;

	if (pub_object_find(shm, id, &o))
		pub_object_clear(
		    shm, (uint32_t)(o.number % shm->sizes.max_objects));
}

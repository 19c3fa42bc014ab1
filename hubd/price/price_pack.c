/* Packs entries into one position-independent price version. */
#include "hubd/price/price_pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/price/price.h"

struct price_pack {
	struct price_entry **entries;
	size_t n, room;
};

/* Where everything lies in the version to be made. */
struct layout {
	uint32_t nentries;
	uint32_t nbuckets;
	uint64_t entries_at;
	uint64_t size;
};

struct price_pack *
price_pack_new(void)
{
	return (xcalloc(1, sizeof(struct price_pack)));
}

void
price_pack_free(struct price_pack *p)
{
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->n; i++)
		free(p->entries[i]);
	free(p->entries);
	free(p);
}

void
price_pack_add(struct price_pack *p, struct price_entry *e)
{
	assert(e->size % 8 == 0);
	if (p->n == p->room) {
		p->room = p->room == 0 ? 256 : p->room * 2;
		p->entries =
		    xrealloc(p->entries, p->room * sizeof(*p->entries));
	}
	p->entries[p->n++] = e;
}

/* The bucket that holds the name, or the empty one where it belongs. */
static uint32_t
find_bucket(
    const struct price_blob *b, const uint32_t *buckets, const char *name)
{
	uint32_t i = price_hash(span_str(name)) & (b->nbuckets - 1);

	while (buckets[i] != 0 && strcmp((const char *)b + buckets[i] +
					     offsetof(struct price_entry, name),
				      name) != 0)
		i = (i + 1) & (b->nbuckets - 1);
	return (i);
}

/* Sorted by name, and within a name by age. */
static int
compare_entries(const void *a, const void *b)
{
	const struct price_entry *const *const *ea = a;
	const struct price_entry *const *const *eb = b;
	int r = strcmp((**ea)->name, (**eb)->name);

	if (r != 0)
		return (r);
	return ((*ea > *eb) - (*ea < *eb));
}

/* Marks what a later entry of the same name replaces. */
static bool *
find_replaced(const struct price_pack *p)
{
	struct price_entry ***order = xcalloc(p->n + 1, sizeof(*order));
	bool *replaced = xcalloc(p->n + 1, sizeof(*replaced));
	size_t i;

	for (i = 0; i < p->n; i++)
		order[i] = &p->entries[i];
	qsort(order, p->n, sizeof(*order), compare_entries);
	for (i = 0; i + 1 < p->n; i++) {
		if (strcmp((*order[i])->name, (*order[i + 1])->name) == 0)
			replaced[order[i] - p->entries] = true;
	}
	free(order);
	return (replaced);
}

static struct layout
plan(const struct price_pack *p, const bool *replaced)
{
	struct layout l = {.nbuckets = 2};
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (replaced[i])
			continue;
		l.nentries++;
		bytes += p->entries[i]->size;
	}
	/* Never more than half full: look-ups end soon. */
	while (l.nbuckets < 2 * l.nentries)
		l.nbuckets *= 2;
	l.entries_at =
	    sizeof(struct price_blob) + (uint64_t)l.nbuckets * sizeof(uint32_t);
	l.entries_at = (l.entries_at + 7) / 8 * 8;
	l.size = l.entries_at + bytes;
	return (l);
}

static void
fill(struct price_blob *b, const struct price_pack *p, const bool *replaced)
{
	uint32_t *buckets = (uint32_t *)(void *)((char *)b + b->buckets_at);
	uint32_t at = b->entries_at;
	const struct price_entry *e;
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (replaced[i])
			continue;
		e = p->entries[i];
		memcpy((char *)b + at, e, e->size);
		buckets[find_bucket(b, buckets, e->name)] = at;
		at += e->size;
	}
	assert(at == b->size);
}

struct price_blob *
price_pack_make(const struct price_pack *p)
{
	bool *replaced = find_replaced(p);
	struct layout l = plan(p, replaced);
	struct price_blob *b = NULL;

	if (l.size <= PRICE_BLOB_MAX) {
		b = xcalloc(1, l.size);
		b->size = (uint32_t)l.size;
		b->nentries = l.nentries;
		b->nbuckets = l.nbuckets;
		b->buckets_at = sizeof(struct price_blob);
		b->entries_at = (uint32_t)l.entries_at;
		fill(b, p, replaced);
		price_blob_seal(b);
		assert(price_blob_valid(b, b->size));
	}
	free(replaced);
	return (b);
}

void
price_blob_seal(struct price_blob *b)
{
	b->crc = price_blob_crc(b);
}

/* Whenever they came into force. */
static bool
same_prices(const struct price_blob *a, const struct price_blob *b)
{
	return (a->size == b->size && a->nentries == b->nentries &&
		a->nbuckets == b->nbuckets && a->buckets_at == b->buckets_at &&
		a->entries_at == b->entries_at &&
		memcmp(a + 1, b + 1, a->size - sizeof(*a)) == 0);
}

bool
price_blob_keep(struct price_blob *b, const struct price_blob *latest)
{
	if (latest == NULL || !same_prices(latest, b))
		return (false);
	b->version = latest->version;
	b->time_ms = latest->time_ms;
	price_blob_seal(b);
	return (true);
}

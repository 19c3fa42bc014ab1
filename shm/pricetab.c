/*
 * Reading a packed price version: look-up by name, the walk over all
 * entries, and the check that a version from outside must pass first.
 */
#include "shm/pricetab.h"

#include <string.h>

#include "common/crc32.h"

#define BLOB_HEAD (sizeof(struct price_blob))

uint32_t
price_hash(struct span name)
{
	uint32_t h = UINT32_C(2166136261);
	size_t i;

	for (i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)name.p[i]) * UINT32_C(16777619);
	return (h);
}

uint32_t
price_blob_crc(const struct price_blob *b)
{
	return (crc32_add(0, b + 1, b->size - BLOB_HEAD));
}

static const uint32_t *
buckets_of(const struct price_blob *b)
{
	return (
	    (const uint32_t *)(const void *)((const char *)b + b->buckets_at));
}

static const struct price_entry *
entry_at(const struct price_blob *b, uint32_t offset)
{
	return ((const struct price_entry *)(const void *)((const char *)b +
							   offset));
}

const struct price_entry *
price_blob_find(const struct price_blob *b, struct span name)
{
	const uint32_t *buckets = buckets_of(b);
	const struct price_entry *e;
	uint32_t i, left;

	if (name.n == 0 || name.n >= PRICE_NAME_MAX)
		return (NULL);
	i = price_hash(name) & (b->nbuckets - 1);
	for (left = b->nbuckets; left > 0 && buckets[i] != 0; left--) {
		e = entry_at(b, buckets[i]);
		if (memcmp(e->name, name.p, name.n) == 0 &&
		    e->name[name.n] == '\0')
			return (e);
		i = (i + 1) & (b->nbuckets - 1);
	}
	return (NULL);
}

const struct price_entry *
price_blob_next(const struct price_blob *b, const struct price_entry *e)
{
	uint32_t at;

	if (e == NULL)
		at = b->entries_at;
	else
		at = (uint32_t)((const char *)e - (const char *)b) + e->size;
	return (at < b->size ? entry_at(b, at) : NULL);
}

static bool
text_valid(const char *s, size_t cap)
{
	return (memchr(s, '\0', cap) != NULL);
}

static bool
rate_valid(const struct price_entry *e, const struct price_rate *r)
{
	if (r->kind >= USAGE_KINDS || r->tier >= TIER_COUNT ||
	    r->context > PRICE_CONTEXTS)
		return (false);
	if (r->context > 0 && e->contexts[r->context - 1] == 0)
		return (false);
	return (r->price.hi <= INT64_MAX);
}

static bool
contexts_valid(const struct price_entry *e)
{
	unsigned i;

	for (i = 1; i < PRICE_CONTEXTS; i++) {
		if (e->contexts[i] != 0 &&
		    (e->contexts[i - 1] == 0 ||
			e->contexts[i] <= e->contexts[i - 1]))
			return (false);
	}
	return (true);
}

/* room: bytes from the entry's start to the end of the blob. */
static bool
entry_valid(const struct price_entry *e, uint32_t room)
{
	uint32_t i;

	if (room < sizeof(*e) || e->size > room || e->nrates > PRICE_RATES_MAX)
		return (false);
	if (e->size != sizeof(*e) + e->nrates * sizeof(e->rates[0]) ||
	    e->understated >> USAGE_KINDS != 0)
		return (false);
	if (!text_valid(e->name, sizeof(e->name)) || e->name[0] == '\0' ||
	    !text_valid(e->provider, sizeof(e->provider)) ||
	    !text_valid(e->mode, sizeof(e->mode)) || !contexts_valid(e))
		return (false);
	for (i = 0; i < e->nrates; i++) {
		if (!rate_valid(e, &e->rates[i]))
			return (false);
	}
	return (true);
}

static bool
head_valid(const struct price_blob *b, size_t size)
{
	uint64_t buckets_end;

	if (size < BLOB_HEAD || b->size < BLOB_HEAD || b->size > size ||
	    b->size > PRICE_BLOB_MAX || b->size % 8 != 0)
		return (false);
	if (b->nbuckets == 0 || (b->nbuckets & (b->nbuckets - 1)) != 0 ||
	    b->nentries >= b->nbuckets)
		return (false);
	buckets_end = b->buckets_at + (uint64_t)b->nbuckets * sizeof(uint32_t);
	return (b->buckets_at >= BLOB_HEAD && b->buckets_at % 4 == 0 &&
		buckets_end <= b->entries_at && b->entries_at % 8 == 0 &&
		b->entries_at <= b->size);
}

/* Every used bucket names a place where an entry's name can be read. */
static bool
buckets_valid(const struct price_blob *b)
{
	const uint32_t *buckets = buckets_of(b);
	uint32_t i, used = 0;

	for (i = 0; i < b->nbuckets; i++) {
		if (buckets[i] == 0)
			continue;
		used++;
		if (buckets[i] < b->entries_at || buckets[i] % 8 != 0 ||
		    buckets[i] > b->size - sizeof(struct price_entry))
			return (false);
	}
	return (used == b->nentries);
}

bool
price_blob_valid(const struct price_blob *b, size_t size)
{
	const struct price_entry *e;
	uint32_t at, n = 0;

	if (!head_valid(b, size) || b->crc != price_blob_crc(b) ||
	    (b->nentries > 0 &&
		b->size - b->entries_at < sizeof(struct price_entry)) ||
	    !buckets_valid(b))
		return (false);
	/*
	 * Each entry is found under its own name; as there are as many used
	 * buckets as entries, no bucket names anything else.
	 */
	for (at = b->entries_at; at < b->size; at += e->size, n++) {
		e = entry_at(b, at);
		if (!entry_valid(e, b->size - at) ||
		    price_blob_find(b, span_str(e->name)) != e)
			return (false);
	}
	return (n == b->nentries);
}

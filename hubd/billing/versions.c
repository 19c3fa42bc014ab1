/* A cache of price versions, for rows that were priced by older ones. */
#include "hubd/billing/versions.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

void
versions_init(
    struct versions *vs, const struct ledger_ops *ops, struct ledger *store)
{
	memset(vs, 0, sizeof(*vs));
	vs->ops = ops;
	vs->store = store;
}

static void
forget(struct version *v)
{
	free(v->blob);
	free(v->offsets);
	memset(v, 0, sizeof(*v));
}

void
versions_fini(struct versions *vs)
{
	size_t i;

	for (i = 0; i < VERSIONS_KEPT; i++)
		forget(&vs->kept[i]);
}

static uint32_t
offset_of(const struct price_blob *b, const struct price_entry *e)
{
	return ((uint32_t)((const char *)e - (const char *)b));
}

static void
list_offsets(struct version *v)
{
	const struct price_entry *e = NULL;

	v->offsets = xcalloc(v->blob->nentries + 1, sizeof(*v->offsets));
	while ((e = price_blob_next(v->blob, e)) != NULL &&
	       v->n < v->blob->nentries)
		v->offsets[v->n++] = offset_of(v->blob, e);
}

static struct version *
least_used(struct versions *vs)
{
	struct version *least = &vs->kept[0];
	size_t i;

	for (i = 1; i < VERSIONS_KEPT; i++)
		if (vs->kept[i].used < least->used)
			least = &vs->kept[i];
	return (least);
}

static enum ledger_result
fetch(struct versions *vs, uint64_t version, struct version **out)
{
	struct price_blob *blob = NULL;
	struct version *v;
	enum ledger_result r;

	r = vs->ops->price_get(vs->store, version, &blob);
	if (r != LEDGER_OK)
		return (r);
	if (!price_blob_valid(blob, blob->size)) {
		free(blob);
		return (LEDGER_MISSING);
	}
	v = least_used(vs);
	forget(v);
	v->blob = blob;
	list_offsets(v);
	*out = v;
	return (LEDGER_OK);
}

enum ledger_result
versions_get(struct versions *vs, uint64_t version, const struct version **out)
{
	struct version *v = NULL;
	enum ledger_result r;
	size_t i;

	if (version == 0)
		return (LEDGER_MISSING);
	for (i = 0; i < VERSIONS_KEPT && v == NULL; i++)
		if (vs->kept[i].blob != NULL &&
		    vs->kept[i].blob->version == version)
			v = &vs->kept[i];
	if (v == NULL && (r = fetch(vs, version, &v)) != LEDGER_OK)
		return (r);
	v->used = ++vs->clock;
	*out = v;
	return (LEDGER_OK);
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x < y ? -1 : x > y);
}

const struct price_entry *
version_entry_at(const struct version *v, uint32_t offset)
{
	if (bsearch(&offset, v->offsets, v->n, sizeof(offset), compare) == NULL)
		return (NULL);
	return (
	    (const struct price_entry *)(const void *)((const char *)v->blob +
						       offset));
}

/*
 * Price versions that calls in flight are pinned to: the last few used, read
 * from the store when a row asks for an older one.
 */
#ifndef HUBD_BILLING_VERSIONS_H
#define HUBD_BILLING_VERSIONS_H

#include <stdint.h>

#include "hubd/ledger/ledger.h"
#include "shm/pricetab.h"

#define VERSIONS_KEPT 8

struct version {
	struct price_blob *blob; /* NULL: the place is empty */
	uint32_t *offsets;	 /* of its entries, ascending */
	uint32_t n;
	uint64_t used;
};

struct versions {
	const struct ledger_ops *ops;
	struct ledger *store;
	struct version kept[VERSIONS_KEPT];
	uint64_t clock;
};

void versions_init(
    struct versions *, const struct ledger_ops *, struct ledger *);
void versions_fini(struct versions *);

/* LEDGER_OK sets *v, good until the next call; MISSING if the store has no
 * such version or not a whole one; DOWN. */
enum ledger_result versions_get(
    struct versions *, uint64_t version, const struct version **v);
/* The entry at that offset of the blob, NULL if none begins there. */
const struct price_entry *version_entry_at(
    const struct version *, uint32_t offset);

#endif

/* One entry of a price file while its fields are read. */
#ifndef HUBD_PRICE_PRICE_DRAFT_H
#define HUBD_PRICE_PRICE_DRAFT_H

#include "hubd/price/price_field.h"
#include "shm/pricetab.h"

struct draft_rate {
	struct price_field field;
	struct unit_price price;
};

struct price_draft {
	struct draft_rate rates[PRICE_RATES_MAX];
	unsigned nrates;
	struct draft_rate parts[PRICE_PARTS_MAX];
	unsigned nparts;
	unsigned rank[USAGE_KINDS]; /* the lowest seen */
	uint64_t contexts[PRICE_CONTEXTS];
	uint32_t understated; /* of the entry, as far as is known */
};

void price_draft_init(struct price_draft *);
/* Adds the price of a kind. Returns NULL, or why it cannot be. */
const char *price_draft_add(
    struct price_draft *, const struct price_field *, struct unit_price);
/* The same for a price of what is counted as part of a kind. */
const char *price_draft_add_part(
    struct price_draft *, const struct price_field *, struct unit_price);
/* Has exactly that been added? */
bool price_draft_has(
    const struct price_draft *, const struct price_field *, struct unit_price);
/*
 * Tokens at another tier cost a multiple of what they cost at the default:
 * adds those rates. Returns NULL, or why they cannot be.
 */
const char *price_draft_add_tier(
    struct price_draft *, enum service_tier, const char *factor);
/*
 * The entry, on the heap, with name, rates and what they understate; the rest
 * is zero. NULL if it has no price at all. To be called once.
 */
struct price_entry *price_draft_make(struct price_draft *, const char *name);

#endif

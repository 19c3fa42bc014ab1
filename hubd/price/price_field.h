/* Names of price fields as price files write them (price_fields.def). */
#ifndef HUBD_PRICE_PRICE_FIELD_H
#define HUBD_PRICE_PRICE_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/usage.h"

#define PRICE_FIELD_NAME_MAX 96
#define PRICE_PARTS_MAX	     32 /* prices of parts of kinds, of one model */

struct price_field {
	unsigned rank; /* place in the table: the lower one counts */
	enum usage_kind kind;
	enum service_tier tier;
	uint64_t above; /* prompt tokens, 0: any */
	unsigned per;	/* units that the price is for; 0: other units */
};

/* false: not the name of a price of a kind. */
bool price_field_parse(const char *name, struct price_field *);
/* The same for what is counted as part of a kind. */
bool price_part_parse(const char *name, struct price_field *);
/*
 * A field that neither of them knows but that looks like a price: the kinds of
 * usage that it may be about, a bit each. 0: it is none.
 */
uint32_t price_kinds_unknown(const char *name);
/* The published name of a price; the first one if a kind has several. */
void price_field_name(enum usage_kind, enum service_tier, uint64_t above,
    char out[PRICE_FIELD_NAME_MAX]);

#endif

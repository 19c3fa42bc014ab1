/* Names of price fields as price files write them (price_fields.def). */
#ifndef HUBD_PRICE_PRICE_FIELD_H
#define HUBD_PRICE_PRICE_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/usage.h"

#define PRICE_FIELD_NAME_MAX 96

struct price_field {
	unsigned rank; /* place in the table: the lower one counts */
	int kind;      /* enum usage_kind, or -1: no usage is counted */
	enum service_tier tier;
	uint64_t above; /* prompt tokens, 0: any */
	unsigned per;	/* units that the price is for */
};

/* false: not the name of a price. */
bool price_field_parse(const char *name, struct price_field *);
/* The published name of a price; the first one if a kind has several. */
void price_field_name(enum usage_kind, enum service_tier, uint64_t above,
    char out[PRICE_FIELD_NAME_MAX]);

#endif

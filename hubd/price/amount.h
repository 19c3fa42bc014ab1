/*
 * Exact amounts of money: integers of 10^-24 USD of any size (GMP, whose
 * header is included in amount.c alone). Nothing is ever rounded here; only
 * amount_to_nano() makes a guard out of an amount, to the side it is told.
 */
#ifndef HUBD_PRICE_AMOUNT_H
#define HUBD_PRICE_AMOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/money.h"
#include "shm/pricetab.h"

#define AMOUNT_TEXT_MAX 96 /* bytes of text, terminator included */

typedef struct amount amount_t; /* opaque, on the heap */

amount_t *amount_new(void);   /* zero */
void amount_free(amount_t *); /* NULL is fine */
void amount_zero(amount_t *);
void amount_copy(amount_t *to, const amount_t *from);
void amount_add(amount_t *, const amount_t *);
void amount_sub(amount_t *, const amount_t *);
void amount_neg(amount_t *);
/* a += price x count */
void amount_add_product(amount_t *, struct unit_price, uint64_t count);
int amount_cmp(const amount_t *, const amount_t *);
int amount_sign(const amount_t *);

/*
 * Decimal USD as people and JSON write it: optional '-', digits, optional
 * fraction, optional exponent ("3e-06"). -1 if it is not that, is longer
 * than 64 bytes, has an exponent beyond +-40, or needs a digit finer than
 * 10^-24.
 */
int amount_parse(amount_t *, const char *text, size_t n);
/* The same for a price, which must be non-negative and fit 127 bits. */
int unit_price_parse(struct unit_price *, const char *text, size_t n);
/*
 * Multiplies a price by a factor written like one ("6.0"), exactly. -1: the
 * factor is none, or the unit cannot hold the product; the price is as it was.
 */
int unit_price_scale(struct unit_price *, const char *factor, size_t n);

/*
 * Plain notation: no exponent, no trailing zeros, "0" for zero. -1 if it
 * does not fit (10^69 USD or more: cannot happen with capped inputs).
 */
int amount_format(const amount_t *, char out[AMOUNT_TEXT_MAX]);
void unit_price_format(struct unit_price, char out[AMOUNT_TEXT_MAX]);

enum amount_round { AMOUNT_UP, AMOUNT_DOWN }; /* towards +/- infinity */
/* Saturates at the ends of int64. */
nanousd_t amount_to_nano(const amount_t *, enum amount_round);
/* Exact. */
void amount_from_nano(amount_t *, nanousd_t);

#endif

/*
 * Guards a reload against slips of the decimal point: finds a price that
 * changed by more than tenfold.
 */
#include "hubd/price/price.h"

#include <stdint.h>
#include <stdio.h>

#include "hubd/price/price_field.h"

typedef unsigned __int128 u128_t;

static uint64_t
threshold(const struct price_entry *e, const struct price_rate *r)
{
	return (r->context == 0 ? 0 : e->contexts[r->context - 1]);
}

/* The price of the same kind, tier and context in another version. */
static const struct price_rate *
counterpart(const struct price_entry *e, const struct price_entry *other,
    const struct price_rate *r)
{
	const struct price_rate *o;
	uint32_t i;

	for (i = 0; i < other->nrates; i++) {
		o = &other->rates[i];
		if (o->kind == r->kind && o->tier == r->tier &&
		    threshold(other, o) == threshold(e, r))
			return (o);
	}
	return (NULL);
}

static bool
jumped(struct unit_price a, struct unit_price b)
{
	u128_t x = (u128_t)a.hi << 64 | a.lo;
	u128_t y = (u128_t)b.hi << 64 | b.lo;
	u128_t small = x < y ? x : y, large = x < y ? y : x;

	/* Divided, not multiplied: a price may fill 127 bits. */
	if (small == 0)
		return (large != 0);
	return (large / 10 > small || (large / 10 == small && large % 10 != 0));
}

static int
check_entry(const struct price_entry *old, const struct price_entry *new,
    char *error, size_t cap)
{
	char field[PRICE_FIELD_NAME_MAX];
	char was[AMOUNT_TEXT_MAX], now[AMOUNT_TEXT_MAX];
	const struct price_rate *r, *o;
	uint32_t i;

	for (i = 0; i < new->nrates; i++) {
		r = &new->rates[i];
		o = counterpart(new, old, r);
		if (o == NULL || !jumped(o->price, r->price))
			continue;
		price_field_name(r->kind, r->tier, threshold(new, r), field);
		unit_price_format(o->price, was);
		unit_price_format(r->price, now);
		snprintf(error, cap,
		    "model \"%s\": field \"%s\": from %s to %s a unit is a "
		    "change "
		    "of more than tenfold",
		    new->name, field, was, now);
		return (-1);
	}
	return (0);
}

int
price_check_jump(const struct price_blob *old, const struct price_blob *new,
    char *error, size_t cap)
{
	const struct price_entry *e = NULL, *was;

	while ((e = price_blob_next(new, e)) != NULL) {
		was = price_blob_find(old, span_str(e->name));
		if (was != NULL && check_entry(was, e, error, cap) == -1)
			return (-1);
	}
	return (0);
}

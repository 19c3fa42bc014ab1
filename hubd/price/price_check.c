/*
 * Guards a reload against slips of the decimal point: finds a price that
 * changed by more than tenfold.
 */
#include "hubd/price/price.h"

#include <stdint.h>
#include <stdio.h>

#include "hubd/price/price_field.h"

typedef unsigned __int128 u128_t;

/* The first jump that is met is told. */
struct check {
	char *error;
	size_t cap;
	bool found;
};

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

static void
check_one(void *arg, const struct price_difference *d)
{
	struct check *c = arg;
	char field[PRICE_FIELD_NAME_MAX];
	char was[AMOUNT_TEXT_MAX], now[AMOUNT_TEXT_MAX];

	if (c->found || d->was == NULL || d->is == NULL ||
	    !jumped(d->was->price, d->is->price))
		return;
	c->found = true;
	price_field_name(d->is->kind, d->is->tier, d->above, field);
	unit_price_format(d->was->price, was);
	unit_price_format(d->is->price, now);
	snprintf(c->error, c->cap,
	    "model \"%s\": field \"%s\": from %s to %s a unit is a change of "
	    "more than tenfold",
	    d->entry->name, field, was, now);
}

int
price_check_jump(const struct price_blob *old, const struct price_blob *new,
    char *error, size_t cap)
{
	struct check c = {error, cap, false};

	price_diff(old, new, check_one, &c);
	return (c.found ? -1 : 0);
}

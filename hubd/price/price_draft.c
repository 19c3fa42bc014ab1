/*
 * From fields in any order to the rates of an entry: what is given twice,
 * what overrules what, and which kinds of usage the rates cannot do right by.
 */
#include "hubd/price/price_draft.h"

#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/price/price.h"

#define TEXT(x)	 #x
#define VALUE(x) TEXT(x)

typedef unsigned __int128 u128_t;

void
price_draft_init(struct price_draft *d)
{
	memset(d, 0, sizeof(*d));
	memset(d->rank, 0xff, sizeof(d->rank));
}

/* ---- adding -------------------------------------------------------------- */

static const struct draft_rate *
find(const struct draft_rate *rates, unsigned n, const struct price_field *f)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (rates[i].field.rank == f->rank &&
		    rates[i].field.tier == f->tier &&
		    rates[i].field.above == f->above)
			return (&rates[i]);
	}
	return (NULL);
}

/* Keeps contexts ascending. false: there is no room for another one. */
static bool
note_context(struct price_draft *d, uint64_t above)
{
	unsigned i = 0;

	if (above == 0)
		return (true);
	while (
	    i < PRICE_CONTEXTS && d->contexts[i] != 0 && d->contexts[i] < above)
		i++;
	if (i < PRICE_CONTEXTS && d->contexts[i] == above)
		return (true);
	if (i == PRICE_CONTEXTS || d->contexts[PRICE_CONTEXTS - 1] != 0)
		return (false);
	memmove(&d->contexts[i + 1], &d->contexts[i],
	    (PRICE_CONTEXTS - 1 - i) * sizeof(d->contexts[0]));
	d->contexts[i] = above;
	return (true);
}

const char *
price_draft_add(
    struct price_draft *d, const struct price_field *f, struct unit_price price)
{
	if (find(d->rates, d->nrates, f) != NULL)
		return ("the same price twice");
	if (d->nrates == PRICE_RATES_MAX)
		return (
		    "more than " VALUE(PRICE_RATES_MAX) " prices of one model");
	if (!note_context(d, f->above))
		return ("more than " VALUE(PRICE_CONTEXTS) " context sizes");
	d->rates[d->nrates++] = (struct draft_rate){*f, price};
	if (f->rank < d->rank[f->kind])
		d->rank[f->kind] = f->rank;
	return (NULL);
}

const char *
price_draft_add_part(
    struct price_draft *d, const struct price_field *f, struct unit_price price)
{
	if (find(d->parts, d->nparts, f) != NULL)
		return ("the same price twice");
	if (d->nparts == PRICE_PARTS_MAX)
		return ("more than " VALUE(
		    PRICE_PARTS_MAX) " prices of parts of kinds");
	d->parts[d->nparts++] = (struct draft_rate){*f, price};
	return (NULL);
}

bool
price_draft_has(const struct price_draft *d, const struct price_field *f,
    struct unit_price price)
{
	const struct draft_rate *r = find(d->rates, d->nrates, f);

	return (
	    r != NULL && r->price.lo == price.lo && r->price.hi == price.hi);
}

const char *
price_draft_add_tier(
    struct price_draft *d, enum service_tier tier, const char *factor)
{
	unsigned i, n = d->nrates;
	struct draft_rate r;
	const char *why;

	for (i = 0; i < n; i++) {
		r = d->rates[i];
		if (r.field.tier != TIER_DEFAULT ||
		    usage_kind_side(r.field.kind) == USAGE_SIDE_UNIT)
			continue;
		r.field.tier = tier;
		if (unit_price_scale(&r.price, factor, strlen(factor)) == -1)
			return ("not a factor, or too fine a product");
		if ((why = price_draft_add(d, &r.field, r.price)) != NULL)
			return (why);
	}
	return (NULL);
}

/* ---- the entry ----------------------------------------------------------- */

/* Drops prices of fields that an earlier one of the same kind overrules. */
static void
drop_overruled(struct price_draft *d)
{
	unsigned i, n = 0;

	for (i = 0; i < d->nrates; i++) {
		if (d->rates[i].field.rank == d->rank[d->rates[i].field.kind])
			d->rates[n++] = d->rates[i];
	}
	d->nrates = n;
}

static unsigned
context_index(const struct price_draft *d, uint64_t above)
{
	unsigned i = 0;

	if (above == 0)
		return (0);
	while (d->contexts[i] != above)
		i++;
	return (i + 1);
}

static bool
dearer(struct unit_price a, struct unit_price b)
{
	return (((u128_t)a.hi << 64 | a.lo) > ((u128_t)b.hi << 64 | b.lo));
}

/* Is a part of a kind dearer than what the kind is billed at? */
static bool
is_understated(const struct price_entry *e, const struct draft_rate *part)
{
	const struct price_field *f = &part->field;
	const struct unit_price nothing = {0};
	struct unit_price billed;

	if (!dearer(part->price, nothing))
		return (false);
	if (f->per == 0)
		return ((price_kinds(e) >> f->kind & 1) == 0);
	return (!price_rate_of(e, f->kind, f->tier,
		    f->above == 0 ? 0 : f->above + 1, &billed) ||
		dearer(part->price, billed));
}

static uint32_t
find_understated(const struct price_draft *d, const struct price_entry *e)
{
	uint32_t kinds = d->understated;
	unsigned i;

	for (i = 0; i < d->nparts; i++) {
		if (is_understated(e, &d->parts[i]))
			kinds |= UINT32_C(1) << d->parts[i].field.kind;
	}
	return (kinds);
}

struct price_entry *
price_draft_make(struct price_draft *d, const char *name)
{
	struct price_entry *e;
	size_t size;
	unsigned i;

	drop_overruled(d);
	if (d->nrates == 0)
		return (NULL);
	size = sizeof(*e) + d->nrates * sizeof(e->rates[0]);
	e = xcalloc(1, size);
	e->size = (uint32_t)size;
	e->nrates = d->nrates;
	snprintf(e->name, sizeof(e->name), "%s", name);
	memcpy(e->contexts, d->contexts, sizeof(e->contexts));
	for (i = 0; i < d->nrates; i++) {
		e->rates[i].kind = (uint8_t)d->rates[i].field.kind;
		e->rates[i].tier = (uint8_t)d->rates[i].field.tier;
		e->rates[i].context =
		    (uint8_t)context_index(d, d->rates[i].field.above);
		e->rates[i].price = d->rates[i].price;
	}
	e->understated = find_understated(d, e);
	return (e);
}

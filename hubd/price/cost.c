/*
 * From usage to money: which of an entry's prices a kind of usage is billed
 * at, the exact product, and the bound that is held before it is known.
 */
#include "hubd/price/price.h"

#include <assert.h>
#include <stdint.h>

typedef unsigned __int128 u128_t;

#define NANO_UNITS UINT64_C(1000000000000000) /* units in a nano-dollar */

/* What a kind without a price of its own is billed as; itself: nothing. */
static enum usage_kind
parent_of(enum usage_kind kind)
{
	switch (kind) {
	case USAGE_cache_write_1h:
		return (USAGE_cache_write);
	case USAGE_cache_read:
	case USAGE_cache_write:
	case USAGE_audio_input:
	case USAGE_image_input:
		return (USAGE_input);
	case USAGE_reasoning:
	case USAGE_audio_output:
	case USAGE_image_output:
		return (USAGE_output);
	case USAGE_input:
	case USAGE_output:
	case USAGE_requests:
	case USAGE_images:
	case USAGE_characters:
	case USAGE_milliseconds:
	case USAGE_searches:
	case USAGE_tool_calls:
	case USAGE_KINDS:
		break;
	}
	return (kind);
}

static const struct price_rate *
find_rate(const struct price_entry *e, enum usage_kind kind,
    enum service_tier tier, unsigned context)
{
	uint32_t i;

	for (i = 0; i < e->nrates; i++) {
		if (e->rates[i].kind == kind && e->rates[i].tier == tier &&
		    e->rates[i].context == context)
			return (&e->rates[i]);
	}
	return (NULL);
}

/* How many of the entry's contexts a prompt of that size lies above. */
static unsigned
contexts_above(const struct price_entry *e, uint64_t prompt)
{
	unsigned n = 0;

	while (n < PRICE_CONTEXTS && e->contexts[n] != 0 &&
	       prompt > e->contexts[n])
		n++;
	return (n);
}

/*
 * The price of one kind itself. The size of the prompt weighs more than the
 * tier: a long prompt is never billed at a short one's price while the
 * entry has a long one's.
 */
static const struct price_rate *
rate_of_kind(const struct price_entry *e, enum usage_kind kind,
    enum service_tier tier, unsigned context)
{
	const struct price_rate *r;

	for (;; context--) {
		r = find_rate(e, kind, tier, context);
		if (r == NULL)
			r = find_rate(e, kind, TIER_DEFAULT, context);
		if (r != NULL || context == 0)
			return (r);
	}
}

bool
price_rate_of(const struct price_entry *e, enum usage_kind kind,
    enum service_tier tier, uint64_t prompt, struct unit_price *price)
{
	unsigned context = contexts_above(e, prompt);
	const struct price_rate *r;
	enum usage_kind parent;

	assert(kind < USAGE_KINDS && tier < TIER_COUNT);
	for (;; kind = parent) {
		r = rate_of_kind(e, kind, tier, context);
		if (r != NULL) {
			*price = r->price;
			return (true);
		}
		parent = parent_of(kind);
		if (parent == kind)
			return (false);
	}
}

bool
price_cost(const struct price_entry *e, const struct usage *u,
    enum service_tier tier, amount_t *sum)
{
	uint64_t prompt = usage_sum(u, USAGE_SIDE_INPUT);
	struct unit_price price;
	bool complete = true;
	unsigned kind;

	for (kind = 0; kind < USAGE_KINDS; kind++) {
		if (u->n[kind] == 0)
			continue;
		if (price_rate_of(e, kind, tier, prompt, &price))
			amount_add_product(sum, price, u->n[kind]);
		else
			complete = false;
		if (e->understated >> kind & 1)
			complete = false;
	}
	return (complete);
}

static u128_t
wide(struct unit_price p)
{
	return ((u128_t)p.hi << 64 | p.lo);
}

/* The price of a kind at a tier; 0 if it has none. */
static u128_t
rate(const struct price_entry *e, enum usage_kind kind, enum service_tier tier,
    uint64_t prompt)
{
	struct unit_price p;

	return (price_rate_of(e, kind, tier, prompt, &p) ? wide(p) : 0);
}

/* Whole nano-dollars of price x count, rounded up, saturated. */
static nanousd_t
guard(u128_t price, uint64_t count)
{
	u128_t product, nano;

	if (__builtin_mul_overflow(price, (u128_t)count, &product))
		return (NANOUSD_MAX);
	nano = product / NANO_UNITS + (product % NANO_UNITS != 0);
	if (nano > INT64_MAX)
		return (NANOUSD_MAX);
	return ((nanousd_t){(int64_t)nano});
}

uint32_t
price_kinds(const struct price_entry *e)
{
	uint32_t kinds = 0;
	uint32_t i;

	_Static_assert(USAGE_KINDS <= 32, "a bit for each");
	for (i = 0; i < e->nrates; i++)
		kinds |= UINT32_C(1) << e->rates[i].kind;
	return (kinds);
}

nanousd_t
price_hold(const struct price_entry *e, enum service_tier tier,
    const struct usage *bound)
{
	uint64_t prompt = usage_sum(bound, USAGE_SIDE_INPUT);
	nanousd_t hold = {0};
	unsigned kind;

	for (kind = 0; kind < USAGE_KINDS; kind++) {
		if (bound->n[kind] != 0)
			hold = nanousd_add(hold,
			    guard(rate(e, kind, tier, prompt), bound->n[kind]));
	}
	return (hold);
}

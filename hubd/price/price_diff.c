/* What changed between two price versions, rate by rate. */
#include "hubd/price/price.h"

struct diff {
	price_diff_fn *fn;
	void *arg;
};

static void
tell(const struct diff *d, enum price_change change,
    const struct price_entry *e, const struct price_rate *was,
    const struct price_rate *is, uint64_t above)
{
	struct price_difference one = {change, e, was, is, above};

	d->fn(d->arg, &one);
}

static uint64_t
threshold(const struct price_entry *e, const struct price_rate *r)
{
	return (r->context == 0 ? 0 : e->contexts[r->context - 1]);
}

/* The rate of the same kind, tier and context in another version. */
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
same_price(const struct price_rate *a, const struct price_rate *b)
{
	return (a->price.lo == b->price.lo && a->price.hi == b->price.hi);
}

static void
diff_entry(const struct diff *d, const struct price_entry *old,
    const struct price_entry *new)
{
	const struct price_rate *r, *o;
	uint32_t i;

	for (i = 0; i < new->nrates; i++) {
		r = &new->rates[i];
		o = counterpart(new, old, r);
		if (o == NULL || !same_price(o, r))
			tell(d, PRICE_CHANGED, new, o, r, threshold(new, r));
	}
	for (i = 0; i < old->nrates; i++) {
		o = &old->rates[i];
		if (counterpart(old, new, o) == NULL)
			tell(d, PRICE_CHANGED, new, o, NULL, threshold(old, o));
	}
}

void
price_diff(const struct price_blob *old, const struct price_blob *new,
    price_diff_fn *fn, void *arg)
{
	const struct diff d = {fn, arg};
	const struct price_entry *e = NULL, *was;

	while ((e = price_blob_next(new, e)) != NULL) {
		was = price_blob_find(old, span_str(e->name));
		if (was == NULL)
			tell(&d, PRICE_ADDED, e, NULL, NULL, 0);
		else
			diff_entry(&d, was, e);
	}
	while ((e = price_blob_next(old, e)) != NULL) {
		if (price_blob_find(new, span_str(e->name)) == NULL)
			tell(&d, PRICE_REMOVED, e, NULL, NULL, 0);
	}
}

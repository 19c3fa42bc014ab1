/* Pricing what a call used. */
#include "hubd/billing/settle.h"

#include <string.h>

#include "hubd/api/api.h"
#include "hubd/price/price.h"

static const char *
dialect_of(const struct call_fixed *f)
{
	return (f->dialect < DIALECT_COUNT
		    ? dialect_str((enum dialect)f->dialect)
		    : "");
}

static void
describe(struct settler *s, const struct call_copy *c, struct ledger_row *r)
{
	const struct call_fixed *f = &c->fixed;

	memset(r, 0, sizeof(*r));
	r->id = f->id;
	r->time_ms = f->time_ms;
	r->account = f->account;
	r->stream = f->stream != 0;
	r->price_version = f->price_version;
	str_copy(r->key, sizeof(r->key), dir_name(s->keys, f->key));
	str_copy(
	    r->agent, sizeof(r->agent), dir_name(s->agents, c->route.agent));
	str_copy(r->provider, sizeof(r->provider), c->route.provider);
	str_copy(r->dialect, sizeof(r->dialect), dialect_of(f));
	str_copy(r->endpoint, sizeof(r->endpoint), f->endpoint);
	str_copy(r->model, sizeof(r->model), c->route.model);
	r->attempts = c->route.attempts;
	r->agent_number = c->route.agent;
	r->object = c->object;
}

static void
tell_outcome(const struct call_copy *c, bool orphaned, struct ledger_row *r)
{
	const struct call_progress *p = &c->progress;
	enum call_outcome outcome =
	    orphaned ? OUTCOME_ORPHANED : (enum call_outcome)p->outcome;

	r->status = p->status;
	r->usage = p->usage;
	str_copy(r->outcome, sizeof(r->outcome), call_outcome_str(outcome));
	str_copy(r->tier, sizeof(r->tier),
	    service_tier_str((enum service_tier)p->tier));
	str_copy(r->estimated, sizeof(r->estimated), p->estimated);
	if (p->end_ms > c->fixed.time_ms)
		r->duration_ms = p->end_ms - c->fixed.time_ms;
}

/*
 * A batch whose end nobody was told of is billed with the next request that
 * sees it: with this one neither its usage nor its end have happened.
 */
static void
forget_end(struct ledger_row *r)
{
	if (r->object.event != OBJECT_ENDED)
		return;
	memset(&r->object, 0, sizeof(r->object));
	memset(&r->usage, 0, sizeof(r->usage));
}

static const struct price_entry *
entry_of(const struct version *v, const struct call_route *route)
{
	struct span provider = span_str(route->provider);

	if (route->price_at != 0)
		return (version_entry_at(v, route->price_at));
	return (
	    price_find(v->blob, provider, provider, span_str(route->model)));
}

/*
 * A call that was admitted without a price (`unpriced = "free"`) names no
 * entry, and no version if there was none. What names one must have it.
 */
static bool
is_free(const struct call_copy *c, bool has_version)
{
	return (c->route.price_at == 0 &&
		(has_version || c->fixed.price_version == 0));
}

/* *entry NULL with SETTLE_OK: it costs nothing. */
static enum settle_result
find_price(struct settler *s, const struct call_copy *c,
    const struct price_entry **entry, const char **why)
{
	const struct version *v = NULL;

	*entry = NULL;
	switch (versions_get(s->versions, c->fixed.price_version, &v)) {
	case LEDGER_OK:
		*entry = entry_of(v, &c->route);
		break;
	case LEDGER_DOWN:
		return (SETTLE_LATER);
	case LEDGER_CONFLICT:
	case LEDGER_MISSING:
	case LEDGER_REFUSED:
		break;
	}
	if (*entry == NULL && !is_free(c, v != NULL) &&
	    !usage_is_zero(&c->progress.usage)) {
		*why = "its price is not known";
		return (SETTLE_SUSPEND);
	}
	return (SETTLE_OK);
}

enum settle_result
settle(struct settler *s, const struct call_copy *c, bool orphaned,
    struct ledger_row *r, nanousd_t *cost, const char **why)
{
	const struct price_entry *entry;
	enum settle_result result;

	if (!call_copy_valid(c, why))
		return (SETTLE_SUSPEND);
	result = find_price(s, c, &entry, why);
	if (result != SETTLE_OK)
		return (result);
	describe(s, c, r);
	tell_outcome(c, orphaned, r);
	if (orphaned)
		forget_end(r);
	amount_zero(s->sum);
	if (entry != NULL) {
		str_copy(r->price, sizeof(r->price), entry->name);
		r->unpriced_kinds = !price_cost(entry, &r->usage,
		    (enum service_tier)c->progress.tier, s->sum);
	} else {
		r->unpriced_kinds = !usage_is_zero(&r->usage);
	}
	if (amount_format(s->sum, r->amount) == -1) {
		*why = "its amount is too large";
		return (SETTLE_SUSPEND);
	}
	*cost = amount_to_nano(s->sum, AMOUNT_UP);
	return (SETTLE_OK);
}

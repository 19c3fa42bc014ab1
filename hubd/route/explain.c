/* Why a request would go where it goes: for people. */
#include <string.h>

#include "hubd/route/match.h"
#include "hubd/route/plan.h"
#include "hubd/route/route.h"

struct explainer {
	const struct shm *shm;
	const struct route_rules *rules;
	monotime_t now;
	void (*fn)(void *arg, const struct route_place *);
	void *arg;
	struct route_place place;
	bool served; /* one may get the request */
};

const char *
route_strategy_str(enum route_strategy strategy)
{
#define STRATEGY_WORD(id, word) [STRATEGY_##id] = word,
	static const char *const words[] = {ROUTE_STRATEGIES(STRATEGY_WORD)};
#undef STRATEGY_WORD

	return (words[strategy]);
}

const struct hub_route *
route_section(const struct route_rules *rules, const char *name)
{
	for (size_t i = 0; i < rules->nroutes; i++)
		if (strcmp(rules->routes[i].name, name) == 0)
			return (&rules->routes[i]);
	return (NULL);
}

/* What an agent announces, through whichever worker; *usable: one of them
 * would send it requests. */
static bool
announced(const struct shm *shm, uint32_t row, struct registry_announce *a,
    bool *usable)
{
	struct registry_announce one;
	bool found = false;

	*usable = false;
	for (uint32_t p = 0; p < shm->sizes.nprocs; p++) {
		if (!registry_read(shm, p, row, &one))
			continue;
		if (!found || registry_usable(shm, p, row))
			*a = one;
		found = true;
		*usable = *usable || registry_usable(shm, p, row);
	}
	return (found);
}

static const char *
why_not(
    const struct explainer *x, const struct registry_announce *a, bool usable)
{
	const struct route_place *place = &x->place;

	if (!route_rights_allow(
		&place->agent, place->provider->name, place->model))
		return ("not allowed to this agent");
	if (place->agent.revoked)
		return ("revoked");
	if (place->agent.draining)
		return ("draining");
	if (!usable)
		return ("no link");
	if (place->entry == NULL && !x->rules->free_unpriced)
		return ("no price");
	if (a->capacity > 0 && place->calls >= a->capacity)
		return ("full");
	return (place->cooling_ms > 0 ? "cooling" : NULL);
}

static const struct price_entry *
price_at(const struct explainer *x, const char *model)
{
	return (route_price(pub_prices(x->shm), x->place.provider, model));
}

/* The name under which this provider would serve the target. */
static const char *
name_at(const struct explainer *x, const struct registry_announce *a)
{
	const struct registry_provider *p = x->place.provider;
	const char *whole = x->place.target, *own;

	if (route_provider_serves(a, p, whole) && price_at(x, whole) != NULL)
		return (whole);
	if ((own = route_behind_prefix(whole, p->name)) == NULL)
		own = route_behind_prefix(whole, p->type);
	if (own != NULL && route_provider_serves(a, p, own))
		return (own);
	return (route_provider_serves(a, p, whole) ? whole : NULL);
}

static void
tell_provider(struct explainer *x, uint32_t row,
    const struct registry_announce *a, uint32_t i, bool usable)
{
	struct route_place *place = &x->place;
	int64_t ms;

	place->provider = &a->providers[i];
	place->model = name_at(x, a);
	if (place->model == NULL) {
		place->model = place->target;
		place->entry = NULL;
		place->why = "not announced";
	} else {
		place->entry = price_at(x, place->model);
		place->calls = registry_load(x->shm, row);
		place->latency_us = registry_latency(x->shm, row, i);
		ms = monotime_diff_ms(
		    registry_cool_until(x->shm, row, i), x->now);
		place->cooling_ms = ms > 0 ? ms : 0;
		place->why = why_not(x, a, usable);
	}
	x->served = x->served || place->why == NULL;
	x->fn(x->arg, place);
}

static void
tell_target(struct explainer *x, const struct plan_target *t)
{
	uint32_t nagents = atomic_load(&shm_pub_state(x->shm)->nagents);
	struct registry_announce a;
	bool usable, resort = x->place.last_resort;

	for (uint32_t row = 0; row < nagents; row++) {
		x->place = (struct route_place){.target = t->model,
		    .stage = t->stage,
		    .last_resort = resort};
		if (!pub_agent_read(x->shm, row, &x->place.agent) ||
		    !announced(x->shm, row, &a, &usable))
			continue;
		for (uint32_t i = 0; i < a.nproviders && i < REGISTRY_PROVIDERS;
		     i++)
			tell_provider(x, row, &a, i, usable);
	}
}

void
route_explain(const struct shm *shm, const struct route_rules *rules,
    const char *name, monotime_t now,
    void (*fn)(void *arg, const struct route_place *), void *arg)
{
	struct explainer x = {
	    .shm = shm, .rules = rules, .now = now, .fn = fn, .arg = arg};
	struct plan plan;
	size_t i;

	plan_make(&plan, rules->routes, rules->nroutes, name);
	for (i = 0; i < plan.n; i++)
		tell_target(&x, &plan.target[i]);
	if (x.served || rules->default_route == NULL)
		return;
	x.place.last_resort = true;
	i = plan.n;
	plan_append(&plan, rules->routes, rules->nroutes, rules->default_route);
	for (; i < plan.n; i++)
		tell_target(&x, &plan.target[i]);
}

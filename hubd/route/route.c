/* Where a request may go: the candidates for a model. */
#include "hubd/route/route.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/auth/auth.h"
#include "hubd/route/match.h"
#include "hubd/route/plan.h"

#define ROUTER_SLOTS 1024 /* cached routes; a clash replaces */

/* Which types of providers speak which dialect, as they are announced. */
static const char *const speakers[DIALECT_COUNT][2] = {
    [DIALECT_OPENAI] = {"openai", "azure"},
    [DIALECT_AZURE] = {"openai", "azure"},
    [DIALECT_ANTHROPIC] = {"anthropic"},
    [DIALECT_GEMINI] = {"google"},
    [DIALECT_BEDROCK] = {"aws"},
};

struct router {
	const struct shm *shm;
	struct route_rules rules;
	struct route *slot[ROUTER_SLOTS];
};

struct router *
router_new(const struct shm *shm)
{
	struct router *r = xcalloc(1, sizeof(*r));

	r->shm = shm;
	return (r);
}

static void
forget_all(struct router *r)
{
	for (size_t i = 0; i < ROUTER_SLOTS; i++) {
		route_unref(r->slot[i]);
		r->slot[i] = NULL;
	}
}

void
router_free(struct router *r)
{
	if (r == NULL)
		return;
	forget_all(r);
	free(r);
}

void
router_configure(struct router *r, const struct route_rules *rules)
{
	r->rules = *rules;
	forget_all(r);
}

void
route_unref(struct route *route)
{
	if (route == NULL || --route->refs > 0)
		return;
	for (uint32_t i = 0; i < route->nentries; i++)
		free(route->entries[i]);
	free(route);
}

/* Our own copy of an entry, shared by candidates of the same price. */
static const struct price_entry *
pin_entry(struct route *route, const struct price_entry *entry)
{
	struct price_entry *copy;

	for (uint32_t i = 0; i < route->nentries; i++)
		if (strcmp(route->entries[i]->name, entry->name) == 0)
			return (route->entries[i]);
	copy = xmalloc(entry->size);
	memcpy(copy, entry, entry->size);
	route->entries[route->nentries++] = copy;
	return (copy);
}

static bool
has_candidate(const struct route *route, uint32_t agent_row,
    const char *provider, const char *model)
{
	for (uint32_t i = 0; i < route->n; i++)
		if (route->c[i].agent_row == agent_row &&
		    strcmp(route->c[i].provider, provider) == 0 &&
		    strcmp(route->c[i].model, model) == 0)
			return (true);
	return (false);
}

bool
route_speaks(const char *type, enum dialect d)
{
	for (size_t i = 0; i < 2; i++)
		if (speakers[d][i] != NULL && strcmp(speakers[d][i], type) == 0)
			return (true);
	return (false);
}

struct collect {
	const struct router *router;
	const struct price_blob *blob; /* one version for all of a route */
	struct route *route;
	const struct plan_target *target;
	bool deaf; /* some serve it who do not speak the dialect */
};

static struct candidate *
put_candidate(struct route *route, uint32_t row,
    const struct registry_announce *a, const struct registry_provider *p)
{
	struct candidate *c = &route->c[route->n++];

	memset(c, 0, sizeof(*c));
	c->agent_row = row;
	c->agent_id = a->agent;
	c->provider_at = (uint32_t)(p - a->providers);
	c->capacity = a->capacity;
	c->weight = p->weight > 0 ? p->weight : 1;
	snprintf(c->provider, sizeof(c->provider), "%s", p->name);
	snprintf(c->type, sizeof(c->type), "%s", p->type);
	return (c);
}

static nanousd_t
rank_of(const struct price_entry *entry)
{
	struct usage u = {0};

	if (entry == NULL)
		return ((nanousd_t){0});
	u.n[USAGE_input] = u.n[USAGE_output] = 1000;
	return (price_hold(entry, TIER_DEFAULT, &u));
}

/* false: it has no price, or there is no room. */
static bool
add_candidate(const struct collect *col, uint32_t row,
    const struct registry_announce *a, const struct registry_provider *p,
    const char *model)
{
	const struct price_entry *entry;
	struct route *route = col->route;
	struct candidate *c;

	if (has_candidate(route, row, p->name, model))
		return (true);
	if (route->n == ROUTE_CANDIDATES)
		return (false);
	entry = route_price(col->blob, p, model);
	if (entry == NULL && !col->router->rules.free_unpriced)
		return (false);
	c = put_candidate(route, row, a, p);
	c->stage = col->target->stage;
	c->rank = rank_of(entry);
	snprintf(c->model, sizeof(c->model), "%s", model);
	if (entry != NULL) {
		c->entry = pin_entry(route, entry);
		c->price_at =
		    (uint32_t)((const char *)entry - (const char *)col->blob);
	}
	return (true);
}

/* Calls fn for every provider of every agent that can be reached. */
static void
each_provider(const struct shm *shm, void *arg,
    void (*fn)(void *arg, uint32_t row, const struct pub_agent *,
	const struct registry_announce *, const struct registry_provider *))
{
	uint32_t nagents = atomic_load(&shm_pub_state(shm)->nagents);
	struct registry_announce a;
	struct pub_agent agent;

	for (uint32_t row = 0; row < nagents; row++) {
		if (!pub_agent_read(shm, row, &agent))
			continue;
		for (uint32_t p = 0; p < shm->sizes.nprocs; p++) {
			if (agent.revoked || agent.draining ||
			    !registry_usable(shm, p, row) ||
			    !registry_read(shm, p, row, &a))
				continue;
			for (uint32_t i = 0;
			     i < a.nproviders && i < REGISTRY_PROVIDERS; i++)
				fn(arg, row, &agent, &a, &a.providers[i]);
		}
	}
}

/* One provider under one name of the model: true, it is a candidate. */
static bool
collect_name(struct collect *c, uint32_t row, const struct pub_agent *agent,
    const struct registry_announce *a, const struct registry_provider *p,
    const char *model)
{
	if (model == NULL || !route_provider_serves(a, p, model) ||
	    !route_rights_allow(agent, p->name, model))
		return (false);
	if (route_provider_names(a, p, model))
		c->route->known = true;
	if (!route_speaks(p->type, c->route->dialect)) {
		c->deaf = true;
		return (false);
	}
	return (add_candidate(c, row, a, p, model));
}

/* The whole name comes first: at some providers models have slashes. */
static void
collect_one(void *arg, uint32_t row, const struct pub_agent *agent,
    const struct registry_announce *a, const struct registry_provider *p)
{
	struct collect *c = arg;
	const char *model = c->target->model;

	if (collect_name(c, row, agent, a, p, model))
		return;
	if (collect_name(
		c, row, agent, a, p, route_behind_prefix(model, p->name)))
		return;
	(void)collect_name(
	    c, row, agent, a, p, route_behind_prefix(model, p->type));
}

static bool
is_priced(const struct price_blob *blob, const char *model)
{
	return (blob != NULL && price_blob_find(blob, span_str(model)) != NULL);
}

static void
collect_plan(
    struct collect *c, const struct plan *plan, size_t from, bool *priced)
{
	size_t i;

	for (i = from; i < plan->n; i++) {
		c->target = &plan->target[i];
		*priced = *priced || is_priced(c->blob, c->target->model);
		each_provider(c->router->shm, c, collect_one);
	}
}

static void
fill(const struct router *r, const struct price_blob *blob, struct route *route)
{
	const struct route_rules *rules = &r->rules;
	struct collect c = {r, blob, route, NULL, false};
	struct plan plan;
	bool priced = false;
	size_t n;

	plan_make(&plan, rules->routes, rules->nroutes, route->model);
	if (plan.route != NULL) {
		route->named = true;
		route->strategy = plan.route->strategy;
		route->retries = plan.route->retries;
		route->max_wait = plan.route->max_wait;
	}
	collect_plan(&c, &plan, 0, &priced);
	if (route->n == 0 && rules->default_route != NULL) {
		n = plan.n;
		plan_append(
		    &plan, rules->routes, rules->nroutes, rules->default_route);
		collect_plan(&c, &plan, n, &priced);
	}
	route->known = route->known || priced || route->named || route->n > 0;
	route->error = route->n > 0 ? API_OK
		       : !priced    ? API_ERR_model_not_found
		       : c.deaf	    ? API_ERR_wrong_api
				    : API_ERR_no_agent;
}

static uint64_t
version_of(const struct price_blob *blob)
{
	return (blob != NULL ? blob->version : 0);
}

static bool
is_current(const struct shm *shm, const struct route *route, const char *model,
    enum dialect dialect)
{
	return (route->dialect == dialect && strcmp(route->model, model) == 0 &&
		route->registry_version ==
		    atomic_load(&shm_run_state(shm)->registry_version) &&
		route->keys_version ==
		    atomic_load(&shm_pub_state(shm)->keys_version) &&
		route->price_version == version_of(pub_prices(shm)));
}

struct route *
router_find(struct router *r, const char *model, enum dialect dialect)
{
	const struct price_blob *blob;
	struct route **slot, *route;

	slot = &r->slot[(price_hash(span_str(model)) + dialect) % ROUTER_SLOTS];
	if (*slot == NULL || !is_current(r->shm, *slot, model, dialect)) {
		route = xcalloc(1, sizeof(*route));
		route->refs = 1;
		route->dialect = dialect;
		snprintf(route->model, sizeof(route->model), "%s", model);
		/* Versions first: a change while we look makes it stale. */
		route->registry_version =
		    atomic_load(&shm_run_state(r->shm)->registry_version);
		route->keys_version =
		    atomic_load(&shm_pub_state(r->shm)->keys_version);
		blob = pub_prices(r->shm);
		route->price_version = version_of(blob);
		fill(r, blob, route);
		route_unref(*slot);
		*slot = route;
	}
	(*slot)->refs++;
	return (*slot);
}

struct holders {
	struct route *route;
	uint32_t agent; /* 0: any */
	const char *provider;
};

static void
collect_holder(void *arg, uint32_t row, const struct pub_agent *agent,
    const struct registry_announce *a, const struct registry_provider *p)
{
	const struct holders *h = arg;
	struct route *route = h->route;

	if (h->agent != 0 &&
	    (a->agent != h->agent || strcmp(p->name, h->provider) != 0))
		return;
	if (!auth_list_allows(agent->providers, p->name) ||
	    !route_speaks(p->type, route->dialect) ||
	    route->n == ROUTE_CANDIDATES ||
	    has_candidate(route, row, p->name, ""))
		return;
	put_candidate(route, row, a, p);
}

struct route *
router_holders(struct router *r, enum dialect dialect, uint32_t agent,
    const char *provider)
{
	struct route *route = xcalloc(1, sizeof(*route));
	struct holders h = {route, agent, provider};

	route->refs = 1;
	route->dialect = dialect;
	route->price_version = version_of(pub_prices(r->shm));
	each_provider(r->shm, &h, collect_holder);
	route->error = route->n > 0 ? API_OK : API_ERR_no_agent;
	return (route);
}

uint32_t
route_others(const struct route *route, uint32_t agent, const char *provider)
{
	uint32_t i, mask = 0;

	for (i = 0; i < route->n; i++)
		if (route->c[i].agent_id != agent ||
		    strcmp(route->c[i].provider, provider) != 0)
			mask |= UINT32_C(1) << i;
	return (mask);
}

struct offer {
	const struct price_blob *blob;
	const struct price_entry *entry;
	enum dialect dialect; /* COUNT: any */
	bool found;
};

static void
offer_one(void *arg, uint32_t row, const struct pub_agent *agent,
    const struct registry_announce *a, const struct registry_provider *p)
{
	struct offer *o = arg;

	if (o->dialect != DIALECT_COUNT && !route_speaks(p->type, o->dialect))
		return;
	if (!o->found && route_rights_allow(agent, p->name, o->entry->name) &&
	    route_provider_serves(a, p, o->entry->name) &&
	    route_price(o->blob, p, o->entry->name) == o->entry)
		o->found = true;
}

bool
route_offers(
    const struct shm *shm, const struct price_entry *entry, enum dialect d)
{
	struct offer o = {pub_prices(shm), entry, d, false};

	each_provider(shm, &o, offer_one);
	return (o.found);
}

nanousd_t
route_hold(const struct route *route, enum service_tier tier,
    const struct usage *bound)
{
	nanousd_t most = {0}, hold;

	for (uint32_t i = 0; i < route->n; i++) {
		if (route->c[i].entry == NULL)
			continue;
		hold = price_hold(route->c[i].entry, tier, bound);
		if (hold.n > most.n)
			most = hold;
	}
	return (most);
}

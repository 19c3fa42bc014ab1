/* Documents made of shared memory: models, their prices, who serves them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/ctl/ctl.h"
#include "hubd/ctl/show.h"
#include "hubd/price/price.h"
#include "hubd/route/match.h"

/* ---- one provider of one agent ------------------------------------------ */

struct place {
	const struct agent_view *agent;
	uint32_t provider;
	const struct price_blob *prices; /* NULL before the first */
};

static const struct registry_provider *
provider_of(const struct place *p)
{
	return (&p->agent->announce.providers[p->provider]);
}

static bool
serves(const struct place *p, const char *model)
{
	const struct agent_view *v = p->agent;

	return (route_provider_serves(&v->announce, provider_of(p), model) &&
		route_rights_allow(&v->pub, provider_of(p)->name, model) &&
		strcmp(show_agent_state(v), "up") == 0 &&
		(v->announce.capacity == 0 || v->calls < v->announce.capacity));
}

/* Agents that have announced themselves, and the prices in force. */
struct market {
	const struct price_blob *prices; /* NULL before the first */
	struct agent_view *agents;
	size_t n;
};

static void
market_init(struct market *m, const struct shm *shm)
{
	uint32_t i, rows = show_agent_rows(shm);

	m->prices = pub_prices(shm);
	m->agents = xcalloc(rows + 1, sizeof(*m->agents));
	m->n = 0;
	for (i = 0; i < rows; i++) {
		if (show_agent_view(shm, i, &m->agents[m->n]) &&
		    m->agents[m->n].announced)
			m->n++;
	}
}

static void
market_fini(struct market *m)
{
	free(m->agents);
}

static void
each_place(
    const struct market *m, void (*fn)(void *, const struct place *), void *arg)
{
	struct place place = {.prices = m->prices};
	size_t i;

	for (i = 0; i < m->n; i++) {
		place.agent = &m->agents[i];
		for (place.provider = 0;
		     place.provider < place.agent->announce.nproviders;
		     place.provider++)
			fn(arg, &place);
	}
}

/* ---- show models -------------------------------------------------------- */

/* One price entry and the places that serve its model by it. */
struct offer {
	const struct price_entry *entry;
	uint32_t agents;
	uint32_t last_agent; /* id: an agent counts once */
	char provider[32];
	char model[PRICE_NAME_MAX];
};

/* What the provider knows the entry's model as. */
static const char *
model_at(const struct price_entry *e, const struct registry_provider *r)
{
	const char *own = route_behind_prefix(e->name, r->name);

	if (own == NULL)
		own = route_behind_prefix(e->name, r->type);
	return (own != NULL ? own : e->name);
}

static void
offer_place(void *arg, const struct place *p)
{
	struct offer *o = arg;
	const struct registry_provider *r = provider_of(p);
	const char *model = model_at(o->entry, r);

	if (route_price(p->prices, r, model) != o->entry || !serves(p, model))
		return;
	if (p->agent->pub.id == o->last_agent)
		return;
	o->last_agent = p->agent->pub.id;
	o->agents++;
	snprintf(o->model, sizeof(o->model), "%s", model);
	snprintf(o->provider, sizeof(o->provider), "%s", r->type);
}

static void
put_offer(struct jout *j, const struct offer *o)
{
	jout_begin_object(j);
	jout_kstr(j, "model", o->model);
	jout_kstr(j, "provider", o->provider);
	jout_kstr(j, "mode", o->entry->mode);
	jout_kuint(j, "agents", o->agents);
	jout_kstr(j, "price", o->entry->name);
	price_show_rate(j, "input", o->entry, USAGE_input);
	price_show_rate(j, "output", o->entry, USAGE_output);
	jout_end_object(j);
}

void
show_models(const struct shm *shm, struct jout *j)
{
	const struct price_entry *e = NULL;
	struct market m;

	market_init(&m, shm);
	jout_begin_object(j);
	jout_key(j, "models");
	jout_begin_array(j);
	while (m.prices != NULL && (e = price_blob_next(m.prices, e)) != NULL) {
		struct offer o = {.entry = e};

		each_place(&m, offer_place, &o);
		if (o.agents > 0)
			put_offer(j, &o);
	}
	jout_end_array(j);
	jout_end_object(j);
	market_fini(&m);
}

/* Documents made of shared memory: models, their prices, who serves them. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/ctl/ctl.h"
#include "hubd/ctl/show.h"
#include "hubd/price/price.h"

const char *
show_next_glob(
    const struct registry_announce *a, uint32_t provider, const char *last)
{
	const struct registry_provider *p = &a->providers[provider];
	const char *end = a->globs + sizeof(a->globs), *glob = a->globs;
	uint32_t i;

	if (p->globs_at >= sizeof(a->globs))
		return (NULL);
	glob += p->globs_at;
	for (i = 0; i < p->nglobs; i++) {
		if (memchr(glob, '\0', (size_t)(end - glob)) == NULL)
			return (NULL);
		if (last == NULL)
			return (glob);
		if (glob == last)
			last = NULL;
		glob += strlen(glob) + 1;
		if (glob == end)
			return (NULL);
	}
	return (NULL);
}

static bool
announces(
    const struct registry_announce *a, uint32_t provider, const char *model)
{
	const char *glob = NULL;

	while ((glob = show_next_glob(a, provider, glob)) != NULL) {
		if (fnmatch(glob, model, 0) == 0)
			return (true);
	}
	return (false);
}

/* A right is a list of globs with commas; an empty one allows all. */
static bool
allows(const char *list, const char *name)
{
	char glob[192];
	size_t n;

	if (*list == '\0')
		return (true);
	for (; *list != '\0'; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		snprintf(glob, sizeof(glob), "%.*s", (int)n, list);
		if (fnmatch(glob, name, 0) == 0)
			return (true);
	}
	return (false);
}

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

static const struct price_entry *
entry_of(const struct place *p, const char *model)
{
	const struct registry_provider *r = provider_of(p);

	if (p->prices == NULL)
		return (NULL);
	return (price_find(p->prices,
	    span_of(r->name, strnlen(r->name, sizeof(r->name))),
	    span_of(r->type, strnlen(r->type, sizeof(r->type))),
	    span_str(model)));
}

/* Why this place does not serve the model; NULL if it does. */
static const char *
why_not(const struct place *p, const char *model)
{
	const struct agent_view *v = p->agent;

	if (!announces(&v->announce, p->provider, model))
		return ("not announced");
	if (!allows(v->pub.models, model) ||
	    !allows(v->pub.providers, provider_of(p)->name))
		return ("not allowed to this agent");
	if (strcmp(show_agent_state(v), "up") != 0)
		return (show_agent_state(v));
	if (entry_of(p, model) == NULL)
		return ("no price");
	if (v->announce.capacity > 0 && v->calls >= v->announce.capacity)
		return ("full");
	return (NULL);
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

static void
put_rate(struct jout *j, const char *key, const struct price_entry *e,
    enum usage_kind kind)
{
	struct unit_price price;
	char text[AMOUNT_TEXT_MAX];

	if (e == NULL || !price_rate_of(e, kind, TIER_DEFAULT, 0, &price))
		return;
	unit_price_format(price, text);
	jout_kstr(j, key, text);
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

/* "openai/gpt-4o" is the model gpt-4o at openai. */
static const char *
model_at(const struct price_entry *e, const struct registry_provider *r)
{
	const char *slash = strchr(e->name, '/');
	struct span prefix;

	if (slash == NULL)
		return (e->name);
	prefix = span_of(e->name, (size_t)(slash - e->name));
	if (span_eq(prefix, span_str(r->name)) ||
	    span_eq(prefix, span_str(r->type)))
		return (slash + 1);
	return (e->name);
}

static void
offer_place(void *arg, const struct place *p)
{
	struct offer *o = arg;
	const struct registry_provider *r = provider_of(p);
	const char *model = model_at(o->entry, r);

	if (entry_of(p, model) != o->entry || why_not(p, model) != NULL)
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
	put_rate(j, "input", o->entry, USAGE_input);
	put_rate(j, "output", o->entry, USAGE_output);
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

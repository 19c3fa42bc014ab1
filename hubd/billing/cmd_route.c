/* hubctl show routes, explain: by the rules that workers go by. */
#include <stdio.h>

#include "hubd/billing/commands.h"
#include "hubd/route/route.h"

static struct route_rules
rules_of(const struct billing *b)
{
	return ((struct route_rules){
	    .routes = b->conf->routes,
	    .nroutes = b->conf->nroutes,
	    .default_route = b->conf->default_route,
	    .free_unpriced = b->conf->unpriced == UNPRICED_FREE,
	});
}

static void
put_names(struct jout *j, const char *key, const struct conf_list *list)
{
	jout_key(j, key);
	jout_begin_array(j);
	for (size_t i = 0; i < list->n; i++)
		jout_str(j, list->item[i]);
	jout_end_array(j);
}

/* ---- explain ------------------------------------------------------------- */

static void
put_place(void *arg, const struct route_place *p)
{
	struct jout *j = arg;

	jout_begin_object(j);
	jout_kstr(j, "agent", p->agent.name);
	jout_kstr(j, "provider", p->provider->name);
	jout_kstr(j, "type", p->provider->type);
	jout_kstr(j, "model", p->model);
	jout_kuint(j, "stage", p->stage);
	jout_kstr(j, "serves", p->why == NULL ? "yes" : p->why);
	jout_kstr(j, "price", p->entry == NULL ? "" : p->entry->name);
	price_show_rate(j, "input", p->entry, USAGE_input);
	price_show_rate(j, "output", p->entry, USAGE_output);
	jout_kuint(j, "weight", p->provider->weight);
	jout_kuint(j, "calls", p->calls);
	jout_kuint(j, "latency_ms", p->latency_us / 1000);
	jout_kint(j, "cooling_ms", p->cooling_ms);
	jout_kbool(j, "default_route", p->last_resort);
	jout_end_object(j);
}

void
cmd_explain(struct billing *b, const struct json *args, struct reply *r)
{
	const char *model = json_get_str(args, "model");
	const struct route_rules rules = rules_of(b);
	const struct hub_route *route = route_section(&rules, model);

	jout_begin_object(&r->j);
	jout_kstr(&r->j, "model", model);
	if (route != NULL) {
		jout_kstr(&r->j, "route", route->name);
		jout_kstr(
		    &r->j, "strategy", route_strategy_str(route->strategy));
	} else {
		jout_kstr(&r->j, "strategy", route_strategy_str(STRATEGY_LOAD));
	}
	jout_key(&r->j, "candidates");
	jout_begin_array(&r->j);
	route_explain(b->shm, &rules, model, monotime_now(), put_place, &r->j);
	jout_end_array(&r->j);
	jout_end_object(&r->j);
}

/* ---- show routes ----------------------------------------------------------
 */

struct served {
	uint64_t now, in_all;
};

static void
count_place(void *arg, const struct route_place *p)
{
	struct served *s = arg;

	if (!p->last_resort && p->entry != NULL)
		s->in_all++;
	if (!p->last_resort && p->why == NULL)
		s->now++;
}

static void
put_route(struct billing *b, const struct route_rules *rules,
    const struct hub_route *route, struct jout *j)
{
	struct served served = {0};

	route_explain(
	    b->shm, rules, route->name, monotime_now(), count_place, &served);
	jout_begin_object(j);
	jout_kstr(j, "name", route->name);
	put_names(j, "models", &route->models);
	put_names(j, "fallback", &route->fallback);
	jout_kstr(j, "strategy", route_strategy_str(route->strategy));
	jout_kuint(j, "retries", route->retries);
	jout_kint(j, "max_wait_ms", route->max_wait);
	jout_kuint(j, "places", served.in_all);
	jout_kuint(j, "open", served.now);
	jout_end_object(j);
}

void
cmd_show_routes(struct billing *b, const struct json *args, struct reply *r)
{
	const struct route_rules rules = rules_of(b);

	jout_begin_object(&r->j);
	jout_kstr(&r->j, "default_route", rules.default_route);
	jout_key(&r->j, "routes");
	jout_begin_array(&r->j);
	for (size_t i = 0; i < rules.nroutes; i++)
		put_route(b, &rules, &rules.routes[i], &r->j);
	jout_end_array(&r->j);
	jout_end_object(&r->j);
}

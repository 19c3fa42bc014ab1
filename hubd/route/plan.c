/* What a name stands for: routes become stages of models. */
#include "hubd/route/plan.h"

#include <stdbool.h>
#include <string.h>

struct planner {
	struct plan *plan;
	const struct hub_route *routes;
	size_t n;
	uint64_t used; /* routes that are in it: bit i */
	/* Names that are stages of their own, once this one is done. */
	const char *later[PLAN_TARGETS];
	size_t nlater;
};

_Static_assert(HUB_ROUTES <= 64, "a bit a route");

static const struct hub_route *
find(const struct hub_route *routes, size_t n, const char *name, size_t *at)
{
	for (*at = 0; *at < n; (*at)++)
		if (strcmp(routes[*at].name, name) == 0)
			return (&routes[*at]);
	return (NULL);
}

static void
add_target(struct planner *p, const char *model)
{
	struct plan *plan = p->plan;
	size_t i;

	for (i = 0; i < plan->n; i++)
		if (strcmp(plan->target[i].model, model) == 0)
			return;
	if (plan->n < PLAN_TARGETS)
		plan->target[plan->n++] =
		    (struct plan_target){model, plan->stages};
}

static void
add_later(struct planner *p, const struct conf_list *names)
{
	size_t i;

	for (i = 0; i < names->n && p->nlater < PLAN_TARGETS; i++)
		p->later[p->nlater++] = names->item[i];
}

/* A name's models into the stage under way. Each route is taken once, so
 * that the depth is bounded by their number. */
static void
add_name(struct planner *p, const char *name)
{
	const struct hub_route *route;
	size_t at, i;

	route = find(p->routes, p->n, name, &at);
	if (route == NULL || (p->used & UINT64_C(1) << at) != 0) {
		add_target(p, name);
		return;
	}
	p->used |= UINT64_C(1) << at;
	for (i = 0; i < route->models.n; i++)
		add_name(p, route->models.item[i]);
	add_later(p, &route->fallback);
}

void
plan_append(struct plan *plan, const struct hub_route *routes, size_t n,
    const char *name)
{
	struct planner p = {.plan = plan, .routes = routes, .n = n};
	size_t next = 0, before;

	p.later[p.nlater++] = name;
	while (next < p.nlater) {
		before = plan->n;
		add_name(&p, p.later[next++]);
		if (plan->n > before && plan->stages < ROUTE_STAGES - 1)
			plan->stages++;
	}
}

void
plan_make(struct plan *plan, const struct hub_route *routes, size_t n,
    const char *name)
{
	size_t at;

	memset(plan, 0, sizeof(*plan));
	plan->route = find(routes, n, name, &at);
	plan_append(plan, routes, n, name);
}

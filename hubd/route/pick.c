/* Which of a route's candidates is asked next. */
#include "common/ids.h"
#include "hubd/route/route.h"

/* A candidate that may be picked, and what decides between them. */
struct option {
	uint32_t i; /* its index */
	uint32_t load, latency_us;
	monotime_t cool_until;
};

struct field {
	const struct route *route;
	struct option option[ROUTE_CANDIDATES];
	uint32_t n;
};

static const struct candidate *
of(const struct field *f, const struct option *o)
{
	return (&f->route->c[o->i]);
}

static void
gather(const struct shm *shm, const struct route *route, uint32_t tried,
    struct field *f, bool *full)
{
	for (uint32_t i = 0; i < route->n; i++) {
		const struct candidate *c = &route->c[i];
		uint32_t load;

		if (tried & (UINT32_C(1) << i))
			continue;
		load = registry_load(shm, c->agent_row);
		if (c->capacity > 0 && load >= c->capacity) {
			*full = true;
			continue;
		}
		f->option[f->n++] = (struct option){.i = i, .load = load};
	}
}

/* Keeps those for which keep() holds, if there is one. */
static void
narrow(struct field *f,
    bool (*keep)(const struct field *, const struct option *, const void *),
    const void *arg)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n; i++)
		if (keep(f, &f->option[i], arg))
			f->option[n++] = f->option[i];
	if (n > 0)
		f->n = n;
}

static bool
is_warm(const struct field *f, const struct option *o, const void *now)
{
	return (monotime_reached(o->cool_until, *(const monotime_t *)now));
}

static bool
is_of_stage(const struct field *f, const struct option *o, const void *stage)
{
	return (of(f, o)->stage == *(const uint8_t *)stage);
}

static bool
has_latency(const struct field *f, const struct option *o, const void *us)
{
	return (o->latency_us == *(const uint32_t *)us);
}

static bool
has_rank(const struct field *f, const struct option *o, const void *rank)
{
	return (of(f, o)->rank.n == *(const int64_t *)rank);
}

/* Those that cool are left, if nobody else is: the first to be warm. */
static bool
is_first_warm(const struct field *f, const struct option *o, const void *arg)
{
	return (o->cool_until.ns <= *(const int64_t *)arg);
}

static void
pass_over_cooling(const struct shm *shm, struct field *f, monotime_t now)
{
	int64_t first = INT64_MAX;

	for (uint32_t i = 0; i < f->n; i++) {
		struct option *o = &f->option[i];

		o->cool_until = registry_cool_until(
		    shm, of(f, o)->agent_row, of(f, o)->provider_at);
		if (o->cool_until.ns < first)
			first = o->cool_until.ns;
	}
	if (first > now.ns)
		narrow(f, is_first_warm, &first);
	else
		narrow(f, is_warm, &now);
}

static void
keep_stage(struct field *f)
{
	uint8_t least = UINT8_MAX;

	for (uint32_t i = 0; i < f->n; i++)
		if (of(f, &f->option[i])->stage < least)
			least = of(f, &f->option[i])->stage;
	narrow(f, is_of_stage, &least);
}

/* Who has not been asked yet counts as the fastest, to become known. */
static void
keep_fastest(const struct shm *shm, struct field *f)
{
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < f->n; i++) {
		struct option *o = &f->option[i];

		o->latency_us = registry_latency(
		    shm, of(f, o)->agent_row, of(f, o)->provider_at);
		if (o->latency_us < least)
			least = o->latency_us;
	}
	narrow(f, has_latency, &least);
}

static void
keep_cheapest(struct field *f)
{
	int64_t least = INT64_MAX;

	for (uint32_t i = 0; i < f->n; i++)
		if (of(f, &f->option[i])->rank.n < least)
			least = of(f, &f->option[i])->rank.n;
	narrow(f, has_rank, &least);
}

/* a before b: fewer calls for its weight. */
static bool
less_loaded(
    const struct field *f, const struct option *a, const struct option *b)
{
	return ((uint64_t)(a->load + 1) * of(f, b)->weight <
		(uint64_t)(b->load + 1) * of(f, a)->weight);
}

static uint32_t
less_loaded_of_two(const struct field *f)
{
	uint32_t a = random_below(f->n), b;

	if (f->n == 1)
		return (a);
	b = (a + 1 + random_below(f->n - 1)) % f->n;
	return (less_loaded(f, &f->option[b], &f->option[a]) ? b : a);
}

int
route_pick(const struct shm *shm, const struct route *route, monotime_t now,
    uint32_t *tried, bool *full)
{
	struct field f = {.route = route};
	uint32_t i;

	gather(shm, route, *tried, &f, full);
	if (f.n == 0)
		return (-1);
	if (f.n > 1) {
		pass_over_cooling(shm, &f, now);
		keep_stage(&f);
		if (route->strategy == STRATEGY_LATENCY)
			keep_fastest(shm, &f);
		else if (route->strategy == STRATEGY_PRICE)
			keep_cheapest(&f);
	}
	i = f.option[less_loaded_of_two(&f)].i;
	*tried |= UINT32_C(1) << i;
	return ((int)i);
}

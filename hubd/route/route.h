/*
 * Where a request may go: the candidates for a model and a dialect, from the
 * registry, the agents' rights and the prices in force. A route is made once
 * for both and used until any of these changes; who holds one pins the prices
 * in it, whatever is published meanwhile.
 */
#ifndef HUBD_ROUTE_ROUTE_H
#define HUBD_ROUTE_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "hubd/api/api.h"
#include "hubd/price/price.h"
#include "shm/process.h"
#include "shm/pubtab.h"
#include "shm/registry.h"

#define ROUTE_CANDIDATES 32 /* bits of a mask */

struct candidate {
	uint32_t agent_row, agent_id;
	uint32_t capacity, weight;
	char provider[32];		 /* section name at the agent */
	char type[16];			 /* of that section */
	char model[PRICE_NAME_MAX];	 /* as the provider knows it */
	const struct price_entry *entry; /* NULL: free */
	uint32_t price_at;		 /* its offset in the version's blob */
};

struct route {
	unsigned refs;
	char model[PRICE_NAME_MAX]; /* as asked for */
	enum dialect dialect;
	uint64_t registry_version, keys_version, price_version;
	enum api_error error; /* why there is no candidate */
	uint32_t n, nentries;
	struct candidate c[ROUTE_CANDIDATES];
	struct price_entry *entries[ROUTE_CANDIDATES]; /* owned copies */
};

struct router; /* one process's cache of routes */

struct router *router_new(const struct shm *);
void router_free(struct router *); /* NULL is fine */
/* default_route: a model name or NULL; free_unpriced: conf's unpriced. */
void router_configure(
    struct router *, const char *default_route, bool free_unpriced);

/*
 * The route of a model, with a reference for the caller. With n = 0, error
 * says why: API_ERR_model_not_found (unknown or unpriced, and the default
 * route has nothing either), API_ERR_no_agent (priced, but nobody serves it)
 * or API_ERR_wrong_api (served, but by no provider that speaks the dialect).
 */
struct route *router_find(struct router *, const char *model, enum dialect);
void route_unref(struct route *); /* NULL is fine */

/*
 * Who may hold an object: every provider that speaks the dialect and can be
 * reached, or only that section of that agent (0: any). No models, no
 * prices. With n = 0, error is API_ERR_no_agent. The reference is the
 * caller's.
 */
struct route *router_holders(
    struct router *, enum dialect, uint32_t agent, const char *provider);
/* A mask of candidates that are not that section of that agent. */
uint32_t route_others(const struct route *, uint32_t agent, const char *provider);

/*
 * Picks a candidate not in the mask *tried and enters it there (bit i:
 * candidate i): the less loaded of two taken at random. Full agents are
 * passed over. -1: none left; *full tells whether one was only full.
 */
int route_pick(
    const struct shm *, const struct route *, uint32_t *tried, bool *full);

/*
 * Does any live agent offer the model of that entry, at a provider that
 * speaks the dialect? DIALECT_COUNT: at any. For lists of models.
 */
bool route_offers(const struct shm *, const struct price_entry *, enum dialect);
/* Does a provider of that type speak the dialect? */
bool route_speaks(const char *type, enum dialect);

/* The dearest hold over all candidates. */
nanousd_t route_hold(
    const struct route *, enum service_tier, const struct usage *bound);

#endif

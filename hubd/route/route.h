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

#include "common/monotime.h"
#include "hubd/api/api.h"
#include "hubd/hub_conf.h"
#include "hubd/price/price.h"
#include "shm/process.h"
#include "shm/pubtab.h"
#include "shm/registry.h"

#define ROUTE_CANDIDATES 32 /* bits of a mask */
#define ROUTE_STAGES	 8

struct candidate {
	uint32_t agent_row, agent_id;
	uint32_t provider_at; /* its place in the announcement */
	uint32_t capacity, weight;
	uint8_t stage;			 /* 0 first, then fallbacks */
	char provider[32];		 /* section name at the agent */
	char type[16];			 /* of that section */
	char model[PRICE_NAME_MAX];	 /* as the provider knows it */
	const struct price_entry *entry; /* NULL: free */
	uint32_t price_at;		 /* its offset in the version's blob */
	nanousd_t rank;			 /* what 1,000 tokens in and out cost */
};

struct route {
	unsigned refs;
	char model[PRICE_NAME_MAX]; /* as asked for */
	enum dialect dialect;
	uint64_t registry_version, keys_version, price_version;
	bool named;	      /* there is a section of that name */
	bool known;	      /* somebody offers it, or it has a price */
	enum api_error error; /* why there is no candidate */
	enum route_strategy strategy;
	uint32_t retries; /* of the section, if named */
	int64_t max_wait; /* ms; of the section, if named */
	uint32_t n, nentries;
	struct candidate c[ROUTE_CANDIDATES];
	struct price_entry *entries[ROUTE_CANDIDATES]; /* owned copies */
};

struct router; /* one process's cache of routes */

/* What the configuration says; kept by pointer until the next. */
struct route_rules {
	const struct hub_route *routes;
	size_t nroutes;
	const char *default_route; /* a model's or route's name; NULL: none */
	bool free_unpriced;
};

struct router *router_new(const struct shm *);
void router_free(struct router *); /* NULL is fine */
void router_configure(struct router *, const struct route_rules *);

/*
 * The route of a name that a user asks for, with a reference for the caller.
 * With n = 0, error says why: API_ERR_model_not_found (unknown or unpriced,
 * and the default route has nothing either), API_ERR_no_agent (priced, but
 * nobody serves it) or API_ERR_wrong_api (served, but by no provider that
 * speaks the dialect).
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
uint32_t route_others(
    const struct route *, uint32_t agent, const char *provider);

/*
 * Picks a candidate not in the mask *tried and enters it there (bit i:
 * candidate i): of the first stage that has one, by the route's strategy,
 * the less loaded of two at random where that does not decide. Full agents
 * are passed over; providers that cool down come last, the one whose time
 * is over first. -1: none left; *full tells whether one was only full.
 */
int route_pick(const struct shm *, const struct route *, monotime_t now,
    uint32_t *tried, bool *full);

/* ---- how candidates do (cooldown.c) ---------------------------------------
 */

enum route_result {
	ROUTE_ANSWERED, /* whatever the user asked for, it works */
	ROUTE_LIMITED,	/* 429, or overloaded: it asks to be left alone */
	ROUTE_FAILED,	/* no connection, broken off, 5xx, too slow */
	ROUTE_REFUSED,	/* the agent's credentials were refused */
};

/*
 * Notes how an attempt went, for all workers: after a first byte within
 * first_us, or a failure. A provider that fails is left alone for a while:
 * at once where it asked for that (retry_ms, -1: it did not) or the
 * credentials are bad, else after three failures in a row; a second at
 * first, twice that each time, a minute at most.
 */
void route_note(const struct shm *, process_ref_t me, const struct candidate *,
    enum route_result, monotime_t now, int64_t first_us, int64_t retry_ms);

/* ---- for people ------------------------------------------------------------
 */

/* One provider of one agent, for one of the models that a name stands for. */
struct route_place {
	const char *target; /* of the plan */
	const char *model;  /* as the provider knows it */
	unsigned stage;
	bool last_resort; /* it is there by the default route alone */
	struct pub_agent agent;
	const struct registry_provider *provider;
	const struct price_entry *entry; /* NULL: no price */
	const char *why; /* it gets no request now; NULL: it may */
	uint32_t calls, latency_us;
	int64_t cooling_ms; /* 0: it does not */
};

const char *route_strategy_str(enum route_strategy);
/* The section of that name, or NULL. */
const struct hub_route *route_section(
    const struct route_rules *, const char *name);
/*
 * Tells of every place that might serve a name, in the order of the stages,
 * and why it does or does not. Pointers live during the call.
 */
void route_explain(const struct shm *, const struct route_rules *,
    const char *name, monotime_t now,
    void (*fn)(void *arg, const struct route_place *), void *arg);

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

/* All hubs, and the addresses of their names. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/link.h"
#include "agentd/lookup.h"
#include "agentd/uplink.h"
#include "agentd/uplink_private.h"
#include "common/alloc.h"
#include "common/ids.h"
#include "common/log.h"

#define LOOKUP_MS      30000 /* a name is looked up again after that... */
#define LOOKUP_SOON_MS 2000  /* ... or so soon after a link has failed */
#define BACKOFF_MS     32000 /* of a name that has no address */

struct hub {
	struct uplinks *all;
	char *url;
	char *name; /* to look up; NULL: the URL has an address */
	struct lookup *lookup;
	struct loop_timer *timer; /* of the next look-up */
	monotime_t looked_at;
	uint32_t backoff_ms;
	LIST_HEAD(, way) ways;
};

struct uplinks {
	struct agent *agent;
	struct hub *hub;
	size_t n;
	uint32_t links; /* of a way */
	uint32_t live;	/* links of any kind */
	bool draining;
	void (*done)(struct agent *);
	struct loop_work done_work;
};

static void look_up(void *);

/* ---- ways --------------------------------------------------------------- */

struct agent *
way_agent(const struct way *way)
{
	return (way->hub->all->agent);
}

const char *
way_url(const struct way *way)
{
	return (way->hub->url);
}

/* NULL: the only way there is. */
static void
way_new(struct hub *h, const struct lookup_address *a)
{
	struct way *way = xcalloc(1, sizeof(*way));
	uint32_t i;

	way->hub = h;
	if (a != NULL) {
		way->address = xstrdup(a->text);
		way->ipv6 = a->ipv6;
	}
	way->label = a == NULL ? xstrdup(h->url)
			       : xasprintf("%s at %s", h->url, a->text);
	way->n = h->all->links;
	way->uplink = xcalloc(way->n, sizeof(*way->uplink));
	LIST_INSERT_HEAD(&h->ways, way, entry);
	for (i = 0; i < way->n; i++)
		uplink_start(&way->uplink[i], way);
}

static void
way_dispose(void *p)
{
	struct way *way = p;
	uint32_t i;

	for (i = 0; i < way->n; i++)
		uplink_end(&way->uplink[i]);
	free(way->uplink);
	free(way->address);
	free(way->label);
	free(way);
}

static void
way_gone(struct way *way)
{
	LIST_REMOVE(way, entry);
	loop_dispose_later(way_agent(way)->loop, way_dispose, way);
}

/* The links finish their calls, and the way goes with the last. */
static void
way_leave(struct way *way)
{
	uint32_t i;

	way->leaving = true;
	for (i = 0; i < way->n; i++)
		uplink_drain(&way->uplink[i]);
	if (way->live == 0 && !way->hub->all->draining)
		way_gone(way);
}

static bool
named_is_up(const struct hub *h)
{
	const struct way *way;

	LIST_FOREACH (way, &h->ways, entry)
		if (way->live > 0 && !way->leaving && !way->unnamed)
			break;
	return (way != NULL);
}

/* What the name has no more serves until something that it has is up: the
 * answer may be a wrong one, and dialling takes its time. */
static void
leave_unnamed(struct hub *h)
{
	struct way *way, *next;
	bool others = named_is_up(h);

	for (way = LIST_FIRST(&h->ways); way != NULL; way = next) {
		next = LIST_NEXT(way, entry);
		if (way->leaving || !way->unnamed || (way->live > 0 && !others))
			continue;
		log_info("%s: no address of it any more", way->label);
		way_leave(way);
	}
}

static void
leave_family(struct hub *h, bool ipv6)
{
	struct way *way, *next;

	for (way = LIST_FIRST(&h->ways); way != NULL; way = next) {
		next = LIST_NEXT(way, entry);
		if (way->ipv6 == ipv6 && !way->leaving)
			way_leave(way);
	}
}

/*
 * IPv4 and IPv6 addresses are two ways to the same hubs, which would take
 * links by both for one dialled anew, and end the first. All are dialled,
 * and when one is up those of the other family are left.
 */
void
way_up(struct way *way)
{
	way->live++;
	way->hub->all->live++;
	if (way->unnamed)
		return;
	leave_family(way->hub, !way->ipv6);
	leave_unnamed(way->hub);
}

void
way_down(struct way *way)
{
	struct uplinks *all = way->hub->all;

	assert(way->live > 0 && all->live > 0);
	way->live--;
	if (--all->live == 0 && all->done != NULL)
		loop_defer(all->agent->loop, &all->done_work);
	if (way->live > 0 || all->draining)
		return;
	if (way->leaving)
		way_gone(way);
	else if (way->unnamed)
		leave_unnamed(way->hub);
}

void
way_failed(struct way *way)
{
	struct hub *h = way->hub;
	int64_t age;

	if (h->name == NULL || h->lookup != NULL || h->all->draining)
		return;
	age = monotime_diff_ms(monotime_now(), h->looked_at);
	loop_timer_set_ms(
	    h->timer, age < LOOKUP_SOON_MS ? LOOKUP_SOON_MS - age : 0);
}

/* ---- names -------------------------------------------------------------- */

static const struct way *
way_that_is_up(const struct hub *h)
{
	const struct way *way;

	LIST_FOREACH (way, &h->ways, entry)
		if (way->live > 0 && !way->leaving)
			break;
	return (way);
}

/*
 * While a way is up, only addresses of its family count, if there are any:
 * see way_up(). How many are left, in place.
 */
static size_t
one_family(const struct hub *h, struct lookup_address *a, size_t n)
{
	const struct way *up = way_that_is_up(h);
	size_t i, kept = 0;

	if (up == NULL)
		return (n);
	for (i = 0; i < n; i++)
		kept += a[i].ipv6 == up->ipv6;
	if (kept == 0)
		return (n);
	for (i = kept = 0; i < n; i++)
		if (a[i].ipv6 == up->ipv6)
			a[kept++] = a[i];
	return (kept);
}

static struct way *
find_way(struct hub *h, const char *address)
{
	struct way *way;

	LIST_FOREACH (way, &h->ways, entry)
		if (!way->leaving && strcmp(way->address, address) == 0)
			break;
	return (way);
}

static bool
names(const struct lookup_address *a, size_t n, const char *address)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(a[i].text, address) == 0)
			return (true);
	return (false);
}

static void
take_addresses(struct hub *h, const struct lookup_address *a, size_t n)
{
	struct way *way;
	size_t i;

	LIST_FOREACH (way, &h->ways, entry)
		way->unnamed = !names(a, n, way->address);
	for (i = 0; i < n; i++)
		if (find_way(h, a[i].text) == NULL)
			way_new(h, &a[i]);
	leave_unnamed(h);
}

/* A name that cannot be looked up just now keeps the ways it has. */
static void
on_addresses(
    void *arg, const struct lookup_address *found, size_t n, const char *why)
{
	struct lookup_address a[LOOKUP_MAX];
	struct hub *h = arg;

	h->lookup = NULL;
	h->looked_at = monotime_now();
	if (n == 0) {
		log_warnx("cannot look up %s: %s", h->name, why);
		loop_timer_set_ms(h->timer, random_below(h->backoff_ms + 1));
		if (h->backoff_ms < BACKOFF_MS)
			h->backoff_ms *= 2;
		return;
	}
	h->backoff_ms = 1000;
	memcpy(a, found, n * sizeof(*a));
	take_addresses(h, a, one_family(h, a, n));
	loop_timer_set_ms(h->timer, LOOKUP_MS);
}

static void
look_up(void *arg)
{
	struct hub *h = arg;

	if (h->lookup != NULL || h->all->draining)
		return;
	h->lookup = lookup_start(h->all->agent->loop, h->name, on_addresses, h);
	if (h->lookup == NULL)
		loop_timer_set_ms(h->timer, LOOKUP_MS);
}

/* ---- hubs --------------------------------------------------------------- */

/* NULL: an address. */
static char *
name_of(const char *url)
{
	const char *host = strstr(url, "://") + 3;
	size_t n = strcspn(host, ":/");

	if (*host == '[' || strspn(host, "0123456789.") >= n)
		return (NULL);
	return (xmemdup0(host, n));
}

/* Behind a proxy names are the proxy's matter. */
static void
hub_start(struct hub *h, struct uplinks *all, const char *url)
{
	h->all = all;
	h->url = xstrdup(url);
	h->backoff_ms = 1000;
	LIST_INIT(&h->ways);
	h->timer = loop_timer_new(all->agent->loop, look_up, h);
	if (all->agent->conf->proxy == NULL)
		h->name = name_of(url);
	if (h->name == NULL)
		way_new(h, NULL);
	else
		look_up(h);
}

static void
hub_end(struct hub *h)
{
	struct way *way;

	lookup_cancel(h->lookup);
	loop_timer_free(h->timer);
	while ((way = LIST_FIRST(&h->ways)) != NULL) {
		LIST_REMOVE(way, entry);
		way_dispose(way);
	}
	free(h->name);
	free(h->url);
}

/* ---- all of them -------------------------------------------------------- */

static void
on_done(void *arg)
{
	struct uplinks *all = arg;

	all->done(all->agent);
}

struct uplinks *
uplinks_new(struct agent *a)
{
	struct uplinks *all = xcalloc(1, sizeof(*all));
	size_t i;

	all->agent = a;
	all->n = a->conf->hubs.n;
	all->links = a->conf->links;
	all->hub = xcalloc(all->n, sizeof(*all->hub));
	all->done_work = (struct loop_work){.fn = on_done, .arg = all};
	for (i = 0; i < all->n; i++)
		hub_start(&all->hub[i], all, a->conf->hubs.item[i]);
	return (all);
}

void
uplinks_free(struct uplinks *all)
{
	size_t i;

	if (all == NULL)
		return;
	all->draining = true;
	for (i = 0; i < all->n; i++)
		hub_end(&all->hub[i]);
	loop_work_cancel(&all->done_work);
	free(all->hub);
	free(all);
}

/* fn for every uplink there is. */
static void
each(const struct uplinks *all, void (*fn)(struct uplink *, void *), void *arg)
{
	struct way *way;
	size_t i;
	uint32_t k;

	for (i = 0; i < all->n; i++)
		LIST_FOREACH (way, &all->hub[i].ways, entry)
			for (k = 0; k < way->n; k++)
				fn(&way->uplink[k], arg);
}

static void
announce(struct uplink *u, void *arg)
{
	(void)arg;
	if (u->link != NULL)
		link_announce(u->link);
}

void
uplinks_announce(struct uplinks *all)
{
	each(all, announce, NULL);
}

static void
hasten(struct uplink *u, void *arg)
{
	(void)arg;
	uplink_hasten(u);
}

static void
drain(struct uplink *u, void *arg)
{
	(void)arg;
	u->way->leaving = true;
	uplink_drain(u);
}

void
uplinks_retry(struct uplinks *all)
{
	size_t i;

	for (i = 0; i < all->n; i++)
		if (all->hub[i].name != NULL)
			look_up(&all->hub[i]);
	each(all, hasten, NULL);
}

void
uplinks_drain(struct uplinks *all, void (*done)(struct agent *))
{
	size_t i;

	all->draining = true;
	all->done = done;
	for (i = 0; i < all->n; i++) {
		lookup_cancel(all->hub[i].lookup);
		all->hub[i].lookup = NULL;
		loop_timer_clear(all->hub[i].timer);
	}
	each(all, drain, NULL);
	if (all->live == 0)
		loop_defer(all->agent->loop, &all->done_work);
}

void
uplinks_count(const struct uplinks *all, uint32_t *up, uint32_t *wanted)
{
	const struct way *way;
	uint32_t k, ways;
	size_t i;

	*up = *wanted = 0;
	for (i = 0; i < all->n; i++) {
		ways = 0;
		LIST_FOREACH (way, &all->hub[i].ways, entry) {
			for (k = 0; k < way->n; k++)
				*up += way->uplink[k].link != NULL;
			ways += !way->leaving;
		}
		*wanted += (ways == 0 ? 1 : ways) * all->links;
	}
}

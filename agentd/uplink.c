/* Keeping links up: back-off, replacement, draining. */
#include "agentd/uplink.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "agentd/dial.h"
#include "agentd/link.h"
#include "common/alloc.h"
#include "common/ids.h"
#include "common/log.h"

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 32000
#define STABLE_MS      60000 /* a link this old resets the back-off */
#define AGE_SPREAD     10    /* per cent, so that not all go at once */
#define HANDOVER_MS    1000  /* until the hub routes to the new link */

/* An old link that finishes its calls while another takes its place. */
struct retired {
	LIST_ENTRY(retired) entry;
	struct link *link;
	struct loop_timer *timer; /* when it takes no more */
};

struct uplink {
	struct uplinks *all;
	char *url;
	struct link *link; /* the current one; NULL: down */
	bool replace;	   /* the current one is to be drained */
	struct dial *dial;
	struct loop_timer *timer; /* of the next dial, or of the age */
	uint32_t backoff_ms;
	monotime_t up_at;
	LIST_HEAD(, retired) retired;
};

struct uplinks {
	struct agent *agent;
	struct uplink *uplink;
	size_t n;
	uint32_t live; /* links of any kind */
	bool draining;
	void (*done)(struct agent *);
	struct loop_work done_work;
};

static void on_dialled(void *, struct conn *, const char *);
static void on_down(void *, struct link *, const char *);
static void on_goaway(void *, struct link *);

static const struct link_owner owner = {on_down, on_goaway};

static void
dial_now(struct uplink *u)
{
	const struct agent_conf *conf = u->all->agent->conf;
	struct dial_options o = {
	    .url = u->url,
	    .token = conf->token,
	    .proxy = conf->proxy,
	    .ca_file = conf->ca_file,
	    .slot = (unsigned)(u - u->all->uplink) % conf->links,
	};

	if (u->all->draining || u->dial != NULL)
		return;
	loop_timer_clear(u->timer);
	u->dial = dial_start(
	    u->all->agent->loop, u->all->agent->tunnels, &o, on_dialled, u);
}

/* Full jitter: anywhere between now and the back-off. */
static void
dial_later(struct uplink *u)
{
	if (u->all->draining || u->dial != NULL)
		return;
	loop_timer_set_ms(u->timer, random_below(u->backoff_ms + 1));
	if (u->backoff_ms < BACKOFF_MAX_MS)
		u->backoff_ms *= 2;
}

static void
on_timer(void *arg)
{
	struct uplink *u = arg;

	if (u->link != NULL && !u->replace) {
		log_info("link to %s is old: replacing it", u->url);
		u->replace = true;
	}
	dial_now(u);
}

static void
count_down(struct uplinks *all)
{
	assert(all->live > 0);
	if (--all->live == 0 && all->done != NULL)
		loop_defer(all->agent->loop, &all->done_work);
}

static void
on_done(void *arg)
{
	struct uplinks *all = arg;

	all->done(all->agent);
}

/* ---- links -------------------------------------------------------------- */

static void
on_handed_over(void *arg)
{
	struct retired *r = arg;

	link_drain(r->link);
}

/* The current link becomes one that only finishes: after a while, in which
 * the hub gets to know its successor, or there would be none to call on. */
static void
retire(struct uplink *u, int64_t ms)
{
	struct retired *r;
	struct link *old = u->link;

	if (old == NULL)
		return;
	r = xcalloc(1, sizeof(*r));
	r->link = old;
	LIST_INSERT_HEAD(&u->retired, r, entry);
	u->link = NULL;
	r->timer = loop_timer_new(u->all->agent->loop, on_handed_over, r);
	loop_timer_set_ms(r->timer, ms);
}

static bool
forget_retired(struct uplink *u, struct link *link)
{
	struct retired *r;

	LIST_FOREACH (r, &u->retired, entry)
		if (r->link == link)
			break;
	if (r == NULL)
		return (false);
	LIST_REMOVE(r, entry);
	loop_timer_free(r->timer);
	free(r);
	return (true);
}

static int64_t
next_age(const struct uplink *u)
{
	int64_t age = u->all->agent->conf->link_max_age_ms;

	return (age - age * random_below(AGE_SPREAD + 1) / 100);
}

static void
on_dialled(void *arg, struct conn *conn, const char *why)
{
	struct uplink *u = arg;

	u->dial = NULL;
	if (conn == NULL) {
		log_warnx("cannot link to %s: %s", u->url, why);
		dial_later(u);
		return;
	}
	retire(u, HANDOVER_MS);
	u->replace = false;
	u->link = link_new(u->all->agent, conn, &owner, u);
	u->all->live++;
	u->up_at = monotime_now();
	loop_timer_set_ms(u->timer, next_age(u));
	log_info("link to %s is up", u->url);
}

static void
on_down(void *arg, struct link *link, const char *why)
{
	struct uplink *u = arg;

	log_info("link to %s is down: %s", u->url, why);
	if (link == u->link) {
		u->link = NULL;
		u->replace = false;
		if (monotime_diff_ms(monotime_now(), u->up_at) >= STABLE_MS)
			u->backoff_ms = BACKOFF_MIN_MS;
		dial_later(u);
	} else if (!forget_retired(u, link)) {
		log_errx("an unknown link is down");
	}
	count_down(u->all);
}

static void
on_goaway(void *arg, struct link *link)
{
	struct uplink *u = arg;

	if (link != u->link || u->replace)
		return;
	log_info("the hub at %s takes leave: linking anew", u->url);
	u->replace = true;
	dial_later(u);
}

/* ---- all of them -------------------------------------------------------- */

struct uplinks *
uplinks_new(struct agent *a)
{
	struct uplinks *all = xcalloc(1, sizeof(*all));
	struct uplink *u;
	size_t i;

	all->agent = a;
	all->n = a->conf->hubs.n * a->conf->links;
	all->uplink = xcalloc(all->n, sizeof(*all->uplink));
	all->done_work = (struct loop_work){.fn = on_done, .arg = all};
	for (i = 0; i < all->n; i++) {
		u = &all->uplink[i];
		u->all = all;
		u->url = xstrdup(a->conf->hubs.item[i % a->conf->hubs.n]);
		u->backoff_ms = BACKOFF_MIN_MS;
		u->timer = loop_timer_new(a->loop, on_timer, u);
		LIST_INIT(&u->retired);
		dial_now(u);
	}
	return (all);
}

static void
uplink_stop(struct uplink *u)
{
	dial_cancel(u->dial);
	u->dial = NULL;
	loop_timer_clear(u->timer);
}

void
uplinks_free(struct uplinks *all)
{
	struct retired *r;
	struct uplink *u;
	size_t i;

	if (all == NULL)
		return;
	all->draining = true;
	for (i = 0; i < all->n; i++) {
		u = &all->uplink[i];
		uplink_stop(u);
		if (u->link != NULL)
			link_close(u->link, "agentd ends");
		while ((r = LIST_FIRST(&u->retired)) != NULL)
			link_close(r->link, "agentd ends");
		loop_timer_free(u->timer);
		free(u->url);
	}
	loop_work_cancel(&all->done_work);
	free(all->uplink);
	free(all);
}

void
uplinks_announce(struct uplinks *all)
{
	size_t i;

	for (i = 0; i < all->n; i++)
		if (all->uplink[i].link != NULL)
			link_announce(all->uplink[i].link);
}

void
uplinks_drain(struct uplinks *all, void (*done)(struct agent *))
{
	struct retired *r;
	size_t i;

	all->draining = true;
	all->done = done;
	for (i = 0; i < all->n; i++) {
		uplink_stop(&all->uplink[i]);
		retire(&all->uplink[i], 0);
		LIST_FOREACH (r, &all->uplink[i].retired, entry)
			loop_timer_set_ms(r->timer, 0);
	}
	if (all->live == 0)
		loop_defer(all->agent->loop, &all->done_work);
}

void
uplinks_count(const struct uplinks *all, uint32_t *up, uint32_t *wanted)
{
	size_t i;

	*up = 0;
	*wanted = (uint32_t)all->n;
	for (i = 0; i < all->n; i++)
		if (all->uplink[i].link != NULL)
			(*up)++;
}

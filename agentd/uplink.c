/* Keeping a link up: back-off, replacement, draining. */
#include "agentd/uplink_private.h"

#include <stdlib.h>

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

static void on_dialled(void *, struct conn *, const char *);
static void on_down(void *, struct link *, const char *);
static void on_goaway(void *, struct link *);

static const struct link_owner owner = {on_down, on_goaway};

static void
dial_now(struct uplink *u)
{
	struct agent *a = way_agent(u->way);
	struct dial_options o = {
	    .url = way_url(u->way),
	    .token = a->conf->token,
	    .proxy = a->conf->proxy,
	    .ca_file = a->conf->ca_file,
	    .address = u->way->address,
	    .slot = (unsigned)(u - u->way->uplink),
	};

	if (u->way->leaving || u->dial != NULL)
		return;
	loop_timer_clear(u->timer);
	u->dial = dial_start(a->loop, a->tunnels, &o, on_dialled, u);
}

/* Full jitter: anywhere between now and the back-off. */
static void
dial_later(struct uplink *u)
{
	if (u->way->leaving || u->dial != NULL)
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
		log_info("link to %s is old: replacing it", u->way->label);
		u->replace = true;
	}
	dial_now(u);
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
	r->timer = loop_timer_new(way_agent(u->way)->loop, on_handed_over, r);
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
	int64_t age = way_agent(u->way)->conf->link_max_age_ms;

	return (age - age * random_below(AGE_SPREAD + 1) / 100);
}

static void
on_dialled(void *arg, struct conn *conn, const char *why)
{
	struct uplink *u = arg;

	u->dial = NULL;
	if (conn == NULL) {
		log_warnx("cannot link to %s: %s", u->way->label, why);
		dial_later(u);
		way_failed(u->way);
		return;
	}
	retire(u, HANDOVER_MS);
	u->replace = false;
	u->link = link_new(way_agent(u->way), conn, &owner, u);
	way_up(u->way);
	u->up_at = monotime_now();
	loop_timer_set_ms(u->timer, next_age(u));
	log_info("link to %s is up", u->way->label);
}

static void
on_down(void *arg, struct link *link, const char *why)
{
	struct uplink *u = arg;

	log_info("link to %s is down: %s", u->way->label, why);
	if (link == u->link) {
		u->link = NULL;
		u->replace = false;
		if (monotime_diff_ms(monotime_now(), u->up_at) >= STABLE_MS)
			u->backoff_ms = BACKOFF_MIN_MS;
		dial_later(u);
		way_failed(u->way);
	} else if (!forget_retired(u, link)) {
		log_errx("an unknown link is down");
	}
	way_down(u->way);
}

static void
on_goaway(void *arg, struct link *link)
{
	struct uplink *u = arg;

	if (link != u->link || u->replace)
		return;
	log_info("the hub at %s takes leave: linking anew", u->way->label);
	u->replace = true;
	dial_later(u);
}

/* ---- the whole ---------------------------------------------------------- */

void
uplink_start(struct uplink *u, struct way *way)
{
	u->way = way;
	u->backoff_ms = BACKOFF_MIN_MS;
	u->timer = loop_timer_new(way_agent(way)->loop, on_timer, u);
	LIST_INIT(&u->retired);
	dial_now(u);
}

void
uplink_hasten(struct uplink *u)
{
	if (u->link != NULL && !u->replace)
		return;
	u->backoff_ms = BACKOFF_MIN_MS;
	dial_now(u);
}

static void
stop(struct uplink *u)
{
	dial_cancel(u->dial);
	u->dial = NULL;
	loop_timer_clear(u->timer);
}

void
uplink_drain(struct uplink *u)
{
	struct retired *r;

	stop(u);
	retire(u, 0);
	LIST_FOREACH (r, &u->retired, entry)
		loop_timer_set_ms(r->timer, 0);
}

void
uplink_end(struct uplink *u)
{
	struct retired *r;

	stop(u);
	if (u->link != NULL)
		link_close(u->link, "agentd ends");
	while ((r = LIST_FIRST(&u->retired)) != NULL)
		link_close(r->link, "agentd ends");
	loop_timer_free(u->timer);
}

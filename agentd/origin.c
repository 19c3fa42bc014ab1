/* Where requests go, and the connections that wait there. */
#include "agentd/origin.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

struct origins {
	struct loop *loop;
	int64_t idle_ms;
	struct loop_timer *timer;
	bool timer_set;
	LIST_HEAD(, origin) list;
	TAILQ_HEAD(line_queue, line) waiting;
	unsigned nwaiting;
};

struct origin {
	unsigned refs; /* of users, and of lines */
	LIST_ENTRY(origin) entry;
	struct origins *all;
	bool tls;
	char *authority, *url, *proxy, *ca_file;
	struct tunnel_options way;
	LIST_HEAD(, line) waiting;
	unsigned nwaiting;
};

/* ---- origins ------------------------------------------------------------ */

static char *
copy_text(const char *s)
{
	return (s != NULL ? xstrdup(s) : NULL);
}

static struct origin *
origin_new(const struct origin_key *key)
{
	struct origin *o = xcalloc(1, sizeof(*o));

	o->tls = key->tls;
	o->authority = xmemdup0(key->authority.p, key->authority.n);
	o->url =
	    xasprintf("%s://%s/", key->tls ? "https" : "http", o->authority);
	o->proxy = copy_text(key->proxy);
	o->ca_file = copy_text(key->ca_file);
	o->way = (struct tunnel_options){
	    .url = o->url, .proxy = o->proxy, .ca_file = o->ca_file};
	LIST_INIT(&o->waiting);
	return (o);
}

struct origin *
origin_get(struct origins *all, const struct origin_key *key)
{
	struct origin *o;

	LIST_FOREACH (o, &all->list, entry)
		if (o->tls == key->tls &&
		    span_eq(span_str(o->authority), key->authority) &&
		    str_same(o->proxy, key->proxy) &&
		    str_same(o->ca_file, key->ca_file))
			break;
	if (o == NULL) {
		o = origin_new(key);
		o->all = all;
		LIST_INSERT_HEAD(&all->list, o, entry);
	}
	o->refs++;
	return (o);
}

const struct tunnel_options *
origin_way(const struct origin *o)
{
	return (&o->way);
}

void
origin_unref(struct origin *o)
{
	if (--o->refs > 0)
		return;
	assert(o->nwaiting == 0);
	LIST_REMOVE(o, entry);
	free(o->authority);
	free(o->url);
	free(o->proxy);
	free(o->ca_file);
	free(o);
}

/* ---- lines -------------------------------------------------------------- */

struct line *
line_new(struct origin *o, struct conn *conn)
{
	struct line *l = xcalloc(1, sizeof(*l));

	l->conn = conn;
	l->origin = o;
	o->refs++;
	return (l);
}

void
line_close(struct line *l)
{
	struct origin *o = l->origin;
	struct loop *loop = o->all->loop;

	conn_close(l->conn, CONN_CLOSE_NOW);
	origin_unref(o);
	loop_free_later(loop, l);
}

static void
unlist(struct line *l)
{
	struct origin *o = l->origin;

	TAILQ_REMOVE(&o->all->waiting, l, of_all);
	LIST_REMOVE(l, of_origin);
	o->all->nwaiting--;
	o->nwaiting--;
}

struct line *
line_take(struct origin *o)
{
	struct line *l = LIST_FIRST(&o->waiting);

	if (l != NULL)
		unlist(l);
	return (l);
}

/* Nothing is due on a line that waits: whatever comes is its end. */
static void
on_idle(struct conn *conn, enum conn_event event, void *arg)
{
	struct line *l = arg;

	(void)conn;
	if (event == CONN_DRAINED)
		return;
	unlist(l);
	line_close(l);
}

void
line_give(struct line *l)
{
	struct origin *o = l->origin;
	struct origins *all = o->all;

	if (o->nwaiting == ORIGIN_IDLE_EACH ||
	    all->nwaiting == ORIGIN_IDLE_MAX) {
		line_close(l);
		return;
	}
	conn_set_owner(l->conn, on_idle, l);
	l->since = loop_now(all->loop);
	TAILQ_INSERT_HEAD(&all->waiting, l, of_all);
	LIST_INSERT_HEAD(&o->waiting, l, of_origin);
	all->nwaiting++;
	o->nwaiting++;
	if (!all->timer_set)
		loop_timer_set_ms(all->timer, all->idle_ms);
	all->timer_set = true;
}

/* ---- all of them -------------------------------------------------------- */

static void
on_timer(void *arg)
{
	struct origins *all = arg;
	struct line *l;
	monotime_t end;

	all->timer_set = false;
	while ((l = TAILQ_LAST(&all->waiting, line_queue)) != NULL) {
		end = monotime_add_ms(l->since, all->idle_ms);
		if (!monotime_reached(end, monotime_now())) {
			loop_timer_set_at(all->timer, end);
			all->timer_set = true;
			return;
		}
		unlist(l);
		line_close(l);
	}
}

struct origins *
origins_new(struct loop *loop, int64_t idle_ms)
{
	struct origins *all = xcalloc(1, sizeof(*all));

	all->loop = loop;
	all->idle_ms = idle_ms;
	all->timer = loop_timer_new(loop, on_timer, all);
	LIST_INIT(&all->list);
	TAILQ_INIT(&all->waiting);
	return (all);
}

void
origins_free(struct origins *all)
{
	struct line *l;

	if (all == NULL)
		return;
	while ((l = TAILQ_FIRST(&all->waiting)) != NULL) {
		unlist(l);
		line_close(l);
	}
	assert(LIST_EMPTY(&all->list));
	loop_timer_free(all->timer);
	free(all);
}

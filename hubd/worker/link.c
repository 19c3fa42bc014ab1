/* Links: connections that agents dialled. */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/worker/access.h"
#include "hubd/worker/link_private.h"

struct agent_links *
links_new(struct worker *w)
{
	struct agent_links *a;

	a = xcalloc(w->shm->sizes.max_agents, sizeof(*a));
	for (uint32_t i = 0; i < w->shm->sizes.max_agents; i++)
		LIST_INIT(&a[i].links);
	return (a);
}

struct registry_row *
link_load(struct worker *w, uint32_t agent_row)
{
	return (registry_at(w->shm, w->child->me.row, agent_row));
}

static bool
takes_calls(const struct link *l)
{
	return (l->ready && !l->going && !l->says_draining && !l->pipe->dead &&
		!h2link_going(l->pipe->h2));
}

void
link_publish(struct worker *w, uint32_t agent_row)
{
	uint32_t links = 0, draining = 0;
	struct link *l;

	LIST_FOREACH (l, &w->agents[agent_row].links, entry) {
		if (!l->ready || l->pipe->dead)
			continue;
		links++;
		draining += !takes_calls(l);
	}
	registry_set_links(w->shm, w->child->me, agent_row, links, draining);
	atomic_store(&w->row->links, links_count(w));
}

uint32_t
links_count(const struct worker *w)
{
	uint32_t n = 0;
	struct link *l;

	for (uint32_t i = 0; i < w->shm->sizes.max_agents; i++)
		LIST_FOREACH (l, &w->agents[i].links, entry)
			n++;
	return (n);
}

struct pipe *
link_pick(struct worker *w, uint32_t agent_row)
{
	struct pipe *best = NULL;
	struct link *l;

	LIST_FOREACH (l, &w->agents[agent_row].links, entry) {
		if (!takes_calls(l) || h2link_room(l->pipe->h2) == 0)
			continue;
		/* Stream ids run out in time: as if the link were old. */
		if (h2link_worn(l->pipe->h2) && !l->leaving)
			loop_timer_set_ms(l->age, 1);
		if (best == NULL ||
		    h2link_streams(l->pipe->h2) < h2link_streams(best->h2))
			best = l->pipe;
	}
	return (best);
}

static void
link_going(struct pipe *p)
{
	struct link *l = p->owner;

	l->going = true;
	log_info("agent %s: link from %s drains", l->name, l->peer);
	access_event(l->w, "drain", "agent", l->name, l->peer, NULL);
	link_publish(l->w, l->agent_row);
}

static void
link_dead(struct pipe *p, const char *why)
{
	struct link *l = p->owner;
	struct worker *w = l->w;

	log_info("agent %s: link from %s ended: %s", l->name, l->peer, why);
	access_event(w, "link_down", "agent", l->name, l->peer, why);
	if (!l->going)
		counter_add(w->count, COUNT_links_lost, 1);
	LIST_REMOVE(l, entry);
	link_publish(w, l->agent_row);
	loop_timer_free(l->age);
	buf_fini(&l->line);
	loop_free_later(w->loop, l);
}

static const struct pipe_ops link_ops = {
    .on_dead = link_dead,
    .on_going = link_going,
};

/* ---- age ----------------------------------------------------------------- */

void
link_leave(struct link *l)
{
	l->leaving = true;
	h2link_goaway(l->pipe->h2);
}

/* Old links make room for fresh ones; they serve until those are there. */
static void
on_age(void *arg)
{
	struct link *l = arg;

	if (!l->leaving) {
		log_info("agent %s: link from %s is old: replaced", l->name,
		    l->peer);
		link_leave(l);
		loop_timer_set_ms(l->age, LINK_MOVE_MS);
		return;
	}
	l->going = true;
	link_publish(l->w, l->agent_row);
	if (h2link_streams(l->pipe->h2) <= 1)
		pipe_kill(l->pipe, "replaced");
	else
		loop_timer_set_ms(l->age, 1000);
}

/* ---- login --------------------------------------------------------------- */

static bool
upgrade_is_ours(const struct http1_head *h, struct span *key)
{
	const struct http1_field *k, *p, *u, *v;

	u = http1_find(h, "upgrade");
	k = http1_find(h, "sec-websocket-key");
	p = http1_find(h, "sec-websocket-protocol");
	v = http1_find(h, "sec-websocket-version");
	if (!h->upgrade || u == NULL || k == NULL || p == NULL || v == NULL)
		return (false);
	*key = k->value;
	return (span_eq(h->method, SPAN("GET")) &&
		span_ieq(u->value, SPAN("websocket")) &&
		span_eq(v->value, SPAN("13")) && k->value.n == 24 &&
		http1_list_has(p->value, LINK_SUBPROTOCOL));
}

static int
slot_of(const struct http1_head *h)
{
	const struct http1_field *f = http1_find(h, LINK_H_SLOT);

	int slot = 0;

	if (f == NULL || f->value.n == 0 || f->value.n > 4)
		return (-1);
	for (size_t i = 0; i < f->value.n; i++) {
		if (f->value.p[i] < '0' || f->value.p[i] > '9')
			return (-1);
		slot = slot * 10 + (f->value.p[i] - '0');
	}
	return (slot);
}

static void
start_link(struct worker *w, struct client *c, uint32_t row,
    const struct pub_agent *agent, struct span key, int slot, const char *id)
{
	struct conn *conn;
	struct link *l = xcalloc(1, sizeof(*l));
	char accept[WS_ACCEPT_SIZE];

	access_reply(client_access(c), 101, NULL, 0);
	conn = client_detach(c);
	ws_accept(key, accept);
	buf_addf(conn_out(conn),
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "upgrade: websocket\r\nconnection: upgrade\r\n"
	    "sec-websocket-accept: %s\r\n"
	    "sec-websocket-protocol: " LINK_SUBPROTOCOL "\r\n"
	    "date: %s\r\nx-request-id: %s\r\n\r\n",
	    accept, reply_date(w), id);
	l->w = w;
	l->agent_row = row;
	l->agent_id = agent->id;
	l->slot = slot;
	snprintf(l->name, sizeof(l->name), "%s", agent->name);
	snprintf(l->peer, sizeof(l->peer), "%s", conn_peer(conn));
	LIST_INSERT_HEAD(&w->agents[row].links, l, entry);
	l->pipe = pipe_new(
	    w, conn, H2LINK_CLIENT, true, &upstream_handler, &link_ops, l);
	l->age = loop_timer_new(w->loop, on_age, l);
	loop_timer_set_ms(l->age, w->conf->link_max_age);
	counter_add(w->count, COUNT_links_opened, 1);
	link_ask(l);
}

void
link_accept(struct worker *w, struct client *c, const struct http1_head *h,
    const char *id)
{
	const struct http1_field *auth = http1_find(h, "authorization");
	struct pub_agent agent;
	struct span key = {0};
	uint32_t row;

	if (!upgrade_is_ours(h, &key)) {
		reply_error(w, c, DIALECT_OPENAI, API_ERR_invalid_request,
		    "A WebSocket upgrade is expected here.", id, -1, true);
		return;
	}
	if (auth == NULL ||
	    !auth_agent(w->shm, auth_bearer(auth->value), &row, &agent)) {
		if (!atomic_load(&shm_pub_state(w->shm)->loaded)) {
			reply_error(w, c, DIALECT_OPENAI, API_ERR_overloaded,
			    NULL, id, 1000, true);
			return;
		}
		log_warnx("link from %s refused: unknown token",
		    conn_peer(client_conn(c)));
		reply_error(w, c, DIALECT_OPENAI, API_ERR_invalid_api_key, NULL,
		    id, -1, true);
		return;
	}
	start_link(w, c, row, &agent, key, slot_of(h), id);
}

/* ---- all of them --------------------------------------------------------- */

void
links_drain(struct worker *w)
{
	struct link *l;

	for (uint32_t i = 0; i < w->shm->sizes.max_agents; i++) {
		LIST_FOREACH (l, &w->agents[i].links, entry) {
			l->going = true;
			h2link_goaway(l->pipe->h2);
		}
		if (!LIST_EMPTY(&w->agents[i].links))
			link_publish(w, i);
	}
}

void
links_retire(struct worker *w)
{
	struct link *l;

	for (uint32_t i = 0; i < w->shm->sizes.max_agents; i++)
		LIST_FOREACH (l, &w->agents[i].links, entry)
			link_leave(l);
}

bool
links_serve(const struct worker *w)
{
	struct link *l;

	for (uint32_t i = 0; i < w->shm->sizes.max_agents; i++)
		LIST_FOREACH (l, &w->agents[i].links, entry)
			if (takes_calls(l))
				return (true);
	return (false);
}

static void
revoke_link(struct link *l)
{
	access_event(l->w, "revoke", "agent", l->name, l->peer, NULL);
	pipe_kill(l->pipe, "agent revoked");
}

void
links_recheck(struct worker *w)
{
	struct pub_agent agent;
	struct link *l;

	for (uint32_t i = 0; i < w->shm->sizes.max_agents; i++)
		LIST_FOREACH (l, &w->agents[i].links, entry)
			if (!pub_agent_read(w->shm, i, &agent) ||
			    agent.id != l->agent_id || agent.revoked)
				revoke_link(l);
}

void
links_free(struct worker *w)
{
	struct link *l;

	for (uint32_t i = 0; i < w->shm->sizes.max_agents; i++)
		LIST_FOREACH (l, &w->agents[i].links, entry)
			pipe_kill(l->pipe, "the worker ends");
}

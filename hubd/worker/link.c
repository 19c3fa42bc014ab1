/* Links: connections that agents dialled, and what they announce. */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/worker/announce.h"
#include "hubd/worker/access.h"
#include "hubd/worker/worker.h"

struct link {
	struct worker *w;
	struct pipe *pipe;
	LIST_ENTRY(link) entry;
	uint32_t agent_row, agent_id;
	int slot; /* which of the agent's links; -1: it did not say */
	char name[64];
	char peer[64];
	struct upstream announce;
	struct buf line;
	struct registry_announce said;
	bool ready;	    /* it has announced itself */
	bool leaving;	    /* its agent was asked to dial anew */
	bool going;	    /* it takes no new calls */
	bool says_draining; /* the same, until it says otherwise */
	struct loop_timer *age;
};

LIST_HEAD(link_list, link);

struct agent_links {
	struct link_list links;
};

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

static void
copy_text(char *to, size_t cap, const char *from)
{
	snprintf(to, cap, "%s", from);
}

static bool
takes_calls(const struct link *l)
{
	return (l->ready && !l->going && !l->says_draining && !l->pipe->dead &&
		!h2link_going(l->pipe->h2));
}

/* Tells the registry how many links take calls, and how many drain. */
static void
publish(struct worker *w, uint32_t agent_row)
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
	publish(l->w, l->agent_row);
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
	publish(w, l->agent_row);
	loop_timer_free(l->age);
	buf_fini(&l->line);
	loop_free_later(w->loop, l);
}

static const struct pipe_ops link_ops = {
    .on_dead = link_dead,
    .on_going = link_going,
};

/* ---- the announcement ---------------------------------------------------- */

/* false: it cannot be used. */
static bool
read_announcement(struct link *l, struct span text)
{
	struct announcement said;

	if (!announcement_parse(text, walltime_ms(), &said))
		return (false);
	if (said.cut && !l->ready) /* once a link */
		log_warnx("agent %s announces more than fits: the rest is "
			  "left out",
		    l->name);
	l->said = said.registry;
	l->said.agent = l->agent_id;
	copy_text(l->said.name, sizeof(l->said.name), l->name);
	l->says_draining = said.draining;
	return (true);
}

/* Another instance of the same name, when only one may serve. */
static bool
is_second_instance(struct link *l)
{
	struct registry_announce other;
	struct pub_agent agent;
	uint32_t row;

	if (!pub_agent_by_id(l->w->shm, l->agent_id, &row, &agent) ||
	    agent.replicas > 1)
		return (false);
	for (uint32_t p = 0; p < l->w->shm->sizes.nprocs; p++)
		if (registry_usable(l->w->shm, p, l->agent_row) &&
		    registry_read(l->w->shm, p, l->agent_row, &other) &&
		    strcmp(other.instance, l->said.instance) != 0)
			return (true);
	return (false);
}

/* The agent has dialled anew: the old link of that slot gets no more calls,
 * even if it does not know yet that it is dead. */
static void
supersede(struct link *fresh)
{
	struct link *l;

	if (fresh->slot == -1)
		return;
	LIST_FOREACH (l, &fresh->w->agents[fresh->agent_row].links, entry) {
		if (l == fresh || l->slot != fresh->slot || l->going ||
		    strcmp(l->said.instance, fresh->said.instance) != 0)
			continue;
		l->going = true;
		h2link_goaway(l->pipe->h2);
	}
}

/* A provider that checks the time of signatures would refuse such an agent. */
static void
warn_of_clock(const struct link *l)
{
	int64_t ms = l->said.clock_skew_ms;

	if (ms > LINK_CLOCK_MS || ms < -LINK_CLOCK_MS)
		log_warnx("agent %s: its clock is %lld s %s ours", l->name,
		    llabs((long long)(ms / 1000)),
		    ms > 0 ? "ahead of" : "behind");
}

/* GOAWAY: the agent dials anew, then takes no more calls here and says so.
 * Until then there may be no other link to it. */
static void
leave(struct link *l)
{
	l->leaving = true;
	h2link_goaway(l->pipe->h2);
}

static void
take_announcement(struct link *l, struct span text)
{
	bool first = !l->ready;

	if (!read_announcement(l, text)) {
		log_warnx("agent %s: bad announcement", l->name);
		pipe_kill(l->pipe, "bad announcement");
		return;
	}
	if (first && is_second_instance(l)) {
		log_warnx("agent %s: instance %s from %s refused: another "
			  "instance serves and the agent has no replicas",
		    l->name, l->said.instance, l->peer);
		pipe_kill(l->pipe, "another instance serves");
		return;
	}
	l->ready = true;
	if (first)
		supersede(l);
	/* it came while our successor took over: that is whose it is */
	if (l->w->retiring)
		leave(l);
	registry_announce(l->w->shm, l->w->child->me, l->agent_row, &l->said);
	publish(l->w, l->agent_row);
	if (!first)
		return;
	access_event(l->w, "link_up", "agent", l->name, l->peer, NULL);
	log_info("agent %s: link from %s, version %s, %u providers, "
		 "clock %+lld ms",
	    l->name, l->peer, l->said.version, l->said.nproviders,
	    (long long)l->said.clock_skew_ms);
	warn_of_clock(l);
}

static void
announce_data(struct upstream *up, struct span bytes)
{
	struct link *l = up->owner;
	const char *nl;

	h2stream_consumed(up->stream, bytes.n, true);
	if (buf_len(&l->line) + bytes.n > LINK_ANNOUNCE_MAX) {
		pipe_kill(l->pipe, "announcement too long");
		return;
	}
	buf_addspan(&l->line, bytes);
	while (
	    !l->pipe->dead && buf_len(&l->line) > 0 &&
	    (nl = memchr(buf_ptr(&l->line), '\n', buf_len(&l->line))) != NULL) {
		size_t n = (size_t)(nl - buf_ptr(&l->line));

		take_announcement(l, span_of(buf_ptr(&l->line), n));
		buf_consume(&l->line, n + 1);
	}
}

static void
announce_head(struct upstream *up, const struct h2_field *f, size_t n)
{
}

static void
announce_end(struct upstream *up)
{
}

static void
announce_close(struct upstream *up, uint32_t code)
{
	struct link *l = up->owner;

	log_debug("announcement ended, code %u", code);
	pipe_kill(l->pipe, "announcement ended");
}

static void
announce_writable(struct upstream *up)
{
}

static const struct upstream_ops announce_ops = {
    .on_head = announce_head,
    .on_data = announce_data,
    .on_end = announce_end,
    .on_close = announce_close,
    .on_writable = announce_writable,
};

static void
ask_announcement(struct link *l)
{
	const struct h2_field fields[] = {
	    {SPAN(":method"), SPAN("GET")},
	    {SPAN(":path"), SPAN(LINK_ANNOUNCE)},
	};

	l->announce.ops = &announce_ops;
	l->announce.owner = l;
	if (upstream_open_on(l->pipe, &l->announce, fields, 2, false, NULL) ==
	    -1)
		pipe_kill(l->pipe, "no announcement");
}

/* ---- login -----------------------------------------------------------------
 */

/* Old links make room for fresh ones; they serve until those are there. */
static void
on_age(void *arg)
{
	struct link *l = arg;

	if (!l->leaving) {
		log_info("agent %s: link from %s is old: replaced", l->name,
		    l->peer);
		leave(l);
		loop_timer_set_ms(l->age, LINK_MOVE_MS);
		return;
	}
	l->going = true;
	publish(l->w, l->agent_row);
	if (h2link_streams(l->pipe->h2) <= 1)
		pipe_kill(l->pipe, "replaced");
	else
		loop_timer_set_ms(l->age, 1000);
}

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
	copy_text(l->name, sizeof(l->name), agent->name);
	copy_text(l->peer, sizeof(l->peer), conn_peer(conn));
	LIST_INSERT_HEAD(&w->agents[row].links, l, entry);
	l->pipe = pipe_new(
	    w, conn, H2LINK_CLIENT, true, &upstream_handler, &link_ops, l);
	l->age = loop_timer_new(w->loop, on_age, l);
	loop_timer_set_ms(l->age, w->conf->link_max_age);
	counter_add(w->count, COUNT_links_opened, 1);
	ask_announcement(l);
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
			publish(w, i);
	}
}

void
links_retire(struct worker *w)
{
	struct link *l;

	for (uint32_t i = 0; i < w->shm->sizes.max_agents; i++)
		LIST_FOREACH (l, &w->agents[i].links, entry)
			leave(l);
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

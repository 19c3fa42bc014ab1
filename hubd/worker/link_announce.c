/* What agents announce on their links, and what becomes of that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "hubd/worker/access.h"
#include "hubd/worker/announce.h"
#include "hubd/worker/link_private.h"

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
	if (strcmp(said.name, l->name) != 0 && !l->ready)
		log_warnx("agent %s calls itself %s: the name of its token "
			  "counts",
		    l->name, said.name);
	l->said = said.registry;
	l->said.agent = l->agent_id;
	snprintf(l->said.name, sizeof(l->said.name), "%s", l->name);
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
		link_leave(l);
	registry_announce(l->w->shm, l->w->child->me, l->agent_row, &l->said);
	link_publish(l->w, l->agent_row);
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

void
link_ask(struct link *l)
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

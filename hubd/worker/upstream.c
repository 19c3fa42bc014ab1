/* A stream towards an agent: on a link of our own or through a worker. */
#include <stdio.h>

#include "common/failpoint.h"
#include "hubd/worker/pipe.h"

/* The agent has answered: how long it took, smoothed over eight answers. */
static void
note_head(struct upstream *up)
{
	int64_t us = (loop_now(up->pipe->w->loop).ns - up->opened.ns) / 1000;
	uint32_t was;

	if (up->load == NULL || us < 0 || us > UINT32_MAX)
		return;
	was = atomic_load(&up->load->latency_us);
	atomic_store(&up->load->latency_us,
	    was == 0 ? (uint32_t)us
		     : (uint32_t)(((uint64_t)was * 7 + (uint64_t)us) / 8));
	atomic_fetch_add(&up->load->served, 1);
	atomic_store(&up->load->errors, atomic_load(&up->load->errors) / 8 * 7);
}

static void
on_response(
    void *arg, struct h2stream *s, const struct h2_field *fields, size_t n)
{
	struct upstream *up = h2stream_arg(s);

	if (up == NULL)
		return;
	note_head(up);
	up->ops->on_head(up, fields, n);
}

static void
on_data(void *arg, struct h2stream *s, struct span bytes)
{
	struct upstream *up = h2stream_arg(s);

	if (up != NULL)
		up->ops->on_data(up, bytes);
	else
		h2stream_consumed(s, bytes.n, true);
}

static void
on_end(void *arg, struct h2stream *s)
{
	struct upstream *up = h2stream_arg(s);

	if (up == NULL)
		return;
	up->heard_end = true;
	up->ops->on_end(up);
}

/* Takes it off its pipe; it may be opened again. */
static void
detach(struct upstream *up)
{
	if (up->load != NULL)
		atomic_fetch_sub(&up->load->calls, 1);
	up->load = NULL;
	LIST_REMOVE(up, entry);
	up->stream = NULL;
	up->pipe = NULL;
}

static void
on_close(void *arg, struct h2stream *s, uint32_t code)
{
	struct upstream *up = h2stream_arg(s);

	if (up == NULL)
		return;
	if (up->load != NULL && code != H2_NO_ERROR &&
	    code != H2_REFUSED_STREAM)
		atomic_fetch_add(&up->load->errors, 8);
	detach(up);
	up->ops->on_close(up, code);
}

static void
on_writable(void *arg, struct h2stream *s)
{
	struct upstream *up = h2stream_arg(s);

	if (up != NULL)
		up->ops->on_writable(up);
}

static void
on_goaway(void *arg)
{
	struct pipe *p = arg;

	if (!p->dead)
		p->ops->on_going(p);
}

const struct h2link_handler upstream_handler = {
    .on_want_send = pipe_want_send,
    .on_response = on_response,
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_close,
    .on_writable = on_writable,
    .on_goaway = on_goaway,
    .on_pong = pipe_on_pong,
};

int
upstream_open_on(struct pipe *p, struct upstream *up,
    const struct h2_field *fields, size_t n, bool body_follows,
    struct registry_row *load)
{
	if (p->dead || h2link_going(p->h2) || h2link_room(p->h2) == 0)
		return (-1);
	up->stream = h2link_request(p->h2, fields, n, body_follows, up);
	if (up->stream == NULL)
		return (-1);
	up->pipe = p;
	up->load = load;
	up->heard_end = false;
	up->opened = loop_now(p->w->loop);
	up->said_end = !body_follows;
	if (load != NULL)
		atomic_fetch_add(&load->calls, 1);
	LIST_INSERT_HEAD(&p->upstreams, up, entry);
	return (0);
}

/* The worker, other than this one, with the fewest calls to that agent. */
static int
pick_worker(struct worker *w, uint32_t agent_row, bool self_too)
{
	uint32_t best_calls = UINT32_MAX, calls;
	int best = -1;

	for (uint32_t p = 0; p < w->shm->sizes.nprocs; p++) {
		if (p == w->child->me.row && !self_too)
			continue;
		if (!registry_usable(w->shm, p, agent_row))
			continue;
		calls = atomic_load(&registry_at(w->shm, p, agent_row)->calls);
		if (calls < best_calls) {
			best_calls = calls;
			best = (int)p;
		}
	}
	return (best);
}

static int
open_by_relay(struct worker *w, struct upstream *up, uint32_t agent_row,
    uint32_t agent_id, const struct h2_field *fields, size_t n,
    bool body_follows, bool self_too)
{
	struct h2_field more[LINK_FIELDS_MAX];
	struct pipe *pipe;
	char id[16];
	int to;

	to = pick_worker(w, agent_row, self_too);
	if (to == -1 || n >= LINK_FIELDS_MAX)
		return (-1);
	if ((pipe = relay_to(w->relay, (uint32_t)to)) == NULL)
		return (-1);
	for (size_t i = 0; i < n; i++)
		more[i] = fields[i];
	snprintf(id, sizeof(id), "%u", agent_id);
	more[n].name = span_str(LINK_F_AGENT);
	more[n].value = span_str(id);
	if (upstream_open_on(pipe, up, more, n + 1, body_follows, NULL) == -1)
		return (-1);
	counter_add(w->count, COUNT_relayed, 1);
	return (0);
}

int
upstream_open(struct worker *w, struct upstream *up, uint32_t agent_row,
    uint32_t agent_id, const struct h2_field *fields, size_t n,
    bool body_follows)
{
	bool forced = FAILPOINT("route.force_relay");
	struct pipe *pipe;

	if (!forced && (pipe = link_pick(w, agent_row)) != NULL &&
	    upstream_open_on(pipe, up, fields, n, body_follows,
		link_load(w, agent_row)) == 0)
		return (0);
	return (open_by_relay(
	    w, up, agent_row, agent_id, fields, n, body_follows, forced));
}

size_t
upstream_write(struct upstream *up, struct span bytes, bool end)
{
	up->said_end = up->said_end || end;
	return (h2stream_write(up->stream, bytes, end));
}

void
upstream_cancel(struct upstream *up, uint32_t code)
{
	struct h2stream *s = up->stream;

	if (s == NULL)
		return;
	detach(up);
	h2stream_set_arg(s, NULL);
	if (!up->heard_end || !up->said_end)
		h2stream_reset(s, code);
}

void
upstream_lost(struct upstream *up)
{
	/* what the peer has never seen it has not done */
	uint32_t code = h2stream_is_sent(up->stream) ? H2_INTERNAL_ERROR
						     : H2_REFUSED_STREAM;

	h2stream_set_arg(up->stream, NULL);
	detach(up);
	up->ops->on_close(up, code);
}

/*
 * Below the requests: pipes, on which upstreams are opened, and who has one
 * for an agent. Those that wait for an answer know of upstreams alone.
 */
#ifndef HUBD_WORKER_PIPE_H
#define HUBD_WORKER_PIPE_H

#include "common/ws.h"
#include "hubd/worker/worker.h"

LIST_HEAD(upstream_list, upstream);

/* ---- pipe.c: an HTTP/2 session over a connection ------------------------- */

struct pipe_ops {
	/* The transport or session is over; its upstreams were told. The
	 * pipe is freed after this. */
	void (*on_dead)(struct pipe *, const char *why);
	/* The peer takes no new streams. */
	void (*on_going)(struct pipe *);
};

struct pipe {
	struct worker *w;
	struct conn *conn;
	struct h2link *h2;
	const struct pipe_ops *ops;
	void *owner;
	struct upstream_list upstreams; /* client role: streams of ours */
	struct ws_reader reader;
	bool ws, dead;
	uint16_t code; /* of the WebSocket's close */
	const char *why;
	unsigned silent;
	bool heard; /* a byte since the last ping */
	struct loop_timer *ping;
	struct loop_work pump, bury;
};

/* The handler's arg is the pipe; on_want_send and on_pong must be pipe's. */
struct pipe *pipe_new(struct worker *, struct conn *, enum h2link_role, bool ws,
    const struct h2link_handler *, const struct pipe_ops *, void *owner);
void pipe_want_send(void *arg);
void pipe_on_pong(void *arg);
/* Ends it at the end of this turn; safe to call twice. why is static, and
 * what the agent is told: at most WS_WHY_MAX bytes. */
void pipe_kill(struct pipe *, const char *why);

/* ---- upstream.c ---------------------------------------------------------- */

/* The handler of pipes on which we are the client. */
extern const struct h2link_handler upstream_handler;

/* As upstream_open(), on a given pipe. load may be NULL. */
int upstream_open_on(struct pipe *, struct upstream *, const struct h2_field *,
    size_t n, bool body_follows, struct registry_row *load);
/* The pipe has died: closes it without touching the session. */
void upstream_lost(struct upstream *);

/* ---- link.c -------------------------------------------------------------- */

/* A link to that agent with room for a stream, or NULL. */
struct pipe *link_pick(struct worker *, uint32_t agent_row);
struct registry_row *link_load(struct worker *, uint32_t agent_row);

/* ---- relay.c ------------------------------------------------------------- */

/* A pipe to the worker in that process row, or NULL. */
struct pipe *relay_to(struct relay *, uint32_t process_row);

#endif

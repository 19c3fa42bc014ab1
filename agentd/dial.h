/*
 * Dialling a hub: a tunnel, then our own WebSocket handshake. What comes out
 * is a connection like any other.
 */
#ifndef AGENTD_DIAL_H
#define AGENTD_DIAL_H

#include "agentd/tunnel.h"
#include "common/conn.h"
#include "common/loop.h"

struct dial;

struct dial_options {
	const char *url;     /* ws:// or wss://, with the path */
	const char *token;   /* of the agent */
	const char *proxy;   /* NULL: none */
	const char *ca_file; /* NULL: the system's */
	const char *address; /* of the hub's name; NULL: any */
	unsigned slot;	     /* which of the agent's links to that hub */
};

/*
 * Called once, unless cancelled. On success conn is the caller's: he sets
 * himself as its owner at once and reads what conn_in() may already hold.
 * Otherwise conn is NULL and why is for the log.
 */
typedef void dial_fn(void *arg, struct conn *, const char *why);

/* Options are copied. The callback comes in a later turn. */
struct dial *dial_start(struct loop *, struct tunnels *,
    const struct dial_options *, dial_fn *, void *arg);
/* NULL is fine. */
void dial_cancel(struct dial *);

#endif

/*
 * One live link to a hub: HTTP/2 (we are the server) in binary WebSocket
 * messages on a connection that was dialled and shaken hands on.
 */
#ifndef AGENTD_LINK_H
#define AGENTD_LINK_H

#include <stdbool.h>

#include "common/conn.h"

struct agent;
struct link;

struct link_owner {
	/* The link has ended, its calls with it; it frees itself. */
	void (*on_down)(void *arg, struct link *, const char *why);
	/* The hub sends no more on this link: bring up another, then
	 * link_drain() this one. */
	void (*on_goaway)(void *arg, struct link *);
};

/* Takes the connection over. Nothing is called before the next turn. */
struct link *link_new(
    struct agent *, struct conn *, const struct link_owner *, void *arg);
/* Refuses new calls; ends when those under way are over. */
void link_drain(struct link *);
/* Ends now; on_down is called in this call. */
void link_close(struct link *, const char *why);
/* Tells the hub again who we are. */
void link_announce(struct link *);

/* For call.c: one of the link's calls is over. */
void link_call_over(struct link *);

#endif

/*
 * What the halves of a link share: link.c lets agents in and keeps their
 * links, link_announce.c hears what they announce.
 */
#ifndef HUBD_WORKER_LINK_PRIVATE_H
#define HUBD_WORKER_LINK_PRIVATE_H

#include "hubd/worker/pipe.h"

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

/* ---- link.c -------------------------------------------------------------- */

/* Tells the registry how many links take calls, and how many drain. */
void link_publish(struct worker *, uint32_t agent_row);
/* GOAWAY: the agent dials anew, then takes no more calls here and says so.
 * Until then there may be no other link to it. */
void link_leave(struct link *);

/* ---- link_announce.c ----------------------------------------------------- */

/* Opens the stream on which the agent announces itself. */
void link_ask(struct link *);

#endif

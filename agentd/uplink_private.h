/*
 * What uplink.c and uplinks.c share. A hub's name may have several
 * addresses; each is a way, to a hub of its own for all we know, and has
 * uplinks of its own.
 */
#ifndef AGENTD_UPLINK_PRIVATE_H
#define AGENTD_UPLINK_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "agentd/agent.h"
#include "common/loop.h"
#include "common/monotime.h"

struct dial;
struct hub;
struct link;
struct retired;
struct way;

/* A link that is to be up. */
struct uplink {
	struct way *way;
	struct link *link; /* the current one; NULL: down */
	bool replace;	   /* the current one is to be drained */
	struct dial *dial;
	struct loop_timer *timer; /* of the next dial, or of the age */
	uint32_t backoff_ms;
	monotime_t up_at;
	LIST_HEAD(, retired) retired;
};

struct way {
	LIST_ENTRY(way) entry;
	struct hub *hub;
	char *address; /* NULL: the only one, and curl's matter */
	char *label;   /* for the log */
	bool ipv6;     /* of address */
	bool unnamed;  /* the name has it no more */
	bool leaving;  /* no dials any more */
	uint32_t live; /* links of any kind */
	struct uplink *uplink;
	uint32_t n;
};

/* ---- uplink.c ---- */

/* Dials. */
void uplink_start(struct uplink *, struct way *);
/* Dials at once if it waits to: why it failed may have been mended. */
void uplink_hasten(struct uplink *);
/* Dials no more; the link finishes its calls. */
void uplink_drain(struct uplink *);
/* The end of it; links that it has are closed. */
void uplink_end(struct uplink *);

/* ---- uplinks.c, called by uplink.c ---- */

struct agent *way_agent(const struct way *);
const char *way_url(const struct way *);
/* A link at that way could not be made, or has ended: perhaps the name has
 * other addresses by now. */
void way_failed(struct way *);
void way_up(struct way *);
/* A link of any kind has ended. The way may be gone with it, after the
 * turn. */
void way_down(struct way *);

#endif

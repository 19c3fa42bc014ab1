/*
 * The links that the agent keeps: so many to each hub, that is to each
 * address that a hub's name has, dialled again when they break, replaced
 * before the old one ends when the hub or their age asks for it. Names are
 * looked up again now and then and whenever a link fails.
 */
#ifndef AGENTD_UPLINK_H
#define AGENTD_UPLINK_H

#include "agentd/agent.h"

struct uplinks;

/* Starts dialling. */
struct uplinks *uplinks_new(struct agent *);
/* Ends all links at once. NULL is fine. */
void uplinks_free(struct uplinks *);
/* Tells every hub again what the agent has. */
void uplinks_announce(struct uplinks *);
/* Looks all names up now, and dials what is not linked. */
void uplinks_retry(struct uplinks *);
/* Dials no more and drains every link; done(agent) when the last is gone,
 * in a later turn. */
void uplinks_drain(struct uplinks *, void (*done)(struct agent *));
/* Links that are up, and links that there should be. */
void uplinks_count(const struct uplinks *, uint32_t *up, uint32_t *wanted);

#endif

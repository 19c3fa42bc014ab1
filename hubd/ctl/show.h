/* What the readers of shared memory lend each other. */
#ifndef HUBD_CTL_SHOW_H
#define HUBD_CTL_SHOW_H

#include "common/json.h"
#include "shm/pubtab.h"
#include "shm/registry.h"
#include "shm/shm.h"

/* A member whose text ends at a NUL or at cap: shared memory is not to be
 * trusted with the NUL. */
void show_text(struct jout *, const char *key, const char *s, size_t cap);

/* An agent over all live workers. */
struct agent_view {
	struct pub_agent pub;
	struct registry_announce announce; /* valid if announced */
	bool announced;
	uint32_t links, draining, calls, latency_us;
};

/* Rows of the agents table that may be in use. */
uint32_t show_agent_rows(const struct shm *);
/* false: no agent in that row, or one that is revoked and gone. */
bool show_agent_view(const struct shm *, uint32_t row, struct agent_view *);
/* "up", "draining" or "down". */
const char *show_agent_state(const struct agent_view *);
/* Name of the agent of that id in the store, "" if there is none. */
void show_agent_name(const struct shm *, uint32_t id, char out[PUB_NAME_MAX]);

/* Who admits calls: "local", "redis", and while Redis is away
 * "share" or "refused". */
const char *show_limits_state(const struct shm *);

#endif

/* What an agent says of itself on its link, read: no link, no loop. */
#ifndef HUBD_WORKER_ANNOUNCE_H
#define HUBD_WORKER_ANNOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "shm/registry.h"

struct announcement {
	/* As the registry takes it, but for agent and name, which are not the
	 * agent's to say. */
	struct registry_announce registry;
	char name[65]; /* what it calls itself; "": nothing */
	bool draining; /* it wants no new calls */
	bool cut;      /* providers were left out, for want of room */
};

/*
 * Reads one line of the announcement, hublink(7). now is in milliseconds
 * since 1970, to tell how far off the agent's clock is. Fills *out; false if
 * the line is not an announcement at all.
 */
bool announcement_parse(
    struct span line, int64_t now_ms, struct announcement *out);

#endif

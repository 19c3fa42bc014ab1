/*
 * What the parts of one agentd share: the loop, the configuration in force,
 * the counts that its limits are kept by.
 */
#ifndef AGENTD_AGENT_H
#define AGENTD_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "agentd/agent_conf.h"
#include "common/loop.h"

struct tunnels;
struct upstream;
struct uplinks;

#define BODY_MAX     (64u * 1024 * 1024)  /* of one request */
#define BODY_SUM_MAX (512u * 1024 * 1024) /* of all requests at once */
#define INSTANCE_HEX 32

struct agent {
	struct loop *loop;
	struct agent_conf *conf;
	struct tunnels *tunnels;
	struct upstream *upstream;
	struct uplinks *uplinks;
	/* The same after a restart on this machine with this file. */
	char instance[INSTANCE_HEX + 1];
	uint32_t calls;	    /* taken and not yet over */
	uint64_t body_held; /* bytes of their requests */
	bool draining;
};

#endif

/* What an agent says of itself on every link (common/linkproto.h). */
#ifndef AGENTD_ANNOUNCE_H
#define AGENTD_ANNOUNCE_H

#include "agentd/agent.h"
#include "common/buf.h"

/* Appends the announcement of this moment, one line of JSON. */
void announce_put(const struct agent *, struct buf *);
/* Fills agent->instance: who this is, whatever the process. */
void announce_identify(struct agent *, const char *conf_path);

#endif

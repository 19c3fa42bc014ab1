/*
 * What /healthz and /readyz answer, on `listen` and on `admin_listen` alike:
 * a judgement over shared memory alone.
 */
#ifndef HUBD_HEALTH_H
#define HUBD_HEALTH_H

#include <stdbool.h>

#include "common/buf.h"
#include "shm/shm.h"

/*
 * Returns the HTTP status, 200 or 503, and appends the JSON body
 * {"status","reason"} to body. ready asks whether new requests should be
 * sent here; otherwise whether a restart of the hub would help. Reads only;
 * costs some thousand words of shared memory, more when the call table is
 * nearly full.
 */
int hub_health(const struct shm *, bool ready, struct buf *body);

#endif

/*
 * The worker's connection to Redis, and the limiter that goes by it. One
 * connection, no waiting: if Redis is silent for limit_timeout while commands
 * wait, the connection ends, all that wait on it hear so, and a new one is
 * tried after a pause. redis_private.h alone includes hiredis.
 */
#ifndef HUBD_WORKER_REDIS_H
#define HUBD_WORKER_REDIS_H

#include <stdbool.h>

struct limiter;
struct redis;
struct worker;

/* w->conf->limits is a URL. Connects by itself as soon as it can. */
struct redis *redis_new(struct worker *);
struct limiter *redis_limiter(struct redis *);
/* w->conf has changed. */
void redis_configure(struct redis *);
/* Nothing that Redis should be told waits. */
bool redis_idle(const struct redis *);
void redis_free(struct redis *); /* NULL is fine */

#endif

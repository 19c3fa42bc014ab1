/*
 * The limiter of several hubs: Redis decides (redis_*.lua), for all of them.
 *
 * Each admitted call is a lease in Redis: it counts as a call of its key and
 * holds money of its account, and runs out by itself unless its worker renews
 * it; so a process that is killed leaves nothing behind. When the call is
 * over its lease holds the cost, until the row is booked and what this hub
 * owes the store includes it: at every moment a charge counts at least once.
 * What a lease is to be, this worker remembers; what Redis has not been told,
 * or has forgotten, it is told as soon as it can be.
 *
 * While Redis is away, does not answer, or has just lost what it knew (then
 * until every hub has told it again), calls are admitted by this hub's share
 * of each limit, from shared memory; or refused, if limits are strict. Cells
 * and buckets in shared memory are kept all the time.
 *
 * Neither connection nor clock here: commands go out by struct redis_wire,
 * times are given.
 */
#ifndef HUBD_LIMIT_LIMIT_REDIS_H
#define HUBD_LIMIT_LIMIT_REDIS_H

#include "hubd/limit/limit.h"
#include "hubd/limit/redis_script.h"
#include "shm/counters.h"

/* reply NULL: none came, and none will. */
typedef void redis_done_fn(
    void *arg, const struct redis_reply *reply, monotime_t now);

struct redis_wire {
	/*
	 * Takes what the command holds over, whatever it returns. true: done
	 * will be called, once, later; false: it cannot be sent now.
	 */
	bool (*send)(void *arg, struct redis_command *, redis_done_fn *done,
	    void *done_arg);
	/* Redis said something that cannot be gone on with: give this
	 * connection up and, later, try another. */
	void (*fail)(void *arg, const char *why);
	/* It decides from now on. */
	void (*ready)(void *arg);
	/* Call limiter_redis_flush() at the end of this turn. */
	void (*flush_later)(void *arg);
	void *arg;
};

struct limit_rules {
	uint32_t share;	  /* percent of each limit while Redis is away */
	bool strict;	  /* refuse instead */
	int64_t lease_ms; /* life of a lease that is not renewed */
};

struct limiter *limiter_redis_new(
    const struct shm *, struct counter_row *, const struct redis_wire *);
void limiter_redis_configure(struct limiter *, const struct limit_rules *);

/* Does the hub know yet who it is and which store it has? Before that no
 * connection is of use. */
bool limiter_redis_knows_itself(struct limiter *);
/* There is a connection, logged in: says hello. wire.ready() follows. */
void limiter_redis_up(struct limiter *, monotime_t now);
/* There is none any more. */
void limiter_redis_down(struct limiter *);
/* Sends what Redis is to know. */
void limiter_redis_flush(struct limiter *, monotime_t now);
/* Each second: renews leases, tells what this hub owes. */
#define LIMITER_REDIS_TICK_MS 1000
void limiter_redis_tick(struct limiter *, monotime_t now);
/* Does Redis decide, as far as is known? */
bool limiter_redis_decides(const struct limiter *, monotime_t now);
/* Is there nothing left to tell, or nobody to tell it to? */
bool limiter_redis_idle(const struct limiter *);

#endif

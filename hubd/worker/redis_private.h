/*
 * What the files share that know hiredis: redis.c, the connection, redis_io.c,
 * its readiness on the loop, redis_flight.c, its commands and their deadlines.
 */
#ifndef HUBD_WORKER_REDIS_PRIVATE_H
#define HUBD_WORKER_REDIS_PRIVATE_H

#include <hiredis/async.h>

#include "hubd/limit/limit_redis.h"
#include "hubd/limit/redis_url.h"
#include "hubd/worker/redis.h"
#include "hubd/worker/worker.h"

enum link_state {
	LINK_OFF,    /* waits for the next attempt */
	LINK_TRYING, /* connects, logs in, says hello */
	LINK_ON,     /* Redis decides */
};

/* A command under way. hiredis answers in order: so are they here. */
struct flight {
	TAILQ_ENTRY(flight) entry;
	struct redis *r;
	struct redis_command command;
	bool whole;   /* sent with its script */
	bool written; /* the deadline counts from then on */
	redis_done_fn *done;
	void *arg;
	monotime_t deadline;
};
TAILQ_HEAD(flight_list, flight);

struct redis {
	struct worker *w;
	struct limiter *limiter;
	struct redis_url url;
	char *text; /* as the configuration has it */
	char name[REDIS_NAME_MAX];
	enum link_state state;
	redisAsyncContext *ac; /* NULL: LINK_OFF */
	struct flight_list flights;
	struct loop_timer *deadline; /* of the oldest of them */
	struct loop_timer *retry, *tick;
	struct loop_work flush;
	monotime_t give_up; /* of LINK_TRYING */
	monotime_t heard;   /* anything, last */
	monotime_t since;   /* it is away */
	uint32_t failures;  /* in a row */
	bool told_away;
};

/* ---- redis.c ------------------------------------------------------------- */

/* From any state but LINK_OFF. What was under way hears of it: at once, or,
 * if hiredis is in the middle of an answer, right after that. */
void redis_go_off(struct redis *, const char *why);

/* ---- redis_io.c ---------------------------------------------------------- */

/* Joins hiredis and the loop, until hiredis lets go of the context. */
void redis_watch(struct redis *, redisAsyncContext *);

/* ---- redis_flight.c ------------------------------------------------------ */

/* struct redis_wire's send: arg is a struct redis. */
bool redis_send(void *arg, struct redis_command *, redis_done_fn *, void *);
/* Commands have gone out: their time counts from now. */
void redis_note_written(struct redis *);
/* Sets the timer by what is waited for, and what it calls. */
void redis_arm(struct redis *);
void redis_on_deadline(void *arg);

#endif

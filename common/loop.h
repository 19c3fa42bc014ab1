/*
 * One process's event loop: libevent's base plus what a turn needs: work
 * put off to the end of the turn, and memory freed only then, so that no
 * late callback meets a freed object. Only loop.c and conn*.c include
 * libevent's headers.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/monotime.h"

struct event_base;

struct loop;

struct loop *loop_new(void);
void loop_free(struct loop *);
struct event_base *loop_base(struct loop *);

/*
 * Hooks around sleeping: before_sleep runs when a turn's work is done,
 * after_wake when the kernel has handed over events. Either may be NULL.
 */
void loop_set_hooks(struct loop *, void (*after_wake)(void *),
    void (*before_sleep)(void *), void *arg);

/* Runs until loop_stop(). */
void loop_run(struct loop *);
void loop_stop(struct loop *);

/* The time at which this turn began. */
monotime_t loop_now(const struct loop *);

/*
 * For files that give libevent callbacks of their own: the first line of
 * each, so that the turn has its time and after_wake has run.
 */
void loop_turn_begin(struct loop *);

/* A timer. Set again, it moves; cleared, its callback will not run. */
struct loop_timer;
struct loop_timer *loop_timer_new(struct loop *, void (*fn)(void *), void *arg);
void loop_timer_set_ms(struct loop_timer *, int64_t ms);
void loop_timer_set_at(struct loop_timer *, monotime_t);
void loop_timer_clear(struct loop_timer *);
void loop_timer_free(struct loop_timer *); /* NULL is fine */

/* Level-triggered readiness of a descriptor that the caller owns. */
#define LOOP_READ  1
#define LOOP_WRITE 2
struct loop_io;
struct loop_io *loop_io_new(
    struct loop *, int fd, void (*fn)(void *arg, int what), void *arg);
/* what is a mask of LOOP_READ and LOOP_WRITE; 0 stops watching. */
void loop_io_want(struct loop_io *, int what);
void loop_io_free(struct loop_io *); /* NULL is fine; does not close */

/*
 * Work for the end of this turn, in the order of the calls. The entry is
 * part of the caller's object; it may be cancelled, and queueing it twice
 * runs it once. Work queued while the end of the turn runs still runs in it.
 */
struct loop_work {
	void (*fn)(void *arg);
	void *arg;
	struct loop_work *next, **prev; /* private; NULL if not queued */
};
void loop_defer(struct loop *, struct loop_work *);
void loop_work_cancel(struct loop_work *);

/* free(p) after the turn. */
void loop_free_later(struct loop *, void *p);
/* fn(p) after the turn: for objects that need more than free(3). */
void loop_dispose_later(struct loop *, void (*fn)(void *), void *p);

#endif

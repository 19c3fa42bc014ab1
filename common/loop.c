/*
 * One process's event loop: libevent's base, the hooks around sleeping, and
 * what happens at the end of a turn.
 */
#include "common/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/alloc.h"
#include "common/log.h"

struct disposal {
	void (*fn)(void *);
	void *p;
};

struct loop {
	struct event_base *base;
	void (*after_wake)(void *);
	void (*before_sleep)(void *);
	void *hook_arg;
	monotime_t now;
	bool awake; /* this turn has its time, and after_wake has run */
	bool stop;
	struct loop_work *work;	   /* ends in work_end, never in NULL */
	struct loop_work work_end; /* its prev is the queue's tail */
	struct disposal *disposals;
	size_t ndisposals, cap_disposals;
};

struct loop_timer {
	struct event ev;
	struct loop *loop;
	void (*fn)(void *);
	void *arg;
	monotime_t at;	  /* when to run */
	monotime_t armed; /* when libevent wakes us; never later than at */
	bool active;
};

static struct pool timers = POOL(sizeof(struct loop_timer), 1024);

struct loop_io {
	struct event in, out;
	struct loop *loop;
	int fd, want;
	void (*fn)(void *, int);
	void *arg;
};

static void
end_turn(struct loop *l)
{
	struct loop_work *w;
	size_t i;

	do {
		while ((w = l->work) != &l->work_end) {
			loop_work_cancel(w);
			w->fn(w->arg);
		}
		for (i = 0; i < l->ndisposals; i++) /* it may grow */
			l->disposals[i].fn(l->disposals[i].p);
		l->ndisposals = 0;
	} while (l->work != &l->work_end);
}

struct loop *
loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->base = event_base_new();
	if (l->base == NULL)
		fatalx("cannot make an event loop");
	l->work = &l->work_end;
	l->work_end.prev = &l->work;
	l->now = monotime_now();
	return (l);
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	end_turn(l);
	event_base_free(l->base);
	free(l->disposals);
	free(l);
}

struct event_base *
loop_base(struct loop *l)
{
	return (l->base);
}

void
loop_set_hooks(struct loop *l, void (*after_wake)(void *),
    void (*before_sleep)(void *), void *arg)
{
	l->after_wake = after_wake;
	l->before_sleep = before_sleep;
	l->hook_arg = arg;
}

/*
 * libevent 2.1 calls nobody between the kernel's answer and the first
 * callback, so the first callback does it for all.
 */
void
loop_turn_begin(struct loop *l)
{
	if (l->awake)
		return;
	l->awake = true;
	l->now = monotime_now();
	if (l->after_wake != NULL)
		l->after_wake(l->hook_arg);
}

void
loop_run(struct loop *l)
{
	l->stop = false;
	loop_turn_begin(l);
	end_turn(l);
	while (!l->stop) {
		if (l->before_sleep != NULL)
			l->before_sleep(l->hook_arg);
		l->awake = false;
		if (event_base_loop(
			l->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) == -1)
			fatalx("the event loop failed");
		loop_turn_begin(l);
		end_turn(l);
	}
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
}

monotime_t
loop_now(const struct loop *l)
{
	return (l->now);
}

/* ---- timers ---- */

static void
timer_arm(struct loop_timer *t)
{
	int64_t us = (t->at.ns - monotime_now().ns + 999) / 1000;
	struct timeval tv;

	if (us < 0)
		us = 0;
	tv.tv_sec = us / 1000000;
	tv.tv_usec = us % 1000000;
	evtimer_add(&t->ev, &tv);
	t->armed = t->at;
}

static void
timer_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *t = arg;

	loop_turn_begin(t->loop);
	/* libevent's clock is coarse, and the timer may have moved. */
	if (!monotime_reached(t->at, monotime_now())) {
		timer_arm(t);
		return;
	}
	t->active = false;
	t->fn(t->arg);
}

struct loop_timer *
loop_timer_new(struct loop *l, void (*fn)(void *), void *arg)
{
	struct loop_timer *t = pool_get(&timers);

	memset(t, 0, sizeof(*t));
	t->loop = l;
	t->fn = fn;
	t->arg = arg;
	evtimer_assign(&t->ev, l->base, timer_on_event, t);
	return (t);
}

void
loop_timer_set_ms(struct loop_timer *t, int64_t ms)
{
	loop_timer_set_at(t, monotime_add_ms(monotime_now(), ms));
}

void
loop_timer_set_at(struct loop_timer *t, monotime_t at)
{
	bool later = t->active && monotime_reached(t->armed, at);

	t->at = at;
	t->active = true;
	/* A timer that moves away is looked at when it first fires: most
	 * move with every request and never fire. */
	if (!later)
		timer_arm(t);
}

void
loop_timer_clear(struct loop_timer *t)
{
	if (!t->active)
		return;
	t->active = false;
	evtimer_del(&t->ev);
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	loop_timer_clear(t);
	pool_put(&timers, t);
}

/* ---- descriptors ---- */

static void
io_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct loop_io *io = arg;

	loop_turn_begin(io->loop);
	io->fn(io->arg, (what & EV_READ) != 0 ? LOOP_READ : LOOP_WRITE);
}

struct loop_io *
loop_io_new(struct loop *l, int fd, void (*fn)(void *, int), void *arg)
{
	struct loop_io *io = xcalloc(1, sizeof(*io));

	io->loop = l;
	io->fd = fd;
	io->fn = fn;
	io->arg = arg;
	event_assign(
	    &io->in, l->base, fd, EV_READ | EV_PERSIST, io_on_event, io);
	event_assign(
	    &io->out, l->base, fd, EV_WRITE | EV_PERSIST, io_on_event, io);
	return (io);
}

static void
io_watch(struct event *ev, bool was, bool want)
{
	if (want == was)
		return;
	if (!want)
		event_del(ev);
	else if (event_add(ev, NULL) == -1)
		log_warn("cannot watch a descriptor");
}

void
loop_io_want(struct loop_io *io, int what)
{
	io_watch(&io->in, io->want & LOOP_READ, what & LOOP_READ);
	io_watch(&io->out, io->want & LOOP_WRITE, what & LOOP_WRITE);
	io->want = what;
}

void
loop_io_free(struct loop_io *io)
{
	if (io == NULL)
		return;
	loop_io_want(io, 0);
	free(io);
}

/* ---- the end of the turn ---- */

void
loop_defer(struct loop *l, struct loop_work *w)
{
	if (w->prev != NULL)
		return;
	w->next = &l->work_end;
	w->prev = l->work_end.prev;
	*w->prev = w;
	l->work_end.prev = &w->next;
}

void
loop_work_cancel(struct loop_work *w)
{
	if (w->prev == NULL)
		return;
	*w->prev = w->next;
	w->next->prev = w->prev;
	w->prev = NULL;
	w->next = NULL;
}

void
loop_free_later(struct loop *l, void *p)
{
	loop_dispose_later(l, free, p);
}

void
loop_dispose_later(struct loop *l, void (*fn)(void *), void *p)
{
	assert(fn != NULL);
	if (l->ndisposals == l->cap_disposals) {
		l->cap_disposals = l->cap_disposals ? 2 * l->cap_disposals : 16;
		l->disposals = xrealloc(
		    l->disposals, l->cap_disposals * sizeof(l->disposals[0]));
	}
	l->disposals[l->ndisposals++] = (struct disposal){fn, p};
}

/*
 * The courier's life: started with the spool, heard, asked, killed when it
 * hangs, started again when it is gone. What it may do for long costs
 * billing nothing.
 */
#include "hubd/billing/shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/ledger/ledger_spool.h"

#define TICK_MS	     1000
#define SILENT_TICKS 30 /* without a word: it hangs */
#define RESTART_MS   1000
#define READ_SIZE    (64 * 1024)
#define INPUT_MAX    (1024 * 1024) /* read ahead */
#define OUTPUT_MAX   (64 * 1024)   /* beyond it no more nudges */
#define FLUSH_MS     5000	   /* for what waits, at shutdown */

/* ---- what is to be seen -------------------------------------------------- */

void
shared_say_waiting(struct billing *b)
{
	struct pub_state *ps = shm_pub_state(b->shm);
	uint64_t rows;
	int64_t since;

	if (spool_waiting(b->store, &rows, &since) != LEDGER_OK)
		return;
	atomic_store(&ps->spooled_since_ms, since);
	atomic_store(&ps->spooled, rows);
}

static void
say_up(struct billing *b, bool up)
{
	struct pub_state *ps = shm_pub_state(b->shm);

	if (up == b->shared->up)
		return;
	b->shared->up = up;
	atomic_store(&ps->shared_ok, up);
	if (up) {
		log_info("the shared store %s",
		    b->shared->known ? "is back" : "answers");
		b->shared->known = true;
		return;
	}
	counter_add(b->count, COUNT_shared_errors, 1);
	log_warnx("the shared store is away: %llu rows wait",
	    (unsigned long long)atomic_load(&ps->spooled));
}

/* ---- the courier's end --------------------------------------------------- */

static void
lose_courier(struct shared *s)
{
	loop_io_free(s->io);
	s->io = NULL;
	offspring_end(s->courier);
	s->courier = NULL;
	buf_reset(&s->in, 0);
	buf_reset(&s->out, 0);
	loop_timer_clear(s->apply);
	s->input_full = false;
	s->unanswered = false; /* the next asks for itself */
	s->restart_at = monotime_add_ms(monotime_now(), RESTART_MS);
	say_up(s->b, false);
	askers_lost(s);
	shared_prices_lost(s->b);
}

/* ---- to it --------------------------------------------------------------- */

static void
want(struct shared *s)
{
	int what = 0;

	if (s->io == NULL)
		return;
	if (!s->input_full)
		what |= LOOP_READ;
	if (buf_len(&s->out) > 0)
		what |= LOOP_WRITE;
	loop_io_want(s->io, what);
}

static void
flush_out(struct shared *s)
{
	ssize_t n;

	while (buf_len(&s->out) > 0) {
		n = write(offspring_socket(s->courier), buf_ptr(&s->out),
		    buf_len(&s->out));
		if (n <= 0) /* an end of file comes to the reader */
			break;
		buf_consume(&s->out, (size_t)n);
	}
	want(s);
}

bool
shared_send(struct shared *s, enum mirror_type type, uint32_t token,
    const void *p, size_t n)
{
	if (s->courier == NULL)
		return (false);
	mirror_put(&s->out, type, token, p, n);
	flush_out(s);
	return (true);
}

void
shared_booked(struct billing *b)
{
	struct shared *s = b->shared;

	if (s == NULL)
		return;
	shared_say_waiting(b);
	if (buf_len(&s->out) < OUTPUT_MAX)
		(void)shared_send(s, MIRROR_NUDGE, 0, NULL, 0);
}

/* ---- from it ------------------------------------------------------------- */

void
shared_told(struct billing *b, const struct mirror_record *r)
{
	struct mirror_priced priced;
	struct mirror_state state;
	uint32_t done;

	if (r->type == MIRROR_STATE) {
		mirror_get(r, &state);
		b->shared->unanswered = state.up == 0 && state.asked != 0;
		say_up(b, state.up != 0);
		if (state.up != 0)
			atomic_store(
			    &shm_pub_state(b->shm)->suspense, state.suspense);
	} else if (r->type == MIRROR_PRICED) {
		mirror_get(r, &priced);
		shared_priced(b, r->token, &priced);
	} else {
		mirror_get(r, &done);
		askers_synced(b->shared, r->token, done == 1);
	}
}

static void
foreign(struct shared *s)
{
	if (!s->foreign)
		log_errx("the shared store is another one than rows wait for "
			 "in spool.db: nothing goes there, nothing comes");
	s->foreign = true;
	lose_courier(s);
}

/* That a word was heard says nothing of a file that others find full. */
static void
worked(struct shared *s)
{
	if (s->away)
		store_worked(s->b);
	s->away = false;
}

static void
apply(struct shared *s)
{
	switch (mirror_apply(s->b, &s->in, &s->out)) {
	case APPLY_ALL:
		worked(s);
		s->input_full = false;
		break;
	case APPLY_MORE:
		worked(s);
		loop_timer_set_ms(s->apply, 0);
		s->input_full = buf_len(&s->in) >= INPUT_MAX;
		break;
	case APPLY_AWAY:
		store_failed(s->b);
		s->away = true;
		s->input_full = true;
		loop_timer_set_at(s->apply, s->b->retry_at);
		break;
	case APPLY_BROKEN:
		log_errx("the courier says what cannot be");
		lose_courier(s);
		return;
	case APPLY_FOREIGN:
		foreign(s);
		return;
	}
	flush_out(s);
}

static void
on_apply(void *arg)
{
	struct shared *s = arg;

	if (s->courier != NULL)
		apply(s);
}

/* false: it is gone. */
static bool
read_in(struct shared *s)
{
	ssize_t n;

	do {
		n = read(offspring_socket(s->courier),
		    buf_reserve(&s->in, READ_SIZE), READ_SIZE);
		if (n > 0)
			buf_commit(&s->in, (size_t)n);
	} while (n == READ_SIZE && buf_len(&s->in) < INPUT_MAX);
	return (n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR)));
}

static void
on_courier(void *arg, int what)
{
	struct shared *s = arg;

	if ((what & LOOP_WRITE) != 0)
		flush_out(s);
	if ((what & LOOP_READ) == 0)
		return;
	s->silent = 0;
	if (!read_in(s))
		lose_courier(s);
	else
		apply(s);
}

/* ---- life ---------------------------------------------------------------- */

static void
start_courier(struct shared *s)
{
	s->restart_at = monotime_add_ms(monotime_now(), RESTART_MS);
	s->courier = offspring_start(s->b, OFFSPRING_COURIER, -1);
	if (s->courier == NULL)
		return;
	counter_add(s->b->count, COUNT_shared_starts, 1);
	s->silent = 0;
	s->io = loop_io_new(
	    s->b->loop, offspring_socket(s->courier), on_courier, s);
	askers_again(s);
	prices_unblocked(s->b);
	want(s);
}

/* Counted in turns of our own: who was stopped himself blames nobody. */
static bool
hangs(struct shared *s)
{
	unsigned patience = FAILPOINT("billing.impatient") ? 2 : SILENT_TICKS;

	if (s->input_full)
		s->silent = 0;
	return (++s->silent > patience);
}

static void
on_tick(void *arg)
{
	struct shared *s = arg;

	loop_timer_set_ms(s->tick, TICK_MS);
	shared_prices_tick(s->b);
	if (s->courier == NULL) {
		if (monotime_reached(s->restart_at, monotime_now()))
			start_courier(s);
	} else if (hangs(s)) {
		log_warnx("the courier does not say a word: killed");
		lose_courier(s);
	}
}

void
shared_start(struct billing *b)
{
	struct shared *s = xcalloc(1, sizeof(*s));

	s->b = b;
	LIST_INIT(&s->askers);
	b->shared = s;
	/* A billing process before this one may have said that it is up. */
	atomic_store(&shm_pub_state(b->shm)->shared_ok, 0);
	shared_say_waiting(b);
	if (b->loop == NULL)
		return;
	s->tick = loop_timer_new(b->loop, on_tick, s);
	s->apply = loop_timer_new(b->loop, on_apply, s);
	loop_timer_set_ms(s->tick, TICK_MS);
	start_courier(s);
}

void
shared_stop(struct billing *b)
{
	struct shared *s = b->shared;

	if (s == NULL)
		return;
	if (s->io != NULL)
		loop_io_free(s->io);
	offspring_end(s->courier);
	loop_timer_free(s->tick);
	loop_timer_free(s->apply);
	buf_fini(&s->in);
	buf_fini(&s->out);
	free(s);
	b->shared = NULL;
}

enum ledger_result
shared_whole(struct billing *b)
{
	char id[LEDGER_ID_MAX];
	enum ledger_result r;
	int64_t clock;

	if (b->shared == NULL)
		return (LEDGER_OK);
	r = spool_clock_get(b->store, id, &clock);
	if (r != LEDGER_OK)
		return (LEDGER_DOWN);
	return (clock == SPOOL_NOT_WHOLE ? LEDGER_MISSING : LEDGER_OK);
}

bool
shared_flushed(struct billing *b)
{
	struct shared *s = b->shared;

	if (s == NULL || !s->up ||
	    atomic_load(&shm_pub_state(b->shm)->spooled) == 0)
		return (true);
	if (s->flush_until.ns == 0)
		s->flush_until = monotime_add_ms(monotime_now(), FLUSH_MS);
	return (monotime_reached(s->flush_until, monotime_now()));
}

bool
shared_wants_courier(const struct billing *b)
{
	return (b->shared != NULL && b->shared->courier == NULL);
}

bool
shared_is_away(const struct billing *b)
{
	return (b->shared != NULL && b->shared->unanswered);
}

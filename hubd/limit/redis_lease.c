/* Leases: what a worker has to tell Redis, until Redis knows it. */
#include "hubd/limit/redis_lease.h"

#include <assert.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "shm/pubtab.h"

#define BATCH 32 /* leases in one command */

struct lease *
lease_new(struct limiter_redis *l, const struct admission *a)
{
	struct lease *e = xcalloc(1, sizeof(*e));

	e->owner = l;
	e->state = LEASE_ASKED;
	req_id_format(a->id, e->id);
	e->account = a->account;
	e->account_row = a->account_row;
	e->key = a->key;
	TAILQ_INSERT_TAIL(&l->leases, e, entry);
	l->nleases++;
	return (e);
}

static void
lease_free(struct lease *e)
{
	struct limiter_redis *l = e->owner;

	assert(e->flight == 0);
	if (e->untold)
		TAILQ_REMOVE(&l->untold, e, untold_entry);
	TAILQ_REMOVE(&l->leases, e, entry);
	l->nleases--;
	free(e);
}

static void
tell(struct lease *e)
{
	struct limiter_redis *l = e->owner;

	if (e->untold || e->state == LEASE_ASKED)
		return;
	e->untold = true;
	TAILQ_INSERT_TAIL(&l->untold, e, untold_entry);
	if (l->state == REDIS_KNOWN)
		l->wire.flush_later(l->wire.arg);
}

void
lease_set(struct lease *e, enum lease_state state, nanousd_t amount)
{
	e->state = state;
	e->amount = amount;
	e->changes++;
	tell(e);
}

void
lease_end(struct lease *e)
{
	e->state = LEASE_GONE;
	e->changes++;
	if (e->until.ns == 0 && e->flight == 0)
		lease_free(e);
	else
		tell(e);
}

void
leases_tell_all(struct limiter_redis *l)
{
	struct lease *e;

	TAILQ_FOREACH (e, &l->leases, entry)
		tell(e);
}

/* So many a tick that all are renewed in half of the time there is, and those
 * that came at once do not all go at once for ever. */
static size_t
renewals(const struct limiter_redis *l, int64_t due_ms)
{
	int64_t ticks = due_ms / 2 / LIMITER_REDIS_TICK_MS;

	return (l->nleases / (ticks > 1 ? (size_t)ticks : 1) + BATCH);
}

void
leases_tick(struct limiter_redis *l, monotime_t now)
{
	int64_t due_ms = l->rules.lease_ms * 2 / 3;
	size_t room = renewals(l, due_ms);
	struct lease *e, *next;

	for (e = TAILQ_FIRST(&l->leases); e != NULL; e = next) {
		next = TAILQ_NEXT(e, entry);
		if (e->state == LEASE_GONE && e->flight == 0 &&
		    monotime_reached(e->until, now))
			lease_free(e);
		else if (room > 0 && !e->untold &&
			 monotime_diff_ms(e->until, now) <= due_ms) {
			tell(e);
			room--;
		}
	}
}

/* ---- commands --------------------------------------------------------------
 */

struct batch {
	struct limiter_redis *l;
	size_t n;
	struct {
		struct lease *lease;
		uint32_t changes;
		bool gone;
	} of[BATCH];
};

static void
answered(struct lease *e, bool known, bool last, bool gone, monotime_t now)
{
	e->flight--;
	/* also if nobody knows: it may be there */
	if (!gone)
		e->until = monotime_add_ms(now, e->owner->rules.lease_ms);
	if (!known || !last) {
		tell(e);
		return;
	}
	if (gone)
		e->until = (monotime_t){0};
	if (gone && e->flight == 0)
		lease_free(e);
}

static void
on_kept(void *arg, const struct redis_reply *reply, monotime_t now)
{
	struct batch *b = arg;
	struct limiter_redis *l = b->l;
	enum redis_code code = LIMIT_LOST;
	bool read, known;

	l->flight--;
	read = reply != NULL && redis_read_kept(reply, &code);
	known = read && code == LIMIT_TAKEN;
	for (size_t i = 0; i < b->n; i++)
		answered(b->of[i].lease, known,
		    b->of[i].changes == b->of[i].lease->changes, b->of[i].gone,
		    now);
	free(b);
	if (reply != NULL && !read)
		redis_broken(l, reply);
	else if (read && !known)
		redis_lost(l);
}

static const char *
kind_of(const struct lease *e)
{
	return (e->state == LEASE_LIVE	 ? "h"
		: e->state == LEASE_COST ? "c"
					 : "-");
}

void
lease_put_keys(
    struct limiter_redis *l, struct redis_command *c, const struct lease *e)
{
	redis_command_key(c, "hubd:{%s}:account:%u", l->store, e->account);
	redis_command_key(c, "hubd:{%s}:until:%u", l->store, e->account);
	redis_command_key(c, "hubd:{%s}:held:%u", l->store, e->account);
	redis_command_key(c, "hubd:{%s}:calls:%u", l->store, e->key);
	redis_command_key(c, "hubd:{%s}:rates:%u", l->store, e->key);
}

static void
put_lease(struct limiter_redis *l, struct redis_command *c, struct lease *e)
{
	lease_put_keys(l, c, e);
	redis_command_text(c, e->id);
	redis_put_account(l, c, e->account, e->account_row);
	redis_command_text(c, kind_of(e));
	redis_command_int(c, e->amount.n);
	redis_command_int(c, e->counts && e->state == LEASE_LIVE);
	redis_command_int(c, e->back_requests);
	redis_command_int(c, e->back_tokens);
}

static bool
flush_batch(struct limiter_redis *l, monotime_t now)
{
	struct batch *b = xcalloc(1, sizeof(*b));
	struct redis_command c;
	struct lease *e;

	b->l = l;
	redis_begin(l, &c, REDIS_KEEP);
	while (b->n < BATCH && (e = TAILQ_FIRST(&l->untold)) != NULL) {
		TAILQ_REMOVE(&l->untold, e, untold_entry);
		e->untold = false;
		e->flight++;
		b->of[b->n].lease = e;
		b->of[b->n].gone = e->state == LEASE_GONE;
		b->of[b->n++].changes = e->changes;
		put_lease(l, &c, e);
	}
	l->flight++;
	if (l->wire.send(l->wire.arg, &c, on_kept, b))
		return (true);
	on_kept(b, NULL, now);
	return (false);
}

void
leases_flush(struct limiter_redis *l, monotime_t now)
{
	while (l->state == REDIS_KNOWN && l->flight < REDIS_FLIGHT_MAX &&
	       !TAILQ_EMPTY(&l->untold))
		if (!flush_batch(l, now))
			break;
}

void
leases_free(struct limiter_redis *l)
{
	struct lease *e;

	while ((e = TAILQ_FIRST(&l->leases)) != NULL)
		lease_free(e);
}

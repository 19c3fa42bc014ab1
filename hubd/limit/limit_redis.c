/* The limiter of several hubs: admissions by Redis, or without it. */
#include "hubd/limit/limit_redis.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "hubd/limit/limit_cells.h"
#include "hubd/limit/redis_lease.h"

#define MINUTE_US INT64_C(60000000)
#define DAY_US	  (24 * 60 * MINUTE_US)

static struct limiter_redis *
self(struct limiter *l)
{
	return ((struct limiter_redis *)(void *)l);
}

/* ---- without Redis ------------------------------------------------------- */

/* A limit of which this hub has a share: never none. */
static uint64_t
part_of(uint64_t limit, uint32_t share)
{
	uint64_t part = limit / SHARE_WHOLE * share +
			limit % SHARE_WHOLE * share / SHARE_WHOLE;

	return (limit != 0 && part == 0 ? 1 : part);
}

static enum api_error
take_share(struct limiter_redis *l, struct admission *a, monotime_t now)
{
	if (l->rules.strict) {
		counter_add(l->count, COUNT_limits_refused, 1);
		return (API_ERR_overloaded);
	}
	counter_add(l->count, COUNT_limits_share, 1);
	a->share = l->rules.share;
	a->rpm = (uint32_t)part_of(a->rpm, a->share);
	a->tpm = part_of(a->tpm, a->share);
	a->concurrency = (uint32_t)part_of(a->concurrency, a->share);
	return (limit_cells_take(l->base.shm, a, now));
}

static void
decide_here(struct lease *e, monotime_t now)
{
	struct admission *a = e->asked;
	admit_fn *done = e->done;
	enum api_error error = take_share(e->owner, a, now);

	e->asked = NULL;
	if (error == API_OK) {
		e->counts = a->concurrency != 0;
		lease_set(e, LEASE_LIVE, a->held);
	} else {
		a->lease = NULL;
		lease_end(e);
	}
	done(a, error);
}

/* ---- by Redis ------------------------------------------------------------ */

/* The time that n units take at that rate, rounded up; 0 without a limit. */
static int64_t
cost_us(uint64_t per_minute, uint64_t n)
{
	__uint128_t us;

	if (per_minute == 0)
		return (0);
	us = ((__uint128_t)n * (uint64_t)MINUTE_US + per_minute - 1) /
	     per_minute;
	return (us > (uint64_t)DAY_US ? DAY_US : (int64_t)us);
}

static bool
ask(struct limiter_redis *l, struct lease *e, redis_done_fn *done)
{
	const struct admission *a = e->asked;
	struct redis_command c;

	redis_begin(l, &c, REDIS_ADMIT);
	lease_put_keys(l, &c, e);
	redis_command_text(&c, e->id);
	redis_put_account(l, &c, e->account, e->account_row);
	redis_command_int(&c, a->hold.n);
	redis_command_text(&c, a->unlimited ? "unlimited"
			       : a->soft    ? "soft"
					    : "strict");
	redis_command_int(&c, a->concurrency);
	redis_command_int(&c, cost_us(a->rpm, 1));
	redis_command_int(&c, cost_us(a->tpm, a->tokens));
	e->flight++;
	l->flight++;
	if (l->wire.send(l->wire.arg, &c, done, e))
		return (true);
	e->flight--;
	l->flight--;
	return (false);
}

static void
mirror_buckets(const struct shm *shm, const struct admission *a,
    const struct redis_admitted *said, monotime_t now)
{
	if (a->rpm != 0)
		bucket_set(bucket_of_key(shm, a->key_row, BUCKET_REQUESTS),
		    said->requests_us * 1000, now);
	if (a->tpm != 0)
		bucket_set(bucket_of_key(shm, a->key_row, BUCKET_TOKENS),
		    said->tokens_us * 1000, now);
}

/* Redis has taken all of it: so do cells. */
static void
admitted(struct lease *e, struct admission *a, nanousd_t held, monotime_t now)
{
	struct limiter_redis *l = e->owner;

	a->held = held;
	limit_cells_note(l->base.shm, a);
	e->state = LEASE_LIVE;
	e->amount = held;
	e->counts = a->concurrency != 0;
	e->rated = true;
	e->back_requests = cost_us(a->rpm, 1);
	e->back_tokens = cost_us(a->tpm, a->tokens);
	e->until = monotime_add_ms(now, l->rules.lease_ms);
}

static enum api_error
error_of(enum redis_code code)
{
	static const enum api_error errors[] = {
	    [LIMIT_TAKEN] = API_OK,
	    [LIMIT_RATE] = API_ERR_rate_limited,
	    [LIMIT_CONCURRENCY] = API_ERR_concurrency_limited,
	    [LIMIT_BALANCE] = API_ERR_insufficient_balance,
	};

	return (errors[code]);
}

static void
decided(struct lease *e, const struct redis_admitted *said, monotime_t now)
{
	struct limiter_redis *l = e->owner;
	struct admission *a = e->asked;
	admit_fn *done = e->done;

	counter_add(l->count, COUNT_limits_shared, 1);
	histogram_add(l->count, HIST_limits, (now.ns - e->asked_at.ns) / 1000);
	mirror_buckets(l->base.shm, a, said, now);
	e->asked = NULL;
	if (said->code == LIMIT_TAKEN) {
		admitted(e, a, (nanousd_t){said->held}, now);
	} else {
		a->retry_ms = (said->wait_us + 999) / 1000;
		a->lease = NULL;
		lease_end(e);
	}
	done(a, error_of(said->code));
}

static void
on_admit(void *arg, const struct redis_reply *reply, monotime_t now)
{
	struct lease *e = arg;
	struct limiter_redis *l = e->owner;
	struct redis_admitted said;

	e->flight--;
	l->flight--;
	if (reply == NULL) {
		/* it may be there all the same */
		e->until = monotime_add_ms(now, l->rules.lease_ms);
	} else if (!redis_read_admitted(reply, e->asked->hold.n, &said)) {
		redis_broken(l, reply);
	} else if (said.code == LIMIT_LOST) {
		redis_lost(l);
	} else {
		decided(e, &said, now);
		return;
	}
	decide_here(e, now);
}

/* ---- the limiter --------------------------------------------------------- */

static void
redis_admit(
    struct limiter *base, struct admission *a, monotime_t now, admit_fn *done)
{
	struct limiter_redis *l = self(base);
	struct lease *e = lease_new(l, a);

	a->lease = e;
	a->share = SHARE_WHOLE;
	e->asked = a;
	e->done = done;
	e->asked_at = now;
	if (!limiter_redis_decides(base, now) ||
	    l->flight >= REDIS_FLIGHT_MAX || !ask(l, e, on_admit))
		decide_here(e, now);
}

static void
redis_settle(struct limiter *base, struct admission *a, nanousd_t cost,
    uint64_t tokens, monotime_t now)
{
	struct lease *e = a->lease;

	limit_cells_settle(base->shm, a, cost, tokens, now);
	/* what Redis has taken for it, it corrects; and nothing else */
	if (e->rated)
		e->back_tokens -= cost_us(a->tpm, tokens);
	e->back_requests = 0;
	lease_set(e, LEASE_COST, cost);
}

static void
redis_booked(struct limiter *base, struct lease *e, monotime_t now)
{
	if (e != NULL)
		lease_end(e);
}

static void
redis_cancel(struct limiter *base, struct admission *a, monotime_t now)
{
	limit_cells_cancel(base->shm, a, now);
	lease_end(a->lease);
	a->lease = NULL;
}

static void
redis_free(struct limiter *base)
{
	leases_free(self(base));
	free(base);
}

static const struct limiter_ops redis_ops = {
    .name = "redis",
    .admit = redis_admit,
    .settle = redis_settle,
    .booked = redis_booked,
    .cancel = redis_cancel,
    .free = redis_free,
};

struct limiter *
limiter_redis_new(const struct shm *shm, struct counter_row *count,
    const struct redis_wire *wire)
{
	struct limiter_redis *l = xcalloc(1, sizeof(*l));

	l->base = (struct limiter){&redis_ops, shm};
	l->count = count;
	l->wire = *wire;
	TAILQ_INIT(&l->leases);
	TAILQ_INIT(&l->untold);
	return (&l->base);
}

void
limiter_redis_configure(struct limiter *base, const struct limit_rules *rules)
{
	self(base)->rules = *rules;
}

bool
limiter_redis_decides(const struct limiter *base, monotime_t now)
{
	const struct limiter_redis *l = (const void *)base;

	return (l->state == REDIS_KNOWN && monotime_reached(l->young, now));
}

bool
limiter_redis_idle(const struct limiter *base)
{
	const struct limiter_redis *l = (const void *)base;

	return (l->state != REDIS_KNOWN ||
		(TAILQ_EMPTY(&l->untold) && l->flight == 0));
}

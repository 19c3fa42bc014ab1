/* Hello, again each second: who this hub is, and what it owes. */
#include <string.h>

#include "common/log.h"
#include "hubd/limit/redis_lease.h"
#include "shm/process.h"
#include "shm/pubtab.h"

/* In this time every worker of every hub has met a Redis that lost all, or
 * has come back to it: longer than any pause between two attempts. */
#define YOUNG_MS 6000

#define LOOK_ROWS 4096 /* accounts looked at for one command */
#define UNFOUND	  60   /* hellos: in 1,000,000 it is looked for 0.1 s long */

static struct limiter_redis *
self(struct limiter *l)
{
	return ((struct limiter_redis *)(void *)l);
}

void
redis_begin(
    struct limiter_redis *l, struct redis_command *c, enum redis_script script)
{
	redis_command_init(c, script);
	redis_command_key(c, "hubd:{%s}:epoch", l->store);
	redis_command_key(c, "hubd:{%s}:owing:%s", l->store, l->hub);
	redis_command_int(c, l->epoch);
	redis_command_int(c, l->rules.lease_ms * 1000);
	redis_command_text(c, l->hub);
}

void
redis_put_account(struct limiter_redis *l, struct redis_command *c,
    uint32_t account, uint32_t row)
{
	struct pub_account p;

	if (!pub_account_read(l->base.shm, row, &p) || p.id != account)
		memset(&p, 0, sizeof(p));
	redis_command_int(c, account);
	redis_command_int(c, row);
	redis_command_int(c, p.store_seq);
	redis_command_int(c, p.store_available);
	redis_command_int(c, p.owed);
	redis_command_int(c, p.version);
}

void
redis_broken(struct limiter_redis *l, const struct redis_reply *reply)
{
	l->wire.fail(l->wire.arg,
	    reply->error != NULL ? reply->error : "an answer that is none");
}

/* ---- hello --------------------------------------------------------------- */

static uint32_t
accounts_in_use(const struct shm *shm)
{
	uint32_t n = atomic_load(&shm_pub_state(shm)->naccounts);

	return (n < shm->sizes.max_accounts ? n : shm->sizes.max_accounts);
}

static void
put_one(struct limiter_redis *l, struct redis_command *c, uint32_t account,
    uint32_t row)
{
	redis_command_key(c, "hubd:{%s}:account:%u", l->store, account);
	redis_put_account(l, c, account, row);
}

static bool
is_there(const struct shm *shm, const struct redis_listed *one)
{
	struct pub_account p;

	return (one->row < shm->sizes.max_accounts &&
		pub_account_read(shm, one->row, &p) && p.id == one->account);
}

/*
 * Redis may know the rows of another start: all of these are looked for at
 * once, for accounts may be many. One that is nowhere, as after a backup was
 * put back, stays in its list for a day.
 */
static void
put_elsewhere(struct limiter_redis *l, struct redis_command *c,
    const struct redis_listed *list[], size_t n)
{
	uint32_t row, end = accounts_in_use(l->base.shm);
	struct pub_account p;
	size_t i;

	if (n > 0 && l->unfound > 0) {
		l->unfound--;
		return;
	}
	for (row = 0; row < end && n > 0; row++) {
		if (!pub_account_read(l->base.shm, row, &p))
			continue;
		for (i = 0; i < n && list[i]->account != p.id; i++)
			;
		if (i == n)
			continue;
		put_one(l, c, p.id, row);
		list[i] = list[--n];
	}
	if (n > 0)
		l->unfound = UNFOUND;
}

static void
put_listed(struct limiter_redis *l, struct redis_command *c)
{
	const struct redis_listed *elsewhere[REDIS_LIST_MAX];
	size_t i, n = 0;

	for (i = 0; i < l->nlist; i++) {
		if (is_there(l->base.shm, &l->list[i]))
			put_one(l, c, l->list[i].account, l->list[i].row);
		else
			elsewhere[n++] = &l->list[i];
	}
	put_elsewhere(l, c, elsewhere, n);
	l->nlist = 0;
}

static void
look_again(struct limiter_redis *l)
{
	l->looked_at = 0;
	l->looked = false;
	l->unfound = 0;
}

/*
 * What Redis cannot have in its list, for nobody has told it: it lost that, or
 * it was away when rows were booked, or their worker was dead. Without it
 * other hubs would spend the same money while the store is away.
 */
static void
put_owing(struct limiter_redis *l, struct redis_command *c)
{
	const struct shm *shm = l->base.shm;
	uint32_t n = accounts_in_use(shm), end = l->looked_at + LOOK_ROWS;
	struct pub_account p;
	size_t told = 0;

	for (; l->looked_at < end && told < REDIS_LIST_MAX; l->looked_at++) {
		if (l->looked_at >= n) {
			l->looked_at = 0;
			l->looked = true;
			break;
		}
		if (!pub_account_read(shm, l->looked_at, &p) || p.owed == 0)
			continue;
		put_one(l, c, p.id, l->looked_at);
		told++;
	}
}

/*
 * Workers of a hub would all tell the same, and Redis, which needs 15 us for an
 * account, would hear little else. The first goes on at once; the others, for
 * it may be cut off or die, each second.
 */
static bool
is_first(const struct limiter_redis *l)
{
	const struct process_row *rows = process_rows(l->base.shm);
	ptrdiff_t i = 0, me = l->count - counter_rows(l->base.shm);

	while (i < me && !process_row_lives(&rows[i], ROLE_WORKER))
		i++;
	return (i == me);
}

/*
 * A worker that is new has not seen the loss. A hub that is new cannot tell
 * it from the first time of all, when there is nobody else who could tell
 * anything.
 */
static void
note_age(struct limiter_redis *l, int64_t age_ms, monotime_t now)
{
	monotime_t hub = {shm_run_state(l->base.shm)->started_mono_ns};

	if (l->epoch == 0 && age_ms < YOUNG_MS &&
	    monotime_diff_ms(now, hub) > YOUNG_MS)
		l->young = monotime_add_ms(now, YOUNG_MS - age_ms);
}

/* What it has lost the other hubs have to tell it, too. */
static void
note_epoch(struct limiter_redis *l, int64_t epoch, monotime_t now)
{
	bool lost = l->epoch != 0 && epoch != l->epoch;

	l->epoch = epoch;
	if (lost) {
		l->young = monotime_add_ms(now, YOUNG_MS);
		counter_add(l->count, COUNT_limits_lost, 1);
		log_warnx("limits: Redis has lost what it knew; it is told "
			  "again, and decides in %d s",
		    YOUNG_MS / 1000);
		if (l->state == REDIS_KNOWN)
			look_again(l);
	}
	if (l->state == REDIS_HELLO) {
		l->state = REDIS_KNOWN;
		l->wire.ready(l->wire.arg);
		lost = true;
	}
	if (lost)
		leases_tell_all(l);
}

static void
note_list(struct limiter_redis *l, const struct redis_told *told)
{
	memcpy(l->list, told->list, told->n * sizeof(told->list[0]));
	l->nlist = told->n;
	l->list_from =
	    told->n == REDIS_LIST_MAX ? l->list_from + REDIS_LIST_MAX : 0;
}

static void say_hello(struct limiter_redis *);

static void
on_told(void *arg, const struct redis_reply *reply, monotime_t now)
{
	struct limiter_redis *l = arg;
	struct redis_told told;

	l->telling = false;
	if (reply == NULL)
		return;
	if (!redis_read_told(reply, &told)) {
		redis_broken(l, reply);
		return;
	}
	note_list(l, &told);
	note_age(l, told.age_us / 1000, now);
	note_epoch(l, told.epoch, now);
	if (!l->looked && l->looked_at != 0 && is_first(l))
		say_hello(l);
}

static void
say_hello(struct limiter_redis *l)
{
	struct redis_command c;

	if (l->telling)
		return;
	redis_begin(l, &c, REDIS_TELL);
	redis_command_int(&c, l->list_from);
	put_listed(l, &c);
	put_owing(l, &c);
	l->telling = true;
	if (!l->wire.send(l->wire.arg, &c, on_told, l))
		l->telling = false;
}

void
redis_lost(struct limiter_redis *l)
{
	if (l->state != REDIS_KNOWN)
		return;
	l->state = REDIS_HELLO;
	look_again(l);
	say_hello(l);
}

/* ---- the connection ------------------------------------------------------ */

bool
limiter_redis_knows_itself(struct limiter *base)
{
	struct limiter_redis *l = self(base);
	struct pub_state *ps = shm_pub_state(base->shm);

	if (atomic_load(&ps->loaded) == 0)
		return (false);
	memcpy(l->store, ps->store_id, sizeof(l->store));
	memcpy(l->hub, ps->hub_id, sizeof(l->hub));
	l->store[sizeof(l->store) - 1] = l->hub[sizeof(l->hub) - 1] = '\0';
	return (true);
}

/* A hub that began without its store learns which one it has only then. */
static bool
store_is_another(const struct limiter_redis *l)
{
	struct pub_state *ps = shm_pub_state(l->base.shm);

	return (strncmp(l->store, ps->store_id, sizeof(l->store) - 1) != 0);
}

void
limiter_redis_up(struct limiter *base, monotime_t now)
{
	struct limiter_redis *l = self(base);

	l->state = REDIS_HELLO;
	l->list_from = 0;
	look_again(l);
	say_hello(l);
}

void
limiter_redis_down(struct limiter *base)
{
	self(base)->state = REDIS_AWAY;
}

void
limiter_redis_flush(struct limiter *base, monotime_t now)
{
	leases_flush(self(base), now);
}

void
limiter_redis_tick(struct limiter *base, monotime_t now)
{
	struct limiter_redis *l = self(base);

	leases_tick(l, now);
	if (l->state != REDIS_KNOWN)
		return;
	if (store_is_another(l)) {
		l->epoch = 0;
		l->wire.fail(l->wire.arg, "the store has another id now");
		return;
	}
	say_hello(l);
	leases_flush(l, now);
}

/*
 * The store and its absences: start-up goes step by step as far as the store
 * lets it, and whatever finds it away is tried again, later and later. The
 * hub serves on what is published meanwhile.
 */
#include <string.h>

#include "common/log.h"
#include "hubd/billing/billing.h"
#include "shm/pubtab.h"

static void
say_store(struct billing *b, bool ok)
{
	atomic_store(&shm_pub_state(b->shm)->store_ok, ok ? 1 : 0);
}

bool
store_waits(const struct billing *b)
{
	return (b->backoff_ms != 0 &&
		!monotime_reached(b->retry_at, monotime_now()));
}

bool
store_is_shared(const struct billing *b)
{
	return (b->conf->store != NULL &&
		strncmp(b->conf->store, "postgres", 8) == 0);
}

void
store_failed(struct billing *b)
{
	counter_add(b->count, COUNT_store_errors, 1);
	say_store(b, false);
	if (b->backoff_ms == 0)
		log_warnx("the store is away; finished calls wait in memory");
	b->backoff_ms = b->backoff_ms == 0 ? BACKOFF_MIN : 2 * b->backoff_ms;
	if (b->backoff_ms > BACKOFF_MAX)
		b->backoff_ms = BACKOFF_MAX;
	b->retry_at = monotime_add_ms(monotime_now(), b->backoff_ms);
	if (b->retry_timer != NULL)
		loop_timer_set_at(b->retry_timer, b->retry_at);
}

void
store_worked(struct billing *b)
{
	if (b->backoff_ms != 0)
		log_info("the store is back");
	b->backoff_ms = 0;
	say_store(b, true);
}

static enum ledger_result
open_store(struct billing *b)
{
	char error[256] = "";

	b->store = b->ops->open(b->conf->state_dir, error, sizeof(error));
	if (b->store == NULL) {
		log_warnx("store %s: %s", b->ops->name, error);
		return (LEDGER_DOWN);
	}
	versions_init(&b->versions, b->ops, b->store);
	if (store_is_shared(b))
		shared_start(b);
	return (LEDGER_OK);
}

/* What there is in a copy that is not whole yet would mislead. */
static enum ledger_result
begin_whole(struct billing *b)
{
	enum ledger_result r = shared_whole(b);

	if (r == LEDGER_OK)
		publish_tell(b);
	return (r);
}

/* A hub without prices serves all the same: what it refuses is clear. */
static enum ledger_result
start_serving(struct billing *b)
{
	enum ledger_result r = prices_start(b);

	if (r == LEDGER_OK)
		atomic_store(&shm_pub_state(b->shm)->loaded, 1);
	return (r);
}

/* MISSING: it goes on later, when what it waits for has come. */
static enum ledger_result
step(struct billing *b)
{
	switch (b->stage) {
	case STAGE_OPEN:
		if (b->store == NULL && open_store(b) != LEDGER_OK)
			return (LEDGER_DOWN);
		return (identity_publish(b));
	case STAGE_TABLES:
		return (publish_load(b));
	case STAGE_WHOLE:
		return (begin_whole(b));
	case STAGE_OLD_ROWS:
		return (oldrows_bill(b));
	case STAGE_LEFTOVERS:
		return (checkpoint_leftovers(b));
	case STAGE_PRICES:
		return (start_serving(b));
	case STAGE_SERVING:
		break;
	}
	return (LEDGER_OK);
}

void
billing_advance(struct billing *b)
{
	enum ledger_result r;

	while (b->stage != STAGE_SERVING) {
		if ((r = step(b)) == LEDGER_DOWN) {
			store_failed(b);
			return;
		}
		store_worked(b);
		if (r == LEDGER_MISSING)
			return;
		if (++b->stage == STAGE_SERVING)
			prices_unblocked(b);
	}
	intake_kick(b);
}

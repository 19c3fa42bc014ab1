/* Is the hub alive, is it ready: decided from shared memory. */
#include "hubd/health.h"

#include "common/json.h"
#include "common/monotime.h"
#include "hubd/gauges.h"
#include "shm/call.h"
#include "shm/process.h"

/* The master replaces a worker whose heartbeat is 10 s old. That none beats
 * for this long means that it does not any more. */
#define STUCK_MS 30000

static bool
draining(const struct shm *shm)
{
	return (atomic_load(&shm_run_state(shm)->draining) != 0);
}

static bool
worker_beats(struct process_row *p, monotime_t now)
{
	monotime_t beat = {atomic_load(&p->heartbeat_ns)};

	return (process_row_lives(p, ROLE_WORKER) &&
		monotime_diff_ms(now, beat) < STUCK_MS);
}

/* No worker has beaten for long, though there was time to start some. */
static bool
stuck(const struct shm *shm)
{
	struct process_row *rows = process_rows(shm);
	monotime_t now = monotime_now();
	monotime_t start = {shm_run_state(shm)->started_mono_ns};
	uint32_t i;

	if (monotime_diff_ms(now, start) < STUCK_MS)
		return (false);
	for (i = 0; i < shm->sizes.nprocs; i++) {
		if (worker_beats(&rows[i], now))
			return (false);
	}
	return (true);
}

/* At least 95 % of the call table is in use. Stops at the first twentieth
 * that is free: seldom reads more. */
static bool
overloaded(const struct shm *shm)
{
	struct call_row *rows = call_rows(shm);
	uint32_t i, unused = 0, max = shm->sizes.max_calls;

	for (i = 0; i < max; i++) {
		if (call_word_state(atomic_load_explicit(
			&rows[i].word, memory_order_relaxed)) != CALL_FREE)
			continue;
		if (++unused > max / 20)
			return (false);
	}
	return (true);
}

static const char *
why_not_healthy(const struct shm *shm)
{
	if (!draining(shm) && stuck(shm))
		return ("no worker answers");
	return (NULL);
}

static const char *
why_not_ready(const struct shm *shm)
{
	struct pub_state *pub = shm_pub_state(shm);

	if (draining(shm))
		return ("draining");
	if (atomic_load(&pub->loaded) == 0)
		return ("loading");
	if (stuck(shm))
		return ("no worker answers");
	if (!hub_any_agent(shm))
		return ("no agent");
	if (overloaded(shm))
		return ("overloaded");
	if (hub_limits(shm) == LIMITS_NOBODY)
		return ("Redis is away");
	return (NULL);
}

/* Said beside a good answer: what an operator would want to know. */
static const char *
remark(const struct shm *shm)
{
	struct pub_state *pub = shm_pub_state(shm);

	if (draining(shm))
		return ("draining");
	if (atomic_load(&pub->loaded) == 0)
		return ("loading");
	if (hub_billing_silent_ms(shm) > HUB_SILENT_MS)
		return ("billing does not move");
	if (atomic_load(&pub->store_ok) == 0)
		return ("store is away");
	return ("");
}

int
hub_health(const struct shm *shm, bool ready, struct buf *body)
{
	const char *why = ready ? why_not_ready(shm) : why_not_healthy(shm);
	struct jout j;

	jout_init(&j, body);
	jout_begin_object(&j);
	jout_kstr(&j, "status", why == NULL ? "ok" : "unavailable");
	jout_kstr(&j, "reason", why == NULL ? remark(shm) : why);
	jout_end_object(&j);
	return (why == NULL ? 200 : 503);
}

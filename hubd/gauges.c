/* Figures of the hub as a whole. */
#include "hubd/gauges.h"

#include "common/monotime.h"
#include "shm/call.h"
#include "shm/cells.h"
#include "shm/process.h"
#include "shm/pubtab.h"
#include "shm/registry.h"

static bool
agent_is_up(const struct shm *shm, uint32_t agent_row)
{
	struct pub_agent agent;
	uint32_t p;

	if (!pub_agent_read(shm, agent_row, &agent) || agent.revoked ||
	    agent.draining)
		return (false);
	for (p = 0; p < shm->sizes.nprocs; p++) {
		if (registry_usable(shm, p, agent_row))
			return (true);
	}
	return (false);
}

static uint32_t
in_use(uint32_t n, uint32_t max)
{
	return (n < max ? n : max);
}

static uint32_t
agent_rows(const struct shm *shm)
{
	return (in_use(
	    atomic_load(&shm_pub_state(shm)->nagents), shm->sizes.max_agents));
}

uint32_t
hub_agents_up(const struct shm *shm)
{
	uint32_t i, up = 0, n = agent_rows(shm);

	for (i = 0; i < n; i++)
		up += agent_is_up(shm, i);
	return (up);
}

bool
hub_any_agent(const struct shm *shm)
{
	uint32_t i, n = agent_rows(shm);

	for (i = 0; i < n; i++) {
		if (agent_is_up(shm, i))
			return (true);
	}
	return (false);
}

static uint32_t
calls_in(const struct shm *shm, enum call_state state)
{
	struct call_row *rows = call_rows(shm);
	uint32_t i, n = 0, used = call_rows_used(shm);

	for (i = 0; i < used; i++)
		n += call_word_state(atomic_load_explicit(
			 &rows[i].word, memory_order_relaxed)) == state;
	return (n);
}

uint32_t
hub_calls_open(const struct shm *shm)
{
	return (calls_in(shm, CALL_OPEN));
}

uint32_t
hub_calls_pending(const struct shm *shm)
{
	return (calls_in(shm, CALL_FINAL));
}

uint32_t
hub_workers(const struct shm *shm)
{
	struct process_row *rows = process_rows(shm);
	uint32_t i, n = 0;

	for (i = 0; i < shm->sizes.nprocs; i++)
		n += process_row_lives(&rows[i], ROLE_WORKER);
	return (n);
}

enum process_limits
hub_limits(const struct shm *shm)
{
	struct process_row *rows = process_rows(shm);
	uint32_t i, one, worst = LIMITS_LOCAL;

	for (i = 0; i < shm->sizes.nprocs; i++) {
		one = atomic_load(&rows[i].limits);
		if (process_row_lives(&rows[i], ROLE_WORKER) && one > worst &&
		    one <= LIMITS_NOBODY)
			worst = one;
	}
	return ((enum process_limits)worst);
}

int64_t
hub_billing_silent_ms(const struct shm *shm)
{
	struct process_row *rows = process_rows(shm);
	monotime_t beat;
	uint32_t i;

	for (i = 0; i < shm->sizes.nprocs; i++) {
		if (!process_row_lives(&rows[i], ROLE_BILLING))
			continue;
		beat.ns = atomic_load(&rows[i].heartbeat_ns);
		return (monotime_diff_ms(monotime_now(), beat));
	}
	return (-1);
}

uint64_t
hub_links(const struct shm *shm)
{
	struct process_row *rows = process_rows(shm);
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < shm->sizes.nprocs; i++) {
		if (process_row_lives(&rows[i], ROLE_WORKER))
			n += atomic_load(&rows[i].links);
	}
	return (n);
}

nanousd_t
hub_held(const struct shm *shm)
{
	uint32_t i, n = in_use(atomic_load(&shm_pub_state(shm)->naccounts),
			shm->sizes.max_accounts);
	nanousd_t sum = {0};

	for (i = 0; i < n; i++)
		sum =
		    nanousd_add(sum, cells_held(shm, cell_of_account(shm, i)));
	return (sum);
}

uint64_t
hub_price_version(const struct shm *shm)
{
	const struct price_blob *prices = pub_prices(shm);

	return (prices == NULL ? 0 : prices->version);
}

/* Rate buckets: GCRA in one 64-bit time, changed by compare-and-swap. */
#include <assert.h>

#include "shm/cells.h"

#define MINUTE_NS INT64_C(60000000000)
/* A debt never lasts longer than this, whatever was counted. */
#define DEBT_MAX_NS (INT64_C(24) * 60 * MINUTE_NS)

struct bucket *
bucket_of_key(const struct shm *shm, uint32_t key_row, enum bucket_what what)
{
	struct bucket *b = shm_table(shm, SHM_T_BUCKETS);

	assert(key_row < shm->sizes.max_keys);
	return (&b[(size_t)key_row * 2 + (unsigned)what]);
}

/* Time that n units take at that rate, rounded up. */
static int64_t
cost_ns(uint64_t per_minute, uint64_t n)
{
	__uint128_t ns = (__uint128_t)n * (uint64_t)MINUTE_NS;

	ns = (ns + per_minute - 1) / per_minute;
	return (ns > (uint64_t)DEBT_MAX_NS ? DEBT_MAX_NS : (int64_t)ns);
}

/* The theoretical arrival time, never before now. */
static int64_t
base(int64_t tat, monotime_t now)
{
	return (tat > now.ns ? tat : now.ns);
}

static bool
has_room(int64_t from, int64_t cost, monotime_t now, int64_t *short_ns)
{
	/* more than a whole burst waits for the bucket to be empty */
	int64_t burst = cost > MINUTE_NS ? cost : MINUTE_NS;

	*short_ns = from + cost - now.ns - burst;
	return (*short_ns <= 0);
}

bool
bucket_take(struct bucket *b, uint64_t per_minute, uint64_t n, monotime_t now,
    int64_t *wait_ms)
{
	int64_t tat = atomic_load(&b->tat), from, cost, short_ns;

	*wait_ms = 0;
	if (per_minute == 0)
		return (true);
	cost = cost_ns(per_minute, n);
	do {
		from = base(tat, now);
		if (!has_room(from, cost, now, &short_ns)) {
			*wait_ms = (short_ns + 999999) / 1000000;
			return (false);
		}
	} while (!atomic_compare_exchange_weak(&b->tat, &tat, from + cost));
	return (true);
}

void
bucket_adjust(struct bucket *b, uint64_t per_minute, int64_t n, monotime_t now)
{
	int64_t tat = atomic_load(&b->tat), next, cost;

	if (per_minute == 0 || n == 0)
		return;
	cost = cost_ns(per_minute, n > 0 ? (uint64_t)n : -(uint64_t)n);
	do {
		next = base(tat, now) + (n > 0 ? -cost : cost);
		if (next > now.ns + DEBT_MAX_NS)
			next = now.ns + DEBT_MAX_NS;
	} while (!atomic_compare_exchange_weak(&b->tat, &tat, next));
}

void
bucket_set(struct bucket *b, int64_t full_in_ns, monotime_t now)
{
	if (full_in_ns > DEBT_MAX_NS)
		full_in_ns = DEBT_MAX_NS;
	atomic_store(&b->tat, now.ns + full_in_ns);
}

uint64_t
bucket_left(const struct bucket *b, uint64_t per_minute, monotime_t now)
{
	int64_t used = base(atomic_load(&b->tat), now) - now.ns;

	if (used >= MINUTE_NS)
		return (0);
	return ((uint64_t)((__uint128_t)(uint64_t)(MINUTE_NS - used) *
			   per_minute / (uint64_t)MINUTE_NS));
}

int64_t
bucket_full_in_ns(const struct bucket *b, monotime_t now)
{
	return (base(atomic_load(&b->tat), now) - now.ns);
}

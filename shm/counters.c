/* Counters: a row a process, written by it alone; readers sum. */
#include "shm/counters.h"

#include <assert.h>

const struct counter_info counter_infos[COUNTERS] = {
#define COUNTER(id, name, labels, help) {name, labels, help},
#define HISTOGRAM(id, name, help)
#include "shm/counters.def"
#undef COUNTER
#undef HISTOGRAM
};

const struct counter_info histogram_infos[HISTOGRAMS] = {
#define COUNTER(id, name, labels, help)
#define HISTOGRAM(id, name, help) {name, "", help},
#include "shm/counters.def"
#undef COUNTER
#undef HISTOGRAM
};

struct counter_row *
counter_rows(const struct shm *shm)
{
	return (shm_table(shm, SHM_T_COUNTERS));
}

static void
bump(_Atomic uint64_t *word, uint64_t n)
{
	uint64_t v = atomic_load_explicit(word, memory_order_relaxed);

	atomic_store_explicit(word, v + n, memory_order_relaxed);
}

void
histogram_add(struct counter_row *row, enum histogram_id id, int64_t us)
{
	struct histogram *h = &row->h[id];
	unsigned i = 0;

	assert((unsigned)id < HISTOGRAMS);
	if (us < 0)
		us = 0;
	while (i < HIST_BUCKETS - 1 && us > INT64_C(16) << i)
		i++;
	bump(&h->bucket[i], 1);
	bump(&h->sum_us, (uint64_t)us);
}

uint64_t
counter_sum(const struct shm *shm, enum counter_id id)
{
	struct counter_row *rows = counter_rows(shm);
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < shm->sizes.nprocs; i++)
		sum +=
		    atomic_load_explicit(&rows[i].n[id], memory_order_relaxed);
	return (sum);
}

void
histogram_sum(const struct shm *shm, enum histogram_id id,
    uint64_t bucket[HIST_BUCKETS], uint64_t *sum_us)
{
	struct counter_row *rows = counter_rows(shm);
	uint32_t i;
	unsigned b;

	*sum_us = 0;
	for (b = 0; b < HIST_BUCKETS; b++)
		bucket[b] = 0;
	for (i = 0; i < shm->sizes.nprocs; i++) {
		struct histogram *h = &rows[i].h[id];

		for (b = 0; b < HIST_BUCKETS; b++)
			bucket[b] += atomic_load_explicit(
			    &h->bucket[b], memory_order_relaxed);
		*sum_us +=
		    atomic_load_explicit(&h->sum_us, memory_order_relaxed);
	}
}

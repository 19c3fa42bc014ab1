/* Counters and histograms of every process: counters.def. */
#ifndef SHM_COUNTERS_H
#define SHM_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "shm/shm.h"

enum counter_id {
#define COUNTER(id, name, labels, help) COUNT_##id,
#define HISTOGRAM(id, name, help)
#include "shm/counters.def"
#undef COUNTER
#undef HISTOGRAM
	COUNTERS
};

enum histogram_id {
#define COUNTER(id, name, labels, help)
#define HISTOGRAM(id, name, help) HIST_##id,
#include "shm/counters.def"
#undef COUNTER
#undef HISTOGRAM
	HISTOGRAMS
};

/* Bucket i holds values up to 16 << i microseconds; the last, all others. */
#define HIST_BUCKETS 26

struct histogram {
	_Atomic uint64_t bucket[HIST_BUCKETS];
	_Atomic uint64_t sum_us;
};

/* Models that have counts of their own: the first that are billed. All
 * others share the last row, whose name is "other". */
#define MODEL_COUNTS	 32
#define MODEL_COUNT_NAME 64

struct model_count {
	_Atomic uint32_t used; /* stored last: the names are whole */
	uint32_t pad;
	char model[MODEL_COUNT_NAME], provider[32];
	_Atomic uint64_t input, output, cost_nano;
};

struct counter_row {
	_Atomic uint64_t n[COUNTERS];
	struct histogram h[HISTOGRAMS];
	struct model_count models[MODEL_COUNTS];
} __attribute__((aligned(64)));

struct counter_row *counter_rows(const struct shm *); /* sizes.nprocs */

/* One writer a row: a plain load and store will do. */
static inline void
counter_add(struct counter_row *row, enum counter_id id, uint64_t n)
{
	uint64_t v = atomic_load_explicit(&row->n[id], memory_order_relaxed);

	atomic_store_explicit(&row->n[id], v + n, memory_order_relaxed);
}

void histogram_add(struct counter_row *, enum histogram_id, int64_t us);
/* Tokens and money of one bill; longer names are other models. */
void model_count_add(struct counter_row *, const char *model,
    const char *provider, uint64_t input, uint64_t output, uint64_t cost_nano);

struct model_sum {
	char model[MODEL_COUNT_NAME], provider[32];
	uint64_t input, output, cost_nano;
};
/* Over all rows, "other" last; returns how many, 0 if nothing was billed. */
unsigned model_count_sums(
    const struct shm *, struct model_sum sums[MODEL_COUNTS]);
/* Sum over all rows: rows outlive their processes, so sums never fall. */
uint64_t counter_sum(const struct shm *, enum counter_id);
void histogram_sum(const struct shm *, enum histogram_id,
    uint64_t bucket[HIST_BUCKETS], uint64_t *sum_us);

struct counter_info {
	const char *name, *labels, *help;
};
extern const struct counter_info counter_infos[COUNTERS];
extern const struct counter_info histogram_infos[HISTOGRAMS];

#endif

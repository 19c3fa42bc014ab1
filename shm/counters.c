/* Counters: a row a process, written by it alone; readers sum. */
#include "shm/counters.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

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

/* ---- by model -------------------------------------------------------------
 */

static bool
is_of(const struct model_count *m, const char *model, const char *provider)
{
	return (
	    strcmp(m->model, model) == 0 && strcmp(m->provider, provider) == 0);
}

/* The row of these names; a free one becomes it, else it is the last. */
static struct model_count *
model_row(struct counter_row *row, const char *model, const char *provider)
{
	struct model_count *m = row->models;
	unsigned i;

	if (strlen(model) < sizeof(m->model) &&
	    strlen(provider) < sizeof(m->provider)) {
		for (i = 0; i < MODEL_COUNTS - 1 && atomic_load(&m->used) != 0;
		     i++, m++) {
			if (is_of(m, model, provider))
				return (m);
		}
	} else {
		i = MODEL_COUNTS - 1;
	}
	if (i == MODEL_COUNTS - 1) {
		m = &row->models[i];
		model = provider = "other";
	}
	if (atomic_load(&m->used) == 0) {
		snprintf(m->model, sizeof(m->model), "%s", model);
		snprintf(m->provider, sizeof(m->provider), "%s", provider);
		atomic_store(&m->used, 1);
	}
	return (m);
}

void
model_count_add(struct counter_row *row, const char *model,
    const char *provider, uint64_t input, uint64_t output, uint64_t cost_nano)
{
	struct model_count *m = model_row(row, model, provider);

	bump(&m->input, input);
	bump(&m->output, output);
	bump(&m->cost_nano, cost_nano);
}

/* The sum of these names; the last one takes what has no room. */
static struct model_sum *
sum_of(struct model_sum *sums, unsigned *n, const struct model_count *m)
{
	unsigned i;

	for (i = 0; i < *n; i++) {
		if (strcmp(sums[i].model, m->model) == 0 &&
		    strcmp(sums[i].provider, m->provider) == 0)
			return (&sums[i]);
	}
	if (*n == MODEL_COUNTS - 1 || strcmp(m->provider, "other") == 0)
		return (&sums[MODEL_COUNTS - 1]);
	memcpy(sums[*n].model, m->model, sizeof(m->model));
	memcpy(sums[*n].provider, m->provider, sizeof(m->provider));
	return (&sums[(*n)++]);
}

unsigned
model_count_sums(const struct shm *shm, struct model_sum sums[MODEL_COUNTS])
{
	struct counter_row *rows = counter_rows(shm);
	struct model_sum *other = &sums[MODEL_COUNTS - 1], *to;
	unsigned n = 0, i, k;

	memset(sums, 0, MODEL_COUNTS * sizeof(*sums));
	for (i = 0; i < shm->sizes.nprocs; i++) {
		for (k = 0; k < MODEL_COUNTS; k++) {
			struct model_count *m = &rows[i].models[k];

			if (atomic_load(&m->used) == 0)
				continue;
			to = sum_of(sums, &n, m);
			to->input += atomic_load(&m->input);
			to->output += atomic_load(&m->output);
			to->cost_nano += atomic_load(&m->cost_nano);
		}
	}
	if (other->input == 0 && other->output == 0 && other->cost_nano == 0)
		return (n);
	strcpy(other->model, "other");
	strcpy(other->provider, "other");
	sums[n++] = *other;
	return (n);
}

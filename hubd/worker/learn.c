/* What a worker has learnt: figures by model, and who refuses what. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/worker/worker.h"

#define MODELS	 512 /* open addressing; when full, models share slot 0 */
#define REFUSERS 256 /* hashes of candidates, by their low bits */

struct learn {
	struct {
		char model[API_MODEL_MAX];
		struct learnt learnt;
	} slot[MODELS];
	uint64_t refuses[REFUSERS];
};

struct learn *
learn_new(void)
{
	return (xcalloc(1, sizeof(struct learn)));
}

void
learn_free(struct learn *l)
{
	free(l);
}

struct learnt *
learn_of(struct learn *l, const char *model)
{
	uint32_t at = price_hash(span_str(model)) % MODELS;

	for (unsigned i = 0; i < 16; i++, at = (at + 1) % MODELS) {
		if (l->slot[at].model[0] == '\0')
			strncpy(l->slot[at].model, model, API_MODEL_MAX - 1);
		if (strcmp(l->slot[at].model, model) == 0)
			return (&l->slot[at].learnt);
	}
	return (&l->slot[0].learnt);
}

static uint64_t
candidate_hash(const struct candidate *c)
{
	uint64_t h = price_hash(span_str(c->model));

	h = h << 32 | price_hash(span_str(c->provider));
	return ((h ^ c->agent_id * UINT64_C(0x9e3779b97f4a7c15)) | 1);
}

bool
learn_refuses_usage(const struct learn *l, const struct candidate *c)
{
	uint64_t h = candidate_hash(c);

	return (l->refuses[(h >> 8) % REFUSERS] == h);
}

void
learn_set_refuses_usage(struct learn *l, const struct candidate *c)
{
	uint64_t h = candidate_hash(c);

	l->refuses[(h >> 8) % REFUSERS] = h;
}

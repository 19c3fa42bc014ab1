/* What billing keeps in mind, before and after its loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/billing/billing.h"

void
billing_init(struct billing *b, struct shm *shm, process_ref_t me,
    struct hub_conf *conf, const struct ledger_ops *ops)
{
	const struct shm_sizes *sizes = &shm->sizes;
	struct pub_state *ps = shm_pub_state(shm);

	memset(b, 0, sizeof(*b));
	b->shm = shm;
	b->conf = conf;
	b->ops = ops;
	b->count = &counter_rows(shm)[me.row];
	snprintf(ps->store, sizeof(ps->store), "%s", ops->name);
	dir_init(&b->accounts, sizes->max_accounts);
	dir_init(&b->keys, sizes->max_keys);
	dir_init(&b->agents, sizes->max_agents);
	due_init(&b->due, sizes->max_calls);
	book_init(b);
	b->checkpointed = xcalloc(sizes->max_calls, sizeof(*b->checkpointed));
	b->sum = amount_new();
	b->settler.keys = &b->keys;
	b->settler.agents = &b->agents;
	b->settler.versions = &b->versions;
	b->settler.sum = b->sum;
}

void
billing_fini(struct billing *b)
{
	if (b->store != NULL)
		b->ops->close(b->store);
	versions_fini(&b->versions);
	book_fini(b);
	due_fini(&b->due);
	dir_fini(&b->accounts);
	dir_fini(&b->keys);
	dir_fini(&b->agents);
	amount_free(b->sum);
	free(b->checkpointed);
	free(b->price_waiting);
}

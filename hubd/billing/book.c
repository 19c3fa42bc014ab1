/*
 * Booking. The order is law: commit, publish the new `available`, BOOKED,
 * wake the worker; killed anywhere between, the row is found again, and an
 * equal row in the store is no harm.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/billing/billing.h"
#include "shm/pubtab.h"

struct batch {
	size_t n;
	struct call_copy calls[BATCH_ROWS];
	struct ledger_row rows[BATCH_ROWS];
	nanousd_t cost[BATCH_ROWS];
	enum ledger_result results[BATCH_ROWS];
};

void
book_init(struct billing *b)
{
	b->batch = xcalloc(1, sizeof(*b->batch));
}

void
book_fini(struct billing *b)
{
	free(b->batch);
	b->batch = NULL;
}

static bool
owner_is_dead(const struct billing *b, uint32_t owner)
{
	return (owner >= b->shm->sizes.nprocs ||
		process_state_of(&process_rows(b->shm)[owner]) != PROCESS_LIVE);
}

/* The row is in the store or in suspense: gives it back. */
static void
release(struct billing *b, const struct call_copy *c)
{
	const struct process_row *owner;

	call_book(b->shm, c->ref);
	if (owner_is_dead(b, c->owner)) {
		call_reclaim(b->shm, c->ref);
		return;
	}
	owner = &process_rows(b->shm)[c->owner];
	if (owner->slot < HUB_MAX_WORKERS)
		b->wake_slots |= UINT64_C(1) << owner->slot;
}

bool
book_suspend(struct billing *b, req_id_t id, const char *reason,
    const void *raw, size_t n)
{
	char text[REQ_ID_TEXT];

	switch (b->ops->suspend(b->store, id, reason, raw, n)) {
	case LEDGER_DOWN:
		return (false);
	case LEDGER_OK:
		atomic_fetch_add(&shm_pub_state(b->shm)->suspense, 1);
		counter_add(b->count, COUNT_suspended, 1);
		break;
	case LEDGER_CONFLICT:
	case LEDGER_MISSING:
	case LEDGER_REFUSED:
		break; /* it is there already */
	}
	req_id_format(id, text);
	log_warnx("call %s is in suspense: %s", text, reason);
	return (true);
}

static bool
suspend_call(struct billing *b, const struct call_copy *c, const char *reason)
{
	if (!book_suspend(b, c->fixed.id, reason, c, sizeof(*c)))
		return (false);
	release(b, c);
	return (true);
}

/* false: the store is away and the row stays due. */
static bool
add_row(struct billing *b, const struct call_copy *c)
{
	struct batch *batch = b->batch;
	size_t i = batch->n;
	const char *why = "";

	switch (settle(&b->settler, c, c->state == CALL_OPEN, &batch->rows[i],
	    &batch->cost[i], &why)) {
	case SETTLE_LATER:
		return (false);
	case SETTLE_SUSPEND:
		return (suspend_call(b, c, why));
	case SETTLE_OK:
		break;
	}
	batch->calls[i] = *c;
	batch->n++;
	return (true);
}

static bool
take(struct billing *b, uint32_t index)
{
	uint64_t word = atomic_load(&call_rows(b->shm)[index].word);
	/* asked before the copy is made: the dead change nothing any more */
	bool dead = owner_is_dead(b, call_word_owner(word));
	struct call_copy c;

	if (!call_copy(b->shm, index, &c) ||
	    c.ref.generation != call_word_generation(word) ||
	    c.owner != call_word_owner(word))
		return (true);
	switch (c.state) {
	case CALL_FINAL:
		return (add_row(b, &c));
	case CALL_OPEN:
		return (!dead || add_row(b, &c));
	case CALL_TAKEN:
	case CALL_BOOKED:
		if (dead)
			call_reclaim(b->shm, c.ref);
		return (true);
	case CALL_FREE:
		break;
	}
	return (true);
}

static bool
gather(struct billing *b)
{
	uint32_t index;

	b->batch->n = 0;
	while (b->batch->n < BATCH_ROWS && due_pop(&b->due, &index))
		if (!take(b, index)) {
			due_push(&b->due, index);
			return (false);
		}
	return (true);
}

static void
put_back(struct billing *b)
{
	size_t i;

	for (i = 0; i < b->batch->n; i++)
		due_push(&b->due, b->batch->calls[i].ref.index);
	b->batch->n = 0;
}

void
book_count(struct billing *b, const struct ledger_row *r, nanousd_t cost)
{
	unsigned k;

	_Static_assert(COUNT_tok_image_output - COUNT_tok_input ==
			   USAGE_image_output - USAGE_input,
	    "counters and kinds have the same order");
	if (r->again)
		cost.n = 0;
	counter_add(b->count, COUNT_booked, 1);
	counter_add(b->count, COUNT_cost_nano, (uint64_t)cost.n);
	for (k = USAGE_input; k <= USAGE_image_output; k++)
		counter_add(b->count, COUNT_tok_input + (k - USAGE_input),
		    r->usage.n[k]);
	model_count_add(b->count, r->model, r->provider,
	    usage_sum(&r->usage, USAGE_SIDE_INPUT),
	    usage_sum(&r->usage, USAGE_SIDE_OUTPUT), (uint64_t)cost.n);
	if (strcmp(r->outcome, call_outcome_str(OUTCOME_ORPHANED)) == 0)
		counter_add(b->count, COUNT_orphaned, 1);
}

static bool
commit(struct billing *b)
{
	struct batch *batch = b->batch;
	monotime_t start = monotime_now();
	size_t i;

	if (b->ops->book(b->store, batch->rows, batch->n, batch->results) !=
	    LEDGER_OK)
		return (false);
	b->last_commit = monotime_now();
	histogram_add(
	    b->count, HIST_commit, (b->last_commit.ns - start.ns) / 1000);
	counter_add(b->count, COUNT_commits, 1);
	for (i = 0; i < batch->n; i++)
		if (batch->results[i] == LEDGER_OK)
			book_count(b, &batch->rows[i], batch->cost[i]);
	return (true);
}

static bool
first_of_account(const struct batch *batch, size_t i)
{
	size_t k;

	for (k = 0; k < i; k++)
		if (batch->rows[k].account == batch->rows[i].account)
			return (false);
	return (true);
}

static bool
publish_batch(struct billing *b)
{
	struct batch *batch = b->batch;
	size_t i;

	for (i = 0; i < batch->n; i++)
		if ((first_of_account(batch, i) &&
			publish_balance(b, batch->rows[i].account) ==
			    LEDGER_DOWN) ||
		    publish_row_objects(b, &batch->rows[i]) == LEDGER_DOWN)
			return (false);
	return (true);
}

/* false: a row could not be put aside, the store is away. */
static bool
release_batch(struct billing *b)
{
	struct batch *batch = b->batch;
	bool all = true;
	size_t i;

	for (i = 0; i < batch->n; i++) {
		const struct call_copy *c = &batch->calls[i];

		if (batch->results[i] == LEDGER_OK)
			release(b, c);
		else if (!suspend_call(b, c,
			     batch->results[i] == LEDGER_CONFLICT
				 ? "another row of this id is booked"
				 : "the store refuses the row")) {
			due_push(&b->due, c->ref.index);
			all = false;
		}
	}
	return (all);
}

static void
wake_workers(struct billing *b)
{
	const struct hub_fds *fds;
	unsigned slot;

	if (b->child == NULL || b->wake_slots == 0)
		return;
	fds = &b->child->fds;
	for (slot = 0; slot < (unsigned)fds->nwake; slot++)
		if ((b->wake_slots >> slot & 1) != 0 && fds->wake[slot] >= 0)
			(void)eventfd_write(fds->wake[slot], 1);
	b->wake_slots = 0;
}

void
wake_all_workers(struct billing *b)
{
	b->wake_slots = UINT64_MAX;
	wake_workers(b);
}

/* false: the store is away; what is not finished is due again. */
static bool
book_batch(struct billing *b)
{
	if (b->batch->n == 0)
		return (true);
	if (!commit(b)) {
		put_back(b);
		return (false);
	}
	shared_booked(b);
	(void)FAILPOINT("billing.committed");
	if (!publish_batch(b)) {
		put_back(b);
		return (false);
	}
	(void)FAILPOINT("billing.published");
	return (release_batch(b));
}

void
book_due(struct billing *b)
{
	bool whole;
	size_t n;

	assert(b->stage == STAGE_SERVING);
	whole = gather(b);
	n = b->batch->n;
	if (!book_batch(b) || !whole)
		store_failed(b);
	else if (n > 0)
		store_worked(b);
	(void)FAILPOINT("billing.booked");
	wake_workers(b);
}

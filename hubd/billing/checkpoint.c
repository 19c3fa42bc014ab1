/*
 * Checkpoints: every 2 s a copy of each call that has been open for longer
 * goes into the store, so that a power loss, which takes the memory with it,
 * loses at most 2 s of usage. A call's booking removes its checkpoint.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/billing/billing.h"

struct chunk {
	size_t n;
	struct ledger_row rows[BATCH_ROWS];
	uint32_t index[BATCH_ROWS];
	uint64_t seen[BATCH_ROWS];
};

/* Changes whenever the row's call or what is known of it does. */
static uint64_t
sight_of(const struct call_row *row, uint64_t word)
{
	return (call_word_generation(word) << 32 ^
		(uint64_t)atomic_load(&row->progress_seq) << 1 ^
		(uint64_t)atomic_load(&row->route_seq) << 20 ^ 1);
}

static bool
flush(struct billing *b, struct chunk *c)
{
	size_t i;

	if (c->n == 0)
		return (true);
	if (b->ops->checkpoint(b->store, c->rows, c->n) == LEDGER_DOWN)
		return (false);
	store_worked(b);
	for (i = 0; i < c->n; i++)
		b->checkpointed[c->index[i]] = c->seen[i];
	c->n = 0;
	return (true);
}

static bool
is_long_open(const struct call_row *row, uint64_t word, monotime_t now)
{
	monotime_t since = {row->fixed.time_ns};

	return (call_word_state(word) == CALL_OPEN &&
		monotime_diff_ms(now, since) >= CHECKPOINT_MS);
}

/* false: the store is away. */
static bool
add_call(struct billing *b, struct chunk *c, uint32_t i, uint64_t sight)
{
	struct call_copy copy;
	const char *why = "";
	nanousd_t cost;

	if (!call_copy(b->shm, i, &copy) || copy.state != CALL_OPEN)
		return (true);
	switch (settle(&b->settler, &copy, true, &c->rows[c->n], &cost, &why)) {
	case SETTLE_LATER:
		return (false);
	case SETTLE_SUSPEND:
		return (true); /* when it ends */
	case SETTLE_OK:
		break;
	}
	c->index[c->n] = i;
	c->seen[c->n++] = sight;
	return (c->n < BATCH_ROWS || flush(b, c));
}

static bool
checkpoint_all(struct billing *b, struct chunk *c)
{
	const struct call_row *rows = call_rows(b->shm);
	monotime_t now = monotime_now();
	uint64_t word, sight;
	uint32_t i;

	for (i = 0; i < call_rows_used(b->shm); i++) {
		word = atomic_load(&rows[i].word);
		if (!is_long_open(&rows[i], word, now))
			continue;
		sight = sight_of(&rows[i], word);
		if (b->checkpointed[i] != sight && !add_call(b, c, i, sight))
			return (false);
	}
	return (flush(b, c));
}

void
checkpoint_run(struct billing *b)
{
	struct chunk *c;

	if (b->stage != STAGE_SERVING || store_waits(b))
		return;
	c = xcalloc(1, sizeof(*c));
	if (!checkpoint_all(b, c))
		store_failed(b);
	free(c);
}

/* ---- leftovers ----------------------------------------------------------- */

struct leftovers {
	struct billing *b;
	req_id_t *alive; /* ids of the calls in memory, sorted */
	size_t nalive;
	struct ledger_row *rows;
	size_t n, cap;
};

static int
compare_ids(const void *a, const void *b)
{
	return (memcmp(a, b, sizeof(req_id_t)));
}

static void
list_alive(struct billing *b, struct leftovers *l)
{
	uint32_t i, n = b->shm->sizes.max_calls;
	struct call_copy c;

	l->alive = xcalloc(n, sizeof(*l->alive));
	for (i = 0; i < n; i++)
		if (call_copy(b->shm, i, &c) && c.state >= CALL_OPEN)
			l->alive[l->nalive++] = c.fixed.id;
	qsort(l->alive, l->nalive, sizeof(*l->alive), compare_ids);
}

static void
on_checkpoint(void *arg, const struct ledger_row *row)
{
	struct leftovers *l = arg;

	if (bsearch(&row->id, l->alive, l->nalive, sizeof(*l->alive),
		compare_ids) != NULL)
		return;
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->rows = xrealloc(l->rows, l->cap * sizeof(*l->rows));
	}
	l->rows[l->n++] = *row;
}

static enum ledger_result
bill_leftover(struct billing *b, struct ledger_row *row)
{
	enum ledger_result r = LEDGER_OK;

	if (b->ops->book(b->store, row, 1, &r) != LEDGER_OK)
		return (LEDGER_DOWN);
	shared_booked(b);
	if (r == LEDGER_OK) {
		book_count(b, row, (nanousd_t){0});
		return (publish_balance(b, row->account));
	}
	return (book_suspend(b, row->id, "a checkpoint that cannot be booked",
		    row, sizeof(*row))
		    ? LEDGER_OK
		    : LEDGER_DOWN);
}

enum ledger_result
checkpoint_leftovers(struct billing *b)
{
	struct leftovers l = {.b = b};
	enum ledger_result r;
	size_t i;

	list_alive(b, &l);
	r = b->ops->each_checkpoint(b->store, on_checkpoint, &l);
	for (i = 0; i < l.n && r != LEDGER_DOWN; i++)
		r = bill_leftover(b, &l.rows[i]);
	if (l.n > 0 && r != LEDGER_DOWN)
		log_warnx("%zu calls were lost with the power and billed by "
			  "their checkpoints",
		    l.n);
	free(l.rows);
	free(l.alive);
	return (r == LEDGER_DOWN ? r : LEDGER_OK);
}

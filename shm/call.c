/*
 * The call table: rows change hands by compare-and-swap of one word. The
 * worker writes up to FINAL, billing from there, or from anything once the
 * worker is dead.
 */
#include "shm/call.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "common/crc32.h"
#include "shm/twocopy.h"

static const char *const states[] = {
    [CALL_FREE] = "free",
    [CALL_TAKEN] = "taken",
    [CALL_OPEN] = "open",
    [CALL_FINAL] = "final",
    [CALL_BOOKED] = "booked",
};

static const char *const outcomes[OUTCOMES] = {
    [OUTCOME_NONE] = "open",
    [OUTCOME_COMPLETE] = "complete",
    [OUTCOME_CANCELLED] = "cancelled",
    [OUTCOME_FAILED] = "failed",
    [OUTCOME_TIMED_OUT] = "timed_out",
    [OUTCOME_ORPHANED] = "orphaned",
};

const char *
call_state_str(enum call_state state)
{
	return ((unsigned)state <= CALL_BOOKED ? states[state] : "unknown");
}

const char *
call_outcome_str(enum call_outcome outcome)
{
	return ((unsigned)outcome < OUTCOMES ? outcomes[outcome] : "unknown");
}

static uint64_t
make_word(uint64_t generation, uint32_t owner, enum call_state state)
{
	return (generation << 24 | (uint64_t)owner << 8 | (uint64_t)state);
}

/* The same row and owner in another state; FREE ends the generation. */
static uint64_t
next_word(uint64_t word, enum call_state to)
{
	if (to == CALL_FREE)
		return (make_word(call_word_generation(word) + 1, 0, to));
	return ((word & ~UINT64_C(0xff)) | (uint64_t)to);
}

struct call_row *
call_rows(const struct shm *shm)
{
	return (shm_table(shm, SHM_T_CALL));
}

/* By the size that rows have in that file. */
static struct call_row *
row_at(const struct shm *shm, uint32_t index)
{
	char *table = shm_table(shm, SHM_T_CALL);

	assert(index < shm->sizes.max_calls);
	return ((struct call_row *)(void *)(table + (size_t)index *
							shm->call_row_size));
}

struct call_row *
call_at(const struct shm *shm, call_ref_t ref)
{
	return (row_at(shm, ref.index));
}

uint32_t
call_rows_used(const struct shm *shm)
{
	uint32_t top = atomic_load(&shm_run_state(shm)->calls_top);

	return (top == 0 || top > shm->sizes.max_calls ? shm->sizes.max_calls
						       : top);
}

/* ---- the worker's side --------------------------------------------------- */

/* Before a row is taken: nobody may overlook it. */
static void
raise_top(const struct shm *shm, uint32_t top)
{
	_Atomic uint32_t *at = &shm_run_state(shm)->calls_top;
	uint32_t seen = atomic_load_explicit(at, memory_order_relaxed);

	while (seen != 0 && seen < top &&
	       !atomic_compare_exchange_weak(at, &seen, top))
		;
}

bool
call_take(
    const struct shm *shm, uint32_t owner, uint32_t *hint, call_ref_t *ref)
{
	uint32_t i, at, n = shm->sizes.max_calls;

	assert(owner < shm->sizes.nprocs);
	for (i = 0; i < n; i++) {
		struct call_row *row;
		uint64_t word, taken;

		at = (*hint + i) % n;
		row = &call_rows(shm)[at];
		word = atomic_load_explicit(&row->word, memory_order_relaxed);
		if (call_word_state(word) != CALL_FREE)
			continue;
		raise_top(shm, at + 1);
		taken =
		    make_word(call_word_generation(word), owner, CALL_TAKEN);
		if (!atomic_compare_exchange_strong(&row->word, &word, taken))
			continue;
		atomic_store(&row->route_seq, 0);
		atomic_store(&row->progress_seq, 0);
		atomic_store(&row->object_is_set, 0);
		*hint = (at + 1) % n;
		*ref = (call_ref_t){at, call_word_generation(word)};
		return (true);
	}
	return (false);
}

/* The owner moves its own row: nobody else may have touched it. */
static void
owner_moves(struct call_row *row, enum call_state from, enum call_state to)
{
	uint64_t word = atomic_load(&row->word);
	bool moved;

	assert(call_word_state(word) == from);
	moved = atomic_compare_exchange_strong(
	    &row->word, &word, next_word(word, to));
	assert(moved);
}

static uint32_t
fixed_crc(const struct call_fixed *f)
{
	return (crc32_add(0, f, offsetof(struct call_fixed, crc)));
}

void
call_open(struct call_row *row, const struct call_fixed *fixed)
{
	struct call_fixed f = *fixed;

	f.magic = CALL_MAGIC;
	f.version = CALL_VERSION;
	f.size = sizeof(f);
	f.crc = fixed_crc(&f);
	row->fixed = f;
	owner_moves(row, CALL_TAKEN, CALL_OPEN);
}

void
call_set_route(struct call_row *row, const struct call_route *route)
{
	assert(call_word_state(atomic_load(&row->word)) == CALL_OPEN);
	twocopy_write(&row->route_seq, row->route, sizeof(*route), route);
}

void
call_set_progress(struct call_row *row, const struct call_progress *progress)
{
	assert(call_word_state(atomic_load(&row->word)) == CALL_OPEN);
	twocopy_write(
	    &row->progress_seq, row->progress, sizeof(*progress), progress);
}

void
call_set_object(struct call_row *row, const struct call_object *object)
{
	assert(call_word_state(atomic_load(&row->word)) == CALL_OPEN);
	atomic_store(&row->object_is_set, 0);
	if (object == NULL)
		return;
	atomic_thread_fence(memory_order_seq_cst);
	row->object = *object;
	atomic_store_explicit(&row->object_is_set, 1, memory_order_release);
}

void
call_final(struct call_row *row, const struct call_progress *progress)
{
	assert(progress->outcome != OUTCOME_NONE);
	call_set_progress(row, progress);
	owner_moves(row, CALL_OPEN, CALL_FINAL);
}

void
call_free(struct call_row *row)
{
	enum call_state from = call_word_state(atomic_load(&row->word));

	assert(from == CALL_TAKEN || from == CALL_BOOKED);
	owner_moves(row, from, CALL_FREE);
}

void
call_give_back(const struct shm *shm, uint32_t *hint, call_ref_t ref)
{
	call_free(call_at(shm, ref));
	if (ref.index < *hint)
		*hint = ref.index;
}

bool
call_is_booked(const struct call_row *row)
{
	return (call_word_state(atomic_load(&row->word)) == CALL_BOOKED);
}

/* ---- everyone's ---------------------------------------------------------- */

static void
copy_once(
    const struct shm *shm, const struct call_row *row, struct call_copy *c)
{
	memset(&c->route, 0, sizeof(c->route));
	memset(&c->progress, 0, sizeof(c->progress));
	memset(&c->object, 0, sizeof(c->object));
	c->fixed = row->fixed;
	if (twocopy_read(
		&row->route_seq, row->route, sizeof(c->route), &c->route) == 0)
		memset(&c->route, 0, sizeof(c->route));
	if (twocopy_read(&row->progress_seq, row->progress, sizeof(c->progress),
		&c->progress) == 0)
		memset(&c->progress, 0, sizeof(c->progress));
	/* Its writer is done, or dead, wherever it is believed: an open call
	 * of the living is only looked at. */
	if (shm->call_row_size == sizeof(*row) &&
	    atomic_load(&row->object_is_set) == 1)
		c->object = row->object;
}

bool
call_copy(const struct shm *shm, uint32_t index, struct call_copy *c)
{
	const struct call_row *row;
	uint64_t word, again;

	row = row_at(shm, index);
	word = atomic_load(&row->word);
	for (;;) {
		memset(c, 0, sizeof(*c));
		c->ref = (call_ref_t){index, call_word_generation(word)};
		c->state = call_word_state(word);
		c->owner = call_word_owner(word);
		if (c->state != CALL_FREE && c->state != CALL_TAKEN)
			copy_once(shm, row, c);
		atomic_thread_fence(memory_order_acquire);
		again = atomic_load(&row->word);
		if (again == word)
			return (true);
		if (call_word_generation(again) != call_word_generation(word))
			return (false);
		word = again; /* states only go forward: this ends */
	}
}

static bool
ended(const char *s, size_t cap)
{
	return (memchr(s, '\0', cap) != NULL);
}

static const char *
fixed_wrong(const struct call_fixed *f)
{
	if (f->magic != CALL_MAGIC)
		return ("wrong magic");
	if (f->version == 0 || f->version > CALL_VERSION ||
	    f->size != sizeof(*f))
		return ("unknown version");
	if (f->crc != fixed_crc(f))
		return ("wrong checksum");
	if (f->account == 0 || f->key == 0)
		return ("no account or key");
	if (f->hold.n < 0 || f->time_ms <= 0 || f->stream > 1)
		return ("fixed part out of range");
	if (!ended(f->endpoint, sizeof(f->endpoint)))
		return ("endpoint without an end");
	return (NULL);
}

static const char *
progress_wrong(const struct call_progress *p, enum call_state state)
{
	if (!usage_is_sane(&p->usage))
		return ("usage out of range");
	if (p->outcome >= OUTCOMES || p->tier >= TIER_COUNT)
		return ("outcome or tier out of range");
	if (state == CALL_FINAL && p->outcome == OUTCOME_NONE)
		return ("final without an outcome");
	if (p->status > 599 || (p->status != 0 && p->status < 100))
		return ("status out of range");
	if (p->cost.n < 0 || p->end_ms < 0 || p->priced_whole > 1)
		return ("progress out of range");
	if (!ended(p->estimated, sizeof(p->estimated)))
		return ("method of estimation without an end");
	return (NULL);
}

bool
call_copy_valid(const struct call_copy *c, const char **why)
{
	const struct call_route *r = &c->route;

	if (c->state < CALL_OPEN || c->state > CALL_BOOKED)
		*why = "not an admitted call";
	else if ((*why = fixed_wrong(&c->fixed)) != NULL)
		;
	else if ((*why = progress_wrong(&c->progress, c->state)) != NULL)
		;
	else if (!ended(r->provider, sizeof(r->provider)) ||
		 !ended(r->model, sizeof(r->model)))
		*why = "route without an end";
	else if (!call_object_ok(&c->object))
		*why = "object out of range";
	return (*why == NULL);
}

/* ---- billing's side ------------------------------------------------------ */

static bool
owner_is_dead(const struct shm *shm, uint64_t word)
{
	uint32_t owner = call_word_owner(word);

	/* its row is not used again before its calls are settled */
	return (owner >= shm->sizes.nprocs ||
		process_state_of(&process_rows(shm)[owner]) != PROCESS_LIVE);
}

bool
call_book(const struct shm *shm, call_ref_t ref)
{
	struct call_row *row = call_at(shm, ref);
	uint64_t word = atomic_load(&row->word);
	enum call_state state = call_word_state(word);

	if (call_word_generation(word) != ref.generation)
		return (false);
	if (state != CALL_FINAL &&
	    !(state == CALL_OPEN && owner_is_dead(shm, word)))
		return (false);
	return (atomic_compare_exchange_strong(
	    &row->word, &word, next_word(word, CALL_BOOKED)));
}

bool
call_reclaim(const struct shm *shm, call_ref_t ref)
{
	struct call_row *row = call_at(shm, ref);
	uint64_t word = atomic_load(&row->word);
	enum call_state state = call_word_state(word);

	if (call_word_generation(word) != ref.generation ||
	    (state != CALL_TAKEN && state != CALL_BOOKED) ||
	    !owner_is_dead(shm, word))
		return (false);
	return (atomic_compare_exchange_strong(
	    &row->word, &word, next_word(word, CALL_FREE)));
}

/* What a call takes of cells and buckets in shared memory. */
#include "hubd/limit/limit_cells.h"

#include "common/failpoint.h"
#include "shm/pubtab.h"

static struct bucket *
bucket(const struct shm *shm, const struct admission *a, enum bucket_what what)
{
	return (bucket_of_key(shm, a->key_row, what));
}

static enum api_error
take_rate(const struct shm *shm, struct admission *a, monotime_t now)
{
	if (a->rpm != 0 && !bucket_take(bucket(shm, a, BUCKET_REQUESTS), a->rpm,
			       1, now, &a->retry_ms))
		return (API_ERR_rate_limited);
	if (a->tpm != 0 && !bucket_take(bucket(shm, a, BUCKET_TOKENS), a->tpm,
			       a->tokens, now, &a->retry_ms)) {
		if (a->rpm != 0)
			bucket_adjust(
			    bucket(shm, a, BUCKET_REQUESTS), a->rpm, 1, now);
		return (API_ERR_rate_limited);
	}
	a->took_rate = true;
	return (API_OK);
}

static void
give_rate(const struct shm *shm, struct admission *a, monotime_t now)
{
	if (!a->took_rate)
		return;
	a->took_rate = false;
	if (a->rpm != 0)
		bucket_adjust(bucket(shm, a, BUCKET_REQUESTS), a->rpm, 1, now);
	if (a->tpm != 0)
		bucket_adjust(bucket(shm, a, BUCKET_TOKENS), a->tpm,
		    (int64_t)a->tokens, now);
}

static bool
take_live(const struct shm *shm, struct admission *a)
{
	if (a->concurrency == 0)
		return (true);
	a->took_live = cell_take_live(
	    shm, cell_of_key(shm, a->key_row), a->me, a->concurrency);
	return (a->took_live);
}

static void
give_live(const struct shm *shm, struct admission *a)
{
	if (!a->took_live)
		return;
	a->took_live = false;
	cell_give_live(shm, cell_of_key(shm, a->key_row), a->me);
}

/* What is left of the account, if anything is. */
static bool
take_rest(const struct shm *shm, struct admission *a, uint32_t cell,
    const _Atomic int64_t *available)
{
	nanousd_t left;

	left = nanousd_sub(
	    (nanousd_t){atomic_load(available)}, cells_held(shm, cell));
	if (left.n <= 0 || left.n >= a->hold.n)
		return (false);
	if (!cell_take_money(shm, cell, a->me, left, available))
		return (false);
	a->held = left;
	return (true);
}

/* Money of which only a share may be taken, rounded down. */
static int64_t
share_of(int64_t n, uint32_t share)
{
	return (
	    n / SHARE_WHOLE * share + n % SHARE_WHOLE * share / SHARE_WHOLE);
}

/*
 * What this hub may take by itself: its share of what the store had last,
 * less what it has taken since and the store does not know. Of what is left
 * each hub would take its share again and again, and while the store is away,
 * too, all of them more than there is.
 */
static int64_t
own_part(const struct shm *shm, const struct admission *a, int64_t available)
{
	struct pub_account account;

	if (!pub_account_read(shm, a->account_row, &account))
		return (share_of(available, a->share));
	return (nanousd_sub(
	    (nanousd_t){share_of(account.store_available, a->share)},
	    (nanousd_t){account.owed})
		    .n);
}

static bool
take_money(const struct shm *shm, struct admission *a)
{
	const _Atomic int64_t *available = pub_available(shm, a->account_row);
	uint32_t cell = cell_of_account(shm, a->account_row);
	_Atomic int64_t part;

	a->held = a->hold;
	if (a->unlimited) {
		cell_add_money(shm, cell, a->me, a->hold);
		a->took_money = true;
		return (true);
	}
	if (a->share < SHARE_WHOLE) {
		atomic_init(&part, own_part(shm, a, atomic_load(available)));
		available = &part;
	}
	a->took_money = cell_take_money(shm, cell, a->me, a->hold, available) ||
			(a->soft && take_rest(shm, a, cell, available));
	return (a->took_money);
}

enum api_error
limit_cells_take(const struct shm *shm, struct admission *a, monotime_t now)
{
	enum api_error error;

	a->took_rate = a->took_live = a->took_money = false;
	if ((error = take_rate(shm, a, now)) != API_OK)
		return (error);
	if (!take_live(shm, a)) {
		give_rate(shm, a, now);
		return (API_ERR_concurrency_limited);
	}
	if (!take_money(shm, a)) {
		give_live(shm, a);
		give_rate(shm, a, now);
		return (API_ERR_insufficient_balance);
	}
	(void)FAILPOINT("worker.cells_taken");
	return (API_OK);
}

void
limit_cells_note(const struct shm *shm, struct admission *a)
{
	uint32_t key = cell_of_key(shm, a->key_row);

	a->took_rate = true;
	a->took_live =
	    a->concurrency != 0 && cell_take_live(shm, key, a->me, 0);
	cell_add_money(
	    shm, cell_of_account(shm, a->account_row), a->me, a->held);
	a->took_money = true;
	(void)FAILPOINT("worker.cells_taken");
}

void
limit_cells_settle(const struct shm *shm, struct admission *a, nanousd_t cost,
    uint64_t tokens, monotime_t now)
{
	if (a->took_money)
		cell_add_money(shm, cell_of_account(shm, a->account_row), a->me,
		    nanousd_sub(cost, a->held));
	a->held = cost;
	give_live(shm, a);
	if (a->took_rate && a->tpm != 0)
		bucket_adjust(bucket(shm, a, BUCKET_TOKENS), a->tpm,
		    (int64_t)a->tokens - (int64_t)tokens, now);
	a->took_rate = false;
}

void
limit_cells_cancel(const struct shm *shm, struct admission *a, monotime_t now)
{
	if (a->took_money)
		cell_add_money(shm, cell_of_account(shm, a->account_row), a->me,
		    (nanousd_t){-a->held.n});
	a->took_money = false;
	give_live(shm, a);
	give_rate(shm, a, now);
}

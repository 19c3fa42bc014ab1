/* The limiter of one machine: cells and buckets in shared memory. */
#include "common/failpoint.h"
#include "hubd/limit/limit.h"
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

static bool
take_money(const struct shm *shm, struct admission *a)
{
	uint32_t cell = cell_of_account(shm, a->account_row);
	const _Atomic int64_t *available;

	a->held = a->hold;
	if (a->unlimited) {
		cell_add_money(shm, cell, a->me, a->hold);
		a->took_money = true;
		return (true);
	}
	available = pub_available(shm, a->account_row);
	a->took_money = cell_take_money(shm, cell, a->me, a->hold, available) ||
			(a->soft && take_rest(shm, a, cell, available));
	return (a->took_money);
}

static enum api_error
take_all(const struct shm *shm, struct admission *a, monotime_t now)
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
	return (API_OK);
}

static void
local_admit(
    const struct shm *shm, struct admission *a, monotime_t now, admit_fn *done)
{
	enum api_error error = take_all(shm, a, now);

	if (error == API_OK)
		(void)FAILPOINT("worker.cells_taken");
	done(a, error);
}

static void
local_settle(const struct shm *shm, struct admission *a, nanousd_t cost,
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

static void
local_cancel(const struct shm *shm, struct admission *a, monotime_t now)
{
	if (a->took_money)
		cell_add_money(shm, cell_of_account(shm, a->account_row), a->me,
		    (nanousd_t){-a->held.n});
	a->took_money = false;
	give_live(shm, a);
	give_rate(shm, a, now);
}

const struct limiter_ops limiter_local = {
    .name = "local",
    .admit = local_admit,
    .settle = local_settle,
    .cancel = local_cancel,
};

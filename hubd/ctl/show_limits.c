/* Documents made of shared memory: what is left of limits and balances. */
#include <stdlib.h>

#include "common/alloc.h"
#include "common/monotime.h"
#include "hubd/ctl/ctl.h"
#include "hubd/ctl/show.h"
#include "hubd/price/amount.h"
#include "shm/call.h"
#include "shm/cells.h"

/*
 * Whose calls are in flight: each call's key (its number in the store) or its
 * account's row, sorted. Cells of accounts count no calls, nor do those of
 * keys without a limit of concurrency.
 */
struct tally {
	uint32_t *ids;
	size_t n;
};

static int
by_id(const void *va, const void *vb)
{
	uint32_t a = *(const uint32_t *)va, b = *(const uint32_t *)vb;

	return (a < b ? -1 : a > b);
}

/* The caller frees ids. */
static void
tally_calls(const struct shm *shm, struct tally *keys, struct tally *accounts)
{
	uint32_t i, n = call_rows_used(shm);
	struct call_copy call;

	keys->ids = xcalloc((size_t)n + 1, sizeof(*keys->ids));
	accounts->ids = xcalloc((size_t)n + 1, sizeof(*accounts->ids));
	for (i = 0; i < n; i++) {
		if (!call_copy(shm, i, &call) || call.state != CALL_OPEN)
			continue;
		keys->ids[keys->n++] = call.fixed.key;
		accounts->ids[accounts->n++] = call.fixed.account_row;
	}
	qsort(keys->ids, keys->n, sizeof(*keys->ids), by_id);
	qsort(accounts->ids, accounts->n, sizeof(*accounts->ids), by_id);
}

/* How many of them are below that id. */
static size_t
tally_below(const struct tally *t, uint64_t id)
{
	size_t low = 0, high = t->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (t->ids[mid] < id)
			low = mid + 1;
		else
			high = mid;
	}
	return (low);
}

static uint64_t
tally_of(const struct tally *t, uint32_t id)
{
	return (tally_below(t, (uint64_t)id + 1) - tally_below(t, id));
}

static void
put_nano(struct jout *j, const char *key, nanousd_t nano)
{
	amount_t *a = amount_new();
	char text[AMOUNT_TEXT_MAX];

	amount_from_nano(a, nano);
	if (amount_format(a, text) == 0)
		jout_kstr(j, key, text);
	amount_free(a);
}

static void
put_bucket(struct jout *j, const struct shm *shm, uint32_t row,
    enum bucket_what what, uint64_t per_minute, const char *key)
{
	if (per_minute > 0)
		jout_kuint(j, key,
		    bucket_left(bucket_of_key(shm, row, what), per_minute,
			monotime_now()));
}

static void
put_key(struct jout *j, const struct shm *shm, uint32_t row,
    const struct pub_key *key, const struct tally *calls)
{
	struct pub_account account = {0};

	pub_account_read(shm, key->account_row, &account);
	jout_begin_object(j);
	show_text(j, "key", key->id, sizeof(key->id));
	show_text(j, "account", account.name, sizeof(account.name));
	jout_kuint(j, "rpm", key->rpm);
	put_bucket(j, shm, row, BUCKET_REQUESTS, key->rpm, "rpm_left");
	jout_kuint(j, "tpm", key->tpm);
	put_bucket(j, shm, row, BUCKET_TOKENS, key->tpm, "tpm_left");
	jout_kuint(j, "concurrency", key->concurrency);
	jout_kuint(j, "calls",
	    key->concurrency > 0 ? cells_live(shm, cell_of_key(shm, row))
				 : tally_of(calls, key->number));
	jout_end_object(j);
}

static void
put_keys(const struct shm *shm, struct jout *j, const struct tally *calls)
{
	struct pub_key key;
	uint32_t i, n = atomic_load(&shm_pub_state(shm)->nkeys);

	jout_key(j, "keys");
	jout_begin_array(j);
	for (i = 0; i < n && i < shm->sizes.max_keys; i++) {
		if (pub_key_read(shm, i, &key) && !key.revoked &&
		    (key.rpm > 0 || key.tpm > 0 || key.concurrency > 0))
			put_key(j, shm, i, &key, calls);
	}
	jout_end_array(j);
}

static void
put_account(struct jout *j, const struct shm *shm, uint32_t row,
    const struct pub_account *account, const struct tally *calls)
{
	uint32_t cell = cell_of_account(shm, row);
	const _Atomic int64_t *available = pub_available(shm, row);

	jout_begin_object(j);
	show_text(j, "account", account->name, sizeof(account->name));
	if (account->unlimited)
		jout_kstr(j, "available", "unlimited");
	else
		put_nano(j, "available", (nanousd_t){atomic_load(available)});
	put_nano(j, "held", cells_held(shm, cell));
	jout_kuint(j, "calls", tally_of(calls, row));
	jout_end_object(j);
}

static void
put_accounts(const struct shm *shm, struct jout *j, const struct tally *calls)
{
	struct pub_account account;
	uint32_t i, n = atomic_load(&shm_pub_state(shm)->naccounts);

	jout_key(j, "accounts");
	jout_begin_array(j);
	for (i = 0; i < n && i < shm->sizes.max_accounts; i++) {
		if (pub_account_read(shm, i, &account))
			put_account(j, shm, i, &account, calls);
	}
	jout_end_array(j);
}

void
show_limits(const struct shm *shm, struct jout *j)
{
	struct tally keys = {0}, accounts = {0};

	tally_calls(shm, &keys, &accounts);
	jout_begin_object(j);
	jout_kstr(j, "limits", show_limits_state(shm));
	put_keys(shm, j, &keys);
	put_accounts(shm, j, &accounts);
	jout_end_object(j);
	free(keys.ids);
	free(accounts.ids);
}

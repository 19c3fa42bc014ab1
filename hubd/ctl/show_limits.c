/* Documents made of shared memory: what is left of limits and balances. */
#include "common/monotime.h"
#include "hubd/ctl/ctl.h"
#include "hubd/ctl/show.h"
#include "hubd/price/amount.h"
#include "shm/cells.h"

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
    const struct pub_key *key)
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
	jout_kuint(j, "calls", cells_live(shm, cell_of_key(shm, row)));
	jout_end_object(j);
}

static void
put_keys(const struct shm *shm, struct jout *j)
{
	struct pub_key key;
	uint32_t i, n = atomic_load(&shm_pub_state(shm)->nkeys);

	jout_key(j, "keys");
	jout_begin_array(j);
	for (i = 0; i < n && i < shm->sizes.max_keys; i++) {
		if (pub_key_read(shm, i, &key) && !key.revoked &&
		    (key.rpm > 0 || key.tpm > 0 || key.concurrency > 0))
			put_key(j, shm, i, &key);
	}
	jout_end_array(j);
}

static void
put_account(struct jout *j, const struct shm *shm, uint32_t row,
    const struct pub_account *account)
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
	jout_kuint(j, "calls", cells_live(shm, cell));
	jout_end_object(j);
}

static void
put_accounts(const struct shm *shm, struct jout *j)
{
	struct pub_account account;
	uint32_t i, n = atomic_load(&shm_pub_state(shm)->naccounts);

	jout_key(j, "accounts");
	jout_begin_array(j);
	for (i = 0; i < n && i < shm->sizes.max_accounts; i++) {
		if (pub_account_read(shm, i, &account))
			put_account(j, shm, i, &account);
	}
	jout_end_array(j);
}

void
show_limits(const struct shm *shm, struct jout *j)
{
	jout_begin_object(j);
	jout_kstr(j, "limits", show_limits_state(shm));
	put_keys(shm, j);
	put_accounts(shm, j);
	jout_end_object(j);
}

/* Published tables: billing writes, everyone else has them read-only. */
#include "shm/pubtab.h"

#include <assert.h>
#include <string.h>

#include "shm/layout.h"
#include "shm/process.h"
#include "shm/twocopy.h"

static struct pub_key_row *
key_at(const struct shm *shm, uint32_t row)
{
	struct pub_key_row *rows = shm_table(shm, SHM_T_KEYS);

	assert(row < shm->sizes.max_keys);
	return (&rows[row]);
}

static struct pub_account_row *
account_at(const struct shm *shm, uint32_t row)
{
	struct pub_account_row *rows = shm_table(shm, SHM_T_ACCOUNTS);

	assert(row < shm->sizes.max_accounts);
	return (&rows[row]);
}

static struct pub_agent_row *
agent_at(const struct shm *shm, uint32_t row)
{
	struct pub_agent_row *rows = shm_table(shm, SHM_T_AGENTS);

	assert(row < shm->sizes.max_agents);
	return (&rows[row]);
}

/* ---- readers ------------------------------------------------------------- */

bool
pub_key_read(const struct shm *shm, uint32_t row, struct pub_key *k)
{
	const struct pub_key_row *r = key_at(shm, row);

	return (twocopy_read(&r->seq, r->copy, sizeof(*k), k) != 0);
}

bool
pub_account_read(const struct shm *shm, uint32_t row, struct pub_account *a)
{
	const struct pub_account_row *r = account_at(shm, row);

	return (twocopy_read(&r->seq, r->copy, sizeof(*a), a) != 0);
}

bool
pub_agent_read(const struct shm *shm, uint32_t row, struct pub_agent *a)
{
	const struct pub_agent_row *r = agent_at(shm, row);

	return (twocopy_read(&r->seq, r->copy, sizeof(*a), a) != 0);
}

const _Atomic int64_t *
pub_available(const struct shm *shm, uint32_t account_row)
{
	return (&account_at(shm, account_row)->available);
}

/*
 * The index of keys: open addressing, each slot one word: 32 bits of the
 * hash, row + 1. A slot that was used stays used, so chains never break; one
 * whose row has another hash by now may be given to a new entry.
 */
static uint32_t
first_slot(const struct shm *shm, const uint8_t hash[32])
{
	uint32_t at;

	memcpy(&at, hash, sizeof(at));
	return (at & (shm_key_slots(&shm->sizes) - 1));
}

static uint64_t
index_entry(const uint8_t hash[32], uint32_t row)
{
	uint32_t part;

	memcpy(&part, hash + 4, sizeof(part));
	return ((uint64_t)part << 32 | (row + 1));
}

static _Atomic uint64_t *
next_slot(const struct shm *shm, uint32_t *at)
{
	_Atomic uint64_t *slots = shm_table(shm, SHM_T_KEY_INDEX);
	_Atomic uint64_t *slot = &slots[*at];

	*at = (*at + 1) & (shm_key_slots(&shm->sizes) - 1);
	return (slot);
}

/* Every byte is looked at: the time taken tells nothing of the hash. */
static bool
same_hash(const uint8_t a[32], const uint8_t b[32])
{
	unsigned i;
	uint8_t diff = 0;

	for (i = 0; i < 32; i++)
		diff |= a[i] ^ b[i];
	return (diff == 0);
}

static bool
key_answers(const struct pub_key *k, const uint8_t hash[32], int64_t now_ms)
{
	return (same_hash(k->hash, hash) ||
		(k->old_until_ms > now_ms && same_hash(k->old_hash, hash)));
}

bool
pub_key_find(const struct shm *shm, const uint8_t hash[32], int64_t now_ms,
    uint32_t *row, struct pub_key *k)
{
	uint32_t i, at = first_slot(shm, hash);
	uint32_t n = shm_key_slots(&shm->sizes);

	for (i = 0; i < n; i++) {
		uint64_t entry = atomic_load(next_slot(shm, &at));
		uint32_t r = (uint32_t)entry - 1;

		if (entry == 0)
			return (false);
		if (entry != index_entry(hash, r) || r >= shm->sizes.max_keys)
			continue;
		if (pub_key_read(shm, r, k) && key_answers(k, hash, now_ms)) {
			*row = r;
			return (true);
		}
	}
	return (false);
}

static uint32_t
agents_in_use(const struct shm *shm)
{
	uint32_t n = atomic_load(&shm_pub_state(shm)->nagents);

	return (n < shm->sizes.max_agents ? n : shm->sizes.max_agents);
}

bool
pub_agent_find(const struct shm *shm, const uint8_t token_hash[32],
    uint32_t *row, struct pub_agent *a)
{
	uint32_t i, n = agents_in_use(shm);

	for (i = 0; i < n; i++) {
		if (pub_agent_read(shm, i, a) && !a->revoked &&
		    same_hash(a->token_hash, token_hash)) {
			*row = i;
			return (true);
		}
	}
	return (false);
}

bool
pub_agent_by_id(
    const struct shm *shm, uint32_t id, uint32_t *row, struct pub_agent *a)
{
	uint32_t i, n = agents_in_use(shm);

	for (i = 0; i < n; i++) {
		if (pub_agent_read(shm, i, a) && !a->revoked && a->id == id) {
			*row = i;
			return (true);
		}
	}
	return (false);
}

static char *
price_buffer(const struct shm *shm, uint32_t i)
{
	char *table = shm_table(shm, SHM_T_PRICES);

	assert(i < PRICE_BUFFERS);
	return (
	    table + sizeof(struct price_buffers) + (size_t)i * PRICE_BLOB_MAX);
}

const struct price_blob *
pub_prices(const struct shm *shm)
{
	uint32_t i = atomic_load(&shm_pub_state(shm)->price_current);

	if (i == PUB_NO_PRICES)
		return (NULL);
	return ((const struct price_blob *)(void *)price_buffer(shm, i));
}

/* ---- billing ------------------------------------------------------------- */

static void
note_row(_Atomic uint32_t *in_use, uint32_t row)
{
	if (atomic_load(in_use) <= row)
		atomic_store(in_use, row + 1);
}

static void
changed(const struct shm *shm)
{
	atomic_fetch_add(&shm_pub_state(shm)->keys_version, 1);
}

void
pub_key_write(const struct shm *shm, uint32_t row, const struct pub_key *k)
{
	struct pub_key_row *r = key_at(shm, row);

	assert(shm->pub_writable);
	twocopy_write(&r->seq, r->copy, sizeof(*k), k);
	note_row(&shm_pub_state(shm)->nkeys, row);
	changed(shm);
}

/* Does that slot's row still have a hash that the slot stands for? */
static bool
is_stale(const struct shm *shm, uint64_t entry)
{
	uint32_t row = (uint32_t)entry - 1;
	struct pub_key k;

	return (row >= shm->sizes.max_keys || !pub_key_read(shm, row, &k) ||
		(index_entry(k.hash, row) != entry &&
		    (k.old_until_ms == 0 ||
			index_entry(k.old_hash, row) != entry)));
}

bool
pub_key_index(const struct shm *shm, const uint8_t hash[32], uint32_t row)
{
	uint32_t i, at = first_slot(shm, hash);
	uint32_t n = shm_key_slots(&shm->sizes);
	uint64_t want = index_entry(hash, row);
	_Atomic uint64_t *spare = NULL;

	assert(shm->pub_writable && row < shm->sizes.max_keys);
	for (i = 0; i < n; i++) {
		_Atomic uint64_t *slot = next_slot(shm, &at);
		uint64_t entry = atomic_load(slot);

		if (entry == want)
			return (true);
		if (spare == NULL && (entry == 0 || is_stale(shm, entry)))
			spare = slot;
		if (entry == 0)
			break;
	}
	if (spare == NULL)
		return (false);
	atomic_store(spare, want);
	return (true);
}

void
pub_account_write(const struct shm *shm, uint32_t row,
    const struct pub_account *a, int64_t available)
{
	struct pub_account_row *r = account_at(shm, row);
	struct pub_account old;
	bool same;

	assert(shm->pub_writable);
	/* a balance alone is no change that anybody waits for */
	same = pub_account_read(shm, row, &old) && old.id == a->id &&
	       old.disabled == a->disabled && old.unlimited == a->unlimited;
	twocopy_write(&r->seq, r->copy, sizeof(*a), a);
	atomic_store(&r->available, available);
	note_row(&shm_pub_state(shm)->naccounts, row);
	if (!same)
		changed(shm);
}

void
pub_agent_write(const struct shm *shm, uint32_t row, const struct pub_agent *a)
{
	struct pub_agent_row *r = agent_at(shm, row);

	assert(shm->pub_writable);
	twocopy_write(&r->seq, r->copy, sizeof(*a), a);
	note_row(&shm_pub_state(shm)->nagents, row);
	changed(shm);
}

bool
pub_prices_publish(const struct shm *shm, const struct price_blob *blob)
{
	struct price_buffers *b = shm_table(shm, SHM_T_PRICES);
	struct pub_state *ps = shm_pub_state(shm);
	uint32_t old = atomic_load(&ps->price_current), i;
	uint64_t epoch = atomic_load(&ps->epoch) + 1;

	assert(shm->pub_writable && blob->size <= PRICE_BLOB_MAX);
	for (i = 0; i < PRICE_BUFFERS; i++) {
		if (i != old &&
		    process_all_passed(shm, atomic_load(&b->retired_at[i])))
			break;
	}
	if (i == PRICE_BUFFERS)
		return (false);
	memcpy(price_buffer(shm, i), blob, blob->size);
	/* Before the switch: a kill here only keeps the buffer for longer. */
	if (old != PUB_NO_PRICES)
		atomic_store(&b->retired_at[old], epoch);
	atomic_store(&ps->price_current, i);
	atomic_store(&ps->epoch, epoch);
	return (true);
}

/*
 * Publishing accounts, keys and agents. After a restart what shared memory
 * says about rows is taken over first: row numbers that living workers have
 * noted stay true, and the tables are reconciled, never emptied.
 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "hubd/billing/billing.h"
#include "shm/pubtab.h"

/* ---- what is published already ------------------------------------------- */

static uint32_t
in_use(_Atomic uint32_t *n, uint32_t max)
{
	uint32_t v = atomic_load(n);

	return (v < max ? v : max);
}

void
publish_take_over(struct billing *b)
{
	struct pub_state *ps = shm_pub_state(b->shm);
	struct pub_account account;
	struct pub_agent agent;
	struct pub_key key;
	uint32_t i;

	for (i = 0; i < in_use(&ps->naccounts, b->accounts.max_rows); i++)
		if (pub_account_read(b->shm, i, &account))
			dir_set_row(&b->accounts, account.id, i);
	for (i = 0; i < in_use(&ps->nkeys, b->keys.max_rows); i++)
		if (pub_key_read(b->shm, i, &key))
			dir_set_row(&b->keys, key.number, i);
	for (i = 0; i < in_use(&ps->nagents, b->agents.max_rows); i++)
		if (pub_agent_read(b->shm, i, &agent))
			dir_set_row(&b->agents, agent.id, i);
}

/* What the store does not know any more (another store was put in place)
 * must not go on being good. */
static void
revoke_strangers(struct billing *b)
{
	struct pub_state *ps = shm_pub_state(b->shm);
	struct pub_agent agent;
	struct pub_key key;
	uint32_t i;

	for (i = 0; i < in_use(&ps->nkeys, b->keys.max_rows); i++) {
		if (!pub_key_read(b->shm, i, &key) || key.revoked ||
		    dir_row(&b->keys, key.number) == i)
			continue;
		key.revoked = 1;
		pub_key_write(b->shm, i, &key);
	}
	for (i = 0; i < in_use(&ps->nagents, b->agents.max_rows); i++) {
		if (!pub_agent_read(b->shm, i, &agent) || agent.revoked ||
		    dir_row(&b->agents, agent.id) == i)
			continue;
		agent.revoked = 1;
		pub_agent_write(b->shm, i, &agent);
	}
}

/* ---- one row each -------------------------------------------------------- */

/* Balance and overdraft, rounded down: never more than there is. */
static int64_t
available(const struct ledger_account *a, amount_t *sum)
{
	amount_t *overdraft;
	int64_t n;

	if (a->overdraft_unlimited)
		return (INT64_MAX);
	overdraft = amount_new();
	if (amount_parse(sum, a->balance, strlen(a->balance)) == -1 ||
	    amount_parse(overdraft, a->overdraft, strlen(a->overdraft)) == -1) {
		log_errx(
		    "account %s: the store gives a broken balance", a->name);
		n = 0;
	} else {
		amount_add(sum, overdraft);
		n = amount_to_nano(sum, AMOUNT_DOWN).n;
	}
	amount_free(overdraft);
	return (n);
}

/* Grows with each publication, also over a clock that was set back, and a
 * hub that starts anew goes on above what the one before has said. */
static int64_t
next_version(struct billing *b, uint32_t row)
{
	int64_t version = walltime_us();
	struct pub_account old;

	if (pub_account_read(b->shm, row, &old) && old.version >= version)
		version = old.version + 1;
	return (version);
}

/* What `available` is made of. */
static void
fill_parts(struct billing *b, const struct ledger_account *a, uint32_t row,
    int64_t left, struct pub_account *p)
{
	p->version = next_version(b, row);
	/* of a store of its own, what is published later is newer */
	p->store_seq = a->owed[0] != '\0' ? a->seq : p->version;
	if (a->owed[0] != '\0' &&
	    amount_parse(b->sum, a->owed, strlen(a->owed)) == 0)
		p->owed = amount_to_nano(b->sum, AMOUNT_UP).n;
	p->store_available =
	    nanousd_add((nanousd_t){left}, (nanousd_t){p->owed}).n;
}

bool
publish_account(struct billing *b, const struct ledger_account *a)
{
	struct pub_account p = {.id = a->id,
	    .disabled = a->disabled,
	    .unlimited = a->overdraft_unlimited};
	int64_t left;
	uint32_t row;

	if (b->sink != NULL)
		return (b->sink->account(b, a));
	if (!dir_put(&b->accounts, a->id, a->name) ||
	    (row = dir_take_row(&b->accounts, a->id)) == DIR_NO_ROW)
		return (false);
	left = available(a, b->sum);
	fill_parts(b, a, row, left, &p);
	snprintf(p.name, sizeof(p.name), "%s", a->name);
	snprintf(p.balance, sizeof(p.balance), "%s", a->balance);
	snprintf(p.spent, sizeof(p.spent), "%s", a->spent);
	snprintf(p.overdraft, sizeof(p.overdraft), "%s", a->overdraft);
	pub_account_write(b->shm, row, &p, left);
	return (true);
}

static void
fill_key(struct billing *b, const struct ledger_key *k, struct pub_key *p)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->hash, k->hash, sizeof(p->hash));
	memcpy(p->old_hash, k->old_hash, sizeof(p->old_hash));
	p->old_until_ms = k->old_until_ms;
	p->expires_ms = k->expires_ms;
	p->tpm = k->tpm;
	p->rpm = k->rpm;
	p->concurrency = k->concurrency;
	p->number = k->number;
	p->revoked = k->revoked;
	p->account_row = dir_row(&b->accounts, k->account);
	snprintf(p->id, sizeof(p->id), "%s", k->id);
	snprintf(p->name, sizeof(p->name), "%s", k->name);
	snprintf(p->models, sizeof(p->models), "%s", k->models);
}

bool
publish_key(struct billing *b, const struct ledger_key *k)
{
	struct pub_key p;
	uint32_t row;

	if (b->sink != NULL)
		return (b->sink->key(b, k));
	if (!dir_put(&b->keys, k->number, k->id))
		return (false);
	/* A key revoked before this hub started needs no row. */
	if (k->revoked && dir_row(&b->keys, k->number) == DIR_NO_ROW)
		return (true);
	fill_key(b, k, &p);
	if (p.account_row == DIR_NO_ROW ||
	    (row = dir_take_row(&b->keys, k->number)) == DIR_NO_ROW)
		return (false);
	/* first the row, which tells what of the index is stale */
	pub_key_write(b->shm, row, &p);
	return (
	    pub_key_index(b->shm, k->hash, row) &&
	    (k->old_until_ms == 0 || pub_key_index(b->shm, k->old_hash, row)));
}

bool
publish_agent(struct billing *b, const struct ledger_agent *a)
{
	struct pub_agent p = {.id = a->id,
	    .replicas = a->replicas,
	    .revoked = a->revoked,
	    .draining = a->draining};
	uint32_t row;

	if (b->sink != NULL)
		return (b->sink->agent(b, a));
	if (!dir_put(&b->agents, a->id, a->name))
		return (false);
	if (a->revoked && dir_row(&b->agents, a->id) == DIR_NO_ROW)
		return (true);
	if ((row = dir_take_row(&b->agents, a->id)) == DIR_NO_ROW)
		return (false);
	memcpy(p.token_hash, a->token_hash, sizeof(p.token_hash));
	snprintf(p.name, sizeof(p.name), "%s", a->name);
	snprintf(p.models, sizeof(p.models), "%s", a->models);
	snprintf(p.providers, sizeof(p.providers), "%s", a->providers);
	pub_agent_write(b->shm, row, &p);
	return (true);
}

enum ledger_result
publish_balance(struct billing *b, uint32_t account)
{
	struct ledger_account a;
	enum ledger_result r = b->ops->account_get(b->store, account, &a);

	if (r == LEDGER_OK && !publish_account(b, &a))
		r = LEDGER_REFUSED;
	return (r);
}

/* ---- the first load ------------------------------------------------------ */

static void
load_account(void *arg, const struct ledger_account *a)
{
	if (!publish_account(arg, a))
		log_warnx(
		    "account %s has no room: raise max_accounts", a->name);
}

static void
load_key(void *arg, const struct ledger_key *k)
{
	if (!publish_key(arg, k))
		log_warnx("key %s has no room: raise max_keys", k->id);
}

static void
load_agent(void *arg, const struct ledger_agent *a)
{
	if (!publish_agent(arg, a))
		log_warnx("agent %s has no room: raise max_agents", a->name);
}

static void
count_suspense(void *arg, const struct ledger_suspense *s)
{
	++*(uint64_t *)arg;
}

enum ledger_result
publish_load(struct billing *b)
{
	struct pub_state *ps = shm_pub_state(b->shm);
	uint64_t suspense = 0;

	publish_take_over(b);
	if (b->ops->each_account(b->store, load_account, b) != LEDGER_OK ||
	    b->ops->each_key(b->store, load_key, b) != LEDGER_OK ||
	    b->ops->each_agent(b->store, load_agent, b) != LEDGER_OK ||
	    b->ops->each_suspense(b->store, false, count_suspense, &suspense) !=
		LEDGER_OK)
		return (LEDGER_DOWN);
	revoke_strangers(b);
	if (objects_load(b) != LEDGER_OK)
		return (LEDGER_DOWN);
	atomic_store(&ps->suspense, suspense);
	return (LEDGER_OK);
}

void
publish_tell(const struct billing *b)
{
	log_info("%u accounts, %u keys, %u agents are published",
	    b->accounts.rows, b->keys.rows, b->agents.rows);
}

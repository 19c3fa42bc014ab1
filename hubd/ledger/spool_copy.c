/*
 * The spool's copy of what the shared store has of accounts, keys, agents,
 * prices and objects, under the store's numbers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hubd/ledger/ledger_spool.h"
#include "hubd/ledger/ledger_sqlite.h"

#define SOMEBODY "store" /* who billed it elsewhere */

/* ---- accounts ------------------------------------------------------------ */

/* All but money, which has its own order: seq. */
static enum ledger_result
put_properties(struct ledger *l, const struct ledger_account *a)
{
	struct query q =
	    db_query(l, "INSERT INTO account (id, name, disabled, overdraft) "
			"VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
			"name = excluded.name, disabled = excluded.disabled, "
			"overdraft = excluded.overdraft");

	db_bind_int(&q, a->id);
	db_bind_text(&q, a->name);
	db_bind_int(&q, a->disabled);
	db_bind_text(&q, a->overdraft_unlimited ? "unlimited" : a->overdraft);
	return (db_result(db_run(&q)));
}

enum ledger_result
spool_put_account(struct ledger *l, const struct ledger_account *a)
{
	struct pg_balance b = {.account = a->id, .seq = a->seq};
	enum ledger_result rc = put_properties(l, a);

	if (rc != LEDGER_OK)
		return (rc);
	snprintf(b.balance, sizeof(b.balance), "%s", a->balance);
	snprintf(b.spent, sizeof(b.spent), "%s", a->spent);
	return (spool_apply_balance(l, &b));
}

/* ---- keys ---------------------------------------------------------------- */

/* Two of one id or hash there cannot be: the other one is of before. */
static enum ledger_result
clear_key(struct ledger *l, const struct ledger_key *k)
{
	struct query q =
	    db_query(l, "DELETE FROM access_key "
			"WHERE (id = ? OR hash = ?) AND number <> ?");

	db_bind_text(&q, k->id);
	db_bind_blob(&q, k->hash, sizeof(k->hash));
	db_bind_int(&q, k->number);
	return (db_result(db_run(&q)));
}

enum ledger_result
spool_put_key(struct ledger *l, const struct ledger_key *k)
{
	struct query q = db_query(l,
	    "INSERT INTO access_key (number, id, account, name, hash, "
	    "old_hash, old_until_ms, rpm, tpm, concurrency, expires_ms, "
	    "created_ms, revoked, models) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
	    "ON CONFLICT (number) DO UPDATE SET id = excluded.id, "
	    "account = excluded.account, name = excluded.name, "
	    "hash = excluded.hash, old_hash = excluded.old_hash, "
	    "old_until_ms = excluded.old_until_ms, rpm = excluded.rpm, "
	    "tpm = excluded.tpm, concurrency = excluded.concurrency, "
	    "expires_ms = excluded.expires_ms, "
	    "created_ms = excluded.created_ms, revoked = excluded.revoked, "
	    "models = excluded.models");

	if (clear_key(l, k) != LEDGER_OK)
		return (LEDGER_DOWN);
	db_bind_int(&q, k->number);
	key_bind(&q, k);
	return (db_result(db_run(&q)));
}

/* ---- agents -------------------------------------------------------------- */

static enum ledger_result
clear_agent(struct ledger *l, const struct ledger_agent *a)
{
	struct query q =
	    db_query(l, "DELETE FROM agent WHERE name = ? AND id <> ?");

	db_bind_text(&q, a->name);
	db_bind_int(&q, a->id);
	return (db_result(db_run(&q)));
}

enum ledger_result
spool_put_agent(struct ledger *l, const struct ledger_agent *a)
{
	struct query q = db_query(l,
	    "INSERT OR REPLACE INTO agent (id, name, token_hash, models, "
	    "providers, replicas, revoked, draining) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)");

	if (clear_agent(l, a) != LEDGER_OK)
		return (LEDGER_DOWN);
	db_bind_int(&q, a->id);
	agent_bind(&q, a);
	return (db_result(db_run(&q)));
}

/* ---- prices and objects -------------------------------------------------- */

enum ledger_result
spool_put_price(struct ledger *l, const struct price_blob *b)
{
	struct query q = db_query(l,
	    "INSERT OR REPLACE INTO price_version (version, time_ms, blob) "
	    "VALUES (?, ?, ?)");

	db_bind_int(&q, (int64_t)b->version);
	db_bind_int(&q, b->time_ms);
	db_bind_blob(&q, b, b->size);
	return (db_result(db_run(&q)));
}

static enum ledger_result
remove_object(struct ledger *l, const char *id)
{
	struct query q = db_query(l, "DELETE FROM object WHERE id = ?");

	db_bind_text(&q, id);
	return (db_result(db_run(&q)));
}

_Static_assert(OBJECT_DELETED == 2, "as in etc/ledger_spool.sql");

/* Not what was deleted here: the store hears of that later. */
static enum ledger_result
insert_object(struct ledger *l, const struct ledger_object *o)
{
	char ids[OBJECT_IDS_MAX] = "";
	struct query q = db_query(l,
	    "INSERT INTO object (id, account, agent, provider, kind, "
	    "created_ms, billed_by) SELECT ?, ?, ?, ?, ?, ?, ? "
	    "WHERE NOT EXISTS (SELECT 1 FROM waiting_object "
	    "WHERE event = 2 AND ids = ?)");

	db_bind_text(&q, o->id);
	db_bind_int(&q, o->account);
	db_bind_int(&q, o->agent);
	db_bind_text(&q, o->provider);
	db_bind_int(&q, o->kind);
	db_bind_int(&q, o->created_ms);
	db_bind_text(&q, o->billed ? SOMEBODY : "");
	str_copy(ids, sizeof(ids), o->id);
	db_bind_blob(&q, ids, sizeof(ids));
	return (db_result(db_run(&q)));
}

/* Its number stays this hub's own; an upsert would use numbers up, of which
 * the newest are published. */
enum ledger_result
spool_put_object(struct ledger *l, const struct ledger_object *o, bool removed)
{
	struct query q = db_query(l,
	    "UPDATE object SET billed_by = iif(billed_by = '', ?, billed_by) "
	    "WHERE id = ?");
	enum ledger_result rc;

	if (removed)
		return (remove_object(l, o->id));
	db_bind_text(&q, o->billed ? SOMEBODY : "");
	db_bind_text(&q, o->id);
	rc = db_result(db_run(&q));
	if (rc != LEDGER_OK || db_changes(l) > 0)
		return (rc);
	return (insert_object(l, o));
}

/* ---- transactions and the clock ------------------------------------------ */

enum ledger_result
spool_begin(struct ledger *l)
{
	enum ledger_result rc;

	db_set_sync(l, false);
	rc = db_begin(l);
	if (rc != LEDGER_OK)
		db_set_sync(l, true);
	return (rc);
}

enum ledger_result
spool_commit(struct ledger *l)
{
	enum ledger_result rc = db_commit(l);

	db_set_sync(l, true);
	return (rc);
}

void
spool_rollback(struct ledger *l)
{
	db_rollback(l);
	db_set_sync(l, true);
}

enum ledger_result
spool_clock_get(struct ledger *l, char store_id[LEDGER_ID_MAX], int64_t *clock)
{
	enum ledger_result rc =
	    db_meta_get(l, "store_id", store_id, LEDGER_ID_MAX);
	char text[24];

	if (rc == LEDGER_OK)
		rc = db_meta_get(l, "clock", text, sizeof(text));
	if (rc == LEDGER_OK)
		*clock = strtoll(text, NULL, 10);
	return (rc);
}

enum ledger_result
spool_clock_set(struct ledger *l, int64_t clock)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, clock);
	return (db_meta_set(l, "clock", text));
}

enum ledger_result
spool_doubt_balances(struct ledger *l)
{
	struct query q = db_query(l, "UPDATE owed SET seq = -1");

	return (db_result(db_run(&q)));
}

/* In the order of their references. */
static enum ledger_result
forget_all(struct ledger *l)
{
	struct query q[] = {
	    db_query(l, "DELETE FROM checkpoint"),
	    db_query(l, "DELETE FROM object"),
	    db_query(l, "DELETE FROM access_key"),
	    db_query(l, "DELETE FROM agent"),
	    db_query(l, "DELETE FROM owed"),
	    db_query(l, "DELETE FROM account"),
	    db_query(l, "DELETE FROM price_version"),
	};
	size_t i;

	for (i = 0; i < sizeof(q) / sizeof(q[0]); i++)
		if (db_run(&q[i]) != DB_DONE)
			return (LEDGER_DOWN);
	return (LEDGER_OK);
}

enum ledger_result
spool_adopt(struct ledger *l, const char *store_id)
{
	if (*db_waiting(l) > 0)
		return (LEDGER_CONFLICT);
	if (db_begin(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	if (forget_all(l) == LEDGER_OK &&
	    db_meta_set(l, "store_id", store_id) == LEDGER_OK &&
	    spool_clock_set(l, SPOOL_NOT_WHOLE) == LEDGER_OK)
		return (db_commit(l));
	db_rollback(l);
	return (LEDGER_DOWN);
}

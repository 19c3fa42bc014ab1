/* Accounts, keys and agents in SQLite. */
#include "hubd/ledger/ledger_sqlite.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define KEY_COLUMNS                                                           \
	"number, id, account, name, hash, old_hash, old_until_ms, rpm, tpm, " \
	"concurrency, expires_ms, created_ms, revoked, models"
#define AGENT_COLUMNS \
	"id, name, token_hash, models, providers, replicas, revoked, draining"
#define UNLIMITED "unlimited"

static const char *
kind_str(enum ledger_change_kind kind)
{
	switch (kind) {
	case CHANGE_CHARGE:
		return ("charge");
	case CHANGE_CREDIT:
		return ("credit");
	case CHANGE_DEBIT:
		return ("debit");
	}
	return ("");
}

/* Commits if all went well; the result of the whole. */
static enum ledger_result
finish(struct ledger *l, enum ledger_result rc)
{
	if (rc == LEDGER_OK)
		return (db_commit(l));
	db_rollback(l);
	return (rc);
}

/* ---- balances ------------------------------------------------------------ */

enum db_step
change_insert(struct ledger *l, uint32_t account, int64_t time_ms,
    enum ledger_change_kind kind, const char *amount, const char *ref)
{
	struct query q = db_query(l,
	    "INSERT INTO balance_change (account, time_ms, kind, amount, ref) "
	    "VALUES (?, ?, ?, ?, ?)");

	db_bind_int(&q, account);
	db_bind_int(&q, time_ms);
	db_bind_text(&q, kind_str(kind));
	db_bind_text(&q, amount);
	db_bind_text(&q, ref);
	return (db_run(&q));
}

/* text += change. -1: the text is no amount, or too long. */
static int
add_text(char text[AMOUNT_TEXT_MAX], const amount_t *change, bool subtract)
{
	amount_t *a = amount_new();
	int rc = -1;

	if (amount_parse(a, text, strlen(text)) == 0) {
		if (subtract)
			amount_sub(a, change);
		else
			amount_add(a, change);
		rc = amount_format(a, text);
	}
	amount_free(a);
	return (rc);
}

enum ledger_result
account_check(struct ledger *l, uint32_t id)
{
	amount_t *zero = amount_new();
	struct ledger_account a;
	enum ledger_result rc;

	rc = sqlite_account_get(l, id, &a);
	if (rc == LEDGER_OK && (add_text(a.balance, zero, false) == -1 ||
				   add_text(a.spent, zero, true) == -1))
		rc = LEDGER_REFUSED;
	amount_free(zero);
	return (rc);
}

enum ledger_result
account_apply(
    struct ledger *l, uint32_t id, const amount_t *change, bool charge)
{
	struct query q;
	struct ledger_account a;
	enum ledger_result rc;

	if ((rc = sqlite_account_get(l, id, &a)) != LEDGER_OK)
		return (rc);
	if (add_text(a.balance, change, false) == -1 ||
	    (charge && add_text(a.spent, change, true) == -1))
		return (LEDGER_REFUSED);
	q = db_query(
	    l, "UPDATE account SET balance = ?, spent = ? WHERE id = ?");
	db_bind_text(&q, a.balance);
	db_bind_text(&q, a.spent);
	db_bind_int(&q, id);
	return (db_result(db_run(&q)));
}

/* A credit whose ref is there already: the same one or another? */
static enum ledger_result
compare_credit(
    struct ledger *l, uint32_t account, const char *amount, const char *ref)
{
	struct query q = db_query(l,
	    "SELECT 1 FROM balance_change WHERE kind = 'credit' AND "
	    "account = ? AND ref = ? AND ref <> '' AND amount = ?");
	enum db_step step;

	db_bind_int(&q, account);
	db_bind_text(&q, ref);
	db_bind_text(&q, amount);
	step = db_run(&q);
	if (step == DB_ROW)
		return (LEDGER_OK);
	return (step == DB_DONE ? LEDGER_CONFLICT : LEDGER_DOWN);
}

static enum ledger_result
change_in_transaction(struct ledger *l, uint32_t id,
    enum ledger_change_kind kind, const amount_t *change, const char *ref)
{
	char text[AMOUNT_TEXT_MAX];
	enum db_step step;

	if (amount_format(change, text) == -1)
		return (LEDGER_REFUSED);
	step = change_insert(l, id, db_now_ms(), kind, text, ref);
	if (step == DB_UNIQUE)
		return (compare_credit(l, id, text, ref));
	if (step != DB_DONE)
		return (db_result(step));
	return (account_apply(l, id, change, kind == CHANGE_CHARGE));
}

enum ledger_result
sqlite_account_change(struct ledger *l, uint32_t id,
    enum ledger_change_kind kind, const amount_t *change, const char *ref)
{
	/* Charges come with their rows, through book(). */
	assert(kind != CHANGE_CHARGE);
	if (db_begin(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	return (finish(l, change_in_transaction(
			      l, id, kind, change, ref != NULL ? ref : "")));
}

/* ---- accounts ------------------------------------------------------------ */

enum ledger_result
sqlite_account_add(
    struct ledger *l, const char *name, const amount_t *credit, uint32_t *id)
{
	struct query q = db_query(l, "INSERT INTO account (name) VALUES (?)");
	enum ledger_result rc;

	if (db_begin(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	db_bind_text(&q, name);
	rc = db_result(db_run(&q));
	if (rc == LEDGER_OK) {
		*id = (uint32_t)db_last_id(l);
		if (credit != NULL)
			rc = change_in_transaction(
			    l, *id, CHANGE_CREDIT, credit, "");
	}
	return (finish(l, rc));
}

enum ledger_result
sqlite_account_set(
    struct ledger *l, uint32_t id, const char *overdraft, const bool *disabled)
{
	char text[AMOUNT_TEXT_MAX];
	struct query q;
	enum db_step step;

	if (overdraft != NULL && overdraft_write(overdraft, text) == -1)
		return (LEDGER_REFUSED);
	q = db_query(l, "UPDATE account SET overdraft = iif(?, ?, overdraft), "
			"disabled = iif(?, ?, disabled) WHERE id = ?");
	db_bind_int(&q, overdraft != NULL);
	db_bind_text(&q, overdraft != NULL ? text : "");
	db_bind_int(&q, disabled != NULL);
	db_bind_int(&q, disabled != NULL && *disabled);
	db_bind_int(&q, id);
	step = db_run(&q);
	if (step == DB_DONE && db_changes(l) == 0)
		return (LEDGER_MISSING);
	return (db_result(step));
}

void
account_read(struct query *q, struct ledger_account *a)
{
	memset(a, 0, sizeof(*a));
	a->id = (uint32_t)db_int(q);
	db_text(q, a->name, sizeof(a->name));
	a->disabled = db_int(q) != 0;
	db_text(q, a->overdraft, sizeof(a->overdraft));
	db_text(q, a->balance, sizeof(a->balance));
	db_text(q, a->spent, sizeof(a->spent));
	if (strcmp(a->overdraft, UNLIMITED) == 0) {
		a->overdraft_unlimited = true;
		snprintf(a->overdraft, sizeof(a->overdraft), "0");
	}
}

enum ledger_result
sqlite_account_get(struct ledger *l, uint32_t id, struct ledger_account *a)
{
	struct query q =
	    db_query(l, "SELECT " ACCOUNT_COLUMNS " FROM account WHERE id = ?");
	enum db_step step;

	db_bind_int(&q, id);
	step = db_step(&q);
	if (step == DB_ROW)
		account_read(&q, a);
	db_end(&q);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

enum ledger_result
sqlite_each_account(struct ledger *l,
    void (*fn)(void *, const struct ledger_account *), void *arg)
{
	struct query q =
	    db_query(l, "SELECT " ACCOUNT_COLUMNS " FROM account ORDER BY id");
	struct ledger_account a;
	enum db_step step;

	while ((step = db_step(&q)) == DB_ROW) {
		account_read(&q, &a);
		fn(arg, &a);
	}
	db_end(&q);
	return (db_result(step));
}

/* ---- keys ---------------------------------------------------------------- */

static void
hash_read(struct query *q, uint8_t out[32])
{
	const void *p;
	size_t n;

	p = db_blob(q, &n);
	if (n == 32)
		memcpy(out, p, n);
}

void
key_bind(struct query *q, const struct ledger_key *k)
{
	db_bind_text(q, k->id);
	db_bind_int(q, k->account);
	db_bind_text(q, k->name);
	db_bind_blob(q, k->hash, sizeof(k->hash));
	db_bind_blob(q, k->old_hash, sizeof(k->old_hash));
	db_bind_int(q, k->old_until_ms);
	db_bind_int(q, k->rpm);
	db_bind_int(q, (int64_t)k->tpm);
	db_bind_int(q, k->concurrency);
	db_bind_int(q, k->expires_ms);
	db_bind_int(q, k->created_ms);
	db_bind_int(q, k->revoked);
	db_bind_text(q, k->models);
}

enum ledger_result
sqlite_key_put(struct ledger *l, struct ledger_key *k)
{
	struct query q = db_query(l,
	    "INSERT INTO access_key (id, account, name, hash, old_hash, "
	    "old_until_ms, rpm, tpm, concurrency, expires_ms, created_ms, "
	    "revoked, models) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
	    "ON CONFLICT (id) DO UPDATE SET account = excluded.account, "
	    "name = excluded.name, hash = excluded.hash, "
	    "old_hash = excluded.old_hash, "
	    "old_until_ms = excluded.old_until_ms, rpm = excluded.rpm, "
	    "tpm = excluded.tpm, concurrency = excluded.concurrency, "
	    "expires_ms = excluded.expires_ms, "
	    "created_ms = excluded.created_ms, revoked = excluded.revoked, "
	    "models = excluded.models RETURNING number");
	enum db_step step;

	key_bind(&q, k);
	step = db_step(&q);
	if (step == DB_ROW) {
		k->number = (uint32_t)db_int(&q);
		/* The change is committed when the statement is done. */
		step = db_step(&q);
	}
	db_end(&q);
	return (db_result(step));
}

static void
key_read(struct query *q, struct ledger_key *k)
{
	int64_t revoked;

	memset(k, 0, sizeof(*k));
	k->number = (uint32_t)db_int(q);
	db_text(q, k->id, sizeof(k->id));
	k->account = (uint32_t)db_int(q);
	db_text(q, k->name, sizeof(k->name));
	hash_read(q, k->hash);
	hash_read(q, k->old_hash);
	k->old_until_ms = db_int(q);
	k->rpm = (uint32_t)db_int(q);
	k->tpm = (uint64_t)db_int(q);
	k->concurrency = (uint32_t)db_int(q);
	k->expires_ms = db_int(q);
	k->created_ms = db_int(q);
	revoked = db_int(q);
	k->revoked = (uint8_t)((revoked != 0) + (revoked == 2));
	db_text(q, k->models, sizeof(k->models));
}

enum ledger_result
sqlite_key_get(struct ledger *l, const char *id, struct ledger_key *k)
{
	struct query q =
	    db_query(l, "SELECT " KEY_COLUMNS " FROM access_key WHERE id = ?");
	enum db_step step;

	db_bind_text(&q, id);
	step = db_step(&q);
	if (step == DB_ROW)
		key_read(&q, k);
	db_end(&q);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

enum ledger_result
sqlite_each_key(
    struct ledger *l, void (*fn)(void *, const struct ledger_key *), void *arg)
{
	struct query q = db_query(
	    l, "SELECT " KEY_COLUMNS " FROM access_key ORDER BY number");
	struct ledger_key k;
	enum db_step step;

	while ((step = db_step(&q)) == DB_ROW) {
		key_read(&q, &k);
		fn(arg, &k);
	}
	db_end(&q);
	return (db_result(step));
}

/* ---- agents -------------------------------------------------------------- */

void
agent_bind(struct query *q, const struct ledger_agent *a)
{
	db_bind_text(q, a->name);
	db_bind_blob(q, a->token_hash, sizeof(a->token_hash));
	db_bind_text(q, a->models);
	db_bind_text(q, a->providers);
	db_bind_int(q, a->replicas);
	db_bind_int(q, a->revoked);
	db_bind_int(q, a->draining);
}

enum ledger_result
sqlite_agent_put(struct ledger *l, struct ledger_agent *a)
{
	struct query q;
	enum db_step step;

	if (a->id == 0) {
		q = db_query(l,
		    "INSERT INTO agent (name, token_hash, models, providers, "
		    "replicas, revoked, draining) "
		    "VALUES (?, ?, ?, ?, ?, ?, ?)");
		agent_bind(&q, a);
		step = db_run(&q);
		if (step == DB_DONE)
			a->id = (uint32_t)db_last_id(l);
		return (db_result(step));
	}
	q = db_query(l,
	    "UPDATE agent SET name = ?, token_hash = ?, models = ?, "
	    "providers = ?, replicas = ?, revoked = ?, draining = ? "
	    "WHERE id = ?");
	agent_bind(&q, a);
	db_bind_int(&q, a->id);
	step = db_run(&q);
	if (step == DB_DONE && db_changes(l) == 0)
		return (LEDGER_MISSING);
	return (db_result(step));
}

static void
agent_read(struct query *q, struct ledger_agent *a)
{
	memset(a, 0, sizeof(*a));
	a->id = (uint32_t)db_int(q);
	db_text(q, a->name, sizeof(a->name));
	hash_read(q, a->token_hash);
	db_text(q, a->models, sizeof(a->models));
	db_text(q, a->providers, sizeof(a->providers));
	a->replicas = (uint32_t)db_int(q);
	a->revoked = db_int(q) != 0;
	a->draining = db_int(q) != 0;
}

enum ledger_result
sqlite_agent_get(struct ledger *l, const char *name, struct ledger_agent *a)
{
	struct query q =
	    db_query(l, "SELECT " AGENT_COLUMNS " FROM agent WHERE name = ?");
	enum db_step step;

	db_bind_text(&q, name);
	step = db_step(&q);
	if (step == DB_ROW)
		agent_read(&q, a);
	db_end(&q);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

enum ledger_result
sqlite_each_agent(struct ledger *l,
    void (*fn)(void *, const struct ledger_agent *), void *arg)
{
	struct query q =
	    db_query(l, "SELECT " AGENT_COLUMNS " FROM agent ORDER BY id");
	struct ledger_agent a;
	enum db_step step;

	while ((step = db_step(&q)) == DB_ROW) {
		agent_read(&q, &a);
		fn(arg, &a);
	}
	db_end(&q);
	return (db_result(step));
}

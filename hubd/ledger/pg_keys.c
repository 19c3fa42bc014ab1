/* Keys and agents in PostgreSQL. */
#include <stdlib.h>
#include <string.h>

#include "hubd/ledger/pg_private.h"

#define KEY_COLUMNS                                                     \
	"SELECT number, id, account, name, hash, old_hash, "            \
	"old_until_ms, rpm, tpm, concurrency, expires_ms, created_ms, " \
	"revoked, models, cut FROM access_key "
#define AGENT_COLUMNS                                                \
	"SELECT id, name, token_hash, models, providers, replicas, " \
	"revoked, draining FROM agent "

static void
read_hash(const struct pg_rows *rows, size_t row, int column, uint8_t out[32])
{
	size_t n;
	void *p = pg_bytes(rows, row, column, &n);

	if (n == 32)
		memcpy(out, p, n);
	free(p);
}

/* ---- keys ---------------------------------------------------------------- */

static void
add_key(struct pg_args *args, const struct ledger_key *k)
{
	pg_add_text(args, k->id);
	pg_add_int(args, k->account);
	pg_add_text(args, k->name);
	pg_add_bytes(args, k->hash, sizeof(k->hash));
	pg_add_bytes(args, k->old_hash, sizeof(k->old_hash));
	pg_add_int(args, k->old_until_ms);
	pg_add_int(args, k->rpm);
	pg_add_int(args, (int64_t)k->tpm);
	pg_add_int(args, k->concurrency);
	pg_add_int(args, k->expires_ms);
	pg_add_int(args, k->created_ms);
	pg_add_bool(args, k->revoked != 0);
	pg_add_text(args, k->models);
	pg_add_bool(args, k->revoked == 2);
}

/* Runs a statement that returns a number; 0: no row. */
static enum ledger_result
number_of(struct ledger *l, const char *sql, const struct pg_args *args,
    uint32_t *number)
{
	struct pg_rows *rows;
	enum ledger_result rc = pg_run(l, sql, args, &rows);

	if (rc == LEDGER_OK)
		*number = pg_count(rows) > 0 ? (uint32_t)pg_int(rows, 0, 0) : 0;
	pg_rows_free(rows);
	return (rc);
}

/* Not by one statement for both: that would use up a number each time. */
enum ledger_result
pg_key_put(struct ledger *l, struct ledger_key *k)
{
	struct pg_args args = {0};
	enum ledger_result rc;

	add_key(&args, k);
	rc = number_of(l,
	    "UPDATE access_key SET account = $2, name = $3, hash = $4, "
	    "old_hash = $5, old_until_ms = $6, rpm = $7, tpm = $8, "
	    "concurrency = $9, expires_ms = $10, created_ms = $11, "
	    "revoked = $12, models = $13, cut = $14 "
	    "WHERE id = $1 RETURNING number",
	    &args, &k->number);
	if (rc != LEDGER_OK || k->number != 0)
		return (rc);
	return (number_of(l,
	    "INSERT INTO access_key (id, account, name, hash, old_hash, "
	    "old_until_ms, rpm, tpm, concurrency, expires_ms, created_ms, "
	    "revoked, models, cut) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
	    "$9, $10, $11, $12, $13, $14) RETURNING number",
	    &args, &k->number));
}

static void
read_key(const struct pg_rows *rows, size_t row, struct ledger_key *k)
{
	memset(k, 0, sizeof(*k));
	k->number = (uint32_t)pg_int(rows, row, 0);
	pg_copy(rows, row, 1, k->id, sizeof(k->id));
	k->account = (uint32_t)pg_int(rows, row, 2);
	pg_copy(rows, row, 3, k->name, sizeof(k->name));
	read_hash(rows, row, 4, k->hash);
	read_hash(rows, row, 5, k->old_hash);
	k->old_until_ms = pg_int(rows, row, 6);
	k->rpm = (uint32_t)pg_int(rows, row, 7);
	k->tpm = (uint64_t)pg_int(rows, row, 8);
	k->concurrency = (uint32_t)pg_int(rows, row, 9);
	k->expires_ms = pg_int(rows, row, 10);
	k->created_ms = pg_int(rows, row, 11);
	k->revoked = pg_bool(rows, row, 12);
	pg_copy(rows, row, 13, k->models, sizeof(k->models));
	if (pg_bool(rows, row, 14))
		k->revoked = 2;
}

/* Locked as long as a change takes. */
enum ledger_result
pg_key_get(struct ledger *l, const char *id, struct ledger_key *k)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	pg_add_text(&args, id);
	rc = pg_find(l, KEY_COLUMNS "WHERE id = $1 FOR UPDATE", &args, &rows);
	if (rc == LEDGER_OK)
		read_key(rows, 0, k);
	pg_rows_free(rows);
	return (rc);
}

struct key_sink {
	void (*fn)(void *, const struct ledger_key *);
	void *arg;
};

static bool
on_key(void *arg, const struct pg_rows *rows, size_t row)
{
	const struct key_sink *to = arg;
	struct ledger_key k;

	read_key(rows, row, &k);
	to->fn(to->arg, &k);
	return (true);
}

enum ledger_result
pg_each_key(
    struct ledger *l, void (*fn)(void *, const struct ledger_key *), void *arg)
{
	struct key_sink to = {fn, arg};

	return (pg_each(l, KEY_COLUMNS "ORDER BY number", NULL, on_key, &to));
}

enum ledger_result
pg_keys_after(struct ledger *l, int64_t changed,
    void (*fn)(void *, const struct ledger_key *), void *arg)
{
	struct key_sink to = {fn, arg};
	struct pg_args args = {0};

	pg_add_int(&args, changed);
	return (pg_each(l, KEY_COLUMNS "WHERE changed > $1 ORDER BY number",
	    &args, on_key, &to));
}

/* ---- agents -------------------------------------------------------------- */

static void
add_agent(struct pg_args *args, const struct ledger_agent *a)
{
	pg_add_text(args, a->name);
	pg_add_bytes(args, a->token_hash, sizeof(a->token_hash));
	pg_add_text(args, a->models);
	pg_add_text(args, a->providers);
	pg_add_int(args, a->replicas);
	pg_add_bool(args, a->revoked);
	pg_add_bool(args, a->draining);
}

enum ledger_result
pg_agent_put(struct ledger *l, struct ledger_agent *a)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	uint64_t changed = 0;

	add_agent(&args, a);
	if (a->id == 0) {
		rc = number_of(l,
		    "INSERT INTO agent (name, token_hash, models, providers, "
		    "replicas, revoked, draining) SELECT $1::text, "
		    "$2::bytea, $3, $4, $5::bigint, $6::boolean, "
		    "$7::boolean WHERE NOT EXISTS (SELECT 1 FROM agent "
		    "WHERE name = $1::text) RETURNING id",
		    &args, &a->id);
		return (rc == LEDGER_OK && a->id == 0 ? LEDGER_CONFLICT : rc);
	}
	pg_add_int(&args, a->id);
	rc = pg_do(l,
	    "UPDATE agent SET name = $1, token_hash = $2, models = $3, "
	    "providers = $4, replicas = $5, "
	    "revoked = $6, draining = $7 "
	    "WHERE id = $8",
	    &args, &changed);
	return (rc == LEDGER_OK && changed == 0 ? LEDGER_MISSING : rc);
}

static void
read_agent(const struct pg_rows *rows, size_t row, struct ledger_agent *a)
{
	memset(a, 0, sizeof(*a));
	a->id = (uint32_t)pg_int(rows, row, 0);
	pg_copy(rows, row, 1, a->name, sizeof(a->name));
	read_hash(rows, row, 2, a->token_hash);
	pg_copy(rows, row, 3, a->models, sizeof(a->models));
	pg_copy(rows, row, 4, a->providers, sizeof(a->providers));
	a->replicas = (uint32_t)pg_int(rows, row, 5);
	a->revoked = pg_bool(rows, row, 6);
	a->draining = pg_bool(rows, row, 7);
}

/* Locked as long as a change takes. */
enum ledger_result
pg_agent_get(struct ledger *l, const char *name, struct ledger_agent *a)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	pg_add_text(&args, name);
	rc = pg_find(
	    l, AGENT_COLUMNS "WHERE name = $1 FOR UPDATE", &args, &rows);
	if (rc == LEDGER_OK)
		read_agent(rows, 0, a);
	pg_rows_free(rows);
	return (rc);
}

struct agent_sink {
	void (*fn)(void *, const struct ledger_agent *);
	void *arg;
};

static bool
on_agent(void *arg, const struct pg_rows *rows, size_t row)
{
	const struct agent_sink *to = arg;
	struct ledger_agent a;

	read_agent(rows, row, &a);
	to->fn(to->arg, &a);
	return (true);
}

enum ledger_result
pg_each_agent(struct ledger *l, void (*fn)(void *, const struct ledger_agent *),
    void *arg)
{
	struct agent_sink to = {fn, arg};

	return (pg_each(l, AGENT_COLUMNS "ORDER BY id", NULL, on_agent, &to));
}

enum ledger_result
pg_agents_after(struct ledger *l, int64_t changed,
    void (*fn)(void *, const struct ledger_agent *), void *arg)
{
	struct agent_sink to = {fn, arg};
	struct pg_args args = {0};

	pg_add_int(&args, changed);
	return (pg_each(l, AGENT_COLUMNS "WHERE changed > $1 ORDER BY id",
	    &args, on_agent, &to));
}

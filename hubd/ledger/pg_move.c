/*
 * All of a SQLite store into an empty one of PostgreSQL: numbers stay, for
 * rows, keys and files name them. Balances are made from their changes, and
 * must come out as they were.
 */
#include "hubd/ledger/pg_move.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/monotime.h"
#include "hubd/ledger/pg_batch.h"
#include "hubd/ledger/sqlite_dump.h"

#define SOME 500 /* rows of a statement */

struct move {
	struct ledger *pg, *sqlite;
	struct ledger_moved *moved;
	enum ledger_result rc; /* of the first statement that failed */
	bool unequal;	       /* a balance is not what it was */
};

/* ---- tables -------------------------------------------------------------- */

/* kinds: i number, b truth, t text, x bytes. Stamped with the clock as it is
 * after this transaction has moved it: no row moves it itself. */
static const struct table {
	size_t count; /* where in struct ledger_moved */
	size_t some;  /* rows of a statement */
	const char *kinds, *from, *to;
} tables[] = {
    {offsetof(struct ledger_moved, accounts), SOME, "itbt",
	"SELECT id, name, disabled, overdraft FROM account ORDER BY id",
	"INSERT INTO account (id, name, disabled, overdraft, seq, changed) "
	"SELECT t.*, 1, n FROM change_clock, unnest($1::integer[], $2::text[], "
	"$3::boolean[], $4::text[]) AS t"},
    {offsetof(struct ledger_moved, keys), SOME, "itittxiiiiiibbx",
	"SELECT number, id, account, name, models, hash, old_until_ms, rpm, "
	"tpm, concurrency, expires_ms, created_ms, revoked, revoked = 2, "
	"old_hash FROM access_key ORDER BY number",
	"INSERT INTO access_key (number, id, account, name, models, hash, "
	"old_until_ms, rpm, tpm, concurrency, expires_ms, created_ms, revoked, "
	"cut, old_hash, changed) SELECT t.*, n FROM change_clock, "
	"unnest($1::integer[], $2::text[], $3::integer[], $4::text[], "
	"$5::text[], $6::bytea[], $7::bigint[], $8::bigint[], $9::bigint[], "
	"$10::bigint[], $11::bigint[], $12::bigint[], $13::boolean[], "
	"$14::boolean[], $15::bytea[]) AS t"},
    {offsetof(struct ledger_moved, agents), SOME, "itxttibb",
	"SELECT id, name, token_hash, models, providers, replicas, revoked, "
	"draining FROM agent ORDER BY id",
	"INSERT INTO agent (id, name, token_hash, models, providers, replicas, "
	"revoked, draining, changed) SELECT t.*, n FROM change_clock, "
	"unnest($1::integer[], $2::text[], $3::bytea[], $4::text[], "
	"$5::text[], $6::bigint[], $7::boolean[], $8::boolean[]) AS t"},
    {offsetof(struct ledger_moved, changes), SOME, "iittt",
	"SELECT account, time_ms, kind, amount, ref FROM balance_change "
	"WHERE kind <> 'charge' ORDER BY id",
	"INSERT INTO balance_change (account, time_ms, kind, amount, ref) "
	"SELECT * FROM unnest($1::integer[], $2::bigint[], $3::text[], "
	"$4::numeric[], $5::text[])"},
    {offsetof(struct ledger_moved, objects), SOME, "itiitiit",
	"SELECT number, id, account, agent, provider, kind, created_ms, "
	"billed_by FROM object ORDER BY number",
	"INSERT INTO object (number, id, account, agent, provider, kind, "
	"created_ms, billed_by, changed) SELECT t.*, n FROM change_clock, "
	"unnest($1::bigint[], $2::text[], $3::integer[], $4::integer[], "
	"$5::text[], $6::integer[], $7::bigint[], $8::text[]) AS t"},
    {offsetof(struct ledger_moved, prices), 1, "iix",
	"SELECT version, time_ms, blob FROM price_version ORDER BY version",
	"INSERT INTO price_version (version, time_ms, blob, changed) "
	"SELECT t.*, n FROM change_clock, unnest($1::bigint[], $2::bigint[], "
	"$3::bytea[]) AS t"},
    {offsetof(struct ledger_moved, suspense), SOME, "itittitxt",
	"SELECT seq, id, time_ms, reason, how, resolved_ms, resolved_by, raw, "
	"why FROM suspense ORDER BY seq",
	"INSERT INTO suspense (seq, id, time_ms, reason, how, resolved_ms, "
	"resolved_by, raw, why) SELECT * FROM unnest($1::bigint[], $2::text[], "
	"$3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[], "
	"$8::bytea[], $9::text[])"},
};

struct copy {
	struct move *m;
	const struct table *t;
	struct pg_arrays arrays;
};

static bool
flush(struct copy *c)
{
	struct pg_args args = {0};

	if (c->arrays.rows == 0)
		return (true);
	pg_array_args(&c->arrays, &args);
	c->m->rc = pg_do(c->m->pg, c->t->to, &args, NULL);
	pg_array_reset(&c->arrays);
	return (c->m->rc == LEDGER_OK);
}

static bool
on_values(void *arg, const struct dump_value *v)
{
	struct copy *c = arg;
	const char *kind;

	for (kind = c->t->kinds; *kind != '\0'; kind++, v++) {
		if (*kind == 'i')
			pg_array_number(&c->arrays, v->number);
		else if (*kind == 'b')
			pg_array_bool(&c->arrays, v->number != 0);
		else if (*kind == 't')
			pg_array_span(&c->arrays, v->bytes);
		else
			pg_array_bytes(&c->arrays, v->bytes.p, v->bytes.n);
	}
	pg_array_end_row(&c->arrays);
	++*(uint64_t *)(void *)((char *)c->m->moved + c->t->count);
	return (c->arrays.rows < c->t->some || flush(c));
}

static bool
copy_table(struct move *m, const struct table *t)
{
	struct copy c = {.m = m, .t = t};
	char kinds[DUMP_COLUMNS_MAX + 1];
	enum ledger_result rc;
	size_t i;

	/* a truth is a number there */
	for (i = 0; t->kinds[i] != '\0'; i++)
		kinds[i] = t->kinds[i] == 'b' ? 'i' : t->kinds[i];
	kinds[i] = '\0';
	rc = sqlite_dump(m->sqlite, t->from, kinds, on_values, &c);
	if (rc == LEDGER_OK)
		(void)flush(&c);
	else if (m->rc == LEDGER_OK)
		m->rc = rc;
	pg_array_fini(&c.arrays);
	return (m->rc == LEDGER_OK);
}

/* ---- rows ---------------------------------------------------------------- */

struct copy_rows {
	struct move *m;
	struct pg_batch batch;
	struct ledger_row rows[SOME];
	size_t pick[SOME];
	size_t n;
};

/* As when they are booked: one charge of a batch for an account. */
static void
flush_rows(struct copy_rows *c)
{
	struct move *m = c->m;
	struct pg_args args = {0};

	if (c->n == 0 || m->rc != LEDGER_OK)
		return;
	m->rc = pg_months_make(m->pg, c->rows, c->n);
	if (m->rc != LEDGER_OK)
		return;
	pg_batch_fill(&c->batch, 0, c->n, &args);
	pg_add_int(&args, walltime_ms());
	m->rc = pg_do(m->pg,
	    "WITH i AS (SELECT * FROM " PG_INPUT "AS i (" PG_ROW_NAMES ")), "
	    "charge AS MATERIALIZED (SELECT account AS of, "
	    "nextval('balance_change_id_seq') AS charge, sum(amount) AS sum "
	    "FROM i GROUP BY account), "
	    "booked AS (INSERT INTO balance_change (id, account, time_ms, "
	    "kind, amount, ref) SELECT charge, of, $22::bigint, 'charge', "
	    "-sum, '' FROM charge) "
	    "INSERT INTO ledger (" PG_ROW_NAMES ", charge) "
	    "SELECT i.*, c.charge FROM i JOIN charge c ON c.of = i.account",
	    &args, NULL);
	m->moved->rows += c->n;
	c->n = 0;
}

static void
on_row(void *arg, const struct ledger_row *r)
{
	struct copy_rows *c = arg;

	if (c->m->rc != LEDGER_OK)
		return;
	c->rows[c->n] = *r;
	c->pick[c->n] = c->n;
	if (++c->n == SOME)
		flush_rows(c);
}

static bool
copy_rows(struct move *m)
{
	struct ledger_filter all = {.oldest_first = true};
	struct copy_rows *c = xcalloc(1, sizeof(*c));
	enum ledger_result rc;

	c->m = m;
	c->batch.rows = c->rows;
	c->batch.pick = c->pick;
	rc = ledger_sqlite.each_row(m->sqlite, &all, on_row, c);
	flush_rows(c);
	if (m->rc == LEDGER_OK)
		m->rc = rc;
	pg_array_fini(&c->batch.arrays);
	free(c);
	return (m->rc == LEDGER_OK);
}

/* ---- the whole ----------------------------------------------------------- */

/* Balances from changes, and numbers go on behind the last. */
static const char finish[] =
    "UPDATE account a SET balance = s.sum, spent = s.spent FROM "
    "(SELECT account, sum(amount) AS sum, coalesce(-sum(amount) FILTER "
    "(WHERE kind = 'charge'), 0) AS spent FROM balance_change "
    "GROUP BY account) AS s WHERE s.account = a.id; "
    "SELECT setval('account_id_seq', max(id)) FROM account; "
    "SELECT setval('access_key_number_seq', max(number)) FROM access_key; "
    "SELECT setval('agent_id_seq', max(id)) FROM agent; "
    "SELECT setval('object_number_seq', max(number)) FROM object; "
    "SELECT setval('suspense_seq_seq', max(seq)) FROM suspense";

static bool
copy_all(struct move *m)
{
	size_t i;

	m->rc = pgconn_script(m->pg->conn,
	    "SET LOCAL idle_in_transaction_session_timeout = 0; "
	    "SET LOCAL statement_timeout = 0; "
	    "UPDATE change_clock SET n = n + 1");
	pgconn_set_patience(m->pg->conn, PG_LONG_PATIENCE_MS);
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (m->rc == LEDGER_OK && !copy_table(m, &tables[i]))
			return (false);
	}
	if (m->rc == LEDGER_OK && copy_rows(m))
		m->rc = pgconn_script(m->pg->conn, finish);
	return (m->rc == LEDGER_OK);
}

struct balances {
	struct move *m;
	struct pg_arrays arrays;
};

static void
compare_some(struct balances *b)
{
	struct pg_args args = {0};
	struct pg_rows *rows;

	if (b->arrays.rows == 0 || b->m->rc != LEDGER_OK)
		return;
	pg_array_args(&b->arrays, &args);
	b->m->rc = pg_run(b->m->pg,
	    "SELECT a.name FROM unnest($1::integer[], $2::numeric[], "
	    "$3::numeric[]) AS t (id, balance, spent) LEFT JOIN account a "
	    "USING (id) WHERE (a.balance, a.spent) IS DISTINCT FROM "
	    "(t.balance, t.spent)",
	    &args, &rows);
	if (b->m->rc == LEDGER_OK && pg_count(rows) > 0) {
		b->m->unequal = true;
		b->m->rc = LEDGER_REFUSED;
	}
	pg_rows_free(rows);
	pg_array_reset(&b->arrays);
}

static void
compare_account(void *arg, const struct ledger_account *a)
{
	struct balances *b = arg;

	pg_array_number(&b->arrays, a->id);
	pg_array_text(&b->arrays, a->balance);
	pg_array_text(&b->arrays, a->spent);
	pg_array_end_row(&b->arrays);
	if (b->arrays.rows == SOME)
		compare_some(b);
}

/* Is each balance what it was? */
static bool
compare_balances(struct move *m)
{
	struct balances b = {.m = m};
	enum ledger_result rc;

	rc = ledger_sqlite.each_account(m->sqlite, compare_account, &b);
	compare_some(&b);
	if (m->rc == LEDGER_OK)
		m->rc = rc;
	pg_array_fini(&b.arrays);
	return (m->rc == LEDGER_OK);
}

static enum ledger_result
note_origin(struct ledger *pg, const char *from_id)
{
	struct pg_args args = {0};

	pg_add_text(&args, from_id);
	return (pg_do(pg,
	    "INSERT INTO meta (name, value) VALUES ('moved_from', $1) "
	    "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	    &args, NULL));
}

enum ledger_result
pg_move_check(struct ledger *pg, const char *from_id)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	pg_add_text(&args, from_id);
	rc = pg_run(pg,
	    "SELECT EXISTS (SELECT 1 FROM account), EXISTS (SELECT 1 FROM meta "
	    "WHERE name = 'moved_from' AND value = $1)",
	    &args, &rows);
	if (rc == LEDGER_OK && pg_bool(rows, 0, 0))
		rc = pg_bool(rows, 0, 1) ? LEDGER_CONFLICT : LEDGER_REFUSED;
	pg_rows_free(rows);
	return (rc);
}

enum ledger_result
pg_move(struct ledger *pg, struct ledger *sqlite, const char *from_id,
    struct ledger_moved *moved,
    bool (*judge)(void *, const struct ledger_audit *), void *arg, char *error,
    size_t cap)
{
	struct move m = {.pg = pg, .sqlite = sqlite, .moved = moved};
	struct ledger_audit audit;
	enum ledger_result rc;
	bool good = true;

	if ((rc = pg_begin(pg)) == LEDGER_OK) {
		if (copy_all(&m) && compare_balances(&m) &&
		    (m.rc = note_origin(pg, from_id)) == LEDGER_OK &&
		    (m.rc = pg_audit(pg, false, &audit)) == LEDGER_OK)
			good = judge(arg, &audit);
		rc = pg_end(pg, good ? m.rc : LEDGER_REFUSED);
	}
	if (m.unequal)
		snprintf(error, cap, "a balance is not what it was");
	else if (rc != LEDGER_OK && good)
		snprintf(error, cap, "store: %s", pgconn_error(pg->conn));
	return (rc);
}

/*
 * Booking in PostgreSQL: a batch of rows by one statement, which locks the
 * accounts in their order, inserts what is not there yet, charges each account
 * once, and tells the new balances to all hubs. Whatever is killed, the same
 * rows may be given again.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/monotime.h"
#include "hubd/ledger/pg_batch.h"

#define TRIES 4 /* of what may go well at once */

/* The accounts are locked before the first row goes in: a row of whoever else
 * books the same is waited for under their lock. */
#define BOOK                                                                \
	"WITH locked AS MATERIALIZED (SELECT id FROM account "              \
	"WHERE id = ANY ($3::integer[]) ORDER BY id FOR NO KEY UPDATE), "   \
	"charge AS MATERIALIZED (SELECT id AS of, "                         \
	"nextval('balance_change_id_seq') AS charge FROM locked), "         \
	"taken AS (INSERT INTO ledger (" PG_ROW_NAMES ", charge) "          \
	"SELECT i.*, c.charge FROM " PG_INPUT "AS i (" PG_ROW_NAMES ") "    \
	"JOIN charge c ON c.of = i.account "                                \
	"WHERE (SELECT count(*) FROM charge) > 0 "                          \
	"ON CONFLICT DO NOTHING RETURNING account, charge, amount), "       \
	"total AS MATERIALIZED (SELECT account, charge, sum(amount) "       \
	"AS amount FROM taken GROUP BY account, charge), "                  \
	"booked AS (INSERT INTO balance_change (id, account, time_ms, "     \
	"kind, amount, ref) SELECT charge, account, $22::bigint, "          \
	"'charge', -amount, '' FROM total), "                               \
	"told AS (UPDATE account a SET balance = a.balance - t.amount, "    \
	"spent = a.spent + t.amount, seq = a.seq + 1 FROM total t "         \
	"WHERE a.id = t.account "                                           \
	"RETURNING a.id, a.seq, a.balance, a.spent), "                      \
	"tell AS (" PG_TELL(                                                \
	    "$23") ") "                                                     \
		   "SELECT (SELECT count(*) FROM taken), (SELECT count(*) " \
		   "FROM tell), " PG_BALANCE_COLUMNS                        \
		   " FROM (SELECT 1) AS one LEFT JOIN told ON true"

/* What has become of each row that was given: is its account there, is the
 * row, and is it the same? */
#define COMPARE                                                             \
	"SELECT i.n, a.id IS NOT NULL, r.id IS NOT NULL, "                  \
	"(i.time_ms, i.account, i.key, i.agent, i.provider, i.dialect, "    \
	"i.endpoint, i.model, i.price, i.tier, i.price_version, i.status, " \
	"i.stream, i.outcome, i.attempts, i.usage, i.amount, i.estimated, " \
	"i.unpriced_kinds, i.duration_ms) = "                               \
	"(r.time_ms, r.account, r.key, r.agent, r.provider, r.dialect, "    \
	"r.endpoint, r.model, r.price, r.tier, r.price_version, r.status, " \
	"r.stream, r.outcome, r.attempts, r.usage, r.amount, r.estimated, " \
	"r.unpriced_kinds, r.duration_ms) FROM " PG_INPUT                   \
	"WITH ORDINALITY AS i (" PG_ROW_NAMES ", n) "                       \
	"LEFT JOIN account a ON a.id = i.account "                          \
	"LEFT JOIN %s r ON r.id = i.id"

/* ---- one statement ------------------------------------------------------- */

static void
tell(struct pg_batch *b, const struct pg_rows *rows, int column)
{
	struct pg_balance balance;
	size_t i;

	for (i = 0; i < pg_count(rows) && b->fn != NULL; i++) {
		pg_balance_read(rows, i, column, &balance);
		if (balance.account != 0)
			b->fn(b->arg, &balance);
	}
}

/* Rows that were there already may have changed balances that nobody here
 * was told of: the connection was lost at the commit. */
static enum ledger_result
tell_again(struct pg_batch *b, const char *accounts)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	if (b->fn == NULL)
		return (LEDGER_OK);
	pg_add_text(&args, accounts);
	rc = pg_run(b->l,
	    "SELECT " PG_BALANCE_COLUMNS " FROM account "
	    "WHERE id = ANY ($1::integer[])",
	    &args, &rows);
	if (rc == LEDGER_OK)
		tell(b, rows, 0);
	pg_rows_free(rows);
	return (rc);
}

/* DOWN: it is not there though its account is, which may have come just now */
static enum ledger_result
judge(const struct pg_rows *rows, size_t i)
{
	if (pg_bool(rows, i, 2))
		return (pg_bool(rows, i, 3) ? LEDGER_OK : LEDGER_CONFLICT);
	return (pg_bool(rows, i, 1) ? LEDGER_DOWN : LEDGER_REFUSED);
}

/* Looks rows up in table ledger, or in that of a month put aside. */
static enum ledger_result
look_up(struct pg_batch *b, size_t from, size_t n, const char *table,
    struct pg_args *args, struct pg_rows **rows)
{
	enum ledger_result rc;
	char *sql;

	pg_batch_fill(b, from, n, args);
	sql = xasprintf(COMPARE, table);
	rc = pgconn_run_once(b->l->conn, sql, args, rows);
	free(sql);
	return (rc);
}

static enum ledger_result
compare(struct pg_batch *b, size_t from, size_t n)
{
	struct pg_args args = {0};
	enum ledger_result rc, one;
	struct pg_rows *rows;
	size_t i, at;

	rc = look_up(b, from, n, "ledger", &args, &rows);
	for (i = 0; rc == LEDGER_OK && i < pg_count(rows); i++) {
		at = (size_t)pg_int(rows, i, 0) - 1;
		one = judge(rows, i);
		b->results[b->pick[from + at]] = one;
		if (one == LEDGER_DOWN)
			rc = LEDGER_DOWN;
	}
	pg_rows_free(rows);
	return (rc == LEDGER_OK ? tell_again(b, args.value[2]) : rc);
}

/* Has a month been put aside since these rows were looked at? */
static bool
is_late(const struct pg_batch *b, size_t from, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (pg_month_is_late(b->l, b->rows[b->pick[from + i]].id))
			return (true);
	}
	return (false);
}

/* Runs it; if it may go well at once, again. A transaction that it is only a
 * part of is another's to repeat. */
static enum ledger_result
run(struct pg_batch *b, size_t from, size_t n, const struct pg_args *args,
    struct pg_rows **rows)
{
	enum ledger_result rc;
	int tries = 0;

	do {
		if (tries > 0) {
			pg_months_forget(b->l);
			if (pg_months_make(b->l, b->rows, b->nrows) !=
				LEDGER_OK ||
			    (!b->late && is_late(b, from, n)))
				return (LEDGER_DOWN);
		}
		rc = pg_run(b->l, BOOK, args, rows);
	} while (rc == LEDGER_DOWN && !b->l->in_transaction &&
		 pgconn_may_retry(b->l->conn) && ++tries < TRIES);
	return (rc);
}

static enum ledger_result
book_some(struct pg_batch *b, size_t from, size_t n)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;
	size_t i, taken = 0;

	pg_batch_fill(b, from, n, &args);
	pg_add_int(&args, walltime_ms());
	pg_add_text(&args, b->l->channel);
	rc = run(b, from, n, &args, &rows);
	if (rc == LEDGER_OK) {
		taken = (size_t)pg_int(rows, 0, 0);
		tell(b, rows, 2);
	}
	pg_rows_free(rows);
	if (rc != LEDGER_OK)
		return (rc);
	if (taken < n)
		return (compare(b, from, n));
	for (i = 0; i < n; i++)
		b->results[b->pick[from + i]] = LEDGER_OK;
	return (LEDGER_OK);
}

static void
refuse_row(struct pg_batch *b, size_t i)
{
	char id[REQ_ID_TEXT];

	req_id_format(b->rows[i].id, id);
	log_warnx("store: row %s is refused: %s", id, pgconn_error(b->l->conn));
	b->results[i] = LEDGER_REFUSED;
}

/* One row that is refused must not hold up the others: they are told apart by
 * halves. */
static enum ledger_result
book_range(struct pg_batch *b, size_t from, size_t n)
{
	enum ledger_result rc;

	if (n == 0)
		return (LEDGER_OK);
	rc = book_some(b, from, n);
	if (rc == LEDGER_OK || rc == LEDGER_DOWN)
		return (rc);
	if (n == 1) {
		refuse_row(b, b->pick[from]);
		return (LEDGER_OK);
	}
	if ((rc = book_range(b, from, n / 2)) != LEDGER_OK)
		return (rc);
	return (book_range(b, from + n / 2, n - n / 2));
}

/* ---- rows with objects --------------------------------------------------- */

static enum ledger_result
book_object_once(struct pg_batch *b, struct ledger_row *r, size_t i)
{
	enum ledger_result rc;
	pg_balance_fn *fn = b->fn;

	if ((rc = pg_begin(b->l)) != LEDGER_OK)
		return (rc);
	b->fn = NULL; /* not before the commit */
	b->pick[0] = i;
	if ((rc = pg_object_before(b->l, r)) == LEDGER_OK)
		rc = book_some(b, 0, 1);
	if (rc == LEDGER_OK && b->results[i] == LEDGER_OK)
		rc = pg_object_after(b->l, r);
	b->fn = fn;
	return (pg_end(b->l, rc));
}

/* A transaction of its own. The row may become one that costs nothing. */
static enum ledger_result
book_object(struct pg_batch *b, size_t i)
{
	struct ledger_row *r = &b->rows[i];
	struct pg_args args = {0};
	enum ledger_result rc;
	int tries = 0;

	do {
		if (tries > 0) {
			pg_months_forget(b->l);
			if (pg_months_make(b->l, r, 1) != LEDGER_OK)
				return (LEDGER_DOWN);
		}
		rc = book_object_once(b, r, i);
	} while (rc == LEDGER_DOWN && pgconn_may_retry(b->l->conn) &&
		 ++tries < TRIES);
	if (rc == LEDGER_DOWN)
		return (rc);
	if (rc != LEDGER_OK) {
		refuse_row(b, i);
		return (LEDGER_OK);
	}
	b->pick[0] = i;
	pg_batch_fill(b, 0, 1, &args);
	return (tell_again(b, args.value[2]));
}

/* ---- rows of months put aside -------------------------------------------- */

/* Is it where its month has been put? MISSING: no. */
static enum ledger_result
look_where_sealed(struct pg_batch *b, size_t i)
{
	const struct ledger_row *r = &b->rows[i];
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;
	struct sealed s;
	char month[16];

	pg_month_of_id(r->id, month);
	if ((rc = pg_sealed_get(b->l, month, &s)) != LEDGER_OK)
		return (rc);
	if (!s.there) /* nobody can say whether it was booked */
		return (LEDGER_REFUSED);
	b->pick[0] = i;
	rc = look_up(b, 0, 1, s.place, &args, &rows);
	if (rc == LEDGER_OK && !pg_bool(rows, 0, 2))
		rc = LEDGER_MISSING;
	else if (rc == LEDGER_OK && !pg_bool(rows, 0, 3))
		rc = LEDGER_CONFLICT;
	pg_rows_free(rows);
	return (rc);
}

/* It has waited for longer than `ledger_keep`: it is booked all the same, into
 * a partition that is put aside in its turn. */
static enum ledger_result
book_late(struct pg_batch *b, size_t i)
{
	enum ledger_result rc = look_where_sealed(b, i);

	if (rc == LEDGER_DOWN)
		return (rc);
	if (rc != LEDGER_MISSING) {
		b->results[i] = rc;
		return (LEDGER_OK);
	}
	if ((rc = pg_month_make_late(b->l, b->rows[i].id)) != LEDGER_OK)
		return (rc);
	b->late = true;
	b->pick[0] = i;
	if (b->rows[i].object.event == OBJECT_UNTOUCHED)
		rc = book_range(b, 0, 1);
	else
		rc = book_object(b, i);
	b->late = false;
	return (rc);
}

/* ---- a batch ------------------------------------------------------------- */

/* Can it be put in words at all? As other stores judge. */
static bool
row_ok(struct pg_batch *b, const struct ledger_row *r)
{
	char usage[USAGE_TEXT_MAX];

	return (usage_write(&r->usage, usage) &&
		amount_parse(b->scratch, r->amount,
		    strnlen(r->amount, sizeof(r->amount))) == 0 &&
		amount_sign(b->scratch) >= 0);
}

/* Those that can go together, then the others one by one. */
static bool
is_plain(const struct pg_batch *b, const struct ledger_row *r)
{
	return (r->object.event == OBJECT_UNTOUCHED &&
		!pg_month_is_late(b->l, r->id));
}

static enum ledger_result
book_one(struct pg_batch *b, size_t i)
{
	return (pg_month_is_late(b->l, b->rows[i].id) ? book_late(b, i)
						      : book_object(b, i));
}

static enum ledger_result
book_all(struct pg_batch *b)
{
	size_t *alone = xcalloc(b->nrows, sizeof(*alone));
	size_t i, nalone = 0;
	enum ledger_result rc;

	rc = pg_months_make(b->l, b->rows, b->nrows);
	for (i = 0; rc == LEDGER_OK && i < b->nrows; i++) {
		if (!row_ok(b, &b->rows[i]))
			b->results[i] = LEDGER_REFUSED;
		else if (is_plain(b, &b->rows[i]))
			b->pick[b->n++] = i;
		else
			alone[nalone++] = i;
	}
	if (rc == LEDGER_OK)
		rc = book_range(b, 0, b->n);
	for (i = 0; i < nalone && rc == LEDGER_OK; i++)
		rc = book_one(b, alone[i]);
	free(alone);
	return (rc);
}

enum ledger_result
pg_book(struct ledger *l, struct ledger_row *rows, size_t n,
    enum ledger_result *results, pg_balance_fn *fn, void *arg)
{
	struct pg_batch b = {.l = l,
	    .rows = rows,
	    .nrows = n,
	    .results = results,
	    .fn = fn,
	    .arg = arg};
	enum ledger_result rc;

	assert(n <= PG_BATCH_MAX);
	if (n == 0)
		return (LEDGER_OK);
	b.pick = xcalloc(n, sizeof(*b.pick));
	b.scratch = amount_new();
	rc = book_all(&b);
	pg_array_fini(&b.arrays);
	amount_free(b.scratch);
	free(b.pick);
	return (rc);
}

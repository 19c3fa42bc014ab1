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
#include "common/monotime.h"
#include "hubd/ledger/pg_private.h"

#define COLUMNS PG_ROW_NCOLUMNS
#define TRIES	4 /* of what may go well at once */

struct batch {
	struct ledger *l;
	struct ledger_row *rows;
	size_t nrows;
	enum ledger_result *results;
	size_t *pick; /* those that are booked together */
	size_t n;
	pg_balance_fn *fn;
	void *arg;
	amount_t *scratch;
	struct buf columns[COLUMNS]; /* arrays, as PostgreSQL reads them */
	int column;
};

/* Rows as they are given: the arguments are an array a column. */
#define INPUT                                                          \
	"unnest($1::uuid[], $2::bigint[], $3::integer[], $4::text[], " \
	"$5::text[], $6::text[], $7::text[], $8::text[], $9::text[], " \
	"$10::text[], $11::text[], $12::bigint[], $13::integer[], "    \
	"$14::boolean[], $15::text[], $16::bigint[], $17::jsonb[], "   \
	"$18::numeric[], $19::text[], $20::boolean[], $21::bigint[]) "
/* The accounts are locked before the first row goes in: a row of whoever else
 * books the same is waited for under their lock. */
#define BOOK                                                                \
	"WITH locked AS MATERIALIZED (SELECT id FROM account "              \
	"WHERE id = ANY ($3::integer[]) ORDER BY id FOR NO KEY UPDATE), "   \
	"charge AS MATERIALIZED (SELECT id AS of, "                         \
	"nextval('balance_change_id_seq') AS charge FROM locked), "         \
	"taken AS (INSERT INTO ledger (" PG_ROW_NAMES ", charge) "          \
	"SELECT i.*, c.charge FROM " INPUT "AS i (" PG_ROW_NAMES ") "       \
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
	"r.unpriced_kinds, r.duration_ms) FROM " INPUT                      \
	"WITH ORDINALITY AS i (" PG_ROW_NAMES ", n) "                       \
	"LEFT JOIN account a ON a.id = i.account "                          \
	"LEFT JOIN ledger r ON r.id = i.id"

/* ---- arrays -------------------------------------------------------------- */

static struct buf *
next_column(struct batch *b)
{
	struct buf *to = &b->columns[b->column++];

	buf_addstr(to, buf_len(to) == 0 ? "{" : ",");
	return (to);
}

static void
add_number(struct batch *b, int64_t v)
{
	buf_addf(next_column(b), "%lld", (long long)v);
}

static void
add_bool(struct batch *b, bool v)
{
	buf_addstr(next_column(b), v ? "t" : "f");
}

static void
add_text(struct batch *b, const char *s)
{
	struct buf *to = next_column(b);

	buf_addstr(to, "\"");
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			buf_add(to, "\\", 1);
		buf_add(to, s, 1);
	}
	buf_addstr(to, "\"");
}

static void
add_row(struct batch *b, const struct ledger_row *r)
{
	char id[REQ_ID_TEXT], usage[USAGE_TEXT_MAX];

	req_id_format(r->id, id);
	if (!usage_write(&r->usage, usage)) /* looked at before */
		abort();
	b->column = 0;
	add_text(b, id);
	add_number(b, r->time_ms);
	add_number(b, r->account);
	add_text(b, r->key);
	add_text(b, r->agent);
	add_text(b, r->provider);
	add_text(b, r->dialect);
	add_text(b, r->endpoint);
	add_text(b, r->model);
	add_text(b, r->price);
	add_text(b, r->tier);
	add_number(b, (int64_t)r->price_version);
	add_number(b, r->status);
	add_bool(b, r->stream);
	add_text(b, r->outcome);
	add_number(b, r->attempts);
	add_text(b, usage);
	add_text(b, r->amount);
	add_text(b, r->estimated);
	add_bool(b, r->unpriced_kinds);
	add_number(b, r->duration_ms);
	assert(b->column == COLUMNS);
}

/* The arguments of rows pick[from] and on; they live in the batch. */
static void
fill(struct batch *b, size_t from, size_t n, struct pg_args *args)
{
	size_t i;

	for (i = 0; i < COLUMNS; i++)
		buf_reset(&b->columns[i], 1 << 20);
	for (i = 0; i < n; i++)
		add_row(b, &b->rows[b->pick[from + i]]);
	args->n = 0;
	for (i = 0; i < COLUMNS; i++) {
		buf_addstr(&b->columns[i], "}");
		pg_add_text(args, buf_cstr(&b->columns[i]));
	}
}

/* ---- one statement ------------------------------------------------------- */

static void
tell(struct batch *b, const struct pg_rows *rows, int column)
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
tell_again(struct batch *b, const char *accounts)
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

static enum ledger_result
compare(struct batch *b, size_t from, size_t n)
{
	struct pg_args args = {0};
	enum ledger_result rc, one;
	struct pg_rows *rows;
	size_t i, at;

	fill(b, from, n, &args);
	rc = pg_run(b->l, COMPARE, &args, &rows);
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

/* Runs it; if it may go well at once, again. A transaction that it is only a
 * part of is another's to repeat. */
static enum ledger_result
run(struct batch *b, const struct pg_args *args, struct pg_rows **rows)
{
	enum ledger_result rc;
	int tries = 0;

	do {
		if (tries > 0) {
			pg_months_forget(b->l);
			if (pg_months_make(b->l, b->rows, b->nrows) !=
			    LEDGER_OK)
				return (LEDGER_DOWN);
		}
		rc = pg_run(b->l, BOOK, args, rows);
	} while (rc == LEDGER_DOWN && !b->l->in_transaction &&
		 pgconn_may_retry(b->l->conn) && ++tries < TRIES);
	return (rc);
}

static enum ledger_result
book_some(struct batch *b, size_t from, size_t n)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;
	size_t i, taken = 0;

	fill(b, from, n, &args);
	pg_add_int(&args, walltime_ms());
	pg_add_text(&args, b->l->channel);
	rc = run(b, &args, &rows);
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

/* One row that is refused must not hold up the others: they are told apart by
 * halves. */
static enum ledger_result
book_range(struct batch *b, size_t from, size_t n)
{
	enum ledger_result rc;

	if (n == 0)
		return (LEDGER_OK);
	rc = book_some(b, from, n);
	if (rc == LEDGER_OK || rc == LEDGER_DOWN)
		return (rc);
	if (n == 1) {
		b->results[b->pick[from]] = LEDGER_REFUSED;
		return (LEDGER_OK);
	}
	if ((rc = book_range(b, from, n / 2)) != LEDGER_OK)
		return (rc);
	return (book_range(b, from + n / 2, n - n / 2));
}

/* ---- rows with objects --------------------------------------------------- */

static enum ledger_result
book_object_once(struct batch *b, struct ledger_row *r, size_t i)
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
book_object(struct batch *b, size_t i)
{
	struct ledger_row *r = &b->rows[i];
	struct pg_args args = {0};
	enum ledger_result rc;
	int tries = 0;

	do {
		if (tries > 0 && (rc = pg_months_make(b->l, r, 1)) != LEDGER_OK)
			return (rc);
		rc = book_object_once(b, r, i);
	} while (rc == LEDGER_DOWN && pgconn_may_retry(b->l->conn) &&
		 ++tries < TRIES);
	if (rc == LEDGER_DOWN)
		return (rc);
	if (rc != LEDGER_OK) {
		b->results[i] = LEDGER_REFUSED;
		return (LEDGER_OK);
	}
	b->pick[0] = i;
	fill(b, 0, 1, &args);
	return (tell_again(b, args.value[2]));
}

/* ---- a batch ------------------------------------------------------------- */

/* Can it be put in words at all? As other stores judge. */
static bool
row_ok(struct batch *b, const struct ledger_row *r)
{
	char usage[USAGE_TEXT_MAX];

	return (usage_write(&r->usage, usage) &&
		amount_parse(b->scratch, r->amount,
		    strnlen(r->amount, sizeof(r->amount))) == 0 &&
		amount_sign(b->scratch) >= 0);
}

static enum ledger_result
book_all(struct batch *b)
{
	enum ledger_result rc;
	size_t i, n = b->nrows;

	if ((rc = pg_months_make(b->l, b->rows, n)) != LEDGER_OK)
		return (rc);
	for (i = 0; i < n; i++) {
		if (!row_ok(b, &b->rows[i]))
			b->results[i] = LEDGER_REFUSED;
		else if (b->rows[i].object.event == OBJECT_UNTOUCHED)
			b->pick[b->n++] = i;
		else
			b->results[i] = LEDGER_DOWN; /* its turn comes */
	}
	rc = book_range(b, 0, b->n);
	for (i = 0; i < n && rc == LEDGER_OK; i++) {
		if (b->rows[i].object.event != OBJECT_UNTOUCHED &&
		    b->results[i] == LEDGER_DOWN)
			rc = book_object(b, i);
	}
	return (rc);
}

enum ledger_result
pg_book(struct ledger *l, struct ledger_row *rows, size_t n,
    enum ledger_result *results, pg_balance_fn *fn, void *arg)
{
	struct batch b = {.l = l,
	    .rows = rows,
	    .nrows = n,
	    .results = results,
	    .fn = fn,
	    .arg = arg};
	enum ledger_result rc;
	size_t i;

	assert(n <= PG_BATCH_MAX);
	if (n == 0)
		return (LEDGER_OK);
	b.pick = xcalloc(n, sizeof(*b.pick));
	b.scratch = amount_new();
	rc = book_all(&b);
	for (i = 0; i < COLUMNS; i++)
		buf_fini(&b.columns[i]);
	amount_free(b.scratch);
	free(b.pick);
	return (rc);
}

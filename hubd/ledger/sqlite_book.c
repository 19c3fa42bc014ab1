/*
 * Booking in SQLite: a batch is one transaction. So many rows that it is worth
 * it are inserted by one statement; where one of them is refused or known,
 * each is booked by itself.
 */
#include "hubd/ledger/ledger_sqlite.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "hubd/ledger/sqlite_months.h"

/* Rows of one statement. Each statement begins, ends and finds its places in
 * the indices anew, which is a third of what a row costs by itself; more at
 * once gain nothing, as fewer batches are whole multiples of it. */
#define TOGETHER   16
#define FOUR(s)	   s ", " s ", " s ", " s
#define SIXTEEN(s) FOUR(FOUR(s))

/* The sum of what one batch charges one account. */
struct account_sum {
	uint32_t account;
	bool broken; /* what is stored of it is no amount */
	amount_t *sum;
};

/* A row at hand, and what it comes to. */
struct entry {
	struct row_texts texts;
	amount_t *amount;
	char charge[AMOUNT_TEXT_MAX];
	struct account_sum *sum;
};

struct batch {
	struct ledger *l;
	struct account_sum *sums;
	size_t nsums;
	size_t fresh; /* rows that were not there */
	size_t nentries;
	struct entry entries[TOGETHER];
};

/* ---- statements ---------------------------------------------------------- */

/* Once the last is gone, nobody looks for one until the next is made. */
static void
look_for_checkpoints(struct ledger *l)
{
	struct query q;

	if (!db_has_checkpoints(l))
		return;
	q = db_query(l, "SELECT 1 FROM checkpoint LIMIT 1");
	if (db_run(&q) == DB_DONE)
		db_set_checkpoints(l, false);
}

static enum db_step
row_delete(struct ledger *l, const char *id)
{
	struct query q = db_query(l, "DELETE FROM ledger WHERE id = ?");

	db_bind_text(&q, id);
	return (db_run(&q));
}

static enum db_step
row_insert(struct ledger *l, const struct ledger_row *r, struct row_texts *t)
{
	struct query q = db_query(
	    l, "INSERT INTO ledger (" ROW_COLUMNS ") VALUES " ROW_VALUES);

	row_bind(&q, r, t);
	return (db_run(&q));
}

static enum db_step
rows_insert(struct batch *b, const struct ledger_row rows[TOGETHER])
{
	struct query q = db_query(b->l,
	    "INSERT INTO ledger (" ROW_COLUMNS ") VALUES " SIXTEEN(ROW_VALUES));
	size_t i;

	for (i = 0; i < TOGETHER; i++)
		row_bind(&q, &rows[i], &b->entries[i].texts);
	return (db_run(&q));
}

static enum db_step
charges_insert(struct batch *b, const struct ledger_row rows[TOGETHER])
{
	struct query q = db_query(b->l,
	    "INSERT INTO balance_change (account, time_ms, kind, amount, ref) "
	    "VALUES " SIXTEEN("(?, ?, 'charge', ?, ?)"));
	size_t i;

	for (i = 0; i < TOGETHER; i++) {
		db_bind_int(&q, rows[i].account);
		db_bind_int(&q, rows[i].time_ms);
		db_bind_text(&q, b->entries[i].charge);
		db_bind_text(&q, b->entries[i].texts.id);
	}
	return (db_run(&q));
}

/* ---- entries ------------------------------------------------------------- */

/* NULL: the store is away. */
static struct account_sum *
sum_of(struct batch *b, uint32_t account)
{
	struct account_sum *s;
	enum ledger_result rc;
	size_t i;

	for (i = 0; i < b->nsums; i++) {
		if (b->sums[i].account == account)
			return (&b->sums[i]);
	}
	if ((rc = account_check(b->l, account)) == LEDGER_DOWN)
		return (NULL);
	s = &b->sums[b->nsums++];
	*s = (struct account_sum){account, rc != LEDGER_OK, amount_new()};
	return (s);
}

/* There is a byte for the sign, as amount_format() left one. */
static void
charge_text(struct entry *e)
{
	const char *cost = e->texts.amount;
	bool zero = cost[0] == '0' && cost[1] == '\0';

	e->charge[0] = '-';
	str_copy(e->charge + !zero, sizeof(e->charge) - !zero, cost);
}

/* Its row and its charge are in. */
static enum ledger_result
entry_booked(struct batch *b, struct entry *e)
{
	amount_sub(e->sum->sum, e->amount);
	b->fresh++;
	return (db_result(checkpoint_forget(b->l, e->texts.id)));
}

/* ---- one by one ---------------------------------------------------------- */

/* A row of that id is there: equal or not? */
static enum ledger_result
settle_existing(
    struct batch *b, const struct ledger_row *r, struct row_texts *t)
{
	switch (row_compare(b->l, r, t)) {
	case DB_ROW:
		return (db_result(checkpoint_forget(b->l, t->id)));
	case DB_DONE:
		return (LEDGER_CONFLICT);
	case DB_UNIQUE:
	case DB_FOREIGN:
	case DB_REFUSED:
	case DB_DOWN:
		break;
	}
	return (LEDGER_DOWN);
}

static enum ledger_result
unbook(struct batch *b, const char *id)
{
	return (row_delete(b->l, id) == DB_DONE ? LEDGER_REFUSED : LEDGER_DOWN);
}

static enum db_step
charge_insert(struct batch *b, const struct ledger_row *r, struct entry *e)
{
	if (db_is_spool(b->l))
		return (spool_keep_object(b->l, r, e->texts.id));
	charge_text(e);
	return (change_insert(b->l, r->account, r->time_ms, CHANGE_CHARGE,
	    e->charge, e->texts.id));
}

/* Row and charge; a row whose charge is refused does not stay either. One
 * account that is broken must not hold up all others. */
static enum ledger_result
book_new(struct batch *b, const struct ledger_row *r, struct entry *e)
{
	enum db_step step;

	if ((e->sum = sum_of(b, r->account)) == NULL)
		return (LEDGER_DOWN);
	if (e->sum->broken)
		return (unbook(b, e->texts.id));
	step = charge_insert(b, r, e);
	if (step == DB_DOWN)
		return (LEDGER_DOWN);
	if (step != DB_DONE) {
		db_say_refused(b->l, e->texts.id);
		return (unbook(b, e->texts.id));
	}
	if (object_after(b->l, r) != LEDGER_OK)
		return (LEDGER_DOWN);
	return (entry_booked(b, e));
}

static enum ledger_result
book_here(struct batch *b, const struct ledger_row *r, struct entry *e)
{
	switch (row_insert(b->l, r, &e->texts)) {
	case DB_DONE:
		return (book_new(b, r, e));
	case DB_UNIQUE:
		return (settle_existing(b, r, &e->texts));
	case DB_FOREIGN:
	case DB_REFUSED:
		db_say_refused(b->l, e->texts.id);
		return (LEDGER_REFUSED);
	case DB_ROW:
	case DB_DOWN:
		break;
	}
	return (LEDGER_DOWN);
}

/* A row of long ago may be in the file of a sealed month; where that is not
 * here, nobody can say, and it is not booked a second time. */
static enum ledger_result
book_one(struct batch *b, struct ledger_row *r)
{
	struct entry *e = &b->entries[0];

	if (object_before(b->l, r) != LEDGER_OK)
		return (LEDGER_DOWN);
	if (!row_texts_make(r, e->amount, &e->texts))
		return (LEDGER_REFUSED);
	switch (months_find(b->l, r, &e->texts)) {
	case DB_DONE:
		return (book_here(b, r, e));
	case DB_ROW:
		return (db_result(checkpoint_forget(b->l, e->texts.id)));
	case DB_UNIQUE:
		return (LEDGER_CONFLICT);
	case DB_REFUSED:
		return (LEDGER_REFUSED);
	case DB_FOREIGN:
	case DB_DOWN:
		break;
	}
	return (LEDGER_DOWN);
}

static enum ledger_result
book_singly(struct batch *b, struct ledger_row *rows, size_t n,
    enum ledger_result *results)
{
	size_t i;

	for (i = 0; i < n; i++) {
		results[i] = book_one(b, &rows[i]);
		if (results[i] == LEDGER_DOWN)
			return (LEDGER_DOWN);
	}
	return (LEDGER_OK);
}

/* ---- together ------------------------------------------------------------ */

/* false: a row that only book_one() can judge, or do all of. */
static bool
prepare(struct batch *b, const struct ledger_row *r, struct entry *e)
{
	if (r->object.event != OBJECT_UNTOUCHED ||
	    !row_texts_make(r, e->amount, &e->texts) ||
	    months_find(b->l, r, &e->texts) != DB_DONE)
		return (false);
	charge_text(e);
	e->sum = sum_of(b, r->account);
	return (e->sum != NULL && !e->sum->broken);
}

/* Neither DB_DONE nor DB_DOWN: none of them is in, as one of them cannot be;
 * SQLite undoes a statement that fails. */
static enum db_step
insert_all(struct batch *b, const struct ledger_row rows[TOGETHER])
{
	enum db_step step = rows_insert(b, rows), undone = DB_DONE;
	size_t i;

	if (step != DB_DONE || db_is_spool(b->l))
		return (step);
	step = charges_insert(b, rows);
	if (step == DB_DONE || step == DB_DOWN)
		return (step);
	for (i = 0; i < TOGETHER && undone == DB_DONE; i++)
		undone = row_delete(b->l, b->entries[i].texts.id);
	return (undone == DB_DONE ? step : DB_DOWN);
}

static enum ledger_result
book_together(struct batch *b, struct ledger_row rows[TOGETHER],
    enum ledger_result *results)
{
	enum db_step step;
	size_t i;

	for (i = 0; i < TOGETHER; i++)
		if (!prepare(b, &rows[i], &b->entries[i]))
			return (book_singly(b, rows, TOGETHER, results));
	step = insert_all(b, rows);
	if (step == DB_DOWN)
		return (LEDGER_DOWN);
	if (step != DB_DONE)
		return (book_singly(b, rows, TOGETHER, results));
	for (i = 0; i < TOGETHER; i++) {
		results[i] = entry_booked(b, &b->entries[i]);
		if (results[i] != LEDGER_OK)
			return (LEDGER_DOWN);
	}
	return (LEDGER_OK);
}

/* ---- batches ------------------------------------------------------------- */

static enum ledger_result
charge_account(struct batch *b, const struct account_sum *s)
{
	enum ledger_result rc = account_apply(b->l, s->account, s->sum, true);

	if (rc == LEDGER_OK && db_is_spool(b->l))
		rc = spool_owe(b->l, s->account, s->sum);
	return (rc);
}

static enum ledger_result
book_all(struct batch *b, struct ledger_row *rows, size_t n,
    enum ledger_result *results)
{
	enum ledger_result rc = LEDGER_OK;
	size_t i;

	for (i = 0; i + TOGETHER <= n && rc == LEDGER_OK; i += TOGETHER)
		rc = book_together(b, &rows[i], &results[i]);
	if (rc == LEDGER_OK)
		rc = book_singly(b, &rows[i], n - i, &results[i]);
	if (rc != LEDGER_OK)
		return (rc);
	for (i = 0; i < b->nsums; i++) {
		if (!b->sums[i].broken &&
		    charge_account(b, &b->sums[i]) != LEDGER_OK)
			return (LEDGER_DOWN);
	}
	return (LEDGER_OK);
}

/* Entries are not cleared, nor made for rows that are few: small batches would
 * feel it. */
static void
batch_init(struct batch *b, struct ledger *l, size_t n)
{
	size_t i;

	b->l = l;
	b->sums = xcalloc(n + 1, sizeof(*b->sums));
	b->nsums = b->fresh = 0;
	b->nentries = n < TOGETHER ? 1 : TOGETHER;
	for (i = 0; i < b->nentries; i++)
		b->entries[i].amount = amount_new();
}

static void
batch_fini(struct batch *b)
{
	size_t i;

	for (i = 0; i < b->nsums; i++)
		amount_free(b->sums[i].sum);
	for (i = 0; i < b->nentries; i++)
		amount_free(b->entries[i].amount);
	free(b->sums);
}

enum ledger_result
sqlite_book(struct ledger *l, struct ledger_row *rows, size_t n,
    enum ledger_result *results)
{
	struct batch b;
	enum ledger_result rc;

	if (db_begin(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	batch_init(&b, l, n);
	rc = book_all(&b, rows, n, results);
	if (rc == LEDGER_OK && FAILPOINT("billing.in_transaction"))
		rc = LEDGER_DOWN;
	if (rc == LEDGER_OK)
		rc = db_commit(l);
	else
		db_rollback(l);
	if (rc == LEDGER_OK) {
		look_for_checkpoints(l);
		*db_waiting(l) += b.fresh;
	}
	batch_fini(&b);
	return (rc);
}

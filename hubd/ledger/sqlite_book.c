/* Booking in SQLite: a batch is one transaction. */
#include "hubd/ledger/ledger_sqlite.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "hubd/ledger/sqlite_months.h"

/* The sum of what one batch charges one account. */
struct account_sum {
	uint32_t account;
	bool broken; /* what is stored of it is no amount */
	amount_t *sum;
};

struct batch {
	struct ledger *l;
	struct account_sum *sums;
	size_t nsums;
	size_t fresh;	  /* rows that were not there */
	amount_t *amount; /* of the row at hand */
};

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

/* A charge is what its row costs, and negative: there is a byte for the sign,
 * as row_texts_make() has formatted an amount without one. */
static void
charge_text(const struct row_texts *t, char out[AMOUNT_TEXT_MAX])
{
	bool zero = t->amount[0] == '0' && t->amount[1] == '\0';

	out[0] = '-';
	str_copy(out + !zero, AMOUNT_TEXT_MAX - !zero, t->amount);
}

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

/* Row and charge; a row whose charge is refused does not stay either. One
 * account that is broken must not hold up all others. */
static enum ledger_result
book_new(struct batch *b, const struct ledger_row *r, struct row_texts *t)
{
	struct account_sum *s = sum_of(b, r->account);
	char charge[AMOUNT_TEXT_MAX];
	enum db_step step;

	if (s == NULL)
		return (LEDGER_DOWN);
	if (s->broken)
		return (unbook(b, t->id));
	charge_text(t, charge);
	if (db_is_spool(b->l))
		step = spool_keep_object(b->l, r, t->id);
	else
		step = change_insert(
		    b->l, r->account, r->time_ms, CHANGE_CHARGE, charge, t->id);
	if (step == DB_DOWN)
		return (LEDGER_DOWN);
	if (step != DB_DONE) {
		db_say_refused(b->l, t->id);
		return (unbook(b, t->id));
	}
	amount_sub(s->sum, b->amount);
	b->fresh++;
	if (object_after(b->l, r) != LEDGER_OK)
		return (LEDGER_DOWN);
	return (db_result(checkpoint_forget(b->l, t->id)));
}

static enum ledger_result
book_here(struct batch *b, const struct ledger_row *r, struct row_texts *t)
{
	switch (row_insert(b->l, r, t)) {
	case DB_DONE:
		return (book_new(b, r, t));
	case DB_UNIQUE:
		return (settle_existing(b, r, t));
	case DB_FOREIGN:
	case DB_REFUSED:
		db_say_refused(b->l, t->id);
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
	struct row_texts t;

	if (object_before(b->l, r) != LEDGER_OK)
		return (LEDGER_DOWN);
	if (!row_texts_make(r, b->amount, &t))
		return (LEDGER_REFUSED);
	switch (months_find(b->l, r, &t)) {
	case DB_DONE:
		return (book_here(b, r, &t));
	case DB_ROW:
		return (db_result(checkpoint_forget(b->l, t.id)));
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
	size_t i;

	for (i = 0; i < n; i++) {
		results[i] = book_one(b, &rows[i]);
		if (results[i] == LEDGER_DOWN)
			return (LEDGER_DOWN);
	}
	for (i = 0; i < b->nsums; i++) {
		if (!b->sums[i].broken &&
		    charge_account(b, &b->sums[i]) != LEDGER_OK)
			return (LEDGER_DOWN);
	}
	return (LEDGER_OK);
}

enum ledger_result
sqlite_book(struct ledger *l, struct ledger_row *rows, size_t n,
    enum ledger_result *results)
{
	struct batch b = {.l = l};
	enum ledger_result rc;
	size_t i;

	if (db_begin(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	b.sums = xcalloc(n + 1, sizeof(*b.sums));
	b.amount = amount_new();
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
	for (i = 0; i < b.nsums; i++)
		amount_free(b.sums[i].sum);
	amount_free(b.amount);
	free(b.sums);
	return (rc);
}

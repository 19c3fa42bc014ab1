/* Ledger rows in SQLite: booking, checkpoints. */
#include "hubd/ledger/ledger_sqlite.h"

#include <stdlib.h>
#include <string.h>

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

/* ---- a row and its columns ----------------------------------------------- */

bool
row_texts_make(
    const struct ledger_row *r, amount_t *scratch, struct row_texts *t)
{
	size_t n = strnlen(r->amount, sizeof(r->amount));

	req_id_format(r->id, t->id);
	return (usage_write(&r->usage, t->usage) &&
		amount_parse(scratch, r->amount, n) == 0 &&
		amount_sign(scratch) >= 0 &&
		amount_format(scratch, t->amount) == 0);
}

void
row_bind(struct query *q, const struct ledger_row *r, struct row_texts *t)
{
	db_bind_text(q, t->id);
	db_bind_int(q, r->time_ms);
	db_bind_int(q, r->account);
	db_bind_text(q, r->key);
	db_bind_text(q, r->agent);
	db_bind_text(q, r->provider);
	db_bind_text(q, r->dialect);
	db_bind_text(q, r->endpoint);
	db_bind_text(q, r->model);
	db_bind_text(q, r->price);
	db_bind_text(q, r->tier);
	db_bind_int(q, (int64_t)r->price_version);
	db_bind_int(q, r->status);
	db_bind_int(q, r->stream);
	db_bind_text(q, r->outcome);
	db_bind_int(q, r->attempts);
	db_bind_text(q, t->usage);
	db_bind_text(q, t->amount);
	db_bind_text(q, r->estimated);
	db_bind_int(q, r->unpriced_kinds);
	db_bind_int(q, r->duration_ms);
}

void
row_read(struct query *q, struct ledger_row *r)
{
	char id[REQ_ID_TEXT], usage[USAGE_TEXT_MAX];

	memset(r, 0, sizeof(*r));
	db_text(q, id, sizeof(id));
	req_id_parse(id, &r->id);
	r->time_ms = db_int(q);
	r->account = (uint32_t)db_int(q);
	db_text(q, r->key, sizeof(r->key));
	db_text(q, r->agent, sizeof(r->agent));
	db_text(q, r->provider, sizeof(r->provider));
	db_text(q, r->dialect, sizeof(r->dialect));
	db_text(q, r->endpoint, sizeof(r->endpoint));
	db_text(q, r->model, sizeof(r->model));
	db_text(q, r->price, sizeof(r->price));
	db_text(q, r->tier, sizeof(r->tier));
	r->price_version = (uint64_t)db_int(q);
	r->status = (int)db_int(q);
	r->stream = db_int(q) != 0;
	db_text(q, r->outcome, sizeof(r->outcome));
	r->attempts = (unsigned)db_int(q);
	db_text(q, usage, sizeof(usage));
	usage_read(usage, &r->usage);
	db_text(q, r->amount, sizeof(r->amount));
	db_text(q, r->estimated, sizeof(r->estimated));
	r->unpriced_kinds = db_int(q) != 0;
	r->duration_ms = db_int(q);
}

/* ---- booking ------------------------------------------------------------- */

enum db_step
checkpoint_forget(struct ledger *l, const char *id)
{
	struct query q;

	if (!db_has_checkpoints(l))
		return (DB_DONE);
	q = db_query(l, "DELETE FROM checkpoint WHERE id = ?");
	db_bind_text(&q, id);
	return (db_run(&q));
}

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

enum db_step
row_compare(struct ledger *l, const struct ledger_row *r, struct row_texts *t)
{
	struct query q = db_query(
	    l, "SELECT 1 FROM ledger WHERE (" ROW_COLUMNS ") = " ROW_VALUES);

	row_bind(&q, r, t);
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
	amount_neg(b->amount);
	if (s->broken || amount_format(b->amount, charge) == -1)
		return (unbook(b, t->id));
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
	amount_add(s->sum, b->amount);
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

/* ---- checkpoints --------------------------------------------------------- */

static enum db_step
checkpoint_one(struct ledger *l, const struct ledger_row *r, amount_t *scratch)
{
	struct query q =
	    db_query(l, "INSERT OR REPLACE INTO checkpoint (" ROW_COLUMNS
			") VALUES " ROW_VALUES);
	struct row_texts t;

	if (!row_texts_make(r, scratch, &t))
		return (DB_REFUSED);
	row_bind(&q, r, &t);
	return (db_run(&q));
}

/* A row that the store refuses is left out: its call is still open, and
 * is booked or suspended when it ends. */
enum ledger_result
sqlite_checkpoint(struct ledger *l, const struct ledger_row *rows, size_t n)
{
	amount_t *scratch;
	enum db_step step = DB_DONE;
	size_t i;

	if (db_begin(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	db_set_checkpoints(l, true);
	scratch = amount_new();
	for (i = 0; i < n && step != DB_DOWN; i++)
		step = checkpoint_one(l, &rows[i], scratch);
	amount_free(scratch);
	if (step != DB_DOWN)
		return (db_commit(l));
	db_rollback(l);
	return (LEDGER_DOWN);
}

enum ledger_result
sqlite_each_checkpoint(
    struct ledger *l, void (*fn)(void *, const struct ledger_row *), void *arg)
{
	struct query q =
	    db_query(l, "SELECT " ROW_COLUMNS " FROM checkpoint ORDER BY id");
	struct ledger_row r;
	enum db_step step;

	while ((step = db_step(&q)) == DB_ROW) {
		row_read(&q, &r);
		fn(arg, &r);
	}
	db_end(&q);
	return (db_result(step));
}

/* Ledger rows in SQLite: their columns, and checkpoints. */
#include "hubd/ledger/ledger_sqlite.h"

#include <string.h>

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

enum db_step
row_compare(struct ledger *l, const struct ledger_row *r, struct row_texts *t)
{
	struct query q = db_query(
	    l, "SELECT 1 FROM ledger WHERE (" ROW_COLUMNS ") = " ROW_VALUES);

	row_bind(&q, r, t);
	return (db_run(&q));
}

/* ---- checkpoints --------------------------------------------------------- */

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

/*
 * Taking a month's rows and charges out of the store (REMOVE), while what they
 * sum up to comes into table sealed_sum.
 */
#include <inttypes.h>
#include <string.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/ledger/sqlite_seal_private.h"

#define REMOVE_ROWS 50 /* of one step */

/* The one row that it must be; else nothing may be removed. */
static enum ledger_result
delete_one(
    struct ledger *l, const struct seal *s, struct query *q, const char *id)
{
	enum db_step step;

	db_bind_text(q, id);
	step = db_run(q);
	if (step != DB_DONE)
		return (LEDGER_DOWN);
	if (db_changes(l) != 1)
		return (seal_refuse(s, id, "it has gone from the store"));
	return (LEDGER_OK);
}

/* What the month's rows of that account sum up to, as far as they have gone.
 * OK, or MISSING: none has. */
static enum ledger_result
read_sum(struct ledger *l, const struct seal *s, uint32_t account,
    char amount[AMOUNT_TEXT_MAX])
{
	struct query q = db_query(
	    l, "SELECT amount FROM sealed_sum WHERE month = ? AND account = ?");
	enum db_step step;

	db_bind_text(&q, s->month.name);
	db_bind_int(&q, account);
	step = db_step(&q);
	if (step == DB_ROW)
		db_text(&q, amount, AMOUNT_TEXT_MAX);
	db_end(&q);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

/* The row's amount, which is in scratch, has gone. */
static enum ledger_result
add_sum(struct ledger *l, struct seal *s, uint32_t account)
{
	char text[AMOUNT_TEXT_MAX] = "0";
	enum ledger_result rc;
	struct query q;

	rc = read_sum(l, s, account, text);
	if ((rc != LEDGER_OK && rc != LEDGER_MISSING) ||
	    amount_parse(s->charge, text, strlen(text)) == -1)
		return (LEDGER_DOWN);
	amount_add(s->charge, s->scratch);
	if (amount_format(s->charge, text) == -1)
		return (seal_refuse(s, NULL, "its sum is too large"));
	q = db_query(l,
	    "INSERT INTO sealed_sum (month, account, rows, amount) "
	    "VALUES (?, ?, 1, ?) ON CONFLICT (month, account) DO UPDATE "
	    "SET rows = rows + 1, amount = excluded.amount");
	db_bind_text(&q, s->month.name);
	db_bind_int(&q, account);
	db_bind_text(&q, text);
	return (db_result(db_run(&q)));
}

static enum ledger_result
remove_row(struct ledger *l, struct seal *s, struct charged *c)
{
	struct query row = db_query(l, "DELETE FROM ledger WHERE id = ?");
	struct query charge = db_query(
	    l, "DELETE FROM balance_change WHERE kind = 'charge' AND ref = ?");
	enum ledger_result rc;

	if ((rc = delete_one(l, s, &row, c->texts.id)) == LEDGER_OK &&
	    (rc = delete_one(l, s, &charge, c->texts.id)) == LEDGER_OK)
		rc = add_sum(l, s, c->row.account);
	return (rc);
}

static enum ledger_result
note_gone(struct ledger *l, const struct seal *s, bool all)
{
	struct query q = db_query(l,
	    "UPDATE sealed_month SET gone_ms = ?, gone_id = ?, gone_all = ? "
	    "WHERE month = ?");

	db_bind_int(&q, s->at.ms);
	db_bind_text(&q, s->at.id);
	db_bind_int(&q, all);
	db_bind_text(&q, s->month.name);
	return (db_result(db_run(&q)));
}

/* *all: there is nothing left to remove. */
static enum ledger_result
remove_slice(struct ledger *l, struct seal *s, bool *all)
{
	struct place before = s->at;
	enum ledger_result rc;
	int n;

	/* What power loss undoes of this comes again. */
	db_set_sync(l, false);
	if (db_begin(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	rc = seal_each_copy(l, s, REMOVE_ROWS, remove_row, &n);
	*all = n < REMOVE_ROWS;
	if (rc == LEDGER_OK)
		rc = note_gone(l, s, *all);
	(void)FAILPOINT("seal.removing");
	if (rc == LEDGER_OK)
		rc = db_commit(l);
	else
		db_rollback(l);
	if (rc != LEDGER_OK)
		s->at = before;
	return (rc);
}

enum ledger_result
seal_step_remove(struct ledger *l, struct seal *s)
{
	enum ledger_result rc;
	bool all = false;

	rc = remove_slice(l, s, &all);
	db_set_sync(l, true);
	if (rc != LEDGER_OK)
		return (rc);
	(void)FAILPOINT("seal.removed");
	if (!all)
		return (LEDGER_OK);
	log_info("ledger: month %s is sealed: %" PRIu64 " rows", s->month.name,
	    s->month.rows);
	seal_free(s);
	db_months(l)->seal = NULL;
	return (LEDGER_OK);
}

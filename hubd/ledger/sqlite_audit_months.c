/*
 * The audit of sealed months. A balance is the sum of the changes that are in
 * the store less what has gone from it, which table sealed_sum records; what
 * the files have must add up to the same. A file that is not here is no error
 * in arithmetic: its recorded sums stand for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hubd/ledger/sqlite_audit.h"
#include "hubd/ledger/sqlite_months.h"

/* ---- a month's file ------------------------------------------------------ */

static void
add_row(struct audit *a, const struct ledger_row *r)
{
	struct tally *t = audit_tally(a, r->account);

	if (t == NULL || !audit_amount(a->scratch, r->amount))
		return; /* audit_each() has found it bad, or the sums will */
	amount_add(t->sealed, a->scratch);
	t->nsealed++;
}

/* Rows that have not gone are in the store still, and counted there. */
static enum ledger_result
add_file(struct audit *a, struct ledger *file, const struct month *m)
{
	struct query q =
	    db_query(file, "SELECT " ROW_COLUMNS ", charge FROM ledger "
			   "WHERE ? OR (time_ms, id) <= (?, ?)");

	db_bind_int(&q, m->gone_all);
	db_bind_int(&q, m->gone_ms);
	db_bind_text(&q, m->gone_id);
	return (audit_each(a, &q, add_row));
}

/* ---- what is recorded ---------------------------------------------------- */

/* What has gone of an account, as recorded. */
static void
add_recorded(struct audit *a, struct tally *t, const char *text)
{
	audit_amount(a->scratch, text);
	amount_sub(t->balance, a->scratch);
	amount_add(t->charges, a->scratch);
	amount_add(a->charges_sum, a->scratch);
}

/* What a month's file has of an account was compared, and is done with. */
static void
judge_file(struct audit *a, const struct month *m, struct tally *t, bool same)
{
	if (!same) {
		a->out->bad_rows++;
		audit_bad(a->out, "sealed month %s, account %s", m->name,
		    t->account.name);
	}
	amount_zero(t->sealed);
	t->nsealed = 0;
}

/* Of a month whose file is here: is that what is in it? Else it stands for
 * the rows. */
static void
compare_recorded(struct audit *a, const struct month *m, bool here,
    struct tally *t, uint64_t rows, const char *text)
{
	if (!here) {
		audit_amount(a->scratch, text);
		amount_add(a->ledger_sum, a->scratch);
		a->out->rows += rows;
		return;
	}
	judge_file(
	    a, m, t, rows == t->nsealed && audit_equals(a, text, t->sealed));
}

static enum ledger_result
add_sums(struct audit *a, const struct month *m, bool here)
{
	struct query q = db_query(a->l,
	    "SELECT account, rows, amount FROM sealed_sum WHERE month = ?");
	char text[AMOUNT_TEXT_MAX];
	enum db_step step;
	struct tally *t;
	uint64_t rows;

	db_bind_text(&q, m->name);
	while ((step = db_step(&q)) == DB_ROW) {
		t = audit_tally(a, (uint32_t)db_int(&q));
		rows = (uint64_t)db_int(&q);
		db_text(&q, text, sizeof(text));
		if (t == NULL)
			continue; /* no such account: references forbid it */
		add_recorded(a, t, text);
		compare_recorded(a, m, here, t, rows, text);
	}
	db_end(&q);
	return (db_result(step));
}

/* Accounts that the file has and the record has not. */
static void
judge_rest(struct audit *a, const struct month *m)
{
	size_t i;

	for (i = 0; i < a->n; i++) {
		struct tally *t = &a->tallies[i];

		if (t->nsealed > 0)
			judge_file(a, m, t, false);
	}
}

/* ---- months -------------------------------------------------------------- */

static enum ledger_result
audit_month(struct audit *a, const struct month *m)
{
	struct ledger *file = month_file(a->l, m);
	enum ledger_result rc = LEDGER_OK;

	a->out->sealed++;
	if (file != NULL)
		rc = add_file(a, file, m);
	else if (a->out->absent++ == 0)
		memcpy(a->out->first_absent, m->name, sizeof(m->name));
	if (rc == LEDGER_OK)
		rc = add_sums(a, m, file != NULL);
	judge_rest(a, m);
	return (rc);
}

enum ledger_result
audit_months(struct audit *a)
{
	enum ledger_result rc;
	struct month *months;
	size_t i, n;

	rc = months_list(a->l, INT64_MIN, INT64_MAX, &months, &n);
	for (i = 0; i < n && rc == LEDGER_OK; i++)
		rc = audit_month(a, &months[i]);
	free(months);
	return (rc);
}

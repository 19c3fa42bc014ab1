/*
 * The audit of the PostgreSQL store. NUMERIC is exact, so sums are made where
 * the rows are; what does not agree comes here.
 */
#include <stdio.h>
#include <string.h>

#include "hubd/ledger/pg_private.h"
#include "hubd/ledger/recompute.h"

struct audit {
	struct ledger *l;
	struct ledger_audit *out;
	struct recompute recompute;
};

/* ---- counts and sums ----------------------------------------------------- */

/* Runs a query over rows that no sealed sum has, in the place of %s. */
static enum ledger_result
over_live(struct audit *a, const char *format, struct buf *sql)
{
	struct buf live = {0};
	enum ledger_result rc;

	if ((rc = pg_months_live(a->l, &live)) == LEDGER_OK)
		buf_addf(sql, format, buf_cstr(&live));
	buf_fini(&live);
	return (rc);
}

static void
read_sums(struct ledger_audit *out, const struct pg_rows *rows)
{
	out->rows = (uint64_t)pg_int(rows, 0, 0);
	pg_copy(rows, 0, 1, out->ledger_sum, sizeof(out->ledger_sum));
	out->changes = (uint64_t)pg_int(rows, 0, 2);
	pg_copy(rows, 0, 3, out->charges_sum, sizeof(out->charges_sum));
	out->accounts = (uint64_t)pg_int(rows, 0, 4);
	out->suspense = (uint64_t)pg_int(rows, 0, 5);
}

/* What sealed months add is what was noted of them. */
#define SUMS                                                             \
	"SELECT r.n + s.n, trim_scale(r.sum + s.sum), c.n, "             \
	"trim_scale(c.sum), a.n, u.n FROM "                              \
	"(SELECT count(*) AS n, coalesce(sum(amount), 0) AS sum "        \
	"FROM %s AS live) AS r, "                                        \
	"(SELECT coalesce(sum(rows), 0) AS n, coalesce(sum(amount), 0) " \
	"AS sum FROM sealed_sum) AS s, "                                 \
	"(SELECT count(*) AS n, coalesce(-sum(amount) FILTER "           \
	"(WHERE kind = 'charge'), 0) AS sum FROM balance_change) AS c, " \
	"(SELECT count(*) AS n FROM account) AS a, "                     \
	"(SELECT count(*) AS n FROM suspense WHERE how = '') AS u"

static enum ledger_result
sum_up(struct audit *a)
{
	struct buf sql = {0};
	enum ledger_result rc;
	struct pg_rows *rows = NULL;

	if ((rc = over_live(a, SUMS, &sql)) == LEDGER_OK)
		rc = pgconn_run_once(a->l->conn, buf_cstr(&sql), NULL, &rows);
	if (rc == LEDGER_OK)
		read_sums(a->out, rows);
	pg_rows_free(rows);
	buf_fini(&sql);
	return (rc);
}

/* ---- balances ------------------------------------------------------------ */

static bool
on_bad_account(void *arg, const struct pg_rows *rows, size_t row)
{
	struct audit *a = arg;

	a->out->bad_accounts++;
	audit_bad(a->out, "account %s", pg_text(rows, row, 0));
	return (true);
}

static enum ledger_result
audit_balances(struct audit *a)
{
	return (pg_each(a->l,
	    "SELECT a.name FROM account a LEFT JOIN (SELECT account, "
	    "sum(amount) AS sum, -sum(amount) FILTER (WHERE kind = 'charge') "
	    "AS charges FROM balance_change GROUP BY account) AS c "
	    "ON c.account = a.id WHERE a.balance <> coalesce(c.sum, 0) OR "
	    "a.spent <> coalesce(c.charges, 0) ORDER BY a.id",
	    NULL, on_bad_account, a));
}

/* ---- rows and charges ---------------------------------------------------- */

static bool
on_bad_charge(void *arg, const struct pg_rows *rows, size_t row)
{
	struct audit *a = arg;

	a->out->bad_rows++;
	audit_bad(a->out, "charge %s", pg_text(rows, row, 0));
	return (true);
}

/* A charge is the sum of its rows, all of its account, those of sealed months
 * as noted in it. */
#define BAD_CHARGES                                                         \
	"SELECT DISTINCT coalesce(c.id, r.charge) FROM "                    \
	"(SELECT charge, account, sum(amount) AS sum FROM %s AS live "      \
	"GROUP BY charge, account) AS r FULL JOIN "                         \
	"(SELECT id, account, amount, sealed, rows_sealed "                 \
	"FROM balance_change WHERE kind = 'charge') AS c "                  \
	"ON c.id = r.charge AND c.account = r.account "                     \
	"WHERE c.id IS NULL OR coalesce(r.sum, 0) + c.sealed <> -c.amount " \
	"OR (r.charge IS NULL AND c.rows_sealed = 0)"

static enum ledger_result
audit_charges(struct audit *a)
{
	struct buf sql = {0};
	enum ledger_result rc;

	if ((rc = over_live(a, BAD_CHARGES, &sql)) == LEDGER_OK)
		rc = pg_each(a->l, buf_cstr(&sql), NULL, on_bad_charge, a);
	buf_fini(&sql);
	return (rc);
}

/* ---- each row ------------------------------------------------------------ */

static bool
on_row(void *arg, const struct pg_rows *rows, size_t i)
{
	struct audit *a = arg;
	struct ledger_row r;

	pg_row_read(rows, i, &r);
	return (audit_verdict(a->out, &r, recompute_row(&a->recompute, &r)));
}

static enum ledger_result
audit_rows(struct audit *a)
{
	struct buf sql = {0};
	enum ledger_result rc;

	buf_addstr(&sql, "SELECT " PG_ROW_COLUMNS " FROM ");
	if ((rc = pg_months_source(a->l, &sql)) == LEDGER_OK) {
		buf_addstr(&sql, " AS r");
		rc = pg_each(a->l, buf_cstr(&sql), NULL, on_row, a);
	}
	buf_fini(&sql);
	return (rc);
}

/* ---- sealed months ------------------------------------------------------- */

/* What is there of a month that was put aside must be what was. */
static bool
on_sealed(void *arg, const struct sealed *s)
{
	struct audit *a = arg;
	bool same;

	a->out->sealed++;
	if (!s->there) {
		if (a->out->absent++ == 0)
			snprintf(a->out->first_absent,
			    sizeof(a->out->first_absent), "%.7s", s->month);
		return (true);
	}
	if (!s->noted_all)
		return (true); /* what is not noted yet was looked at */
	if (pg_sealed_same(a->l, s, &same) != LEDGER_OK)
		return (false);
	if (!same) {
		a->out->bad_rows++;
		audit_bad(a->out, "month %s", s->month);
	}
	return (true);
}

static enum ledger_result
audit_all(struct audit *a, bool full)
{
	enum ledger_result rc;

	if ((rc = sum_up(a)) == LEDGER_OK &&
	    (rc = audit_balances(a)) == LEDGER_OK &&
	    (rc = audit_charges(a)) == LEDGER_OK &&
	    (rc = pg_each_sealed(a->l, on_sealed, a)) == LEDGER_OK && full)
		rc = audit_rows(a);
	return (rc);
}

enum ledger_result
pg_audit(struct ledger *l, bool full, struct ledger_audit *out)
{
	struct audit a = {.l = l, .out = out};
	bool own = !l->in_transaction;
	enum ledger_result rc;

	memset(out, 0, sizeof(*out));
	/* All of it from one state of the store. */
	if (own && (rc = pg_begin_reading(l)) != LEDGER_OK)
		return (rc);
	pgconn_set_patience(l->conn, PG_LONG_PATIENCE_MS);
	recompute_init(&a.recompute, &ledger_pg, l);
	rc = audit_all(&a, full);
	recompute_fini(&a.recompute);
	if (own)
		rc = pg_end(l, rc);
	return (rc);
}

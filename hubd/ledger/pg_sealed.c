/*
 * Months of the ledger that are put aside in PostgreSQL: a partition becomes
 * a table of its own in another schema, with its sums noted, so that the books
 * stay proven when an operator drops it.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/monotime.h"
#include "hubd/ledger/pg_private.h"

/* A store in schema x has its months in x_sealed; one in public, in
 * hubd_sealed. */
#define SEALED_SCHEMA                                             \
	"CASE current_schema() WHEN 'public' THEN 'hubd_sealed' " \
	"ELSE current_schema() || '_sealed' END"

#define SEALED_COLUMNS                                                 \
	"SELECT month, place, to_regclass(place) IS NOT NULL, noted, " \
	"noted_all FROM sealed_month "
#define STEP_ROWS "20000" /* whose sums are noted at a time */
#define NO_ID	  "00000000-0000-0000-0000-000000000000"

/* ---- reading ------------------------------------------------------------- */

static void
read_sealed(const struct pg_rows *rows, size_t row, struct sealed *s)
{
	pg_copy(rows, row, 0, s->month, sizeof(s->month));
	pg_copy(rows, row, 1, s->place, sizeof(s->place));
	s->there = pg_bool(rows, row, 2);
	pg_copy(rows, row, 3, s->noted, sizeof(s->noted));
	s->noted_all = pg_bool(rows, row, 4);
}

enum ledger_result
pg_each_sealed(
    struct ledger *l, bool (*fn)(void *, const struct sealed *), void *arg)
{
	enum ledger_result rc;
	struct pg_rows *rows;
	struct sealed s;
	size_t i;

	rc = pg_run(
	    l, SEALED_COLUMNS "ORDER BY length(month), month", NULL, &rows);
	for (i = 0; rc == LEDGER_OK && i < pg_count(rows); i++) {
		read_sealed(rows, i, &s);
		if (!fn(arg, &s))
			rc = LEDGER_DOWN;
	}
	pg_rows_free(rows);
	return (rc);
}

enum ledger_result
pg_sealed_get(struct ledger *l, const char *month, struct sealed *s)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	pg_add_text(&args, month);
	rc = pg_find(l, SEALED_COLUMNS "WHERE month = $1", &args, &rows);
	if (rc == LEDGER_OK)
		read_sealed(rows, 0, s);
	pg_rows_free(rows);
	return (rc);
}

static bool
add_source(void *arg, const struct sealed *s)
{
	struct buf *sql = arg;

	if (s->there)
		buf_addf(sql, " UNION ALL SELECT " PG_ROW_NAMES " FROM %s",
		    s->place);
	return (true);
}

/* Appends a select of the ledger and what add() appends of sealed months. */
static enum ledger_result
put_source(struct ledger *l, struct buf *sql, const char *columns,
    bool (*add)(void *, const struct sealed *))
{
	enum ledger_result rc;

	buf_addf(sql, "(SELECT %s FROM ledger", columns);
	rc = pg_each_sealed(l, add, sql);
	buf_addstr(sql, ")");
	return (rc);
}

enum ledger_result
pg_months_source(struct ledger *l, struct buf *sql)
{
	return (put_source(l, sql, PG_ROW_NAMES, add_source));
}

static bool
add_live(void *arg, const struct sealed *s)
{
	struct buf *sql = arg;

	if (s->there && !s->noted_all)
		buf_addf(sql,
		    " UNION ALL SELECT " PG_ROW_NAMES
		    ", charge FROM %s WHERE id > '%s'",
		    s->place, s->noted);
	return (true);
}

enum ledger_result
pg_months_live(struct ledger *l, struct buf *sql)
{
	return (put_source(l, sql, PG_ROW_NAMES ", charge", add_live));
}

enum ledger_result
pg_sealed_same(struct ledger *l, const struct sealed *s, bool *same)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;
	char *sql;

	sql = xasprintf("SELECT 1 FROM (SELECT account, count(*) AS n, "
			"sum(amount) AS sum FROM %s GROUP BY account) AS t "
			"FULL JOIN (SELECT account, rows, amount "
			"FROM sealed_sum WHERE month = $1) AS s "
			"USING (account) WHERE t.n IS DISTINCT FROM s.rows "
			"OR t.sum IS DISTINCT FROM s.amount LIMIT 1",
	    s->place);
	pg_add_text(&args, s->month);
	rc = pgconn_run_once(l->conn, sql, &args, &rows);
	if (rc == LEDGER_OK)
		*same = pg_count(rows) == 0;
	pg_rows_free(rows);
	free(sql);
	return (rc);
}

/* ---- sealing ------------------------------------------------------------- */

struct ending {
	char part[32];	/* "ledger_2026_01" */
	char month[16]; /* "2026-01" */
	char place[160], schema[80];
	bool again; /* rows that came late: the month has a table already */
};

/* Runs a statement with the month's names put in. */
static enum ledger_result
run_text(struct ledger *l, char *sql)
{
	enum ledger_result rc = pgconn_run_once(l->conn, sql, NULL, NULL);

	free(sql);
	return (rc);
}

/* The oldest partition that ended at or before that time. Rows that came late
 * for a month whose table has been dropped stay where they are. */
static enum ledger_result
find_ended(struct ledger *l, int64_t ended_ms, struct ending *e, bool *found)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;
	char before[16];

	pg_month_text(ended_ms, before);
	pg_add_text(&args, before);
	rc = pg_run(l,
	    "SELECT p.part, p.month, quote_ident(" SEALED_SCHEMA "), "
	    "quote_ident(" SEALED_SCHEMA ") || '.' || quote_ident(p.part), "
	    "s.month IS NOT NULL FROM "
	    "(SELECT c.relname AS part, replace(substr(c.relname, 8), '_', "
	    "'-') AS month FROM pg_inherits i JOIN pg_class c "
	    "ON c.oid = i.inhrelid WHERE i.inhparent = 'ledger'::regclass AND "
	    "c.relname ~ '^ledger_[0-9]+_[0-9][0-9]$') AS p "
	    "LEFT JOIN sealed_month s USING (month) "
	    "WHERE (length(p.month), p.month) < (length($1::text), $1::text) "
	    "AND (s.month IS NULL OR to_regclass(s.place) IS NOT NULL) "
	    "ORDER BY length(p.month), p.month LIMIT 1",
	    &args, &rows);
	*found = rc == LEDGER_OK && pg_count(rows) > 0;
	if (*found) {
		pg_copy(rows, 0, 0, e->part, sizeof(e->part));
		pg_copy(rows, 0, 1, e->month, sizeof(e->month));
		pg_copy(rows, 0, 2, e->schema, sizeof(e->schema));
		pg_copy(rows, 0, 3, e->place, sizeof(e->place));
		e->again = pg_bool(rows, 0, 4);
	}
	pg_rows_free(rows);
	return (rc);
}

/* Adds what rows sum up to, to their charges and to the month. rows: a table,
 * with or without a condition. */
static enum ledger_result
add_sums(struct ledger *l, const char *month, const char *rows)
{
	enum ledger_result rc;

	rc = run_text(l,
	    xasprintf("UPDATE balance_change c SET sealed = c.sealed + s.sum, "
		      "rows_sealed = c.rows_sealed + s.n FROM (SELECT charge, "
		      "count(*) AS n, sum(amount) AS sum FROM %s "
		      "GROUP BY charge) AS s WHERE c.id = s.charge",
		rows));
	if (rc != LEDGER_OK)
		return (rc);
	return (run_text(l,
	    xasprintf("INSERT INTO sealed_sum (month, account, rows, amount) "
		      "SELECT '%s', account, count(*), sum(amount) FROM %s "
		      "GROUP BY account ON CONFLICT (month, account) DO UPDATE "
		      "SET rows = sealed_sum.rows + excluded.rows, "
		      "amount = sealed_sum.amount + excluded.amount",
		month, rows)));
}

/* The id up to which the next step goes; "" is the end. */
static enum ledger_result
step_end(struct ledger *l, const struct sealed *s, char out[REQ_ID_TEXT])
{
	enum ledger_result rc;
	struct pg_rows *rows;
	char *sql;

	sql = xasprintf("SELECT id FROM %s WHERE id > '%s' ORDER BY id LIMIT 1 "
			"OFFSET " STEP_ROWS,
	    s->place, s->noted);
	rc = pgconn_run_once(l->conn, sql, NULL, &rows);
	out[0] = '\0';
	if (rc == LEDGER_OK && pg_count(rows) > 0)
		pg_copy(rows, 0, 0, out, REQ_ID_TEXT);
	pg_rows_free(rows);
	free(sql);
	return (rc);
}

/* The sums of some more rows of a month that lies aside already. */
static enum ledger_result
note_some(struct ledger *l, const struct sealed *s)
{
	char end[REQ_ID_TEXT], *rows;
	struct pg_args args = {0};
	enum ledger_result rc;

	if ((rc = step_end(l, s, end)) != LEDGER_OK)
		return (rc);
	rows = xasprintf("%s WHERE id > '%s'%s%s%s", s->place, s->noted,
	    end[0] != '\0' ? " AND id <= '" : "", end,
	    end[0] != '\0' ? "'" : "");
	rc = add_sums(l, s->month, rows);
	free(rows);
	if (rc != LEDGER_OK)
		return (rc);
	pg_add_text(&args, s->month);
	pg_add_text(&args, end[0] != '\0' ? end : s->noted);
	pg_add_bool(&args, end[0] == '\0');
	return (pg_do(l,
	    "UPDATE sealed_month SET noted = $2, noted_all = $3 "
	    "WHERE month = $1",
	    &args, NULL));
}

/* Rows that came late go to where their month is; there are few. */
static enum ledger_result
put_late_aside(struct ledger *l, const struct ending *e)
{
	enum ledger_result rc;

	rc = add_sums(l, e->month, e->part);
	if (rc == LEDGER_OK)
		rc = run_text(
		    l, xasprintf("INSERT INTO %s (" PG_ROW_NAMES ", charge) "
				 "SELECT " PG_ROW_NAMES ", charge FROM %s",
			   e->place, e->part));
	if (rc == LEDGER_OK)
		rc = run_text(l, xasprintf("DROP TABLE %s", e->part));
	return (rc);
}

static enum ledger_result
put_aside(struct ledger *l, const struct ending *e)
{
	struct pg_args args = {0};
	enum ledger_result rc;

	rc =
	    run_text(l, xasprintf("CREATE SCHEMA IF NOT EXISTS %s", e->schema));
	if (rc == LEDGER_OK)
		rc = run_text(
		    l, xasprintf(
			   "ALTER TABLE ledger DETACH PARTITION %s", e->part));
	if (rc != LEDGER_OK)
		return (rc);
	if (e->again)
		return (put_late_aside(l, e));
	rc = run_text(
	    l, xasprintf("ALTER TABLE %s SET SCHEMA %s", e->part, e->schema));
	if (rc != LEDGER_OK)
		return (rc);
	pg_add_text(&args, e->month);
	pg_add_text(&args, e->place);
	pg_add_int(&args, walltime_ms());
	return (pg_do(l,
	    "INSERT INTO sealed_month (month, place, sealed_ms, noted, "
	    "noted_all) VALUES ($1, $2, $3, '" NO_ID "', false)",
	    &args, NULL));
}

struct unnoted {
	struct sealed month;
	bool found;
};

static bool
find_unnoted(void *arg, const struct sealed *s)
{
	struct unnoted *u = arg;

	if (!u->found && s->there && !s->noted_all) {
		u->month = *s;
		u->found = true;
	}
	return (true);
}

static enum ledger_result
seal_step(struct ledger *l, int64_t ended_ms, bool *more)
{
	struct unnoted u = {.found = false};
	enum ledger_result rc;
	struct ending e;

	/* As hubd_month() does: one at a time; and not before open bookings
	 * end, but no booking is to wait long behind this either. */
	rc = pgconn_script(l->conn,
	    "SELECT pg_advisory_xact_lock('ledger'::regclass::oid::bigint); "
	    "SET LOCAL lock_timeout = '2s'");
	if (rc == LEDGER_OK)
		rc = pg_each_sealed(l, find_unnoted, &u);
	*more = rc == LEDGER_OK && u.found;
	if (*more)
		return (note_some(l, &u.month));
	if (rc == LEDGER_OK)
		rc = find_ended(l, ended_ms, &e, more);
	if (*more && (rc = put_aside(l, &e)) == LEDGER_OK)
		log_info("store: month %s is in %s now", e.month, e.place);
	return (rc);
}

/* The store is there all the same: what may not be made, and a lock that was
 * not to be had. */
static enum ledger_result
why_not(const struct ledger *l, enum ledger_result rc)
{
	const char *state = pgconn_sqlstate(l->conn);

	log_warnx("store: no month is put aside: %s", pgconn_error(l->conn));
	if (rc != LEDGER_DOWN)
		return (LEDGER_REFUSED);
	if (!pgconn_is_open(l->conn))
		return (rc);
	if (strcmp(state, "55P03") == 0)
		return (LEDGER_OK);
	return (strncmp(state, "42", 2) == 0 ? LEDGER_REFUSED : rc);
}

enum ledger_result
pg_seal(struct ledger *l, int64_t ended_ms, bool *more)
{
	enum ledger_result rc;

	*more = false;
	if ((rc = pg_begin(l)) != LEDGER_OK)
		return (rc);
	rc = pg_end(l, seal_step(l, ended_ms, more));
	pg_months_forget(l);
	if (rc == LEDGER_OK)
		return (rc);
	*more = false;
	return (why_not(l, rc));
}

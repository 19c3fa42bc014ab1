/*
 * Writing a month's file (COPY) and comparing it with the store, row by row
 * (CHECK).
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/ledger/sqlite_seal_private.h"

#define COPY_ROWS 100 /* of one step */
#define NOT_GOOD  "see hubctl audit"

#define CHARGED_COLUMNS ROW_COLUMNS ", charge"
#define CHARGED_VALUES                                                     \
	"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " \
	"?)"
#define BEHIND                                          \
	"WHERE (time_ms, id) > (?, ?) AND time_ms < ? " \
	"ORDER BY time_ms, id LIMIT ?"

/* ---- rows ---------------------------------------------------------------- */

static void
move_on(struct seal *s, const struct charged *c)
{
	s->at.ms = c->row.time_ms;
	memcpy(s->at.id, c->texts.id, sizeof(s->at.id));
	s->rows++;
}

/* The next rows of a walk; limit of them. */
static struct query
walk(struct ledger *l, const char *sql, const struct seal *s, int limit)
{
	struct query q = db_query(l, sql);

	db_bind_int(&q, s->at.ms);
	db_bind_text(&q, s->at.id);
	db_bind_int(&q, s->month.end_ms);
	db_bind_int(&q, limit);
	return (q);
}

/* false: the row is none that could have been booked. */
static bool
charged_read(struct seal *s, struct query *q, struct charged *c)
{
	row_read(q, &c->row);
	db_text(q, c->charge, sizeof(c->charge));
	return (row_texts_make(&c->row, s->scratch, &c->texts));
}

/* Hands the rows of a walk to fn, as seal_each_copy() does; broken: what is
 * said of one that is none. Ends the query. */
static enum ledger_result
each_row(struct ledger *l, struct seal *s, struct query *q, const char *broken,
    seal_row_fn *fn, int *n)
{
	enum ledger_result rc = LEDGER_OK;
	enum db_step step = DB_DONE;
	struct charged c;

	*n = 0;
	while (rc == LEDGER_OK && (step = db_step(q)) == DB_ROW) {
		if (!charged_read(s, q, &c))
			rc = seal_refuse(s, c.texts.id, broken);
		else
			rc = fn(l, s, &c);
		if (rc == LEDGER_OK)
			move_on(s, &c);
		++*n;
	}
	db_end(q);
	return (rc == LEDGER_OK ? db_result(step) : rc);
}

enum ledger_result
seal_each_copy(
    struct ledger *l, struct seal *s, int most, seal_row_fn *fn, int *n)
{
	struct query q = walk(
	    s->file, "SELECT " CHARGED_COLUMNS " FROM ledger " BEHIND, s, most);

	return (each_row(l, s, &q, "its copy is broken", fn, n));
}

/* ---- COPY ---------------------------------------------------------------- */

/* Is the charge what the row costs? The amount is in scratch. */
static bool
is_charged(struct seal *s, const struct charged *c)
{
	if (amount_parse(s->charge, c->charge, strlen(c->charge)) == -1)
		return (false);
	amount_neg(s->charge);
	return (amount_cmp(s->charge, s->scratch) == 0);
}

static enum ledger_result
copy_row(struct ledger *l, struct seal *s, struct charged *c)
{
	struct query q = db_query(s->file,
	    "INSERT INTO ledger (" CHARGED_COLUMNS ") VALUES " CHARGED_VALUES);

	if (!is_charged(s, c))
		return (seal_refuse(s, c->texts.id, NOT_GOOD));
	row_bind(&q, &c->row, &c->texts);
	db_bind_text(&q, c->charge);
	return (db_run(&q) == DB_DONE ? LEDGER_OK : LEDGER_DOWN);
}

/* *n: rows of this slice. */
static enum ledger_result
copy_rows(struct ledger *l, struct seal *s, int *n)
{
	struct query q = walk(l,
	    "SELECT " ROW_COLUMNS ", coalesce((SELECT amount "
	    "FROM balance_change c WHERE c.kind = 'charge' AND c.ref = "
	    "ledger.id AND c.account = ledger.account), '') "
	    "FROM ledger " BEHIND,
	    s, COPY_ROWS);

	return (each_row(l, s, &q, NOT_GOOD, copy_row, n));
}

enum ledger_result
seal_step_copy(struct ledger *l, struct seal *s)
{
	enum ledger_result rc;
	int n;

	if (db_begin(s->file) != LEDGER_OK)
		return (LEDGER_DOWN);
	rc = copy_rows(l, s, &n);
	if (rc != LEDGER_OK)
		return (rc); /* there is no way back in this file: it goes */
	if (db_commit(s->file) != LEDGER_OK)
		return (LEDGER_DOWN);
	/* On its way to the disk; nobody waits for it here. */
	(void)sync_file_range(s->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	(void)FAILPOINT("seal.copied");
	if (n < COPY_ROWS) {
		s->month.rows = s->rows;
		seal_enter(s, SEAL_CHECK);
	}
	return (LEDGER_OK);
}

/* ---- CHECK --------------------------------------------------------------- */

static enum ledger_result
check_row(struct ledger *l, struct seal *s, struct charged *c)
{
	struct query q = db_query(l,
	    "SELECT 1 FROM balance_change WHERE kind = 'charge' AND "
	    "ref = ? AND account = ? AND amount = ?");
	enum db_step step;

	db_bind_text(&q, c->texts.id);
	db_bind_int(&q, c->row.account);
	db_bind_text(&q, c->charge);
	step = db_run(&q);
	if (step == DB_ROW)
		step = row_compare(l, &c->row, &c->texts);
	if (step == DB_DONE)
		return (seal_refuse(s, c->texts.id, "its copy differs"));
	return (db_result(step));
}

enum ledger_result
seal_step_check(struct ledger *l, struct seal *s)
{
	enum ledger_result rc;
	int n;

	rc = seal_each_copy(l, s, COPY_ROWS, check_row, &n);
	if (rc != LEDGER_OK || n == COPY_ROWS)
		return (rc);
	if (s->rows != s->month.rows)
		return (seal_refuse(s, NULL, "rows are missing in the copy"));
	if (fsync(s->fd) == -1) {
		log_warn("ledger: month %s", s->month.name);
		return (LEDGER_DOWN);
	}
	(void)FAILPOINT("seal.checked");
	seal_enter(s, SEAL_NOTE);
	return (LEDGER_OK);
}

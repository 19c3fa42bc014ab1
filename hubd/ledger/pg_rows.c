/* Ledger rows in PostgreSQL: reading and listing. */
#include <stdio.h>
#include <string.h>

#include "hubd/ledger/pg_private.h"

void
pg_row_read(const struct pg_rows *rows, size_t i, struct ledger_row *r)
{
	int c = 0;

	memset(r, 0, sizeof(*r));
	req_id_parse(pg_text(rows, i, c++), &r->id);
	r->time_ms = pg_int(rows, i, c++);
	r->account = (uint32_t)pg_int(rows, i, c++);
	pg_copy(rows, i, c++, r->key, sizeof(r->key));
	pg_copy(rows, i, c++, r->agent, sizeof(r->agent));
	pg_copy(rows, i, c++, r->provider, sizeof(r->provider));
	pg_copy(rows, i, c++, r->dialect, sizeof(r->dialect));
	pg_copy(rows, i, c++, r->endpoint, sizeof(r->endpoint));
	pg_copy(rows, i, c++, r->model, sizeof(r->model));
	pg_copy(rows, i, c++, r->price, sizeof(r->price));
	pg_copy(rows, i, c++, r->tier, sizeof(r->tier));
	r->price_version = (uint64_t)pg_int(rows, i, c++);
	r->status = (int)pg_int(rows, i, c++);
	r->stream = pg_bool(rows, i, c++);
	pg_copy(rows, i, c++, r->outcome, sizeof(r->outcome));
	r->attempts = (unsigned)pg_int(rows, i, c++);
	usage_read(pg_text(rows, i, c++), &r->usage);
	pg_copy(rows, i, c++, r->amount, sizeof(r->amount));
	pg_copy(rows, i, c++, r->estimated, sizeof(r->estimated));
	r->unpriced_kinds = pg_bool(rows, i, c++);
	r->duration_ms = pg_int(rows, i, c);
}

struct row_sink {
	void (*fn)(void *, const struct ledger_row *);
	void *arg;
	uint64_t n;
	int64_t last_ms; /* time of the last one */
};

static bool
on_row(void *arg, const struct pg_rows *rows, size_t i)
{
	struct row_sink *to = arg;
	struct ledger_row r;

	pg_row_read(rows, i, &r);
	pg_copy(
	    rows, i, PG_ROW_NCOLUMNS, r.account_name, sizeof(r.account_name));
	to->fn(to->arg, &r);
	to->n++;
	to->last_ms = r.time_ms;
	return (true);
}

static enum ledger_result
list(struct ledger *l, const struct ledger_filter *f, struct row_sink *to)
{
	const char *way = f->oldest_first ? "" : " DESC";
	struct pg_args args = {0};
	struct buf sql = {0};
	enum ledger_result rc;

	buf_addstr(&sql, "SELECT " PG_ROW_COLUMNS ", a.name FROM ");
	if ((rc = pg_months_source(l, &sql)) != LEDGER_OK) {
		buf_fini(&sql);
		return (rc);
	}
	buf_addf(&sql, " AS r JOIN account a ON a.id = r.account "
		       "WHERE r.time_ms >= $1 AND r.time_ms < $2 ");
	if (f->account != 0)
		buf_addf(&sql, "AND r.account = %u ", f->account);
	buf_addf(&sql, "ORDER BY r.time_ms%s, r.id%s LIMIT $3", way, way);
	pg_add_int(&args, f->since_ms == 0 ? INT64_MIN : f->since_ms);
	pg_add_int(&args, f->until_ms == 0 ? INT64_MAX : f->until_ms);
	if (f->limit == 0)
		pg_add_text(&args, NULL);
	else
		pg_add_int(&args, f->limit);
	rc = pg_each(l, buf_cstr(&sql), &args, on_row, to);
	buf_fini(&sql);
	return (rc);
}

/* MISSING: a month has been dropped that had rows to list. What a limit has
 * kept out is not wanted. */
static enum ledger_result
look_for_absent(struct ledger *l, const struct ledger_filter *f,
    const struct row_sink *listed)
{
	int64_t since = f->since_ms, until = f->until_ms;
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	if (f->limit != 0 && listed->n == f->limit) {
		if (f->oldest_first)
			until = listed->last_ms + 1;
		else
			since = listed->last_ms;
	}
	pg_add_int(&args, since);
	pg_add_int(&args, until);
	pg_add_int(&args, f->account);
	rc = pg_run(l,
	    "SELECT 1 FROM sealed_month m JOIN sealed_sum s USING (month) "
	    "WHERE to_regclass(m.place) IS NULL AND "
	    "(s.account = $3 OR $3::bigint = 0) AND "
	    "($1::bigint = 0 OR (to_date(month, 'YYYY-MM') + "
	    "interval '1 month')::date - date '1970-01-01' > "
	    "$1::bigint / 86400000) AND "
	    "($2::bigint = 0 OR to_date(month, 'YYYY-MM') - "
	    "date '1970-01-01' <= ($2::bigint - 1) / 86400000) LIMIT 1",
	    &args, &rows);
	if (rc == LEDGER_OK && pg_count(rows) > 0)
		rc = LEDGER_MISSING;
	pg_rows_free(rows);
	return (rc);
}

enum ledger_result
pg_each_row(struct ledger *l, const struct ledger_filter *f,
    void (*fn)(void *, const struct ledger_row *), void *arg)
{
	struct row_sink to = {.fn = fn, .arg = arg};
	enum ledger_result rc;

	if ((rc = pg_begin_reading(l)) != LEDGER_OK)
		return (rc);
	if ((rc = list(l, f, &to)) == LEDGER_OK)
		rc = look_for_absent(l, f, &to);
	return (pg_end(l, rc));
}

/*
 * The months of the ledger in PostgreSQL: a partition each. Ids begin with
 * milliseconds (UUIDv7, RFC 9562 5.7), so a month is a range of ids.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common/monotime.h"
#include "hubd/ledger/pg_private.h"

#define DAY_MS	 (24 * 3600 * INT64_C(1000))
#define PART_MAX 32 /* "ledger_2026_01" */

/* Months since the year 0. 48 bits of milliseconds end in the year 10889. */
static int32_t
month_of(int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	return ((tm.tm_year + 1900) * 12 + tm.tm_mon);
}

/* The least id of a month. */
static void
first_id(int32_t month, char out[REQ_ID_TEXT])
{
	struct tm tm = {
	    .tm_year = month / 12 - 1900, .tm_mon = month % 12, .tm_mday = 1};
	uint64_t ms = (uint64_t)timegm(&tm) * 1000;

	if (ms >> 48 != 0) /* the month behind the last that there is */
		snprintf(
		    out, REQ_ID_TEXT, "ffffffff-ffff-ffff-ffff-ffffffffffff");
	else
		snprintf(out, REQ_ID_TEXT,
		    "%08" PRIx64 "-%04" PRIx64 "-0000-0000-000000000000",
		    ms >> 16, ms & 0xffff);
}

static void
part_name(int32_t month, char out[PART_MAX])
{
	snprintf(out, PART_MAX, "ledger_%04d_%02d", month / 12, month % 12 + 1);
}

void
pg_month_text(int64_t ms, char out[16])
{
	int32_t month = month_of(ms);

	snprintf(out, 16, "%04d-%02d", month / 12, month % 12 + 1);
}

void
pg_month_of_id(req_id_t id, char out[16])
{
	pg_month_text(req_id_ms(id), out);
}

/* ---- making them --------------------------------------------------------- */

void
pg_months_forget(struct ledger *l)
{
	l->nmonths = l->next_month = 0;
	l->months_known = false;
}

/* Months are put aside in their order. */
static enum ledger_result
look_for_sealed(struct ledger *l)
{
	enum ledger_result rc;
	struct pg_rows *rows;
	int year, month;

	if (l->months_known)
		return (LEDGER_OK);
	rc = pg_run(l,
	    "SELECT month FROM sealed_month "
	    "ORDER BY length(month) DESC, month DESC LIMIT 1",
	    NULL, &rows);
	l->sealed_until = 0;
	if (rc == LEDGER_OK && pg_count(rows) > 0 &&
	    sscanf(pg_text(rows, 0, 0), "%d-%d", &year, &month) == 2)
		l->sealed_until = year * 12 + month - 1;
	l->months_known = rc == LEDGER_OK;
	pg_rows_free(rows);
	return (rc);
}

static enum ledger_result
month_make(struct ledger *l, int32_t month)
{
	char part[PART_MAX], low[REQ_ID_TEXT], high[REQ_ID_TEXT];
	struct pg_args args = {0};
	unsigned i;

	for (i = 0; i < l->nmonths; i++) {
		if (l->months[i] == month)
			return (LEDGER_OK);
	}
	part_name(month, part);
	first_id(month, low);
	first_id(month + 1, high);
	pg_add_text(&args, part);
	pg_add_text(&args, low);
	pg_add_text(&args, high);
	if (pg_do(l, "SELECT hubd_month($1, $2, $3)", &args, NULL) != LEDGER_OK)
		return (LEDGER_DOWN);
	l->months[l->next_month++ % PG_MONTHS_KEPT] = month;
	if (l->nmonths < PG_MONTHS_KEPT)
		l->nmonths++;
	return (LEDGER_OK);
}

bool
pg_month_is_late(const struct ledger *l, req_id_t id)
{
	return (month_of(req_id_ms(id)) <= l->sealed_until);
}

enum ledger_result
pg_month_make_late(struct ledger *l, req_id_t id)
{
	return (month_make(l, month_of(req_id_ms(id))));
}

enum ledger_result
pg_months_make(struct ledger *l, const struct ledger_row *rows, size_t n)
{
	int64_t now = walltime_ms();
	enum ledger_result rc;
	size_t i;

	/* the next one, ahead of its first row */
	if ((rc = look_for_sealed(l)) == LEDGER_OK &&
	    (rc = month_make(l, month_of(now))) == LEDGER_OK)
		rc = month_make(l, month_of(now + 28 * DAY_MS));
	for (i = 0; i < n && rc == LEDGER_OK; i++) {
		if (!pg_month_is_late(l, rows[i].id))
			rc = month_make(l, month_of(req_id_ms(rows[i].id)));
	}
	return (rc);
}

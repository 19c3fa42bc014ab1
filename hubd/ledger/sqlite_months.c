/* Months of a SQLite store that are in files of their own: finding them. */
#include "hubd/ledger/sqlite_months.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/log.h"

/* ---- the calendar -------------------------------------------------------- */

bool
month_of(int64_t ms, struct month *m)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	memset(m, 0, sizeof(*m));
	if (ms < 0 || gmtime_r(&seconds, &tm) == NULL ||
	    tm.tm_year + 1900 > 9999)
		return (false);
	strftime(m->name, sizeof(m->name), "%Y-%m", &tm);
	tm = (struct tm){
	    .tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = 1};
	m->begin_ms = (int64_t)timegm(&tm) * 1000;
	tm.tm_mon++;
	m->end_ms = (int64_t)timegm(&tm) * 1000;
	return (true);
}

static bool
month_parse(const char *name, struct month *m)
{
	struct tm tm = {.tm_mday = 1};
	int year, month;

	if (sscanf(name, "%4d-%2d", &year, &month) != 2 || year < 1970 ||
	    month < 1 || month > 12)
		return (false);
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	return (month_of((int64_t)timegm(&tm) * 1000, m));
}

void
month_path(const struct month *m, bool fresh, char out[MONTH_PATH_MAX])
{
	snprintf(out, MONTH_PATH_MAX, "ledger-%s.db%s", m->name,
	    fresh ? ".new" : "");
}

/* ---- which there are ----------------------------------------------------- */

/* false: it is named like no month. */
static bool
month_read(struct query *q, struct month *m)
{
	char name[MONTH_NAME_MAX];
	bool good;

	db_text(q, name, sizeof(name));
	good = month_parse(name, m);
	m->rows = (uint64_t)db_int(q);
	m->gone_ms = db_int(q);
	db_text(q, m->gone_id, sizeof(m->gone_id));
	m->gone_all = db_int(q) != 0;
	return (good);
}

enum ledger_result
months_list(struct ledger *l, int64_t since_ms, int64_t until_ms,
    struct month **list, size_t *n)
{
	struct query q =
	    db_query(l, "SELECT month, rows, gone_ms, gone_id, gone_all "
			"FROM sealed_month ORDER BY month");
	size_t room = 0;
	struct month m;
	enum db_step step;

	*list = NULL;
	*n = 0;
	while ((step = db_step(&q)) == DB_ROW) {
		if (!month_read(&q, &m) || m.end_ms <= since_ms ||
		    m.begin_ms >= until_ms)
			continue;
		if (*n == room) {
			room = room == 0 ? 16 : 2 * room;
			*list = xrealloc(*list, room * sizeof(**list));
		}
		(*list)[(*n)++] = m;
	}
	db_end(&q);
	return (db_result(step));
}

enum ledger_result
months_refresh(struct ledger *l)
{
	struct month_desk *desk = db_months(l);
	struct month *list;
	enum ledger_result rc;
	size_t n;

	rc = months_list(l, INT64_MIN, INT64_MAX, &list, &n);
	if (rc == LEDGER_OK)
		desk->until_ms = n > 0 ? list[n - 1].end_ms : 0;
	free(list);
	return (rc);
}

/* ---- their files --------------------------------------------------------- */

/* Is it the file of that month, and of a shape that we know? */
static bool
is_month(struct ledger *file, const struct month *m, char *error, size_t cap)
{
	char schema[16] = "", name[16] = "";

	if (db_meta_get(file, "schema", schema, sizeof(schema)) == LEDGER_OK &&
	    db_meta_get(file, "month", name, sizeof(name)) == LEDGER_OK &&
	    strcmp(schema, "1") == 0 && strcmp(name, m->name) == 0)
		return (true);
	snprintf(error, cap, "it is no month, or not this one");
	return (false);
}

/* NULL: not under this name, or not good. */
static struct ledger *
open_as(struct ledger *l, const struct month *m, bool fresh)
{
	char name[MONTH_PATH_MAX], error[200] = "";
	struct ledger *file;

	month_path(m, fresh, name);
	file = db_open_month(db_folder(l), name, false, error, sizeof(error));
	if (file != NULL && is_month(file, m, error, sizeof(error)))
		return (file);
	db_close(file);
	if (error[0] != '\0')
		log_warnx("ledger: %s: %s", name, error);
	return (NULL);
}

struct ledger *
month_file(struct ledger *l, const struct month *m)
{
	struct month_desk *desk = db_months(l);

	if (desk->file != NULL && strcmp(desk->name, m->name) == 0)
		return (desk->file);
	db_close(desk->file);
	/* Noted, it is whole, even if it has not got its name yet. */
	desk->file = open_as(l, m, false);
	if (desk->file == NULL && !m->gone_all)
		desk->file = open_as(l, m, true);
	memcpy(desk->name, m->name, sizeof(desk->name));
	return (desk->file);
}

/* ---- a row among them ---------------------------------------------------- */

/* MISSING: that month is not sealed. */
static enum ledger_result
sealed_month(struct ledger *l, int64_t ms, struct month *m)
{
	struct query q =
	    db_query(l, "SELECT month, rows, gone_ms, gone_id, gone_all "
			"FROM sealed_month WHERE month = ?");
	enum db_step step;

	if (!month_of(ms, m))
		return (LEDGER_MISSING);
	db_bind_text(&q, m->name);
	step = db_step(&q);
	if (step == DB_ROW)
		month_read(&q, m);
	db_end(&q);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

static enum db_step
find_in(struct ledger *file, const struct ledger_row *r, struct row_texts *t)
{
	struct query q;
	enum db_step step;

	if (file == NULL)
		return (DB_REFUSED);
	if ((step = row_compare(file, r, t)) != DB_DONE)
		return (step);
	q = db_query(file, "SELECT 1 FROM ledger WHERE id = ?");
	db_bind_text(&q, t->id);
	step = db_run(&q);
	return (step == DB_ROW ? DB_UNIQUE : step);
}

static enum db_step
find_at(struct ledger *l, int64_t ms, const struct ledger_row *r,
    struct row_texts *t)
{
	struct month m;

	if (ms >= db_months(l)->until_ms)
		return (DB_DONE);
	switch (sealed_month(l, ms, &m)) {
	case LEDGER_OK:
		return (find_in(month_file(l, &m), r, t));
	case LEDGER_MISSING:
		return (DB_DONE);
	case LEDGER_CONFLICT:
	case LEDGER_REFUSED:
	case LEDGER_DOWN:
		break;
	}
	return (DB_DOWN);
}

enum db_step
months_find(struct ledger *l, const struct ledger_row *r, struct row_texts *t)
{
	enum db_step step = find_at(l, r->time_ms, r, t);

	/* One that says another time may be known by its id all the same. */
	return (step == DB_DONE ? find_at(l, req_id_ms(r->id), r, t) : step);
}

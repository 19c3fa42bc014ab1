/*
 * Putting old months of a SQLite store into files of their own, in steps of
 * a few milliseconds (sqlite_months.h says what readers see meanwhile):
 *
 *	COPY	rows and charges into ledger-2026-01.db.new, slice by slice
 *	CHECK	every row of the file against the store; the file is on the
 *		disk by its end
 *	NOTE	one transaction: the month is in table sealed_month; then the
 *		file gets its name
 *	REMOVE	slice by slice, one transaction each: rows and charges go from
 *		the store, their sums come into table sealed_sum
 *
 * A kill before the note leaves a .new file that nobody knows: it is made
 * anew. After it, removing goes on where it was.
 */
#include "hubd/ledger/sqlite_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/ledger/sqlite_seal_private.h"

/* ---- a seal -------------------------------------------------------------- */

static struct seal *
seal_new(const struct month *m, enum seal_phase phase)
{
	struct seal *s = xcalloc(1, sizeof(*s));

	s->phase = phase;
	s->fd = -1;
	s->month = *m;
	s->at.ms = m->begin_ms - 1;
	s->scratch = amount_new();
	s->charge = amount_new();
	return (s);
}

void
seal_free(struct seal *s)
{
	if (s == NULL)
		return;
	db_close(s->file);
	if (s->fd != -1)
		close(s->fd);
	amount_free(s->scratch);
	amount_free(s->charge);
	free(s);
}

void
seal_enter(struct seal *s, enum seal_phase phase)
{
	s->phase = phase;
	s->at = (struct place){.ms = s->month.begin_ms - 1};
	s->rows = 0;
}

enum ledger_result
seal_refuse(const struct seal *s, const char *id, const char *why)
{
	log_errx("ledger: month %s is not sealed: %s%s%s", s->month.name,
	    id != NULL ? id : "", id != NULL ? ": " : "", why);
	return (LEDGER_REFUSED);
}

/* ---- the folder ---------------------------------------------------------- */

static char *
path_of(struct ledger *l, const struct month *m, bool fresh)
{
	char name[MONTH_PATH_MAX];

	month_path(m, fresh, name);
	return (xasprintf("%s/%s", db_folder(l), name));
}

/* The file gets its name, if it has not got it yet. */
static enum ledger_result
give_name(struct ledger *l, const struct month *m)
{
	char *fresh = path_of(l, m, true), *path = path_of(l, m, false);
	enum ledger_result rc = LEDGER_OK;

	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) ==
		-1 &&
	    errno != ENOENT) {
		log_warn("ledger: %s", path);
		rc = LEDGER_DOWN;
	}
	free(fresh);
	free(path);
	return (rc == LEDGER_OK ? db_sync_folder(db_folder(l)) : rc);
}

/* ---- NOTE ---------------------------------------------------------------- */

static enum ledger_result
insert_month(struct ledger *l, const struct month *m)
{
	struct query q = db_query(l,
	    "INSERT INTO sealed_month (month, sealed_ms, rows, gone_ms, "
	    "gone_id, gone_all) VALUES (?, ?, ?, ?, '', 0)");

	db_bind_text(&q, m->name);
	db_bind_int(&q, db_now_ms());
	db_bind_int(&q, (int64_t)m->rows);
	db_bind_int(&q, m->begin_ms - 1);
	return (db_result(db_run(&q)));
}

static enum ledger_result
step_note(struct ledger *l, struct seal *s)
{
	if (db_sync_folder(db_folder(l)) != LEDGER_OK ||
	    insert_month(l, &s->month) != LEDGER_OK)
		return (LEDGER_DOWN);
	/* From here on the file is part of the store. */
	seal_enter(s, SEAL_REMOVE);
	(void)FAILPOINT("seal.noted");
	if (months_refresh(l) != LEDGER_OK ||
	    give_name(l, &s->month) != LEDGER_OK)
		return (LEDGER_DOWN);
	(void)FAILPOINT("seal.named");
	return (LEDGER_OK);
}

/* ---- where to begin ------------------------------------------------------ */

/* A month that is noted and has not gone altogether. MISSING: none. */
static enum ledger_result
find_unfinished(struct ledger *l, struct month *m)
{
	enum ledger_result rc;
	struct month *list;
	size_t i, n;

	rc = months_list(l, INT64_MIN, INT64_MAX, &list, &n);
	if (rc == LEDGER_OK)
		rc = LEDGER_MISSING;
	for (i = 0; i < n && rc == LEDGER_MISSING; i++) {
		if (list[i].gone_all)
			continue;
		*m = list[i];
		rc = LEDGER_OK;
	}
	free(list);
	return (rc);
}

static enum ledger_result
go_on_removing(struct ledger *l, const struct month *m)
{
	struct month_desk *desk = db_months(l);
	char name[MONTH_PATH_MAX], error[200] = "it is not here";
	struct seal *s;

	if (give_name(l, m) != LEDGER_OK)
		return (LEDGER_DOWN);
	s = seal_new(m, SEAL_REMOVE);
	s->at.ms = m->gone_ms;
	memcpy(s->at.id, m->gone_id, sizeof(s->at.id));
	month_path(m, false, name);
	s->file =
	    db_open_month(db_folder(l), name, false, error, sizeof(error));
	if (s->file == NULL) {
		log_errx("ledger: %s: %s", name, error);
		seal_free(s);
		return (LEDGER_REFUSED);
	}
	desk->seal = s;
	return (LEDGER_OK);
}

/* The oldest row at or after that moment. MISSING: there is none. */
static enum ledger_result
oldest_row(struct ledger *l, int64_t from_ms, int64_t *ms)
{
	struct query q =
	    db_query(l, "SELECT time_ms FROM ledger WHERE time_ms >= ? "
			"ORDER BY time_ms LIMIT 1");
	enum db_step step;

	db_bind_int(&q, from_ms);
	step = db_step(&q);
	if (step == DB_ROW)
		*ms = db_int(&q);
	db_end(&q);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

static enum ledger_result
is_sealed(struct ledger *l, const struct month *m, bool *sealed)
{
	struct query q =
	    db_query(l, "SELECT 1 FROM sealed_month WHERE month = ?");
	enum db_step step;

	db_bind_text(&q, m->name);
	step = db_run(&q);
	*sealed = step == DB_ROW;
	return (db_result(step));
}

/* Late rows of a month that is sealed stay in the store, and are passed by.
 * MISSING: there is none to seal. */
static enum ledger_result
find_oldest(struct ledger *l, int64_t ended_ms, struct month *m)
{
	enum ledger_result rc;
	int64_t ms = 0;
	bool sealed = true;

	while (sealed) {
		if ((rc = oldest_row(l, ms, &ms)) != LEDGER_OK)
			return (rc);
		if (!month_of(ms, m) || m->end_ms > ended_ms)
			return (LEDGER_MISSING);
		if (is_sealed(l, m, &sealed) != LEDGER_OK)
			return (LEDGER_DOWN);
		ms = m->end_ms;
	}
	return (LEDGER_OK);
}

/* Nobody knows a .new file of a month that is not noted; but one with the
 * name of a month is somebody's. */
static enum ledger_result
begin_copy(struct ledger *l, const struct month *m)
{
	struct month_desk *desk = db_months(l);
	char *path = path_of(l, m, false), *fresh = path_of(l, m, true);
	char name[MONTH_PATH_MAX], error[200] = "it is there already";
	struct seal *s = seal_new(m, SEAL_COPY);

	month_path(m, true, name);
	if (access(path, F_OK) == -1) {
		unlink(fresh);
		s->file = db_open_month(
		    db_folder(l), name, true, error, sizeof(error));
	}
	if (s->file != NULL)
		s->fd = open(fresh, O_RDONLY | O_CLOEXEC);
	free(path);
	free(fresh);
	if (s->fd == -1 ||
	    db_meta_set(s->file, "month", m->name) != LEDGER_OK) {
		seal_refuse(s, NULL, error);
		seal_free(s);
		return (LEDGER_REFUSED);
	}
	(void)FAILPOINT("seal.begun");
	desk->seal = s;
	return (LEDGER_OK);
}

/* MISSING: there is nothing to do. */
static enum ledger_result
begin(struct ledger *l, int64_t ended_ms)
{
	enum ledger_result rc;
	struct month m;

	rc = find_unfinished(l, &m);
	if (rc == LEDGER_OK)
		return (go_on_removing(l, &m));
	if (rc == LEDGER_MISSING)
		rc = find_oldest(l, ended_ms, &m);
	return (rc == LEDGER_OK ? begin_copy(l, &m) : rc);
}

/* ---- steps --------------------------------------------------------------- */

static enum ledger_result
step(struct ledger *l, struct seal *s)
{
	switch (s->phase) {
	case SEAL_COPY:
		return (seal_step_copy(l, s));
	case SEAL_CHECK:
		return (seal_step_check(l, s));
	case SEAL_NOTE:
		return (step_note(l, s));
	case SEAL_REMOVE:
		break;
	}
	return (seal_step_remove(l, s));
}

/* It begins anew some time; what is noted by then goes on. */
static void
give_up(struct ledger *l)
{
	struct month_desk *desk = db_months(l);
	char *fresh = path_of(l, &desk->seal->month, true);

	if (desk->seal->phase != SEAL_REMOVE)
		unlink(fresh);
	free(fresh);
	seal_free(desk->seal);
	desk->seal = NULL;
}

enum ledger_result
sqlite_seal(struct ledger *l, int64_t ended_ms, bool *more)
{
	struct month_desk *desk = db_months(l);
	enum ledger_result rc;

	*more = false;
	if (desk->seal == NULL)
		rc = begin(l, ended_ms);
	else
		rc = step(l, desk->seal);
	if (rc == LEDGER_MISSING)
		return (LEDGER_OK);
	*more = rc == LEDGER_OK;
	if (rc != LEDGER_OK && desk->seal != NULL)
		give_up(l);
	return (rc);
}

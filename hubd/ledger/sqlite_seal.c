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
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/ledger/sqlite_months.h"

#define COPY_ROWS   100 /* of one step */
#define REMOVE_ROWS 50

#define CHARGED_COLUMNS ROW_COLUMNS ", charge"
#define CHARGED_VALUES                                                     \
	"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " \
	"?)"
#define BEHIND                                          \
	"WHERE (time_ms, id) > (?, ?) AND time_ms < ? " \
	"ORDER BY time_ms, id LIMIT ?"

enum seal_phase { SEAL_COPY, SEAL_CHECK, SEAL_NOTE, SEAL_REMOVE };

/* How far a walk through the month has come. */
struct place {
	int64_t ms;
	char id[REQ_ID_TEXT];
};

struct seal {
	enum seal_phase phase;
	struct month month;
	struct ledger *file;
	int fd; /* of the same, to see it to the disk; -1: it is there */
	struct place at;
	uint64_t rows; /* copied, or found good */
	amount_t *scratch, *charge;
};

/* A row with the change of the balance that it made. */
struct charged {
	struct ledger_row row;
	struct row_texts texts;
	char charge[AMOUNT_TEXT_MAX];
};

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

static void
begin_phase(struct seal *s, enum seal_phase phase)
{
	s->phase = phase;
	s->at = (struct place){.ms = s->month.begin_ms - 1};
	s->rows = 0;
}

static void
move_on(struct seal *s, const struct charged *c)
{
	s->at.ms = c->row.time_ms;
	memcpy(s->at.id, c->texts.id, sizeof(s->at.id));
	s->rows++;
}

static enum ledger_result
refuse(const struct seal *s, const char *id, const char *why)
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

/* Names in it outlive a power loss. */
static enum ledger_result
sync_folder(struct ledger *l)
{
	int fd = open(db_folder(l), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd == -1 ? -1 : fsync(fd);

	if (rc == -1)
		log_warn("ledger: %s", db_folder(l));
	if (fd != -1)
		close(fd);
	return (rc == -1 ? LEDGER_DOWN : LEDGER_OK);
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
	return (rc == LEDGER_OK ? sync_folder(l) : rc);
}

/* ---- rows ---------------------------------------------------------------- */

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

/* Is the charge what the row costs? The amount is in scratch. */
static bool
is_charged(struct seal *s, const struct charged *c)
{
	if (amount_parse(s->charge, c->charge, strlen(c->charge)) == -1)
		return (false);
	amount_neg(s->charge);
	return (amount_cmp(s->charge, s->scratch) == 0);
}

/* ---- COPY ---------------------------------------------------------------- */

static enum ledger_result
copy_row(struct seal *s, struct charged *c)
{
	struct query q = db_query(s->file,
	    "INSERT INTO ledger (" CHARGED_COLUMNS ") VALUES " CHARGED_VALUES);

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
	enum ledger_result rc = LEDGER_OK;
	enum db_step step = DB_DONE;
	struct charged c;

	*n = 0;
	while (rc == LEDGER_OK && (step = db_step(&q)) == DB_ROW) {
		if (!charged_read(s, &q, &c) || !is_charged(s, &c))
			rc = refuse(s, c.texts.id, "see hubctl audit");
		else
			rc = copy_row(s, &c);
		if (rc == LEDGER_OK)
			move_on(s, &c);
		++*n;
	}
	db_end(&q);
	return (rc == LEDGER_OK ? db_result(step) : rc);
}

static enum ledger_result
step_copy(struct ledger *l, struct seal *s)
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
		begin_phase(s, SEAL_CHECK);
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
		return (refuse(s, c->texts.id, "its copy differs"));
	return (db_result(step));
}

typedef enum ledger_result copy_fn(
    struct ledger *, struct seal *, struct charged *);

/* Those behind where it is; *n is how many. */
static enum ledger_result
each_copy(struct ledger *l, struct seal *s, int most, copy_fn *fn, int *n)
{
	struct query q = walk(
	    s->file, "SELECT " CHARGED_COLUMNS " FROM ledger " BEHIND, s, most);
	enum ledger_result rc = LEDGER_OK;
	enum db_step step = DB_DONE;
	struct charged c;

	*n = 0;
	while (rc == LEDGER_OK && (step = db_step(&q)) == DB_ROW) {
		if (!charged_read(s, &q, &c))
			rc = refuse(s, c.texts.id, "its copy is broken");
		else
			rc = fn(l, s, &c);
		if (rc == LEDGER_OK)
			move_on(s, &c);
		++*n;
	}
	db_end(&q);
	return (rc == LEDGER_OK ? db_result(step) : rc);
}

static enum ledger_result
step_check(struct ledger *l, struct seal *s)
{
	enum ledger_result rc;
	int n;

	rc = each_copy(l, s, COPY_ROWS, check_row, &n);
	if (rc != LEDGER_OK || n == COPY_ROWS)
		return (rc);
	if (s->rows != s->month.rows)
		return (refuse(s, NULL, "rows are missing in the copy"));
	if (fsync(s->fd) == -1) {
		log_warn("ledger: month %s", s->month.name);
		return (LEDGER_DOWN);
	}
	(void)FAILPOINT("seal.checked");
	begin_phase(s, SEAL_NOTE);
	return (LEDGER_OK);
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
	if (sync_folder(l) != LEDGER_OK ||
	    insert_month(l, &s->month) != LEDGER_OK)
		return (LEDGER_DOWN);
	/* From here on the file is part of the store. */
	begin_phase(s, SEAL_REMOVE);
	(void)FAILPOINT("seal.noted");
	if (months_refresh(l) != LEDGER_OK ||
	    give_name(l, &s->month) != LEDGER_OK)
		return (LEDGER_DOWN);
	(void)FAILPOINT("seal.named");
	return (LEDGER_OK);
}

/* ---- REMOVE -------------------------------------------------------------- */

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
		return (refuse(s, id, "it has gone from the store"));
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
		return (refuse(s, NULL, "its sum is too large"));
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
	rc = each_copy(l, s, REMOVE_ROWS, remove_row, &n);
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

static enum ledger_result
step_remove(struct ledger *l, struct seal *s)
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
		refuse(s, NULL, error);
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
		return (step_copy(l, s));
	case SEAL_CHECK:
		return (step_check(l, s));
	case SEAL_NOTE:
		return (step_note(l, s));
	case SEAL_REMOVE:
		break;
	}
	return (step_remove(l, s));
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

/* Statements and transactions of a SQLite store, and its words about itself. */
#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "common/log.h"
#include "hubd/ledger/sqlite_handle.h"

/* ---- statements ---------------------------------------------------------- */

static sqlite3_stmt *
prepare(struct ledger *l, const char *sql)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v3(l->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt,
		NULL) != SQLITE_OK) {
		log_warnx("ledger: %s", sqlite3_errmsg(l->db));
		return (NULL);
	}
	assert(l->nkept < STMTS_MAX);
	l->kept[l->nkept++] = (struct kept_stmt){sql, stmt};
	return (stmt);
}

struct query
db_query(struct ledger *l, const char *sql)
{
	size_t i;

	for (i = 0; i < l->nkept; i++) {
		if (l->kept[i].sql == sql)
			return ((struct query){.stmt = l->kept[i].stmt});
	}
	return ((struct query){.stmt = prepare(l, sql)});
}

void
db_bind_int(struct query *q, int64_t n)
{
	if (q->stmt != NULL)
		sqlite3_bind_int64(q->stmt, ++q->bound, n);
}

void
db_bind_text(struct query *q, const char *s)
{
	if (q->stmt != NULL)
		sqlite3_bind_text(q->stmt, ++q->bound, s, -1, SQLITE_STATIC);
}

void
db_bind_blob(struct query *q, const void *p, size_t n)
{
	if (q->stmt != NULL)
		sqlite3_bind_blob64(
		    q->stmt, ++q->bound, n == 0 ? "" : p, n, SQLITE_STATIC);
}

static enum db_step
step_of(sqlite3 *db, int rc)
{
	switch (rc) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
		return (DB_UNIQUE);
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return (DB_FOREIGN);
	default:
		break;
	}
	switch (rc & 0xff) {
	case SQLITE_ROW:
		return (DB_ROW);
	case SQLITE_DONE:
		return (DB_DONE);
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH:
		return (DB_REFUSED);
	default:
		log_stays("ledger: %s", sqlite3_errmsg(db));
		return (DB_DOWN);
	}
}

enum db_step
db_step(struct query *q)
{
	if (q->stmt == NULL)
		return (DB_DOWN);
	q->column = 0;
	return (step_of(sqlite3_db_handle(q->stmt), sqlite3_step(q->stmt)));
}

int64_t
db_int(struct query *q)
{
	return (sqlite3_column_int64(q->stmt, q->column++));
}

void
db_text(struct query *q, char *out, size_t cap)
{
	const unsigned char *s = sqlite3_column_text(q->stmt, q->column++);

	snprintf(out, cap, "%s", s != NULL ? (const char *)s : "");
}

const void *
db_blob(struct query *q, size_t *n)
{
	const void *p = sqlite3_column_blob(q->stmt, q->column);

	*n = (size_t)sqlite3_column_bytes(q->stmt, q->column++);
	return (p);
}

void
db_end(struct query *q)
{
	if (q->stmt == NULL)
		return;
	sqlite3_reset(q->stmt);
	sqlite3_clear_bindings(q->stmt);
}

enum db_step
db_run(struct query *q)
{
	enum db_step step = db_step(q);

	db_end(q);
	return (step);
}

enum ledger_result
db_result(enum db_step step)
{
	switch (step) {
	case DB_ROW:
	case DB_DONE:
		return (LEDGER_OK);
	case DB_UNIQUE:
		return (LEDGER_CONFLICT);
	case DB_FOREIGN:
		return (LEDGER_MISSING);
	case DB_REFUSED:
		return (LEDGER_REFUSED);
	case DB_DOWN:
		break;
	}
	return (LEDGER_DOWN);
}

bool
db_is_broken(struct ledger *l, char *why, size_t cap)
{
	int rc = sqlite3_errcode(l->db) & 0xff;

	snprintf(why, cap, "%s", sqlite3_errmsg(l->db));
	return (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB);
}

void
db_say_refused(struct ledger *l, const char *id)
{
	log_warnx("ledger: row %s is refused: %s", id, sqlite3_errmsg(l->db));
}

int64_t
db_last_id(struct ledger *l)
{
	return (sqlite3_last_insert_rowid(l->db));
}

int
db_changes(struct ledger *l)
{
	return (sqlite3_changes(l->db));
}

bool
db_has_checkpoints(const struct ledger *l)
{
	return (l->checkpoints);
}

void
db_set_checkpoints(struct ledger *l, bool may)
{
	l->checkpoints = may;
}

bool
db_is_spool(const struct ledger *l)
{
	return (l->spool);
}

uint64_t *
db_waiting(struct ledger *l)
{
	return (&l->waiting);
}

int64_t
db_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* ---- transactions -------------------------------------------------------- */

enum ledger_result
db_begin(struct ledger *l)
{
	struct query q = db_query(l, "BEGIN IMMEDIATE");

	return (db_run(&q) == DB_DONE ? LEDGER_OK : LEDGER_DOWN);
}

enum ledger_result
db_commit(struct ledger *l)
{
	struct query q = db_query(l, "COMMIT");

	if (db_run(&q) == DB_DONE)
		return (LEDGER_OK);
	db_rollback(l);
	return (LEDGER_DOWN);
}

/* Done when it is compiled: a statement that is kept would do nothing. */
void
db_set_sync(struct ledger *l, bool sync)
{
	sqlite3_exec(l->db,
	    sync ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
	    NULL, NULL, NULL);
}

void
db_rollback(struct ledger *l)
{
	/* A full disk may have ended the transaction already. */
	if (!sqlite3_get_autocommit(l->db))
		sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
}

enum ledger_result
db_begin_read(struct ledger *l)
{
	struct query q;

	if (l->reader)
		return (LEDGER_OK);
	q = db_query(l, "BEGIN");
	return (db_run(&q) == DB_DONE ? LEDGER_OK : LEDGER_DOWN);
}

void
db_end_read(struct ledger *l)
{
	if (!l->reader)
		db_rollback(l);
}

/* ---- words about the store ----------------------------------------------- */

enum ledger_result
db_meta_get(struct ledger *l, const char *name, char *out, size_t cap)
{
	struct query q = db_query(l, "SELECT value FROM meta WHERE name = ?");
	enum db_step step;

	db_bind_text(&q, name);
	step = db_step(&q);
	if (step == DB_ROW)
		db_text(&q, out, cap);
	db_end(&q);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

enum ledger_result
db_meta_set(struct ledger *l, const char *name, const char *value)
{
	struct query q =
	    db_query(l, "INSERT OR REPLACE INTO meta VALUES (?, ?)");

	db_bind_text(&q, name);
	db_bind_text(&q, value);
	return (db_result(db_run(&q)));
}

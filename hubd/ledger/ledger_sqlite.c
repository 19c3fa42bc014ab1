/*
 * The SQLite backend: opening the file, statements, transactions, backup.
 * The only file that knows SQLite's interface.
 */
#include "hubd/ledger/ledger_sqlite.h"

#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/ledger/sqlite_months.h"
#include "hubd/ledger/sqlite_seal.h"

#define SCHEMA_VERSION "3"
#define ASK_VERSION    "SELECT value FROM meta WHERE name = 'schema'"
#define ASK_SPOOL      "SELECT count(*) FROM sqlite_schema WHERE name = 'owed'"
#define BUSY_MS	       2000
/* Pages of the log. The pages at the tables' ends are in each commit: the
 * longer the log, the fewer times they are copied out of it. */
#define LOG_SMALL  4000
#define LOG_LARGE  16000 /* 64 MB: copying them takes half a second and more */
#define STMTS_MAX  96
#define CIFS_MAGIC 0xff534d42

struct kept_stmt {
	const char *sql;
	sqlite3_stmt *stmt;
};

struct ledger {
	sqlite3 *db;
	char *folder;
	struct month_desk months;
	struct kept_stmt kept[STMTS_MAX];
	size_t nkept;
	bool checkpoints; /* there may be some */
	bool reader;	  /* in a transaction of its own up to its end */
	bool watched;	  /* somebody sees to it that it is tidy */
	bool untidy;
	bool spool;
	uint64_t waiting; /* in a spool: rows */
};

static const struct db_file own_file = {.name = "hubd.db"};
static const struct db_file read_file = {.name = "hubd.db", .read_only = true};

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

/* ---- opening ------------------------------------------------------------- */

static int
execute(struct ledger *l, const char *sql, char *error, size_t cap)
{
	char *why = NULL;

	if (sqlite3_exec(l->db, sql, NULL, NULL, &why) == SQLITE_OK)
		return (0);
	snprintf(error, cap, "store: %s", why != NULL ? why : "out of memory");
	sqlite3_free(why);
	return (-1);
}

/* WAL needs shared memory between processes, which no network has. */
static int
refuse_network(const char *where, char *error, size_t cap)
{
	struct statfs fs;

	if (statfs(where, &fs) == -1) {
		snprintf(error, cap, "store: %s: %s", where, strerror(errno));
		return (-1);
	}
	switch ((unsigned long)fs.f_type & 0xffffffff) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case CIFS_MAGIC:
		snprintf(
		    error, cap, "store: %s is on a network file system", where);
		return (-1);
	default:
		return (0);
	}
}

/* Makes the file ours alone before SQLite opens it. */
static int
create_private(const char *path, int flags, char *error, size_t cap)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);

	if (fd == -1) {
		snprintf(error, cap, "store: %s: %s", path, strerror(errno));
		return (-1);
	}
	close(fd);
	return (0);
}

/*
 * One thread opens stores in a process, and nobody asks SQLite how much
 * memory it has: each of its allocations took and gave back a mutex twice
 * for that. It is refused once the library is in use, which is no harm.
 */
static void
set_up_library(void)
{
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int
open_with(
    struct ledger *l, const char *path, int flags, char *error, size_t cap)
{
	set_up_library();
	if (sqlite3_open_v2(path, &l->db, flags | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK) {
		snprintf(
		    error, cap, "store: %s: %s", path, sqlite3_errmsg(l->db));
		return (-1);
	}
	sqlite3_extended_result_codes(l->db, 1);
	sqlite3_busy_timeout(l->db, BUSY_MS);
	return (0);
}

static int
copy_log(sqlite3 *db, int *frames, int *copied)
{
	return (sqlite3_wal_checkpoint_v2(
	    db, NULL, SQLITE_CHECKPOINT_PASSIVE, frames, copied));
}

/* After each commit: so many pages are in the log. */
static int
on_log(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct ledger *l = arg;

	l->untidy = l->watched && frames >= LOG_LARGE;
	if (frames >= LOG_SMALL && !l->untidy)
		copy_log(db, NULL, NULL);
	return (SQLITE_OK);
}

static int
open_file(
    struct ledger *l, const char *path, bool read_only, char *error, size_t cap)
{
	if (read_only)
		return (open_with(l, path, SQLITE_OPEN_READONLY, error, cap));
	if (create_private(path, 0, error, cap) == -1 ||
	    open_with(l, path, SQLITE_OPEN_READWRITE, error, cap) == -1)
		return (-1);
	sqlite3_wal_hook(l->db, on_log, l);
	return (execute(l,
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
	    "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; "
	    "PRAGMA journal_size_limit = 67108864",
	    error, cap));
}

/* What a one-value query says, or "" if it fails. */
static void
ask(struct ledger *l, const char *sql, char *out, size_t cap)
{
	sqlite3_stmt *stmt = NULL;
	const unsigned char *s;

	out[0] = '\0';
	if (sqlite3_prepare_v2(l->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW &&
	    (s = sqlite3_column_text(stmt, 0)) != NULL)
		snprintf(out, cap, "%s", (const char *)s);
	sqlite3_finalize(stmt);
}

/* Each brings the store from that version to the next. */
static const struct {
	const char *from, *sql;
} schemas[] = {
    {"1", ledger_sqlite_schema_2},
    {"2", ledger_sqlite_schema_3},
};

static int
run_schemas(
    struct ledger *l, const struct db_file *file, char *error, size_t cap)
{
	char answer[16];
	size_t i;

	ask(l, "SELECT count(*) FROM sqlite_schema", answer, sizeof(answer));
	if (strcmp(answer, "0") == 0 &&
	    execute(l, ledger_sqlite_schema, error, cap) == -1)
		return (-1);
	for (i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
		ask(l, ASK_VERSION, answer, sizeof(answer));
		if (strcmp(answer, schemas[i].from) == 0 &&
		    execute(l, schemas[i].sql, error, cap) == -1)
			return (-1);
	}
	ask(l, ASK_SPOOL, answer, sizeof(answer));
	if (file->spool && strcmp(answer, "0") == 0 &&
	    execute(l, ledger_spool_schema, error, cap) == -1)
		return (-1);
	return (0);
}

/* A new file gets all of it, one of an older hubd what has come since. */
static int
make_schema(
    struct ledger *l, const struct db_file *file, char *error, size_t cap)
{
	if (file->read_only)
		return (0);
	if (execute(l, "BEGIN IMMEDIATE", error, cap) == -1)
		return (-1);
	if (run_schemas(l, file, error, cap) == -1 ||
	    execute(l, "COMMIT", error, cap) == -1) {
		db_rollback(l);
		return (-1);
	}
	return (0);
}

static int
check_schema(struct ledger *l, const char *path, char *error, size_t cap)
{
	char version[16], mode[16];

	ask(l, "PRAGMA journal_mode", mode, sizeof(mode));
	if (strcmp(mode, "wal") != 0) {
		snprintf(
		    error, cap, "store: %s: no write-ahead log here", path);
		return (-1);
	}
	ask(l, ASK_VERSION, version, sizeof(version));
	if (strcmp(version, SCHEMA_VERSION) != 0) {
		snprintf(error, cap,
		    "store: %s: schema \"%s\", this hubd knows only \"%s\"",
		    path, version, SCHEMA_VERSION);
		return (-1);
	}
	return (0);
}

void
db_close(struct ledger *l)
{
	size_t i;

	if (l == NULL)
		return;
	seal_free(l->months.seal);
	db_close(l->months.file);
	free(l->folder);
	for (i = 0; i < l->nkept; i++)
		sqlite3_finalize(l->kept[i].stmt);
	sqlite3_close(l->db);
	free(l);
}

static int
load_months(struct ledger *l, char *error, size_t cap)
{
	if (months_refresh(l) == LEDGER_OK)
		return (0);
	snprintf(error, cap, "store: its months cannot be read");
	return (-1);
}

struct ledger *
db_open(const char *where, const struct db_file *file, char *error, size_t cap)
{
	struct ledger *l = xcalloc(1, sizeof(*l));
	char *path = xasprintf("%s/%s", where, file->name);

	l->folder = xstrdup(where);
	l->checkpoints = true; /* of the run before */
	l->spool = file->spool;
	if (refuse_network(where, error, cap) == -1 ||
	    open_file(l, path, file->read_only, error, cap) == -1 ||
	    make_schema(l, file, error, cap) == -1 ||
	    check_schema(l, path, error, cap) == -1 ||
	    load_months(l, error, cap) == -1) {
		db_close(l);
		l = NULL;
	}
	free(path);
	return (l);
}

/* No log is needed: a file that was not finished is made anew; and who writes
 * it sees to it that it is on the disk. */
static int
begin_month(struct ledger *l, const char *path, char *error, size_t cap)
{
	if (create_private(path, O_EXCL, error, cap) == -1 ||
	    open_with(l, path, SQLITE_OPEN_READWRITE, error, cap) == -1 ||
	    execute(l,
		"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN",
		error, cap) == -1)
		return (-1);
	return (execute(l, ledger_sqlite_schema_month, error, cap) == -1
		    ? -1
		    : execute(l, "COMMIT", error, cap));
}

static int
find_month(struct ledger *l, const char *path, char *error, size_t cap)
{
	if (access(path, F_OK) == -1 && errno == ENOENT)
		return (-1);
	return (open_with(l, path, SQLITE_OPEN_READONLY, error, cap));
}

struct ledger *
db_open_month(
    const char *where, const char *name, bool fresh, char *error, size_t cap)
{
	struct ledger *l = xcalloc(1, sizeof(*l));
	char *path = xasprintf("%s/%s", where, name);
	int rc;

	l->folder = xstrdup(where);
	rc = fresh ? begin_month(l, path, error, cap)
		   : find_month(l, path, error, cap);
	if (rc == -1) {
		db_close(l);
		l = NULL;
	}
	free(path);
	return (l);
}

const char *
db_folder(const struct ledger *l)
{
	return (l->folder);
}

struct month_desk *
db_months(struct ledger *l)
{
	return (&l->months);
}

/* ---- identity ------------------------------------------------------------ */

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

/* Made when it is asked for first. */
static enum ledger_result
sqlite_store_id(struct ledger *l, char out[LEDGER_ID_MAX])
{
	enum ledger_result rc = db_meta_get(l, "store_id", out, LEDGER_ID_MAX);

	if (rc != LEDGER_MISSING)
		return (rc);
	req_id_format(uuid_random(), out);
	return (db_meta_set(l, "store_id", out));
}

static struct ledger *
sqlite_open(const char *where, char *error, size_t cap)
{
	return (db_open(where, &own_file, error, cap));
}

/* The transaction begins with the first look, and lasts as long as the
 * reader. */
static struct ledger *
sqlite_open_to_read(const char *where, char *error, size_t cap)
{
	struct ledger *l = db_open(where, &read_file, error, cap);

	if (l == NULL)
		return (NULL);
	l->reader = true;
	if (execute(l,
		"PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; BEGIN; "
		"SELECT 1 FROM meta",
		error, cap) == 0)
		return (l);
	db_close(l);
	return (NULL);
}

/* ---- tidying up ---------------------------------------------------------- */

bool
db_is_untidy(struct ledger *l)
{
	l->watched = true;
	return (l->untidy);
}

void
db_tidy_rest(struct ledger *l)
{
	copy_log(l->db, NULL, NULL);
	l->untidy = false;
}

/* What has come meanwhile is copied, too, until that is little. */
static enum ledger_result
copy_out(sqlite3 *db)
{
	int frames, copied = 0, before;

	do {
		before = copied;
		if (copy_log(db, &frames, &copied) != SQLITE_OK)
			return (LEDGER_DOWN);
		if (frames - copied < LOG_SMALL)
			return (LEDGER_OK);
	} while (copied > before);
	return (LEDGER_CONFLICT);
}

enum ledger_result
db_tidy(const char *where, const char *file)
{
	struct ledger l = {0};
	char *path = xasprintf("%s/%s", where, file), error[200];
	enum ledger_result r = LEDGER_DOWN;

	/* without a look at the file SQLite knows of no log */
	if (open_with(&l, path, SQLITE_OPEN_READWRITE, error, sizeof(error)) ==
		0 &&
	    execute(&l, "SELECT 1 FROM meta", error, sizeof(error)) == 0)
		r = copy_out(l.db);
	sqlite3_close(l.db);
	free(path);
	return (r);
}

static enum ledger_result
sqlite_tidy(const char *where)
{
	return (db_tidy(where, own_file.name));
}

/* ---- backup -------------------------------------------------------------- */

static int
copy_into(struct ledger *l, sqlite3 *to)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", l->db, "main");
	int rc;

	if (b == NULL)
		return (-1);
	/* that it was busy, finish() would not say */
	rc = sqlite3_backup_step(b, -1);
	if (sqlite3_backup_finish(b) != SQLITE_OK || rc != SQLITE_DONE)
		return (-1);
	/* One file, that can be carried away and read anywhere. */
	return (sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL,
		    NULL) == SQLITE_OK
		    ? 0
		    : -1);
}

static int
write_copy(struct ledger *l, const char *path, char *error, size_t cap)
{
	sqlite3 *to = NULL;
	int rc = -1;

	if (create_private(path, O_EXCL, error, cap) == -1)
		return (-1);
	if (sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL) ==
	    SQLITE_OK)
		rc = copy_into(l, to);
	if (rc == -1)
		snprintf(
		    error, cap, "backup: %s: %s", path, sqlite3_errmsg(to));
	sqlite3_close(to);
	(void)FAILPOINT("backup.written");
	return (rc);
}

/* So that its name outlives a power loss as the file does. */
static void
sync_folder(const char *path)
{
	char *copy = xstrdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd != -1) {
		if (fsync(fd) == -1)
			log_warn("backup: %s", path);
		close(fd);
	}
	free(copy);
}

static int
put_in_place(const char *part, const char *path, char *error, size_t cap)
{
	if (renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) == 0) {
		sync_folder(path);
		return (0);
	}
	snprintf(error, cap, "backup: %s: %s", path, strerror(errno));
	return (-1);
}

/* What has that name is whole, however this ends. */
static enum ledger_result
sqlite_backup(struct ledger *l, const char *path, char *error, size_t cap)
{
	enum ledger_result r = LEDGER_OK;
	char *part;

	if (access(path, F_OK) == 0) {
		snprintf(error, cap, "backup: %s is there already", path);
		return (LEDGER_REFUSED);
	}
	part = xasprintf("%s.part.%d", path, (int)getpid());
	if (write_copy(l, part, error, cap) == -1)
		r = LEDGER_DOWN;
	else if (put_in_place(part, path, error, cap) == -1)
		r = LEDGER_REFUSED;
	if (r != LEDGER_OK)
		unlink(part);
	free(part);
	return (r);
}

const struct ledger_ops ledger_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .open_to_read = sqlite_open_to_read,
    .is_untidy = db_is_untidy,
    .tidy = sqlite_tidy,
    .tidy_rest = db_tidy_rest,
    .close = db_close,
    .store_id = sqlite_store_id,
    .book = sqlite_book,
    .checkpoint = sqlite_checkpoint,
    .each_checkpoint = sqlite_each_checkpoint,
    .suspend = sqlite_suspend,
    .each_suspense = sqlite_each_suspense,
    .suspense_get = sqlite_suspense_get,
    .suspense_resolve = sqlite_suspense_resolve,
    .object_get = sqlite_object_get,
    .each_object = sqlite_each_object,
    .each_row = sqlite_each_row,
    .audit = sqlite_audit,
    .check = sqlite_check,
    .seal = sqlite_seal,
    .account_add = sqlite_account_add,
    .account_change = sqlite_account_change,
    .account_set = sqlite_account_set,
    .account_get = sqlite_account_get,
    .each_account = sqlite_each_account,
    .key_get = sqlite_key_get,
    .key_put = sqlite_key_put,
    .each_key = sqlite_each_key,
    .agent_get = sqlite_agent_get,
    .agent_put = sqlite_agent_put,
    .each_agent = sqlite_each_agent,
    .price_put = sqlite_price_put,
    .price_get = sqlite_price_get,
    .backup = sqlite_backup,
};

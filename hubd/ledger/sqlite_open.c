/*
 * Opening the files of a SQLite store: its own, that are made or brought to
 * this hubd's schema, and those of sealed months.
 */
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/ledger/sqlite_handle.h"
#include "hubd/ledger/sqlite_seal.h"

#define SCHEMA_VERSION "3"
#define ASK_VERSION    "SELECT value FROM meta WHERE name = 'schema'"
#define ASK_SPOOL      "SELECT count(*) FROM sqlite_schema WHERE name = 'owed'"
#define BUSY_MS	       2000
#define CIFS_MAGIC     0xff534d42

/* ---- files --------------------------------------------------------------- */

int
handle_execute(struct ledger *l, const char *sql, char *error, size_t cap)
{
	char *why = NULL;

	if (sqlite3_exec(l->db, sql, NULL, NULL, &why) == SQLITE_OK)
		return (0);
	snprintf(error, cap, "%s", why != NULL ? why : "out of memory");
	sqlite3_free(why);
	return (-1);
}

/* WAL needs shared memory between processes, which no network has. */
static int
refuse_network(const char *where, char *error, size_t cap)
{
	struct statfs fs;

	if (statfs(where, &fs) == -1) {
		snprintf(error, cap, "%s: %s", where, strerror(errno));
		return (-1);
	}
	switch ((unsigned long)fs.f_type & 0xffffffff) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case CIFS_MAGIC:
		snprintf(error, cap, "%s is on a network file system", where);
		return (-1);
	default:
		return (0);
	}
}

int
handle_create(const char *path, int flags, char *error, size_t cap)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);

	if (fd == -1) {
		snprintf(error, cap, "%s: %s", path, strerror(errno));
		return (-1);
	}
	close(fd);
	return (0);
}

enum ledger_result
db_sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd == -1 ? -1 : fsync(fd);

	if (rc == -1)
		log_warn("ledger: %s", folder);
	if (fd != -1)
		close(fd);
	return (rc == -1 ? LEDGER_DOWN : LEDGER_OK);
}

/*
 * One thread opens stores in a process, and nobody asks SQLite how much
 * memory it has: each of its allocations took and gave back a mutex twice
 * for that. What a statement of several rows changes is noted in case that
 * it fails: in memory, for a file beside would cost more than the rows, and
 * would have to be there. All is refused once the library is in use, which is
 * no harm.
 */
static void
set_up_library(void)
{
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
}

int
handle_open(
    struct ledger *l, const char *path, int flags, char *error, size_t cap)
{
	set_up_library();
	if (sqlite3_open_v2(path, &l->db, flags | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK) {
		snprintf(error, cap, "%s: %s", path, sqlite3_errmsg(l->db));
		return (-1);
	}
	sqlite3_extended_result_codes(l->db, 1);
	sqlite3_busy_timeout(l->db, BUSY_MS);
	return (0);
}

static int
open_file(
    struct ledger *l, const char *path, bool read_only, char *error, size_t cap)
{
	if (read_only)
		return (handle_open(l, path, SQLITE_OPEN_READONLY, error, cap));
	if (handle_create(path, 0, error, cap) == -1 ||
	    handle_open(l, path, SQLITE_OPEN_READWRITE, error, cap) == -1)
		return (-1);
	handle_watch_log(l);
	return (handle_execute(l,
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
	    "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; "
	    "PRAGMA journal_size_limit = 67108864",
	    error, cap));
}

/* ---- schema -------------------------------------------------------------- */

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
	    handle_execute(l, ledger_sqlite_schema, error, cap) == -1)
		return (-1);
	for (i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
		ask(l, ASK_VERSION, answer, sizeof(answer));
		if (strcmp(answer, schemas[i].from) == 0 &&
		    handle_execute(l, schemas[i].sql, error, cap) == -1)
			return (-1);
	}
	ask(l, ASK_SPOOL, answer, sizeof(answer));
	if (file->spool && strcmp(answer, "0") == 0 &&
	    handle_execute(l, ledger_spool_schema, error, cap) == -1)
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
	if (handle_execute(l, "BEGIN IMMEDIATE", error, cap) == -1)
		return (-1);
	if (run_schemas(l, file, error, cap) == -1 ||
	    handle_execute(l, "COMMIT", error, cap) == -1) {
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
		snprintf(error, cap, "%s: %s", path,
		    mode[0] == '\0' ? sqlite3_errmsg(l->db)
				    : "no write-ahead log here");
		return (-1);
	}
	ask(l, ASK_VERSION, version, sizeof(version));
	if (strcmp(version, SCHEMA_VERSION) != 0) {
		snprintf(error, cap,
		    "%s: schema \"%s\", this hubd knows only \"%s\"", path,
		    version, SCHEMA_VERSION);
		return (-1);
	}
	return (0);
}

/* ---- the store ----------------------------------------------------------- */

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
	snprintf(error, cap, "its months cannot be read");
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

/* ---- months -------------------------------------------------------------- */

/* No log is needed: a file that was not finished is made anew; and who writes
 * it sees to it that it is on the disk. */
static int
begin_month(struct ledger *l, const char *path, char *error, size_t cap)
{
	if (handle_create(path, O_EXCL, error, cap) == -1 ||
	    handle_open(l, path, SQLITE_OPEN_READWRITE, error, cap) == -1 ||
	    handle_execute(l,
		"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN",
		error, cap) == -1)
		return (-1);
	return (handle_execute(l, ledger_sqlite_schema_month, error, cap) == -1
		    ? -1
		    : handle_execute(l, "COMMIT", error, cap));
}

static int
find_month(struct ledger *l, const char *path, char *error, size_t cap)
{
	if (access(path, F_OK) == -1 && errno == ENOENT)
		return (-1);
	return (handle_open(l, path, SQLITE_OPEN_READONLY, error, cap));
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

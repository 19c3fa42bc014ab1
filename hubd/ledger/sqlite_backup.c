/* A copy of a SQLite store that is whole, taken while it is at work. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "hubd/ledger/sqlite_handle.h"

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

	if (handle_create(path, O_EXCL, error, cap) == -1)
		return (-1);
	if (sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL) ==
	    SQLITE_OK)
		rc = copy_into(l, to);
	if (rc == -1)
		snprintf(error, cap, "%s: %s", path, sqlite3_errmsg(to));
	sqlite3_close(to);
	(void)FAILPOINT("backup.written");
	return (rc);
}

/* So that its name outlives a power loss as the file does. */
static void
sync_folder(const char *path)
{
	char *copy = xstrdup(path);

	(void)db_sync_folder(dirname(copy));
	free(copy);
}

static int
put_in_place(const char *part, const char *path, char *error, size_t cap)
{
	if (renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) == 0) {
		sync_folder(path);
		return (0);
	}
	snprintf(error, cap, "%s: %s", path, strerror(errno));
	return (-1);
}

/* What has that name is whole, however this ends. */
enum ledger_result
sqlite_backup(struct ledger *l, const char *path, char *error, size_t cap)
{
	enum ledger_result r = LEDGER_OK;
	char *part;

	if (access(path, F_OK) == 0) {
		snprintf(error, cap, "%s is there already", path);
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

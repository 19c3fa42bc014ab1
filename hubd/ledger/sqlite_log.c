/*
 * A SQLite store's write-ahead log, and when it is copied into the file: after
 * a commit while it is short, by somebody else where there is one when it has
 * grown long.
 */
#include <stdlib.h>

#include "common/alloc.h"
#include "hubd/ledger/sqlite_handle.h"

/* Pages of the log. The pages at the tables' ends are in each commit: the
 * longer the log, the fewer times they are copied out of it. */
#define LOG_SMALL 4000
#define LOG_LARGE 16000 /* 64 MB: copying them takes half a second and more */

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

void
handle_watch_log(struct ledger *l)
{
	sqlite3_wal_hook(l->db, on_log, l);
}

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
	if (handle_open(
		&l, path, SQLITE_OPEN_READWRITE, error, sizeof(error)) == 0 &&
	    handle_execute(&l, "SELECT 1 FROM meta", error, sizeof(error)) == 0)
		r = copy_out(l.db);
	sqlite3_close(l.db);
	free(path);
	return (r);
}

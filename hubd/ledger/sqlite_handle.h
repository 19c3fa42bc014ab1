/*
 * What those files share that know SQLite's own interface: an open store, and
 * how one of its files is opened. All others go by ledger_sqlite.h.
 */
#ifndef HUBD_LEDGER_SQLITE_HANDLE_H
#define HUBD_LEDGER_SQLITE_HANDLE_H

#include <sqlite3.h>

#include "hubd/ledger/ledger_sqlite.h"
#include "hubd/ledger/sqlite_months.h"

#define STMTS_MAX 96

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

/* ---- sqlite_open.c: -1 and error on failure ------------------------------ */

/* Makes a file ours alone before SQLite opens it; flags besides O_CREAT. */
int handle_create(const char *path, int flags, char *error, size_t cap);
/* Sets db, that the caller closes in either case. flags: SQLITE_OPEN_... */
int handle_open(
    struct ledger *, const char *path, int flags, char *error, size_t cap);
/* Statements without an answer. */
int handle_execute(struct ledger *, const char *sql, char *error, size_t cap);

/* ---- sqlite_log.c -------------------------------------------------------- */

/* From now on the write-ahead log is copied into the file as it grows. */
void handle_watch_log(struct ledger *);

#endif

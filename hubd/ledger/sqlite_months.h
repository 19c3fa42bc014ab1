/*
 * Private to the SQLite backend: months whose rows are in files of their own.
 *
 * A file is written under its name with ".new" behind it, checked, and noted
 * in table sealed_month; then it gets its name, and its rows are removed from
 * the store in slices, each with the note of what has gone. So a row is in
 * the file, in the store, or in both, and whoever reads takes it once: both
 * are read in order of time and id. A row that comes late for a sealed month
 * stays in the store and is read with the month's.
 */
#ifndef HUBD_LEDGER_SQLITE_MONTHS_H
#define HUBD_LEDGER_SQLITE_MONTHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hubd/ledger/ledger_sqlite.h"

#define MONTH_NAME_MAX 8 /* "2026-01" */
#define MONTH_PATH_MAX 32

struct month {
	char name[MONTH_NAME_MAX];
	int64_t begin_ms, end_ms; /* its first moment, and the next month's */
	uint64_t rows;		  /* in its file */
	/* What has gone from the store: rows up to here, or all. */
	int64_t gone_ms;
	char gone_id[REQ_ID_TEXT];
	bool gone_all;
};

struct seal;

/* What an open store has at hand of its months. */
struct month_desk {
	int64_t until_ms;    /* no sealed month ends later; 0: there is none */
	struct ledger *file; /* the one opened last, or NULL */
	char name[MONTH_NAME_MAX];
	struct seal *seal; /* what is under way; NULL: nothing */
};

/* The calendar month (UTC) of a moment; only name, begin and end are set.
 * false: there is none. */
bool month_of(int64_t ms, struct month *);
/* "ledger-2026-01.db" or, before it has its name, "ledger-2026-01.db.new". */
void month_path(const struct month *, bool fresh, char out[MONTH_PATH_MAX]);

/* The sealed months that touch [since, until), ascending; the caller frees
 * them. */
enum ledger_result months_list(struct ledger *, int64_t since_ms,
    int64_t until_ms, struct month **list, size_t *n);
/* A sealed month's file, to be read; good until the next call. NULL: it is
 * not here, or not good (logged). */
struct ledger *month_file(struct ledger *, const struct month *);
/* What months_* know by heart is read anew. */
enum ledger_result months_refresh(struct ledger *);

/*
 * Looks for a row of that id where it would be if its month is sealed.
 * DB_DONE: it is in no file. DB_ROW: an equal one is. DB_UNIQUE: another one
 * is. DB_REFUSED: nobody can say, the file is not here. DB_DOWN.
 */
enum db_step months_find(
    struct ledger *, const struct ledger_row *, struct row_texts *);

#endif

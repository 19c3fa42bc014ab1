/* Whole tables of a SQLite store, for those who take it elsewhere. */
#ifndef HUBD_LEDGER_SQLITE_DUMP_H
#define HUBD_LEDGER_SQLITE_DUMP_H

#include "common/span.h"
#include "hubd/ledger/ledger.h"

#define DUMP_COLUMNS_MAX 16

/* A value of a row: of a number, or of a text or bytes. */
struct dump_value {
	int64_t number;
	struct span bytes;
};

/*
 * fn for each row that sql gives, a string constant. kinds has a letter a
 * column: i number, else text or bytes. Values live until fn returns; its
 * false ends it: DOWN.
 */
enum ledger_result sqlite_dump(struct ledger *, const char *sql,
    const char *kinds, bool (*fn)(void *, const struct dump_value *),
    void *arg);

#endif

/*
 * The schema of the SQLite store, taken from its files as they are: what
 * operators read in etc/ and what hubd runs is one text.
 */
#include "hubd/ledger/ledger_sqlite.h"

#define TAKE_IN(symbol, file)                              \
	__asm__(".pushsection .rodata\n"                   \
		".global " symbol "\n"                     \
		".type " symbol ", @object\n" symbol ":\n" \
		".incbin \"" file "\"\n"                   \
		".byte 0\n"                                \
		".popsection\n")

TAKE_IN("ledger_sqlite_schema", "etc/ledger_sqlite.sql");
TAKE_IN("ledger_sqlite_schema_2", "etc/ledger_sqlite_2.sql");
TAKE_IN("ledger_spool_schema", "etc/ledger_spool.sql");
TAKE_IN("ledger_sqlite_schema_3", "etc/ledger_sqlite_3.sql");
TAKE_IN("ledger_sqlite_schema_month", "etc/ledger_sqlite_month.sql");

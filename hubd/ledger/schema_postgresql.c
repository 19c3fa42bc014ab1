/*
 * The schema of the PostgreSQL store, taken from its files as they are: what
 * operators read in etc/ and what hubd runs is one text.
 */
#include "hubd/ledger/pg_private.h"

#define TAKE_IN(symbol, file)                              \
	__asm__(".pushsection .rodata\n"                   \
		".global " symbol "\n"                     \
		".type " symbol ", @object\n" symbol ":\n" \
		".incbin \"" file "\"\n"                   \
		".byte 0\n"                                \
		".popsection\n")

TAKE_IN("ledger_postgresql_schema", "etc/ledger_postgresql.sql");
TAKE_IN("ledger_postgresql_schema_2", "etc/ledger_postgresql_2.sql");

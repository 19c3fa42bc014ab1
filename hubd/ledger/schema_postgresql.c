/*
 * The schema of the PostgreSQL store, taken from its file as it is: what
 * operators read in etc/ and what hubd runs is one text.
 */
#include "hubd/ledger/pg_private.h"

__asm__(".pushsection .rodata\n"
	".global ledger_postgresql_schema\n"
	".type ledger_postgresql_schema, @object\n"
	"ledger_postgresql_schema:\n"
	".incbin \"etc/ledger_postgresql.sql\"\n"
	".byte 0\n"
	".popsection\n");

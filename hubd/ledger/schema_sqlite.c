/*
 * The schema of the SQLite store, taken from its file as it is: what
 * operators read in etc/ and what hubd runs is one text.
 */
#include "hubd/ledger/ledger_sqlite.h"

__asm__(".pushsection .rodata\n"
	".global ledger_sqlite_schema\n"
	".type ledger_sqlite_schema, @object\n"
	"ledger_sqlite_schema:\n"
	".incbin \"etc/ledger_sqlite.sql\"\n"
	".byte 0\n"
	".popsection\n");

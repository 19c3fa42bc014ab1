/* The schema of the SQLite store. */
#include "hubd/ledger/ledger_sqlite.h"
#include "hubd/ledger/schema.h"

TAKE_IN("ledger_sqlite_schema", "etc/ledger_sqlite.sql");
TAKE_IN("ledger_sqlite_schema_2", "etc/ledger_sqlite_2.sql");
TAKE_IN("ledger_spool_schema", "etc/ledger_spool.sql");
TAKE_IN("ledger_sqlite_schema_3", "etc/ledger_sqlite_3.sql");
TAKE_IN("ledger_sqlite_schema_month", "etc/ledger_sqlite_month.sql");

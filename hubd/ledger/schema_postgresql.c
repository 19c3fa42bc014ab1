/* The schema of the PostgreSQL store. */
#include "hubd/ledger/pg_private.h"
#include "hubd/ledger/schema.h"

TAKE_IN("ledger_postgresql_schema", "etc/ledger_postgresql.sql");
TAKE_IN("ledger_postgresql_schema_2", "etc/ledger_postgresql_2.sql");

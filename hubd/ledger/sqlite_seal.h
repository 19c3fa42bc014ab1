/* Private to the SQLite backend: putting old months into files. */
#ifndef HUBD_LEDGER_SQLITE_SEAL_H
#define HUBD_LEDGER_SQLITE_SEAL_H

#include "hubd/ledger/ledger_sqlite.h"

struct seal;

/* ledger_ops.seal. */
enum ledger_result sqlite_seal(struct ledger *, int64_t ended_ms, bool *more);
/* What is under way is left as it is on the disk. NULL is fine. */
void seal_free(struct seal *);

#endif

/* What the files share that know libpq: the only header that includes it. */
#ifndef HUBD_LEDGER_PGCONN_PRIVATE_H
#define HUBD_LEDGER_PGCONN_PRIVATE_H

#include <libpq-fe.h>

#include "hubd/ledger/pgconn.h"

struct pg_rows {
	PGresult *res;
};

/* What a failure with that SQLSTATE means; *retry: it may go well if it is
 * tried again at once. */
enum ledger_result pg_meaning(const PGresult *, const char *state, bool *retry);

#endif

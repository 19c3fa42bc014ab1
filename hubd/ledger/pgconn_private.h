/* What the files share that know libpq: the only header that includes it. */
#ifndef HUBD_LEDGER_PGCONN_PRIVATE_H
#define HUBD_LEDGER_PGCONN_PRIVATE_H

#include <libpq-fe.h>

#include "hubd/ledger/pgconn.h"

struct pg_rows {
	PGresult *res;
};

#endif

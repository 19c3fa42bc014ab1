/* The table of store backends. */
#include "hubd/ledger/ledger.h"

#include <string.h>

#include "hubd/ledger/ledger_pg.h"

static const struct ledger_ops *const backends[] = {
    &ledger_sqlite,
    &ledger_pg,
};

const struct ledger_ops *
ledger_ops_of(const char *store)
{
	size_t i, n;

	/* libpq's other word for it */
	if (strncmp(store, "postgres:", 9) == 0)
		return (&ledger_pg);
	for (i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		n = strlen(backends[i]->name);
		if (strncmp(store, backends[i]->name, n) == 0 &&
		    (store[n] == '\0' || store[n] == ':'))
			return (backends[i]);
	}
	return (NULL);
}

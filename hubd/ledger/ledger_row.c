/* What stores share about rows. */
#include <stdio.h>
#include <string.h>

#include "hubd/ledger/ledger.h"

void
ledger_row_free(struct ledger_row *r)
{
	memset(&r->usage, 0, sizeof(r->usage));
	snprintf(r->amount, sizeof(r->amount), "0");
	r->estimated[0] = '\0';
	r->unpriced_kinds = false;
	r->again = true;
}

/* Is a row's amount what its usage and its price version say? */
#ifndef HUBD_LEDGER_RECOMPUTE_H
#define HUBD_LEDGER_RECOMPUTE_H

#include "hubd/ledger/ledger.h"

#define RECOMPUTE_VERSIONS 8 /* kept in memory */

struct recompute {
	const struct ledger_ops *ops;
	struct ledger *l;
	struct price_blob *versions[RECOMPUTE_VERSIONS];
	unsigned next;	     /* place of the one to be replaced */
	uint64_t unreadable; /* a version that is there, but not for us */
};

/* Price versions are asked of that store. */
void recompute_init(
    struct recompute *, const struct ledger_ops *, struct ledger *);
void recompute_fini(struct recompute *);
/* OK, CONFLICT: it is not, REFUSED: nobody here can say, DOWN. */
enum ledger_result recompute_row(struct recompute *, const struct ledger_row *);

#endif

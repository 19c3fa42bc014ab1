/* What the audits of all stores share: is a row's amount what its usage and its
 * price version say, and what becomes of that. */
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

/* Notes what is bad, if it is the first that is. */
void audit_bad(struct ledger_audit *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Counts a row by what recompute_row() said of it. false: the store is away. */
bool audit_verdict(
    struct ledger_audit *, const struct ledger_row *, enum ledger_result);

#endif

/* Private to the SQLite backend: what the files of the audit share. */
#ifndef HUBD_LEDGER_SQLITE_AUDIT_H
#define HUBD_LEDGER_SQLITE_AUDIT_H

#include "hubd/ledger/ledger_sqlite.h"
#include "hubd/ledger/recompute.h"

/* What the changes of one account add up to. */
struct tally {
	struct ledger_account account;
	amount_t *balance, *charges;
	/* Of the sealed month at hand: what its file has of the account. */
	amount_t *sealed;
	uint64_t nsealed;
};

struct audit {
	struct ledger *l;
	struct ledger_audit *out;
	bool full;
	struct tally *tallies; /* ascending by id */
	size_t n, room;
	struct recompute recompute;
	amount_t *scratch, *ledger_sum, *charges_sum;
};

/* False and zero if the text is no amount. */
bool audit_amount(amount_t *, const char *text);
/* Is that the text's amount? Uses scratch. */
bool audit_equals(struct audit *, const char *text, const amount_t *expected);
/* NULL: there is no such account. */
struct tally *audit_tally(struct audit *, uint32_t account);
/* Judges and counts the rows of a query, and adds them to the ledger's sum: of
 * each ROW_COLUMNS and the amount of its balance change, "" if it has none.
 * also, if not NULL, is called with each. */
enum ledger_result audit_each(struct audit *, struct query *,
    void (*also)(struct audit *, const struct ledger_row *));

/* ---- sqlite_audit_months.c ----------------------------------------------- */

/* Sealed months: their recorded sums count as changes that have gone, and each
 * file is held against them. Accounts must be in the tallies already. */
enum ledger_result audit_months(struct audit *);

#endif

/*
 * Sums over ledger rows by what a person asks for: account, model, day, key
 * or agent. Exact, in memory that is bounded by the number of groups.
 */
#ifndef HUBD_BILLING_GROUPS_H
#define HUBD_BILLING_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hubd/ledger/ledger.h"

#define GROUPS_MAX 20000

enum group_by { BY_ACCOUNT, BY_MODEL, BY_DAY, BY_KEY, BY_AGENT, GROUP_BYS };
/* "account", "model", ...: what is typed and how a group's name is called. */
const char *group_by_str(enum group_by);
/* false: it is none of these. */
bool group_by_parse(const char *, enum group_by *);

struct group {
	char name[PRICE_NAME_MAX]; /* a day is "2026-01-31", in UTC */
	uint64_t requests;
	struct usage usage; /* saturating */
	amount_t *amount;
};

struct groups {
	enum group_by by;
	struct group **sorted; /* by name, ascending */
	size_t n, room;
	struct group *last; /* neighbours are often of one group */
	struct group total;
	bool too_many; /* rows were left out: the sums are worth nothing */
	bool broken;   /* an amount could not be read: likewise */
	amount_t *scratch;
};

void groups_init(struct groups *, enum group_by);
void groups_fini(struct groups *);
void groups_add(struct groups *, const struct ledger_row *);

#endif

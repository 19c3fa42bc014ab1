/*
 * Rows that wait go to the shared store, as many at a time as there are; then
 * billing is told which are there and what their accounts have now. Killed
 * anywhere between, the same rows are sent again, which is no harm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/billing/courier.h"

#define SUSPENSE_BATCH 64

struct load {
	struct ledger_row rows[PG_BATCH_MAX];
	enum ledger_result results[PG_BATCH_MAX];
	size_t n;
	struct pg_balance balances[PG_BATCH_MAX];
	size_t nbalances;
};

static struct load load; /* a megabyte: not for the stack */

/* ---- balances of a batch ------------------------------------------------- */

static struct pg_balance *
balance_of(uint32_t account)
{
	size_t i;

	for (i = 0; i < load.nbalances; i++)
		if (load.balances[i].account == account)
			return (&load.balances[i]);
	return (NULL);
}

/* The newest of each account. */
static void
on_balance(void *arg, const struct pg_balance *b)
{
	struct pg_balance *there = balance_of(b->account);

	/* rows that go one by one may be many, and the store far */
	courier_breathe(arg);
	if (there == NULL && load.nbalances < PG_BATCH_MAX)
		load.balances[load.nbalances++] = courier_readable(b);
	else if (there != NULL && there->seq < b->seq)
		*there = courier_readable(b);
}

/*
 * A row that was there already changes no balance now; but whether this hub
 * has heard of the one it did change is not known. LEDGER_DOWN: nothing may
 * be said of these rows yet.
 */
static enum ledger_result
ask_balance(struct courier *c, uint32_t account)
{
	struct pg_balance b = {.account = account};
	struct ledger_account a;
	enum ledger_result rc;

	if (balance_of(account) != NULL)
		return (LEDGER_OK);
	rc = ledger_pg.account_get(c->store, account, &a);
	if (rc != LEDGER_OK)
		return (LEDGER_DOWN);
	b.seq = a.seq;
	snprintf(b.balance, sizeof(b.balance), "%s", a.balance);
	snprintf(b.spent, sizeof(b.spent), "%s", a.spent);
	on_balance(c, &b);
	return (LEDGER_OK);
}

static enum ledger_result
complete_balances(struct courier *c)
{
	enum ledger_result rc = LEDGER_OK;
	size_t i;

	for (i = 0; i < load.n && rc == LEDGER_OK; i++)
		if (load.results[i] == LEDGER_OK)
			rc = ask_balance(c, load.rows[i].account);
	return (rc);
}

/* ---- word of it ---------------------------------------------------------- */

static uint32_t
next_token(struct courier *c)
{
	if (++c->tokens == 0)
		c->tokens = 1;
	return (c->awaiting = c->tokens);
}

static void
send_taken(struct courier *c, struct mirror_taken *t)
{
	if (t->nids == 0)
		return;
	mirror_put_taken(&c->out, next_token(c), t);
	t->nids = t->nbalances = 0;
}

/* Each piece has the balances of its rows' accounts. */
static void
add_taken(struct courier *c, struct mirror_taken *t, const struct ledger_row *r)
{
	uint32_t i;

	t->ids[t->nids++] = r->id;
	for (i = 0; i < t->nbalances; i++)
		if (t->balances[i].account == r->account)
			break;
	if (i == t->nbalances) {
		t->balances[i] = *balance_of(r->account);
		(void)courier_is_news(c, &t->balances[i]);
		t->nbalances++;
	}
	if (t->nids == MIRROR_ROWS)
		send_taken(c, t);
}

static void
send_refused(
    struct courier *c, const struct ledger_row *r, enum ledger_result why)
{
	struct mirror_refused refused = {.id = r->id};

	snprintf(refused.reason, sizeof(refused.reason), "%s",
	    why == LEDGER_CONFLICT ? "another row of this id is booked"
				   : "the shared store refuses the row");
	courier_put(
	    c, MIRROR_REFUSED, next_token(c), &refused, sizeof(refused));
	c->aside = true;
}

static void
report(struct courier *c)
{
	static struct mirror_taken taken;
	size_t i;

	for (i = 0; i < load.n; i++) {
		if (load.results[i] == LEDGER_OK)
			add_taken(c, &taken, &load.rows[i]);
		else
			send_refused(c, &load.rows[i], load.results[i]);
	}
	send_taken(c, &taken);
	courier_flush(c);
}

/* ---- a batch ------------------------------------------------------------- */

static void
collect(void *arg, const struct ledger_row *r)
{
	load.rows[load.n++] = *r;
}

void
courier_flow(struct courier *c)
{
	load.n = load.nbalances = 0;
	c->rows = false;
	if (spool_each_row(c->spool, PG_BATCH_MAX, collect, NULL) !=
		LEDGER_OK ||
	    load.n == 0)
		return;
	c->rows = load.n == PG_BATCH_MAX;
	if (pg_book(c->store, load.rows, load.n, load.results, on_balance, c) !=
		LEDGER_OK ||
	    complete_balances(c) != LEDGER_OK) {
		courier_down(c);
		return;
	}
	(void)FAILPOINT("courier.committed");
	report(c);
}

/* ---- put aside ----------------------------------------------------------- */

static void
move_aside(void *arg, int64_t number, req_id_t id, const char *reason,
    const void *raw, size_t n)
{
	struct courier *c = arg;
	enum ledger_result rc;

	if (!c->up)
		return;
	rc = ledger_pg.suspend(c->store, id, reason, raw, n);
	if (rc != LEDGER_OK && rc != LEDGER_CONFLICT) {
		courier_down(c);
		return;
	}
	c->suspense += rc == LEDGER_OK; /* else it is there already */
	/* Said once: its number may be another's when that has been heard. */
	courier_put(
	    c, MIRROR_SUSPENDED, next_token(c), &number, sizeof(number));
}

void
courier_flow_suspense(struct courier *c)
{
	c->aside = false;
	(void)spool_each_suspense(c->spool, SUSPENSE_BATCH, move_aside, c);
	courier_flush(c);
}

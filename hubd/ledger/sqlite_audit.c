/*
 * The audit: adds everything up again and compares. Sums are made here,
 * exactly; SQL only hands out the rows.
 */
#include "hubd/ledger/ledger_sqlite.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/ledger/sqlite_audit.h"

bool
audit_amount(amount_t *a, const char *text)
{
	if (amount_parse(a, text, strlen(text)) == 0)
		return (true);
	amount_zero(a);
	return (false);
}

bool
audit_equals(struct audit *a, const char *text, const amount_t *expected)
{
	return (audit_amount(a->scratch, text) &&
		amount_cmp(a->scratch, expected) == 0);
}

/* ---- balances ------------------------------------------------------------ */

static void
on_account(void *arg, const struct ledger_account *account)
{
	struct audit *a = arg;

	if (a->n == a->room) {
		a->room = a->room == 0 ? 64 : a->room * 2;
		a->tallies =
		    xrealloc(a->tallies, a->room * sizeof(*a->tallies));
	}
	a->tallies[a->n++] = (struct tally){.account = *account,
	    .balance = amount_new(),
	    .charges = amount_new(),
	    .sealed = amount_new()};
}

static int
compare_id(const void *key, const void *tally)
{
	const uint32_t *id = key;
	const struct tally *t = tally;

	return ((*id > t->account.id) - (*id < t->account.id));
}

struct tally *
audit_tally(struct audit *a, uint32_t account)
{
	return (a->n == 0 ? NULL
			  : bsearch(&account, a->tallies, a->n,
				sizeof(*a->tallies), compare_id));
}

static void
add_change(struct audit *a, uint32_t account, bool charge)
{
	struct tally *t = audit_tally(a, account);

	if (t != NULL)
		amount_add(t->balance, a->scratch);
	if (!charge)
		return;
	/* Charges are negative; what was charged is not. */
	amount_neg(a->scratch);
	if (t != NULL)
		amount_add(t->charges, a->scratch);
	amount_add(a->charges_sum, a->scratch);
}

static enum ledger_result
sum_changes(struct audit *a)
{
	struct query q = db_query(a->l,
	    "SELECT id, account, kind = 'charge', amount FROM balance_change");
	char text[AMOUNT_TEXT_MAX];
	enum db_step step;
	uint32_t account;
	int64_t id;
	bool charge;

	while ((step = db_step(&q)) == DB_ROW) {
		id = db_int(&q);
		account = (uint32_t)db_int(&q);
		charge = db_int(&q) != 0;
		db_text(&q, text, sizeof(text));
		if (!audit_amount(a->scratch, text))
			audit_bad(a->out, "balance change %" PRId64, id);
		add_change(a, account, charge);
		a->out->changes++;
	}
	db_end(&q);
	return (db_result(step));
}

static void
judge_accounts(struct audit *a)
{
	const struct tally *t;
	size_t i;

	for (i = 0; i < a->n; i++) {
		t = &a->tallies[i];
		a->out->accounts++;
		if (audit_equals(a, t->account.balance, t->balance) &&
		    audit_equals(a, t->account.spent, t->charges))
			continue;
		a->out->bad_accounts++;
		audit_bad(a->out, "account %s", t->account.name);
	}
}

static enum ledger_result
audit_balances(struct audit *a)
{
	enum ledger_result rc;

	rc = sqlite_each_account(a->l, on_account, a);
	if (rc == LEDGER_OK)
		rc = sum_changes(a);
	if (rc == LEDGER_OK)
		rc = audit_months(a);
	if (rc == LEDGER_OK)
		judge_accounts(a);
	return (rc);
}

/* ---- rows ---------------------------------------------------------------- */

/* As recompute_row(). charge: the amount of the change with the row's id, "" if
 * none. */
static enum ledger_result
judge_row(
    struct audit *a, const struct ledger_row *r, const char *charge, bool full)
{
	amount_t *amount = amount_new();
	bool good;

	good = audit_amount(amount, r->amount);
	amount_add(a->ledger_sum, amount);
	amount_neg(amount);
	good = good && audit_equals(a, charge, amount);
	amount_free(amount);
	if (!good)
		return (LEDGER_CONFLICT);
	return (full ? recompute_row(&a->recompute, r) : LEDGER_OK);
}

enum ledger_result
audit_each(struct audit *a, struct query *q,
    void (*also)(struct audit *, const struct ledger_row *))
{
	char charge[AMOUNT_TEXT_MAX];
	struct ledger_row r;
	enum db_step step;

	while ((step = db_step(q)) == DB_ROW) {
		row_read(q, &r);
		db_text(q, charge, sizeof(charge));
		a->out->rows++;
		if (!audit_verdict(
			a->out, &r, judge_row(a, &r, charge, a->full))) {
			step = DB_DOWN;
			break;
		}
		if (also != NULL)
			also(a, &r);
	}
	db_end(q);
	return (db_result(step));
}

static enum ledger_result
audit_rows(struct audit *a)
{
	struct query q = db_query(a->l,
	    "SELECT l.id, l.time_ms, l.account, key, agent, provider, "
	    "dialect, endpoint, model, price, tier, price_version, status, "
	    "stream, outcome, attempts, usage, l.amount, estimated, "
	    "unpriced_kinds, duration_ms, coalesce(c.amount, '') "
	    "FROM ledger l LEFT JOIN balance_change c ON c.kind = 'charge' "
	    "AND c.ref = l.id AND c.account = l.account");

	return (audit_each(a, &q, NULL));
}

/* Charges without a row. */
static enum ledger_result
audit_strays(struct audit *a)
{
	struct query q = db_query(a->l,
	    "SELECT ref FROM balance_change c WHERE kind = 'charge' AND "
	    "NOT EXISTS (SELECT 1 FROM ledger l WHERE l.id = c.ref)");
	char ref[REQ_ID_TEXT];
	enum db_step step;

	while ((step = db_step(&q)) == DB_ROW) {
		db_text(&q, ref, sizeof(ref));
		a->out->bad_rows++;
		audit_bad(a->out, "charge %s", ref);
	}
	db_end(&q);
	return (db_result(step));
}

static enum ledger_result
count_suspense(struct audit *a)
{
	struct query q =
	    db_query(a->l, "SELECT count(*) FROM suspense WHERE how = ''");
	enum db_step step = db_step(&q);

	if (step == DB_ROW)
		a->out->suspense = (uint64_t)db_int(&q);
	db_end(&q);
	return (db_result(step));
}

static void
audit_fini(struct audit *a)
{
	size_t i;

	for (i = 0; i < a->n; i++) {
		amount_free(a->tallies[i].balance);
		amount_free(a->tallies[i].charges);
		amount_free(a->tallies[i].sealed);
	}
	free(a->tallies);
	recompute_fini(&a->recompute);
	amount_free(a->scratch);
	amount_free(a->ledger_sum);
	amount_free(a->charges_sum);
}

enum ledger_result
sqlite_audit(struct ledger *l, bool full, struct ledger_audit *out)
{
	struct audit a = {.l = l, .out = out, .full = full};
	enum ledger_result rc;

	memset(out, 0, sizeof(*out));
	/* All of it from one state of the store. */
	if (db_begin_read(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	recompute_init(&a.recompute, &ledger_sqlite, l);
	a.scratch = amount_new();
	a.ledger_sum = amount_new();
	a.charges_sum = amount_new();
	if ((rc = audit_balances(&a)) == LEDGER_OK &&
	    (rc = audit_rows(&a)) == LEDGER_OK &&
	    (rc = audit_strays(&a)) == LEDGER_OK)
		rc = count_suspense(&a);
	db_end_read(l);
	if (rc == LEDGER_OK &&
	    (amount_format(a.ledger_sum, out->ledger_sum) == -1 ||
		amount_format(a.charges_sum, out->charges_sum) == -1))
		rc = LEDGER_REFUSED;
	audit_fini(&a);
	return (rc);
}

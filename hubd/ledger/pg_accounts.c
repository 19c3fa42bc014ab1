/* Accounts and their balances in PostgreSQL. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/monotime.h"
#include "hubd/ledger/pg_private.h"

#define ACCOUNT_COLUMNS                                               \
	"SELECT id, name, disabled, overdraft, trim_scale(balance), " \
	"trim_scale(spent), seq FROM account "

/* ---- balances ------------------------------------------------------------ */

void
pg_balance_read(
    const struct pg_rows *rows, size_t row, int column, struct pg_balance *b)
{
	memset(b, 0, sizeof(*b));
	b->account = (uint32_t)pg_int(rows, row, column);
	b->seq = pg_int(rows, row, column + 1);
	pg_copy(rows, row, column + 2, b->balance, sizeof(b->balance));
	pg_copy(rows, row, column + 3, b->spent, sizeof(b->spent));
}

/* A credit whose ref is there already: the same one or another? */
static enum ledger_result
compare_credit(
    struct ledger *l, uint32_t account, const char *amount, const char *ref)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	pg_add_int(&args, account);
	pg_add_text(&args, ref);
	pg_add_text(&args, amount);
	rc = pg_run(l,
	    "SELECT 1 FROM balance_change WHERE kind = 'credit' AND "
	    "account = $1::integer AND ref = $2::text AND ref <> '' AND "
	    "amount = $3::numeric",
	    &args, &rows);
	if (rc == LEDGER_OK && pg_count(rows) == 0)
		rc = LEDGER_CONFLICT;
	pg_rows_free(rows);
	return (rc);
}

static const char *
kind_str(enum ledger_change_kind kind)
{
	return (kind == CHANGE_CREDIT ? "credit" : "debit");
}

enum ledger_result
pg_account_change(struct ledger *l, uint32_t id, enum ledger_change_kind kind,
    const amount_t *change, const char *ref)
{
	struct pg_args args = {0};
	char amount[AMOUNT_TEXT_MAX];
	enum ledger_result rc;
	struct pg_rows *rows;
	bool done;

	/* Charges come with their rows, through book(). */
	assert(kind != CHANGE_CHARGE);
	if (amount_format(change, amount) == -1)
		return (LEDGER_REFUSED);
	if (pg_ready(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	pg_add_int(&args, id);
	pg_add_int(&args, walltime_ms());
	pg_add_text(&args, kind_str(kind));
	pg_add_text(&args, amount);
	pg_add_text(&args, ref != NULL ? ref : "");
	pg_add_text(&args, l->channel);
	rc = pg_run(l,
	    "WITH c AS (INSERT INTO balance_change (account, time_ms, kind, "
	    "amount, ref) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING "
	    "RETURNING account, amount), "
	    "told AS (UPDATE account a SET balance = a.balance + c.amount, "
	    "seq = a.seq + 1, changed = 0 FROM c WHERE a.id = c.account "
	    "RETURNING a.id, a.seq, a.balance, a.spent), "
	    "tell AS (" PG_TELL(
		"$6") ") "
		      "SELECT (SELECT count(*) FROM tell) FROM told",
	    &args, &rows);
	done = rc == LEDGER_OK && pg_count(rows) > 0;
	pg_rows_free(rows);
	return (rc != LEDGER_OK || done
		    ? rc
		    : compare_credit(l, id, amount, ref != NULL ? ref : ""));
}

static bool
on_balance(void *arg, const struct pg_rows *rows, size_t row)
{
	struct {
		pg_balance_fn *fn;
		void *arg;
	} *to = arg;
	struct pg_balance b;

	pg_balance_read(rows, row, 0, &b);
	to->fn(to->arg, &b);
	return (true);
}

enum ledger_result
pg_balances(struct ledger *l, pg_balance_fn *fn, void *arg)
{
	struct {
		pg_balance_fn *fn;
		void *arg;
	} to = {fn, arg};

	return (pg_each(l, "SELECT " PG_BALANCE_COLUMNS " FROM account", NULL,
	    on_balance, &to));
}

/* ---- accounts ------------------------------------------------------------ */

/* No number is used up by a name that is taken. */
static enum ledger_result
insert_account(struct ledger *l, const char *name, uint32_t *id)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	pg_add_text(&args, name);
	rc = pg_run(l,
	    "INSERT INTO account (name) SELECT $1::text WHERE NOT EXISTS "
	    "(SELECT 1 FROM account WHERE name = $1::text) RETURNING id",
	    &args, &rows);
	if (rc == LEDGER_OK && pg_count(rows) == 0)
		rc = LEDGER_CONFLICT;
	if (rc == LEDGER_OK)
		*id = (uint32_t)pg_int(rows, 0, 0);
	pg_rows_free(rows);
	return (rc);
}

enum ledger_result
pg_account_add(
    struct ledger *l, const char *name, const amount_t *credit, uint32_t *id)
{
	enum ledger_result rc;

	if ((rc = pg_begin(l)) != LEDGER_OK)
		return (rc);
	rc = insert_account(l, name, id);
	if (rc == LEDGER_OK && credit != NULL)
		rc = pg_account_change(l, *id, CHANGE_CREDIT, credit, "");
	return (pg_end(l, rc));
}

enum ledger_result
pg_account_set(
    struct ledger *l, uint32_t id, const char *overdraft, const bool *disabled)
{
	struct pg_args args = {0};
	char text[AMOUNT_TEXT_MAX];
	enum ledger_result rc;
	uint64_t changed = 0;

	if (overdraft != NULL && overdraft_write(overdraft, text) == -1)
		return (LEDGER_REFUSED);
	pg_add_text(&args, overdraft != NULL ? text : NULL);
	pg_add_text(&args, disabled == NULL ? NULL : (*disabled ? "t" : "f"));
	pg_add_int(&args, id);
	rc = pg_do(l,
	    "UPDATE account SET overdraft = coalesce($1, overdraft), "
	    "disabled = coalesce($2, disabled) WHERE id = $3",
	    &args, &changed);
	return (rc == LEDGER_OK && changed == 0 ? LEDGER_MISSING : rc);
}

static void
read_account(const struct pg_rows *rows, size_t row, struct ledger_account *a)
{
	memset(a, 0, sizeof(*a));
	a->id = (uint32_t)pg_int(rows, row, 0);
	pg_copy(rows, row, 1, a->name, sizeof(a->name));
	a->disabled = pg_bool(rows, row, 2);
	pg_copy(rows, row, 3, a->overdraft, sizeof(a->overdraft));
	pg_copy(rows, row, 4, a->balance, sizeof(a->balance));
	pg_copy(rows, row, 5, a->spent, sizeof(a->spent));
	a->seq = pg_int(rows, row, 6);
	if (strcmp(a->overdraft, UNLIMITED) == 0) {
		a->overdraft_unlimited = true;
		snprintf(a->overdraft, sizeof(a->overdraft), "0");
	}
}

enum ledger_result
pg_account_get(struct ledger *l, uint32_t id, struct ledger_account *a)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	pg_add_int(&args, id);
	rc = pg_find(l, ACCOUNT_COLUMNS "WHERE id = $1", &args, &rows);
	if (rc == LEDGER_OK)
		read_account(rows, 0, a);
	pg_rows_free(rows);
	return (rc);
}

struct account_sink {
	void (*fn)(void *, const struct ledger_account *);
	void *arg;
};

static bool
on_account(void *arg, const struct pg_rows *rows, size_t row)
{
	const struct account_sink *to = arg;
	struct ledger_account a;

	read_account(rows, row, &a);
	to->fn(to->arg, &a);
	return (true);
}

enum ledger_result
pg_each_account(struct ledger *l,
    void (*fn)(void *, const struct ledger_account *), void *arg)
{
	struct account_sink to = {fn, arg};

	return (
	    pg_each(l, ACCOUNT_COLUMNS "ORDER BY id", NULL, on_account, &to));
}

enum ledger_result
pg_accounts_after(struct ledger *l, int64_t changed,
    void (*fn)(void *, const struct ledger_account *), void *arg)
{
	struct account_sink to = {fn, arg};
	struct pg_args args = {0};

	pg_add_int(&args, changed);
	return (pg_each(l, ACCOUNT_COLUMNS "WHERE changed > $1 ORDER BY id",
	    &args, on_account, &to));
}

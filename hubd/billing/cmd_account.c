/* hubctl account ...: accounts and their money. */
#include <stdio.h>
#include <string.h>

#include "hubd/billing/commands.h"
#include "shm/cells.h"

uint32_t
find_account(struct billing *b, struct reply *r, const char *name)
{
	uint32_t id = dir_find(&b->accounts, name);

	if (id == 0)
		reply_refuse(r, "there is no account %s", name);
	return (id);
}

void
put_account(struct billing *b, struct jout *j, const struct ledger_account *a)
{
	uint32_t row = dir_row(&b->accounts, a->id);
	char held[AMOUNT_TEXT_MAX] = "0";

	if (row != DIR_NO_ROW) {
		amount_from_nano(
		    b->sum, cells_held(b->shm, cell_of_account(b->shm, row)));
		amount_format(b->sum, held);
	}
	jout_begin_object(j);
	jout_kstr(j, "name", a->name);
	jout_kstr(j, "balance", a->balance);
	jout_kstr(j, "held", held);
	jout_kstr(j, "spent", a->spent);
	jout_kstr(j, "overdraft",
	    a->overdraft_unlimited ? "unlimited" : a->overdraft);
	jout_kstr(j, "state", a->disabled ? "disabled" : "active");
	jout_end_object(j);
}

/* Publishes an account after a change and answers with it. */
static void
show_changed(struct billing *b, struct reply *r, uint32_t id)
{
	struct ledger_account a;

	/* who is told to try again would credit twice */
	if (b->ops->account_get(b->store, id, &a) != LEDGER_OK) {
		reply_refuse(r,
		    "it is done, but the store has gone away: the hub takes "
		    "note of it at its next start");
		return;
	}
	if (!publish_account(b, &a)) {
		reply_refuse(r,
		    "account %s has no room in memory: raise "
		    "max_accounts and restart",
		    a.name);
		return;
	}
	jout_begin_object(&r->j);
	jout_key(&r->j, "accounts");
	jout_begin_array(&r->j);
	put_account(b, &r->j, &a);
	jout_end_array(&r->j);
	jout_end_object(&r->j);
}

/* So that a balance can always be read back: amount_parse() has its end. */
static bool
is_moderate(const amount_t *a)
{
	static const char most[] = "1e30";
	amount_t *max = amount_new();
	bool less;

	amount_parse(max, most, strlen(most));
	less = amount_cmp(a, max) < 0;
	amount_free(max);
	return (less);
}

/* An amount, or a refusal. The caller frees it. */
static amount_t *
parse_amount(struct reply *r, const char *text, bool zero_too)
{
	amount_t *a = amount_new();

	if (amount_parse(a, text, strlen(text)) == 0 &&
	    amount_sign(a) >= (zero_too ? 0 : 1) && is_moderate(a))
		return (a);
	amount_free(a);
	reply_refuse(r,
	    "an amount is a decimal number of USD %s and below 10^30, with at "
	    "most 24 decimals",
	    zero_too ? "from 0" : "above 0");
	return (NULL);
}

static bool
change(struct billing *b, struct reply *r, uint32_t id,
    enum ledger_change_kind kind, const amount_t *amount, const char *ref)
{
	enum ledger_result result =
	    b->ops->account_change(b->store, id, kind, amount, ref);

	if (result == LEDGER_CONFLICT) {
		reply_refuse(
		    r, "ref %s stands for another amount or account", ref);
		return (false);
	}
	/* who is told to try again would change it twice */
	if (result == LEDGER_DOWN && store_is_shared(b)) {
		reply_refuse(r, "the store has gone away: whether this is done "
				"is not known; see the balance before you try "
				"again");
		return (false);
	}
	return (!reply_store(r, result, "account", dir_name(&b->accounts, id)));
}

bool
check_text(struct reply *r, const char *what, const char *text)
{
	if (text == NULL || (text[0] != '\0' && strlen(text) <= 200))
		return (true);
	reply_refuse(r, "%s: 1 to 200 bytes", what);
	return (false);
}

static void
add(struct billing *b, struct reply *r, const char *name,
    const amount_t *credit)
{
	uint32_t id = 0;

	if (!dir_has_room(&b->accounts)) {
		reply_refuse(r,
		    "all %u accounts are in use: raise "
		    "max_accounts and restart",
		    b->accounts.max_rows);
		return;
	}
	if (reply_store(r, b->ops->account_add(b->store, name, credit, &id),
		"account", name))
		return;
	dir_put(&b->accounts, id, name);
	show_changed(b, r, id);
}

void
cmd_account_add(struct billing *b, const struct json *args, struct reply *r)
{
	const char *name = json_get_str(args, "name");
	const char *text = json_get_str(args, "credit");
	amount_t *credit = NULL;

	if (!check_name(r, "name", name) ||
	    (text != NULL && (credit = parse_amount(r, text, true)) == NULL))
		return;
	/* a credit of nothing is none */
	add(b, r, name,
	    credit != NULL && amount_sign(credit) > 0 ? credit : NULL);
	amount_free(credit);
}

static void
change_by_name(struct billing *b, const struct json *args, struct reply *r,
    enum ledger_change_kind kind, const char *ref)
{
	uint32_t id = find_account(b, r, json_get_str(args, "name"));
	amount_t *amount;

	if (id == 0 || (amount = parse_amount(
			    r, json_get_str(args, "amount"), false)) == NULL)
		return;
	if (kind == CHANGE_DEBIT)
		amount_neg(amount);
	if (change(b, r, id, kind, amount, ref))
		show_changed(b, r, id);
	amount_free(amount);
}

void
cmd_account_credit(struct billing *b, const struct json *args, struct reply *r)
{
	const char *ref = json_get_str(args, "ref");

	if (check_text(r, "ref", ref))
		change_by_name(b, args, r, CHANGE_CREDIT, ref);
}

void
cmd_account_debit(struct billing *b, const struct json *args, struct reply *r)
{
	const char *reason = json_get_str(args, "reason");

	if (check_text(r, "reason", reason))
		change_by_name(b, args, r, CHANGE_DEBIT, reason);
}

static bool
check_overdraft(struct reply *r, const char *text)
{
	amount_t *a;
	bool good;

	if (strcmp(text, "unlimited") == 0)
		return (true);
	a = amount_new();
	good = amount_parse(a, text, strlen(text)) == 0 &&
	       amount_sign(a) >= 0 && is_moderate(a);
	amount_free(a);
	if (!good)
		reply_refuse(r, "an overdraft is a decimal number of USD, 0 or "
				"more and below 10^30, or unlimited");
	return (good);
}

static void
set(struct billing *b, struct reply *r, const char *name, const char *overdraft,
    const bool *disabled)
{
	uint32_t id = find_account(b, r, name);

	if (id == 0 ||
	    reply_store(r,
		b->ops->account_set(b->store, id, overdraft, disabled),
		"account", name))
		return;
	show_changed(b, r, id);
}

void
cmd_account_set(struct billing *b, const struct json *args, struct reply *r)
{
	const char *overdraft = json_get_str(args, "overdraft");

	if (check_overdraft(r, overdraft))
		set(b, r, json_get_str(args, "name"), overdraft, NULL);
}

void
cmd_account_disable(struct billing *b, const struct json *args, struct reply *r)
{
	set(b, r, json_get_str(args, "name"), NULL, &(bool){true});
}

void
cmd_account_enable(struct billing *b, const struct json *args, struct reply *r)
{
	set(b, r, json_get_str(args, "name"), NULL, &(bool){false});
}

/* Accounts, keys and agents of the store in memory. */
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/ledger/null_private.h"

/* ---- lists --------------------------------------------------------------- */

void *
null_item(const struct list *l, size_t i)
{
	return (l->items + i * l->size);
}

void *
null_append(struct list *l, const void *thing)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 16;
		l->items = xrealloc(l->items, l->cap * l->size);
	}
	memcpy(null_item(l, l->n), thing, l->size);
	return (null_item(l, l->n++));
}

void
null_remove(struct list *l, size_t i)
{
	l->n--;
	memmove(null_item(l, i), null_item(l, i + 1), (l->n - i) * l->size);
}

struct ledger_account *
null_account(struct ledger *l, uint32_t id)
{
	return (id == 0 || id > l->accounts.n
		    ? NULL
		    : null_item(&l->accounts, id - 1));
}

void
null_add_text(char text[AMOUNT_TEXT_MAX], const amount_t *amount, bool negative)
{
	amount_t *sum = amount_new();

	amount_parse(sum, text, strlen(text));
	if (negative)
		amount_sub(sum, amount);
	else
		amount_add(sum, amount);
	amount_format(sum, text);
	amount_free(sum);
}

/* ---- accounts ------------------------------------------------------------ */

enum ledger_result
null_account_add(
    struct ledger *l, const char *name, const amount_t *credit, uint32_t *id)
{
	struct ledger_account a = {.id = (uint32_t)l->accounts.n + 1};
	size_t i;

	if (l->down)
		return (LEDGER_DOWN);
	for (i = 0; i < l->accounts.n; i++)
		if (strcmp(null_account(l, (uint32_t)i + 1)->name, name) == 0)
			return (LEDGER_CONFLICT);
	snprintf(a.name, sizeof(a.name), "%s", name);
	snprintf(a.overdraft, sizeof(a.overdraft), "0");
	snprintf(a.balance, sizeof(a.balance), "0");
	snprintf(a.spent, sizeof(a.spent), "0");
	null_append(&l->accounts, &a);
	*id = a.id;
	if (credit != NULL)
		return (
		    null_account_change(l, a.id, CHANGE_CREDIT, credit, NULL));
	return (LEDGER_OK);
}

/* Was that ref used before? Then *same says whether for the same. */
static bool
ref_used(const struct ledger *l, const struct null_change *c, bool *same)
{
	const struct null_change *old;
	size_t i;

	for (i = 0; i < l->changes.n; i++) {
		old = null_item(&l->changes, i);
		if (old->kind != CHANGE_CREDIT || old->ref[0] == '\0' ||
		    strcmp(old->ref, c->ref) != 0)
			continue;
		*same = old->account == c->account &&
			strcmp(old->amount, c->amount) == 0;
		return (true);
	}
	return (false);
}

enum ledger_result
null_account_change(struct ledger *l, uint32_t id, enum ledger_change_kind kind,
    const amount_t *amount, const char *ref)
{
	struct ledger_account *a = null_account(l, id);
	struct null_change c = {.account = id, .kind = kind};
	bool same = false;

	if (l->down)
		return (LEDGER_DOWN);
	if (a == NULL)
		return (LEDGER_MISSING);
	amount_format(amount, c.amount);
	snprintf(c.ref, sizeof(c.ref), "%s", ref != NULL ? ref : "");
	if (kind == CHANGE_CREDIT && ref_used(l, &c, &same))
		return (same ? LEDGER_OK : LEDGER_CONFLICT);
	null_append(&l->changes, &c);
	null_add_text(a->balance, amount, false);
	return (LEDGER_OK);
}

enum ledger_result
null_account_set(
    struct ledger *l, uint32_t id, const char *overdraft, const bool *disabled)
{
	struct ledger_account *a = null_account(l, id);

	if (l->down)
		return (LEDGER_DOWN);
	if (a == NULL)
		return (LEDGER_MISSING);
	if (overdraft != NULL) {
		a->overdraft_unlimited = strcmp(overdraft, "unlimited") == 0;
		snprintf(a->overdraft, sizeof(a->overdraft), "%s",
		    a->overdraft_unlimited ? "0" : overdraft);
	}
	if (disabled != NULL)
		a->disabled = *disabled;
	return (LEDGER_OK);
}

enum ledger_result
null_account_get(struct ledger *l, uint32_t id, struct ledger_account *out)
{
	const struct ledger_account *a = null_account(l, id);

	if (l->down)
		return (LEDGER_DOWN);
	if (a == NULL)
		return (LEDGER_MISSING);
	*out = *a;
	return (LEDGER_OK);
}

enum ledger_result
null_each_account(struct ledger *l,
    void (*fn)(void *, const struct ledger_account *), void *arg)
{
	size_t i;

	for (i = 0; i < l->accounts.n && !l->down; i++)
		fn(arg, null_item(&l->accounts, i));
	return (l->down ? LEDGER_DOWN : LEDGER_OK);
}

/* ---- keys and agents ----------------------------------------------------- */

static struct ledger_key *
find_key(struct ledger *l, const char *id)
{
	struct ledger_key *k;
	size_t i;

	for (i = 0; i < l->keys.n; i++) {
		k = null_item(&l->keys, i);
		if (strcmp(k->id, id) == 0)
			return (k);
	}
	return (NULL);
}

enum ledger_result
null_key_get(struct ledger *l, const char *id, struct ledger_key *out)
{
	const struct ledger_key *k = find_key(l, id);

	if (l->down)
		return (LEDGER_DOWN);
	if (k == NULL)
		return (LEDGER_MISSING);
	*out = *k;
	return (LEDGER_OK);
}

enum ledger_result
null_key_put(struct ledger *l, struct ledger_key *k)
{
	struct ledger_key *old = find_key(l, k->id);

	if (l->down)
		return (LEDGER_DOWN);
	if (null_account(l, k->account) == NULL)
		return (LEDGER_MISSING);
	if (old != NULL) {
		k->number = old->number;
		*old = *k;
		return (LEDGER_OK);
	}
	k->number = (uint32_t)l->keys.n + 1;
	null_append(&l->keys, k);
	return (LEDGER_OK);
}

enum ledger_result
null_each_key(
    struct ledger *l, void (*fn)(void *, const struct ledger_key *), void *arg)
{
	size_t i;

	for (i = 0; i < l->keys.n && !l->down; i++)
		fn(arg, null_item(&l->keys, i));
	return (l->down ? LEDGER_DOWN : LEDGER_OK);
}

enum ledger_result
null_agent_get(struct ledger *l, const char *name, struct ledger_agent *out)
{
	const struct ledger_agent *a;
	size_t i;

	for (i = 0; i < l->agents.n && !l->down; i++) {
		a = null_item(&l->agents, i);
		if (strcmp(a->name, name) != 0)
			continue;
		*out = *a;
		return (LEDGER_OK);
	}
	return (l->down ? LEDGER_DOWN : LEDGER_MISSING);
}

enum ledger_result
null_agent_put(struct ledger *l, struct ledger_agent *a)
{
	struct ledger_agent *old;
	size_t i;

	if (l->down)
		return (LEDGER_DOWN);
	for (i = 0; i < l->agents.n; i++) {
		old = null_item(&l->agents, i);
		if (old->id == a->id)
			*old = *a;
		else if (strcmp(old->name, a->name) == 0)
			return (LEDGER_CONFLICT);
	}
	if (a->id == 0) {
		a->id = (uint32_t)l->agents.n + 1;
		null_append(&l->agents, a);
	}
	return (a->id > l->agents.n ? LEDGER_MISSING : LEDGER_OK);
}

enum ledger_result
null_each_agent(struct ledger *l,
    void (*fn)(void *, const struct ledger_agent *), void *arg)
{
	size_t i;

	for (i = 0; i < l->agents.n && !l->down; i++)
		fn(arg, null_item(&l->agents, i));
	return (l->down ? LEDGER_DOWN : LEDGER_OK);
}

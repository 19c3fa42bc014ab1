/* The store in memory. */
#include "hubd/ledger/null_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/monotime.h"
#include "hubd/price/price.h"

/* ---- opening ------------------------------------------------------------- */

static struct ledger *
null_open(const char *where, char *error, size_t cap)
{
	struct ledger *l = xcalloc(1, sizeof(*l));

	l->accounts.size = sizeof(struct ledger_account);
	l->keys.size = sizeof(struct ledger_key);
	l->agents.size = sizeof(struct ledger_agent);
	l->rows.size = l->checkpoints.size = sizeof(struct ledger_row);
	l->suspense.size = sizeof(struct null_suspense);
	l->changes.size = sizeof(struct null_change);
	l->objects.size = sizeof(struct null_object);
	l->prices.size = sizeof(struct price_blob *);
	return (l);
}

static void
null_close(struct ledger *l)
{
	size_t i;

	if (l == NULL)
		return;
	for (i = 0; i < l->prices.n; i++)
		free(*(struct price_blob **)null_item(&l->prices, i));
	free(l->accounts.items);
	free(l->keys.items);
	free(l->agents.items);
	free(l->rows.items);
	free(l->checkpoints.items);
	null_suspense_free(l);
	free(l->changes.items);
	free(l->objects.items);
	free(l->prices.items);
	free(l);
}

void
ledger_null_set_down(struct ledger *l, bool down)
{
	l->down = down;
}

size_t
ledger_null_rows(const struct ledger *l)
{
	return (l->rows.n);
}

size_t
ledger_null_checkpoints(const struct ledger *l)
{
	return (l->checkpoints.n);
}

/* ---- rows ---------------------------------------------------------------- */

static struct ledger_row *
find_row(const struct list *l, req_id_t id)
{
	struct ledger_row *r;
	size_t i;

	for (i = 0; i < l->n; i++) {
		r = null_item(l, i);
		if (memcmp(&r->id, &id, sizeof(id)) == 0)
			return (r);
	}
	return (NULL);
}

void
null_drop_checkpoint(struct ledger *l, req_id_t id)
{
	struct ledger_row *r = find_row(&l->checkpoints, id);

	if (r != NULL)
		null_remove(&l->checkpoints,
		    (size_t)((char *)r - l->checkpoints.items) /
			l->checkpoints.size);
}

static enum ledger_result
book_one(struct ledger *l, struct ledger_row *r)
{
	struct ledger_account *a = null_account(l, r->account);
	const struct ledger_row *old = find_row(&l->rows, r->id);
	amount_t *amount;

	null_object_before(l, r);
	if (old != NULL) {
		null_drop_checkpoint(l, r->id);
		return (memcmp(old, r, sizeof(*r)) == 0 ? LEDGER_OK
							: LEDGER_CONFLICT);
	}
	amount = amount_new();
	if (a == NULL ||
	    amount_parse(amount, r->amount, strlen(r->amount)) == -1) {
		amount_free(amount);
		return (LEDGER_REFUSED);
	}
	null_append(&l->rows, r);
	null_add_text(a->balance, amount, true);
	null_add_text(a->spent, amount, false);
	amount_free(amount);
	null_drop_checkpoint(l, r->id);
	null_object_after(l, r);
	return (LEDGER_OK);
}

static enum ledger_result
null_book(struct ledger *l, struct ledger_row *rows, size_t n,
    enum ledger_result *results)
{
	size_t i;

	if (l->down)
		return (LEDGER_DOWN);
	for (i = 0; i < n; i++)
		results[i] = book_one(l, &rows[i]);
	return (LEDGER_OK);
}

static enum ledger_result
null_checkpoint(struct ledger *l, const struct ledger_row *rows, size_t n)
{
	size_t i;

	if (l->down)
		return (LEDGER_DOWN);
	for (i = 0; i < n; i++) {
		null_drop_checkpoint(l, rows[i].id);
		null_append(&l->checkpoints, &rows[i]);
	}
	return (LEDGER_OK);
}

static enum ledger_result
null_each_checkpoint(
    struct ledger *l, void (*fn)(void *, const struct ledger_row *), void *arg)
{
	size_t i;

	for (i = 0; i < l->checkpoints.n && !l->down; i++)
		fn(arg, null_item(&l->checkpoints, i));
	return (l->down ? LEDGER_DOWN : LEDGER_OK);
}

static enum ledger_result
null_each_row(struct ledger *l, const struct ledger_filter *f,
    void (*fn)(void *, const struct ledger_row *), void *arg)
{
	struct ledger_account *a;
	struct ledger_row r;
	size_t i, n = 0;

	for (i = 0; i < l->rows.n && !l->down; i++) {
		size_t at = f->oldest_first ? i : l->rows.n - 1 - i;

		if (f->limit != 0 && n == f->limit)
			break;
		memcpy(&r, null_item(&l->rows, at), sizeof(r));
		if ((f->account != 0 && r.account != f->account) ||
		    r.time_ms < f->since_ms ||
		    (f->until_ms != 0 && r.time_ms >= f->until_ms))
			continue;
		if ((a = null_account(l, r.account)) != NULL)
			memcpy(r.account_name, a->name, sizeof(a->name));
		fn(arg, &r);
		n++;
	}
	return (l->down ? LEDGER_DOWN : LEDGER_OK);
}

static enum ledger_result
null_audit(struct ledger *l, bool full, struct ledger_audit *out)
{
	amount_t *sum = amount_new();
	const struct ledger_row *r;
	size_t i;

	memset(out, 0, sizeof(*out));
	snprintf(out->ledger_sum, sizeof(out->ledger_sum), "0");
	for (i = 0; i < l->rows.n; i++) {
		r = null_item(&l->rows, i);
		amount_parse(sum, r->amount, strlen(r->amount));
		null_add_text(out->ledger_sum, sum, false);
	}
	amount_free(sum);
	memcpy(out->charges_sum, out->ledger_sum, sizeof(out->ledger_sum));
	out->rows = l->rows.n;
	out->changes = l->rows.n + l->changes.n;
	out->accounts = l->accounts.n;
	out->suspense = l->suspense.n;
	return (l->down ? LEDGER_DOWN : LEDGER_OK);
}

static enum ledger_result
null_check(struct ledger *l, struct ledger_check *out)
{
	memset(out, 0, sizeof(*out));
	return (l->down ? LEDGER_DOWN : LEDGER_OK);
}

/* ---- prices -------------------------------------------------------------- */

static struct price_blob *
copy_blob(const struct price_blob *b)
{
	struct price_blob *c = xmalloc(b->size);

	memcpy(c, b, b->size);
	return (c);
}

static enum ledger_result
null_price_put(struct ledger *l, struct price_blob *b)
{
	const struct price_blob *last;
	struct price_blob *copy;

	if (l->down)
		return (LEDGER_DOWN);
	if (l->prices.n > 0) {
		last = *(struct price_blob **)null_item(
		    &l->prices, l->prices.n - 1);
		if (last->size == b->size && last->crc == b->crc &&
		    memcmp(last + 1, b + 1, b->size - sizeof(*b)) == 0) {
			b->version = last->version;
			return (LEDGER_OK);
		}
	}
	b->version = l->prices.n + 1;
	price_blob_seal(b);
	copy = copy_blob(b);
	null_append(&l->prices, &copy);
	return (LEDGER_OK);
}

static enum ledger_result
null_price_get(struct ledger *l, uint64_t version, struct price_blob **out)
{
	if (l->down)
		return (LEDGER_DOWN);
	if (version == 0)
		version = l->prices.n;
	if (version == 0 || version > l->prices.n)
		return (LEDGER_MISSING);
	*out = copy_blob(
	    *(struct price_blob **)null_item(&l->prices, (size_t)version - 1));
	return (LEDGER_OK);
}

static enum ledger_result
null_backup(struct ledger *l, const char *path, char *error, size_t cap)
{
	snprintf(error, cap, "a store in memory has no backup");
	return (LEDGER_REFUSED);
}

const struct ledger_ops ledger_null = {
    .name = "null",
    .open = null_open,
    .close = null_close,
    .book = null_book,
    .checkpoint = null_checkpoint,
    .each_checkpoint = null_each_checkpoint,
    .suspend = null_suspend,
    .each_suspense = null_each_suspense,
    .suspense_get = null_suspense_get,
    .suspense_resolve = null_suspense_resolve,
    .object_get = null_object_get,
    .each_object = null_each_object,
    .each_row = null_each_row,
    .audit = null_audit,
    .check = null_check,
    .account_add = null_account_add,
    .account_change = null_account_change,
    .account_set = null_account_set,
    .account_get = null_account_get,
    .each_account = null_each_account,
    .key_get = null_key_get,
    .key_put = null_key_put,
    .each_key = null_each_key,
    .agent_get = null_agent_get,
    .agent_put = null_agent_put,
    .each_agent = null_each_agent,
    .price_put = null_price_put,
    .price_get = null_price_get,
    .backup = null_backup,
};

/* hubctl show ...: what only the store knows. */
#include <stdio.h>
#include <string.h>

#include "hubd/billing/commands.h"
#include "hubd/price/price.h"
#include "shm/pubtab.h"

/* ---- accounts ------------------------------------------------------------ */

struct listing {
	struct billing *b;
	struct jout *j;
	const char *name; /* of the only account to show, or NULL */
	uint64_t n;
};

static void
list_account(void *arg, const struct ledger_account *a)
{
	struct listing *l = arg;

	if (l->name == NULL || strcmp(l->name, a->name) == 0)
		put_account(l->b, l->j, a);
}

void
cmd_show_accounts(struct billing *b, const struct json *args, struct reply *r)
{
	struct listing l = {
	    .b = b, .j = &r->j, .name = json_get_str(args, "name")};
	enum ledger_result result;

	if (l.name != NULL && find_account(b, r, l.name) == 0)
		return;
	jout_begin_object(&r->j);
	jout_key(&r->j, "accounts");
	jout_begin_array(&r->j);
	result = b->ops->each_account(b->store, list_account, &l);
	jout_end_array(&r->j);
	jout_end_object(&r->j);
	reply_store(r, result, "account", "");
}

/* ---- ledger -------------------------------------------------------------- */

static void
put_usage(struct jout *j, const struct usage *u)
{
	unsigned k;

	jout_key(j, "usage");
	jout_begin_object(j);
	for (k = 0; k < USAGE_KINDS; k++)
		if (u->n[k] != 0)
			jout_kuint(
			    j, usage_kind_str((enum usage_kind)k), u->n[k]);
	jout_end_object(j);
}

static void
put_price(struct jout *j, const struct ledger_row *row)
{
	jout_kstr(j, "price", row->price);
	jout_kstr(j, "tier", row->tier);
	jout_kuint(j, "price_version", row->price_version);
}

static void
put_amount(struct jout *j, const struct ledger_row *row)
{
	jout_kstr(j, "amount", row->amount);
	if (row->estimated[0] == '\0')
		jout_kbool(j, "estimated", false);
	else
		jout_kstr(j, "estimated", row->estimated);
	jout_kbool(j, "unpriced_kinds", row->unpriced_kinds);
	jout_kint(j, "duration_ms", row->duration_ms);
}

static void
list_row(void *arg, const struct ledger_row *row)
{
	struct listing *l = arg;
	struct jout *j = l->j;
	char id[REQ_ID_TEXT];

	req_id_format(row->id, id);
	jout_begin_object(j);
	jout_kstr(j, "id", id);
	put_time(j, "time", row->time_ms);
	jout_kstr(j, "account", row->account_name);
	jout_kstr(j, "key", row->key);
	jout_kstr(j, "agent", row->agent);
	jout_kstr(j, "provider", row->provider);
	jout_kstr(j, "dialect", row->dialect);
	jout_kstr(j, "endpoint", row->endpoint);
	jout_kstr(j, "model", row->model);
	put_price(j, row);
	jout_kint(j, "status", row->status);
	jout_kbool(j, "stream", row->stream);
	jout_kstr(j, "outcome", row->outcome);
	jout_kuint(j, "attempts", row->attempts);
	put_usage(j, &row->usage);
	put_amount(j, row);
	jout_end_object(j);
}

static bool
read_filter(struct billing *b, const struct json *args, struct reply *r,
    struct ledger_filter *f)
{
	const char *account = json_get_str(args, "account");
	int64_t limit = json_get_int(args, "limit", CTL_LEDGER_LIMIT);

	if (limit > CTL_LEDGER_LIMIT_MAX) {
		reply_refuse(r, "limit: at most %d", CTL_LEDGER_LIMIT_MAX);
		return (false);
	}
	f->limit = (uint32_t)limit;
	f->since_ms = json_get_int(args, "since_ms", 0);
	f->account = 0;
	return (
	    account == NULL || (f->account = find_account(b, r, account)) != 0);
}

void
cmd_show_ledger(struct billing *b, const struct json *args, struct reply *r)
{
	struct listing l = {.b = b, .j = &r->j};
	enum ledger_result result;
	struct ledger_filter f;

	if (!read_filter(b, args, r, &f))
		return;
	jout_begin_object(&r->j);
	jout_key(&r->j, "rows");
	jout_begin_array(&r->j);
	result = b->ops->each_row(b->store, &f, list_row, &l);
	jout_end_array(&r->j);
	jout_end_object(&r->j);
	reply_store(r, result, "row", "");
}

/* ---- prices -------------------------------------------------------------- */

static void
put_rate(
    struct jout *j, const struct price_entry *e, const struct price_rate *rate)
{
	char text[AMOUNT_TEXT_MAX];

	unit_price_format(rate->price, text);
	jout_begin_object(j);
	jout_kstr(j, "kind", usage_kind_str((enum usage_kind)rate->kind));
	jout_kstr(j, "tier", service_tier_str((enum service_tier)rate->tier));
	if (rate->context > 0 && rate->context <= PRICE_CONTEXTS)
		jout_kuint(j, "above", e->contexts[rate->context - 1]);
	jout_kstr(j, "price", text);
	jout_end_object(j);
}

static void
put_entry(struct jout *j, const struct price_entry *e)
{
	uint32_t i;

	jout_begin_object(j);
	jout_kstr(j, "model", e->name);
	jout_kstr(j, "provider", e->provider);
	jout_kstr(j, "mode", e->mode);
	jout_kuint(j, "max_input", e->max_input);
	jout_kuint(j, "max_output", e->max_output);
	jout_key(j, "rates");
	jout_begin_array(j);
	for (i = 0; i < e->nrates; i++)
		put_rate(j, e, &e->rates[i]);
	jout_end_array(j);
	jout_end_object(j);
}

/* An entry of that name, with or without its provider in front. */
static bool
names_model(const struct price_entry *e, const char *model)
{
	const char *tail = strrchr(e->name, '/');

	return (model == NULL || strcmp(e->name, model) == 0 ||
		(tail != NULL && strcmp(tail + 1, model) == 0));
}

static bool
has_model(const struct price_blob *blob, const char *model)
{
	const struct price_entry *e = NULL;

	while ((e = price_blob_next(blob, e)) != NULL)
		if (names_model(e, model))
			return (true);
	return (false);
}

void
cmd_show_prices(struct billing *b, const struct json *args, struct reply *r)
{
	const struct price_blob *blob = pub_prices(b->shm);
	const char *model = json_get_str(args, "model");
	const struct price_entry *e = NULL;

	if (blob == NULL) {
		reply_refuse(r, "no prices are in force");
		return;
	}
	if (model != NULL && !has_model(blob, model)) {
		reply_refuse(r, "there is no price for %s", model);
		return;
	}
	jout_begin_object(&r->j);
	jout_kuint(&r->j, "price_version", blob->version);
	put_time(&r->j, "time", blob->time_ms);
	jout_key(&r->j, "prices");
	jout_begin_array(&r->j);
	while ((e = price_blob_next(blob, e)) != NULL)
		if (names_model(e, model))
			put_entry(&r->j, e);
	jout_end_array(&r->j);
	jout_end_object(&r->j);
}

/* ---- suspense ------------------------------------------------------------ */

static void
list_suspense(void *arg, const char *id, int64_t time_ms, const char *reason)
{
	struct listing *l = arg;

	l->n++;
	jout_begin_object(l->j);
	jout_kstr(l->j, "id", id);
	put_time(l->j, "time", time_ms);
	jout_kstr(l->j, "reason", reason);
	jout_end_object(l->j);
}

void
cmd_show_suspense(struct billing *b, const struct json *args, struct reply *r)
{
	struct listing l = {.b = b, .j = &r->j};
	enum ledger_result result;

	jout_begin_object(&r->j);
	jout_key(&r->j, "suspense");
	jout_begin_array(&r->j);
	result = b->ops->each_suspense(b->store, list_suspense, &l);
	jout_end_array(&r->j);
	jout_kuint(&r->j, "count", l.n);
	jout_end_object(&r->j);
	reply_store(r, result, "row", "");
}

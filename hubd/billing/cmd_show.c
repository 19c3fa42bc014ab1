/* hubctl show ...: what only the store knows. */
#include <stdio.h>
#include <string.h>

#include "hubd/billing/commands.h"
#include "hubd/price/price.h"
#include "shm/pubtab.h"

#define ID_EARLY_MS 600000  /* a clock that was put back meanwhile */
#define ID_LATE_MS  1800000 /* a body that came slowly */

/* ---- accounts ------------------------------------------------------------ */

struct listing {
	struct billing *b;
	struct reply *r;
	const char *name; /* of the only account to show, or NULL */
	bool only, found; /* of rows: the one of id */
	req_id_t id;
};

static void
list_account(void *arg, const struct ledger_account *a)
{
	struct listing *l = arg;

	if (l->name != NULL && strcmp(l->name, a->name) != 0)
		return;
	put_account(l->b, &l->r->j, a);
	reply_more(l->r);
}

void
cmd_show_accounts(struct billing *b, const struct json *args, struct reply *r)
{
	struct listing l = {.b = b, .r = r, .name = json_get_str(args, "name")};
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

void
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

void
put_row(struct jout *j, const struct ledger_row *row)
{
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

static void
list_row(void *arg, const struct ledger_row *row)
{
	struct listing *l = arg;

	if (l->only && memcmp(row->id.b, l->id.b, sizeof(row->id.b)) != 0)
		return;
	l->found = true;
	put_row(&l->r->j, row);
	reply_more(l->r);
}

bool
read_filter(struct billing *b, const struct json *args, struct reply *r,
    struct ledger_filter *f)
{
	const char *account = json_get_str(args, "account");

	memset(f, 0, sizeof(*f));
	f->since_ms = json_get_int(args, "since_ms", 0);
	f->until_ms = json_get_int(args, "until_ms", 0);
	return (
	    account == NULL || (f->account = find_account(b, r, account)) != 0);
}

bool
reply_rows(struct reply *r, enum ledger_result result)
{
	if (result != LEDGER_MISSING)
		return (reply_store(r, result, "row", ""));
	reply_refuse(r,
	    "rows are missing: a sealed month is not here; hubctl audit says "
	    "which");
	return (true);
}

/* One row, if an id is asked for: an id has the time at which the request
 * began, and its row that of its admission. false: refused. */
static bool
narrow(const struct json *args, struct listing *l, struct ledger_filter *f)
{
	const char *id = json_get_str(args, "id");

	if (id == NULL)
		return (true);
	if (!req_id_parse(id, &l->id)) {
		reply_refuse(l->r, "%s is no request id", id);
		return (false);
	}
	l->only = true;
	f->since_ms = req_id_ms(l->id) - ID_EARLY_MS;
	f->until_ms = req_id_ms(l->id) + ID_LATE_MS;
	f->limit = 0;
	return (true);
}

void
cmd_show_ledger(struct billing *b, const struct json *args, struct reply *r)
{
	int64_t limit = json_get_int(args, "limit", CTL_LEDGER_LIMIT);
	struct listing l = {.b = b, .r = r};
	enum ledger_result result;
	struct ledger_filter f;

	if (limit < 1 || limit > CTL_LEDGER_LIMIT_MAX) {
		reply_refuse(r, "limit: 1 to %d", CTL_LEDGER_LIMIT_MAX);
		return;
	}
	if (!read_filter(b, args, r, &f))
		return;
	f.limit = (uint32_t)limit;
	if (!narrow(args, &l, &f))
		return;
	jout_begin_object(&r->j);
	jout_key(&r->j, "rows");
	jout_begin_array(&r->j);
	result = b->ops->each_row(b->store, &f, list_row, &l);
	jout_end_array(&r->j);
	jout_end_object(&r->j);
	r->keep_data = reply_rows(r, result) && result == LEDGER_MISSING;
	if (result == LEDGER_OK && l.only && !l.found)
		reply_refuse(r, "there is no row %s", json_get_str(args, "id"));
}

/* hubctl reload, drain, audit, backup: the hub as a whole. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hubd/billing/commands.h"
#include "shm/pubtab.h"

/* ---- reload and drain: the master does them -------------------------------
 */

static uint32_t
next_cookie(void)
{
	static uint32_t last;

	if (++last == 0)
		last = 1;
	return (last);
}

void
cmd_reload(struct billing *b, const struct json *args, struct reply *r)
{
	struct hubmsg_head head = {.type = HUBMSG_RELOAD_ASK,
	    .cookie = next_cookie(),
	    .flags = json_get_bool(args, "force", false) ? HUBMSG_FORCE : 0};

	if (!child_send_head(b->child, &head, NULL))
		reply_refuse(r, "the master cannot be reached");
	else
		r->cookie = head.cookie;
}

void
cmd_reload_data(struct billing *b, struct jout *j)
{
	const struct price_blob *blob = pub_prices(b->shm);

	jout_begin_object(j);
	jout_kuint(j, "price_version", blob != NULL ? blob->version : 0);
	jout_end_object(j);
}

void
cmd_drain(struct billing *b, const struct json *args, struct reply *r)
{
	if (!child_send(b->child, HUBMSG_DRAIN_ASK, NULL, 0)) {
		reply_refuse(r, "the master cannot be reached");
		return;
	}
	jout_begin_object(&r->j);
	jout_kbool(&r->j, "draining", true);
	jout_end_object(&r->j);
}

/* ---- audit ---------------------------------------------------- */

static bool
is_clean(const struct ledger_audit *a)
{
	return (a->bad_accounts == 0 && a->bad_rows == 0 &&
		strcmp(a->ledger_sum, a->charges_sum) == 0);
}

static void
put_absent(struct jout *j, const struct ledger_audit *a)
{
	char note[120];

	if (a->absent == 1)
		snprintf(note, sizeof(note),
		    "sealed month %s is not here: by its recorded sums",
		    a->first_absent);
	else
		snprintf(note, sizeof(note),
		    "sealed month %s and %" PRIu64 " more are not here: by "
		    "their recorded sums",
		    a->first_absent, a->absent - 1);
	jout_kstr(j, "note", note);
}

static void
put_audit(struct jout *j, const struct ledger_audit *a)
{
	jout_begin_object(j);
	jout_kbool(j, "ok", is_clean(a));
	jout_kuint(j, "rows", a->rows);
	jout_kuint(j, "changes", a->changes);
	jout_kuint(j, "accounts", a->accounts);
	jout_kuint(j, "bad_accounts", a->bad_accounts);
	jout_kuint(j, "bad_rows", a->bad_rows);
	jout_kuint(j, "unchecked_rows", a->unchecked);
	jout_kuint(j, "suspense", a->suspense);
	jout_kuint(j, "sealed_months", a->sealed);
	jout_kuint(j, "absent_months", a->absent);
	if (a->absent > 0)
		put_absent(j, a);
	jout_kstr(j, "ledger_sum", a->ledger_sum);
	jout_kstr(j, "charges_sum", a->charges_sum);
	jout_kstr(j, "first_bad", a->first_bad);
	jout_end_object(j);
}

void
cmd_audit(struct billing *b, const struct json *args, struct reply *r)
{
	struct ledger_audit a = {0};
	enum ledger_result result;

	result =
	    b->ops->audit(b->store, json_get_bool(args, "full", false), &a);
	if (reply_store(r, result, "ledger", ""))
		return;
	put_audit(&r->j, &a);
	if (!is_clean(&a)) {
		reply_refuse(r, "the ledger does not add up: %s", a.first_bad);
		r->keep_data = true;
	}
}

/* ---- store check --------------------------------------------------------- */

static void
put_check(struct jout *j, const struct billing *b, const struct ledger_check *c,
    bool audited, const struct ledger_audit *a)
{
	jout_begin_object(j);
	jout_kbool(j, "ok", c->problems == 0 && is_clean(a));
	jout_kstr(j, "store", b->ops->name);
	jout_kstr(j, "schema", c->schema);
	jout_kuint(j, "problems", c->problems);
	jout_kstr(j, "first_problem", c->first);
	if (audited) {
		jout_key(j, "audit");
		put_audit(j, a);
	}
	jout_end_object(j);
}

void
cmd_store_check(struct billing *b, const struct json *args, struct reply *r)
{
	struct ledger_check c = {0};
	struct ledger_audit a = {0};
	enum ledger_result result;

	if (reply_store(r, b->ops->check(b->store, &c), "ledger", ""))
		return;
	result = b->ops->audit(b->store, false, &a);
	/* what is broken may be in its way: the first problem says more */
	if (c.problems == 0 && reply_store(r, result, "ledger", ""))
		return;
	put_check(&r->j, b, &c, result == LEDGER_OK, &a);
	if (c.problems > 0)
		reply_refuse(r, "the store is not whole: %s", c.first);
	else if (!is_clean(&a))
		reply_refuse(r, "the ledger does not add up: %s", a.first_bad);
	r->keep_data = true;
}

/* ---- backup -------------------------------------------------------------- */

void
cmd_backup(struct billing *b, const struct json *args, struct reply *r)
{
	const char *file = json_get_str(args, "file");
	char error[256] = "";

	if (file[0] != '/') {
		reply_refuse(r, "backup wants an absolute path");
		return;
	}
	if (b->ops->backup(b->store, file, error, sizeof(error)) != LEDGER_OK) {
		reply_refuse(r, "backup: %s", error);
		return;
	}
	jout_begin_object(&r->j);
	jout_kstr(&r->j, "file", file);
	jout_end_object(&r->j);
}

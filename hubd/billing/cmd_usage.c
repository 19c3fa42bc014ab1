/* hubctl show usage: what was used and what it cost, by group. */
#include <string.h>

#include "hubd/billing/commands.h"
#include "hubd/billing/groups.h"

static void
add_row(void *arg, const struct ledger_row *row)
{
	groups_add(arg, row);
}

/* The members of a group but its name. */
static void
put_sums(struct jout *j, const struct group *g)
{
	char amount[AMOUNT_TEXT_MAX];

	if (amount_format(g->amount, amount) == -1)
		amount[0] = '\0';
	jout_kuint(j, "requests", g->requests);
	put_usage(j, &g->usage);
	jout_kstr(j, "amount", amount);
}

static void
put_groups(struct jout *j, const struct groups *gs)
{
	size_t i;

	jout_begin_object(j);
	jout_key(j, "usage");
	jout_begin_array(j);
	for (i = 0; i < gs->n; i++) {
		jout_begin_object(j);
		jout_kstr(j, group_by_str(gs->by), gs->sorted[i]->name);
		put_sums(j, gs->sorted[i]);
		jout_end_object(j);
	}
	jout_end_array(j);
	jout_key(j, "total");
	jout_begin_object(j);
	put_sums(j, &gs->total);
	jout_end_object(j);
	jout_end_object(j);
}

static void
answer(struct reply *r, const struct groups *gs, enum ledger_result result)
{
	if (reply_rows(r, result))
		return;
	if (gs->too_many)
		reply_refuse(r,
		    "more than %d groups: ask for less by account, since or "
		    "until",
		    GROUPS_MAX);
	else if (gs->broken)
		reply_refuse(r, "a row has no amount: see hubctl audit");
	else
		put_groups(&r->j, gs);
}

void
cmd_show_usage(struct billing *b, const struct json *args, struct reply *r)
{
	const char *by = json_get_str(args, "by");
	enum group_by group_by = BY_ACCOUNT;
	struct ledger_filter f;
	struct groups gs;

	if (by != NULL && !group_by_parse(by, &group_by)) {
		reply_refuse(r, "by: account, model, day, key or agent");
		return;
	}
	if (!read_filter(b, args, r, &f))
		return;
	f.oldest_first = true;
	groups_init(&gs, group_by);
	answer(r, &gs, b->ops->each_row(b->store, &f, add_row, &gs));
	groups_fini(&gs);
}

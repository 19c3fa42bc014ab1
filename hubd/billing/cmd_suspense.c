/*
 * hubctl show suspense, suspense retry, suspense drop: what could not be
 * booked, and what a person makes of it.
 *
 * What was put aside is input from outside: another hubd may have written
 * it, and it may be there because it is broken.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/billing/commands.h"

/* ---- what was put aside -------------------------------------------------- */

/* One of the two shapes that billing puts aside, told apart by its size. */
union raw_row {
	struct call_copy call;
	struct ledger_row row;
};

_Static_assert(sizeof(struct call_copy) != sizeof(struct ledger_row),
    "the shapes of suspended rows are told apart by their sizes");

static bool
ends(const char *s, size_t cap)
{
	return (memchr(s, '\0', cap) != NULL);
}

/* Are the bytes of a bool one? Another value is none to read. */
static bool
is_bool(const bool *b)
{
	return (*(const unsigned char *)b <= 1);
}

static const char *
row_wrong(const struct ledger_row *row)
{
	if (!is_bool(&row->stream) || !is_bool(&row->unpriced_kinds) ||
	    !is_bool(&row->again))
		return ("flag out of range");
	if (!usage_is_sane(&row->usage))
		return ("usage out of range");
	if (row->account == 0 || row->time_ms <= 0 || row->duration_ms < 0 ||
	    row->status < 0 || row->status > 599)
		return ("row out of range");
	if (!call_object_ok(&row->object))
		return ("object out of range");
#define ENDS(field) ends(row->field, sizeof(row->field))
	if (!ENDS(key) || !ENDS(agent) || !ENDS(provider) || !ENDS(dialect) ||
	    !ENDS(endpoint) || !ENDS(model) || !ENDS(price) || !ENDS(tier) ||
	    !ENDS(outcome) || !ENDS(amount) || !ENDS(estimated))
		return ("text without an end");
#undef ENDS
	return (NULL);
}

/* ---- showing ------------------------------------------------------------- */

static const char *const states[] = {
    [SUSPENSE_WAITS] = "waits",
    [SUSPENSE_RETRIED] = "retried",
    [SUSPENSE_DROPPED] = "dropped",
};

struct listing {
	struct billing *b;
	struct reply *r;
	uint64_t waiting;
};

struct what {
	int64_t time_ms;
	uint32_t account;
	const char *agent, *model;
	int status;
	const struct usage *usage;
};

/* What it was that could not be booked, if it can be read; for people. */
static bool
read_raw(const struct billing *b, const struct ledger_suspense *s,
    union raw_row *u, struct what *w)
{
	const char *why;

	if (s->size == sizeof(u->call)) {
		memcpy(&u->call, s->raw, s->size);
		*w = (struct what){u->call.fixed.time_ms, u->call.fixed.account,
		    dir_name(&b->agents, u->call.route.agent),
		    u->call.route.model, u->call.progress.status,
		    &u->call.progress.usage};
		return (call_copy_valid(&u->call, &why));
	}
	if (s->size != sizeof(u->row))
		return (false);
	memcpy(&u->row, s->raw, s->size);
	*w = (struct what){u->row.time_ms, u->row.account, u->row.agent,
	    u->row.model, u->row.status, &u->row.usage};
	return (row_wrong(&u->row) == NULL);
}

static void
put_what(
    const struct billing *b, struct jout *j, const struct ledger_suspense *s)
{
	union raw_row u;
	struct what w;

	if (!read_raw(b, s, &u, &w))
		return;
	put_time(j, "admitted", w.time_ms);
	jout_kstr(j, "account", dir_name(&b->accounts, w.account));
	jout_kstr(j, "agent", w.agent);
	jout_kstr(j, "model", w.model);
	jout_kint(j, "status", w.status);
	put_usage(j, w.usage);
}

static void
list_suspense(void *arg, const struct ledger_suspense *s)
{
	struct listing *l = arg;
	struct jout *j = &l->r->j;

	l->waiting += s->how == SUSPENSE_WAITS;
	jout_begin_object(j);
	jout_kstr(j, "id", s->id);
	put_time(j, "time", s->time_ms);
	jout_kstr(j, "reason", s->reason);
	jout_kstr(j, "state", states[s->how]);
	put_what(l->b, j, s);
	if (s->how != SUSPENSE_WAITS) {
		put_time(j, "resolved", s->resolved_ms);
		jout_kstr(j, "by", s->by);
		jout_kstr(j, "why", s->why);
	}
	jout_end_object(j);
	reply_more(l->r);
}

void
cmd_show_suspense(struct billing *b, const struct json *args, struct reply *r)
{
	struct listing l = {.b = b, .r = r};
	enum ledger_result result;

	jout_begin_object(&r->j);
	jout_key(&r->j, "suspense");
	jout_begin_array(&r->j);
	result = b->ops->each_suspense(
	    b->store, json_get_bool(args, "all", false), list_suspense, &l);
	jout_end_array(&r->j);
	jout_kuint(&r->j, "count", l.waiting);
	jout_end_object(&r->j);
	reply_store(r, result, "row", "");
}

/* ---- what to book -------------------------------------------------------- */

/* The raw bytes as a row to book; SUSPEND: *why not. */
static enum settle_result
settle_raw(struct billing *b, const void *raw, size_t n, struct ledger_row *row,
    nanousd_t *cost, const char **why)
{
	union raw_row u;

	*cost = (nanousd_t){0};
	if (n == sizeof(u.call)) {
		memcpy(&u.call, raw, n);
		return (settle(&b->settler, &u.call, u.call.state == CALL_OPEN,
		    row, cost, why));
	}
	if (n != sizeof(u.row)) {
		*why = "it was written by another version of hubd";
		return (SETTLE_SUSPEND);
	}
	memcpy(&u.row, raw, n);
	if ((*why = row_wrong(&u.row)) != NULL)
		return (SETTLE_SUSPEND);
	*row = u.row;
	row->again = false;
	return (SETTLE_OK);
}

/* ---- retry and drop ------------------------------------------------------ */

/* The one that is meant, ready to be resolved; false: refused. */
static bool
find(struct billing *b, const struct json *args, struct reply *r,
    struct ledger_suspense *s, void **raw, size_t *n)
{
	const char *id = json_get_str(args, "id");
	const char *reason = json_get_str(args, "reason");
	enum ledger_result result;

	if (!check_text(r, "reason", reason))
		return (false);
	result = b->ops->suspense_get(b->store, id, s, raw, n);
	if (result == LEDGER_MISSING)
		reply_refuse(r, "no row %s waits in suspense", id);
	else
		reply_store(r, result, "row", id);
	snprintf(s->why, sizeof(s->why), "%s", reason);
	snprintf(s->by, sizeof(s->by), "uid %u", control_asker(b));
	return (result == LEDGER_OK);
}

/* false: refused, and it goes on waiting. */
static bool
resolve(struct billing *b, struct reply *r, struct ledger_suspense *s,
    enum suspense_how how)
{
	enum ledger_result result;

	s->how = how;
	result = b->ops->suspense_resolve(b->store, s);
	if (reply_store(r, result, "row", s->id))
		return (false);
	/* an errand only reads what is published */
	if (b->self == NULL)
		atomic_fetch_sub(&shm_pub_state(b->shm)->suspense, 1);
	log_info("call %s in suspense is %s by %s: %s", s->id, states[how],
	    s->by, s->why);
	jout_begin_object(&r->j);
	jout_kstr(&r->j, "id", s->id);
	jout_kstr(&r->j, "state", states[how]);
	return (true);
}

/* Books it; booked already counts as well. false: refused. */
static bool
book_one(struct billing *b, struct reply *r, struct ledger_row *row)
{
	enum ledger_result result = LEDGER_DOWN;

	if (b->ops->book(b->store, row, 1, &result) != LEDGER_OK) {
		reply_store(r, LEDGER_DOWN, "row", "");
		return (false);
	}
	if (result == LEDGER_OK)
		return (true);
	reply_refuse(r, "it stays in suspense: %s",
	    result == LEDGER_CONFLICT ? "another row of this id is booked"
				      : "the store refuses the row");
	return (false);
}

static void
note_key(void *arg, const struct ledger_key *k)
{
	struct billing *b = arg;

	dir_put(&b->keys, k->number, k->id);
}

/* What billing has at hand for settling an errand has to fetch; false: the
 * store is away. */
static bool
learn_settling(struct billing *b)
{
	versions_init(&b->versions, b->ops, b->store);
	b->settler = (struct settler){.keys = &b->keys,
	    .agents = &b->agents,
	    .versions = &b->versions,
	    .sum = b->sum};
	return (b->ops->each_key(b->store, note_key, b) == LEDGER_OK);
}

static void
retry(struct billing *b, struct reply *r, struct ledger_suspense *s,
    const void *raw, size_t n)
{
	struct ledger_row row;
	const char *why = "";
	nanousd_t cost;

	switch (settle_raw(b, raw, n, &row, &cost, &why)) {
	case SETTLE_LATER:
		reply_store(r, LEDGER_DOWN, "row", s->id);
		return;
	case SETTLE_SUSPEND:
		reply_refuse(r, "it stays in suspense: %s", why);
		return;
	case SETTLE_OK:
		break;
	}
	if (!book_one(b, r, &row))
		return;
	(void)FAILPOINT("suspense.booked");
	/* Whatever comes now, what is booked is in force; if the store goes
	 * away here, with the next row of the account. */
	(void)publish_balance(b, row.account);
	if (b->self == NULL)
		(void)publish_row_objects(b, &row);
	if (!resolve(b, r, s, SUSPENSE_RETRIED))
		return;
	if (b->self == NULL)
		book_count(b, &row, cost);
	jout_kstr(&r->j, "amount", row.amount);
	jout_end_object(&r->j);
}

void
cmd_suspense_retry(struct billing *b, const struct json *args, struct reply *r)
{
	struct ledger_suspense s;
	void *raw;
	size_t n;

	if (b->self == NULL && b->stage != STAGE_SERVING) {
		reply_refuse(r, "the hub is starting: try again in a moment");
		return;
	}
	if (!find(b, args, r, &s, &raw, &n))
		return;
	if (b->self == NULL || learn_settling(b))
		retry(b, r, &s, raw, n);
	else
		reply_store(r, LEDGER_DOWN, "row", s.id);
	if (b->self != NULL)
		versions_fini(&b->versions);
	free(raw);
}

void
cmd_suspense_drop(struct billing *b, const struct json *args, struct reply *r)
{
	struct ledger_suspense s;
	void *raw;
	size_t n;

	if (!find(b, args, r, &s, &raw, &n))
		return;
	free(raw);
	if (resolve(b, r, &s, SUSPENSE_DROPPED))
		jout_end_object(&r->j);
}

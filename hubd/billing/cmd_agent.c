/* hubctl agent ...: who may dial in, and for what. */
#include <stdio.h>
#include <string.h>

#include "common/crypto.h"
#include "hubd/billing/commands.h"

#define AGENT_PREFIX "at-hub-"
#define REPLICAS_MAX 1024

static bool
publish(struct billing *b, struct reply *r, const struct ledger_agent *a)
{
	if (publish_agent(b, a))
		return (true);
	reply_refuse(r,
	    "agent %s is stored but has no room in memory: raise "
	    "max_agents and restart",
	    a->name);
	return (false);
}

static void
show_agent(struct reply *r, const struct ledger_agent *a)
{
	jout_begin_object(&r->j);
	jout_kstr(&r->j, "name", a->name);
	put_list(&r->j, "models", a->models);
	put_list(&r->j, "providers", a->providers);
	jout_kuint(&r->j, "replicas", a->replicas);
	jout_kbool(&r->j, "draining", a->draining);
	jout_kbool(&r->j, "revoked", a->revoked);
	jout_end_object(&r->j);
}

/* A fresh token: its hash into the agent, its text to the caller. */
static void
make_token(struct ledger_agent *a, char text[TOKEN_MAX])
{
	token_make(AGENT_PREFIX, text);
	sha256(span_str(text), a->token_hash);
}

static void
show_token(struct reply *r, const struct ledger_agent *a, char text[TOKEN_MAX])
{
	jout_begin_object(&r->j);
	jout_kstr(&r->j, "name", a->name);
	jout_kstr(&r->j, "token", text);
	jout_end_object(&r->j);
	crypto_wipe(text, TOKEN_MAX);
}

static bool
fill_agent(struct ledger_agent *a, const struct json *args, struct reply *r)
{
	const char *name = json_get_str(args, "name");
	const char *models = json_get_str(args, "models");
	const char *providers = json_get_str(args, "providers");
	int64_t replicas = json_get_int(args, "replicas", 1);

	if (!check_name(r, "name", name) ||
	    !check_list(r, "models", models, sizeof(a->models)) ||
	    !check_list(r, "providers", providers, sizeof(a->providers)))
		return (false);
	if (replicas < 1 || replicas > REPLICAS_MAX) {
		reply_refuse(r, "replicas: 1 to %d", REPLICAS_MAX);
		return (false);
	}
	snprintf(a->name, sizeof(a->name), "%s", name);
	snprintf(a->models, sizeof(a->models), "%s", models ? models : "");
	snprintf(a->providers, sizeof(a->providers), "%s",
	    providers ? providers : "");
	a->replicas = (uint32_t)replicas;
	return (true);
}

/* ---- commands ------------------------------------------------------------ */

struct change {
	struct billing *b;
	struct reply *r;
	struct ledger_agent fresh; /* in the place of a revoked one */
	bool draining;
	char token[TOKEN_MAX]; /* a fresh one, if it gets one */
};

/* Stores and publishes what fn, which may refuse, makes of the agent. */
static bool
change(struct change *c, const struct json *args,
    bool (*fn)(void *change, struct ledger_agent *), struct ledger_agent *a)
{
	const char *name = json_get_str(args, "name");
	enum ledger_result rc =
	    ledger_change_agent(c->b->ops, c->b->store, name, fn, c, a);

	return (!c->r->refused && !reply_store(c->r, rc, "agent", name) &&
		publish(c->b, c->r, a));
}

static bool
has_room(const struct change *c, uint32_t id)
{
	struct dir_table *agents = &c->b->agents;

	if (dir_row(agents, id) != DIR_NO_ROW || dir_has_room(agents))
		return (true);
	reply_refuse(c->r,
	    "all %u agents are in use: raise max_agents "
	    "and restart",
	    agents->max_rows);
	return (false);
}

/* A revoked agent's name may be given again, to a new token. */
static bool
take_name(void *arg, struct ledger_agent *a)
{
	struct change *c = arg;

	if (!a->revoked) {
		reply_store(c->r, LEDGER_CONFLICT, "agent", a->name);
		return (false);
	}
	c->fresh.id = a->id;
	*a = c->fresh;
	return (has_room(c, a->id));
}

static enum ledger_result
add(struct change *c)
{
	struct billing *b = c->b;
	struct ledger_agent a;
	enum ledger_result rc = ledger_change_agent(
	    b->ops, b->store, c->fresh.name, take_name, c, &a);

	if (rc == LEDGER_MISSING && has_room(c, 0))
		rc = b->ops->agent_put(b->store, &c->fresh);
	return (rc);
}

void
cmd_agent_add(struct billing *b, const struct json *args, struct reply *r)
{
	struct change c = {.b = b, .r = r};
	enum ledger_result rc;

	if (!fill_agent(&c.fresh, args, r))
		return;
	make_token(&c.fresh, c.token);
	rc = add(&c);
	if (!r->refused && !reply_store(r, rc, "agent", c.fresh.name) &&
	    publish(b, r, &c.fresh))
		show_token(r, &c.fresh, c.token);
}

static bool
rotate_it(void *arg, struct ledger_agent *a)
{
	struct change *c = arg;

	if (a->revoked)
		reply_refuse(c->r, "agent %s is revoked", a->name);
	else
		make_token(a, c->token);
	return (!a->revoked);
}

void
cmd_agent_rotate(struct billing *b, const struct json *args, struct reply *r)
{
	struct change c = {.b = b, .r = r};
	struct ledger_agent a;

	if (change(&c, args, rotate_it, &a))
		show_token(r, &a, c.token);
}

static bool
revoke_it(void *arg, struct ledger_agent *a)
{
	a->revoked = true;
	return (true);
}

void
cmd_agent_revoke(struct billing *b, const struct json *args, struct reply *r)
{
	struct change c = {.b = b, .r = r};
	struct ledger_agent a;

	if (change(&c, args, revoke_it, &a))
		show_agent(r, &a);
}

static bool
set_it(void *arg, struct ledger_agent *a)
{
	const struct change *c = arg;

	a->draining = c->draining;
	return (true);
}

static void
set_draining(
    struct billing *b, const struct json *args, struct reply *r, bool draining)
{
	struct change c = {.b = b, .r = r, .draining = draining};
	struct ledger_agent a;

	if (change(&c, args, set_it, &a))
		show_agent(r, &a);
}

void
cmd_agent_drain(struct billing *b, const struct json *args, struct reply *r)
{
	set_draining(b, args, r, true);
}

void
cmd_agent_resume(struct billing *b, const struct json *args, struct reply *r)
{
	set_draining(b, args, r, false);
}

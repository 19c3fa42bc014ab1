/* hubctl agent ...: who may dial in, and for what. */
#include <stdio.h>
#include <string.h>

#include "common/crypto.h"
#include "hubd/billing/commands.h"

#define AGENT_PREFIX "at-hub-"
#define REPLICAS_MAX 1024

struct wanted {
	const char *name;
	struct ledger_agent *agent;
	bool found;
};

static void
match_agent(void *arg, const struct ledger_agent *a)
{
	struct wanted *w = arg;

	if (strcmp(a->name, w->name) != 0)
		return;
	*w->agent = *a;
	w->found = true;
}

static bool
get_agent(struct billing *b, struct reply *r, const char *name,
    struct ledger_agent *agent)
{
	struct wanted w = {.name = name, .agent = agent};
	enum ledger_result result =
	    b->ops->each_agent(b->store, match_agent, &w);

	if (result == LEDGER_OK && !w.found)
		result = LEDGER_MISSING;
	return (!reply_store(r, result, "agent", name));
}

static bool
put_agent(struct billing *b, struct reply *r, struct ledger_agent *a)
{
	if (reply_store(r, b->ops->agent_put(b->store, a), "agent", a->name))
		return (false);
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

/* Stores an agent with a fresh token and shows that, once. */
static void
put_with_token(struct billing *b, struct reply *r, struct ledger_agent *a)
{
	char text[TOKEN_MAX];

	token_make(AGENT_PREFIX, text);
	sha256(span_str(text), a->token_hash);
	if (put_agent(b, r, a)) {
		jout_begin_object(&r->j);
		jout_kstr(&r->j, "name", a->name);
		jout_kstr(&r->j, "token", text);
		jout_end_object(&r->j);
	}
	crypto_wipe(text, sizeof(text));
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

/* A revoked agent's name may be given again, to a new token. false: the store
 * is away. */
static bool
take_over_name(struct billing *b, struct reply *r, struct ledger_agent *a)
{
	struct ledger_agent old = {0};
	struct wanted w = {.name = a->name, .agent = &old};

	if (reply_store(r, b->ops->each_agent(b->store, match_agent, &w),
		"agent", a->name))
		return (false);
	if (w.found && old.revoked)
		a->id = old.id;
	return (true);
}

void
cmd_agent_add(struct billing *b, const struct json *args, struct reply *r)
{
	struct ledger_agent a = {0};

	if (!fill_agent(&a, args, r) || !take_over_name(b, r, &a))
		return;
	if (dir_row(&b->agents, a.id) == DIR_NO_ROW &&
	    !dir_has_room(&b->agents)) {
		reply_refuse(r,
		    "all %u agents are in use: raise max_agents "
		    "and restart",
		    b->agents.max_rows);
		return;
	}
	put_with_token(b, r, &a);
}

void
cmd_agent_rotate(struct billing *b, const struct json *args, struct reply *r)
{
	struct ledger_agent a;

	if (!get_agent(b, r, json_get_str(args, "name"), &a))
		return;
	if (a.revoked)
		reply_refuse(r, "agent %s is revoked", a.name);
	else
		put_with_token(b, r, &a);
}

void
cmd_agent_revoke(struct billing *b, const struct json *args, struct reply *r)
{
	struct ledger_agent a;

	if (!get_agent(b, r, json_get_str(args, "name"), &a))
		return;
	a.revoked = true;
	if (put_agent(b, r, &a))
		show_agent(r, &a);
}

static void
set_draining(
    struct billing *b, const struct json *args, struct reply *r, bool draining)
{
	struct ledger_agent a;

	if (!get_agent(b, r, json_get_str(args, "name"), &a))
		return;
	a.draining = draining;
	if (put_agent(b, r, &a))
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

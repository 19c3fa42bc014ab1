/* hubctl key ...: what users present. A key is shown once and never kept:
 * the store and shared memory know its hash alone. */
#include <stdio.h>
#include <string.h>

#include "common/crypto.h"
#include "hubd/billing/commands.h"

#define KEY_PREFIX    "sk-hub-"
#define KEY_ID_PREFIX "key_"
#define KEY_ID_RANDOM 16
#define KEY_GRACE_MAX (INT64_C(366) * 86400 * 1000)

/* ---- what it may do ------------------------------------------------------ */

static bool
set_number(const struct json *args, struct reply *r, const char *name,
    uint64_t max, uint64_t *out)
{
	int64_t n = json_get_int(args, name, -1);

	if (n < 0)
		return (true);
	if ((uint64_t)n > max) {
		reply_refuse(
		    r, "%s: at most %llu", name, (unsigned long long)max);
		return (false);
	}
	*out = (uint64_t)n;
	return (true);
}

static bool
set_expiry(struct ledger_key *k, const struct json *args, struct reply *r)
{
	int64_t at = json_get_int(args, "expires", k->expires_ms);

	if (at != k->expires_ms && at != 0 && at <= walltime_ms()) {
		reply_refuse(r, "expires: that time has passed");
		return (false);
	}
	k->expires_ms = at;
	return (true);
}

static bool
set_limits(struct ledger_key *k, const struct json *args, struct reply *r)
{
	uint64_t rpm = k->rpm, concurrency = k->concurrency;

	if (!set_number(args, r, "rpm", UINT32_MAX, &rpm) ||
	    !set_number(args, r, "concurrency", UINT32_MAX, &concurrency) ||
	    !set_number(args, r, "tpm", UINT64_C(1) << 50, &k->tpm))
		return (false);
	k->rpm = (uint32_t)rpm;
	k->concurrency = (uint32_t)concurrency;
	return (set_expiry(k, args, r));
}

static bool
set_key(struct ledger_key *k, const struct json *args, struct reply *r)
{
	const char *name = json_get_str(args, "name");
	const char *models = json_get_str(args, "models");

	if ((name != NULL && !check_name(r, "name", name)) ||
	    !check_list(r, "models", models, sizeof(k->models)) ||
	    !set_limits(k, args, r))
		return (false);
	if (name != NULL)
		snprintf(k->name, sizeof(k->name), "%s", name);
	/* Who may use all is who has no list. */
	if (models != NULL)
		snprintf(k->models, sizeof(k->models), "%s",
		    strcmp(models, "*") == 0 ? "" : models);
	return (true);
}

static bool
publish(struct billing *b, struct reply *r, const struct ledger_key *k)
{
	if (publish_key(b, k))
		return (true);
	reply_refuse(r,
	    "key %s is stored but has no room in memory: raise "
	    "max_keys and restart",
	    k->id);
	return (false);
}

/* A fresh secret: its hash into the key, its text to the caller. */
static void
make_secret(struct ledger_key *k, char text[TOKEN_MAX])
{
	token_make(KEY_PREFIX, text);
	sha256(span_str(text), k->hash);
}

static void
show_secret(struct reply *r, const struct ledger_key *k, char text[TOKEN_MAX])
{
	jout_begin_object(&r->j);
	jout_kstr(&r->j, "id", k->id);
	jout_kstr(&r->j, "key", text);
	jout_end_object(&r->j);
	crypto_wipe(text, TOKEN_MAX);
}

static const char *
state_of(const struct ledger_key *k)
{
	if (k->revoked)
		return ("revoked");
	if (k->expires_ms != 0 && k->expires_ms <= walltime_ms())
		return ("expired");
	return ("active");
}

static void
show_key(struct billing *b, struct jout *j, const struct ledger_key *k)
{
	jout_begin_object(j);
	jout_kstr(j, "id", k->id);
	jout_kstr(j, "name", k->name);
	jout_kstr(j, "account", dir_name(&b->accounts, k->account));
	jout_kuint(j, "rpm", k->rpm);
	jout_kuint(j, "tpm", k->tpm);
	jout_kuint(j, "concurrency", k->concurrency);
	put_list(j, "models", k->models);
	put_time(j, "expires", k->expires_ms);
	put_time(j, "created", k->created_ms);
	put_time(j, "old_until", k->old_until_ms);
	jout_kstr(j, "state", state_of(k));
	jout_end_object(j);
}

static void
show_one(struct billing *b, struct reply *r, const struct ledger_key *k)
{
	jout_begin_object(&r->j);
	jout_key(&r->j, "keys");
	jout_begin_array(&r->j);
	show_key(b, &r->j, k);
	jout_end_array(&r->j);
	jout_end_object(&r->j);
}

/* ---- commands ------------------------------------------------------------ */

static void
make_id(struct ledger_key *k)
{
	char random[TOKEN_MAX];

	token_make("", random);
	snprintf(k->id, sizeof(k->id), "%s%.*s", KEY_ID_PREFIX, KEY_ID_RANDOM,
	    random);
}

void
cmd_key_add(struct billing *b, const struct json *args, struct reply *r)
{
	struct ledger_key k = {.created_ms = walltime_ms()};
	char text[TOKEN_MAX];

	k.account = find_account(b, r, json_get_str(args, "account"));
	if (k.account == 0 || !set_key(&k, args, r))
		return;
	if (!dir_has_room(&b->keys)) {
		reply_refuse(r,
		    "all %u keys are in use: raise max_keys and "
		    "restart",
		    b->keys.max_rows);
		return;
	}
	make_id(&k);
	make_secret(&k, text);
	if (!reply_store(r, b->ops->key_put(b->store, &k), "key", k.id) &&
	    publish(b, r, &k))
		show_secret(r, &k, text);
}

struct change {
	const struct json *args;
	struct reply *r;
	char secret[TOKEN_MAX]; /* a fresh one, if it gets one */
};

/* Stores and publishes what fn, which may refuse, makes of the key. */
static bool
change(struct billing *b, struct change *c,
    bool (*fn)(void *change, struct ledger_key *), struct ledger_key *k)
{
	const char *id = json_get_str(c->args, "id");
	enum ledger_result rc =
	    ledger_change_key(b->ops, b->store, id, fn, c, k);

	return (!c->r->refused && !reply_store(c->r, rc, "key", id) &&
		publish(b, c->r, k));
}

static bool
is_good(const struct change *c, const struct ledger_key *k)
{
	if (k->revoked)
		reply_refuse(c->r, "key %s is revoked", k->id);
	return (!k->revoked);
}

static bool
set_it(void *arg, struct ledger_key *k)
{
	const struct change *c = arg;

	return (is_good(c, k) && set_key(k, c->args, c->r));
}

void
cmd_key_set(struct billing *b, const struct json *args, struct reply *r)
{
	struct change c = {.args = args, .r = r};
	struct ledger_key k;

	if (change(b, &c, set_it, &k))
		show_one(b, r, &k);
}

static bool
rotate_it(void *arg, struct ledger_key *k)
{
	struct change *c = arg;
	int64_t grace = json_get_int(c->args, "grace", 0);

	if (!is_good(c, k))
		return (false);
	memset(k->old_hash, 0, sizeof(k->old_hash));
	k->old_until_ms = 0;
	if (grace > 0) {
		memcpy(k->old_hash, k->hash, sizeof(k->old_hash));
		k->old_until_ms = walltime_ms() + grace;
	}
	make_secret(k, c->secret);
	return (true);
}

void
cmd_key_rotate(struct billing *b, const struct json *args, struct reply *r)
{
	struct change c = {.args = args, .r = r};
	struct ledger_key k;

	if (json_get_int(args, "grace", 0) > KEY_GRACE_MAX)
		reply_refuse(r, "grace: at most a year");
	else if (change(b, &c, rotate_it, &k))
		show_secret(r, &k, c.secret);
}

/* A cut stays one. */
static bool
revoke_it(void *arg, struct ledger_key *k)
{
	const struct change *c = arg;

	if (json_get_bool(c->args, "cut", false))
		k->revoked = 2;
	else if (k->revoked == 0)
		k->revoked = 1;
	return (true);
}

void
cmd_key_revoke(struct billing *b, const struct json *args, struct reply *r)
{
	struct change c = {.args = args, .r = r};
	struct ledger_key k;

	if (change(b, &c, revoke_it, &k))
		show_one(b, r, &k);
}

struct listing {
	struct billing *b;
	struct reply *r;
	uint32_t account; /* 0: all */
};

static void
list_key(void *arg, const struct ledger_key *k)
{
	struct listing *l = arg;

	if (l->account != 0 && l->account != k->account)
		return;
	show_key(l->b, &l->r->j, k);
	reply_more(l->r);
}

void
cmd_show_keys(struct billing *b, const struct json *args, struct reply *r)
{
	const char *account = json_get_str(args, "account");
	struct listing l = {.b = b, .r = r};
	enum ledger_result result;

	if (account != NULL && (l.account = find_account(b, r, account)) == 0)
		return;
	jout_begin_object(&r->j);
	jout_key(&r->j, "keys");
	jout_begin_array(&r->j);
	result = b->ops->each_key(b->store, list_key, &l);
	jout_end_array(&r->j);
	jout_end_object(&r->j);
	reply_store(r, result, "key", "");
}

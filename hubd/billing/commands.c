/*
 * A request line of hubctl: parsed, its arguments checked against
 * commands.def, run, answered.
 */
#include "hubd/billing/commands.h"

#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"

#define COUNT_MAX (INT64_C(1) << 53)

typedef void command_fn(struct billing *, const struct json *, struct reply *);

static command_fn *const handlers[] = {
#define COMMAND(id, words, who, usage, ...) [CTL_CMD_##id] = WHO_##who(id),
#define WHO_SHM(id)			    NULL
#define WHO_BILLING(id)			    cmd_##id
#define WHO_QUERY(id)			    cmd_##id
#define WHO_CHANGE(id)			    cmd_##id
#include "hubd/commands.def"
#undef COMMAND
#undef WHO_SHM
#undef WHO_BILLING
#undef WHO_QUERY
#undef WHO_CHANGE
};

/* ---- arguments ----------------------------------------------------------- */

static const struct ctl_arg *
find_arg(const struct ctl_command *c, const char *name)
{
	size_t i;

	for (i = 0; i < CTL_ARGS_MAX && c->args[i].name != NULL; i++)
		if (strcmp(c->args[i].name, name) == 0)
			return (&c->args[i]);
	return (NULL);
}

static bool
type_fits(const struct ctl_arg *arg, const struct json *v)
{
	int64_t n;

	switch (arg->type) {
	case CTL_TEXT:
	case CTL_WORD:
	case CTL_MONEY:
		return (v->type == JSON_STRING);
	case CTL_COUNT:
	case CTL_SPAN:
	case CTL_TIME:
	case CTL_AHEAD:
		if (v->type != JSON_NUMBER ||
		    strspn(v->text, "0123456789") != strlen(v->text))
			return (false);
		n = strlen(v->text) > 16 ? INT64_MAX
					 : strtoll(v->text, NULL, 10);
		return (n <= COUNT_MAX);
	case CTL_FLAG:
		return (v->type == JSON_TRUE || v->type == JSON_FALSE);
	}
	return (false);
}

static bool
check_args(
    const struct ctl_command *c, const struct json *args, struct reply *r)
{
	const struct ctl_arg *arg;
	const struct json *v;
	size_t i;

	for (v = args != NULL ? args->first : NULL; v != NULL; v = v->next) {
		arg = find_arg(c, v->key);
		if (arg == NULL || !type_fits(arg, v)) {
			reply_refuse(r, "%s: %s is no argument of this kind",
			    c->words, v->key);
			return (false);
		}
	}
	for (i = 0; i < CTL_ARGS_MAX && c->args[i].name != NULL; i++) {
		arg = &c->args[i];
		if ((arg->place == CTL_POSITION || arg->place == CTL_NEEDED) &&
		    json_get(args, arg->name) == NULL) {
			reply_refuse(r, "usage: hubctl %s", c->usage);
			return (false);
		}
	}
	return (true);
}

/* ---- a request ----------------------------------------------------------- */

/* An errand has tried to open the store itself, and knows why it is. */
static void
refuse_away(const struct billing *b, struct reply *r)
{
	const char *why = b->store_error;

	reply_refuse(r, "the store is away: %s",
	    why[0] != '\0' ? why : "try again in a moment");
}

static void
dispatch(struct billing *b, const struct json *request, struct reply *r)
{
	const char *words = json_get_str(request, "cmd");
	const struct json *args = json_get(request, "args");
	uint64_t before = atomic_load(&shm_pub_state(b->shm)->keys_version);
	const struct ctl_command *c;

	if (words == NULL || (args != NULL && args->type != JSON_OBJECT)) {
		reply_refuse(r, "the request is not understood");
		return;
	}
	c = ctl_command_find(words);
	if (c == NULL || handlers[c->id] == NULL) {
		reply_refuse(r, "no such command");
		return;
	}
	if (!check_args(c, args, r))
		return;
	if (b->stage <= STAGE_TABLES) {
		refuse_away(b, r);
		return;
	}
	handlers[c->id](b, args, r);
	if (b->self != NULL ||
	    atomic_load(&shm_pub_state(b->shm)->keys_version) == before)
		return;
	(void)FAILPOINT("billing.changed");
	wake_all_workers(b);
}

bool
command_is_errand(const struct billing *b, struct span line)
{
	struct json *request = json_parse(line, NULL, 0);
	const char *words = json_get_str(request, "cmd");
	const struct ctl_command *c =
	    words != NULL ? ctl_command_find(words) : NULL;
	bool is = c != NULL && (c->who == CTL_QUERY || (c->who == CTL_CHANGE &&
							   store_is_shared(b)));

	json_free(request);
	return (is);
}

uint32_t
command_run(struct billing *b, struct span line, struct buf *out,
    reply_flush_fn *flush, void *arg)
{
	struct json *request;
	struct reply r;
	char error[128];

	reply_begin(&r, out, flush, arg);
	request = json_parse(line, error, sizeof(error));
	if (request == NULL || request->type != JSON_OBJECT)
		reply_refuse(&r, "the request is not JSON");
	else
		dispatch(b, request, &r);
	json_free(request);
	if (b->sink != NULL && !b->sink->settle(b) && !r.refused) {
		/* a new key's text is told all the same */
		reply_refuse(&r,
		    "the change is stored, but not in force at this hub yet");
		r.keep_data = true;
	}
	reply_end(&r);
	return (r.cookie);
}

void
command_refuse(const char *why, struct buf *out)
{
	struct reply r;

	reply_begin(&r, out, NULL, NULL);
	reply_refuse(&r, "%s", why);
	reply_end(&r);
}

void
command_reloaded(struct billing *b, const char *error, struct buf *out)
{
	struct reply r;

	if (error != NULL) {
		command_refuse(error, out);
		return;
	}
	reply_begin(&r, out, NULL, NULL);
	cmd_reload_data(b, &r.j);
	reply_end(&r);
}

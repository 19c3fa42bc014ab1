/*
 * A request line of hubctl: parsed, its arguments checked against
 * commands.def, run, answered.
 */
#include "hubd/billing/commands.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT_MAX (INT64_C(1) << 53)

typedef void command_fn(struct billing *, const struct json *, struct reply *);

static command_fn *const handlers[] = {
#define COMMAND(id, words, who, usage, ...) [CTL_CMD_##id] = WHO_##who(id),
#define WHO_BILLING(id)			    cmd_##id
#define WHO_SHM(id)			    NULL
#include "hubd/commands.def"
#undef COMMAND
#undef WHO_BILLING
#undef WHO_SHM
};

/* ---- what handlers use --------------------------------------------------- */

void
reply_refuse(struct reply *r, const char *fmt, ...)
{
	va_list ap;

	r->refused = true;
	va_start(ap, fmt);
	vsnprintf(r->error, sizeof(r->error), fmt, ap);
	va_end(ap);
}

bool
reply_store(struct reply *r, enum ledger_result result, const char *thing,
    const char *name)
{
	switch (result) {
	case LEDGER_OK:
		return (false);
	case LEDGER_CONFLICT:
		reply_refuse(r, "%s %s exists already", thing, name);
		break;
	case LEDGER_MISSING:
		reply_refuse(r, "there is no %s %s", thing, name);
		break;
	case LEDGER_REFUSED:
		reply_refuse(
		    r, "the store refuses this for %s %s", thing, name);
		break;
	case LEDGER_DOWN:
		reply_refuse(r, "the store is away: try again in a moment");
		break;
	}
	return (true);
}

bool
check_name(struct reply *r, const char *what, const char *name)
{
	size_t n = strlen(name);

	if (n > 0 && n < LEDGER_NAME_MAX &&
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "abcdefghijklmnopqrstuvwxyz0123456789._-") == n)
		return (true);
	reply_refuse(
	    r, "%s: 1 to %d of A-Z a-z 0-9 . _ -", what, LEDGER_NAME_MAX - 1);
	return (false);
}

bool
check_list(struct reply *r, const char *what, const char *list, size_t cap)
{
	const unsigned char *p;

	if (list == NULL)
		return (true);
	if (strlen(list) >= cap) {
		reply_refuse(
		    r, "%s: longer than %zu characters", what, cap - 1);
		return (false);
	}
	for (p = (const unsigned char *)list; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f) {
			reply_refuse(r,
			    "%s: names with commas between, "
			    "without blanks",
			    what);
			return (false);
		}
	return (true);
}

void
put_list(struct jout *j, const char *key, const char *list)
{
	const char *p = list;
	size_t n;

	jout_key(j, key);
	jout_begin_array(j);
	while (*p != '\0') {
		n = strcspn(p, ",");
		if (n > 0)
			jout_span(j, span_of(p, n));
		p += n + (p[n] == ',');
	}
	jout_end_array(j);
}

void
put_time(struct jout *j, const char *key, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char day[32], text[48];
	struct tm tm;

	jout_key(j, key);
	if (ms <= 0 || gmtime_r(&seconds, &tm) == NULL ||
	    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
		jout_null(j);
		return;
	}
	snprintf(text, sizeof(text), "%s.%03dZ", day, (int)(ms % 1000));
	jout_str(j, text);
}

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
		reply_refuse(r, "the store is away: try again in a moment");
		return;
	}
	handlers[c->id](b, args, r);
	if (atomic_load(&shm_pub_state(b->shm)->keys_version) != before)
		wake_all_workers(b);
}

/* A refusal may carry data (an audit that found something). */
static void
answer(struct buf *out, const struct reply *r, struct buf *data)
{
	struct jout j;

	jout_init(&j, out);
	jout_begin_object(&j);
	jout_kint(&j, "status", r->refused ? 1 : 0);
	if (r->refused)
		jout_kstr(&j, "error", r->error);
	if (!r->refused || r->keep_data) {
		jout_key(&j, "data");
		jout_raw(&j, buf_len(data) > 0 ? buf_cstr(data) : "{}");
	}
	jout_end_object(&j);
	buf_addstr(out, "\n");
}

uint32_t
command_run(struct billing *b, struct span line, struct buf *out)
{
	struct json *request;
	struct reply r = {0};
	struct buf data;
	char error[128];

	buf_init(&data);
	jout_init(&r.j, &data);
	request = json_parse(line, error, sizeof(error));
	if (request == NULL || request->type != JSON_OBJECT)
		reply_refuse(&r, "the request is not JSON");
	else
		dispatch(b, request, &r);
	json_free(request);
	if (r.cookie == 0)
		answer(out, &r, &data);
	buf_fini(&data);
	return (r.cookie);
}

void
command_reloaded(struct billing *b, const char *error, struct buf *out)
{
	struct reply r = {0};
	struct buf data;

	buf_init(&data);
	jout_init(&r.j, &data);
	if (error != NULL)
		reply_refuse(&r, "%s", error);
	else
		cmd_reload_data(b, &r.j);
	answer(out, &r, &data);
	buf_fini(&data);
}

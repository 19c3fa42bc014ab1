/* A command's document as a person likes to read it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/ctl/out.h"
#include "hubd/ctl/price_lines.h"
#include "hubd/ctl/table.h"
#include "hubd/gauges.h"

/* How the array of that name is shown by a command, or by any. */
struct view {
	const char *member;
	enum ctl_command_id command; /* CTL_COMMANDS: any */
	struct column columns[TABLE_COLUMNS];
	struct column second[TABLE_COLUMNS]; /* under each row, or none */
};

static const struct view views[] = {
    {"workers", CTL_CMD_show_workers,
	{{COLUMN_NUMBER, "SLOT", "slot"}, {COLUMN_NUMBER, "PID", "pid"},
	    {COLUMN_NUMBER, "GEN", "generation"}, {COLUMN_ID, "STATE", "state"},
	    {COLUMN_NUMBER, "LINKS", "links"},
	    {COLUMN_NUMBER, "STREAMS", "streams"},
	    {COLUMN_NUMBER, "CLIENTS", "clients"},
	    {COLUMN_LENGTH, "HEARTBEAT", "heartbeat_ms"},
	    {COLUMN_NAME, "LAST WORDS", "last_words"}},
	{{0}}},
    {"workers", CTL_COMMANDS,
	{{COLUMN_NUMBER, "SLOT", "slot"}, {COLUMN_NUMBER, "PID", "pid"},
	    {COLUMN_NUMBER, "GENERATION", "generation"}},
	{{0}}},
    {"agents", CTL_COMMANDS,
	{{COLUMN_NAME, "NAME", "name"}, {COLUMN_ID, "STATE", "state"},
	    {COLUMN_NUMBER, "LINKS", "links"},
	    {COLUMN_NUMBER, "CALLS", "calls"},
	    {COLUMN_LENGTH, "LATENCY", "latency_ms"},
	    {COLUMN_LENGTH, "SKEW", "clock_skew_ms"},
	    {COLUMN_NAME, "VERSION", "version"},
	    {COLUMN_LIST, "PROVIDERS", "providers"},
	    {COLUMN_LIST, "MODELS", "models"}},
	{{0}}},
    {"models", CTL_COMMANDS,
	{{COLUMN_NAME, "MODEL", "model"}, {COLUMN_NAME, "PROVIDER", "provider"},
	    {COLUMN_NUMBER, "AGENTS", "agents"},
	    {COLUMN_PER_MILLION, "IN USD/M", "input"},
	    {COLUMN_PER_MILLION, "OUT USD/M", "output"}},
	{{0}}},
    {"routes", CTL_COMMANDS,
	{{COLUMN_NAME, "NAME", "name"}, {COLUMN_ID, "STRATEGY", "strategy"},
	    {COLUMN_NUMBER, "RETRIES", "retries"},
	    {COLUMN_LENGTH, "WAIT", "max_wait_ms"},
	    {COLUMN_NUMBER, "OPEN", "open"}, {COLUMN_NUMBER, "OF", "places"},
	    {COLUMN_LIST, "MODELS", "models"}},
	{{COLUMN_LIST, "FALLBACK", "fallback"}}},
    {"candidates", CTL_COMMANDS,
	{{COLUMN_NUMBER, "STAGE", "stage"}, {COLUMN_NAME, "AGENT", "agent"},
	    {COLUMN_NAME, "PROVIDER", "provider"},
	    {COLUMN_NAME, "MODEL", "model"}, {COLUMN_ID, "SERVES", "serves"},
	    {COLUMN_NUMBER, "CALLS", "calls"},
	    {COLUMN_LENGTH, "LATENCY", "latency_ms"}},
	{{COLUMN_NAME, "PRICE", "price"},
	    {COLUMN_PER_MILLION, "IN USD/M", "input"},
	    {COLUMN_PER_MILLION, "OUT USD/M", "output"},
	    {COLUMN_NUMBER, "WEIGHT", "weight"},
	    {COLUMN_LENGTH, "COOLING", "cooling_ms"}}},
    {"calls", CTL_COMMANDS,
	{{COLUMN_ID, "ID", "id"}, {COLUMN_NAME, "ACCOUNT", "account"},
	    {COLUMN_NAME, "AGENT", "agent"}, {COLUMN_NAME, "MODEL", "model"},
	    {COLUMN_ID, "STATE", "state"}, {COLUMN_LENGTH, "AGE", "age_ms"}},
	{{0}}},
    {"keys", CTL_CMD_show_limits,
	{{COLUMN_ID, "KEY", "key"}, {COLUMN_NAME, "ACCOUNT", "account"},
	    {COLUMN_NUMBER, "CALLS", "calls"},
	    {COLUMN_LIMIT, "OF", "concurrency"},
	    {COLUMN_NUMBER, "LEFT", "rpm_left"}, {COLUMN_LIMIT, "RPM", "rpm"},
	    {COLUMN_NUMBER, "LEFT", "tpm_left"}, {COLUMN_LIMIT, "TPM", "tpm"}},
	{{0}}},
    {"accounts", CTL_CMD_show_limits,
	{{COLUMN_NAME, "ACCOUNT", "account"}, {COLUMN_NUMBER, "CALLS", "calls"},
	    {COLUMN_MONEY, "HELD USD", "held"},
	    {COLUMN_MONEY, "AVAILABLE USD", "available"}},
	{{0}}},
    {"accounts", CTL_COMMANDS,
	{{COLUMN_NAME, "ACCOUNT", "name"}, {COLUMN_ID, "STATE", "state"},
	    {COLUMN_MONEY, "BALANCE USD", "balance"},
	    {COLUMN_MONEY, "HELD USD", "held"},
	    {COLUMN_MONEY, "SPENT USD", "spent"},
	    {COLUMN_MONEY, "MAY OWE USD", "overdraft"}},
	{{0}}},
    {"keys", CTL_COMMANDS,
	{{COLUMN_ID, "KEY", "id"}, {COLUMN_NAME, "ACCOUNT", "account"},
	    {COLUMN_NAME, "NAME", "name"}, {COLUMN_ID, "STATE", "state"},
	    {COLUMN_LIMIT, "RPM", "rpm"}, {COLUMN_LIMIT, "TPM", "tpm"},
	    {COLUMN_LIMIT, "CALLS", "concurrency"}},
	{{COLUMN_TIME, "EXPIRES", "expires"},
	    {COLUMN_TIME, "OLD UNTIL", "old_until"},
	    {COLUMN_LIST, "MODELS", "models"}}},
    {"prices", CTL_COMMANDS,
	{{COLUMN_NAME, "MODEL", "model"}, {COLUMN_NAME, "PROVIDER", "provider"},
	    {COLUMN_PER_MILLION, "IN USD/M", "input"},
	    {COLUMN_PER_MILLION, "CACHED", "cache_read"},
	    {COLUMN_PER_MILLION, "OUT USD/M", "output"}},
	{{0}}},
    {"changes", CTL_COMMANDS,
	{{COLUMN_NAME, "MODEL", "model"}, {COLUMN_ID, "KIND", "kind"},
	    {COLUMN_ID, "TIER", "tier"}, {COLUMN_NUMBER, "ABOVE", "above"},
	    {COLUMN_PER_MILLION, "OLD USD/M", "old"},
	    {COLUMN_PER_MILLION, "NEW USD/M", "new"}},
	{{0}}},
    {"rates", CTL_COMMANDS,
	{{COLUMN_ID, "KIND", "kind"}, {COLUMN_ID, "TIER", "tier"},
	    {COLUMN_NUMBER, "ABOVE", "above"},
	    {COLUMN_PER_MILLION, "USD/M", "price"}},
	{{0}}},
    {"rows", CTL_CMD_show_ledger,
	{{COLUMN_TIME, "TIME", "time"}, {COLUMN_NAME, "ACCOUNT", "account"},
	    {COLUMN_NAME, "MODEL", "model"},
	    {COLUMN_NUMBER, "STATUS", "status"}, {COLUMN_INPUT, "IN", "usage"},
	    {COLUMN_OUTPUT, "OUT", "usage"}, {COLUMN_MONEY, "USD", "amount"}},
	{{COLUMN_ID, "ID", "id"}, {COLUMN_ID, "OUTCOME", "outcome"},
	    {COLUMN_NAME, "AGENT", "agent"},
	    {COLUMN_NAME, "PROVIDER", "provider"},
	    {COLUMN_ID, "ESTIMATED", "estimated"}}},
    {"suspense", CTL_COMMANDS,
	{{COLUMN_ID, "ID", "id"}, {COLUMN_TIME, "TIME", "time"},
	    {COLUMN_ID, "STATE", "state"}, {COLUMN_NAME, "BY", "by"}},
	{{COLUMN_NAME, "ACCOUNT", "account"}, {COLUMN_NAME, "MODEL", "model"},
	    {COLUMN_NAME, "REASON", "reason"}, {COLUMN_NAME, "WHY", "why"}}},
};

static const struct view *
view_of(const char *member, const struct ctl_command *command)
{
	size_t i;

	for (i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		if (strcmp(views[i].member, member) == 0 &&
		    (views[i].command == command->id ||
			views[i].command == CTL_COMMANDS))
			return (&views[i]);
	}
	return (NULL);
}

/* ---- single values ------------------------------------------------------ */

/* Members that are times or lengths of time say so in their names. */
static enum column_kind
kind_of(const char *key)
{
	size_t n = strlen(key);

	if (strcmp(key, "time") == 0)
		return (COLUMN_TIME);
	return (n > 3 && strcmp(key + n - 3, "_ms") == 0 ? COLUMN_LENGTH
							 : COLUMN_ID);
}

/* An empty list of something that has a name is what it has: none. */
static bool
is_table(const struct json *object, const struct json *v)
{
	if (v->type != JSON_ARRAY)
		return (false);
	if (v->first != NULL)
		return (v->first->type == JSON_OBJECT);
	return (json_get(object, "name") == NULL);
}

static size_t
longest_key(const struct json *object)
{
	const struct json *v;
	size_t n, longest = 0;

	for (v = object->first; v != NULL; v = v->next) {
		n = strlen(v->key);
		if (!is_table(object, v) && n > longest)
			longest = n;
	}
	return (longest);
}

static void
put_line(struct buf *out, const struct json *v, size_t width)
{
	buf_addf(out, "%-*s  ", (int)width, v->key);
	table_cell(out, kind_of(v->key), v);
	buf_addstr(out, "\n");
}

/* ---- tables ------------------------------------------------------------- */

/* Columns for rows that no view knows: their members, in order. */
static void
put_unknown_table(struct buf *out, const struct json *rows)
{
	struct column columns[TABLE_COLUMNS] = {{0}};
	const struct json *v = rows->first == NULL ? NULL : rows->first->first;
	size_t i;

	for (i = 0; v != NULL && i < TABLE_COLUMNS - 1; i++, v = v->next) {
		columns[i].kind =
		    v->type == JSON_NUMBER ? COLUMN_NUMBER : COLUMN_NAME;
		columns[i].title = columns[i].member = v->key;
	}
	table_put(out, rows, columns, NULL);
}

static void
put_array(
    struct buf *out, const struct ctl_command *command, const struct json *rows)
{
	const struct view *view = view_of(rows->key, command);

	if (rows->first == NULL)
		buf_addf(out, "no %s\n", rows->key);
	else if (view == NULL)
		put_unknown_table(out, rows);
	else
		table_put(out, rows, view->columns,
		    view->second[0].kind == COLUMN_END ? NULL : view->second);
}

static void
put_members(struct buf *out, const struct json *object, size_t width)
{
	const struct json *v;

	for (v = object->first; v != NULL; v = v->next) {
		if (!is_table(object, v) && v->type != JSON_OBJECT)
			put_line(out, v, width);
	}
}

static void
put_tables(struct buf *out, const struct ctl_command *command,
    const struct json *object)
{
	const struct json *v;

	for (v = object->first; v != NULL; v = v->next) {
		if (!is_table(object, v))
			continue;
		if (buf_len(out) > 0)
			buf_addstr(out, "\n");
		put_array(out, command, v);
	}
}

/* ---- status ------------------------------------------------------------- */

static const char *
text_of(const struct json *object, const char *member)
{
	const struct json *v = json_get(object, member);

	return (v == NULL || v->text == NULL ? "-" : v->text);
}

static void
put_spool(struct buf *out, const struct json *billing)
{
	const char *since = json_get_str(billing, "spooled_since");

	if (json_get(billing, "shared_up") == NULL)
		return;
	buf_addf(out, "spool    %s rows wait", text_of(billing, "spooled"));
	if (since != NULL)
		buf_addf(out, " since %s", since);
	buf_addf(out, ", the shared store is %s\n",
	    json_get_bool(billing, "shared_up", false) ? "up" : "away");
}

static void
put_billing(struct buf *out, const struct json *billing)
{
	int64_t silent_ms = json_get_int(billing, "heartbeat_ms", 0);

	buf_addf(out, "billing  pid %s, %s pending, %s in suspense, store %s",
	    text_of(billing, "pid"), text_of(billing, "pending"),
	    text_of(billing, "suspense"), text_of(billing, "store"));
	buf_addstr(
	    out, json_get_bool(billing, "store_up", true) ? "\n" : " (away)\n");
	if (silent_ms < 0)
		buf_addstr(out, "         NONE RUNS\n");
	if (silent_ms <= HUB_SILENT_MS)
		return;
	buf_addstr(out, "         HAS NOT MOVED FOR ");
	table_cell(out, COLUMN_LENGTH, json_get(billing, "heartbeat_ms"));
	buf_addstr(out, "\n");
}

static const char *
limits_of(const struct json *status)
{
	const char *who = text_of(status, "limits");

	if (strcmp(who, "share") == 0)
		return ("THIS HUB'S SHARE: REDIS IS AWAY");
	if (strcmp(who, "refused") == 0)
		return ("REQUESTS ARE REFUSED: REDIS IS AWAY");
	return (who);
}

static void
put_status(struct buf *out, const struct json *s)
{
	const struct json *billing = json_get(s, "billing");
	int64_t uptime_s = json_get_int(s, "uptime_s", 0);
	struct json up = {.type = JSON_NUMBER};
	char ms[32];

	snprintf(ms, sizeof(ms), "%" PRId64, uptime_s * 1000);
	up.text = ms;
	buf_addf(out, "hubd %s, pid %s, %s, up ", text_of(s, "version"),
	    text_of(s, "pid"), text_of(s, "state"));
	if (uptime_s < 60)
		buf_addf(out, "%" PRId64 " s", uptime_s);
	else
		table_cell(out, COLUMN_LENGTH, &up);
	buf_addf(out, "\nprices   version %s\n", text_of(s, "price_version"));
	buf_addf(out, "agents   %s up\n", text_of(s, "agents"));
	buf_addf(out, "calls    %s\n", text_of(s, "calls"));
	buf_addf(out, "limits   %s\n", limits_of(s));
	put_billing(out, billing);
	put_spool(out, billing);
}

/* ---- prices ------------------------------------------------------------- */

/* One model: all its rates. Several: the usual three of each. */
static void
put_price_list(struct buf *out, const struct ctl_command *command,
    const struct json *prices)
{
	struct json *lines;

	if (prices->first != NULL && prices->first->next == NULL) {
		buf_addstr(out, "\n");
		put_members(out, prices->first, longest_key(prices->first));
		put_tables(out, command, prices->first);
		return;
	}
	lines = price_lines(prices);
	put_tables(out, command, lines);
	json_free(lines);
}

/* What changed comes last: the list may be long. */
static void
put_prices(
    struct buf *out, const struct ctl_command *command, const struct json *data)
{
	const struct json *prices = json_get(data, "prices");
	const struct json *changes = json_get(data, "changes");
	struct json *lines;

	if (prices != NULL)
		put_price_list(out, command, prices);
	if (changes == NULL)
		return;
	lines = price_change_lines(changes);
	buf_addf(out, "\nchanged since version %s:", text_of(data, "before"));
	put_tables(out, command, lines);
	json_free(lines);
}

/* ---- usage --------------------------------------------------------------- */

/* What groups may be called by, and their title. */
static const char *const groups[][2] = {{"account", "ACCOUNT"},
    {"model", "MODEL"}, {"day", "DAY"}, {"key", "KEY"}, {"agent", "AGENT"}};

static struct column
group_column(const struct json *row)
{
	struct column c = {COLUMN_NAME, "", ""};
	size_t i;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (json_get(row, groups[i][0]) == NULL)
			continue;
		c.member = groups[i][0];
		c.title = groups[i][1];
	}
	return (c);
}

/* The groups, and under them, in the same columns, the total. */
static void
put_usage(struct buf *out, const struct json *data)
{
	const struct json *rows = json_get(data, "usage"), *row;
	const struct json *total = json_get(data, "total");
	struct column columns[] = {{COLUMN_END, NULL, NULL},
	    {COLUMN_NUMBER, "REQUESTS", "requests"},
	    {COLUMN_INPUT, "IN", "usage"}, {COLUMN_OUTPUT, "OUT", "usage"},
	    {COLUMN_MONEY, "USD", "amount"}, {COLUMN_END, NULL, NULL}};
	char name[] = "total", *member;
	struct json *copies, label, list;
	size_t i, n = 0;

	if (rows == NULL || rows->first == NULL || total == NULL) {
		buf_addstr(out, "no usage\n");
		return;
	}
	columns[0] = group_column(rows->first);
	member = xstrdup(columns[0].member);
	for (row = rows->first; row != NULL; row = row->next)
		n++;
	copies = xcalloc(n + 1, sizeof(*copies));
	for (i = 0, row = rows->first; row != NULL; row = row->next, i++) {
		copies[i] = *row;
		copies[i].next = &copies[i + 1];
	}
	label = (struct json){.type = JSON_STRING,
	    .key = member,
	    .text = name,
	    .next = total->first};
	copies[n] = (struct json){.type = JSON_OBJECT, .first = &label};
	list = (struct json){.type = JSON_ARRAY, .first = copies};
	table_put(out, &list, columns, NULL);
	free(copies);
	free(member);
}

/* ---- store check --------------------------------------------------------- */

static void
put_check(struct buf *out, const struct json *data)
{
	const struct json *audit = json_get(data, "audit");

	put_members(out, data, longest_key(data));
	if (audit == NULL)
		return;
	buf_addstr(out, "\naudit\n");
	put_members(out, audit, longest_key(audit));
}

/* ---- suspense ----------------------------------------------------------- */

static void
put_suspense(
    struct buf *out, const struct ctl_command *command, const struct json *data)
{
	const struct json *rows = json_get(data, "suspense");

	if (rows == NULL || rows->first == NULL)
		buf_addstr(out, "no rows in suspense\n");
	else
		put_tables(out, command, data);
}

static void
show(
    struct buf *out, const struct ctl_command *command, const struct json *data)
{
	if (data->type != JSON_OBJECT)
		return;
	if (command->id == CTL_CMD_show_suspense) {
		put_suspense(out, command, data);
		return;
	}
	if (command->id == CTL_CMD_show_status)
		put_status(out, data);
	else if (command->id == CTL_CMD_store_check)
		put_check(out, data);
	else
		put_members(out, data, longest_key(data));
	if (command->id == CTL_CMD_show_usage)
		put_usage(out, data);
	else if (command->id == CTL_CMD_show_prices)
		put_prices(out, command, data);
	else
		put_tables(out, command, data);
}

const struct output out_text = {show};

/*
 * hubctl export ledger: every row, the oldest first, as it comes from the
 * store to whoever reads: in constant memory.
 *
 * CSV is RFC 4180, for spreadsheets: a text that would begin a formula there
 * gets an apostrophe in front. JSON lines are as show ledger has rows, exact.
 */
#include <inttypes.h>
#include <string.h>

#include "hubd/billing/commands.h"

#define CRLF "\r\n"

struct export
{
	struct reply *r;
	struct buf line;
};

static void
send_line(struct export *e)
{
	reply_stream_write(e->r, buf_ptr(&e->line), buf_len(&e->line));
	buf_consume(&e->line, buf_len(&e->line));
}

/* ---- JSON lines ---------------------------------------------------------- */

static void
export_json(void *arg, const struct ledger_row *row)
{
	struct export *e = arg;
	struct jout j;

	jout_init(&j, &e->line);
	put_row(&j, row);
	buf_addstr(&e->line, "\n");
	send_line(e);
}

/* ---- CSV ----------------------------------------------------------------- */

static const char head[] =
    "id,time,account,key,agent,provider,dialect,endpoint,model,price,tier,"
    "price_version,status,stream,outcome,attempts,";
static const char tail[] = "amount,estimated,unpriced_kinds,duration_ms" CRLF;

static void
put_head(struct export *e)
{
	unsigned k;

	buf_addstr(&e->line, head);
	for (k = 0; k < USAGE_KINDS; k++)
		buf_addf(&e->line, "%s,", usage_kind_str((enum usage_kind)k));
	buf_addstr(&e->line, tail);
	send_line(e);
}

static void
put_quoted(struct buf *out, const char *s)
{
	size_t n;

	buf_addstr(out, "\"");
	while (*s != '\0') {
		n = strcspn(s, "\"");
		buf_add(out, s, n);
		s += n;
		if (*s == '"') {
			buf_addstr(out, "\"\"");
			s++;
		}
	}
	buf_addstr(out, "\"");
}

/* A text and its comma. */
static void
put_text(struct buf *out, const char *s)
{
	char safe[PRICE_NAME_MAX + 2] = "'";

	if (*s != '\0' && strchr("=+-@\t\r", *s) != NULL) {
		str_copy(safe + 1, sizeof(safe) - 1, s);
		s = safe;
	}
	if (s[strcspn(s, ",\"\r\n")] != '\0')
		put_quoted(out, s);
	else
		buf_addstr(out, s);
	buf_addstr(out, ",");
}

static const char *
bool_str(bool b)
{
	return (b ? "true" : "false");
}

static void
put_call(struct buf *out, const struct ledger_row *row)
{
	char id[REQ_ID_TEXT], time[TIME_TEXT];

	req_id_format(row->id, id);
	format_time(row->time_ms, time);
	buf_addf(out, "%s,%s,", id, time);
	put_text(out, row->account_name);
	put_text(out, row->key);
	put_text(out, row->agent);
	put_text(out, row->provider);
	put_text(out, row->dialect);
	put_text(out, row->endpoint);
	put_text(out, row->model);
	put_text(out, row->price);
	put_text(out, row->tier);
	buf_addf(out, "%" PRIu64 ",%d,%s,", row->price_version, row->status,
	    bool_str(row->stream));
	put_text(out, row->outcome);
	buf_addf(out, "%u,", row->attempts);
}

static void
export_csv(void *arg, const struct ledger_row *row)
{
	struct export *e = arg;
	struct buf *out = &e->line;
	unsigned k;

	put_call(out, row);
	for (k = 0; k < USAGE_KINDS; k++)
		buf_addf(out, "%" PRIu64 ",", row->usage.n[k]);
	buf_addf(out, "%s,", row->amount);
	put_text(
	    out, row->estimated[0] == '\0' ? bool_str(false) : row->estimated);
	buf_addf(out, "%s,%" PRId64 CRLF, bool_str(row->unpriced_kinds),
	    row->duration_ms);
	send_line(e);
}

/* ---- the command --------------------------------------------------------- */

static bool
is_csv(const struct json *args, struct reply *r, bool *csv)
{
	const char *format = json_get_str(args, "format");

	*csv = format == NULL || strcmp(format, "csv") == 0;
	if (*csv || strcmp(format, "jsonl") == 0)
		return (true);
	reply_refuse(r, "format: csv or jsonl");
	return (false);
}

void
cmd_export_ledger(struct billing *b, const struct json *args, struct reply *r)
{
	struct export e = {.r = r};
	enum ledger_result result;
	struct ledger_filter f;
	bool csv;

	if (!is_csv(args, r, &csv) || !read_filter(b, args, r, &f))
		return;
	f.oldest_first = true;
	reply_stream_begin(r);
	if (csv)
		put_head(&e);
	result =
	    b->ops->each_row(b->store, &f, csv ? export_csv : export_json, &e);
	reply_rows(r, result);
	buf_fini(&e.line);
}

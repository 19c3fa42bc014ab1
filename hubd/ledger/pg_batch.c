/* Rows as arrays, a column each, as PostgreSQL reads them. */
#include "hubd/ledger/pg_batch.h"

#include <assert.h>
#include <stdlib.h>

static struct buf *
next_column(struct pg_batch *b)
{
	struct buf *to = &b->columns[b->column++];

	buf_addstr(to, buf_len(to) == 0 ? "{" : ",");
	return (to);
}

static void
add_number(struct pg_batch *b, int64_t v)
{
	buf_addf(next_column(b), "%lld", (long long)v);
}

static void
add_bool(struct pg_batch *b, bool v)
{
	buf_addstr(next_column(b), v ? "t" : "f");
}

static void
add_text(struct pg_batch *b, const char *s)
{
	struct buf *to = next_column(b);

	buf_addstr(to, "\"");
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			buf_add(to, "\\", 1);
		buf_add(to, s, 1);
	}
	buf_addstr(to, "\"");
}

static void
add_row(struct pg_batch *b, const struct ledger_row *r)
{
	char id[REQ_ID_TEXT], usage[USAGE_TEXT_MAX];

	req_id_format(r->id, id);
	if (!usage_write(&r->usage, usage)) /* looked at before */
		abort();
	b->column = 0;
	add_text(b, id);
	add_number(b, r->time_ms);
	add_number(b, r->account);
	add_text(b, r->key);
	add_text(b, r->agent);
	add_text(b, r->provider);
	add_text(b, r->dialect);
	add_text(b, r->endpoint);
	add_text(b, r->model);
	add_text(b, r->price);
	add_text(b, r->tier);
	add_number(b, (int64_t)r->price_version);
	add_number(b, r->status);
	add_bool(b, r->stream);
	add_text(b, r->outcome);
	add_number(b, r->attempts);
	add_text(b, usage);
	add_text(b, r->amount);
	add_text(b, r->estimated);
	add_bool(b, r->unpriced_kinds);
	add_number(b, r->duration_ms);
	assert(b->column == PG_ROW_NCOLUMNS);
}

void
pg_batch_fill(struct pg_batch *b, size_t from, size_t n, struct pg_args *args)
{
	size_t i;

	for (i = 0; i < PG_ROW_NCOLUMNS; i++)
		buf_reset(&b->columns[i], 1 << 20);
	for (i = 0; i < n; i++)
		add_row(b, &b->rows[b->pick[from + i]]);
	args->n = 0;
	for (i = 0; i < PG_ROW_NCOLUMNS; i++) {
		buf_addstr(&b->columns[i], "}");
		pg_add_text(args, buf_cstr(&b->columns[i]));
	}
}

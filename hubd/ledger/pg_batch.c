/* Rows as arrays, a column each, in the order of PG_ROW_NAMES. */
#include "hubd/ledger/pg_batch.h"

#include <stdlib.h>

static void
add_row(struct pg_arrays *a, const struct ledger_row *r)
{
	char id[REQ_ID_TEXT], usage[USAGE_TEXT_MAX];

	req_id_format(r->id, id);
	if (!usage_write(&r->usage, usage)) /* looked at before */
		abort();
	pg_array_text(a, id);
	pg_array_number(a, r->time_ms);
	pg_array_number(a, r->account);
	pg_array_text(a, r->key);
	pg_array_text(a, r->agent);
	pg_array_text(a, r->provider);
	pg_array_text(a, r->dialect);
	pg_array_text(a, r->endpoint);
	pg_array_text(a, r->model);
	pg_array_text(a, r->price);
	pg_array_text(a, r->tier);
	pg_array_number(a, (int64_t)r->price_version);
	pg_array_number(a, r->status);
	pg_array_bool(a, r->stream);
	pg_array_text(a, r->outcome);
	pg_array_number(a, r->attempts);
	pg_array_text(a, usage);
	pg_array_text(a, r->amount);
	pg_array_text(a, r->estimated);
	pg_array_bool(a, r->unpriced_kinds);
	pg_array_number(a, r->duration_ms);
	pg_array_end_row(a);
}

void
pg_batch_fill(struct pg_batch *b, size_t from, size_t n, struct pg_args *args)
{
	size_t i;

	pg_array_reset(&b->arrays);
	for (i = 0; i < n; i++)
		add_row(&b->arrays, &b->rows[b->pick[from + i]]);
	pg_array_args(&b->arrays, args);
}

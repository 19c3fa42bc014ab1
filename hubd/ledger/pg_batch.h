/* A batch of rows on its way into PostgreSQL. */
#ifndef HUBD_LEDGER_PG_BATCH_H
#define HUBD_LEDGER_PG_BATCH_H

#include "hubd/ledger/pg_array.h"
#include "hubd/ledger/pg_private.h"

/* Rows as they are given: the arguments are an array a column. */
#define PG_INPUT                                                       \
	"unnest($1::uuid[], $2::bigint[], $3::integer[], $4::text[], " \
	"$5::text[], $6::text[], $7::text[], $8::text[], $9::text[], " \
	"$10::text[], $11::text[], $12::bigint[], $13::integer[], "    \
	"$14::boolean[], $15::text[], $16::bigint[], $17::jsonb[], "   \
	"$18::numeric[], $19::text[], $20::boolean[], $21::bigint[]) "

struct pg_batch {
	struct ledger *l;
	struct ledger_row *rows;
	size_t nrows;
	enum ledger_result *results;
	size_t *pick; /* those that are booked together */
	size_t n;
	bool late; /* the one at hand is of a month put aside */
	pg_balance_fn *fn;
	void *arg;
	amount_t *scratch;
	struct pg_arrays arrays;
};

/* The arguments $1 to $21 of rows pick[from] and on, whose usage can be
 * written; they live in the batch until the next call. */
void pg_batch_fill(struct pg_batch *, size_t from, size_t n, struct pg_args *);

#endif

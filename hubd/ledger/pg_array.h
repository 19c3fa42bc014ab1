/* Arguments of a statement that takes many rows: an array a column. */
#ifndef HUBD_LEDGER_PG_ARRAY_H
#define HUBD_LEDGER_PG_ARRAY_H

#include "common/buf.h"
#include "hubd/ledger/pgconn.h"

/* All zeroes is an empty one. A row is its columns one after the other. */
struct pg_arrays {
	struct buf column[PG_ARGS_MAX];
	int ncolumns, at; /* the column that comes next */
	size_t rows;
};

void pg_array_text(struct pg_arrays *, const char *);
void pg_array_span(struct pg_arrays *, struct span); /* text, too */
void pg_array_number(struct pg_arrays *, int64_t);
void pg_array_bool(struct pg_arrays *, bool);
void pg_array_bytes(struct pg_arrays *, const void *, size_t);
void pg_array_end_row(struct pg_arrays *);
/* Ends the arrays and makes them $1 and on; they live until the next call. */
void pg_array_args(struct pg_arrays *, struct pg_args *);
/* No rows any more. */
void pg_array_reset(struct pg_arrays *);
void pg_array_fini(struct pg_arrays *);

#endif

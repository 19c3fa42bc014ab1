/* What goes into a statement of PostgreSQL, and what comes out of it. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/ledger/pgconn_private.h"

/* ---- arguments ----------------------------------------------------------- */

void
pg_add_text(struct pg_args *a, const char *s)
{
	assert(a->n < PG_ARGS_MAX);
	a->format[a->n] = 0;
	a->value[a->n++] = s;
}

void
pg_add_int(struct pg_args *a, int64_t v)
{
	assert(a->n < PG_ARGS_MAX);
	snprintf(a->digits[a->n], sizeof(a->digits[0]), "%" PRId64, v);
	pg_add_text(a, a->digits[a->n]);
}

void
pg_add_bool(struct pg_args *a, bool v)
{
	pg_add_text(a, v ? "t" : "f");
}

void
pg_add_bytes(struct pg_args *a, const void *p, size_t n)
{
	assert(a->n < PG_ARGS_MAX && n <= INT32_MAX);
	a->format[a->n] = 1;
	a->size[a->n] = (int)n;
	a->value[a->n++] = n == 0 ? "" : p;
}

/* ---- answers ------------------------------------------------------------- */

size_t
pg_count(const struct pg_rows *r)
{
	return ((size_t)PQntuples(r->res));
}

uint64_t
pg_changed(const struct pg_rows *r)
{
	return (strtoull(PQcmdTuples(r->res), NULL, 10));
}

const char *
pg_text(const struct pg_rows *r, size_t row, int column)
{
	return (PQgetvalue(r->res, (int)row, column));
}

void
pg_copy(const struct pg_rows *r, size_t row, int column, char *out, size_t cap)
{
	snprintf(out, cap, "%s", pg_text(r, row, column));
}

int64_t
pg_int(const struct pg_rows *r, size_t row, int column)
{
	return (strtoll(pg_text(r, row, column), NULL, 10));
}

bool
pg_bool(const struct pg_rows *r, size_t row, int column)
{
	return (pg_text(r, row, column)[0] == 't');
}

void *
pg_bytes(const struct pg_rows *r, size_t row, int column, size_t *n)
{
	const char *text = pg_text(r, row, column);
	unsigned char *p;
	void *copy;

	p = PQunescapeBytea((const unsigned char *)text, n);
	if (p == NULL)
		fatalx("out of memory");
	copy = xmalloc(*n + 1);
	memcpy(copy, p, *n);
	PQfreemem(p);
	return (copy);
}

void
pg_rows_free(struct pg_rows *r)
{
	if (r == NULL)
		return;
	PQclear(r->res);
	free(r);
}

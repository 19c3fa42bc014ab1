/* Arrays as PostgreSQL reads them: {1,2}, {"a","b \" c"}. */
#include "hubd/ledger/pg_array.h"

#include <assert.h>
#include <string.h>

#define KEEP (1 << 20) /* bytes of memory that stay for the next rows */

static struct buf *
next_column(struct pg_arrays *a)
{
	struct buf *to;

	assert(a->at < PG_ARGS_MAX);
	to = &a->column[a->at++];
	buf_addstr(to, a->rows == 0 ? "{" : ",");
	return (to);
}

void
pg_array_number(struct pg_arrays *a, int64_t v)
{
	buf_addf(next_column(a), "%lld", (long long)v);
}

void
pg_array_bool(struct pg_arrays *a, bool v)
{
	buf_addstr(next_column(a), v ? "t" : "f");
}

void
pg_array_span(struct pg_arrays *a, struct span s)
{
	struct buf *to = next_column(a);
	size_t i;

	buf_addstr(to, "\"");
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add(to, "\\", 1);
		buf_add(to, s.p + i, 1);
	}
	buf_addstr(to, "\"");
}

void
pg_array_text(struct pg_arrays *a, const char *s)
{
	pg_array_span(a, span_str(s));
}

void
pg_array_bytes(struct pg_arrays *a, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	struct buf *to = next_column(a);
	const unsigned char *byte = p;
	char hex[2];
	size_t i;

	buf_addstr(to, "\"\\\\x");
	for (i = 0; i < n; i++) {
		hex[0] = digits[byte[i] >> 4];
		hex[1] = digits[byte[i] & 15];
		buf_add(to, hex, sizeof(hex));
	}
	buf_addstr(to, "\"");
}

void
pg_array_end_row(struct pg_arrays *a)
{
	assert(a->rows == 0 || a->at == a->ncolumns);
	a->ncolumns = a->at;
	a->at = 0;
	a->rows++;
}

void
pg_array_args(struct pg_arrays *a, struct pg_args *args)
{
	int i;

	args->n = 0;
	for (i = 0; i < a->ncolumns; i++) {
		buf_addstr(&a->column[i], "}");
		pg_add_text(args, buf_cstr(&a->column[i]));
	}
}

void
pg_array_reset(struct pg_arrays *a)
{
	int i;

	for (i = 0; i < a->ncolumns; i++)
		buf_reset(&a->column[i], KEEP);
	a->rows = 0;
	a->at = 0;
}

void
pg_array_fini(struct pg_arrays *a)
{
	int i;

	for (i = 0; i < PG_ARGS_MAX; i++)
		buf_fini(&a->column[i]);
	memset(a, 0, sizeof(*a));
}

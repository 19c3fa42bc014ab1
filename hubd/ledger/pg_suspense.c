/* Suspense in PostgreSQL: what could not be billed, and what became of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/monotime.h"
#include "hubd/ledger/pg_private.h"

#define SUSPENSE_COLUMNS                                                   \
	"SELECT seq, id, time_ms, reason, how, resolved_ms, resolved_by, " \
	"why, raw FROM suspense "

enum ledger_result
pg_suspend(struct ledger *l, req_id_t id, const char *reason, const void *raw,
    size_t n)
{
	struct pg_args args = {0};
	char text[REQ_ID_TEXT];
	enum ledger_result rc;
	uint64_t changed = 0;

	req_id_format(id, text);
	pg_add_text(&args, text);
	pg_add_int(&args, walltime_ms());
	pg_add_text(&args, reason);
	pg_add_bytes(&args, raw, n);
	rc = pg_do(l,
	    "INSERT INTO suspense (id, time_ms, reason, raw) "
	    "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	    &args, &changed);
	return (rc == LEDGER_OK && changed == 0 ? LEDGER_CONFLICT : rc);
}

static void
read_suspense(const struct pg_rows *rows, size_t row, struct ledger_suspense *s)
{
	memset(s, 0, sizeof(*s));
	s->number = pg_int(rows, row, 0);
	pg_copy(rows, row, 1, s->id, sizeof(s->id));
	s->time_ms = pg_int(rows, row, 2);
	pg_copy(rows, row, 3, s->reason, sizeof(s->reason));
	s->how = suspense_how_parse(pg_text(rows, row, 4));
	s->resolved_ms = pg_int(rows, row, 5);
	pg_copy(rows, row, 6, s->by, sizeof(s->by));
	pg_copy(rows, row, 7, s->why, sizeof(s->why));
}

struct suspense_sink {
	void (*fn)(void *, const struct ledger_suspense *);
	void *arg;
};

static bool
on_suspense(void *arg, const struct pg_rows *rows, size_t row)
{
	const struct suspense_sink *to = arg;
	struct ledger_suspense s;
	void *raw;

	read_suspense(rows, row, &s);
	s.raw = raw = pg_bytes(rows, row, 8, &s.size);
	to->fn(to->arg, &s);
	free(raw);
	return (true);
}

enum ledger_result
pg_each_suspense(struct ledger *l, bool all,
    void (*fn)(void *, const struct ledger_suspense *), void *arg)
{
	struct suspense_sink to = {fn, arg};
	struct pg_args args = {0};

	pg_add_bool(&args, all);
	return (pg_each(l,
	    SUSPENSE_COLUMNS "WHERE how = '' OR $1::boolean ORDER BY seq",
	    &args, on_suspense, &to));
}

enum ledger_result
pg_suspense_get(struct ledger *l, const char *id, struct ledger_suspense *s,
    void **raw, size_t *n)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	pg_add_text(&args, id);
	rc = pg_find(l,
	    SUSPENSE_COLUMNS "WHERE id = $1 AND how = '' ORDER BY seq LIMIT 1",
	    &args, &rows);
	if (rc == LEDGER_OK) {
		read_suspense(rows, 0, s);
		*raw = pg_bytes(rows, 0, 8, n);
	}
	pg_rows_free(rows);
	return (rc);
}

/* Nothing was changed: because it is resolved, or is none? */
static enum ledger_result
why_unresolved(struct ledger *l, int64_t number)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	pg_add_int(&args, number);
	rc = pg_run(l, "SELECT 1 FROM suspense WHERE seq = $1", &args, &rows);
	if (rc == LEDGER_OK)
		rc = pg_count(rows) > 0 ? LEDGER_CONFLICT : LEDGER_MISSING;
	pg_rows_free(rows);
	return (rc);
}

enum ledger_result
pg_suspense_resolve(struct ledger *l, const struct ledger_suspense *s)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	uint64_t changed = 0;

	pg_add_text(&args, suspense_how_str(s->how));
	pg_add_int(&args, walltime_ms());
	pg_add_text(&args, s->by);
	pg_add_text(&args, s->why);
	pg_add_int(&args, s->number);
	rc = pg_do(l,
	    "UPDATE suspense SET how = $1, resolved_ms = $2, "
	    "resolved_by = $3, why = $4 WHERE seq = $5 AND how = ''",
	    &args, &changed);
	if (rc == LEDGER_OK && changed == 0)
		return (why_unresolved(l, s->number));
	return (rc);
}

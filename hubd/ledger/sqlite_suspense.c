/* Suspense in SQLite: what could not be billed, and what became of it. */
#include "hubd/ledger/ledger_sqlite.h"

#include <stdio.h>
#include <string.h>

#include "common/alloc.h"

#define SUSPENSE_COLUMNS                                            \
	"seq, id, time_ms, reason, how, resolved_ms, resolved_by, " \
	"why, raw"

/* OK, or CONFLICT if it is there already. */
static enum ledger_result
suspense_insert(struct ledger *l, const char *id, const char *reason,
    const void *raw, size_t n)
{
	struct query q = db_query(l,
	    "INSERT OR IGNORE INTO suspense (id, time_ms, reason, raw) "
	    "VALUES (?, ?, ?, ?)");

	db_bind_text(&q, id);
	db_bind_int(&q, db_now_ms());
	db_bind_text(&q, reason);
	db_bind_blob(&q, raw, n);
	if (db_run(&q) != DB_DONE)
		return (LEDGER_DOWN);
	return (db_changes(l) > 0 ? LEDGER_OK : LEDGER_CONFLICT);
}

enum ledger_result
sqlite_suspend(struct ledger *l, req_id_t id, const char *reason,
    const void *raw, size_t n)
{
	char text[REQ_ID_TEXT];
	enum ledger_result rc;

	req_id_format(id, text);
	if (db_begin(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	rc = suspense_insert(l, text, reason, raw, n);
	/* Its checkpoint must not be billed after a restart either. */
	if (rc != LEDGER_DOWN && checkpoint_forget(l, text) == DB_DONE)
		return (db_commit(l) == LEDGER_OK ? rc : LEDGER_DOWN);
	db_rollback(l);
	return (LEDGER_DOWN);
}

static void
suspense_read(struct query *q, struct ledger_suspense *s)
{
	char how[16];

	memset(s, 0, sizeof(*s));
	s->number = db_int(q);
	db_text(q, s->id, sizeof(s->id));
	s->time_ms = db_int(q);
	db_text(q, s->reason, sizeof(s->reason));
	db_text(q, how, sizeof(how));
	s->how = suspense_how_parse(how);
	s->resolved_ms = db_int(q);
	db_text(q, s->by, sizeof(s->by));
	db_text(q, s->why, sizeof(s->why));
	s->raw = db_blob(q, &s->size);
}

enum ledger_result
sqlite_each_suspense(struct ledger *l, bool all,
    void (*fn)(void *, const struct ledger_suspense *), void *arg)
{
	struct query q =
	    db_query(l, "SELECT " SUSPENSE_COLUMNS " FROM suspense "
			"WHERE how = '' OR ? ORDER BY seq");
	struct ledger_suspense s;
	enum db_step step;

	db_bind_int(&q, all);
	while ((step = db_step(&q)) == DB_ROW) {
		suspense_read(&q, &s);
		fn(arg, &s);
	}
	db_end(&q);
	return (db_result(step));
}

enum ledger_result
sqlite_suspense_get(struct ledger *l, const char *id, struct ledger_suspense *s,
    void **raw, size_t *n)
{
	struct query q =
	    db_query(l, "SELECT " SUSPENSE_COLUMNS " FROM suspense "
			"WHERE id = ? AND how = '' ORDER BY seq LIMIT 1");
	enum db_step step;

	db_bind_text(&q, id);
	step = db_step(&q);
	if (step == DB_ROW) {
		suspense_read(&q, s);
		*n = s->size;
		*raw = xmalloc(*n + 1);
		if (*n > 0)
			memcpy(*raw, s->raw, *n);
		s->raw = NULL;
	}
	db_end(&q);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

/* Nothing was changed: because it is resolved, or is none? */
static enum ledger_result
why_unresolved(struct ledger *l, int64_t number)
{
	struct query q = db_query(l, "SELECT 1 FROM suspense WHERE seq = ?");
	enum db_step step;

	db_bind_int(&q, number);
	step = db_run(&q);
	if (step == DB_ROW)
		return (LEDGER_CONFLICT);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

enum ledger_result
sqlite_suspense_resolve(struct ledger *l, const struct ledger_suspense *s)
{
	struct query q = db_query(l,
	    "UPDATE suspense SET how = ?, resolved_ms = ?, resolved_by = ?, "
	    "why = ? WHERE seq = ? AND how = ''");
	enum db_step step;

	db_bind_text(&q, suspense_how_str(s->how));
	db_bind_int(&q, db_now_ms());
	db_bind_text(&q, s->by);
	db_bind_text(&q, s->why);
	db_bind_int(&q, s->number);
	step = db_run(&q);
	if (step == DB_DONE && db_changes(l) == 0)
		return (why_unresolved(l, s->number));
	return (db_result(step));
}

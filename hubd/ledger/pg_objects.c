/* Objects of accounts in PostgreSQL. */
#include <stdio.h>
#include <string.h>

#include "hubd/ledger/pg_private.h"

#define OBJECT_COLUMNS                                                    \
	"SELECT number, id, account, agent, provider, kind, created_ms, " \
	"billed_by <> '' FROM object "

/* ---- in the transaction of a row ----------------------------------------- */

/* The order of locks: the account comes first. */
static enum ledger_result
lock_account(struct ledger *l, uint32_t account)
{
	struct pg_args args = {0};

	pg_add_int(&args, account);
	return (
	    pg_do(l, "SELECT 1 FROM account WHERE id = $1 FOR NO KEY UPDATE",
		&args, NULL));
}

/* Whether another row has billed it: OK no, CONFLICT yes. */
static enum ledger_result
billed_by_other(struct ledger *l, const struct ledger_row *r, const char *row)
{
	enum ledger_result rc;
	struct pg_args args = {0};
	struct pg_rows *rows;
	const char *by;

	pg_add_text(&args, call_object_id(&r->object, 0));
	pg_add_int(&args, r->account);
	rc = pg_run(l,
	    "SELECT billed_by FROM object WHERE id = $1 AND account = $2 "
	    "FOR UPDATE",
	    &args, &rows);
	if (rc == LEDGER_OK) {
		by = pg_count(rows) > 0 ? pg_text(rows, 0, 0) : NULL;
		if (by == NULL || (by[0] != '\0' && strcmp(by, row) != 0))
			rc = LEDGER_CONFLICT;
	}
	pg_rows_free(rows);
	return (rc);
}

enum ledger_result
pg_object_before(struct ledger *l, struct ledger_row *r)
{
	char id[REQ_ID_TEXT];
	enum ledger_result rc;

	if ((rc = lock_account(l, r->account)) != LEDGER_OK)
		return (rc);
	if (r->object.event != OBJECT_ENDED)
		return (LEDGER_OK);
	req_id_format(r->id, id);
	rc = billed_by_other(l, r, id);
	if (rc != LEDGER_CONFLICT)
		return (rc);
	ledger_row_free(r);
	return (LEDGER_OK);
}

static enum ledger_result
insert(struct ledger *l, const struct ledger_row *r, const char *id,
    enum object_kind kind)
{
	struct pg_args args = {0};

	pg_add_text(&args, id);
	pg_add_int(&args, r->account);
	pg_add_int(&args, r->agent_number);
	pg_add_text(&args, r->provider);
	pg_add_int(&args, kind);
	pg_add_int(&args, r->time_ms);
	return (pg_do(l,
	    "INSERT INTO object (id, account, agent, provider, kind, "
	    "created_ms) VALUES ($1, $2, $3, $4, $5, $6) "
	    "ON CONFLICT DO NOTHING",
	    &args, NULL));
}

static enum ledger_result
insert_files(struct ledger *l, const struct ledger_row *r)
{
	enum ledger_result rc = LEDGER_OK;
	const char *id;
	unsigned i;

	for (i = 1;
	     rc == LEDGER_OK && (id = call_object_id(&r->object, i)) != NULL;
	     i++)
		rc = insert(l, r, id, OBJECT_FILE);
	return (rc);
}

static enum ledger_result
delete_object(struct ledger *l, const struct ledger_row *r, const char *id)
{
	struct pg_args args = {0};

	pg_add_text(&args, id);
	pg_add_int(&args, r->account);
	return (pg_do(l,
	    "WITH gone AS (DELETE FROM object WHERE id = $1 AND account = $2 "
	    "RETURNING id) INSERT INTO object_removed (id) SELECT id FROM gone "
	    "ON CONFLICT (id) DO UPDATE SET changed = 0",
	    &args, NULL));
}

static enum ledger_result
set_billed(struct ledger *l, const struct ledger_row *r, const char *id)
{
	struct pg_args args = {0};
	char row[REQ_ID_TEXT];
	enum ledger_result rc;

	req_id_format(r->id, row);
	pg_add_text(&args, row);
	pg_add_text(&args, id);
	pg_add_int(&args, r->account);
	rc = pg_do(l,
	    "UPDATE object SET billed_by = $1 WHERE id = $2 AND account = $3 "
	    "AND billed_by = ''",
	    &args, NULL);
	return (rc == LEDGER_OK ? insert_files(l, r) : rc);
}

enum ledger_result
pg_object_after(struct ledger *l, const struct ledger_row *r)
{
	const char *id = call_object_id(&r->object, 0);

	switch ((enum object_event)r->object.event) {
	case OBJECT_CREATED:
		return (insert(l, r, id, (enum object_kind)r->object.kind));
	case OBJECT_DELETED:
		return (delete_object(l, r, id));
	case OBJECT_ENDED:
		return (set_billed(l, r, id));
	case OBJECT_UNTOUCHED:
	case OBJECT_EVENTS:
		break;
	}
	return (LEDGER_OK);
}

/* ---- reading ------------------------------------------------------------- */

static void
read_object(const struct pg_rows *rows, size_t row, struct ledger_object *o)
{
	memset(o, 0, sizeof(*o));
	o->number = (uint64_t)pg_int(rows, row, 0);
	pg_copy(rows, row, 1, o->id, sizeof(o->id));
	o->account = (uint32_t)pg_int(rows, row, 2);
	o->agent = (uint32_t)pg_int(rows, row, 3);
	pg_copy(rows, row, 4, o->provider, sizeof(o->provider));
	o->kind = (enum object_kind)pg_int(rows, row, 5);
	o->created_ms = pg_int(rows, row, 6);
	o->billed = pg_bool(rows, row, 7);
}

enum ledger_result
pg_object_get(struct ledger *l, const char *id, struct ledger_object *o)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	pg_add_text(&args, id);
	rc = pg_find(l, OBJECT_COLUMNS "WHERE id = $1", &args, &rows);
	if (rc == LEDGER_OK)
		read_object(rows, 0, o);
	pg_rows_free(rows);
	return (rc);
}

struct object_sink {
	void (*fn)(void *, const struct ledger_object *);
	void (*change)(void *, const struct ledger_object *, bool removed);
	void *arg;
};

static bool
on_object(void *arg, const struct pg_rows *rows, size_t row)
{
	const struct object_sink *to = arg;
	struct ledger_object o;

	read_object(rows, row, &o);
	to->fn(to->arg, &o);
	return (true);
}

enum ledger_result
pg_each_object(struct ledger *l, uint32_t limit,
    void (*fn)(void *, const struct ledger_object *), void *arg)
{
	struct object_sink to = {.fn = fn, .arg = arg};
	struct pg_args args = {0};

	pg_add_int(&args, limit);
	return (pg_each(l,
	    OBJECT_COLUMNS "WHERE number > (SELECT coalesce(max(number), 0) "
			   "FROM object) - $1::bigint ORDER BY number",
	    &args, on_object, &to));
}

static bool
on_present(void *arg, const struct pg_rows *rows, size_t row)
{
	const struct object_sink *to = arg;
	struct ledger_object o;

	read_object(rows, row, &o);
	o.number = 0;
	to->change(to->arg, &o, false);
	return (true);
}

static bool
on_removed(void *arg, const struct pg_rows *rows, size_t row)
{
	const struct object_sink *to = arg;
	struct ledger_object o;

	memset(&o, 0, sizeof(o));
	pg_copy(rows, row, 0, o.id, sizeof(o.id));
	to->change(to->arg, &o, true);
	return (true);
}

/* What is gone first: an id may have come back. */
enum ledger_result
pg_objects_after(struct ledger *l, int64_t changed,
    void (*fn)(void *, const struct ledger_object *, bool removed), void *arg)
{
	struct object_sink to = {.change = fn, .arg = arg};
	struct pg_args args = {0};
	enum ledger_result rc;

	pg_add_int(&args, changed);
	rc = pg_each(l, "SELECT id FROM object_removed WHERE changed > $1",
	    &args, on_removed, &to);
	if (rc != LEDGER_OK)
		return (rc);
	return (pg_each(l, OBJECT_COLUMNS "WHERE changed > $1 ORDER BY number",
	    &args, on_present, &to));
}

/* Objects of accounts in SQLite. */
#include <stdio.h>
#include <string.h>

#include "hubd/ledger/ledger_sqlite.h"

/* ---- in the transaction of a row ----------------------------------------- */

/* Whether another row has billed it: OK no, CONFLICT yes. */
static enum ledger_result
billed_by_other(
    struct ledger *l, const char *object, uint32_t account, const char *row)
{
	struct query q = db_query(
	    l, "SELECT billed_by FROM object WHERE id = ? AND account = ?");
	enum ledger_result rc = LEDGER_CONFLICT;
	char by[REQ_ID_TEXT];
	enum db_step step;

	db_bind_text(&q, object);
	db_bind_int(&q, account);
	step = db_step(&q);
	if (step == DB_ROW) {
		db_text(&q, by, sizeof(by));
		if (by[0] == '\0' || strcmp(by, row) == 0)
			rc = LEDGER_OK;
	} else if (step != DB_DONE) {
		rc = LEDGER_DOWN;
	}
	db_end(&q);
	return (rc);
}

enum ledger_result
object_before(struct ledger *l, struct ledger_row *r)
{
	char id[REQ_ID_TEXT];
	enum ledger_result rc;

	if (r->object.event != OBJECT_ENDED)
		return (LEDGER_OK);
	req_id_format(r->id, id);
	rc = billed_by_other(l, call_object_id(&r->object, 0), r->account, id);
	if (rc == LEDGER_CONFLICT)
		ledger_row_free(r);
	return (rc == LEDGER_DOWN ? rc : LEDGER_OK);
}

static enum db_step
insert(struct ledger *l, const struct ledger_row *r, const char *id,
    enum object_kind kind)
{
	struct query q =
	    db_query(l, "INSERT OR IGNORE INTO object "
			"(id, account, agent, provider, kind, created_ms) "
			"VALUES (?, ?, ?, ?, ?, ?)");

	db_bind_text(&q, id);
	db_bind_int(&q, r->account);
	db_bind_int(&q, r->agent_number);
	db_bind_text(&q, r->provider);
	db_bind_int(&q, kind);
	db_bind_int(&q, r->time_ms);
	return (db_run(&q));
}

static enum db_step
insert_files(struct ledger *l, const struct ledger_row *r)
{
	enum db_step step = DB_DONE;
	const char *id;
	unsigned i;

	for (i = 1;
	     step == DB_DONE && (id = call_object_id(&r->object, i)) != NULL;
	     i++)
		step = insert(l, r, id, OBJECT_FILE);
	return (step);
}

static enum db_step delete (
    struct ledger *l, const struct ledger_row *r, const char *id) {
	struct query q = db_query(
	    l, "DELETE FROM object WHERE id = ? AND account = ?");

	db_bind_text(&q, id);
	db_bind_int(&q, r->account);
	return (db_run(&q));
}

static enum db_step
set_billed(struct ledger *l, const struct ledger_row *r, const char *id)
{
	struct query q =
	    db_query(l, "UPDATE object SET billed_by = ? "
			"WHERE id = ? AND account = ? AND billed_by = ''");
	char row[REQ_ID_TEXT];
	enum db_step step;

	req_id_format(r->id, row);
	db_bind_text(&q, row);
	db_bind_text(&q, id);
	db_bind_int(&q, r->account);
	step = db_run(&q);
	return (step == DB_DONE ? insert_files(l, r) : step);
}

enum ledger_result
object_after(struct ledger *l, const struct ledger_row *r)
{
	const char *id = call_object_id(&r->object, 0);
	enum db_step step = DB_DONE;

	switch ((enum object_event)r->object.event) {
	case OBJECT_CREATED:
		step = insert(l, r, id, (enum object_kind)r->object.kind);
		break;
	case OBJECT_DELETED:
		step = delete (l, r, id);
		break;
	case OBJECT_ENDED:
		step = set_billed(l, r, id);
		break;
	case OBJECT_UNTOUCHED:
	case OBJECT_EVENTS:
		break;
	}
	return (step == DB_DONE ? LEDGER_OK : LEDGER_DOWN);
}

/* ---- reading ------------------------------------------------------------- */

#define OBJECT_COLUMNS                                                    \
	"SELECT number, id, account, agent, provider, kind, created_ms, " \
	"billed_by <> '' FROM object "

static void
read_object(struct query *q, struct ledger_object *o)
{
	memset(o, 0, sizeof(*o));
	o->number = (uint64_t)db_int(q);
	db_text(q, o->id, sizeof(o->id));
	o->account = (uint32_t)db_int(q);
	o->agent = (uint32_t)db_int(q);
	db_text(q, o->provider, sizeof(o->provider));
	o->kind = (enum object_kind)db_int(q);
	o->created_ms = db_int(q);
	o->billed = db_int(q) != 0;
}

enum ledger_result
sqlite_object_get(struct ledger *l, const char *id, struct ledger_object *o)
{
	struct query q = db_query(l, OBJECT_COLUMNS "WHERE id = ?");
	enum db_step step;

	db_bind_text(&q, id);
	step = db_step(&q);
	if (step == DB_ROW)
		read_object(&q, o);
	db_end(&q);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

enum ledger_result
sqlite_each_object(struct ledger *l, uint32_t limit,
    void (*fn)(void *, const struct ledger_object *), void *arg)
{
	struct query q = db_query(l,
	    OBJECT_COLUMNS "WHERE number > (SELECT coalesce(max(number), 0) "
			   "FROM object) - ? ORDER BY number");
	struct ledger_object o;
	enum db_step step;

	db_bind_int(&q, limit);
	while ((step = db_step(&q)) == DB_ROW) {
		read_object(&q, &o);
		fn(arg, &o);
	}
	db_end(&q);
	return (db_result(step));
}

/*
 * The spool's rows: booked as in ledger_sqlite, kept until the shared store
 * has them; and what is owed because of them. Money is added up by amount_t,
 * never by SQL.
 */
#include "hubd/ledger/ledger_spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/ledger/ledger_sqlite.h"

static const struct db_file spool_file = {.name = "spool.db", .spool = true};
static const struct db_file reader_file = {
    .name = "spool.db", .spool = true, .read_only = true};

/* ---- what an account has and owes ---------------------------------------- */

struct local {
	bool there; /* in the copy, and its texts are amounts */
	int64_t seq;
	amount_t *balance, *spent, *owed;
};

static void
local_init(struct local *a)
{
	memset(a, 0, sizeof(*a));
	a->balance = amount_new();
	a->spent = amount_new();
	a->owed = amount_new();
}

static void
local_fini(struct local *a)
{
	amount_free(a->balance);
	amount_free(a->spent);
	amount_free(a->owed);
}

static bool
take_text(amount_t *a, const char *text)
{
	return (amount_parse(a, text, strlen(text)) == 0);
}

static enum ledger_result
spool_account_get(struct ledger *l, uint32_t id, struct ledger_account *a)
{
	struct query q =
	    db_query(l, "SELECT " ACCOUNT_COLUMNS ", coalesce(seq, -1), "
			"coalesce(amount, '0') FROM account LEFT JOIN owed "
			"ON account = id WHERE id = ?");
	enum db_step step;

	db_bind_int(&q, id);
	step = db_step(&q);
	if (step == DB_ROW) {
		account_read(&q, a);
		a->seq = db_int(&q);
		db_text(&q, a->owed, sizeof(a->owed));
	}
	db_end(&q);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

static enum ledger_result
spool_each_account(struct ledger *l,
    void (*fn)(void *, const struct ledger_account *), void *arg)
{
	struct query q =
	    db_query(l, "SELECT " ACCOUNT_COLUMNS ", coalesce(seq, -1), "
			"coalesce(amount, '0') FROM account LEFT JOIN owed "
			"ON account = id ORDER BY id");
	struct ledger_account a;
	enum db_step step;

	while ((step = db_step(&q)) == DB_ROW) {
		account_read(&q, &a);
		a.seq = db_int(&q);
		db_text(&q, a.owed, sizeof(a.owed));
		fn(arg, &a);
	}
	db_end(&q);
	return (db_result(step));
}

static enum ledger_result
local_read(struct ledger *l, uint32_t id, struct local *out)
{
	struct ledger_account a = {0};
	enum ledger_result rc = spool_account_get(l, id, &a);

	out->there = rc == LEDGER_OK && take_text(out->balance, a.balance) &&
		     take_text(out->spent, a.spent) &&
		     take_text(out->owed, a.owed);
	out->seq = a.seq;
	return (rc == LEDGER_DOWN ? rc : LEDGER_OK);
}

static enum ledger_result
owed_write(struct ledger *l, uint32_t id, int64_t seq, const amount_t *owed)
{
	struct query q =
	    db_query(l, "INSERT OR REPLACE INTO owed (account, seq, amount) "
			"VALUES (?, ?, ?)");
	char text[AMOUNT_TEXT_MAX];

	if (amount_format(owed, text) == -1)
		return (LEDGER_REFUSED);
	db_bind_int(&q, id);
	db_bind_int(&q, seq);
	db_bind_text(&q, text);
	return (db_result(db_run(&q)));
}

static enum ledger_result
local_write(struct ledger *l, uint32_t id, const struct local *a)
{
	struct query q = db_query(
	    l, "UPDATE account SET balance = ?, spent = ? WHERE id = ?");
	char balance[AMOUNT_TEXT_MAX], spent[AMOUNT_TEXT_MAX];
	enum ledger_result rc;

	if (amount_format(a->balance, balance) == -1 ||
	    amount_format(a->spent, spent) == -1)
		return (LEDGER_REFUSED);
	db_bind_text(&q, balance);
	db_bind_text(&q, spent);
	db_bind_int(&q, id);
	rc = db_result(db_run(&q));
	return (rc == LEDGER_OK ? owed_write(l, id, a->seq, a->owed) : rc);
}

enum ledger_result
spool_owe(struct ledger *l, uint32_t account, const amount_t *charges)
{
	struct local a;
	enum ledger_result rc;

	local_init(&a);
	rc = local_read(l, account, &a);
	if (rc == LEDGER_OK && a.there) {
		amount_sub(a.owed, charges); /* which are negative */
		rc = owed_write(l, account, a.seq, a.owed);
	}
	local_fini(&a);
	return (rc);
}

/* Has the amount been taken off what the account owes. */
static enum ledger_result
pay(struct ledger *l, uint32_t account, const amount_t *amount)
{
	struct local a;
	enum ledger_result rc;

	local_init(&a);
	rc = local_read(l, account, &a);
	if (rc == LEDGER_OK && a.there) {
		amount_sub(a.owed, amount);
		amount_add(a.balance, amount);
		amount_sub(a.spent, amount);
		rc = local_write(l, account, &a);
	}
	local_fini(&a);
	return (rc);
}

enum ledger_result
spool_apply_balance(struct ledger *l, const struct pg_balance *b)
{
	struct local a;
	enum ledger_result rc;

	local_init(&a);
	rc = local_read(l, b->account, &a);
	if (rc == LEDGER_OK && a.there && b->seq > a.seq &&
	    take_text(a.balance, b->balance) && take_text(a.spent, b->spent)) {
		amount_sub(a.balance, a.owed);
		amount_add(a.spent, a.owed);
		a.seq = b->seq;
		rc = local_write(l, b->account, &a);
	}
	local_fini(&a);
	return (rc);
}

/* ---- rows ---------------------------------------------------------------- */

enum db_step
spool_keep_object(struct ledger *l, const struct ledger_row *r, const char *id)
{
	struct query q;

	if (r->object.event == OBJECT_UNTOUCHED)
		return (DB_DONE);
	q = db_query(l,
	    "INSERT OR REPLACE INTO waiting_object "
	    "(id, event, kind, holder, ids) VALUES (?, ?, ?, ?, ?)");
	db_bind_text(&q, id);
	db_bind_int(&q, r->object.event);
	db_bind_int(&q, r->object.kind);
	db_bind_int(&q, r->agent_number);
	db_bind_blob(&q, r->object.ids, sizeof(r->object.ids));
	return (db_run(&q));
}

static void
read_waiting(struct query *q, struct ledger_row *r)
{
	const void *ids;
	size_t n;

	row_read(q, r);
	r->object.event = (uint8_t)db_int(q);
	r->object.kind = (uint8_t)db_int(q);
	r->agent_number = (uint32_t)db_int(q);
	ids = db_blob(q, &n);
	if (ids != NULL && n == sizeof(r->object.ids))
		memcpy(r->object.ids, ids, n);
	if (!call_object_ok(&r->object))
		memset(&r->object, 0, sizeof(r->object));
}

#define WAITING_COLUMNS                                \
	"SELECT " ROW_COLUMNS ", coalesce(event, 0), " \
	"coalesce(kind, 0), coalesce(holder, 0), ids " \
	"FROM ledger LEFT JOIN waiting_object USING (id) "

enum ledger_result
spool_each_row(struct ledger *l, uint32_t limit,
    void (*fn)(void *, const struct ledger_row *), void *arg)
{
	struct query q = db_query(l, WAITING_COLUMNS "ORDER BY id LIMIT ?");
	struct ledger_row r;
	enum db_step step;

	db_bind_int(&q, limit);
	while ((step = db_step(&q)) == DB_ROW) {
		read_waiting(&q, &r);
		fn(arg, &r);
	}
	db_end(&q);
	return (db_result(step));
}

enum ledger_result
spool_row_get(struct ledger *l, req_id_t id, struct ledger_row *r)
{
	struct query q = db_query(l, WAITING_COLUMNS "WHERE id = ?");
	char text[REQ_ID_TEXT];
	enum db_step step;

	req_id_format(id, text);
	db_bind_text(&q, text);
	step = db_step(&q);
	if (step == DB_ROW)
		read_waiting(&q, r);
	db_end(&q);
	return (step == DB_DONE ? LEDGER_MISSING : db_result(step));
}

static enum ledger_result
count_waiting(struct ledger *l)
{
	struct query q = db_query(l, "SELECT count(*) FROM ledger");
	enum db_step step = db_step(&q);

	if (step == DB_ROW)
		*db_waiting(l) = (uint64_t)db_int(&q);
	db_end(&q);
	return (db_result(step));
}

enum ledger_result
spool_waiting(struct ledger *l, uint64_t *rows, int64_t *since_ms)
{
	struct query q = db_query(
	    l, "SELECT time_ms + duration_ms FROM ledger ORDER BY id LIMIT 1");
	enum db_step step;

	*rows = *db_waiting(l);
	*since_ms = 0;
	if (*rows == 0)
		return (LEDGER_OK);
	step = db_step(&q);
	if (step == DB_ROW)
		*since_ms = db_int(&q);
	db_end(&q);
	return (db_result(step));
}

/* ---- taken --------------------------------------------------------------- */

struct payment {
	uint32_t account;
	amount_t *sum;
};

struct taking {
	struct ledger *l;
	struct payment *payments;
	size_t npayments;
	uint64_t removed;
	amount_t *amount; /* of the row at hand */
};

static amount_t *
payment_of(struct taking *t, uint32_t account)
{
	struct payment *p;
	size_t i;

	for (i = 0; i < t->npayments; i++)
		if (t->payments[i].account == account)
			return (t->payments[i].sum);
	p = &t->payments[t->npayments++];
	*p = (struct payment){account, amount_new()};
	return (p->sum);
}

static enum db_step
forget_object(struct ledger *l, const char *id)
{
	struct query q = db_query(l, "DELETE FROM waiting_object WHERE id = ?");

	db_bind_text(&q, id);
	return (db_run(&q));
}

static enum ledger_result
remove_row(struct taking *t, req_id_t id)
{
	struct query q = db_query(
	    t->l, "DELETE FROM ledger WHERE id = ? RETURNING account, amount");
	char text[REQ_ID_TEXT], amount[AMOUNT_TEXT_MAX];
	enum db_step step;
	uint32_t account;

	req_id_format(id, text);
	db_bind_text(&q, text);
	step = db_step(&q);
	if (step == DB_ROW) {
		account = (uint32_t)db_int(&q);
		db_text(&q, amount, sizeof(amount));
		if (take_text(t->amount, amount))
			amount_add(payment_of(t, account), t->amount);
		t->removed++;
		step = db_step(&q);
	}
	db_end(&q);
	return (step == DB_DONE ? db_result(forget_object(t->l, text))
				: LEDGER_DOWN);
}

static enum ledger_result
take_all(struct taking *t, const req_id_t *ids, size_t n,
    const struct pg_balance *b, size_t nb)
{
	enum ledger_result rc = LEDGER_OK;
	size_t i;

	for (i = 0; i < n && rc == LEDGER_OK; i++)
		rc = remove_row(t, ids[i]);
	for (i = 0; i < t->npayments && rc == LEDGER_OK; i++)
		rc = pay(t->l, t->payments[i].account, t->payments[i].sum);
	for (i = 0; i < nb && rc == LEDGER_OK; i++)
		rc = spool_apply_balance(t->l, &b[i]);
	return (rc);
}

enum ledger_result
spool_taken(struct ledger *l, const req_id_t *ids, size_t n,
    const struct pg_balance *b, size_t nb)
{
	struct taking t = {.l = l};
	enum ledger_result rc;
	size_t i;

	if (spool_begin(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	t.payments = xcalloc(n + 1, sizeof(*t.payments));
	t.amount = amount_new();
	rc = take_all(&t, ids, n, b, nb);
	if (rc == LEDGER_OK)
		rc = spool_commit(l);
	else
		spool_rollback(l);
	if (rc == LEDGER_OK)
		*db_waiting(l) -= t.removed;
	for (i = 0; i < t.npayments; i++)
		amount_free(t.payments[i].sum);
	amount_free(t.amount);
	free(t.payments);
	return (rc == LEDGER_OK ? rc : LEDGER_DOWN);
}

/* ---- put aside ----------------------------------------------------------- */

enum ledger_result
spool_each_suspense(struct ledger *l, uint32_t limit,
    void (*fn)(void *, int64_t, req_id_t, const char *, const void *, size_t),
    void *arg)
{
	struct query q = db_query(l,
	    "SELECT seq, id, reason, raw FROM suspense ORDER BY seq LIMIT ?");
	char text[REQ_ID_TEXT], reason[256];
	enum db_step step;
	int64_t number;
	const void *raw;
	req_id_t id;
	size_t n;

	db_bind_int(&q, limit);
	while ((step = db_step(&q)) == DB_ROW) {
		number = db_int(&q);
		db_text(&q, text, sizeof(text));
		db_text(&q, reason, sizeof(reason));
		raw = db_blob(&q, &n);
		if (req_id_parse(text, &id))
			fn(arg, number, id, reason, raw, n);
	}
	db_end(&q);
	return (db_result(step));
}

enum ledger_result
spool_suspense_taken(struct ledger *l, int64_t number)
{
	struct query q = db_query(l, "DELETE FROM suspense WHERE seq = ?");

	db_bind_int(&q, number);
	return (db_result(db_run(&q)));
}

/* ---- opening ------------------------------------------------------------- */

static struct ledger *
spool_open(const char *where, char *error, size_t cap)
{
	struct ledger *l = db_open(where, &spool_file, error, cap);

	if (l != NULL && count_waiting(l) != LEDGER_OK) {
		snprintf(error, cap, "its rows cannot be counted");
		db_close(l);
		l = NULL;
	}
	return (l);
}

struct ledger *
spool_open_reader(const char *where, char *error, size_t cap)
{
	return (db_open(where, &reader_file, error, cap));
}

static enum ledger_result
spool_store_id(struct ledger *l, char out[LEDGER_ID_MAX])
{
	return (db_meta_get(l, "store_id", out, LEDGER_ID_MAX));
}

static enum ledger_result
spool_tidy(const char *where)
{
	return (db_tidy(where, spool_file.name));
}

const struct ledger_ops ledger_spool = {
    .name = "postgresql", /* as people see it */
    .open = spool_open,
    .close = db_close,
    .is_untidy = db_is_untidy,
    .tidy = spool_tidy,
    .tidy_rest = db_tidy_rest,
    .store_id = spool_store_id,
    .book = sqlite_book,
    .checkpoint = sqlite_checkpoint,
    .each_checkpoint = sqlite_each_checkpoint,
    .suspend = sqlite_suspend,
    .each_suspense = sqlite_each_suspense,
    .object_get = sqlite_object_get,
    .each_object = sqlite_each_object,
    .each_row = sqlite_each_row,
    .audit = sqlite_audit,
    .account_get = spool_account_get,
    .each_account = spool_each_account,
    .each_key = sqlite_each_key,
    .each_agent = sqlite_each_agent,
    .price_get = sqlite_price_get,
};

/*
 * The spool: whatever comes in whatever order, however often, what an account
 * has here is what the shared store said less what waits, and every row
 * booked is in one of the two.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "common/alloc.h"
#include "hubd/ledger/ledger_spool.h"
#include "hubd/price/price.h"

#define STORE	 "6f1c0f5e-0000-4000-8000-000000000001"
#define OTHER	 "6f1c0f5e-0000-4000-8000-000000000002"
#define ACCOUNTS 3
#define ROWS	 400
#define SEQS	 2000

static const struct ledger_ops *const ops = &ledger_spool;
static char dir[64];
static struct ledger *l;

static void
reopen(void)
{
	char error[200] = "";

	if (l != NULL)
		ops->close(l);
	l = ops->open(dir, error, sizeof(error));
	ck_assert_msg(l != NULL, "%s", error);
}

static void
remove_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
}

static void
setup(void)
{
	l = NULL;
	snprintf(dir, sizeof(dir), "/tmp/test_spool.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	reopen();
	ck_assert_int_eq(spool_adopt(l, STORE), LEDGER_OK);
}

static void
teardown(void)
{
	ops->close(l);
	remove_file("spool.db");
	remove_file("spool.db-wal");
	remove_file("spool.db-shm");
	rmdir(dir);
}

/* ---- things -------------------------------------------------------------- */

static struct ledger_account
make_account(uint32_t id, int64_t seq, const char *balance)
{
	struct ledger_account a = {.id = id, .seq = seq};

	snprintf(a.name, sizeof(a.name), "account-%u", id);
	strcpy(a.overdraft, "0");
	strcpy(a.spent, "0");
	snprintf(a.balance, sizeof(a.balance), "%s", balance);
	return (a);
}

static void
put_account(uint32_t id, int64_t seq, const char *balance)
{
	struct ledger_account a = make_account(id, seq, balance);

	ck_assert_int_eq(spool_put_account(l, &a), LEDGER_OK);
}

static req_id_t
make_id(unsigned n)
{
	req_id_t id = {{1}};

	id.b[14] = (uint8_t)(n >> 8);
	id.b[15] = (uint8_t)n;
	return (id);
}

static struct ledger_row
make_row(unsigned n, uint32_t account, const char *amount)
{
	struct ledger_row r = {.id = make_id(n),
	    .time_ms = 1700000000000 + n,
	    .account = account,
	    .status = 200,
	    .attempts = 1,
	    .duration_ms = 1000};

	strcpy(r.outcome, "complete");
	snprintf(r.amount, sizeof(r.amount), "%s", amount);
	r.usage.n[USAGE_input] = n;
	return (r);
}

static void
book(const struct ledger_row *r)
{
	enum ledger_result one = LEDGER_DOWN;
	struct ledger_row copy = *r;

	ck_assert_int_eq(ops->book(l, &copy, 1, &one), LEDGER_OK);
	ck_assert_int_eq(one, LEDGER_OK);
}

static struct ledger_account
account(uint32_t id)
{
	struct ledger_account a;

	ck_assert_int_eq(ops->account_get(l, id, &a), LEDGER_OK);
	return (a);
}

static void
expect(uint32_t id, const char *balance, const char *spent, const char *owed,
    int64_t seq)
{
	struct ledger_account a = account(id);

	ck_assert_str_eq(a.balance, balance);
	ck_assert_str_eq(a.spent, spent);
	ck_assert_str_eq(a.owed, owed);
	ck_assert_int_eq(a.seq, seq);
}

static uint64_t
waiting(int64_t *since)
{
	uint64_t n;
	int64_t ignored;

	ck_assert_int_eq(
	    spool_waiting(l, &n, since != NULL ? since : &ignored), LEDGER_OK);
	return (n);
}

static struct pg_balance
make_balance(uint32_t id, int64_t seq, const char *balance, const char *spent)
{
	struct pg_balance b = {.account = id, .seq = seq};

	snprintf(b.balance, sizeof(b.balance), "%s", balance);
	snprintf(b.spent, sizeof(b.spent), "%s", spent);
	return (b);
}

/* ---- rows and balances --------------------------------------------------- */

START_TEST(a_row_waits_until_it_is_taken)
{
	struct ledger_row r = make_row(1, 1, "0.000000000000000000000001");
	struct pg_balance b = make_balance(
	    1, 2, "9.999999999999999999999999", "0.000000000000000000000001");
	int64_t since;

	put_account(1, 1, "10");
	ck_assert_uint_eq(waiting(NULL), 0);
	book(&r);
	book(&r);
	expect(1, "9.999999999999999999999999", "0.000000000000000000000001",
	    "0.000000000000000000000001", 1);
	ck_assert_uint_eq(waiting(&since), 1);
	ck_assert_int_eq(since, r.time_ms + r.duration_ms);
	reopen();
	ck_assert_uint_eq(waiting(NULL), 1);
	ck_assert_int_eq(spool_taken(l, &r.id, 1, &b, 1), LEDGER_OK);
	ck_assert_int_eq(spool_taken(l, &r.id, 1, &b, 1), LEDGER_OK);
	expect(1, "9.999999999999999999999999", "0.000000000000000000000001",
	    "0", 2);
	ck_assert_uint_eq(waiting(&since), 0);
	ck_assert_int_eq(since, 0);
}
END_TEST

/* The store keeps those: here they would never go. */
static void
expect_no_changes(void)
{
	char path[128];
	sqlite3_stmt *stmt;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/spool.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_prepare_v2(db, "SELECT 1 FROM balance_change", -1, &stmt, NULL);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_DONE);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
}

START_TEST(many_rows_wait_each_once)
{
	struct ledger_row r[40];
	enum ledger_result res[40];
	unsigned i;

	put_account(1, 1, "10");
	for (i = 0; i < 40; i++)
		r[i] = make_row(i + 1, 1, "0.01");
	book(&r[20]);
	ck_assert_int_eq(ops->book(l, r, 40, res), LEDGER_OK);
	for (i = 0; i < 40; i++)
		ck_assert_int_eq(res[i], LEDGER_OK);
	ck_assert_uint_eq(waiting(NULL), 40);
	expect(1, "9.6", "0.4", "0.4", 1);
	expect_no_changes();
}
END_TEST

START_TEST(a_stale_balance_changes_nothing)
{
	struct ledger_row r = make_row(1, 1, "2");
	struct pg_balance stale = make_balance(1, 4, "77", "7"),
			  unknown = make_balance(9, 4, "77", "7");

	put_account(1, 5, "10");
	book(&r);
	ck_assert_int_eq(spool_taken(l, NULL, 0, &stale, 1), LEDGER_OK);
	ck_assert_int_eq(spool_taken(l, NULL, 0, &unknown, 1), LEDGER_OK);
	put_account(1, 3, "55");
	expect(1, "8", "2", "2", 5);
	put_account(1, 6, "20");
	expect(1, "18", "2", "2", 6);
}
END_TEST

struct seen {
	unsigned n;
	struct ledger_row last;
};

static void
see_row(void *arg, const struct ledger_row *r)
{
	struct seen *s = arg;

	s->n++;
	s->last = *r;
}

START_TEST(a_reader_sees_rows_oldest_first_with_their_objects)
{
	struct ledger_row r = make_row(2, 1, "1"), older = make_row(1, 1, "0");
	struct seen seen = {0};
	struct ledger *reader;
	char error[200];

	put_account(1, 1, "10");
	r.agent_number = 7;
	r.object.event = OBJECT_CREATED;
	r.object.kind = OBJECT_FILE;
	ck_assert(call_object_add(&r.object, span_str("file-1")));
	book(&r);
	book(&older);
	reader = spool_open_reader(dir, error, sizeof(error));
	ck_assert_msg(reader != NULL, "%s", error);
	ck_assert_int_eq(spool_each_row(reader, 1, see_row, &seen), LEDGER_OK);
	ck_assert_uint_eq(seen.n, 1);
	ck_assert_mem_eq(&seen.last.id, &older.id, sizeof(r.id));
	ck_assert_int_eq(spool_each_row(reader, 9, see_row, &seen), LEDGER_OK);
	ck_assert_uint_eq(seen.n, 3);
	ck_assert_mem_eq(&seen.last.object, &r.object, sizeof(r.object));
	ck_assert_uint_eq(seen.last.agent_number, 7);
	ck_assert_uint_eq(seen.last.usage.n[USAGE_input], 2);
	ops->close(reader);
}
END_TEST

START_TEST(a_row_that_is_no_good_is_just_removed)
{
	struct ledger_row r = make_row(1, 1, "2"), found;

	put_account(1, 1, "10");
	book(&r);
	ck_assert_int_eq(spool_row_get(l, r.id, &found), LEDGER_OK);
	ck_assert_str_eq(found.amount, "2");
	ck_assert_int_eq(spool_taken(l, &r.id, 1, NULL, 0), LEDGER_OK);
	ck_assert_int_eq(spool_row_get(l, r.id, &found), LEDGER_MISSING);
	expect(1, "10", "0", "0", 1);
}
END_TEST

/* ---- any order ----------------------------------------------------------- */

/*
 * The shared store as the model has it: what it says of an account at each
 * change number, and which rows are in it then.
 */
struct model {
	int64_t seq; /* the latest */
	int64_t balance[SEQS];
};

struct model_row {
	uint32_t account;
	int64_t amount;
	int64_t in_store; /* from this seq on; 0: not yet */
	bool booked, gone;
};

static struct model model[ACCOUNTS + 1];
static struct model_row rows[ROWS];
static unsigned nrows;

static struct pg_balance
model_balance(uint32_t id, int64_t seq)
{
	char balance[24], spent[24];
	int64_t sum = 0;
	unsigned i;

	for (i = 0; i < nrows; i++)
		if (rows[i].account == id && rows[i].in_store != 0 &&
		    rows[i].in_store <= seq)
			sum += rows[i].amount;
	snprintf(balance, sizeof(balance), "%ld", model[id].balance[seq]);
	snprintf(spent, sizeof(spent), "%ld", sum);
	return (make_balance(id, seq, balance, spent));
}

/* A change of the store; how much of it this hub hears is another matter. */
static void
model_change(uint32_t id, int64_t by)
{
	struct model *m = &model[id];

	ck_assert_int_lt(m->seq + 1, SEQS);
	m->balance[m->seq + 1] = m->balance[m->seq] + by;
	m->seq++;
}

static void
do_book(void)
{
	struct model_row *m = &rows[nrows];
	struct ledger_row r;
	char text[24];

	if (nrows == ROWS)
		return;
	*m = (struct model_row){.account = 1 + (uint32_t)(rand() % ACCOUNTS),
	    .amount = rand() % 100,
	    .booked = true};
	snprintf(text, sizeof(text), "%ld", m->amount);
	r = make_row(nrows, m->account, text);
	book(&r);
	nrows++;
}

/* The store takes one; perhaps nobody is told. */
static void
do_store(void)
{
	unsigned i = nrows > 0 ? (unsigned)rand() % nrows : 0;

	if (nrows == 0 || rows[i].in_store != 0)
		return;
	model_change(rows[i].account, -rows[i].amount);
	rows[i].in_store = model[rows[i].account].seq;
}

/* Some rows that are in the store are said to be, again or for the first
 * time, with what their accounts had since. */
static void
do_taken(void)
{
	struct pg_balance b[8];
	req_id_t ids[8];
	unsigned i, n = 0;
	int64_t since;

	for (i = (unsigned)rand() % (nrows + 1); i < nrows && n < 8; i++) {
		if (rows[i].in_store == 0 || rand() % 2 == 0)
			continue;
		since = model[rows[i].account].seq - rows[i].in_store;
		ids[n] = make_id(i);
		b[n++] = model_balance(rows[i].account,
		    rows[i].in_store + (since > 0 ? rand() % (since + 1) : 0));
		rows[i].gone = true;
	}
	ck_assert_int_eq(spool_taken(l, ids, n, b, n), LEDGER_OK);
}

/* A balance of any time, by notification or by a load. */
static void
do_balance(void)
{
	uint32_t id = 1 + (uint32_t)(rand() % ACCOUNTS);
	struct pg_balance b = model_balance(id, 1 + rand() % (model[id].seq));
	struct ledger_account a;

	if (rand() % 2 == 0) {
		ck_assert_int_eq(spool_taken(l, NULL, 0, &b, 1), LEDGER_OK);
		return;
	}
	a = make_account(id, b.seq, b.balance);
	strcpy(a.spent, b.spent);
	ck_assert_int_eq(spool_put_account(l, &a), LEDGER_OK);
}

/* balance = base - owed, and no row counts nowhere. */
static void
check_account(uint32_t id)
{
	struct ledger_account a = account(id);
	int64_t owed = 0;
	unsigned i;

	for (i = 0; i < nrows; i++) {
		if (rows[i].account != id)
			continue;
		if (!rows[i].gone)
			owed += rows[i].amount;
		else
			ck_assert_int_le(rows[i].in_store, a.seq);
	}
	ck_assert_int_eq(atol(a.owed), owed);
	ck_assert_int_eq(atol(a.balance), model[id].balance[a.seq] - owed);
	ck_assert_int_eq(
	    atol(a.spent), atol(model_balance(id, a.seq).spent) + owed);
}

static void
one_step(void)
{
	switch (rand() % 8) {
	case 0:
	case 1:
		do_book();
		break;
	case 2:
	case 3:
		do_store();
		break;
	case 4:
		do_taken();
		break;
	case 5:
		do_balance();
		break;
	case 6:
		model_change(1 + (uint32_t)(rand() % ACCOUNTS), rand() % 50);
		break;
	case 7:
		if (rand() % 8 == 0)
			reopen();
		break;
	}
}

START_TEST(a_balance_is_what_the_store_said_less_what_waits)
{
	uint64_t left = 0;
	uint32_t id;
	int i;

	srand((unsigned)_i);
	nrows = 0;
	memset(rows, 0, sizeof(rows));
	for (id = 1; id <= ACCOUNTS; id++) {
		model[id].seq = 1;
		model[id].balance[1] = 1000;
		put_account(id, 1, "1000");
	}
	for (i = 0; i < 1000; i++) {
		one_step();
		for (id = 1; id <= ACCOUNTS; id++)
			check_account(id);
	}
	for (i = 0; i < (int)nrows; i++)
		left += !rows[i].gone;
	ck_assert_uint_eq(waiting(NULL), left);
}
END_TEST

/* ---- the copy ------------------------------------------------------------ */

static struct ledger_key
make_key(uint32_t number, uint8_t hash)
{
	struct ledger_key k = {.number = number, .account = 1};

	snprintf(k.id, sizeof(k.id), "key_%u", number);
	memset(k.hash, hash, sizeof(k.hash));
	return (k);
}

static void
put_key(const struct ledger_key *k, enum ledger_result expected)
{
	ck_assert_int_eq(spool_put_key(l, k), expected);
}

static void
sum_keys(void *arg, const struct ledger_key *k)
{
	*(unsigned *)arg += k->number * 1000 + k->hash[0];
}

static unsigned
keys(void)
{
	unsigned sum = 0;

	ck_assert_int_eq(ops->each_key(l, sum_keys, &sum), LEDGER_OK);
	return (sum);
}

START_TEST(keys_have_the_stores_numbers_and_may_be_rotated)
{
	struct ledger_key k = make_key(70, 1), other = make_key(71, 9);

	put_key(&k, LEDGER_MISSING); /* no such account yet */
	put_account(1, 1, "0");
	put_key(&k, LEDGER_OK);
	put_key(&k, LEDGER_OK);
	ck_assert_uint_eq(keys(), 70001);
	memcpy(k.old_hash, k.hash, sizeof(k.hash));
	memset(k.hash, 2, sizeof(k.hash));
	put_key(&k, LEDGER_OK);
	ck_assert_uint_eq(keys(), 70002);
	/* a hash that another had before this hub heard of it */
	memset(other.hash, 2, sizeof(other.hash));
	put_key(&other, LEDGER_OK);
	ck_assert_uint_eq(keys(), 71002);
}
END_TEST

static void
keep_agent(void *arg, const struct ledger_agent *a)
{
	*(struct ledger_agent *)arg = *a;
}

START_TEST(an_agents_name_belongs_to_the_newest_number)
{
	struct ledger_agent a = {.id = 5, .replicas = 2}, found;

	strcpy(a.name, "edge-1");
	ck_assert_int_eq(spool_put_agent(l, &a), LEDGER_OK);
	a.draining = true;
	ck_assert_int_eq(spool_put_agent(l, &a), LEDGER_OK);
	a.id = 6;
	ck_assert_int_eq(spool_put_agent(l, &a), LEDGER_OK);
	ck_assert_int_eq(ops->each_agent(l, keep_agent, &found), LEDGER_OK);
	ck_assert_uint_eq(found.id, 6);
	ck_assert(found.draining);
}
END_TEST

START_TEST(an_object_of_another_hub_comes_is_billed_and_goes)
{
	struct ledger_object o = {.account = 1,
				 .agent = 3,
				 .kind = OBJECT_BATCH,
				 .created_ms = 5},
			     found;

	strcpy(o.id, "batch_1");
	put_account(1, 1, "0");
	ck_assert_int_eq(spool_put_object(l, &o, false), LEDGER_OK);
	ck_assert_int_eq(ops->object_get(l, o.id, &found), LEDGER_OK);
	ck_assert(!found.billed && found.number == 1);
	o.billed = true;
	ck_assert_int_eq(spool_put_object(l, &o, false), LEDGER_OK);
	o.billed = false;
	ck_assert_int_eq(spool_put_object(l, &o, false), LEDGER_OK);
	ck_assert_int_eq(ops->object_get(l, o.id, &found), LEDGER_OK);
	ck_assert(found.billed);
	strcpy(o.id, "batch_2");
	ck_assert_int_eq(spool_put_object(l, &o, false), LEDGER_OK);
	ck_assert_int_eq(ops->object_get(l, o.id, &found), LEDGER_OK);
	ck_assert_uint_eq(found.number, 2);
	ck_assert_int_eq(spool_put_object(l, &o, true), LEDGER_OK);
	ck_assert_int_eq(ops->object_get(l, o.id, &found), LEDGER_MISSING);
}
END_TEST

START_TEST(an_object_that_was_deleted_here_does_not_come_back)
{
	struct ledger_object o = {
	    .account = 1, .agent = 3, .kind = OBJECT_FILE, .created_ms = 5};
	struct ledger_row r = make_row(1, 1, "0");
	struct ledger_object found;

	strcpy(o.id, "file-1");
	put_account(1, 1, "10");
	ck_assert_int_eq(spool_put_object(l, &o, false), LEDGER_OK);
	r.object.event = OBJECT_DELETED;
	r.object.kind = OBJECT_FILE;
	ck_assert(call_object_add(&r.object, span_str(o.id)));
	book(&r);
	ck_assert_int_eq(ops->object_get(l, o.id, &found), LEDGER_MISSING);
	/* the store has not heard of it, and tells what it knows */
	ck_assert_int_eq(spool_put_object(l, &o, false), LEDGER_OK);
	ck_assert_int_eq(ops->object_get(l, o.id, &found), LEDGER_MISSING);
	strcpy(o.id, "file-11");
	ck_assert_int_eq(spool_put_object(l, &o, false), LEDGER_OK);
	ck_assert_int_eq(ops->object_get(l, o.id, &found), LEDGER_OK);
}
END_TEST

START_TEST(what_is_put_in_one_transaction_comes_or_does_not)
{
	struct ledger_account a = make_account(1, 1, "3");
	int64_t clock;
	char id[40];

	ck_assert_int_eq(spool_begin(l), LEDGER_OK);
	ck_assert_int_eq(spool_put_account(l, &a), LEDGER_OK);
	ck_assert_int_eq(spool_clock_set(l, 17), LEDGER_OK);
	spool_rollback(l);
	ck_assert_int_eq(ops->account_get(l, 1, &a), LEDGER_MISSING);
	ck_assert_int_eq(spool_begin(l), LEDGER_OK);
	a = make_account(1, 1, "3");
	ck_assert_int_eq(spool_put_account(l, &a), LEDGER_OK);
	ck_assert_int_eq(spool_clock_set(l, 17), LEDGER_OK);
	ck_assert_int_eq(spool_commit(l), LEDGER_OK);
	reopen();
	expect(1, "3", "0", "0", 1);
	ck_assert_int_eq(spool_clock_get(l, id, &clock), LEDGER_OK);
	ck_assert_str_eq(id, STORE);
	ck_assert_int_eq(clock, 17);
}
END_TEST

START_TEST(another_store_is_adopted_only_when_nothing_waits)
{
	struct ledger_row r = make_row(1, 1, "2");
	struct ledger_key k = make_key(1, 1);
	struct ledger_account a;
	int64_t clock;
	char id[40];

	put_account(1, 1, "10");
	put_key(&k, LEDGER_OK);
	book(&r);
	ck_assert_int_eq(spool_adopt(l, OTHER), LEDGER_CONFLICT);
	expect(1, "8", "2", "2", 1);
	ck_assert_int_eq(spool_taken(l, &r.id, 1, NULL, 0), LEDGER_OK);
	ck_assert_int_eq(spool_adopt(l, OTHER), LEDGER_OK);
	ck_assert_int_eq(ops->account_get(l, 1, &a), LEDGER_MISSING);
	ck_assert_uint_eq(keys(), 0);
	ck_assert_int_eq(spool_clock_get(l, id, &clock), LEDGER_OK);
	ck_assert_str_eq(id, OTHER);
	ck_assert_int_eq(clock, SPOOL_NOT_WHOLE);
}
END_TEST

static void
keep_suspense(void *arg, int64_t number, req_id_t id, const char *reason,
    const void *raw, size_t n)
{
	ck_assert_uint_eq(n, 3);
	*(int64_t *)arg = *(const char *)raw == 'a' ? number : -number;
}

START_TEST(what_is_put_aside_is_taken_one_by_one)
{
	int64_t number = 0;

	ck_assert_int_eq(
	    ops->suspend(l, make_id(1), "why", "abc", 3), LEDGER_OK);
	ck_assert_int_eq(
	    ops->suspend(l, make_id(1), "why", "xyz", 3), LEDGER_OK);
	ck_assert_int_eq(
	    spool_each_suspense(l, 1, keep_suspense, &number), LEDGER_OK);
	ck_assert_int_gt(number, 0);
	ck_assert_int_eq(spool_suspense_taken(l, number), LEDGER_OK);
	ck_assert_int_eq(
	    spool_each_suspense(l, 1, keep_suspense, &number), LEDGER_OK);
	ck_assert_int_lt(number, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("spool");
	Suite *s = suite_create("spool");
	SRunner *r;
	int bad;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_row_waits_until_it_is_taken);
	tcase_add_test(tc, many_rows_wait_each_once);
	tcase_add_test(tc, a_stale_balance_changes_nothing);
	tcase_add_test(tc, a_reader_sees_rows_oldest_first_with_their_objects);
	tcase_add_test(tc, a_row_that_is_no_good_is_just_removed);
	tcase_add_loop_test(
	    tc, a_balance_is_what_the_store_said_less_what_waits, 1, 6);
	tcase_add_test(tc, keys_have_the_stores_numbers_and_may_be_rotated);
	tcase_add_test(tc, an_agents_name_belongs_to_the_newest_number);
	tcase_add_test(tc, an_object_of_another_hub_comes_is_billed_and_goes);
	tcase_add_test(tc, an_object_that_was_deleted_here_does_not_come_back);
	tcase_add_test(tc, what_is_put_in_one_transaction_comes_or_does_not);
	tcase_add_test(tc, another_store_is_adopted_only_when_nothing_waits);
	tcase_add_test(tc, what_is_put_aside_is_taken_one_by_one);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return (bad == 0 ? 0 : 1);
}

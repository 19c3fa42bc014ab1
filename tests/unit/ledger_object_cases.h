/* What every store must do about objects: they come and go with their rows. */
#ifndef TESTS_UNIT_LEDGER_OBJECT_CASES_H
#define TESTS_UNIT_LEDGER_OBJECT_CASES_H

static inline struct ledger_row
object_row(unsigned n, uint32_t account, enum object_event event,
    enum object_kind kind, const char *id)
{
	struct ledger_row r = make_row(n, account, "0.5");

	r.agent_number = 3;
	r.object.event = (uint8_t)event;
	r.object.kind = (uint8_t)kind;
	ck_assert(call_object_add(&r.object, span_str(id)));
	return (r);
}

static inline enum ledger_result
object(const char *id, struct ledger_object *o)
{
	memset(o, 0, sizeof(*o));
	return (ops->object_get(l, id, o));
}

START_TEST(an_object_comes_and_goes_with_the_rows_of_its_account)
{
	struct ledger_row r =
	    object_row(1, alice, OBJECT_CREATED, OBJECT_FILE, "file-a");
	struct ledger_object o;

	book(&r, LEDGER_OK);
	book(&r, LEDGER_OK);
	ck_assert_int_eq(object("file-a", &o), LEDGER_OK);
	ck_assert_uint_eq(o.number, 1);
	ck_assert_uint_eq(o.account, alice);
	ck_assert_uint_eq(o.agent, 3);
	ck_assert_str_eq(o.provider, "openai");
	ck_assert_int_eq(o.kind, OBJECT_FILE);
	ck_assert_int_eq(o.created_ms, 1700000000001);
	/* whoever is told of an id that somebody has does not get it */
	r = object_row(2, bob, OBJECT_CREATED, OBJECT_FILE, "file-a");
	book(&r, LEDGER_OK);
	r = object_row(3, bob, OBJECT_DELETED, OBJECT_FILE, "file-a");
	book(&r, LEDGER_OK);
	ck_assert_int_eq(object("file-a", &o), LEDGER_OK);
	ck_assert_uint_eq(o.account, alice);
	r = object_row(4, alice, OBJECT_DELETED, OBJECT_FILE, "file-a");
	book(&r, LEDGER_OK);
	ck_assert_int_eq(object("file-a", &o), LEDGER_MISSING);
	/* its number is not used again */
	r = object_row(5, alice, OBJECT_CREATED, OBJECT_FILE, "file-b");
	book(&r, LEDGER_OK);
	reopen();
	ck_assert_int_eq(object("file-b", &o), LEDGER_OK);
	ck_assert_uint_gt(o.number, 1);
}
END_TEST

START_TEST(an_object_comes_with_one_of_many_rows)
{
	struct ledger_row r[20];
	enum ledger_result res[20];
	struct ledger_object o;
	unsigned i;

	for (i = 0; i < 20; i++)
		r[i] = make_row(i + 1, alice, "0.1");
	r[7] = object_row(8, alice, OBJECT_CREATED, OBJECT_FILE, "file-a");
	ck_assert_int_eq(ops->book(l, r, 20, res), LEDGER_OK);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(res[i], LEDGER_OK);
	ck_assert_int_eq(object("file-a", &o), LEDGER_OK);
}
END_TEST

START_TEST(a_row_that_is_refused_makes_no_object)
{
	struct ledger_row r =
	    object_row(1, 99, OBJECT_CREATED, OBJECT_FILE, "file-a");
	struct ledger_object o;

	book(&r, LEDGER_REFUSED);
	ck_assert_int_eq(object("file-a", &o), LEDGER_MISSING);
	r = make_row(2, alice, "1");
	book(&r, LEDGER_OK);
	r = object_row(2, alice, OBJECT_CREATED, OBJECT_FILE, "file-a");
	book(&r, LEDGER_CONFLICT);
	ck_assert_int_eq(object("file-a", &o), LEDGER_MISSING);
}
END_TEST

START_TEST(a_batch_is_billed_by_one_row_alone)
{
	struct ledger_row r =
	    object_row(1, alice, OBJECT_CREATED, OBJECT_BATCH, "batch_a");
	struct ledger_row rows[2];
	enum ledger_result res[2];
	struct ledger_object o;

	strcpy(r.amount, "0");
	book(&r, LEDGER_OK);
	rows[0] = object_row(2, alice, OBJECT_ENDED, OBJECT_BATCH, "batch_a");
	ck_assert(call_object_add(&rows[0].object, SPAN("file-out")));
	rows[1] = rows[0];
	rows[1].id.b[5] = 9;
	ck_assert_int_eq(ops->book(l, rows, 2, res), LEDGER_OK);
	ck_assert_int_eq(res[0], LEDGER_OK);
	ck_assert_int_eq(res[1], LEDGER_OK);
	ck_assert(!rows[0].again && rows[1].again);
	ck_assert_str_eq(rows[1].amount, "0");
	ck_assert(usage_is_zero(&rows[1].usage));
	expect_balance(alice, "9.5", "0.5");
	ck_assert_int_eq(object("batch_a", &o), LEDGER_OK);
	ck_assert(o.billed);
	/* the file that came out of it is hers */
	ck_assert_int_eq(object("file-out", &o), LEDGER_OK);
	ck_assert_uint_eq(o.account, alice);
	ck_assert_int_eq(o.kind, OBJECT_FILE);
	/* and however often billing is killed before it says so */
	rows[0] = object_row(2, alice, OBJECT_ENDED, OBJECT_BATCH, "batch_a");
	ck_assert_int_eq(ops->book(l, rows, 2, res), LEDGER_OK);
	ck_assert_int_eq(res[0], LEDGER_OK);
	ck_assert_int_eq(res[1], LEDGER_OK);
	ck_assert(!rows[0].again);
	expect_balance(alice, "9.5", "0.5");
	/* it is not another's to pay */
	r = object_row(4, bob, OBJECT_ENDED, OBJECT_BATCH, "batch_a");
	book(&r, LEDGER_OK);
	expect_balance(bob, "0", "0");
	ck_assert_uint_eq(audit(false).bad_rows, 0);
	ck_assert_uint_eq(audit(false).bad_accounts, 0);
}
END_TEST

static inline void
count_objects(void *arg, const struct ledger_object *o)
{
	uint64_t *last = arg;

	ck_assert_uint_eq(o->number, *last + 1);
	*last = o->number;
}

START_TEST(the_newest_objects_are_listed_in_order)
{
	struct ledger_row r;
	uint64_t last = 6;
	char id[16];
	unsigned i;

	for (i = 1; i <= 10; i++) {
		snprintf(id, sizeof(id), "resp_%u", i);
		r = object_row(i, alice, OBJECT_CREATED, OBJECT_RESPONSE, id);
		book(&r, LEDGER_OK);
	}
	ck_assert_int_eq(
	    ops->each_object(l, 4, count_objects, &last), LEDGER_OK);
	ck_assert_uint_eq(last, 10);
	last = 0;
	ck_assert_int_eq(
	    ops->each_object(l, 100, count_objects, &last), LEDGER_OK);
	ck_assert_uint_eq(last, 10);
}
END_TEST

static inline void
add_object_cases(TCase *tc)
{
	tcase_add_test(
	    tc, an_object_comes_and_goes_with_the_rows_of_its_account);
	tcase_add_test(tc, an_object_comes_with_one_of_many_rows);
	tcase_add_test(tc, a_row_that_is_refused_makes_no_object);
	tcase_add_test(tc, a_batch_is_billed_by_one_row_alone);
	tcase_add_test(tc, the_newest_objects_are_listed_in_order);
}

#endif

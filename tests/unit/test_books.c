/* Books for people: sums by group, rows in suspense taken up again. */
#include "common/alloc.h"
#include "common/crc32.h"
#include "hubd/billing/groups.h"
#include "tests/unit/billing_fixture.h"

static void
refused(const char *request, const char *text)
{
	struct json *answer = ask(request);
	const char *error = json_get_str(answer, "error");

	ck_assert_int_eq(json_get_int(answer, "status", -1), 1);
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, text) != NULL, "%s", error);
	ck_assert_ptr_null(json_get(answer, "data"));
	json_free(answer);
}

static void
member_is(const struct json *j, const char *key, const char *value)
{
	const char *text = json_get_str(j, key);

	ck_assert_msg(text != NULL, "no %s", key);
	ck_assert_str_eq(text, value);
}

/* ---- usage --------------------------------------------------------------- */

#define DAY_MS INT64_C(86400000)

/* Books rows as they come, without calls. */
static void
book_row(uint32_t account, const char *model, int64_t time_ms, uint64_t input,
    const char *amount)
{
	struct ledger_row r = {.account = account, .time_ms = time_ms};
	enum ledger_result result;

	next_id++;
	memcpy(r.id.b, &next_id, sizeof(next_id));
	snprintf(r.model, sizeof(r.model), "%s", model);
	snprintf(r.key, sizeof(r.key), "key_%u", account);
	snprintf(r.amount, sizeof(r.amount), "%s", amount);
	r.usage.n[USAGE_input] = input;
	ck_assert_int_eq(
	    billing.ops->book(billing.store, &r, 1, &result), LEDGER_OK);
	ck_assert_int_eq(result, LEDGER_OK);
}

static void
book_some(void)
{
	must("{\"cmd\":\"account add\",\"args\":{\"name\":\"beta\"}}");
	book_row(1, "m", DAY_MS - 1, 10, "0.000000000000000000000001");
	book_row(1, "m", DAY_MS, 20, "0.1");
	book_row(2, "big", DAY_MS + 1, 30, "2");
	book_row(1, "big", 3 * DAY_MS, 40, "0.9");
}

static void
group_is(const struct json *g, const char *by, const char *name,
    int64_t requests, int64_t input, const char *amount)
{
	ck_assert_ptr_nonnull(g);
	if (by != NULL)
		member_is(g, by, name);
	ck_assert_int_eq(json_get_int(g, "requests", -1), requests);
	ck_assert_int_eq(json_get_int(json_get(g, "usage"), "input", 0), input);
	member_is(g, "amount", amount);
}

START_TEST(usage_is_summed_by_account_to_the_last_digit)
{
	struct json *answer;
	const struct json *g;

	book_some();
	answer = ask("{\"cmd\":\"show usage\"}");
	g = first_of(answer, "usage");
	group_is(g, "account", "acme", 3, 70, "1.000000000000000000000001");
	group_is(g->next, "account", "beta", 1, 30, "2");
	ck_assert_ptr_null(g->next->next);
	group_is(json_get(data_of(answer), "total"), NULL, NULL, 4, 100,
	    "3.000000000000000000000001");
	json_free(answer);
}
END_TEST

START_TEST(usage_is_summed_by_day_and_model_and_key)
{
	struct json *answer;
	const struct json *g;

	book_some();
	answer = ask("{\"cmd\":\"show usage\",\"args\":{\"by\":\"day\","
		     "\"account\":\"acme\"}}");
	g = first_of(answer, "usage");
	group_is(g, "day", "1970-01-01", 1, 10, "0.000000000000000000000001");
	group_is(g->next, "day", "1970-01-02", 1, 20, "0.1");
	group_is(g->next->next, "day", "1970-01-04", 1, 40, "0.9");
	json_free(answer);
	answer = ask("{\"cmd\":\"show usage\",\"args\":{\"by\":\"model\","
		     "\"since_ms\":86400000,\"until_ms\":259200000}}");
	g = first_of(answer, "usage");
	group_is(g, "model", "big", 1, 30, "2");
	group_is(g->next, "model", "m", 1, 20, "0.1");
	json_free(answer);
	answer = ask("{\"cmd\":\"show usage\",\"args\":{\"by\":\"key\"}}");
	g = first_of(answer, "usage");
	group_is(g->next, "key", "key_2", 1, 30, "2");
	json_free(answer);
	answer = ask("{\"cmd\":\"show usage\",\"args\":{\"by\":\"agent\"}}");
	group_is(first_of(answer, "usage"), "agent", "", 4, 100,
	    "3.000000000000000000000001");
	json_free(answer);
}
END_TEST

START_TEST(usage_of_nothing_is_nothing)
{
	struct json *answer = ask("{\"cmd\":\"show usage\"}");

	ck_assert_ptr_null(json_get(data_of(answer), "usage")->first);
	group_is(json_get(data_of(answer), "total"), NULL, NULL, 0, 0, "0");
	json_free(answer);
	refused("{\"cmd\":\"show usage\",\"args\":{\"by\":\"moon\"}}", "model");
	refused("{\"cmd\":\"show usage\",\"args\":{\"account\":\"no\"}}",
	    "no account no");
}
END_TEST

START_TEST(too_many_groups_are_refused)
{
	struct ledger_row r = {.amount = "0"};
	struct groups gs;
	int i;

	groups_init(&gs, BY_MODEL);
	for (i = GROUPS_MAX; i > 0; i--) {
		snprintf(r.model, sizeof(r.model), "m%d", i);
		groups_add(&gs, &r);
	}
	ck_assert(!gs.too_many);
	groups_add(&gs, &r);
	ck_assert(!gs.too_many);
	ck_assert_uint_eq(gs.n, GROUPS_MAX);
	strcpy(r.model, "one more");
	groups_add(&gs, &r);
	ck_assert(gs.too_many);
	groups_fini(&gs);
}
END_TEST

START_TEST(a_sum_of_counts_does_not_wrap)
{
	struct ledger_row r = {.amount = "0"};
	struct groups gs;

	groups_init(&gs, BY_MODEL);
	r.usage.n[USAGE_output] = UINT64_MAX - 1;
	groups_add(&gs, &r);
	groups_add(&gs, &r);
	ck_assert_uint_eq(gs.total.usage.n[USAGE_output], UINT64_MAX);
	ck_assert(!gs.broken);
	strcpy(r.amount, "much");
	groups_add(&gs, &r);
	ck_assert(gs.broken);
	groups_fini(&gs);
}
END_TEST

/* ---- check --------------------------------------------------------------- */

START_TEST(a_check_has_the_sums_of_the_audit)
{
	struct json *answer;
	const struct json *audit;

	book_row(1, "m", DAY_MS, 20, "2");
	answer = ask("{\"cmd\":\"store check\"}");
	ck_assert(json_get_bool(data_of(answer), "ok", false));
	member_is(data_of(answer), "store", "null");
	audit = json_get(data_of(answer), "audit");
	ck_assert(json_get_bool(audit, "ok", false));
	member_is(audit, "ledger_sum", "2");
	ck_assert_int_eq(json_get_int(audit, "absent_months", -1), 0);
	json_free(answer);
	ledger_null_set_down(billing.store, true);
	refused("{\"cmd\":\"store check\"}", "the store is away");
}
END_TEST

/* ---- export -------------------------------------------------------------- */

/* The bytes of a stream, put together, terminated; ends as it says. The
 * caller frees it. */
static char *
exported(const char *request, const char *end)
{
	struct buf out, all;
	char *p, *next;
	size_t n;

	buf_init(&out);
	buf_init(&all);
	ck_assert_uint_eq(
	    command_run(&billing, span_str(request), &out, NULL, NULL), 0);
	buf_add(&out, "", 1);
	p = buf_ptr(&out);
	n = strlen(CTL_STREAM_HEAD);
	ck_assert_msg(strncmp(p, CTL_STREAM_HEAD, n) == 0, "%s", p);
	for (p += n; (n = strtoul(p, &next, 10)) != 0; p = next + 1 + n) {
		ck_assert_int_eq(*next, '\n');
		buf_add(&all, next + 1, n);
	}
	ck_assert_str_eq(next + 1, end);
	buf_fini(&out);
	p = xmemdup0(buf_ptr(&all), buf_len(&all));
	buf_fini(&all);
	return (p);
}

#define GOOD_END "{\"status\":0}\n"

START_TEST(an_export_is_csv_that_begins_no_formula)
{
	char *text;

	book_row(1, "=cmd|' /C calc'!A0", DAY_MS + 1, 10, "0.1");
	book_row(1, "a,\"b\"\r\n", DAY_MS, 20, "2");
	book_row(1, "plain", 2 * DAY_MS, 0, "0");
	text = exported(
	    "{\"cmd\":\"export ledger\",\"args\":{\"until_ms\":172800000}}",
	    GOOD_END);
	ck_assert_str_eq(text,
	    "id,time,account,key,agent,provider,dialect,endpoint,model,price,"
	    "tier,price_version,status,stream,outcome,attempts,input,"
	    "cache_read,cache_write,cache_write_1h,audio_input,image_input,"
	    "output,reasoning,audio_output,image_output,requests,images,"
	    "characters,milliseconds,searches,tool_calls,amount,estimated,"
	    "unpriced_kinds,duration_ms\r\n"
	    "01000000-0000-0000-0000-000000000000,1970-01-02T00:00:00.001Z,"
	    "acme,key_1,,,,,'=cmd|' /C calc'!A0,,,0,0,false,,0,"
	    "10,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0.1,false,false,0\r\n"
	    "02000000-0000-0000-0000-000000000000,1970-01-02T00:00:00.000Z,"
	    "acme,key_1,,,,,\"a,\"\"b\"\"\r\n\",,,0,0,false,,0,"
	    "20,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,2,false,false,0\r\n");
	free(text);
}
END_TEST

START_TEST(an_export_has_lines_as_show_ledger_has_rows)
{
	struct json *answer, *line;
	const struct json *row;
	char *text, *end;

	book_row(1, "=m", DAY_MS, 20, "2");
	text = exported("{\"cmd\":\"export ledger\",\"args\":{"
			"\"format\":\"jsonl\",\"account\":\"acme\"}}",
	    GOOD_END);
	end = strchr(text, '\n');
	ck_assert_ptr_nonnull(end);
	ck_assert_str_eq(end, "\n");
	line = json_parse(span_of(text, (size_t)(end - text)), NULL, 0);
	ck_assert_ptr_nonnull(line);
	answer = ask("{\"cmd\":\"show ledger\"}");
	row = first_of(answer, "rows");
	member_is(line, "model", "=m");
	for (row = row->first; row != NULL; row = row->next)
		ck_assert_msg(
		    json_get(line, row->key) != NULL, "no %s", row->key);
	json_free(answer);
	json_free(line);
	free(text);
}
END_TEST

START_TEST(an_export_that_cannot_be_is_refused)
{
	refused("{\"cmd\":\"export ledger\",\"args\":{\"format\":\"xls\"}}",
	    "csv or jsonl");
	refused("{\"cmd\":\"export ledger\",\"args\":{\"account\":\"no\"}}",
	    "no account no");
}
END_TEST

START_TEST(an_export_of_nothing_has_a_head)
{
	char *text = exported("{\"cmd\":\"export ledger\"}", GOOD_END);

	ck_assert_int_eq(strncmp(text, "id,time,", 8), 0);
	ck_assert_ptr_eq(strstr(text, "\r\n") + 2, text + strlen(text));
	free(text);
	text = exported("{\"cmd\":\"export ledger\",\"args\":{"
			"\"format\":\"jsonl\"}}",
	    GOOD_END);
	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

/* ---- suspense ------------------------------------------------------------ */

#define RETRY(id)                                            \
	"{\"cmd\":\"suspense retry\",\"args\":{\"id\":\"" id \
	"\",\"reason\":\"it is mended\"}}"
#define DROP(id)                                            \
	"{\"cmd\":\"suspense drop\",\"args\":{\"id\":\"" id \
	"\",\"reason\":\"a trial\"}}"
#define FIRST "01000000-0000-0000-0000-000000000000"

/* A call of a version that is not there (yet). */
static void
suspend_call(uint64_t version)
{
	struct call_fixed f = call_fixed();

	f.price_version = version;
	call_finished(&f, 1000, 0);
	settle_all();
	ck_assert_uint_eq(suspended(), 1);
}

static void
expect_record(const char *state, const char *why)
{
	struct json *answer =
	    ask("{\"cmd\":\"show suspense\",\"args\":{\"all\":true}}");
	const struct json *s = first_of(answer, "suspense");

	ck_assert_int_eq(json_get_int(data_of(answer), "count", -1), 0);
	member_is(s, "id", FIRST);
	member_is(s, "state", state);
	member_is(s, "by", "uid 1000");
	member_is(s, "why", why);
	ck_assert_ptr_nonnull(json_get_str(s, "resolved"));
	json_free(answer);
	answer = ask("{\"cmd\":\"show suspense\"}");
	ck_assert_ptr_null(json_get(data_of(answer), "suspense")->first);
	json_free(answer);
}

START_TEST(a_row_whose_price_came_back_is_booked_once)
{
	char error[200];

	suspend_call(2);
	refused(RETRY(FIRST), "its price is not known");
	ck_assert_uint_eq(suspended(), 1);
	write_prices("{\"m\":{\"input_cost_per_token\":2e-06,"
		     "\"output_cost_per_token\":2e-06}}");
	ck_assert_int_eq(
	    prices_reload(&billing, 0, false, error, sizeof(error)), 0);
	must(RETRY(FIRST));
	ck_assert_uint_eq(suspended(), 0);
	ck_assert_str_eq(account().spent, "0.002");
	ck_assert_int_eq(atomic_load(pub_available(fixture, 0)), 4998000000);
	ck_assert_uint_eq(counter_sum(fixture, COUNT_booked), 1);
	refused(RETRY(FIRST), "no row " FIRST " waits");
	refused(DROP(FIRST), "no row " FIRST " waits");
	ck_assert_uint_eq(ledger_null_rows(billing.store), 1);
	expect_record("retried", "it is mended");
}
END_TEST

/* As after a kill between booking and the note that it was booked. */
START_TEST(a_row_that_was_booked_and_not_noted_is_not_charged_again)
{
	char error[200];

	suspend_call(2);
	write_prices("{\"m\":{\"input_cost_per_token\":2e-06,"
		     "\"output_cost_per_token\":2e-06}}");
	prices_reload(&billing, 0, false, error, sizeof(error));
	next_id--;
	{
		struct call_fixed f = call_fixed();

		f.price_version = 2;
		call_finished(&f, 1000, 0);
	}
	settle_all();
	ck_assert_str_eq(account().spent, "0.002");
	must(RETRY(FIRST));
	ck_assert_str_eq(account().spent, "0.002");
	ck_assert_uint_eq(ledger_null_rows(billing.store), 1);
	expect_record("retried", "it is mended");
}
END_TEST

START_TEST(a_row_with_a_broken_checksum_can_only_be_dropped)
{
	struct call_fixed f = call_fixed();
	call_ref_t ref = call_finished(&f, 1000, 0);

	call_at(fixture, ref)->fixed.crc ^= 1;
	settle_all();
	ck_assert_uint_eq(suspended(), 1);
	refused(RETRY(FIRST), "wrong checksum");
	ck_assert_uint_eq(suspended(), 1);
	must(DROP(FIRST));
	ck_assert_uint_eq(suspended(), 0);
	ck_assert_uint_eq(ledger_null_rows(billing.store), 0);
	expect_record("dropped", "a trial");
}
END_TEST

/* A checkpoint as billing puts it aside, of an account that is not there. */
static struct ledger_row
checkpoint_row(void)
{
	struct ledger_row r = {.account = 2, .time_ms = 1000, .status = 200};

	r.id.b[0] = 1;
	strcpy(r.model, "m");
	strcpy(r.outcome, "orphaned");
	strcpy(r.amount, "0.25");
	return (r);
}

static void
suspend_raw(const void *raw, size_t n)
{
	req_id_t id = {{1}};

	ck_assert(book_suspend(&billing, id, "a checkpoint", raw, n));
}

START_TEST(a_checkpoint_is_booked_once_its_account_is_there)
{
	struct ledger_row r = checkpoint_row();
	struct ledger_account a;

	suspend_raw(&r, sizeof(r));
	refused(RETRY(FIRST), "the store refuses the row");
	must("{\"cmd\":\"account add\",\"args\":{\"name\":\"beta\"}}");
	must(RETRY(FIRST));
	ck_assert_int_eq(
	    billing.ops->account_get(billing.store, 2, &a), LEDGER_OK);
	ck_assert_str_eq(a.balance, "-0.25");
	expect_record("retried", "it is mended");
}
END_TEST

static void
spoil_flag(struct ledger_row *r)
{
	memset(&r->stream, 0x5a, sizeof(r->stream));
}

static void
spoil_end(struct ledger_row *r)
{
	memset(r->tier, 'x', sizeof(r->tier));
}

static void
spoil_count(struct ledger_row *r)
{
	r->usage.n[USAGE_images] = UINT64_MAX;
}

static void
spoil_account(struct ledger_row *r)
{
	r->account = 0;
}

static void
spoil_object(struct ledger_row *r)
{
	r->object.event = 77;
}

static const struct {
	void (*spoil)(struct ledger_row *);
	const char *why;
} spoils[] = {
    {spoil_flag, "flag out of range"},
    {spoil_end, "text without an end"},
    {spoil_count, "usage out of range"},
    {spoil_account, "row out of range"},
    {spoil_object, "object out of range"},
};

START_TEST(a_checkpoint_that_was_spoilt_stays_in_suspense)
{
	struct ledger_row r = checkpoint_row();

	spoils[_i].spoil(&r);
	suspend_raw(&r, sizeof(r));
	refused(RETRY(FIRST), spoils[_i].why);
	ck_assert_uint_eq(suspended(), 1);
	ck_assert_uint_eq(ledger_null_rows(billing.store), 0);
}
END_TEST

START_TEST(what_nobody_can_read_stays_in_suspense)
{
	suspend_raw("?", 1);
	refused(RETRY(FIRST), "another version of hubd");
	refused("{\"cmd\":\"suspense drop\",\"args\":{\"id\":\"" FIRST
		"\",\"reason\":\"\"}}",
	    "reason: 1 to 200");
	refused("{\"cmd\":\"suspense drop\",\"args\":{\"id\":\"" FIRST "\"}}",
	    "usage");
	ledger_null_set_down(billing.store, true);
	refused(DROP(FIRST), "the store is away");
	ledger_null_set_down(billing.store, false);
	must(DROP(FIRST));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("books");
	TCase *tc = tcase_create("books");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, billing_set_up, billing_tear_down);
	tcase_add_test(tc, usage_is_summed_by_account_to_the_last_digit);
	tcase_add_test(tc, usage_is_summed_by_day_and_model_and_key);
	tcase_add_test(tc, usage_of_nothing_is_nothing);
	tcase_add_test(tc, too_many_groups_are_refused);
	tcase_add_test(tc, a_sum_of_counts_does_not_wrap);
	tcase_add_test(tc, a_check_has_the_sums_of_the_audit);
	tcase_add_test(tc, an_export_is_csv_that_begins_no_formula);
	tcase_add_test(tc, an_export_has_lines_as_show_ledger_has_rows);
	tcase_add_test(tc, an_export_that_cannot_be_is_refused);
	tcase_add_test(tc, an_export_of_nothing_has_a_head);
	tcase_add_test(tc, a_row_whose_price_came_back_is_booked_once);
	tcase_add_test(
	    tc, a_row_that_was_booked_and_not_noted_is_not_charged_again);
	tcase_add_test(tc, a_row_with_a_broken_checksum_can_only_be_dropped);
	tcase_add_test(tc, a_checkpoint_is_booked_once_its_account_is_there);
	tcase_add_loop_test(tc, a_checkpoint_that_was_spoilt_stays_in_suspense,
	    0, sizeof(spoils) / sizeof(spoils[0]));
	tcase_add_test(tc, what_nobody_can_read_stays_in_suspense);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

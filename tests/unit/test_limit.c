/* Admission: all or nothing, and what the end of a call gives back. */
#include "hubd/auth/auth.h"
#include "hubd/limit/limit.h"
#include "hubd/limit/limit_fields.h"
#include "shm/cells.h"
#include "shm/pubtab.h"
#include "tests/unit/shm_fixture.h"

static struct limiter *local;
static enum api_error answer;
static process_ref_t me;

static void
on_done(struct admission *a, enum api_error error)
{
	answer = error;
}

static void
fund(int64_t available)
{
	struct pub_account account = {
	    .id = 1, .name = "acme", .store_available = available};

	pub_account_write(fixture, 0, &account, available);
	me = fixture_process(ROLE_WORKER);
	local = limiter_local_new(fixture);
}

static struct admission
ask(int64_t hold)
{
	return ((struct admission){
	    .me = me, .share = SHARE_WHOLE, .key_row = 1, .hold = {hold}});
}

static enum api_error
admit(struct admission *a)
{
	local->ops->admit(local, a, monotime_now(), on_done);
	return (answer);
}

static int64_t
held(void)
{
	return (cells_held(fixture, cell_of_account(fixture, 0)).n);
}

static uint64_t
live(void)
{
	return (cells_live(fixture, cell_of_key(fixture, 1)));
}

START_TEST(a_hold_beyond_the_balance_takes_nothing)
{
	struct admission a;

	fund(100);
	a = ask(101);
	a.concurrency = 5;
	a.rpm = 10;
	ck_assert_int_eq(admit(&a), API_ERR_insufficient_balance);
	ck_assert_int_eq(held(), 0);
	ck_assert_uint_eq(live(), 0);
	ck_assert_uint_eq(
	    bucket_left(
		bucket_of_key(fixture, 1, BUCKET_REQUESTS), 10, monotime_now()),
	    10);
}
END_TEST

START_TEST(concurrent_holds_cannot_overdraw)
{
	struct admission a, b;

	fund(100);
	a = ask(60);
	b = ask(60);
	ck_assert_int_eq(admit(&a), API_OK);
	ck_assert_int_eq(admit(&b), API_ERR_insufficient_balance);
	local->ops->cancel(local, &a, monotime_now());
	ck_assert_int_eq(admit(&b), API_OK);
	ck_assert_int_eq(held(), 60);
}
END_TEST

START_TEST(a_soft_hold_takes_what_is_left)
{
	struct admission a;

	fund(100);
	a = ask(1000);
	a.soft = true;
	ck_assert_int_eq(admit(&a), API_OK);
	ck_assert_int_eq(a.held.n, 100);
	ck_assert_int_eq(held(), 100);
	a = ask(1);
	a.soft = true;
	ck_assert_int_eq(admit(&a), API_ERR_insufficient_balance);
}
END_TEST

START_TEST(a_share_of_the_money_is_all_that_is_taken)
{
	struct admission a, b;

	fund(1001);
	a = ask(100);
	b = ask(100);
	a.share = b.share = 15;
	ck_assert_int_eq(admit(&a), API_OK);
	ck_assert_int_eq(admit(&b), API_ERR_insufficient_balance);
	b = ask(50);
	b.share = 15;
	ck_assert_int_eq(admit(&b), API_OK);
	ck_assert_int_eq(held(), 150);
}
END_TEST

START_TEST(a_share_is_of_what_the_store_had_not_of_what_is_left)
{
	struct pub_account account = {
	    .id = 1, .name = "acme", .store_available = 1000, .owed = 400};
	struct admission a;

	fund(1000);
	pub_account_write(fixture, 0, &account, 600);
	a = ask(101);
	a.share = 50;
	ck_assert_int_eq(admit(&a), API_ERR_insufficient_balance);
	a = ask(100);
	a.share = 50;
	ck_assert_int_eq(admit(&a), API_OK);
	ck_assert_int_eq(held(), 100);
}
END_TEST

START_TEST(an_account_without_bottom_is_never_refused)
{
	struct admission a;

	fund(0);
	a = ask(1000);
	a.unlimited = true;
	ck_assert_int_eq(admit(&a), API_OK);
	ck_assert_int_eq(held(), 1000);
}
END_TEST

START_TEST(a_full_key_takes_no_rate)
{
	struct admission a, b;

	fund(1000);
	a = ask(1);
	a.concurrency = 1;
	b = a;
	b.rpm = 10;
	ck_assert_int_eq(admit(&a), API_OK);
	ck_assert_int_eq(admit(&b), API_ERR_concurrency_limited);
	ck_assert_uint_eq(
	    bucket_left(
		bucket_of_key(fixture, 1, BUCKET_REQUESTS), 10, monotime_now()),
	    10);
	ck_assert_int_eq(held(), 1);
}
END_TEST

START_TEST(tokens_refused_take_no_request)
{
	struct admission a;

	fund(1000);
	a = ask(1);
	a.rpm = 10;
	a.tpm = 100;
	a.tokens = 90;
	ck_assert_int_eq(admit(&a), API_OK);
	ck_assert_int_eq(admit(&a), API_ERR_rate_limited);
	ck_assert_int_gt(a.retry_ms, 0);
	ck_assert_uint_eq(
	    bucket_left(
		bucket_of_key(fixture, 1, BUCKET_REQUESTS), 10, monotime_now()),
	    9);
}
END_TEST

START_TEST(the_end_of_a_call_leaves_its_cost_on_the_cell)
{
	struct admission a;

	fund(1000);
	a = ask(600);
	a.concurrency = 1;
	ck_assert_int_eq(admit(&a), API_OK);
	local->ops->settle(local, &a, (nanousd_t){7}, 0, monotime_now());
	ck_assert_int_eq(held(), 7);
	ck_assert_uint_eq(live(), 0);
}
END_TEST

START_TEST(a_charge_above_its_hold_counts_whole)
{
	struct admission a;

	fund(1000);
	a = ask(5);
	ck_assert_int_eq(admit(&a), API_OK);
	local->ops->settle(local, &a, (nanousd_t){50}, 0, monotime_now());
	ck_assert_int_eq(held(), 50);
}
END_TEST

START_TEST(lists_of_models_match_by_glob)
{
	ck_assert(auth_list_allows("", "anything"));
	ck_assert(auth_list_allows("gpt-4o,o*", "o3"));
	ck_assert(auth_list_allows("gpt-4o,o*", "gpt-4o"));
	ck_assert(!auth_list_allows("gpt-4o,o*", "gpt-4o-mini"));
	ck_assert(!auth_list_allows(",,", "gpt-4o"));
	ck_assert(auth_list_allows("openai/*", "openai/gpt-oss-120b"));
}
END_TEST

START_TEST(bearers_are_read_in_any_case)
{
	struct span t = auth_bearer(SPAN("bEaReR   abc"));

	ck_assert(span_eq(t, SPAN("abc")));
	ck_assert_uint_eq(auth_bearer(SPAN("Basic abc")).n, 0);
	ck_assert_uint_eq(auth_bearer(SPAN("Bearer")).n, 0);
}
END_TEST

/* ---- fields --------------------------------------------------------------
 */

#define MS INT64_C(1000000)

START_TEST(durations_are_written_as_go_does)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
	    {0, "0s"},
	    {-5, "0s"},
	    {1, "1ms"},
	    {120 * MS, "120ms"},
	    {1000 * MS, "1s"},
	    {1500 * MS, "1.5s"},
	    {1010 * MS, "1.01s"},
	    {60000 * MS, "1m0s"},
	    {360000 * MS, "6m0s"},
	    {61001 * MS, "1m1.001s"},
	    {3600000 * MS, "1h0m0s"},
	    {86400000 * MS, "24h0m0s"},
	};
	char text[DURATION_TEXT];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		duration_format(cases[i].ns, text);
		ck_assert_str_eq(text, cases[i].text);
	}
}
END_TEST

START_TEST(fields_say_what_is_left_and_when_it_is_back)
{
	monotime_t now = monotime_now();
	struct buf out = {0};
	struct admission a;

	fund(100);
	a = ask(1);
	a.rpm = 60;
	a.tpm = 1000;
	a.tokens = 250;
	local->ops->admit(local, &a, now, on_done);
	ck_assert_int_eq(answer, API_OK);
	limit_fields(fixture, &a, now, &out);
	ck_assert_str_eq(buf_cstr(&out),
	    "x-ratelimit-limit-requests: 60\r\n"
	    "x-ratelimit-remaining-requests: 59\r\n"
	    "x-ratelimit-reset-requests: 1s\r\n"
	    "x-ratelimit-limit-tokens: 1000\r\n"
	    "x-ratelimit-remaining-tokens: 750\r\n"
	    "x-ratelimit-reset-tokens: 15s\r\n");
	buf_fini(&out);
}
END_TEST

START_TEST(a_key_without_rates_has_no_fields)
{
	struct buf out = {0};
	struct admission a;

	fund(100);
	a = ask(1);
	limit_fields(fixture, &a, monotime_now(), &out);
	ck_assert_uint_eq(buf_len(&out), 0);
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, durations_are_written_as_go_does);
	tcase_add_test(tc, fields_say_what_is_left_and_when_it_is_back);
	tcase_add_test(tc, a_key_without_rates_has_no_fields);
	tcase_add_test(tc, a_hold_beyond_the_balance_takes_nothing);
	tcase_add_test(tc, concurrent_holds_cannot_overdraw);
	tcase_add_test(tc, a_soft_hold_takes_what_is_left);
	tcase_add_test(tc, a_share_of_the_money_is_all_that_is_taken);
	tcase_add_test(
	    tc, a_share_is_of_what_the_store_had_not_of_what_is_left);
	tcase_add_test(tc, an_account_without_bottom_is_never_refused);
	tcase_add_test(tc, a_full_key_takes_no_rate);
	tcase_add_test(tc, tokens_refused_take_no_request);
	tcase_add_test(tc, the_end_of_a_call_leaves_its_cost_on_the_cell);
	tcase_add_test(tc, a_charge_above_its_hold_counts_whole);
	tcase_add_test(tc, lists_of_models_match_by_glob);
	tcase_add_test(tc, bearers_are_read_in_any_case);
}

int
main(void)
{
	return (fixture_main("limit", add));
}

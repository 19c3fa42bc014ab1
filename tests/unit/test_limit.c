/* Admission: all or nothing, and what the end of a call gives back. */
#include "hubd/auth/auth.h"
#include "hubd/limit/limit.h"
#include "shm/cells.h"
#include "shm/pubtab.h"
#include "tests/unit/shm_fixture.h"

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
	struct pub_account account = {.id = 1, .name = "acme"};

	pub_account_write(fixture, 0, &account, available);
	me = fixture_process(ROLE_WORKER);
}

static struct admission
ask(int64_t hold)
{
	return ((struct admission){
	    .me = me, .account_row = 0, .key_row = 1, .hold = {hold}});
}

static enum api_error
admit(struct admission *a)
{
	limiter_local.admit(fixture, a, monotime_now(), on_done);
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
	limiter_local.cancel(fixture, &a, monotime_now());
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
	limiter_local.settle(fixture, &a, (nanousd_t){7}, 0, monotime_now());
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
	limiter_local.settle(fixture, &a, (nanousd_t){50}, 0, monotime_now());
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

static void
add(TCase *tc)
{
	tcase_add_test(tc, a_hold_beyond_the_balance_takes_nothing);
	tcase_add_test(tc, concurrent_holds_cannot_overdraw);
	tcase_add_test(tc, a_soft_hold_takes_what_is_left);
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

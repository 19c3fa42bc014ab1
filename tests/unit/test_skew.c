/* Dates of HTTP, and how far a provider's clock is found to be from ours. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/skew.h"
#include "common/httpdate.h"

#define NOON 1795867200000 /* Sat, 28 Nov 2026 12:00:00 GMT */

#define WRONG_KEY SPAN("SignatureDoesNotMatch")
#define EXPIRED	  SPAN("InvalidSignatureException")

START_TEST(dates_are_read_strictly)
{
	static const char *const bad[] = {
	    "",
	    "Sat, 28 Nov 2026 12:00:00 GM",
	    "Sat, 28 Nov 2026 12:00:00 GMT ",
	    "Sat, 28 Nov 2026 12:00:00 UTC",
	    "Sat, 28 Now 2026 12:00:00 GMT",
	    "Sat, 00 Nov 2026 12:00:00 GMT",
	    "Sat, 32 Nov 2026 12:00:00 GMT",
	    "Sat, 28 Nov 2026 24:00:00 GMT",
	    "Sat, 28 Nov 2026 12:60:00 GMT",
	    "Sat, 28 Nov 2026 12:00:61 GMT",
	    "Sat, 28 Nov 2026 12-00:00 GMT",
	    "Sat, -1 Nov 2026 12:00:00 GMT",
	    "Sat, 28 Nov 1969 12:00:00 GMT",
	    "Saturday, 28-Nov-26 12:00:00 GMT",
	    "2026-11-28T12:00:00Z",
	};
	size_t i;

	ck_assert_int_eq(
	    httpdate_parse(SPAN("Sat, 28 Nov 2026 12:00:00 GMT")), NOON);
	ck_assert_int_eq(httpdate_parse(SPAN("Sun, 06 Nov 1994 08:49:37 GMT")),
	    784111777000);
	ck_assert_int_eq(
	    httpdate_parse(SPAN("Thu, 01 Jan 1970 00:00:00 GMT")), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(
		    httpdate_parse(span_str(bad[i])) == -1, "%s", bad[i]);
}
END_TEST

/* An answer of noon, that many ms after the request was signed. */
static struct skew_head
noon(int64_t behind_ms, int64_t took_ms)
{
	const monotime_t start = {1000000000};

	return ((struct skew_head){
	    .date = SPAN("Sat, 28 Nov 2026 12:00:00 GMT"),
	    .wall_ms = NOON - behind_ms,
	    .asked_at = start,
	    .came_at = monotime_add_ms(start, took_ms),
	});
}

START_TEST(a_clock_is_measured_by_a_fresh_date)
{
	struct skew_head h = noon(5000, 100);
	int64_t ms = 0;

	ck_assert(skew_measure(&h, &ms));
	ck_assert_int_eq(ms, 5000);
	h.age = SPAN("0");
	ck_assert(!skew_measure(&h, &ms));
	h.age = SPAN("");
	h.date = SPAN("");
	ck_assert(!skew_measure(&h, &ms));
	h = noon(-7000, SKEW_ROUND_TRIP_MS);
	ck_assert(skew_measure(&h, &ms));
	ck_assert_int_eq(ms, -7000);
	h = noon(-7000, SKEW_ROUND_TRIP_MS + 1);
	ck_assert(!skew_measure(&h, &ms));
}
END_TEST

static void
check_learns(int64_t behind_ms, bool learns)
{
	struct skew s = {0};
	struct skew_head h = noon(behind_ms, 100);

	ck_assert_int_eq(
	    skew_refused(&s, EXPIRED, &h), learns ? SKEW_LEARNT : SKEW_NO);
	ck_assert_int_eq(s.offset_ms, learns ? behind_ms : 0);
}

START_TEST(d10_a_refusal_teaches_a_large_difference)
{
	check_learns(3600000, true);
	check_learns(-3600000, true);
	check_learns(240000, true);
	check_learns(-240000, true);
	check_learns(239999, false);
	check_learns(-239999, false);
	check_learns(0, false);
}
END_TEST

START_TEST(d10_what_was_learnt_is_not_learnt_twice)
{
	struct skew s = {0};
	struct skew_head h = noon(3600000, 100);

	ck_assert_int_eq(skew_refused(&s, EXPIRED, &h), SKEW_LEARNT);
	/* Signed by the provider's clock, and refused all the same. */
	h.asked_at = h.came_at;
	h.came_at = monotime_add_ms(h.asked_at, 100);
	ck_assert_int_eq(skew_refused(&s, WRONG_KEY, &h), SKEW_NO);
	h.wall_ms += 200000;
	ck_assert_int_eq(skew_refused(&s, EXPIRED, &h), SKEW_NO);
	ck_assert_int_eq(s.offset_ms, 3600000);
}
END_TEST

START_TEST(d10_our_clock_may_be_set_right)
{
	struct skew s = {0};
	struct skew_head h = noon(3600000, 100);

	ck_assert_int_eq(skew_refused(&s, EXPIRED, &h), SKEW_LEARNT);
	h.asked_at = h.came_at;
	h.came_at = monotime_add_ms(h.asked_at, 100);
	h.wall_ms = NOON + 10;
	ck_assert_int_eq(skew_refused(&s, EXPIRED, &h), SKEW_LEARNT);
	ck_assert_int_eq(s.offset_ms, -10);
}
END_TEST

START_TEST(d10_what_was_under_way_is_signed_anew)
{
	struct skew s = {0};
	struct skew_head h = noon(3600000, 100), late;

	late = h;
	late.came_at = monotime_add_ms(h.came_at, 5000);
	ck_assert_int_eq(skew_refused(&s, EXPIRED, &h), SKEW_LEARNT);
	ck_assert_int_eq(skew_refused(&s, EXPIRED, &late), SKEW_BY_NOW);
	late.asked_at = h.came_at;
	ck_assert_int_eq(skew_refused(&s, EXPIRED, &late), SKEW_NO);
}
END_TEST

START_TEST(d10_other_refusals_teach_nothing)
{
	static const char *const others[] = {"", "ValidationException",
	    "UnrecognizedClientException", "ExpiredTokenException",
	    "InvalidSignatureExceptions", "ThrottlingException"};
	struct skew_head h = noon(3600000, 100);
	struct skew s = {0};
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_int_eq(
		    skew_refused(&s, span_str(others[i]), &h), SKEW_NO);
	h.age = SPAN("12");
	ck_assert_int_eq(skew_refused(&s, EXPIRED, &h), SKEW_NO);
	ck_assert_int_eq(s.offset_ms, 0);
	ck_assert(!s.learnt);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("skew");
	TCase *t = tcase_create("skew");
	SRunner *r;
	int failed;

	tcase_add_test(t, dates_are_read_strictly);
	tcase_add_test(t, a_clock_is_measured_by_a_fresh_date);
	tcase_add_test(t, d10_a_refusal_teaches_a_large_difference);
	tcase_add_test(t, d10_what_was_learnt_is_not_learnt_twice);
	tcase_add_test(t, d10_our_clock_may_be_set_right);
	tcase_add_test(t, d10_what_was_under_way_is_signed_anew);
	tcase_add_test(t, d10_other_refusals_teach_nothing);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed > 0);
}

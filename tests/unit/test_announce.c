/* What an agent says of itself: what is taken, cut, and refused. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "hubd/worker/announce.h"

#define NOW 1790000000000

static struct announcement said;

static bool
take(const char *text)
{
	return (announcement_parse(span_str(text), NOW, &said));
}

START_TEST(an_announcement_is_taken)
{
	const struct registry_announce *a = &said.registry;

	ck_assert(take("{\"name\":\"other\",\"version\":\"0.1.0\","
		       "\"instance\":\"i-1\",\"capacity\":7,"
		       "\"clock_ms\":1790000000250,\"new\":[1],"
		       "\"providers\":[{\"name\":\"p\",\"type\":\"openai\","
		       "\"weight\":3,\"models\":[\"gpt-*\",\"o?\"]}]}"));
	ck_assert_str_eq(a->version, "0.1.0");
	ck_assert_str_eq(a->instance, "i-1");
	ck_assert_uint_eq(a->capacity, 7);
	ck_assert_int_eq(a->clock_skew_ms, 250);
	ck_assert_uint_eq(a->nproviders, 1);
	ck_assert_str_eq(a->providers[0].name, "p");
	ck_assert_uint_eq(a->providers[0].weight, 3);
	ck_assert_uint_eq(a->providers[0].nglobs, 2);
	ck_assert_mem_eq(a->globs, "gpt-*\0o?", 9);
	ck_assert(!said.draining && !said.cut);
	/* the name is that of the token, not what it says */
	ck_assert_str_eq(a->name, "");
	ck_assert_str_eq(said.name, "other");
}
END_TEST

START_TEST(what_is_no_announcement_is_refused)
{
	ck_assert(!take(""));
	ck_assert(!take("[]"));
	ck_assert(!take("{}"));
	ck_assert(!take("{\"providers\":{}}"));
	ck_assert(!take("{\"providers\":[]"));
}
END_TEST

START_TEST(any_clock_has_a_difference)
{
	ck_assert(take("{\"providers\":[],"
		       "\"clock_ms\":-9223372036854775808}"));
	ck_assert_int_eq(said.registry.clock_skew_ms, INT64_MIN);
	ck_assert(take("{\"providers\":[],"
		       "\"clock_ms\":9223372036854775807}"));
	ck_assert_int_eq(said.registry.clock_skew_ms, INT64_MAX - NOW);
	ck_assert(take("{\"providers\":[]}"));
	ck_assert_int_eq(said.registry.clock_skew_ms, 0);
}
END_TEST

START_TEST(what_does_not_fit_is_left_out_and_told)
{
	struct buf b = {0};
	int i;

	buf_addstr(&b, "{\"draining\":true,\"providers\":[");
	for (i = 0; i < REGISTRY_PROVIDERS + 1; i++)
		buf_addf(&b, "%s{\"name\":\"p%d\"}", i > 0 ? "," : "", i);
	buf_addstr(&b, "]}");
	ck_assert(take(buf_cstr(&b)));
	ck_assert(said.cut && said.draining);
	ck_assert_uint_eq(said.registry.nproviders, REGISTRY_PROVIDERS);
	buf_fini(&b);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("announcement");
	Suite *s = suite_create("announce");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, an_announcement_is_taken);
	tcase_add_test(tc, what_is_no_announcement_is_refused);
	tcase_add_test(tc, any_clock_has_a_difference);
	tcase_add_test(tc, what_does_not_fit_is_left_out_and_told);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed != 0);
}

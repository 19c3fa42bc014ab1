/* Redis's URLs: each form, and what is none. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "hubd/limit/redis_url.h"

static struct redis_url u;

static const struct {
	const char *text, *user, *password, *host, *path;
	unsigned port, db;
} good[] = {
    {"redis://h", "", "", "h", "", 6379, 0},
    {"redis://h:6380/", "", "", "h", "", 6380, 0},
    {"redis://h/3", "", "", "h", "", 6379, 3},
    {"redis://:pw@127.0.0.1:1/15", "", "pw", "127.0.0.1", "", 1, 15},
    {"redis://me:p%40%2f%3a@h", "me", "p@/:", "h", "", 6379, 0},
    {"redis://me:a:b@c@h", "me", "a:b@c", "h", "", 6379, 0},
    {"redis://[::1]:7", "", "", "[::1]", "", 7, 0},
    {"redis://[::1]", "", "", "[::1]", "", 6379, 0},
    {"redis://10.0.0.1,[::1],b:7/2", "", "", "10.0.0.1,[::1],b", "", 7, 2},
    {"unix:///run/r.sock", "", "", "", "/run/r.sock", 0, 0},
    {"unix:///run/r.sock?db=4", "", "", "", "/run/r.sock", 0, 4},
    {"redis+unix://:pw@/run/a@b", "", "pw", "", "/run/a@b", 0, 0},
};

START_TEST(forms_are_taken)
{
	ck_assert_ptr_null(redis_url_parse(good[_i].text, &u));
	ck_assert(redis_url_is(good[_i].text));
	ck_assert_str_eq(u.user, good[_i].user);
	ck_assert_str_eq(u.password, good[_i].password);
	ck_assert_str_eq(u.host, good[_i].host);
	ck_assert_str_eq(u.path, good[_i].path);
	ck_assert_uint_eq(u.port, good[_i].port);
	ck_assert_uint_eq(u.db, good[_i].db);
}
END_TEST

static const char *const bad[] = {"", "local ", "redis", "redis:", "redis:/h",
    "redis://", "redis://:6379", "redis:///0", "redis://user@h", "redis://h:0",
    "redis://h:65536", "redis://h:6379x", "redis://h:+1",
    "redis://h:", "redis://h/x", "redis://h/-1", "redis://h/65536",
    "redis://h/0?a=b", "redis://h/0/1", "redis://a b", "redis://h\n",
    "redis://::1:6379", "redis://:p%4@h", "redis://:p%zz@h", "redis://:p%00@h",
    "redis://:p%0a@h", "rediss://h", "unix:/run/s", "unix://run/s", "unix://",
    "unix:///s?db=", "unix:///s?db=x", "unix:///s?d=1", "unix:///s?db=1&x=2",
    "http://h"};

START_TEST(what_is_none_is_refused)
{
	ck_assert_ptr_nonnull(redis_url_parse(bad[_i], &u));
}
END_TEST

START_TEST(parts_that_are_too_long_are_refused)
{
	char text[2000];

	for (int n = 1; n < 1000; n++) {
		snprintf(text, sizeof(text), "redis://:%0*d@h", n, 1);
		ck_assert_int_eq(redis_url_parse(text, &u) == NULL, n < 512);
		snprintf(text, sizeof(text), "redis://%0*d:1", n, 1);
		ck_assert_int_eq(redis_url_parse(text, &u) == NULL, n < 512);
		snprintf(text, sizeof(text), "unix:///%0*d", n, 1);
		ck_assert_int_eq(redis_url_parse(text, &u) == NULL, n < 107);
	}
}
END_TEST

START_TEST(addresses_are_taken_in_turn)
{
	static const char *const turn[] = {"10.0.0.1", "::1", "b"};
	char host[64];

	ck_assert_ptr_null(redis_url_parse("redis://10.0.0.1,[::1],b", &u));
	for (unsigned i = 0; i < 7; i++) {
		redis_url_host(&u, i, host, sizeof(host));
		ck_assert_str_eq(host, turn[i % 3]);
	}
}
END_TEST

START_TEST(a_host_is_replaced_in_its_place)
{
	const char *text = "redis://h:h@h:1/2";
	char name[REDIS_NAME_MAX];
	char *other;

	ck_assert_ptr_null(redis_url_parse(text, &u));
	other = redis_url_with_host(text, &u, "[::1],10.0.0.1");
	ck_assert_str_eq(other, "redis://h:h@[::1],10.0.0.1:1/2");
	free(other);
	redis_url_name(&u, name);
	ck_assert_str_eq(name, "h:1");
}
END_TEST

START_TEST(passwords_are_in_no_name)
{
	char name[REDIS_NAME_MAX];

	ck_assert_ptr_null(redis_url_parse("unix://a:secret@/run/s?db=1", &u));
	redis_url_name(&u, name);
	ck_assert_str_eq(name, "/run/s");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("redis_url");
	TCase *tc = tcase_create("redis_url");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(
	    tc, forms_are_taken, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(
	    tc, what_is_none_is_refused, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, parts_that_are_too_long_are_refused);
	tcase_add_test(tc, addresses_are_taken_in_turn);
	tcase_add_test(tc, a_host_is_replaced_in_its_place);
	tcase_add_test(tc, passwords_are_in_no_name);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Base URLs taken apart, and names that become parts of URLs. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/base_url.h"

/* what it is put together from again; NULL: refused */
static const struct {
	const char *text, *url, *query;
	bool versioned;
} bases[] = {
    {"https://h", "https://h", "", false},
    {"h:8080", "https://h:8080", "", false},
    {"HTTP://h/", "http://h", "", false},
    {"https://h//a//", "https://h//a", "", false},
    {"https://h/v1", "https://h/v1", "", true},
    {"https://h/a/v1beta1/", "https://h/a/v1beta1", "", true},
    {"https://h/v1/x", "https://h/v1/x", "", false},
    {"https://h/vx", "https://h/vx", "", false},
    {"https://h/v", "https://h/v", "", false},
    {"https://h/v1.2", "https://h/v1.2", "", false},
    {"v1", "https://v1", "", false},
    {"https://h?a=b?c", "https://h", "a=b?c", false},
    {"https://h/p?", "https://h/p", "", false},
    {"", NULL, NULL, false},
    {"https://", NULL, NULL, false},
    {"/v1", NULL, NULL, false},
    {"https://?a", NULL, NULL, false},
    {"gopher://h", NULL, NULL, false},
    {"https://a:b@h", NULL, NULL, false},
    {"https://h/\x7f", NULL, NULL, false},
    {"https://h/\xc3\xa9", NULL, NULL, false},
    {"https://h/a\tb", NULL, NULL, false},
    {"https://h/#", NULL, NULL, false},
    {"https://h\\x", NULL, NULL, false},
};

START_TEST(a_base_url_is_taken_apart)
{
	struct base_url u;
	struct buf b = {0};

	ck_assert_msg(
	    base_url_split(bases[_i].text, &u) == (bases[_i].url != NULL), "%s",
	    bases[_i].text);
	if (bases[_i].url == NULL)
		return;
	base_url_put(&u, &b);
	ck_assert_str_eq(buf_cstr(&b), bases[_i].url);
	ck_assert(span_eq(u.query, span_str(bases[_i].query)));
	ck_assert(base_url_has_version(&u) == bases[_i].versioned);
	buf_fini(&b);
}
END_TEST

START_TEST(a_tail_is_cut_once)
{
	struct base_url u;

	ck_assert(base_url_split("https://h/a/b//a/b/", &u));
	ck_assert(!base_url_cut(&u, "/x"));
	ck_assert(base_url_cut(&u, "/a/b"));
	ck_assert(span_eq(u.path, SPAN("/a/b")));
	ck_assert(base_url_cut(&u, "/a/b"));
	ck_assert(!base_url_cut(&u, "/a/b"));
	ck_assert_uint_eq(u.path.n, 0);
}
END_TEST

START_TEST(a_host_ends_as_it_ends)
{
	struct base_url u;

	ck_assert(base_url_split("https://x.Azure.US:8443/.azure.cn", &u));
	ck_assert(base_url_host_ends(&u, ".azure.us"));
	ck_assert(!base_url_host_ends(&u, ".azure.cn"));
	ck_assert(base_url_host_ends(&u, ""));
}
END_TEST

/* encoded as one segment, as a path; NULL: no path */
static const struct {
	const char *text, *segment, *path;
} names[] = {
    {"gemini-2.5-flash", "gemini-2.5-flash", "gemini-2.5-flash"},
    {"models/a", "models%2Fa", "models/a"},
    {"claude@2025", "claude%402025", "claude@2025"},
    {"a:b", "a%3Ab", "a%3Ab"},
    {"a b?c#d%", "a%20b%3Fc%23d%25", "a%20b%3Fc%23d%25"},
    {"...", "...", "..."},
    {"..", "..", NULL},
    {"a/../b", "a%2F..%2Fb", NULL},
    {"a/.", "a%2F.", NULL},
    {"/a", "%2Fa", NULL},
    {"a/", "a%2F", NULL},
    {"a//b", "a%2F%2Fb", NULL},
    {"", "", NULL},
};

START_TEST(a_name_is_encoded)
{
	struct buf b = {0};
	bool ok;

	url_encode(&b, span_str(names[_i].text));
	ck_assert_str_eq(buf_cstr(&b), names[_i].segment);
	buf_reset(&b, 0);
	ok = url_encode_path(&b, span_str(names[_i].text));
	ck_assert_msg(ok == (names[_i].path != NULL), "%s", names[_i].text);
	if (ok)
		ck_assert_str_eq(buf_cstr(&b), names[_i].path);
	buf_fini(&b);
}
END_TEST

START_TEST(a_zero_byte_is_encoded)
{
	struct buf b = {0};

	url_encode(&b, span_of("a\0b", 3));
	ck_assert_str_eq(buf_cstr(&b), "a%00b");
	buf_fini(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("base_url");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(
	    t, a_base_url_is_taken_apart, 0, sizeof(bases) / sizeof(bases[0]));
	tcase_add_test(t, a_tail_is_cut_once);
	tcase_add_test(t, a_host_ends_as_it_ends);
	tcase_add_loop_test(
	    t, a_name_is_encoded, 0, sizeof(names) / sizeof(names[0]));
	tcase_add_test(t, a_zero_byte_is_encoded);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}

/* URLs of providers, and the heads of requests to them. */
#include <check.h>
#include <stdlib.h>

#include "agentd/reqhead.h"

static const struct {
	const char *url;
	bool tls;
	const char *host, *port, *target;
	bool loopback;
} good[] = {
    {"http://a", false, "a", "", "", false},
    {"HTTPS://A.example/v1/x?y=z", true, "A.example", "", "/v1/x?y=z", false},
    {"http://localhost:8080/v1", false, "localhost", "8080", "/v1", true},
    {"http://a.localhost/", false, "a.localhost", "", "/", true},
    {"http://.localhost/", false, ".localhost", "", "/", false},
    {"http://127.0.0.1:1", false, "127.0.0.1", "1", "", true},
    {"https://[::1]:8443/a", true, "::1", "8443", "/a", true},
    {"https://[2001:db8::1]/a", true, "2001:db8::1", "", "/a", false},
    {"http://a?b", false, "a", "", "?b", false},
};

START_TEST(urls_are_split)
{
	struct url u;

	ck_assert(url_split(good[_i].url, &u));
	ck_assert(u.tls == good[_i].tls);
	ck_assert(span_eq(u.host, span_str(good[_i].host)));
	ck_assert(span_eq(u.port, span_str(good[_i].port)));
	ck_assert(span_eq(u.target, span_str(good[_i].target)));
	ck_assert(url_is_loopback(&u) == good[_i].loopback);
}
END_TEST

static const char *const bad[] = {
    "",
    "a",
    "ftp://a/",
    "http:/a",
    "http://",
    "http:///a",
    "http://:80/",
    "http://a:/",
    "http://a:123456/",
    "http://a:8x/",
    "http://u:p@a/",
    "http://a b/",
    "http://a/b c",
    "http://a/b\r\nX: y",
    "http://a/b#c",
    "http://a\\b/",
    "http://[::1/",
    "http://[::1]x/",
    "http://[]/",
    "http://::1/",
};

START_TEST(what_is_none_is_refused)
{
	struct url u;

	ck_assert_msg(!url_split(bad[_i], &u), "%s", bad[_i]);
}
END_TEST

static const char *const no_lines[] = {NULL};
static const char *const some_lines[] = {"Authorization: Bearer k", NULL};
static const char *const own_lines[] = {"host: other", "ACCEPT: a/b", NULL};

static const struct {
	const char *method, *url;
	const char *const *lines;
	size_t n;
	const char *proxy, *head;
} heads[] = {
    {"POST", "http://a:8080/v1/x?q", some_lines, 17, NULL,
	"POST /v1/x?q HTTP/1.1\r\nHost: a:8080\r\nAccept: */*\r\n"
	"Authorization: Bearer k\r\nContent-Length: 17\r\n\r\n"},
    {"POST", "https://a:443", no_lines, 0, NULL,
	"POST / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n"
	"Content-Length: 0\r\n\r\n"},
    {"GET", "http://[::1]:80?b", no_lines, 0, NULL,
	"GET /?b HTTP/1.1\r\nHost: [::1]\r\nAccept: */*\r\n\r\n"},
    {"DELETE", "http://a/x", own_lines, 0, NULL,
	"DELETE /x HTTP/1.1\r\nhost: other\r\nACCEPT: a/b\r\n\r\n"},
    {"POST", "http://a:80/x", no_lines, 1, "http://proxy:3128",
	"POST http://a/x HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n"
	"Content-Length: 1\r\n\r\n"},
    {"GET", "http://a", no_lines, 0, "http://user:p%40ss@proxy:3128/",
	"GET http://a/ HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n"
	"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n"},
    {"GET", "http://a/", no_lines, 0, "u:p@proxy",
	"GET http://a/ HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n"
	"Proxy-Authorization: Basic dTpw\r\n\r\n"},
};

START_TEST(heads_are_written)
{
	struct buf out = {0};
	struct url u;

	ck_assert(url_split(heads[_i].url, &u));
	reqhead_put(&out, heads[_i].method, &u, heads[_i].lines, heads[_i].n,
	    heads[_i].proxy);
	ck_assert_str_eq(buf_cstr(&out), heads[_i].head);
	buf_fini(&out);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("reqhead");
	TCase *tc = tcase_create("reqhead");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(
	    tc, urls_are_split, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(
	    tc, what_is_none_is_refused, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_loop_test(
	    tc, heads_are_written, 0, sizeof(heads) / sizeof(heads[0]));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? 0 : 1);
}

/* Answers of providers, read however their bytes come. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/answer.h"
#include "common/alloc.h"

struct result {
	struct buf text; /* all that was told, in words */
	enum answer_event last;
};

static bool
keep(struct span name)
{
	return (!span_ieq(name, SPAN("secret")));
}

/* Reads what of in is there, as long as there is something to tell. */
static size_t
take(struct answer *a, struct span in, struct result *r)
{
	static struct http1_response head;
	struct span data;
	size_t used = 0, i;

	do {
		used += answer_read(a, span_of(in.p + used, in.n - used),
		    &r->last, &head, &data);
		if (r->last == ANSWER_HEAD) {
			buf_addf(&r->text, "%d", head.status);
			for (i = 0; i < head.nfields; i++)
				buf_addf(&r->text, " %.*s=%.*s",
				    (int)head.fields[i].name.n,
				    head.fields[i].name.p,
				    (int)head.fields[i].value.n,
				    head.fields[i].value.p);
			buf_addstr(&r->text, "|");
		} else if (r->last == ANSWER_DATA)
			buf_addspan(&r->text, data);
	} while (r->last == ANSWER_HEAD || r->last == ANSWER_DATA);
	return (used);
}

/* The bytes, cut at that place, each part in memory of its own. */
static const char *
verdict(struct answer *a, const char *method, struct span in, size_t cut,
    struct result *r)
{
	size_t used, n = cut;
	char *p;

	answer_init(a, method, keep);
	p = xmemdup0(in.p, cut);
	used = take(a, span_of(p, cut), r);
	free(p);
	if (r->last == ANSWER_MORE && cut < in.n) {
		n = in.n - used;
		p = xmemdup0(in.p + used, n);
		used += take(a, span_of(p, n), r);
		free(p);
	}
	if (r->last == ANSWER_BAD)
		return ("bad");
	if (r->last == ANSWER_END)
		return (used == in.n ? "end" : "end, and more");
	return (answer_ended(a) ? "end by closing" : "broken off");
}

static const struct {
	const char *method, *bytes, *verdict, *text;
	bool close;
} answers[] = {
    {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "end",
	"200 Content-Length=5|hello", false},
    {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSecret: x\r\n\r\n", "end",
	"200 Content-Length=0|", false},
    {"POST",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	"3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nT: railer\r\n\r\n",
	"end", "200 Transfer-Encoding=chunked|hello", false},
    {"POST", "HTTP/1.1 200 OK\r\n\r\nhello", "end by closing", "200|hello",
	true},
    {"POST", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "end",
	"200 Content-Length=5|hello", true},
    {"POST",
	"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
	"end", "200 Connection=close Content-Length=1|x", true},
    {"POST",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
	"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nab",
	"end", "201 Content-Length=2|ab", false},
    {"POST", "HTTP/1.1 204 No\r\n\r\n", "end", "204|", false},
    {"POST", "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", "end",
	"304 Content-Length=9|", false},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "end",
	"200 Content-Length=9|", false},
    {"POST", "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n\r\nx",
	"end by closing", "200 Content-Encoding=identity|x", true},
    {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "broken off",
	"200 Content-Length=5|hell", false},
    {"POST",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
	"0\r\n",
	"broken off", "200 Transfer-Encoding=chunked|hello", false},
    {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r", "broken off", "",
	false},
    {"POST", "HTTP/1.1 100 Continue\r\n\r\n", "broken off", "", false},
    {"POST", "HTTP/1.1 204 No\r\n\r\nunasked", "end, and more", "204|", false},
    {"POST",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
	"bad", "", false},
    {"POST",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
	"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"bad", "", false},
    {"POST", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
	"bad", "", false},
    {"POST", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "bad", "",
	false},
    {"POST", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", "bad", "",
	false},
    {"POST", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "bad", "", false},
    {"POST", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	"bad", "200 Transfer-Encoding=chunked|", false},
    {"POST", "HTTP/2 200 OK\r\n\r\n", "bad", "", false},
    {"POST", "220 mail.example ESMTP\r\n", "bad", "", false},
    {"POST", "{\"an\": \"answer\"}", "bad", "", false},
    {"POST", "", "broken off", "", false},
};

START_TEST(the_same_is_read_wherever_the_bytes_are_cut)
{
	struct span in = span_str(answers[_i].bytes);
	struct result r;
	struct answer a;
	size_t cut;

	for (cut = 0; cut <= in.n; cut++) {
		memset(&r, 0, sizeof(r));
		ck_assert_str_eq(verdict(&a, answers[_i].method, in, cut, &r),
		    answers[_i].verdict);
		ck_assert_str_eq(buf_cstr(&r.text), answers[_i].text);
		if (r.last == ANSWER_END)
			ck_assert(a.close == answers[_i].close);
		buf_fini(&r.text);
	}
}
END_TEST

/* Reads the same bytes until they are too many; how many were used. */
static size_t
flood(struct answer *a, struct buf *in, const char *more)
{
	struct result r = {0};
	size_t used = 0, n;

	do {
		buf_addstr(in, more);
		n = take(a, buf_span(in), &r);
		buf_consume(in, n);
		used += n;
		ck_assert_uint_le(used + buf_len(in), 2 * 65536);
	} while (r.last == ANSWER_MORE);
	ck_assert_int_eq(r.last, ANSWER_BAD);
	buf_fini(&r.text);
	return (used + buf_len(in));
}

START_TEST(heads_are_bounded_alone_and_in_sum)
{
	struct buf in = {0};
	struct answer a;

	answer_init(&a, "POST", keep);
	ck_assert_uint_ge(
	    flood(&a, &in, "HTTP/1.1 100 Continue\r\n\r\n"), 65536);
	buf_fini(&in);
	answer_init(&a, "POST", keep);
	buf_addstr(&in, "HTTP/1.1 200 OK\r\n");
	ck_assert_uint_ge(flood(&a, &in, "secret: 0123456789\r\n"), 65536);
	ck_assert_str_eq(a.error, "its head is too large");
	buf_fini(&in);
}
END_TEST

START_TEST(an_end_and_an_error_stay)
{
	struct result r = {0};
	struct answer a;

	ck_assert_str_eq(
	    verdict(&a, "POST", SPAN("HTTP/1.1 204 No\r\n\r\n"), 0, &r), "end");
	ck_assert_uint_eq(take(&a, SPAN("HTTP/1.1 200 OK\r\n\r\n"), &r), 0);
	ck_assert_int_eq(r.last, ANSWER_END);
	ck_assert_str_eq(verdict(&a, "POST", SPAN("x"), 0, &r), "bad");
	ck_assert_uint_eq(take(&a, SPAN("HTTP/1.1 200 OK\r\n\r\n"), &r), 0);
	ck_assert_int_eq(r.last, ANSWER_BAD);
	buf_fini(&r.text);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("answer");
	TCase *tc = tcase_create("answer");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, the_same_is_read_wherever_the_bytes_are_cut, 0,
	    sizeof(answers) / sizeof(answers[0]));
	tcase_add_test(tc, heads_are_bounded_alone_and_in_sum);
	tcase_add_test(tc, an_end_and_an_error_stay);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? 0 : 1);
}

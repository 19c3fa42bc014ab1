/*
 * HTTP/1.1: a table of raw requests, each cut at every byte; bodies, cut at
 * every byte; writers. The published cases are in test_http1_llhttp.c.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/http1.h"

#define H "Host: h\r\n"
#define G "GET / HTTP/1.1\r\n"
#define P "POST / HTTP/1.1\r\n" H

struct request {
	enum http1_error result;
	struct span bytes;
};

/* clang-format off */
#define R(result, text) {result, {text, sizeof(text) - 1}}
static const struct request requests[] = {
	R(HTTP1_OK, G H "\r\n"),
	R(HTTP1_OK, "\r\n" G H "\r\n"),
	R(HTTP1_OK, "\r\n\r\n" G H "\r\n"),
	R(HTTP1_BAD, "\r\n\r\n\r\n" G H "\r\n"),
	R(HTTP1_BAD, "\n" G H "\r\n"),
	R(HTTP1_BAD, " " G H "\r\n"),
	R(HTTP1_OK, G "hOST:h\r\n\r\n"),
	R(HTTP1_OK, G "Host: \t h \t \r\n\r\n"),
	R(HTTP1_OK, G "Host: [::1]:80\r\n\r\n"),
	R(HTTP1_OK, G H "X:\r\n\r\n"),
	R(HTTP1_OK, G H "X: a\tb\xc3\xa4\xff\r\n\r\n"),
	R(HTTP1_OK, P "Content-Length: 0\r\n\r\n"),
	R(HTTP1_OK, P "Content-Length: 999999999999999999\r\n\r\n"),
	R(HTTP1_OK, P "Transfer-Encoding: Chunked\r\n\r\n"),
	R(HTTP1_OK, "OPTIONS * HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_OK, "GET http://h/x?y HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_OK, "GET HTTPS://H:1?y HTTP/1.1\r\nHost: h:1\r\n\r\n"),
	/* hosts */
	R(HTTP1_BAD, G "\r\n"),
	R(HTTP1_BAD, G H H "\r\n"),
	R(HTTP1_BAD, G "Host:\r\n\r\n"),
	R(HTTP1_BAD, G "Host: a b\r\n\r\n"),
	R(HTTP1_BAD, G "Host: a,b\r\n\r\n"),
	R(HTTP1_BAD, G "Host: a/b\r\n\r\n"),
	R(HTTP1_BAD, G "Host: u@h\r\n\r\n"),
	R(HTTP1_BAD, "GET http://other/ HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET http:///x HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET http://u@h/ HTTP/1.1\r\n" H "\r\n"),
	/* request lines */
	R(HTTP1_BAD, "GET * HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET x HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "CONNECT h:443 HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET  / HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET /  HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET\t/ HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "G@T / HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET /a#b HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET /a\x01 HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET /a\0b HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET / HTTP/1.1 \r\n" H "\r\n"),
	R(HTTP1_BAD, "GET / http/1.1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET / HTTP/1.10\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET / HTTP/1,1\r\n" H "\r\n"),
	R(HTTP1_BAD, "GET /\r\n" H "\r\n"),
	R(HTTP1_VERSION, "GET / HTTP/1.0\r\n" H "\r\n"),
	R(HTTP1_VERSION, "GET / HTTP/1.2\r\n" H "\r\n"),
	R(HTTP1_VERSION, "GET / HTTP/2.0\r\n" H "\r\n"),
	R(HTTP1_VERSION, "GET / HTTP/0.9\r\n" H "\r\n"),
	/* line ends and fields */
	R(HTTP1_BAD, "GET / HTTP/1.1\n" H "\r\n"),
	R(HTTP1_BAD, "GET / HTTP/1.1\r" H "\r\n\r\n"),
	R(HTTP1_BAD, G "Host: h\n\r\n"),
	R(HTTP1_BAD, G "Host: h\n\n"),
	R(HTTP1_BAD, G H "\n"),
	R(HTTP1_BAD, G H "\rX\r\n\r\n"),
	R(HTTP1_BAD, G H "X: a\r\r\n\r\n"),
	R(HTTP1_BAD, G H "X: a\rY: b\r\n\r\n"),
	R(HTTP1_BAD, G H "X: a\r\n b\r\n\r\n"),
	R(HTTP1_BAD, G H "X: a\r\n\tb\r\n\r\n"),
	R(HTTP1_BAD, G " " H "\r\n"),
	R(HTTP1_BAD, G H "X : a\r\n\r\n"),
	R(HTTP1_BAD, G H "X\t: a\r\n\r\n"),
	R(HTTP1_BAD, G H "X\r\n\r\n"),
	R(HTTP1_BAD, G H ": a\r\n\r\n"),
	R(HTTP1_BAD, G H "X(: a\r\n\r\n"),
	R(HTTP1_BAD, G H "X\xc3\xa4: a\r\n\r\n"),
	R(HTTP1_BAD, G H "X\0: a\r\n\r\n"),
	R(HTTP1_BAD, G H "X: a\0b\r\n\r\n"),
	R(HTTP1_BAD, G H "X: a\x01\r\n\r\n"),
	R(HTTP1_BAD, G H "X: 0123456789abcdef\x7f\r\n\r\n"),
	R(HTTP1_BAD, G H "X: 0123456789abcde\x1f 0123456789\r\n\r\n"),
	/* lengths */
	R(HTTP1_BAD, P "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"),
	R(HTTP1_BAD, P "Content-Length: 3\r\ncontent-length: 5\r\n\r\n"),
	R(HTTP1_BAD, P "Content-Length: 3, 3\r\n\r\n"),
	R(HTTP1_BAD, P "Content-Length: +3\r\n\r\n"),
	R(HTTP1_BAD, P "Content-Length: -1\r\n\r\n"),
	R(HTTP1_BAD, P "Content-Length: 0x3\r\n\r\n"),
	R(HTTP1_BAD, P "Content-Length: 3 3\r\n\r\n"),
	R(HTTP1_BAD, P "Content-Length: 3.0\r\n\r\n"),
	R(HTTP1_BAD, P "Content-Length:\r\n\r\n"),
	R(HTTP1_BAD, P "Content-Length: 1000000000000000000\r\n\r\n"),
	/* codings */
	R(HTTP1_BAD, P "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
	R(HTTP1_BAD, P "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
	R(HTTP1_BAD, P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
	R(HTTP1_BAD, P "Transfer-Encoding : chunked\r\n\r\n"),
	R(HTTP1_UNSUPPORTED, P "Transfer-Encoding: xchunked\r\n\r\n"),
	R(HTTP1_UNSUPPORTED, P "Transfer-Encoding: chunked, chunked\r\n\r\n"),
	R(HTTP1_UNSUPPORTED, P "Transfer-Encoding: gzip, chunked\r\n\r\n"),
	R(HTTP1_UNSUPPORTED, P "Transfer-Encoding: identity\r\n\r\n"),
	R(HTTP1_UNSUPPORTED, P "Transfer-Encoding: \"chunked\"\r\n\r\n"),
	R(HTTP1_UNSUPPORTED, P "Transfer-Encoding:\r\n\r\n"),
	/* expectations */
	R(HTTP1_OK, P "Expect: 100-Continue\r\n\r\n"),
	R(HTTP1_EXPECT, P "Expect: 200-maybe\r\n\r\n"),
	R(HTTP1_EXPECT, P "Expect: 100-continue, x\r\n\r\n"),
};
/* clang-format on */

/*
 * A copy on the heap without a byte to spare: a sanitizer sees whoever
 * reads on.
 */
static struct span
exact(struct span s)
{
	char *p = malloc(s.n > 0 ? s.n : 1);

	memcpy(p, s.p, s.n);
	return (span_of(p, s.n));
}

static void
drop(struct span s)
{
	union {
		const char *from;
		char *p;
	} u = {s.p};

	free(u.p);
}

/* Until a verdict, growing by step bytes after the first cut. */
static enum http1_error
parse_in_pieces(struct span s, size_t cut, size_t step, struct http1_head *h)
{
	enum http1_error r;
	size_t scanned = 0;
	struct span part;

	for (;; cut = cut + step < s.n ? cut + step : s.n) {
		part = exact(span_of(s.p, cut));
		r = http1_parse_head(part, &scanned, h);
		drop(part);
		if (r != HTTP1_MORE || cut == s.n)
			return (r);
	}
}

START_TEST(a_request_is_judged_alike_however_it_is_cut)
{
	const struct request *r = &requests[_i];
	struct http1_head head;
	size_t cut;

	ck_assert_int_eq(
	    parse_in_pieces(r->bytes, r->bytes.n, 1, &head), r->result);
	if (r->result == HTTP1_OK)
		ck_assert_uint_eq(head.size, r->bytes.n);
	else
		ck_assert_ptr_nonnull(head.why);
	ck_assert_int_eq(parse_in_pieces(r->bytes, 0, 1, &head), r->result);
	for (cut = 0; cut < r->bytes.n; cut++)
		ck_assert_int_eq(
		    parse_in_pieces(r->bytes, cut, r->bytes.n, &head),
		    r->result);
}
END_TEST

START_TEST(a_whole_head_is_taken_apart)
{
	struct span s = SPAN("POST /v1/chat?a=b?c HTTP/1.1\r\n"
			     "Host: api.example.com:8080\r\n"
			     "Connection: keep-alive, Upgrade , close\r\n"
			     "Upgrade: websocket\r\n"
			     "Content-Length:  007\r\n"
			     "X-Twice: 1\r\n"
			     "x-twice:   two words \t\r\n"
			     "Expect: 100-continue\r\n"
			     "\r\nrest");
	struct http1_head h;
	size_t scanned = 0;

	ck_assert_int_eq(http1_parse_head(s, &scanned, &h), HTTP1_OK);
	ck_assert(span_eq(h.method, SPAN("POST")));
	ck_assert(span_eq(h.target, SPAN("/v1/chat?a=b?c")));
	ck_assert(span_eq(h.path, SPAN("/v1/chat")));
	ck_assert(span_eq(h.query, SPAN("a=b?c")));
	ck_assert(span_eq(h.host, SPAN("api.example.com:8080")));
	ck_assert(h.close && h.upgrade && h.expect_continue);
	ck_assert(h.has_length && !h.chunked);
	ck_assert_uint_eq(h.length, 7);
	ck_assert_uint_eq(h.size, s.n - 4);
	ck_assert_uint_eq(h.nfields, 7);
	ck_assert_uint_eq(http1_count(&h, "X-TWICE"), 2);
	ck_assert(span_eq(http1_find(&h, "x-Twice")->value, SPAN("1")));
	ck_assert(span_eq(h.fields[5].value, SPAN("two words")));
	ck_assert_ptr_null(http1_find(&h, "x-twic"));
}
END_TEST

START_TEST(the_absolute_form_gives_path_and_host)
{
	struct http1_head h;
	size_t scanned = 0;

	ck_assert_int_eq(
	    http1_parse_head(
		SPAN("GET http://h HTTP/1.1\r\n" H "\r\n"), &scanned, &h),
	    HTTP1_OK);
	ck_assert(span_eq(h.path, SPAN("/")));
	ck_assert(span_eq(h.host, SPAN("h")));
	scanned = 0;
	ck_assert_int_eq(
	    http1_parse_head(
		SPAN("GET http://h/a?b HTTP/1.1\r\n" H "\r\n"), &scanned, &h),
	    HTTP1_OK);
	ck_assert(span_eq(h.path, SPAN("/a")));
	ck_assert(span_eq(h.query, SPAN("b")));
}
END_TEST

static struct span
head_of_size(size_t n)
{
	static char text[HTTP1_MAX_HEAD + 8];
	size_t begin = strlen(strcpy(text, G H "X: "));

	memset(text + begin, 'x', n - 4 - begin);
	memcpy(text + n - 4, "\r\n\r\n", 4);
	return (span_of(text, n));
}

START_TEST(heads_are_bounded_in_size)
{
	struct http1_head h;

	ck_assert_int_eq(
	    parse_in_pieces(head_of_size(HTTP1_MAX_HEAD), 10, 977, &h),
	    HTTP1_OK);
	ck_assert_int_eq(
	    parse_in_pieces(head_of_size(HTTP1_MAX_HEAD + 1), 10, 977, &h),
	    HTTP1_TOO_LARGE);
	ck_assert_int_eq(parse_in_pieces(head_of_size(HTTP1_MAX_HEAD + 1),
			     HTTP1_MAX_HEAD + 1, 1, &h),
	    HTTP1_TOO_LARGE);
}
END_TEST

START_TEST(heads_are_bounded_in_fields)
{
	struct http1_head h;
	struct buf b = {0};
	size_t i, scanned = 0;

	buf_addstr(&b, G H);
	for (i = 1; i < HTTP1_MAX_FIELDS; i++)
		buf_addstr(&b, "A: b\r\n");
	buf_addstr(&b, "\r\n");
	ck_assert_int_eq(
	    http1_parse_head(buf_span(&b), &scanned, &h), HTTP1_OK);
	ck_assert_uint_eq(h.nfields, HTTP1_MAX_FIELDS);
	buf_splice(&b, 0, 0, "", 0);
	b.end -= 2;
	buf_addstr(&b, "A: b\r\n\r\n");
	scanned = 0;
	ck_assert_int_eq(
	    http1_parse_head(buf_span(&b), &scanned, &h), HTTP1_TOO_LARGE);
	buf_fini(&b);
}
END_TEST

START_TEST(lists_are_searched_by_token)
{
	ck_assert(http1_list_has(SPAN("a, B\t,c"), "b"));
	ck_assert(http1_list_has(SPAN("close"), "close"));
	ck_assert(!http1_list_has(SPAN("closed, x close"), "close"));
	ck_assert(!http1_list_has(SPAN(""), "close"));
	ck_assert(!http1_list_has(SPAN(",,"), "close"));
}
END_TEST

START_TEST(responses_are_read_as_strictly)
{
	static const struct {
		enum http1_error result;
		int status;
		const char *text;
	} t[] = {
	    {HTTP1_OK, 200, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
	    {HTTP1_OK, 529, "HTTP/1.1 529 \r\n\r\n"},
	    {HTTP1_BAD, 0, "HTTP/1.1 200\r\n\r\n"},
	    {HTTP1_BAD, 0, "HTTP/1.1 20 OK\r\n\r\n"},
	    {HTTP1_BAD, 0, "HTTP/1.1 2000 OK\r\n\r\n"},
	    {HTTP1_BAD, 0, "HTTP/1.1 099 OK\r\n\r\n"},
	    {HTTP1_BAD, 0, "HTTP/1.1 200 O\x01K\r\n\r\n"},
	    {HTTP1_BAD, 0, "HTTP/1.1 200 OK\r\nA: b\n\r\n"},
	    {HTTP1_BAD, 0,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
		"Transfer-Encoding: chunked\r\n\r\n"},
	    {HTTP1_VERSION, 0, "HTTP/1.0 200 OK\r\n\r\n"},
	    {HTTP1_MORE, 0, "HTTP/1.1 200 OK\r\n"},
	};
	struct http1_response res;
	size_t i, scanned;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		scanned = 0;
		ck_assert_msg(http1_parse_response(span_str(t[i].text),
				  &scanned, &res) == t[i].result,
		    "%s", t[i].text);
		if (t[i].result == HTTP1_OK) {
			ck_assert_int_eq(res.status, t[i].status);
			ck_assert_uint_eq(res.size, strlen(t[i].text));
		}
	}
}
END_TEST

static bool
keep_wanted(struct span name)
{
	return (span_ieq(name, SPAN("wanted")));
}

START_TEST(answers_of_others_are_read_with_some_tolerance)
{
	static const struct {
		enum http1_error result;
		bool close;
		const char *text;
	} t[] = {
	    {HTTP1_OK, false, "HTTP/1.1 200 OK\r\n\r\n"},
	    {HTTP1_OK, false, "HTTP/1.1 200\r\n\r\n"},
	    {HTTP1_OK, true, "HTTP/1.0 200 OK\r\n\r\n"},
	    {HTTP1_OK, true, "HTTP/1.0 200 OK\r\nConnection: a\r\n\r\n"},
	    {HTTP1_OK, true, "HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n"},
	    {HTTP1_BAD, false,
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
	    {HTTP1_VERSION, false, "HTTP/1.2 200 OK\r\n\r\n"},
	    {HTTP1_VERSION, false, "HTTP/0.9 200 OK\r\n\r\n"},
	    {HTTP1_BAD, false, "HTTP/2 200 OK\r\n\r\n"},
	    {HTTP1_BAD, false, "HTTP/1.1 200OK\r\n\r\n"},
	    {HTTP1_BAD, false, "HTTP/1.1 42 OK\r\n\r\n"},
	    {HTTP1_BAD, false, "HTTP/1.1 200 OK\nA: b\r\n\r\n"},
	    {HTTP1_MORE, false, "HTTP/1.0 200 OK\r\n"},
	    {HTTP1_MORE, false, "HTTP/1."},
	    {HTTP1_MORE, false, "HTTP/1.1 20"},
	};
	struct http1_response res;
	size_t i, scanned;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		scanned = 0;
		ck_assert_msg(http1_parse_answer(span_str(t[i].text), &scanned,
				  NULL, &res) == t[i].result,
		    "%s", t[i].text);
		if (t[i].result == HTTP1_OK)
			ck_assert_msg(res.close == t[i].close, "%s", t[i].text);
	}
}
END_TEST

START_TEST(unwanted_fields_of_an_answer_cost_no_room)
{
	struct buf b = {0};
	struct http1_response res;
	size_t i, scanned = 0;

	buf_addstr(&b, "HTTP/1.1 200 OK\r\nWanted: 1\r\n");
	for (i = 0; i < 1000; i++)
		buf_addf(&b, "x-%zu: y\r\n", i);
	buf_addstr(&b, "Content-Encoding: br\r\nwanted: 2\r\n"
		       "Content-Length: 7\r\n\r\n");
	ck_assert_int_eq(
	    http1_parse_answer(buf_span(&b), &scanned, keep_wanted, &res),
	    HTTP1_OK);
	ck_assert_uint_eq(res.nfields, 2);
	ck_assert(span_eq(res.fields[1].value, SPAN("2")));
	ck_assert(res.coded && res.has_length && res.length == 7);
	ck_assert_uint_eq(res.size, buf_len(&b));
	scanned = 0;
	ck_assert_int_eq(http1_parse_answer(buf_span(&b), &scanned, NULL, &res),
	    HTTP1_TOO_LARGE);
	buf_fini(&b);
}
END_TEST

/* ---- bodies ---- */

/* Reads all of s, cut once; the payload into out; -1 or what was used. */
static ssize_t
read_body(struct http1_body *b, struct span s, size_t cut, struct buf *out)
{
	size_t at = 0, end;
	struct span part, data;
	ssize_t n;

	while (at < s.n && !b->done) {
		end = at < cut ? cut : s.n;
		part = exact(span_of(s.p + at, end - at));
		n = http1_body_take(b, part, &data);
		buf_addspan(out, data);
		drop(part);
		if (n == -1)
			return (-1);
		ck_assert_int_gt(n, 0);
		at += (size_t)n;
	}
	return ((ssize_t)at);
}

/* clang-format off */
static const struct {
	const char *text, *data; /* data NULL: broken */
} chunked[] = {
	{"0\r\n\r\n", ""},
	{"5\r\nhello\r\n0\r\n\r\n", "hello"},
	{"005\r\nhello\r\n1\r\n!\r\n000\r\n\r\n", "hello!"},
	{"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"},
	{"1;x\r\na\r\n1;x=\"y; z\"\r\nb\r\n0;last\r\n\r\n", "ab"},
	{"1\r\na\r\n0\r\nTrailer: x\r\nOther:\r\n\r\n", "a"},
	{"\r\n", NULL},
	{";x\r\n", NULL},
	{"5 \r\nhello\r\n", NULL},
	{" 5\r\nhello\r\n", NULL},
	{"+5\r\nhello\r\n", NULL},
	{"-5\r\nhello\r\n", NULL},
	{"0x5\r\nhello\r\n", NULL},
	{"5\nhello\r\n", NULL},
	{"5\rhello\r\n", NULL},
	{"5\r\nhelloXX0\r\n\r\n", NULL},
	{"5\r\nhello\n0\r\n\r\n", NULL},
	{"5\r\nhello!\r\n0\r\n\r\n", NULL},
	{"5;a\nb\r\nhello\r\n0\r\n\r\n", NULL},
	{"5;a\rb\r\nhello\r\n0\r\n\r\n", NULL},
	{"5;\r\nhello\r\n0\r\n\r\n", NULL},
	{"5;a;\r\nhello\r\n0\r\n\r\n", NULL},
	{"5;a=\"b\r\nhello\r\n0\r\n\r\n", NULL},
	{"5;a=\"b\\\"\r\nhello\r\n0\r\n\r\n", NULL},
	{"1;a=\"b\\\"\"\r\na\r\n0\r\n\r\n", "a"},
	{"0\r\n\n", NULL},
	{"0\r\nA: b\n\r\n", NULL},
	{"0\r\n folded\r\n\r\n", NULL},
	{"0\r\nA : b\r\n\r\n", NULL},
	{"0\r\nnocolon\r\n\r\n", NULL},
	{"1234567890123456\r\n", NULL},
	{"fffffffffffffffff\r\n", NULL},
};
/* clang-format on */

START_TEST(chunks_are_read_alike_however_they_are_cut)
{
	struct span s = span_str(chunked[_i].text);
	struct http1_body b;
	struct buf out = {0};
	ssize_t n;
	size_t cut;

	for (cut = 0; cut <= s.n; cut++) {
		http1_body_init(&b, HTTP1_BODY_CHUNKED, 0);
		n = read_body(&b, s, cut, &out);
		if (chunked[_i].data == NULL)
			ck_assert_int_eq(n, -1);
		else {
			ck_assert_int_eq(n, (ssize_t)s.n);
			ck_assert(b.done);
			ck_assert(span_eq(
			    buf_span(&out), span_str(chunked[_i].data)));
		}
		buf_fini(&out);
	}
}
END_TEST

static ssize_t
chunked_with(const char *before, size_t n, const char *after)
{
	struct buf b = {0}, out = {0};
	struct http1_body body;
	ssize_t r;

	buf_addstr(&b, before);
	while (n-- > 0)
		buf_add(&b, "x", 1);
	buf_addstr(&b, after);
	http1_body_init(&body, HTTP1_BODY_CHUNKED, 0);
	r = read_body(&body, buf_span(&b), 0, &out);
	ck_assert(r == -1 || body.done);
	buf_fini(&b);
	buf_fini(&out);
	return (r);
}

START_TEST(extensions_and_trailers_are_bounded)
{
	ck_assert_int_ne(chunked_with("0;", 255, "\r\n\r\n"), -1);
	ck_assert_int_eq(chunked_with("0;", 256, "\r\n\r\n"), -1);
	ck_assert_int_ne(chunked_with("0\r\nA:", 8000, "\r\n\r\n"), -1);
	ck_assert_int_eq(chunked_with("0\r\nA:", 8200, "\r\n\r\n"), -1);
}
END_TEST

START_TEST(a_body_of_known_length_ends_there)
{
	struct http1_body b;
	struct span data;

	http1_body_init(&b, HTTP1_BODY_LENGTH, 5);
	ck_assert_int_eq(http1_body_take(&b, SPAN("he"), &data), 2);
	ck_assert(!b.done);
	ck_assert_int_eq(http1_body_take(&b, SPAN("lloGET"), &data), 3);
	ck_assert(b.done);
	ck_assert(span_eq(data, SPAN("llo")));
	ck_assert_int_eq(http1_body_take(&b, SPAN("GET"), &data), 0);
	http1_body_init(&b, HTTP1_BODY_LENGTH, 0);
	ck_assert(b.done);
	http1_body_init(&b, HTTP1_BODY_NONE, 0);
	ck_assert(b.done);
	http1_body_init(&b, HTTP1_BODY_EOF, 0);
	ck_assert_int_eq(http1_body_take(&b, SPAN("all"), &data), 3);
	ck_assert(!b.done && span_eq(data, SPAN("all")));
}
END_TEST

/* ---- writers ---- */

START_TEST(what_is_written_can_be_read)
{
	struct buf b = {0}, out = {0};
	struct http1_response res;
	struct http1_body body;
	size_t scanned = 0;

	http1_put_status(&b, 503);
	http1_put_field(&b, "transfer-encoding", SPAN("chunked"));
	http1_put_end(&b);
	http1_put_chunk(&b, "0123456789abcdefXYZ", 19);
	http1_put_chunk(&b, "", 0);
	ck_assert_str_eq(buf_cstr(&b),
	    "HTTP/1.1 503 Service Unavailable\r\n"
	    "transfer-encoding: chunked\r\n\r\n"
	    "13\r\n0123456789abcdefXYZ\r\n0\r\n\r\n");
	ck_assert_int_eq(
	    http1_parse_response(buf_span(&b), &scanned, &res), HTTP1_OK);
	ck_assert(res.chunked && res.status == 503);
	buf_consume(&b, res.size);
	http1_body_init(&body, HTTP1_BODY_CHUNKED, 0);
	ck_assert_int_eq(
	    read_body(&body, buf_span(&b), 0, &out), (ssize_t)buf_len(&b));
	ck_assert(body.done);
	ck_assert(span_eq(buf_span(&out), SPAN("0123456789abcdefXYZ")));
	buf_fini(&b);
	buf_fini(&out);
}
END_TEST

START_TEST(every_status_has_a_reason)
{
	int i;

	for (i = -1; i < 1100; i++)
		ck_assert_uint_gt(strlen(http1_reason(i)), 0);
	ck_assert_str_eq(http1_reason(404), "Not Found");
}
END_TEST

START_TEST(escapes_are_undone_strictly)
{
	struct buf b = {0};

	ck_assert_int_eq(http1_unescape(SPAN("a%2Fb%c3%A4+c"), false, &b), 0);
	ck_assert_str_eq(buf_cstr(&b), "a/b\xc3\xa4+c");
	buf_reset(&b, 4096);
	ck_assert_int_eq(http1_unescape(SPAN("a+b"), true, &b), 0);
	ck_assert_str_eq(buf_cstr(&b), "a b");
	buf_reset(&b, 4096);
	ck_assert_int_eq(http1_unescape(SPAN("%00"), false, &b), -1);
	ck_assert_int_eq(http1_unescape(SPAN("a%2"), false, &b), -1);
	ck_assert_int_eq(http1_unescape(SPAN("%"), false, &b), -1);
	ck_assert_int_eq(http1_unescape(SPAN("%g0"), false, &b), -1);
	ck_assert_uint_eq(buf_len(&b), 0);
	buf_fini(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("http1");
	TCase *tc = tcase_create("http1");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_request_is_judged_alike_however_it_is_cut, 0,
	    sizeof(requests) / sizeof(requests[0]));
	tcase_add_test(tc, a_whole_head_is_taken_apart);
	tcase_add_test(tc, the_absolute_form_gives_path_and_host);
	tcase_add_test(tc, heads_are_bounded_in_size);
	tcase_add_test(tc, heads_are_bounded_in_fields);
	tcase_add_test(tc, lists_are_searched_by_token);
	tcase_add_test(tc, responses_are_read_as_strictly);
	tcase_add_test(tc, answers_of_others_are_read_with_some_tolerance);
	tcase_add_test(tc, unwanted_fields_of_an_answer_cost_no_room);
	tcase_add_loop_test(tc, chunks_are_read_alike_however_they_are_cut, 0,
	    sizeof(chunked) / sizeof(chunked[0]));
	tcase_add_test(tc, extensions_and_trailers_are_bounded);
	tcase_add_test(tc, a_body_of_known_length_ends_there);
	tcase_add_test(tc, what_is_written_can_be_read);
	tcase_add_test(tc, every_status_has_a_reason);
	tcase_add_test(tc, escapes_are_undone_strictly);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed > 0);
}

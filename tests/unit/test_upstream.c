/* Requests to a provider that follows a script, all in one loop. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agentd/tunnel.h"
#include "agentd/upstream.h"
#include "common/alloc.h"
#include "common/conn.h"
#include "common/http1.h"

#define DEADLINE_MS 20000
#define CONNS_MAX   8

enum then { KEEP, CLOSE, RESET };

/* What the server does with one request. */
struct act {
	const char *bytes;
	size_t n;	/* 0: all */
	enum then then; /* when they have gone out */
	bool at_head;	/* does not wait for the request's body */
};

static struct {
	struct loop *loop;
	struct loop_timer *deadline;
	struct tunnels *tunnels;
	struct upstream *up;
	/* the server */
	int listener;
	unsigned port;
	struct loop_io *io;
	struct conn *conn[CONNS_MAX]; /* NULL: closed */
	unsigned nconns, closed;      /* accepted; ended by the client */
	unsigned requests;	      /* whole ones */
	const struct act *script;
	struct buf asked; /* all that came, of the last request */
	/* the client */
	struct upstream_req *req;
	struct buf told; /* head and body */
	enum upstream_end end;
	bool done, full;
	enum { NEVER, AT_HEAD, AT_BODY } cancel, resume;
	unsigned may_take_calls;
} t;

/* ---- the server --------------------------------------------------------- */

static void
forget(struct conn *c)
{
	unsigned i;

	for (i = 0; i < t.nconns; i++)
		if (t.conn[i] == c)
			t.conn[i] = NULL;
	conn_close(c, CONN_CLOSE_NOW);
}

static void
hang_up(struct conn *c, enum then then)
{
	struct linger now = {.l_onoff = 1};

	if (then == KEEP)
		return;
	if (then == RESET)
		setsockopt(
		    conn_fd(c), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	forget(c);
}

static void
act(struct conn *c)
{
	const struct act *a = &t.script[t.requests++];

	if (a->bytes == NULL)
		ck_abort_msg("more requests than the script has");
	conn_write(c, a->bytes, a->n != 0 ? a->n : strlen(a->bytes));
	conn_flush_now(c);
	hang_up(c, a->then);
}

static void
on_served(struct conn *c, enum conn_event event, void *arg)
{
	struct buf *in = conn_in(c);
	struct http1_head head;
	size_t scanned = 0;

	if (event == CONN_EOF || event == CONN_ERROR) {
		t.closed++;
		forget(c);
		return;
	}
	if (event != CONN_READABLE ||
	    http1_parse_head(buf_span(in), &scanned, &head) != HTTP1_OK)
		return;
	if (!t.script[t.requests].at_head &&
	    buf_len(in) < head.size + head.length)
		return;
	buf_reset(&t.asked, SIZE_MAX);
	buf_addspan(&t.asked, buf_span(in));
	buf_consume(in, buf_len(in));
	act(c);
}

static void
on_accept(void *arg, int what)
{
	int fd = accept4(t.listener, NULL, NULL, SOCK_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	ck_assert_uint_lt(t.nconns, CONNS_MAX);
	t.conn[t.nconns] = conn_new(t.loop, fd, on_served, NULL);
	conn_set_in_limit(t.conn[t.nconns], 64 << 20);
	t.nconns++;
}

static void
listen_anywhere(void)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	union {
		struct sockaddr_in *in;
		struct sockaddr *sa;
	} u = {&a};
	socklen_t len = sizeof(a);

	t.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(t.listener, u.sa, len), 0);
	ck_assert_int_eq(listen(t.listener, 8), 0);
	ck_assert_int_eq(getsockname(t.listener, u.sa, &len), 0);
	t.port = ntohs(a.sin_port);
	t.io = loop_io_new(t.loop, t.listener, on_accept, NULL);
	loop_io_want(t.io, LOOP_READ);
}

/* ---- the client --------------------------------------------------------- */

static void
on_head(void *arg, int status, const struct upstream_field *f, size_t n)
{
	ck_assert(!t.done);
	buf_addf(&t.told, "%d/%zu|", status, n);
	if (t.cancel == AT_HEAD) {
		upstream_cancel(t.req);
		upstream_cancel(t.req); /* of no effect in the same turn */
		loop_stop(t.loop);
	}
}

static bool
may_take(void *arg)
{
	t.may_take_calls++;
	if (t.full)
		loop_stop(t.loop);
	return (!t.full);
}

static void
on_body(void *arg, struct span s)
{
	ck_assert(!t.done && !t.full && s.n > 0);
	buf_addspan(&t.told, s);
	if (t.cancel == AT_BODY) {
		upstream_cancel(t.req);
		upstream_cancel(t.req); /* of no effect in the same turn */
		loop_stop(t.loop);
	}
}

static void
on_done(void *arg, enum upstream_end end, const char *detail)
{
	ck_assert(!t.done);
	ck_assert_ptr_nonnull(detail);
	t.done = true;
	t.end = end;
	loop_stop(t.loop);
}

static const struct upstream_handler handler = {
    .on_head = on_head,
    .may_take = may_take,
    .on_body = on_body,
    .on_done = on_done,
};

static bool
keep_nothing(struct span name)
{
	return (span_ieq(name, SPAN("kept")));
}

static void
on_deadline(void *arg)
{
	ck_abort_msg("nothing happened in time");
}

static void
begin(const struct act *script)
{
	signal(SIGPIPE, SIG_IGN);
	memset(&t, 0, sizeof(t));
	t.loop = loop_new();
	t.deadline = loop_timer_new(t.loop, on_deadline, NULL);
	loop_timer_set_ms(t.deadline, DEADLINE_MS);
	t.tunnels = tunnels_new(t.loop);
	t.up = upstream_new(t.loop, t.tunnels);
	t.script = script;
	listen_anywhere();
}

static void
end(void)
{
	unsigned i;

	upstream_free(t.up);
	tunnels_free(t.tunnels);
	for (i = 0; i < t.nconns; i++)
		if (t.conn[i] != NULL)
			conn_close(t.conn[i], CONN_CLOSE_NOW);
	loop_io_free(t.io);
	close(t.listener);
	loop_timer_free(t.deadline);
	loop_free(t.loop);
	buf_fini(&t.told);
	buf_fini(&t.asked);
}

static void
start(const char *method, struct span body)
{
	static const char *const lines[] = {"X-Test: yes", NULL};
	char url[64];
	struct upstream_options o = {
	    .method = method,
	    .url = url,
	    .headers = lines,
	    .body = body,
	    .keep_field = keep_nothing,
	};

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1/x", t.port);
	buf_reset(&t.told, SIZE_MAX);
	t.done = false;
	t.req = upstream_start(t.up, &o, &handler, NULL);
	ck_assert_ptr_nonnull(t.req);
	ck_assert(!t.done);
}

/* One request to its end. */
static void
ask(void)
{
	start("POST", SPAN("{}"));
	loop_run(t.loop);
	ck_assert(t.done);
}

static void
check_told(const char *told)
{
	ck_assert_str_eq(buf_cstr(&t.told), told);
}

static void
turn(void *arg)
{
	loop_stop(t.loop);
}

/* Until n of the server's connections have been ended by the client. */
static void
await_closed(unsigned n)
{
	struct loop_timer *timer = loop_timer_new(t.loop, turn, NULL);

	while (t.closed < n) {
		loop_timer_set_ms(timer, 1);
		loop_run(t.loop);
	}
	loop_timer_free(timer);
}

/* ---- answers ------------------------------------------------------------ */

#define HELLO	"HTTP/1.1 200 OK\r\nKept: x\r\nContent-Length: 5\r\n\r\nhello"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static const struct {
	struct act script[2];
	enum upstream_end end;
	const char *told;
	bool reusable;
} answers[] = {
    {{{.bytes = HELLO}}, UPSTREAM_OK, "200/1|hello", true},
    {{{.bytes = CHUNKED "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"}}, UPSTREAM_OK,
	"200/0|hello", true},
    {{{.bytes = "HTTP/1.1 204 No\r\n\r\n"}}, UPSTREAM_OK, "204/0|", true},
    {{{.bytes = "HTTP/1.1 100 Go\r\n\r\n" HELLO}}, UPSTREAM_OK, "200/1|hello",
	true},
    {{{.bytes = "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"}}, UPSTREAM_OK,
	"500/0|no", true},
    {{{.bytes = "HTTP/1.1 200 OK\r\n\r\nhello", .then = CLOSE}}, UPSTREAM_OK,
	"200/0|hello", false},
    {{{.bytes = "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"}}, UPSTREAM_OK,
	"200/0|x", false},
    {{{.bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: "
		"1\r\n\r\nx"}},
	UPSTREAM_OK, "200/0|x", false},
    {{{.bytes = HELLO "unasked"}}, UPSTREAM_OK, "200/1|hello", false},
    {{{.bytes = HELLO, .then = CLOSE}}, UPSTREAM_OK, "200/1|hello", false},
    {{{.bytes = "HTTP/1.1 200 OK\r\n\r\nhello", .then = RESET}}, UPSTREAM_RESET,
	NULL, false},
    {{{.bytes = HELLO, .n = sizeof(HELLO) - 2, .then = CLOSE}}, UPSTREAM_RESET,
	"200/1|hell", false},
    {{{.bytes = CHUNKED "3\r\nhel\r\n", .then = CLOSE}}, UPSTREAM_RESET,
	"200/0|hel", false},
    {{{.bytes = CHUNKED "x"}}, UPSTREAM_RESET, "200/0|", false},
    {{{.bytes = "", .then = CLOSE}}, UPSTREAM_RESET, "", false},
    {{{.bytes = "", .then = RESET}}, UPSTREAM_RESET, "", false},
    {{{.bytes = "HTTP/1.1 200 OK\r\nA", .then = RESET}}, UPSTREAM_RESET, "",
	false},
    {{{.bytes = "220 hello\r\n"}}, UPSTREAM_RESET, "", false},
};

START_TEST(an_answer_is_told_and_its_connection_kept_if_it_can_be)
{
	char asked[256];

	begin(answers[_i].script);
	ask();
	ck_assert_int_eq(t.end, answers[_i].end);
	if (answers[_i].told != NULL)
		check_told(answers[_i].told);
	snprintf(asked, sizeof(asked),
	    "POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	    "Accept: */*\r\nX-Test: yes\r\nContent-Length: 2\r\n\r\n{}",
	    t.port);
	ck_assert_str_eq(buf_cstr(&t.asked), asked);
	t.script = (const struct act[]){
	    {.bytes = NULL}, {.bytes = HELLO}, {.bytes = NULL}};
	ask();
	check_told("200/1|hello");
	ck_assert_uint_eq(t.nconns, answers[_i].reusable ? 1 : 2);
	end();
}
END_TEST

START_TEST(an_answer_may_break_off_anywhere_and_is_never_whole)
{
	static const char *const text[] = {
	    HELLO, CHUNKED "5\r\nhello\r\n0\r\n\r\n"};
	struct act script[2] = {{.bytes = text[_i], .then = CLOSE}};
	size_t n;

	for (n = 1; n < strlen(text[_i]); n++) {
		script[0].n = n;
		begin(script);
		ask();
		ck_assert_int_eq(t.end, UPSTREAM_RESET);
		ck_assert_uint_eq(t.requests, 1);
		end();
	}
}
END_TEST

START_TEST(a_head_answer_has_no_body)
{
	const struct act script[] = {
	    {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"},
	    {.bytes = HELLO}, {.bytes = NULL}};

	begin(script);
	start("HEAD", SPAN(""));
	loop_run(t.loop);
	ck_assert(t.done && t.end == UPSTREAM_OK);
	ask();
	check_told("200/1|hello");
	ck_assert_uint_eq(t.nconns, 1);
	end();
}
END_TEST

/* ---- kept connections --------------------------------------------------- */

START_TEST(a_dead_kept_connection_is_noticed_while_idle)
{
	const struct act script[] = {
	    {.bytes = HELLO}, {.bytes = HELLO}, {.bytes = NULL}};

	begin(script);
	ask();
	forget(t.conn[0]);
	/* The end arrives before the next request. */
	ask();
	check_told("200/1|hello");
	ck_assert_uint_eq(t.nconns, 2);
	ck_assert_uint_eq(t.requests, 2);
	end();
}
END_TEST

START_TEST(a_request_is_sent_again_once_if_a_kept_connection_dies)
{
	const struct act script[] = {{.bytes = HELLO},
	    {.bytes = "", .then = CLOSE}, {.bytes = HELLO},
	    {.bytes = "", .then = RESET}, {.bytes = "", .then = CLOSE},
	    {.bytes = NULL}};

	begin(script);
	ask();
	ask();
	check_told("200/1|hello");
	ck_assert_uint_eq(t.nconns, 2);
	ask();
	ck_assert_int_eq(t.end, UPSTREAM_RESET);
	ck_assert_uint_eq(t.nconns, 3);
	ck_assert_uint_eq(t.requests, 5);
	end();
}
END_TEST

START_TEST(a_request_is_not_sent_again_once_a_byte_was_heard)
{
	const struct act script[] = {{.bytes = HELLO},
	    {.bytes = "H", .then = CLOSE}, {.bytes = HELLO}, {.bytes = NULL}};

	begin(script);
	ask();
	ask();
	ck_assert_int_eq(t.end, UPSTREAM_RESET);
	ck_assert_uint_eq(t.nconns, 1);
	ck_assert_uint_eq(t.requests, 2);
	end();
}
END_TEST

/* ---- the flow ----------------------------------------------------------- */

START_TEST(a_full_owner_pauses_and_loses_nothing)
{
	const enum then then[] = {KEEP, CLOSE};
	struct act script[] = {
	    {.bytes = NULL}, {.bytes = HELLO}, {.bytes = NULL}};
	struct buf text = {0};
	size_t i;

	buf_addstr(&text, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
	for (i = 0; i < 300000 / 10; i++)
		buf_addstr(&text, "0123456789");
	script[0].bytes = buf_cstr(&text);
	script[0].then = then[_i];
	begin(script);
	t.full = true;
	start("POST", SPAN("{}"));
	loop_run(t.loop);
	check_told("200/0|");
	ck_assert(!t.done);
	t.full = false;
	upstream_resume(t.req);
	loop_run(t.loop);
	ck_assert(t.done && t.end == UPSTREAM_OK);
	ck_assert_uint_eq(buf_len(&t.told), 6 + 300000);
	t.script = (const struct act[]){
	    {.bytes = NULL}, {.bytes = HELLO}, {.bytes = NULL}};
	ask();
	ck_assert_uint_eq(t.nconns, then[_i] == KEEP ? 1 : 2);
	buf_fini(&text);
	end();
}
END_TEST

START_TEST(a_large_body_goes_out_as_the_socket_takes_it)
{
	const struct act script[] = {
	    {.bytes = HELLO}, {.bytes = HELLO}, {.bytes = NULL}};
	size_t i, n = 5000000;
	char *body = xmalloc(n);

	for (i = 0; i < n; i++)
		body[i] = (char)(i * 31 + i / 1000);
	begin(script);
	start("POST", span_of(body, n));
	loop_run(t.loop);
	ck_assert(t.done && t.end == UPSTREAM_OK);
	ck_assert(
	    memcmp(buf_ptr(&t.asked) + buf_len(&t.asked) - n, body, n) == 0);
	ask();
	ck_assert_uint_eq(t.nconns, 1);
	free(body);
	end();
}
END_TEST

START_TEST(an_early_answer_to_a_large_body_is_heard)
{
	const struct act script[] = {
	    {.bytes = "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno",
		.then = _i,
		.at_head = true},
	    {.bytes = HELLO}, {.bytes = NULL}};
	size_t n = 40000000;
	char *body = xcalloc(1, n);

	begin(script);
	start("POST", span_of(body, n));
	loop_run(t.loop);
	ck_assert(t.done);
	ck_assert_int_eq(t.end, UPSTREAM_OK);
	check_told("413/0|no");
	ask();
	check_told("200/1|hello");
	ck_assert_uint_eq(t.nconns, 2);
	free(body);
	end();
}
END_TEST

/* ---- cancelling --------------------------------------------------------- */

START_TEST(a_cancelled_request_closes_its_connection_at_once)
{
	const struct act script[] = {
	    {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"},
	    {.bytes = NULL}};

	begin(script);
	t.cancel = _i == 0 ? AT_HEAD : AT_BODY;
	start("POST", SPAN("{}"));
	loop_run(t.loop);
	await_closed(1);
	check_told(_i == 0 ? "200/0|" : "200/0|hello");
	ck_assert(!t.done);
	end();
}
END_TEST

START_TEST(a_request_may_be_cancelled_before_it_is_connected)
{
	const struct act script[] = {{.bytes = HELLO}, {.bytes = NULL}};

	begin(script);
	start("POST", SPAN("{}"));
	upstream_cancel(t.req);
	ask();
	check_told("200/1|hello");
	ck_assert_uint_eq(t.requests, 1);
	end();
}
END_TEST

START_TEST(a_paused_request_may_be_cancelled)
{
	const struct act script[] = {{.bytes = HELLO}, {.bytes = NULL}};

	begin(script);
	t.full = true;
	start("POST", SPAN("{}"));
	loop_run(t.loop);
	upstream_resume(t.req);
	upstream_cancel(t.req);
	await_closed(1);
	check_told("200/1|");
	end();
}
END_TEST

START_TEST(nobody_listens)
{
	const struct act script[] = {{.bytes = NULL}};

	begin(script);
	loop_io_want(t.io, 0);
	close(t.listener);
	t.listener = socket(AF_INET, SOCK_STREAM, 0);
	ask();
	ck_assert_int_eq(t.end, UPSTREAM_REFUSED);
	end();
}
END_TEST

START_TEST(what_cannot_be_sent_is_refused)
{
	static const char *const good[] = {NULL};
	static const char *const forged[] = {"A: b\r\nC: d", NULL};
	struct upstream_options o = {.method = "GET",
	    .url = "ftp://a/",
	    .headers = good,
	    .keep_field = keep_nothing};
	const struct act script[] = {{.bytes = NULL}};

	begin(script);
	ck_assert_ptr_null(upstream_start(t.up, &o, &handler, NULL));
	o.url = "http://127.0.0.1/";
	o.headers = forged;
	ck_assert_ptr_null(upstream_start(t.up, &o, &handler, NULL));
	o.headers = good;
	o.method = "AMETHODWITHOUTANEND";
	ck_assert_ptr_null(upstream_start(t.up, &o, &handler, NULL));
	end();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("upstream");
	TCase *tc = tcase_create("upstream");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc,
	    an_answer_is_told_and_its_connection_kept_if_it_can_be, 0,
	    sizeof(answers) / sizeof(answers[0]));
	tcase_add_loop_test(
	    tc, an_answer_may_break_off_anywhere_and_is_never_whole, 0, 2);
	tcase_add_test(tc, a_head_answer_has_no_body);
	tcase_add_test(tc, a_dead_kept_connection_is_noticed_while_idle);
	tcase_add_test(
	    tc, a_request_is_sent_again_once_if_a_kept_connection_dies);
	tcase_add_test(tc, a_request_is_not_sent_again_once_a_byte_was_heard);
	tcase_add_loop_test(tc, a_full_owner_pauses_and_loses_nothing, 0, 2);
	tcase_add_test(tc, a_large_body_goes_out_as_the_socket_takes_it);
	tcase_add_loop_test(
	    tc, an_early_answer_to_a_large_body_is_heard, KEEP, RESET + 1);
	tcase_add_loop_test(
	    tc, a_cancelled_request_closes_its_connection_at_once, 0, 2);
	tcase_add_test(tc, a_request_may_be_cancelled_before_it_is_connected);
	tcase_add_test(tc, a_paused_request_may_be_cancelled);
	tcase_add_test(tc, nobody_listens);
	tcase_add_test(tc, what_cannot_be_sent_is_refused);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? 0 : 1);
}

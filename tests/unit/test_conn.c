/* Connections under the loop, over socket pairs and loopback TCP. */
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

#include "common/conn.h"
#include "common/conn_transport.h"

#define DEADLINE_MS 10000

/* One connection under test (c, at the near end) and its plain far end. */
static struct {
	struct loop *loop;
	struct loop_timer *deadline;
	struct conn *c;
	int far;
	unsigned readable, drained, eof, error;
	enum conn_event stop_at;
	bool stops, consume, close_at_event;
	size_t got; /* bytes consumed */
} t;

static void
on_deadline(void *arg)
{
	ck_abort_msg("nothing happened in time");
}

static void
on_event(struct conn *c, enum conn_event event, void *arg)
{
	ck_assert_ptr_eq(c, t.c);
	switch (event) {
	case CONN_READABLE:
		t.readable++;
		ck_assert_uint_gt(buf_len(conn_in(c)), 0);
		if (t.consume) {
			t.got += buf_len(conn_in(c));
			buf_consume(conn_in(c), buf_len(conn_in(c)));
		}
		break;
	case CONN_DRAINED:
		t.drained++;
		ck_assert_uint_eq(conn_unsent(c), 0);
		break;
	case CONN_EOF:
		t.eof++;
		break;
	case CONN_ERROR:
		t.error++;
		break;
	}
	if (t.close_at_event)
		conn_close(c, CONN_CLOSE_NOW);
	if (t.stops && event == t.stop_at)
		loop_stop(t.loop);
}

static void
tcp_pair(int fd[2])
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	union {
		struct sockaddr_in *in;
		struct sockaddr *sa;
	} u = {&a};
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(l, u.sa, len), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, u.sa, &len), 0);
	fd[1] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(fd[1], u.sa, len), 0);
	fd[0] = accept(l, NULL, NULL);
	ck_assert_int_ge(fd[0], 0);
	close(l);
}

static void
begin_over(const struct conn_transport *transport, bool tcp)
{
	int fd[2];

	memset(&t, 0, sizeof(t));
	t.loop = loop_new();
	t.deadline = loop_timer_new(t.loop, on_deadline, NULL);
	loop_timer_set_ms(t.deadline, DEADLINE_MS);
	if (tcp)
		tcp_pair(fd);
	else
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	t.far = fd[1];
	t.consume = true;
	t.c = conn_new_over(t.loop, fd[0], transport, NULL, on_event, NULL);
}

static void
begin(bool tcp)
{
	begin_over(&conn_plain, tcp);
}

static void
end(void)
{
	conn_close(t.c, CONN_CLOSE_NOW);
	if (t.far != -1)
		close(t.far);
	loop_timer_free(t.deadline);
	loop_free(t.loop);
}

static void
run_until(enum conn_event event)
{
	t.stops = true;
	t.stop_at = event;
	loop_run(t.loop);
	t.stops = false;
}

static void
stop(void *arg)
{
	loop_stop(t.loop);
}

/* Two turns: what the kernel already knows is told. */
static void
run_what_is_there(void)
{
	struct loop_timer *timer = loop_timer_new(t.loop, stop, NULL);

	loop_timer_set_ms(timer, 20);
	loop_run(t.loop);
	loop_timer_free(timer);
}

static void
reset_far(void)
{
	struct linger hard = {1, 0};

	setsockopt(t.far, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(t.far);
	t.far = -1;
}

START_TEST(writes_of_a_turn_go_out_as_one)
{
	char got[16];
	int fd[2];

	begin(false);
	ck_assert_str_eq(conn_peer(t.c), "unix");
	conn_close(t.c, CONN_CLOSE_NOW);
	close(t.far);
	/* Packets keep their borders, so that one write is seen as one. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	t.c = conn_new(t.loop, fd[0], on_event, NULL);
	t.far = fd[1];
	conn_write(t.c, "one ", 4);
	buf_addstr(conn_out(t.c), "two ");
	conn_write(t.c, "three", 5);
	ck_assert_int_eq(recv(t.far, got, sizeof(got), MSG_DONTWAIT), -1);
	ck_assert_uint_eq(conn_unsent(t.c), 13);
	run_what_is_there();
	ck_assert_int_eq(recv(t.far, got, sizeof(got), 0), 13);
	ck_assert_uint_eq(conn_unsent(t.c), 0);
	ck_assert_uint_eq(t.drained, 0); /* it never waited */
	conn_write(t.c, "now", 3);
	conn_flush_now(t.c);
	ck_assert_int_eq(recv(t.far, got, sizeof(got), MSG_DONTWAIT), 3);
	end();
}
END_TEST

static struct loop_io *far_io;

static void
read_far(void *arg, int what)
{
	static char got[65536];
	ssize_t n = read(t.far, got, sizeof(got));

	ck_assert_int_gt(n, 0);
	*(size_t *)arg += (size_t)n;
}

START_TEST(a_full_socket_is_waited_for_and_drained_told)
{
	static char bytes[4 << 20];
	size_t seen = 0;
	monotime_t before;

	begin(_i == 1);
	before = monotime_now();
	conn_write(t.c, bytes, sizeof(bytes));
	run_what_is_there();
	ck_assert_uint_gt(conn_unsent(t.c), 0);
	ck_assert_uint_lt(conn_unsent(t.c), sizeof(bytes));
	ck_assert_uint_eq(t.drained, 0);
	far_io = loop_io_new(t.loop, t.far, read_far, &seen);
	loop_io_want(far_io, LOOP_READ);
	run_until(CONN_DRAINED);
	ck_assert_uint_eq(t.drained, 1);
	ck_assert(monotime_reached(before, conn_write_progress(t.c)));
	while (seen < sizeof(bytes))
		run_what_is_there();
	ck_assert_uint_eq(seen, sizeof(bytes));
	ck_assert_uint_eq(t.drained, 1);
	loop_io_free(far_io);
	end();
}
END_TEST

START_TEST(bytes_come_before_the_end)
{
	begin(_i == 1);
	ck_assert_int_eq(write(t.far, "hello", 5), 5);
	close(t.far);
	t.far = -1;
	run_until(CONN_EOF);
	ck_assert_uint_eq(t.got, 5);
	ck_assert_uint_eq(t.readable, 1);
	run_what_is_there();
	ck_assert_uint_eq(t.eof, 1);
	end();
}
END_TEST

START_TEST(a_reset_is_an_error_once)
{
	begin(true);
	reset_far();
	run_until(CONN_ERROR);
	run_what_is_there();
	ck_assert_uint_eq(t.error, 1);
	ck_assert_uint_eq(t.eof, 0);
	end();
}
END_TEST

START_TEST(a_reset_is_noticed_after_the_end_of_the_input)
{
	begin(true);
	shutdown(t.far, SHUT_WR);
	run_until(CONN_EOF);
	reset_far();
	run_until(CONN_ERROR);
	ck_assert_uint_eq(t.error, 1);
	end();
}
END_TEST

START_TEST(a_write_to_a_dead_peer_is_an_error_in_the_loop)
{
	begin(false);
	close(t.far);
	t.far = -1;
	conn_write(t.c, "x", 1);
	conn_flush_now(t.c);
	ck_assert_uint_eq(t.error, 0);
	run_until(CONN_ERROR);
	ck_assert_uint_eq(t.error, 1);
	end();
}
END_TEST

START_TEST(a_paused_connection_reads_nothing)
{
	begin(_i == 1);
	conn_want_read(t.c, false);
	ck_assert_int_eq(write(t.far, "hello", 5), 5);
	run_what_is_there();
	ck_assert_uint_eq(t.readable, 0);
	conn_want_read(t.c, true);
	run_until(CONN_READABLE);
	ck_assert_uint_eq(t.got, 5);
	end();
}
END_TEST

START_TEST(a_paused_connection_notices_the_end)
{
	begin(_i == 1);
	conn_want_read(t.c, false);
	ck_assert_int_eq(write(t.far, "hello", 5), 5);
	run_what_is_there();
	close(t.far);
	t.far = -1;
	run_until(CONN_EOF);
	ck_assert_uint_eq(t.got, 0);
	run_what_is_there();
	ck_assert_uint_eq(t.eof, 1);
	conn_want_read(t.c, true);
	run_until(CONN_EOF);
	ck_assert_uint_eq(t.got, 5);
	ck_assert_uint_eq(t.eof, 2);
	end();
}
END_TEST

START_TEST(a_paused_connection_notices_a_reset)
{
	begin(true);
	conn_want_read(t.c, false);
	run_what_is_there();
	reset_far();
	run_until(CONN_ERROR);
	ck_assert_uint_eq(t.error, 1);
	end();
}
END_TEST

START_TEST(a_paused_full_connection_notices_the_end_and_drains)
{
	static char bytes[4 << 20];
	size_t seen = 0;

	begin(_i == 1);
	conn_write(t.c, bytes, sizeof(bytes));
	run_what_is_there();
	conn_want_read(t.c, false);
	shutdown(t.far, SHUT_WR);
	run_until(CONN_EOF);
	far_io = loop_io_new(t.loop, t.far, read_far, &seen);
	loop_io_want(far_io, LOOP_READ);
	run_until(CONN_DRAINED);
	loop_io_free(far_io);
	end();
}
END_TEST

START_TEST(input_is_bounded_and_goes_on_when_consumed)
{
	static char bytes[32768];

	begin(true);
	t.consume = false;
	conn_set_in_limit(t.c, 1000);
	ck_assert_int_eq(write(t.far, bytes, sizeof(bytes)), sizeof(bytes));
	run_what_is_there();
	ck_assert_uint_eq(buf_len(conn_in(t.c)), 1000);
	ck_assert_uint_eq(t.readable, 1);
	/* The end is not told before the bytes, if it was not asked for. */
	close(t.far);
	t.far = -1;
	run_what_is_there();
	ck_assert_uint_eq(t.eof, 0);
	buf_consume(conn_in(t.c), 400);
	conn_want_read(t.c, true);
	run_until(CONN_READABLE);
	ck_assert_uint_eq(buf_len(conn_in(t.c)), 1000);
	t.consume = true;
	buf_consume(conn_in(t.c), 1000);
	conn_want_read(t.c, true);
	run_until(CONN_EOF);
	ck_assert_uint_eq(t.got, sizeof(bytes) - 1400);
	end();
}
END_TEST

START_TEST(a_full_buffer_does_not_hide_the_end_from_a_pause)
{
	begin(true);
	t.consume = false;
	conn_set_in_limit(t.c, 4);
	ck_assert_int_eq(write(t.far, "hello", 5), 5);
	run_what_is_there();
	shutdown(t.far, SHUT_WR);
	run_what_is_there();
	ck_assert_uint_eq(t.eof, 0);
	conn_want_read(t.c, false);
	run_until(CONN_EOF);
	end();
}
END_TEST

static struct conn *other;
static size_t other_got;

static void
on_other(struct conn *c, enum conn_event event, void *arg)
{
	ck_assert_int_eq(event, CONN_READABLE);
	other_got += buf_len(conn_in(c));
	loop_stop(t.loop);
}

START_TEST(one_peer_cannot_starve_another)
{
	static char bytes[1 << 20];
	int fd[2], size = sizeof(bytes);

	begin(false);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	fcntl(t.far, F_SETFL, O_NONBLOCK);
	setsockopt(t.far, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	ck_assert_int_gt(write(t.far, bytes, sizeof(bytes)), 131072);
	other = conn_new(t.loop, fd[0], on_other, NULL);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	loop_run(t.loop);
	ck_assert_uint_eq(other_got, 1);
	ck_assert_uint_le(t.got, 65536);
	conn_close(other, CONN_CLOSE_NOW);
	close(fd[1]);
	end();
}
END_TEST

/* A transport that has read "abc" before there was a connection over it. */
static bool early_taken;

static ssize_t
early_read(void *state, int fd, void *p, size_t n)
{
	if (early_taken)
		return (CONN_IO_WANT_READ);
	early_taken = true;
	memcpy(p, "abc", 3);
	return (3);
}

static bool
early_pending(void *state)
{
	return (!early_taken);
}

START_TEST(what_was_read_before_the_connection_is_told)
{
	static const struct conn_transport early = {
	    .read = early_read, .pending = early_pending};

	begin_over(&early, false);
	run_until(CONN_READABLE);
	ck_assert_uint_eq(t.got, 3);
	end();
}
END_TEST

START_TEST(empty_buffers_keep_no_memory)
{
	begin(false);
	ck_assert_int_eq(write(t.far, "hello", 5), 5);
	run_until(CONN_READABLE);
	conn_write(t.c, "hello", 5);
	run_what_is_there();
	ck_assert_uint_eq(conn_in(t.c)->cap, 0);
	ck_assert_uint_eq(conn_out(t.c)->cap, 0);
	end();
}
END_TEST

START_TEST(nothing_is_told_after_the_close)
{
	begin(false);
	t.close_at_event = true;
	ck_assert_int_eq(write(t.far, "hello", 5), 5);
	close(t.far);
	t.far = -1;
	run_until(CONN_READABLE);
	ck_assert_uint_eq(t.readable + t.eof + t.error, 1);
	run_what_is_there();
	ck_assert_uint_eq(t.readable + t.eof + t.error, 1);
	loop_timer_free(t.deadline);
	loop_free(t.loop);
}
END_TEST

static void
until_nobody_lingers(void *arg)
{
	if (conn_lingering() == 0)
		loop_stop(t.loop);
	else
		loop_timer_set_ms(*(struct loop_timer **)arg, 1);
}

START_TEST(lingering_delivers_the_last_answer_to_one_who_still_sends)
{
	static char bytes[1 << 20], got[1 << 20];
	struct loop_timer *poll = NULL;
	size_t n = 0;
	ssize_t r;

	begin(true);
	fcntl(t.far, F_SETFL, O_NONBLOCK);
	/* Unread bytes of his: a plain close would reset the connection. */
	ck_assert_int_gt(write(t.far, bytes, sizeof(bytes)), 0);
	conn_want_read(t.c, false);
	run_what_is_there();
	conn_write(t.c, bytes, 500000);
	conn_close(t.c, CONN_CLOSE_LINGER);
	ck_assert_uint_eq(conn_lingering(), 1);
	ck_assert(conn_lingers_unsaid());
	while (n < 500000) {
		run_what_is_there();
		r = read(t.far, got, sizeof(got));
		ck_assert(r > 0 || (r == -1 && errno == EAGAIN));
		n += r > 0 ? (size_t)r : 0;
	}
	run_what_is_there();
	ck_assert_int_eq(read(t.far, got, sizeof(got)), 0);
	ck_assert_uint_eq(conn_lingering(), 1);
	ck_assert(!conn_lingers_unsaid());
	close(t.far);
	poll = loop_timer_new(t.loop, until_nobody_lingers, &poll);
	loop_timer_set_ms(poll, 1);
	loop_run(t.loop);
	loop_timer_free(poll);
	loop_timer_free(t.deadline);
	loop_free(t.loop);
}
END_TEST

START_TEST(lingering_ends_though_the_peer_stays)
{
	struct loop_timer *poll = NULL;
	monotime_t before = monotime_now();

	begin(false);
	conn_write(t.c, "bye", 3);
	conn_close(t.c, CONN_CLOSE_LINGER);
	conn_close(t.c, CONN_CLOSE_LINGER);
	poll = loop_timer_new(t.loop, until_nobody_lingers, &poll);
	loop_timer_set_ms(poll, 1);
	loop_run(t.loop);
	ck_assert_int_ge(monotime_diff_ms(monotime_now(), before), 1900);
	close(t.far);
	loop_timer_free(poll);
	loop_timer_free(t.deadline);
	loop_free(t.loop);
}
END_TEST

/* ---- the loop itself ---- */

static char trace[64];

static void
mark(void *arg)
{
	strcat(trace, arg);
}

static char mark_d[] = "d";
static struct loop_work works[3];

static void
work_a(void *arg)
{
	strcat(trace, "a");
	loop_work_cancel(&works[1]);
	loop_defer(t.loop, &works[2]);
	loop_dispose_later(t.loop, mark, mark_d);
}

static char mark_b[] = "b", mark_c[] = "c", mark_wake[] = "w";

static void
before_sleep(void *arg)
{
	strcat(trace, "s");
}

static void
after_wake(void *arg)
{
	strcat(trace, arg);
}

static void
on_turn(void *arg)
{
	ck_assert_int_eq(trace[strlen(trace) - 1], 'w');
	strcat(trace, "t");
	loop_defer(t.loop, &works[0]);
	loop_defer(t.loop, &works[1]);
	loop_defer(t.loop, &works[0]);
	loop_stop(t.loop);
}

START_TEST(a_turn_has_its_order)
{
	struct loop_timer *timer;

	t.loop = loop_new();
	trace[0] = '\0';
	works[0] = (struct loop_work){.fn = work_a};
	works[1] = (struct loop_work){.fn = mark, .arg = mark_b};
	works[2] = (struct loop_work){.fn = mark, .arg = mark_c};
	loop_set_hooks(t.loop, after_wake, before_sleep, mark_wake);
	timer = loop_timer_new(t.loop, on_turn, NULL);
	loop_timer_set_ms(timer, 5);
	loop_run(t.loop);
	ck_assert_str_eq(trace, "wswtacd");
	loop_timer_free(timer);
	loop_free(t.loop);
}
END_TEST

static monotime_t fired;

static void
note_time(void *arg)
{
	fired = monotime_now();
	loop_stop(t.loop);
}

START_TEST(timers_move_and_are_never_early)
{
	struct loop_timer *timer;
	monotime_t at;

	t.loop = loop_new();
	timer = loop_timer_new(t.loop, note_time, NULL);
	loop_timer_set_ms(timer, 1);
	at = monotime_add_ms(monotime_now(), 30);
	loop_timer_set_at(timer, at); /* later */
	loop_run(t.loop);
	ck_assert(monotime_reached(at, fired));
	loop_timer_set_ms(timer, 60000);
	loop_timer_set_ms(timer, 5); /* earlier */
	at = monotime_now();
	loop_run(t.loop);
	ck_assert_int_lt(monotime_diff_ms(fired, at), 30000);
	loop_timer_free(timer);
	loop_free(t.loop);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("conn");
	TCase *tc = tcase_create("conn");
	SRunner *sr;
	int failed;

	signal(SIGPIPE, SIG_DFL);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, writes_of_a_turn_go_out_as_one);
	tcase_add_loop_test(
	    tc, a_full_socket_is_waited_for_and_drained_told, 0, 2);
	tcase_add_loop_test(tc, bytes_come_before_the_end, 0, 2);
	tcase_add_test(tc, a_reset_is_an_error_once);
	tcase_add_test(tc, a_reset_is_noticed_after_the_end_of_the_input);
	tcase_add_test(tc, a_write_to_a_dead_peer_is_an_error_in_the_loop);
	tcase_add_loop_test(tc, a_paused_connection_reads_nothing, 0, 2);
	tcase_add_loop_test(tc, a_paused_connection_notices_the_end, 0, 2);
	tcase_add_test(tc, a_paused_connection_notices_a_reset);
	tcase_add_loop_test(
	    tc, a_paused_full_connection_notices_the_end_and_drains, 0, 2);
	tcase_add_test(tc, input_is_bounded_and_goes_on_when_consumed);
	tcase_add_test(tc, a_full_buffer_does_not_hide_the_end_from_a_pause);
	tcase_add_test(tc, one_peer_cannot_starve_another);
	tcase_add_test(tc, what_was_read_before_the_connection_is_told);
	tcase_add_test(tc, empty_buffers_keep_no_memory);
	tcase_add_test(tc, nothing_is_told_after_the_close);
	tcase_add_test(
	    tc, lingering_delivers_the_last_answer_to_one_who_still_sends);
	tcase_add_test(tc, lingering_ends_though_the_peer_stays);
	tcase_add_test(tc, a_turn_has_its_order);
	tcase_add_test(tc, timers_move_and_are_never_early);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed > 0);
}

/* Connections that wait for requests. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agentd/origin.h"

static struct {
	struct loop *loop;
	struct loop_timer *timer;
	struct origins *all;
} t;

static const struct origin_key a = {.authority = {"a:80", 4}};

static void
begin(int64_t idle_ms)
{
	t.loop = loop_new();
	t.timer = loop_timer_new(t.loop, (void (*)(void *))loop_stop, t.loop);
	t.all = origins_new(t.loop, idle_ms);
}

static void
end(void)
{
	origins_free(t.all);
	loop_timer_free(t.timer);
	loop_free(t.loop);
}

static void
run_ms(int64_t ms)
{
	loop_timer_set_ms(t.timer, ms);
	loop_run(t.loop);
}

/* A line whose far end is *far. */
static struct line *
make_line(struct origin *o, int *far)
{
	int fd[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	*far = fd[1];
	return (line_new(o, conn_new(t.loop, fd[0], NULL, NULL)));
}

static bool
is_closed(int far)
{
	char c;

	return (recv(far, &c, 1, 0) == 0);
}

START_TEST(requests_that_differ_share_nothing)
{
	const struct origin_key others[] = {
	    {.authority = {"b:80", 4}},
	    {.authority = {"a:8", 3}},
	    {.tls = true, .authority = {"a:80", 4}},
	    {.authority = {"a:80", 4}, .proxy = "p"},
	    {.authority = {"a:80", 4}, .ca_file = "f"},
	};
	struct origin *o, *other;
	struct line *l;
	size_t i;
	int far;

	begin(60000);
	o = origin_get(t.all, &a);
	l = make_line(o, &far);
	line_give(l);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		other = origin_get(t.all, &others[i]);
		ck_assert_ptr_ne(other, o);
		ck_assert_ptr_null(line_take(other));
		origin_unref(other);
	}
	other = origin_get(t.all, &a);
	ck_assert_ptr_eq(other, o);
	ck_assert_ptr_eq(line_take(other), l);
	ck_assert_ptr_null(line_take(other));
	line_close(l);
	ck_assert(is_closed(far));
	origin_unref(other);
	origin_unref(o);
	close(far);
	end();
}
END_TEST

START_TEST(the_way_is_that_of_the_key)
{
	const struct origin_key key = {.tls = true,
	    .authority = {"a:8443/x", 6},
	    .proxy = "p",
	    .ca_file = "f"};
	const struct tunnel_options *way;
	struct origin *o;

	begin(60000);
	o = origin_get(t.all, &key);
	way = origin_way(o);
	ck_assert_str_eq(way->url, "https://a:8443/");
	ck_assert_str_eq(way->proxy, "p");
	ck_assert_str_eq(way->ca_file, "f");
	ck_assert(!way->through);
	origin_unref(o);
	end();
}
END_TEST

START_TEST(the_youngest_goes_first_and_too_many_are_closed)
{
	enum { N = ORIGIN_IDLE_EACH + 1 };
	struct line *l[N];
	struct origin *o;
	int far[N], i;

	begin(60000);
	o = origin_get(t.all, &a);
	for (i = 0; i < N; i++)
		l[i] = make_line(o, &far[i]);
	for (i = 0; i < N; i++)
		line_give(l[i]);
	ck_assert(is_closed(far[N - 1]));
	for (i = N - 2; i >= 0; i--) {
		ck_assert(!is_closed(far[i]));
		ck_assert_ptr_eq(line_take(o), l[i]);
		line_close(l[i]);
	}
	ck_assert_ptr_null(line_take(o));
	for (i = 0; i < N; i++)
		close(far[i]);
	origin_unref(o);
	end();
}
END_TEST

START_TEST(who_closes_or_speaks_unasked_is_dropped)
{
	struct origin *o;
	struct line *l;
	int far[3], i;

	begin(60000);
	o = origin_get(t.all, &a);
	for (i = 0; i < 3; i++) {
		l = make_line(o, &far[i]);
		line_give(l);
	}
	shutdown(far[2], SHUT_WR);
	ck_assert_int_eq(send(far[1], "x", 1, 0), 1);
	run_ms(1);
	ck_assert_ptr_nonnull(l = line_take(o));
	ck_assert_ptr_null(line_take(o));
	ck_assert(!is_closed(far[0]) && is_closed(far[2]));
	line_close(l);
	for (i = 0; i < 3; i++)
		close(far[i]);
	origin_unref(o);
	end();
}
END_TEST

START_TEST(who_waits_too_long_is_closed)
{
	struct origin *o;
	int far[2];

	begin(50);
	o = origin_get(t.all, &a);
	line_give(make_line(o, &far[0]));
	run_ms(25);
	line_give(make_line(o, &far[1]));
	run_ms(100);
	ck_assert(is_closed(far[0]) && is_closed(far[1]));
	ck_assert_ptr_null(line_take(o));
	close(far[0]);
	close(far[1]);
	origin_unref(o);
	end();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("origin");
	TCase *tc = tcase_create("origin");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, requests_that_differ_share_nothing);
	tcase_add_test(tc, the_way_is_that_of_the_key);
	tcase_add_test(tc, the_youngest_goes_first_and_too_many_are_closed);
	tcase_add_test(tc, who_closes_or_speaks_unasked_is_dropped);
	tcase_add_test(tc, who_waits_too_long_is_closed);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? 0 : 1);
}

/* Files of lines that nobody waits for. */
#include <sys/stat.h>

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/logfile.h"

static char dir[64], path[96], moved[96];
static struct loop *loop;

static void
set_up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/logfile.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(moved, sizeof(moved), "%s/log.1", dir);
	loop = loop_new();
}

static void
tear_down(void)
{
	loop_free(loop);
	unlink(path);
	unlink(moved);
	rmdir(dir);
}

static void
on_stop(void *arg)
{
	loop_stop(loop);
}

/* A few turns, so that what was put off happens. */
static void
turn(void)
{
	struct loop_timer *t = loop_timer_new(loop, on_stop, NULL);

	loop_timer_set_ms(t, 5);
	loop_run(loop);
	loop_timer_free(t);
}

static const char *
text_of(const char *name)
{
	static char text[4096];
	FILE *f = fopen(name, "r");
	size_t n;

	if (f == NULL)
		return ("(none)");
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return (text);
}

START_TEST(lines_are_appended_in_order)
{
	struct logfile *f = logfile_open(loop, path);

	ck_assert(logfile_put(f, SPAN("one\n")));
	ck_assert(logfile_put(f, SPAN("two\n")));
	ck_assert_str_eq(text_of(path), "");
	turn();
	ck_assert_str_eq(text_of(path), "one\ntwo\n");
	ck_assert_uint_eq(logfile_close(f), 0);
}
END_TEST

START_TEST(closing_writes_what_waits)
{
	struct logfile *f = logfile_open(loop, path);

	logfile_put(f, SPAN("last\n"));
	ck_assert_uint_eq(logfile_close(f), 0);
	ck_assert_str_eq(text_of(path), "last\n");
}
END_TEST

START_TEST(a_file_that_was_moved_is_made_anew)
{
	struct logfile *f = logfile_open(loop, path);

	logfile_put(f, SPAN("old\n"));
	turn();
	ck_assert_int_eq(rename(path, moved), 0);
	logfile_put(f, SPAN("still old\n"));
	ck_assert_int_eq(logfile_reopen(f), 0);
	logfile_put(f, SPAN("new\n"));
	turn();
	ck_assert_str_eq(text_of(moved), "old\nstill old\n");
	ck_assert_str_eq(text_of(path), "new\n");
	logfile_close(f);
}
END_TEST

START_TEST(what_cannot_be_opened_again_stays)
{
	struct logfile *f = logfile_open(loop, path);

	unlink(path);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(logfile_reopen(f), -1);
	ck_assert(logfile_put(f, SPAN("line\n")));
	ck_assert_uint_eq(logfile_close(f), 0);
	rmdir(path);
}
END_TEST

/* Puts lines of that size until one is refused; how many went in. */
static size_t
fill(struct logfile *f, size_t size)
{
	char line[LOGFILE_LINE_MAX + 1];
	size_t n = 0;

	memset(line, 'x', size);
	line[size - 1] = '\n';
	while (n < 100000 && logfile_put(f, span_of(line, size))) {
		if (++n % 50 == 0)
			turn();
	}
	return (n);
}

START_TEST(a_pipe_that_nobody_reads_holds_nobody_up)
{
	struct logfile *f;
	size_t n;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	f = logfile_open(loop, path);
	ck_assert_ptr_nonnull(f);
	n = fill(f, 1000);
	ck_assert_uint_ge(n, LOGFILE_BUFFER / 1000);
	ck_assert_uint_le(n, LOGFILE_BUFFER / 1000 + 1100); /* the kernel's */
	ck_assert_uint_ge(logfile_close(f), LOGFILE_BUFFER / 1000);
}
END_TEST

START_TEST(a_reader_that_comes_late_gets_whole_lines)
{
	static char got[1 << 20];
	size_t had = 0, n;
	struct logfile *f;
	ssize_t k;
	int fd;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	f = logfile_open(loop, path);
	n = fill(f, 777);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	for (int idle = 0; idle < 400 && had < n * 777; idle++) {
		while ((k = read(fd, got + had, sizeof(got) - had)) > 0) {
			had += (size_t)k;
			idle = 0;
		}
		turn();
	}
	ck_assert_uint_eq(had, n * 777);
	for (size_t i = 0; i < had; i++)
		ck_assert_int_eq(got[i] == '\n', i % 777 == 776);
	ck_assert(logfile_put(f, SPAN("again\n")));
	turn();
	ck_assert_int_eq(read(fd, got, sizeof(got)), 6);
	close(fd);
	ck_assert_uint_eq(logfile_close(f), 0);
}
END_TEST

START_TEST(a_full_device_loses_counted_lines)
{
	struct logfile *f = logfile_open(loop, "/dev/full");

	ck_assert_ptr_nonnull(f);
	ck_assert(logfile_put(f, SPAN("one\n")));
	turn();
	ck_assert(logfile_put(f, SPAN("two\n")));
	turn();
	ck_assert_uint_eq(logfile_close(f), 2);
}
END_TEST

START_TEST(lines_have_a_limit)
{
	char line[LOGFILE_LINE_MAX + 1];
	struct logfile *f = logfile_open(loop, path);

	memset(line, 'x', sizeof(line));
	ck_assert(!logfile_put(f, span_of(line, sizeof(line))));
	logfile_close(f);
	ck_assert_ptr_null(logfile_open(loop, "/nonexistent/log"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("logfile");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, lines_are_appended_in_order);
	tcase_add_test(tc, closing_writes_what_waits);
	tcase_add_test(tc, a_file_that_was_moved_is_made_anew);
	tcase_add_test(tc, what_cannot_be_opened_again_stays);
	tcase_add_test(tc, a_pipe_that_nobody_reads_holds_nobody_up);
	tcase_add_test(tc, a_reader_that_comes_late_gets_whole_lines);
	tcase_add_test(tc, a_full_device_loses_counted_lines);
	tcase_add_test(tc, lines_have_a_limit);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed != 0);
}

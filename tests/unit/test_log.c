/* The log: one line a message, whatever the message holds. */
#include <check.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/clock_fake.h"

static int ends[2];

static void
set_up(void)
{
	ck_assert_int_eq(pipe(ends), 0);
	log_init("test", LOG_LEVEL_INFO);
	log_use_fd(ends[1]);
}

static void
tear_down(void)
{
	log_use_fd(STDERR_FILENO);
	close(ends[0]);
	close(ends[1]);
}

/* What one message became, behind "test[pid] warn: ". */
static const char *
line_of(const char *text)
{
	static char line[4096];
	ssize_t n;

	log_warnx("%s", text);
	n = read(ends[0], line, sizeof(line) - 1);
	ck_assert_int_gt(n, 0);
	line[n] = '\0';
	ck_assert_ptr_eq(strchr(line, '\n'), line + n - 1);
	line[n - 1] = '\0';
	return (strstr(line, "warn: ") + 6);
}

START_TEST(d11_control_bytes_cannot_forge_a_line)
{
	ck_assert_str_eq(line_of("a\r\n2026 master: b\x1b[2J\x7f\t"),
	    "a\\x0d\\x0a2026 master: b\\x1b[2J\\x7f\\x09");
}
END_TEST

START_TEST(d11_other_line_ends_cannot_forge_a_line)
{
	ck_assert_str_eq(line_of("\xc2\x85|\xe2\x80\xa8|\xe2\x80\xa9"),
	    "\\xc2\\x85|\\xe2\\x80\\xa8|\\xe2\\x80\\xa9");
}
END_TEST

START_TEST(d11_nothing_looks_escaped_that_is_not)
{
	ck_assert_str_eq(
	    line_of("\\x0a \xe2\x80\xae"), "\\x5cx0a \\xe2\\x80\\xae");
}
END_TEST

START_TEST(utf8_stays_readable)
{
	ck_assert_str_eq(line_of("h\xc3\xa9llo \xe2\x9c\x93 \xf0\x9f\x9a\xa2"),
	    "h\xc3\xa9llo \xe2\x9c\x93 \xf0\x9f\x9a\xa2");
}
END_TEST

START_TEST(what_is_not_utf8_is_escaped)
{
	ck_assert_str_eq(line_of("\xff|\xc3|\xc0\xaf|\xed\xa0\x80|\xe2\x9c"),
	    "\\xff|\\xc3|\\xc0\\xaf|\\xed\\xa0\\x80|\\xe2\\x9c");
}
END_TEST

/* Lines that so many attempts with that failure make. */
static int
lines_of(const char *failure, int attempts)
{
	char text[4096];
	ssize_t n, i;
	int lines = 0;

	while (attempts-- > 0)
		log_stays("it fails: %s", failure);
	log_warnx("end");
	ck_assert_int_gt(n = read(ends[0], text, sizeof(text)), 0);
	for (i = 0; i < n; i++)
		lines += text[i] == '\n';
	return (lines - 1);
}

START_TEST(a_failure_that_stays_is_logged_once_a_minute)
{
	ck_assert_int_eq(lines_of("full", 3), 1);
	ck_assert_int_eq(lines_of("broken", 2), 1);
	ck_assert_int_eq(lines_of("broken", 2), 0);
	ck_assert_int_eq(lines_of("full", 1), 0); /* by turns */
	clock_ahead_ms = 61000;
	ck_assert_int_eq(lines_of("full", 2), 1);
	clock_ahead_ms = 0;
}
END_TEST

START_TEST(long_message_is_cut_to_one_line)
{
	char text[10000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_uint_lt(strlen(line_of(text)), 2048);
}
END_TEST

static Suite *
log_suite(void)
{
	Suite *s = suite_create("log");
	TCase *tc = tcase_create("lines");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, d11_control_bytes_cannot_forge_a_line);
	tcase_add_test(tc, d11_other_line_ends_cannot_forge_a_line);
	tcase_add_test(tc, d11_nothing_looks_escaped_that_is_not);
	tcase_add_test(tc, utf8_stays_readable);
	tcase_add_test(tc, what_is_not_utf8_is_escaped);
	tcase_add_test(tc, a_failure_that_stays_is_logged_once_a_minute);
	tcase_add_test(tc, long_message_is_cut_to_one_line);
	suite_add_tcase(s, tc);
	return (s);
}

int
main(void)
{
	SRunner *sr = srunner_create(log_suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed ? 1 : 0);
}

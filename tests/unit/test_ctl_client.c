/* hubctl's question to billing, asked of a billing that does as it is told. */
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hubd/ctl/ctl.h"

static char dir[64], path[128], asked[256];
static struct json *data;
static char error[200];

static void
set_up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/hubctl.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	error[0] = '\0';
}

static void
tear_down(void)
{
	snprintf(path, sizeof(path), "%s/" CTL_SOCKET, dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/hubd.lock", dir);
	unlink(path);
	rmdir(dir);
}

static int
listener(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/" CTL_SOCKET, dir);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return (fd);
}

/* Reads one line from one caller, answers, hands the line to the test. */
static void
be_billing(int fd, int report, const char *answer)
{
	char line[256];
	int c = accept(fd, NULL, NULL);
	ssize_t n = 0, r;

	while (n < (ssize_t)sizeof(line) &&
	       memchr(line, '\n', (size_t)n) == NULL &&
	       (r = read(c, line + n, sizeof(line) - (size_t)n)) > 0)
		n += r;
	if (write(report, line, (size_t)n) != n)
		_exit(1);
	if (write(c, answer, strlen(answer)) != (ssize_t)strlen(answer))
		_exit(1);
	_exit(0);
}

static void
ask(const char *answer)
{
	struct ctl_request r = {.command = ctl_command_find("account add")};
	int fd = listener(), report[2], status;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(report), 0);
	if ((pid = fork()) == 0)
		be_billing(fd, report[1], answer);
	close(fd);
	buf_addstr(&r.args, "{\"name\":\"acme\"}");
	data = ctl_ask(dir, &r, error, sizeof(error));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	n = read(report[0], asked, sizeof(asked) - 1);
	asked[n < 0 ? 0 : n] = '\0';
	close(report[0]);
	close(report[1]);
	buf_fini(&r.args);
}

START_TEST(an_answer_is_its_data)
{
	ask("{\"status\":0,\"data\":{\"accounts\":[]}}\n");
	ck_assert_str_eq(
	    asked, "{\"cmd\":\"account add\",\"args\":{\"name\":\"acme\"}}\n");
	ck_assert_str_eq(error, "");
	ck_assert_ptr_nonnull(json_get(data, "accounts"));
	json_free(data);
}
END_TEST

START_TEST(a_refusal_has_its_reason)
{
	ask("{\"status\":1,\"error\":\"acme is there already\"}\n");
	ck_assert_ptr_null(data);
	ck_assert_str_eq(error, "acme is there already");
}
END_TEST

START_TEST(a_refusal_may_have_data)
{
	ask("{\"status\":1,\"error\":\"wrong\",\"data\":{\"ok\":false}}\n");
	ck_assert_str_eq(error, "wrong");
	ck_assert_ptr_nonnull(json_get(data, "ok"));
	json_free(data);
}
END_TEST

START_TEST(half_an_answer_is_an_error)
{
	static const char *const broken[] = {
	    "", "{\"status\":0", "[]", "{\"status\":0}", "{\"status\":1}", "7"};

	ask(broken[_i]);
	ck_assert_ptr_null(data);
	ck_assert_str_ne(error, "");
}
END_TEST

START_TEST(the_lock_tells_whether_a_hub_runs)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd;

	ck_assert_int_eq(
	    ctl_hub_state("/nonexistent", error, sizeof(error)), CTL_HUB_NONE);
	ck_assert_int_eq(
	    ctl_hub_state(dir, error, sizeof(error)), CTL_HUB_NONE);
	snprintf(path, sizeof(path), "%s/hubd.lock", dir);
	fd = open(path, O_RDWR | O_CREAT, 0640);
	ck_assert_int_eq(
	    ctl_hub_state(dir, error, sizeof(error)), CTL_HUB_NONE);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	ck_assert_int_eq(
	    ctl_hub_state(dir, error, sizeof(error)), CTL_HUB_RUNS);
	close(fd);
	ck_assert_int_eq(
	    ctl_hub_state(dir, error, sizeof(error)), CTL_HUB_NONE);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ctl_client");
	TCase *tc = tcase_create("ctl_client");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, an_answer_is_its_data);
	tcase_add_test(tc, a_refusal_has_its_reason);
	tcase_add_test(tc, a_refusal_may_have_data);
	tcase_add_loop_test(tc, half_an_answer_is_an_error, 0, 6);
	tcase_add_test(tc, the_lock_tells_whether_a_hub_runs);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

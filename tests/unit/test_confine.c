/* A confined process opens its logs and nothing else. */
#include "hubd/confine.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/hubd-confine.XXXXXX";

static char *
path(const char *name)
{
	static char p[128];

	snprintf(p, sizeof(p), "%s/%s", dir, name);
	return (p);
}

static void
make_file(const char *name)
{
	int fd = open(path(name), O_WRONLY | O_CREAT, 0600);

	ck_assert_int_ne(fd, -1);
	close(fd);
}

/* 0: all as it must be; else which was not. 77: the kernel cannot. */
static int
confined(void)
{
	char log[128];
	const char *paths[] = {log, NULL};
	int born = open(path("state/hubd.db"), O_RDWR);

	snprintf(log, sizeof(log), "%s", path("log/hubd.log"));
	if (!confine_to(paths, 2))
		return (errno == ENOSYS || errno == EOPNOTSUPP ? 77 : 1);
	if (open(path("state/hubd.db"), O_RDWR) != -1 || errno != EACCES)
		return (2);
	if (open("/etc/passwd", O_RDONLY) != -1 || errno != EACCES)
		return (3);
	if (open(path("log/hubd.log"), O_WRONLY | O_APPEND | O_CREAT, 0600) ==
	    -1)
		return (4);
	if (open(path("log/hubd.log"), O_RDONLY) != -1)
		return (5);
	if (write(born, "x", 1) != 1)
		return (6);
	return (unlink(path("state/hubd.db")) == -1 ? 0 : 7);
}

START_TEST(a_confined_process_opens_its_logs_and_nothing_else)
{
	int status;
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	mkdir(path("state"), 0700);
	mkdir(path("log"), 0700);
	make_file("state/hubd.db");
	if ((pid = fork()) == 0)
		_exit(confined());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	unlink(path("state/hubd.db"));
	unlink(path("log/hubd.log"));
	rmdir(path("state"));
	rmdir(path("log"));
	rmdir(dir);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		puts("left out: this kernel has no Landlock");
		return;
	}
	ck_assert_int_eq(status, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("confine");
	TCase *tc = tcase_create("confine");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, a_confined_process_opens_its_logs_and_nothing_else);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

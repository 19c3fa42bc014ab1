/*
 * A PostgreSQL of the tests' own, in a folder under /tmp, reached by its Unix
 * socket alone, ended by its pid. PostgreSQL refuses to run as root: then it
 * runs as postgres or nobody.
 */
#ifndef TESTS_UNIT_PG_SERVER_H
#define TESTS_UNIT_PG_SERVER_H

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char pg_home[64];  /* its folder */
static char pg_bin[128];  /* where its programs are */
static pid_t pg_pid = -1; /* of the server */

static inline void
pg_find_programs(void)
{
	glob_t g;

	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &g) != 0)
		ck_abort_msg("PostgreSQL is not installed: make deps");
	snprintf(pg_bin, sizeof(pg_bin), "%.*s",
	    (int)strlen(g.gl_pathv[g.gl_pathc - 1]) - 7,
	    g.gl_pathv[g.gl_pathc - 1]);
	globfree(&g);
}

/* In a child: becomes somebody whom PostgreSQL accepts. */
static inline void
pg_leave_root(void)
{
	const struct passwd *pw;

	if (getuid() != 0)
		return;
	pw = getpwnam("postgres");
	if (pw == NULL)
		pw = getpwnam("nobody");
	if (pw == NULL || setgroups(0, NULL) == -1 ||
	    setgid(pw->pw_gid) == -1 || setuid(pw->pw_uid) == -1)
		_exit(126);
}

/* Starts a program of PostgreSQL's, its output in a file log. */
static inline pid_t
pg_spawn(const char *const argv[])
{
	char path[192];
	pid_t pid;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", pg_bin, argv[0]);
	if ((pid = fork()) != 0)
		return (pid);
	pg_leave_root();
	/* it ends with this process, whatever ends that */
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	if (chdir(pg_home) == -1 ||
	    (fd = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600)) == -1)
		_exit(126);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	execv(path, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static inline void
pg_await(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "see %s/log", pg_home);
}

/* What the server says of itself: the eighth line of its pid file. */
static inline bool
pg_is_ready(void)
{
	char path[128], line[256];
	bool ready = false;
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/data/postmaster.pid", pg_home);
	if ((f = fopen(path, "r")) == NULL)
		return (false);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (++n == 8)
			ready = strncmp(line, "ready", 5) == 0;
	}
	fclose(f);
	return (ready);
}

static inline void
pg_launch(void)
{
	const char *const argv[] = {"postgres", "-D", "data", "-c",
	    "listen_addresses=", "-c", "unix_socket_directories=..", "-c",
	    "fsync=off", "-c", "deadlock_timeout=10ms", "-c",
	    "shared_buffers=32MB", "-c", "max_connections=40", NULL};
	int i;

	pg_pid = pg_spawn(argv);
	for (i = 0; !pg_is_ready(); i++) {
		ck_assert_msg(waitpid(pg_pid, NULL, WNOHANG) == 0 && i < 3000,
		    "PostgreSQL does not start: see %s/log", pg_home);
		usleep(10000);
	}
}

static inline void
pg_start(void)
{
	const char *const argv[] = {"initdb", "-D", "data", "-U", "hubd", "-A",
	    "trust", "-E", "UTF8", "--locale=C", "--no-sync",
	    "--no-instructions", NULL};

	pg_find_programs();
	snprintf(pg_home, sizeof(pg_home), "/tmp/test_pg.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(pg_home));
	ck_assert_int_eq(chmod(pg_home, 0777), 0);
	pg_await(pg_spawn(argv));
	pg_launch();
}

/* At once, as a power cut: its next start recovers. */
static inline void
pg_halt(void)
{
	if (pg_pid == -1)
		return;
	kill(pg_pid, SIGQUIT);
	waitpid(pg_pid, NULL, 0);
	pg_pid = -1;
}

static inline void
pg_stop(void)
{
	char command[96];

	pg_halt();
	snprintf(command, sizeof(command), "rm -rf %s", pg_home);
	ck_assert_int_eq(system(command), 0);
}

/* Of a schema that is there, or of the database's own. */
static inline void
pg_url(const char *schema, char *out, size_t cap)
{
	snprintf(out, cap, "postgresql://hubd@/postgres?host=%s%s%s", pg_home,
	    schema != NULL ? "&options=-csearch_path%3D" : "",
	    schema != NULL ? schema : "");
}

#endif

/* Starting a child: its birth, its descriptors, the exec. */
#include "hubd/birth.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"

void
birth_fds_init(struct birth_fds *p)
{
	p->src[0] = -1;
	p->n = 1;
}

int
birth_fds_add(struct birth_fds *p, int fd)
{
	if (fd == -1)
		return (-1);
	if (p->n == BIRTH_FDS_MAX)
		fatalx("too many descriptors for a child");
	p->src[p->n] = fd;
	return (BIRTH_FD + p->n++);
}

static int
make_file(const struct birth *b, const struct buf *conf)
{
	int fd = memfd_create("hubd birth", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || write(fd, b, sizeof(*b)) != (ssize_t)sizeof(*b) ||
	    write(fd, buf_ptr(conf), buf_len(conf)) != (ssize_t)buf_len(conf) ||
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) ==
		-1) {
		log_err("what a child is told at its birth");
		if (fd != -1)
			close(fd);
		return (-1);
	}
	return (fd);
}

/* Nothing of ours that a child has no use for. */
static char **
clean_environment(void)
{
	static const char *const kept[] = {"PATH", "TZ", "ASAN_OPTIONS",
	    "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
#ifdef FAILPOINTS
	    "FAILPOINT_DIR",
#endif
	    NULL};
	static char *env[16];
	size_t i, n = 0;

	if (env[0] != NULL)
		return (env);
	for (i = 0; kept[i] != NULL; i++) {
		const char *value = getenv(kept[i]);

		if (value != NULL)
			env[n++] = xasprintf("%s=%s", kept[i], value);
	}
	return (env);
}

static void
place_fds(const struct birth_fds *p, bool own_log)
{
	int high[BIRTH_FDS_MAX], i, null;

	for (i = 0; i < p->n; i++) {
		high[i] = fcntl(p->src[i], F_DUPFD, BIRTH_FD + p->n);
		if (high[i] == -1)
			_exit(126);
	}
	for (i = 0; i < p->n; i++) {
		if (dup2(high[i], BIRTH_FD + i) == -1)
			_exit(126);
	}
	if ((null = open("/dev/null", O_RDWR)) != -1)
		dup2(null, STDIN_FILENO);
	/* with a log of its own it would only keep a terminal busy */
	if (null != -1 && own_log) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	close_range((unsigned)(BIRTH_FD + p->n), ~0U, 0);
}

static void __attribute__((noreturn))
become_child(const struct birth_fds *p, char *title, char **env, bool own_log)
{
	char *argv[] = {title, NULL};
	sigset_t none;

	/* before the mask goes: a signal in between must not kill */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	place_fds(p, own_log);
	execve("/proc/self/exe", argv, env);
	_exit(127);
}

pid_t
birth_give(struct birth *b, struct birth_fds *p, const struct buf *conf,
    const char *name, bool own_log)
{
	char title[64], **env = clean_environment();
	pid_t pid;

	snprintf(title, sizeof(title), "%s%s", BIRTH_TITLE, name);
	b->magic = BIRTH_MAGIC;
	b->parent = getpid();
	b->conf_size = (uint32_t)buf_len(conf);
	if ((p->src[0] = make_file(b, conf)) == -1)
		return (-1);
	if ((pid = fork()) == 0)
		become_child(p, title, env, own_log);
	if (pid == -1)
		log_err("fork");
	close(p->src[0]);
	return (pid);
}

/* Going to the background, and telling who started us how it went. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/notify.h"
#include "hubd/master/master.h"

/* The process that was started: it goes when the hub serves, or has failed
 * and said so. */
static void __attribute__((noreturn)) await_start(int fd, pid_t master)
{
	char byte;
	ssize_t n;
	int status;

	do {
		n = read(fd, &byte, 1);
	} while (n == -1 && errno == EINTR);
	if (n == 1)
		_exit(0);
	while (waitpid(master, &status, 0) == -1 && errno == EINTR)
		;
	_exit(1);
}

void
daemon_start(struct master *m)
{
	int pipe_fds[2], null;
	pid_t pid;

	m->notify_pipe = -1;
	if (m->options.foreground)
		return;
	if (pipe2(pipe_fds, O_CLOEXEC) == -1)
		fatal("pipe");
	if ((pid = fork()) == -1)
		fatal("fork");
	if (pid > 0) {
		close(pipe_fds[1]);
		await_start(pipe_fds[0], pid);
	}
	close(pipe_fds[0]);
	m->notify_pipe = pipe_fds[1];
	setsid();
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1) {
		dup2(null, STDIN_FILENO);
		close(null);
	}
}

void
daemon_ready(struct master *m)
{
	int null;

	notify_supervisor("READY=1");
	if (m->notify_pipe == -1)
		return;
	/* a log of our own: the terminal is nobody's any more */
	if (m->conf->log != NULL &&
	    (null = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
	(void)!write(m->notify_pipe, "r", 1);
	close(m->notify_pipe);
	m->notify_pipe = -1;
}

/* Named crash points, armed by files; only in test builds. */
#include "common/failpoint.h"

#ifdef FAILPOINTS

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static bool
perform(const char *path, const char *text)
{
	int pid;

	if (strncmp(text, "force", 5) == 0)
		return (true);
	if (unlink(path) == -1)
		return (false); /* another process was first */
	if (strncmp(text, "skip", 4) == 0)
		return (true);
	if (sscanf(text, "kill %d", &pid) == 1)
		kill(pid, SIGKILL);
	else if (sscanf(text, "stop %d", &pid) == 1)
		kill(pid, SIGSTOP);
	else if (strncmp(text, "kill", 4) == 0)
		kill(getpid(), SIGKILL);
	else if (strncmp(text, "stop", 4) == 0)
		kill(getpid(), SIGSTOP);
	return (false);
}

/* "after N" counts down in the file itself, shared by all processes. */
static bool
counted_down(const char *path, const char *text)
{
	const char *after = strstr(text, "after ");
	char next[160];
	int left, fd;

	if (after == NULL || (left = atoi(after + 6)) <= 1)
		return (true);
	snprintf(next, sizeof(next), "%.*safter %d\n", (int)(after - text),
	    text, left - 1);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd != -1) {
		(void)!write(fd, next, strlen(next));
		close(fd);
	}
	return (false);
}

/* The point's file: its path and its text. false: it is not armed. */
static bool
read_point(const char *name, char path[512], char *text, size_t cap)
{
	static const char *dir;
	static bool looked;
	ssize_t n;
	int fd;

	if (!looked) {
		dir = getenv("FAILPOINT_DIR");
		looked = true;
	}
	if (dir == NULL)
		return (false);
	snprintf(path, 512, "%s/%s", dir, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (false);
	n = read(fd, text, cap - 1);
	close(fd);
	if (n <= 0)
		return (false);
	text[n] = '\0';
	return (true);
}

bool
failpoint_hit(const char *name)
{
	char path[512], text[128];

	return (read_point(name, path, text, sizeof(text)) &&
		counted_down(path, text) && perform(path, text));
}

bool
failpoint_text(const char *name, char *text, size_t cap)
{
	char path[512];

	return (read_point(name, path, text, cap));
}

#endif

/*
 * SIGUSR2: another program in this process's place. What lies now where this
 * one was started from is checked by running it; only then, and only that
 * very file, is executed (handover.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/master/master.h"

#define CHECK_MS 30000
#define SAID_MAX 8192 /* of what a check says */

/* ---- where the program lies ---------------------------------------------- */

static char *
in_path(const char *name)
{
	const char *path = getenv("PATH"), *end;
	char *file;

	for (; path != NULL && *path != '\0'; path = end + (*end == ':')) {
		end = strchrnul(path, ':');
		file = xasprintf("%.*s/%s", (int)(end - path), path, name);
		if (file[0] == '/' && access(file, X_OK) == 0)
			return (file);
		free(file);
	}
	return (NULL);
}

static char *
absolute(const char *path)
{
	char *cwd, *file;

	if (path[0] == '/')
		return (xstrdup(path));
	if ((cwd = getcwd(NULL, 0)) == NULL)
		return (NULL);
	file = xasprintf("%s/%s", cwd, path);
	free(cwd);
	return (file);
}

static void on_go(void *);

void
upgrade_init(struct master *m, const char *argv0)
{
	struct upgrade *u = &m->upgrade;

	/* A link is followed when the time comes: it may lead elsewhere. */
	u->program =
	    strchr(argv0, '/') != NULL ? absolute(argv0) : in_path(argv0);
	u->binary = u->out = -1;
	u->go = (struct loop_work){.fn = on_go, .arg = m};
}

/* ---- the check ----------------------------------------------------------- */

static void
end_check(struct upgrade *u)
{
	loop_io_free(u->io);
	u->io = NULL;
	if (u->out != -1)
		close(u->out);
	if (u->binary != -1)
		close(u->binary);
	u->out = u->binary = -1;
	u->pid = 0;
	buf_fini(&u->said);
}

static void
refuse(struct master *m, const char *why)
{
	log_errx("not upgraded: %s", why);
	end_check(&m->upgrade);
}

#define NO_ROOM "workers of earlier upgrades have not finished"

/* Is there a place for each worker among the retired of the next program? */
static bool
has_room(struct master *m)
{
	struct seat *s;
	uint32_t i, n = 0;

	for (i = 0; (s = master_seat(m, i)) != NULL; i++)
		n += s->role == ROLE_WORKER && s->pid != 0;
	return (n <= RETIRED_PER_SLOT * m->conf->workers);
}

/* Children of a program that cannot begin come and go; one that can will be
 * ready soon. */
static bool
is_coming_up(struct master *m)
{
	struct seat *s;
	uint32_t i;

	for (i = 0; m->taking_over && (s = master_seat(m, i)) != NULL; i++) {
		if (!s->retired && s->pid == 0)
			return (false);
	}
	return (m->taking_over);
}

static const char *
why_not_now(struct master *m)
{
	if (m->stage == STAGE_STARTING)
		return ("the hub is starting");
	if (is_draining(m))
		return ("the hub is going down");
	if (m->upgrade.pid != 0 || is_coming_up(m))
		return ("an upgrade is under way");
	if (!has_room(m))
		return (NO_ROOM);
	if (m->upgrade.program == NULL)
		return ("where the program lies is not known");
	return (NULL);
}

static void __attribute__((noreturn)) become_check(struct master *m, int out)
{
	char contract[] = HANDOVER_CONTRACT, asked[] = "-u", file[] = "-f";
	char *path = xstrdup(m->options.path);
	char *argv[] = {m->options.argv[0], asked, contract, file, path, NULL};
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	fexecve(m->upgrade.binary, argv, environ);
	dprintf(STDERR_FILENO, "%s: %s\n", m->upgrade.program, strerror(errno));
	_exit(127);
}

static void
hear(struct upgrade *u)
{
	char bytes[1024];
	ssize_t n;

	while ((n = read(u->out, bytes, sizeof(bytes))) > 0) {
		if (buf_len(&u->said) < SAID_MAX)
			buf_add(&u->said, bytes, (size_t)n);
	}
	if (n == 0 && u->io != NULL)
		loop_io_want(u->io, 0);
}

static void
on_out(void *arg, int what)
{
	hear(arg);
}

/* false: errno. */
static bool
start_check(struct master *m)
{
	struct upgrade *u = &m->upgrade;
	int out[2];

	u->binary = open(u->program, O_PATH | O_CLOEXEC);
	if (u->binary == -1 || pipe2(out, O_CLOEXEC) == -1)
		return (false);
	u->out = out[0];
	if (fcntl(u->out, F_SETFL, O_NONBLOCK) == 0 && (u->pid = fork()) == 0)
		become_check(m, out[1]);
	close(out[1]);
	if (u->pid <= 0) {
		u->pid = 0;
		return (false);
	}
	u->io = loop_io_new(m->loop, u->out, on_out, u);
	loop_io_want(u->io, LOOP_READ);
	u->deadline = monotime_add_ms(monotime_now(), CHECK_MS);
	return (true);
}

void
upgrade_begin(struct master *m)
{
	const char *why = why_not_now(m);
	char text[512];

	if (why != NULL) {
		log_errx("not upgraded: %s", why);
		return;
	}
	log_info("upgrade: checking %s", m->upgrade.program);
	if (start_check(m))
		return;
	snprintf(
	    text, sizeof(text), "%s: %s", m->upgrade.program, strerror(errno));
	refuse(m, text);
}

void
upgrade_tick(struct master *m, monotime_t now)
{
	struct upgrade *u = &m->upgrade;

	if (u->pid != 0 && monotime_reached(u->deadline, now))
		kill(u->pid, SIGKILL);
}

/* ---- its outcome --------------------------------------------------------- */

/* What was said last, terminated. */
static const char *
last_line(struct buf *said)
{
	char *text, *nl;

	buf_add(said, "", 1);
	text = buf_ptr(said);
	while ((nl = strrchr(text, '\n')) != NULL && nl[1] == '\0')
		*nl = '\0';
	return (nl != NULL ? nl + 1 : text);
}

/* "hubd VERSION takes over": anything else that ends with 0 is no hub. */
static bool
takes_over(const char *line)
{
	size_t n = strlen(line), end = strlen(TAKES_OVER_END);

	return (
	    strncmp(line, TAKES_OVER_BEGIN, strlen(TAKES_OVER_BEGIN)) == 0 &&
	    n > end && strcmp(line + n - end, TAKES_OVER_END) == 0);
}

/* The file that was checked, whatever lies there by now. Workers that were
 * dead when the check began may be back. */
static void
on_go(void *arg)
{
	struct master *m = arg;

	if (!has_room(m)) {
		refuse(m, NO_ROOM);
		return;
	}
	if (!is_draining(m))
		handover_give(m, m->upgrade.binary);
	end_check(&m->upgrade);
}

bool
upgrade_reaped(struct master *m, pid_t pid, int status)
{
	struct upgrade *u = &m->upgrade;
	char text[256];
	const char *line;

	if (pid != u->pid)
		return (false);
	hear(u);
	line = last_line(&u->said);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && takes_over(line)) {
		log_info("upgrade: %s", line);
		loop_defer(m->loop, &u->go);
		return (true);
	}
	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "%s: killed by signal %d",
		    u->program, WTERMSIG(status));
	else if (line[0] == '\0' || WEXITSTATUS(status) == 0)
		snprintf(text, sizeof(text), "%s is no hubd", u->program);
	else
		snprintf(text, sizeof(text), "%s", line);
	refuse(m, text);
	return (true);
}

/* Children of billing: their start, their end, and how they find themselves. */
#include "hubd/billing/offspring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/billing/billing.h"
#include "hubd/birth.h"

static const char *const names[OFFSPRING_KINDS] = {
    [OFFSPRING_ERRAND] = "errand",
    [OFFSPRING_COURIER] = "courier",
    [OFFSPRING_TIDIER] = "tidier",
};

static int (*const entries[OFFSPRING_KINDS])(struct offspring_self *) = {
    [OFFSPRING_ERRAND] = errand_main,
    [OFFSPRING_COURIER] = courier_main,
    [OFFSPRING_TIDIER] = tidier_main,
};

struct offspring {
	struct loop *loop;
	enum offspring_kind kind;
	pid_t pid;  /* 0: reaped */
	int socket; /* -1: ended */
	int pidfd;
	struct loop_io *exited;
};

/* ---- in billing ---------------------------------------------------------- */

static void
log_death(const struct offspring *o, int status)
{
	if (o->socket == -1) /* by our hand, as it may be */
		log_debug("%s (pid %d) is gone", names[o->kind], (int)o->pid);
	else if (WIFSIGNALED(status))
		log_warnx("%s (pid %d) was killed by signal %d", names[o->kind],
		    (int)o->pid, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_warnx("%s (pid %d) ended with status %d", names[o->kind],
		    (int)o->pid, WEXITSTATUS(status));
}

static void
dispose(struct offspring *o)
{
	loop_io_free(o->exited);
	close(o->pidfd);
	loop_free_later(o->loop, o);
}

/* A process that is waited for may sit in the disk's queue: it is taken when
 * it can be. */
static void
on_exit_of(void *arg, int what)
{
	struct offspring *o = arg;
	int status = 0;

	if (waitpid(o->pid, &status, WNOHANG) != o->pid)
		return;
	log_death(o, status);
	o->pid = 0;
	loop_io_want(o->exited, 0);
	if (o->socket == -1)
		dispose(o);
}

/* Its own look at shared memory: what billing holds can be written through. */
static int
reopen(int fd)
{
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if ((r = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		log_err("shared memory to be read");
	return (r);
}

static pid_t
give_birth(struct billing *b, struct offspring *o, int theirs, int client)
{
	struct birth birth = {
	    .role = ROLE_NONE, .offspring = (uint32_t)o->kind};
	int run = reopen(b->shm->run_fd), pub = reopen(b->shm->pub_fd);
	struct birth_fds p;
	struct buf conf = {0};
	pid_t pid = -1;

	birth_fds_init(&p);
	birth.fds.channel = birth_fds_add(&p, theirs);
	birth.fds.run = birth_fds_add(&p, run);
	birth.fds.pub = birth_fds_add(&p, pub);
	birth.client = birth_fds_add(&p, client);
	hub_conf_serialise(b->conf, ROLE_BILLING, &conf);
	if (run != -1 && pub != -1)
		pid = birth_give(
		    &birth, &p, &conf, names[o->kind], b->conf->log != NULL);
	buf_fini(&conf);
	if (run != -1)
		close(run);
	if (pub != -1)
		close(pub);
	return (pid);
}

/* false: neither it nor its socket is left. */
static bool
spawn(struct billing *b, struct offspring *o, int client)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1) {
		log_err("socketpair");
		return (false);
	}
	o->socket = pair[0];
	o->pid = give_birth(b, o, pair[1], client);
	close(pair[1]);
	if (o->pid != -1 && (o->pidfd = pidfd_open(o->pid, 0)) != -1 &&
	    fcntl(o->socket, F_SETFL, O_NONBLOCK) != -1)
		return (true);
	if (o->pid != -1) {
		log_err("%s", names[o->kind]);
		kill(o->pid, SIGKILL);
		waitpid(o->pid, NULL, 0);
	}
	close(o->socket);
	return (false);
}

struct offspring *
offspring_start(struct billing *b, enum offspring_kind kind, int client)
{
	struct offspring *o = xcalloc(1, sizeof(*o));

	o->loop = b->loop;
	o->kind = kind;
	if (!spawn(b, o, client)) {
		free(o);
		return (NULL);
	}
	o->exited = loop_io_new(b->loop, o->pidfd, on_exit_of, o);
	loop_io_want(o->exited, LOOP_READ);
	log_debug("%s started: pid %d", names[kind], (int)o->pid);
	return (o);
}

int
offspring_socket(const struct offspring *o)
{
	return (o->socket);
}

pid_t
offspring_pid(const struct offspring *o)
{
	return (o->pid);
}

void
offspring_end(struct offspring *o)
{
	if (o == NULL)
		return;
	assert(o->socket != -1);
	close(o->socket);
	o->socket = -1;
	if (o->pid == 0)
		dispose(o);
	else
		kill(o->pid, SIGKILL);
}

/* ---- in the child -------------------------------------------------------- */

int
offspring_main(const struct birth *birth, struct hub_conf *conf)
{
	struct offspring_self self = {.conf = conf,
	    .socket = birth->fds.channel,
	    .client = birth->client};
	int status;

	if (birth->offspring >= OFFSPRING_KINDS ||
	    entries[birth->offspring] == NULL)
		fatalx("unknown offspring");
	self.shm =
	    shm_attach(birth->fds.run, birth->fds.pub, SHM_RUN_RO_PUB_RO);
	if (self.shm == NULL)
		return (1);
	if (FAILPOINT(names[birth->offspring]))
		fatalx("stillborn");
	status = entries[birth->offspring](&self);
	shm_detach(self.shm);
	hub_conf_free(self.conf);
	return (status);
}

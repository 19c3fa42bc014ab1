/* Starting a child: its row, its channel, its descriptors, the exec. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/birth.h"
#include "hubd/master/master.h"
#include "shm/registry.h"

#define RETRY_MS 1000
#define FDS_MAX	 128

/* Descriptors of a child: src[i] becomes number BIRTH_FD + i. */
struct fd_plan {
	int src[FDS_MAX];
	int n;
};

static int
plan(struct fd_plan *p, int fd)
{
	if (fd == -1)
		return (-1);
	if (p->n == FDS_MAX)
		fatalx("too many descriptors for a child");
	p->src[p->n] = fd;
	return (BIRTH_FD + p->n++);
}

/* Who gets what: the whole of it. */
static void
plan_fds(struct seat *s, struct fd_plan *p, struct hub_fds *f, int channel)
{
	struct master *m = s->m;
	bool worker = s->role == ROLE_WORKER, billing = s->role == ROLE_BILLING;
	uint32_t i;

	f->channel = plan(p, channel);
	f->run = plan(p, s->role == ROLE_ADMIN ? m->run_ro : m->shm->run_fd);
	f->pub = plan(p, billing ? m->shm->pub_fd : m->pub_ro);
	f->lock = plan(p, m->lock);
	plan(p, m->state_lock);
	for (i = 0; worker && i < (uint32_t)m->nlisten; i++)
		f->listen[f->nlisten++] = plan(p, m->listen[s->slot][i]);
	for (i = 0; s->role == ROLE_ADMIN && i < (uint32_t)m->nadmin; i++)
		f->listen[f->nlisten++] = plan(p, m->admin[i]);
	f->relay = plan(p, worker ? m->relay[s->slot] : -1);
	f->queue = plan(p, worker ? m->queue[1] : billing ? m->queue[0] : -1);
	f->tls = plan(p, worker ? m->tls : -1);
	f->control = plan(p, billing ? m->control : -1);
	if (worker)
		f->wake[f->nwake++] = plan(p, m->wake[s->slot]);
	for (i = 0; billing && i < m->conf->workers; i++)
		f->wake[f->nwake++] = plan(p, m->wake[i]);
}

static int
make_birth(const struct birth *b, struct buf *conf)
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
place_fds(const struct fd_plan *p, bool own_log)
{
	int high[FDS_MAX], i, null;

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
become_child(const struct fd_plan *p, char *title, char **env, bool own_log)
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

const char *
seat_name(const struct seat *s, char buf[32])
{
	if (s->role == ROLE_WORKER)
		snprintf(buf, 32, "worker %u", s->slot);
	else
		snprintf(buf, 32, "%s", process_role_str(s->role));
	return (buf);
}

void
seat_init(
    struct master *m, struct seat *s, enum process_role role, uint32_t slot)
{
	s->m = m;
	s->role = role;
	s->slot = slot;
	s->channel = -1;
	s->since = s->lost_at = monotime_now();
}

static void
on_channel(void *arg, int what)
{
	static struct channel_message msg;
	struct seat *s = arg;

	while (s->channel != -1) {
		switch (channel_receive(s->channel, &msg)) {
		case CHANNEL_GOT:
			while (msg.nfds > 0) /* children have none to give */
				close(msg.fds[--msg.nfds]);
			message_received(s, &msg);
			continue;
		case CHANNEL_EOF:
			/* it is dying: waitpid() will tell */
			loop_io_want(s->io, 0);
			return;
		case CHANNEL_NONE:
			return;
		}
	}
}

/* Forks and executes; the pid, or -1. */
static pid_t
start(struct seat *s, int channel)
{
	char title[64], name[32];
	struct birth b = {.magic = BIRTH_MAGIC,
	    .role = (uint32_t)s->role,
	    .slot = s->slot,
	    .master = getpid()};
	struct fd_plan p = {.n = 1}; /* its birth goes first */
	struct buf conf = {0};
	pid_t pid = -1;

	snprintf(title, sizeof(title), "%s%s", BIRTH_TITLE, seat_name(s, name));
	b.me = (process_ref_t){
	    s->row, process_generation(&process_rows(s->m->shm)[s->row])};
	plan_fds(s, &p, &b.fds, channel);
	hub_conf_serialise(s->m->conf, s->role, &conf);
	b.conf_size = (uint32_t)buf_len(&conf);
	p.src[0] = make_birth(&b, &conf);
	buf_fini(&conf);
	if (p.src[0] == -1)
		return (-1);
	if ((pid = fork()) == 0)
		become_child(
		    &p, title, clean_environment(), s->m->conf->log != NULL);
	if (pid == -1)
		log_err("fork");
	close(p.src[0]);
	return (pid);
}

static void
on_respawn(void *arg)
{
	struct seat *s = arg;

	if (s->pid == 0)
		seat_spawn(s);
}

void
seat_spawn_later(struct seat *s, int64_t ms)
{
	if (s->respawn == NULL)
		s->respawn = loop_timer_new(s->m->loop, on_respawn, s);
	loop_timer_set_ms(s->respawn, ms);
}

/* A row that is LIVE before the child can do anything. */
static bool
take_row(struct seat *s)
{
	struct shm *shm = s->m->shm;
	int row = process_take(shm, s->role, s->slot);

	if (row == -1) {
		log_errx("no process row is free: billing has yet to settle "
			 "what dead workers left");
		return (false);
	}
	s->row = (uint32_t)row;
	registry_clear(shm, s->row);
	return (true);
}

void
seat_spawn(struct seat *s)
{
	struct run_state *rs = shm_run_state(s->m->shm);
	int pair[2];
	char name[32];

	if (!take_row(s)) {
		seat_spawn_later(s, RETRY_MS);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
		0, pair) == -1) {
		log_err("socketpair");
		goto fail;
	}
	s->pid = start(s, pair[1]);
	close(pair[1]);
	if (s->pid == -1) {
		close(pair[0]);
		goto fail;
	}
	atomic_store(&process_rows(s->m->shm)[s->row].pid, s->pid);
	atomic_fetch_add(&rs->spawned, 1);
	s->channel = pair[0];
	s->io = loop_io_new(s->m->loop, s->channel, on_channel, s);
	loop_io_want(s->io, LOOP_READ);
	s->ready = s->told_drain = false;
	s->since = monotime_now();
	log_debug("%s started: pid %d", seat_name(s, name), (int)s->pid);
	(void)FAILPOINT("master.spawned");
	return;
fail:
	s->pid = 0;
	process_died(s->m->shm, s->row);
	seat_spawn_later(s, RETRY_MS);
}

void
seat_send_fds(struct seat *s, uint32_t type, const void *p, size_t n,
    const int *fds, size_t nfds)
{
	struct hubmsg_head head = {.type = type, .size = (uint32_t)n};
	char name[32];

	if (s->channel != -1 && !channel_send(s->channel, &head, p, fds, nfds))
		log_warn("a message to %s is lost", seat_name(s, name));
}

bool
seat_send(struct seat *s, uint32_t type, uint32_t cookie, uint32_t flags,
    const void *p, size_t n)
{
	struct hubmsg_head head = {type, (uint32_t)n, cookie, flags};
	char name[32];

	if (s->channel == -1)
		return (false);
	if (channel_send(s->channel, &head, p, NULL, 0))
		return (true);
	log_warn("a message to %s is lost", seat_name(s, name));
	return (false);
}

void
seat_vacate(struct seat *s)
{
	loop_io_free(s->io);
	s->io = NULL;
	if (s->channel != -1)
		close(s->channel);
	s->channel = -1;
	s->pid = 0;
	s->ready = false;
	s->since = monotime_now();
}

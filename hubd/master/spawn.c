/* Starting a child: its row, its channel, which descriptors it gets. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/birth.h"
#include "hubd/master/master.h"
#include "shm/registry.h"

#define RETRY_MS 1000

/* Who gets what: the whole of it. */
static void
plan_fds(struct seat *s, struct birth_fds *p, struct hub_fds *f, int channel,
    int relay)
{
	struct master *m = s->m;
	bool worker = s->role == ROLE_WORKER, billing = s->role == ROLE_BILLING;
	uint32_t i;

	f->channel = birth_fds_add(p, channel);
	f->run = birth_fds_add(
	    p, s->role == ROLE_ADMIN ? m->run_ro : m->shm->run_fd);
	f->pub = birth_fds_add(p, billing ? m->shm->pub_fd : m->pub_ro);
	f->lock = birth_fds_add(p, m->lock);
	birth_fds_add(p, m->state_lock);
	for (i = 0; worker && i < (uint32_t)m->nlisten; i++)
		f->listen[f->nlisten++] =
		    birth_fds_add(p, m->listen[s->slot][i]);
	for (i = 0; s->role == ROLE_ADMIN && i < (uint32_t)m->nadmin; i++)
		f->listen[f->nlisten++] = birth_fds_add(p, m->admin[i]);
	f->relay = birth_fds_add(p, relay);
	f->queue = birth_fds_add(p, worker    ? m->queue[1]
				    : billing ? m->queue[0]
					      : -1);
	f->tls = birth_fds_add(p, worker ? m->tls : -1);
	f->control = birth_fds_add(p, billing ? m->control : -1);
	if (worker)
		f->wake[f->nwake++] = birth_fds_add(p, m->wake[s->slot]);
	for (i = 0; billing && i < m->conf->workers; i++)
		f->wake[f->nwake++] = birth_fds_add(p, m->wake[i]);
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
give_birth(struct seat *s, int channel, int relay)
{
	struct birth b = {
	    .role = (uint32_t)s->role, .slot = s->slot, .client = -1};
	struct birth_fds p;
	struct buf conf = {0};
	char name[32];
	pid_t pid;

	birth_fds_init(&p);
	b.me = (process_ref_t){
	    s->row, process_generation(&process_rows(s->m->shm)[s->row])};
	plan_fds(s, &p, &b.fds, channel, relay);
	hub_conf_serialise(s->m->conf, s->role, &conf);
	pid = birth_give(
	    &b, &p, &conf, seat_name(s, name), s->m->conf->log != NULL);
	buf_fini(&conf);
	return (pid);
}

/* The same, with a relay if it is a worker, which is its own. */
static pid_t
start(struct seat *s, int channel)
{
	int relay = -1;
	pid_t pid;

	if (s->role == ROLE_WORKER &&
	    (relay = listen_open_relay(s->m, s->row)) == -1)
		return (-1);
	pid = give_birth(s, channel, relay);
	if (relay != -1)
		close(relay);
	if (pid == -1)
		listen_remove_relay(s->m, s->row);
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
seat_adopt(struct seat *s)
{
	s->io = loop_io_new(s->m->loop, s->channel, on_channel, s);
	loop_io_want(s->io, LOOP_READ);
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
	seat_adopt(s);
	s->ready = s->told_drain = s->told_retire = false;
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
	if (s->role == ROLE_WORKER)
		listen_remove_relay(s->m, s->row);
	s->pid = 0;
	s->ready = false;
	s->since = monotime_now();
}

/*
 * What every child does alike: finding itself after the exec, dying with who
 * started it, beating, and obeying the channel.
 */
#include "hubd/child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/birth.h"
#include "hubd/channel.h"
#include "hubd/confine.h"
#include "shm/counters.h"

#define BEAT_MS 1000

static struct hub_child *self;
static const char *self_name; /* "worker 3" */

bool
child_is_role(int argc, char **argv)
{
	return (argc == 1 &&
		strncmp(argv[0], BIRTH_TITLE, strlen(BIRTH_TITLE)) == 0);
}

/* ---- birth ----------------------------------------------------------------
 */

/* Signals of a terminal or a supervisor reach the whole group: they are the
 * master's to act on. */
static void
ignore_signals(void)
{
	static const int ignored[] = {
	    SIGINT, SIGHUP, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE};
	size_t i;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

/* It may have died before we asked to be told. */
static void
die_with_parent(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		fatal("PR_SET_PDEATHSIG");
	if (getppid() != parent)
		fatalx("who started this is gone");
}

static struct hub_conf *
read_birth(struct birth *b)
{
	struct hub_conf *conf;
	char *text;

	if (pread(BIRTH_FD, b, sizeof(*b), 0) != (ssize_t)sizeof(*b) ||
	    b->magic != BIRTH_MAGIC || b->conf_size > HUBMSG_MAX)
		fatalx("this is not for you to call");
	text = xcalloc(1, b->conf_size + 1);
	if (pread(BIRTH_FD, text, b->conf_size, sizeof(*b)) !=
	    (ssize_t)b->conf_size)
		fatal("reading the configuration");
	close(BIRTH_FD);
	conf = hub_conf_deserialise(text, b->conf_size);
	if (conf == NULL)
		fatalx("the configuration cannot be read");
	free(text);
	return (conf);
}

static void
open_log(const struct hub_conf *conf)
{
	log_init(self_name, (enum log_level)conf->log_level);
	if (conf->log != NULL && log_open(conf->log) == -1)
		log_warn("%s", conf->log);
}

static void
on_fatal(const char *text)
{
	if (self->shm->run_writable)
		process_last_words(
		    &process_rows(self->shm)[self->me.row], text);
}

static struct hub_child *
make_child(const struct birth *b, struct hub_conf *conf)
{
	static const enum shm_access access[] = {
	    [ROLE_WORKER] = SHM_RUN_RW_PUB_RO,
	    [ROLE_BILLING] = SHM_RUN_RW_PUB_RW,
	    [ROLE_ADMIN] = SHM_RUN_RO_PUB_RO,
	};
	struct hub_child *c = xcalloc(1, sizeof(*c));

	c->role = (enum process_role)b->role;
	if (c->role < ROLE_WORKER || c->role > ROLE_ADMIN)
		fatalx("unknown role");
	c->slot = b->slot;
	c->me = b->me;
	c->fds = b->fds;
	c->conf = conf;
	c->shm = shm_attach(c->fds.run, c->fds.pub, access[c->role]);
	if (c->shm == NULL)
		exit(1);
	if (c->me.row >= c->shm->sizes.nprocs)
		fatalx("unknown process row");
	c->loop = loop_new();
	return (c);
}

/*
 * The books are billing's: the others lose the file system but for the
 * folders of their logs. The sanitizers' reports need it, so not there.
 */
static void
confine(const struct hub_child *c)
{
	const char *paths[] = {c->conf->log, c->conf->access_log};

#ifdef __SANITIZE_ADDRESS__
	return;
#endif
	if (c->role != ROLE_BILLING && !confine_to(paths, 2))
		log_debug("not confined: %s", strerror(errno));
}

static int
run_role(struct hub_child *c)
{
	switch (c->role) {
	case ROLE_WORKER:
		return (worker_main(c));
	case ROLE_BILLING:
		return (billing_main(c));
	case ROLE_ADMIN:
		return (admin_main(c));
	case ROLE_NONE:
	case ROLE_MASTER:
		break;
	}
	return (1);
}

void
child_run(char **argv)
{
	struct hub_conf *conf;
	struct birth birth;

	ignore_signals();
	prctl(PR_SET_NAME, "hubd");
	self_name = argv[0] + strlen(BIRTH_TITLE);
	log_init(self_name, LOG_LEVEL_INFO);
	conf = read_birth(&birth);
	die_with_parent(birth.parent);
	open_log(conf);
	if (birth.role == ROLE_NONE)
		exit(offspring_main(&birth, conf));
	self = make_child(&birth, conf);
	log_set_last_words(on_fatal);
	if (FAILPOINT(self_name))
		fatalx("stillborn");
	confine(self);
	exit(run_role(self));
}

/* ---- life -----------------------------------------------------------------
 */

/* Rows outlive their processes: only what is new is added. */
static void
count_dropped(struct hub_child *c)
{
	static uint64_t counted;
	uint64_t dropped = log_dropped();

	counter_add(&counter_rows(c->shm)[c->me.row], COUNT_log_dropped,
	    dropped - counted);
	counted = dropped;
}

static void
on_beat(void *arg)
{
	struct hub_child *c = arg;

	if (c->shm->run_writable)
		count_dropped(c);
	if (c->shm->run_writable)
		process_beat(
		    &process_rows(c->shm)[c->me.row], loop_now(c->loop));
	loop_timer_set_ms(c->beat_timer, BEAT_MS);
}

static void
reopen(struct hub_child *c)
{
	if (c->conf->log != NULL && log_open(c->conf->log) == -1)
		log_warn("%s", c->conf->log);
	if (c->on_reopen != NULL)
		c->on_reopen(c);
}

static void
reconfigure(struct hub_child *c, const struct channel_message *m)
{
	struct hub_conf *fresh = hub_conf_deserialise(m->payload, m->head.size);

	if (fresh == NULL) {
		log_errx("the new configuration cannot be read");
		return;
	}
	log_init(self_name, (enum log_level)fresh->log_level);
	if (c->on_reload != NULL) {
		c->on_reload(c, fresh, m->head.cookie,
		    (m->head.flags & HUBMSG_FORCE) != 0);
		return;
	}
	hub_conf_free(c->conf);
	c->conf = fresh;
}

static void
neighbour(struct hub_child *c, struct channel_message *m)
{
	uint32_t slot;

	if (m->head.size != sizeof(slot) || c->on_neighbour == NULL)
		return;
	memcpy(&slot, m->payload, sizeof(slot));
	if (m->head.type == HUBMSG_NEIGHBOUR_BACK) {
		c->on_neighbour(c, slot, NULL, 0);
	} else if (m->nfds > 0) {
		c->on_neighbour(c, slot, m->fds, m->nfds);
		m->nfds = 0; /* they are the worker's now */
	}
}

static void
obey(struct hub_child *c, struct channel_message *m)
{
	c->head = m->head;
	switch ((enum hubmsg_type)m->head.type) {
	case HUBMSG_DRAIN:
		if (c->on_drain != NULL)
			c->on_drain(c);
		else
			loop_stop(c->loop);
		break;
	case HUBMSG_REOPEN:
		reopen(c);
		break;
	case HUBMSG_CONFIG:
		reconfigure(c, m);
		break;
	case HUBMSG_NEIGHBOUR:
	case HUBMSG_NEIGHBOUR_BACK:
		neighbour(c, m);
		break;
	case HUBMSG_TLS:
		if (c->on_tls != NULL && m->nfds == 1)
			c->on_tls(c, m->fds[0]);
		break;
	case HUBMSG_READY:
	case HUBMSG_RELOAD_ASK:
	case HUBMSG_RELOAD_DONE:
	case HUBMSG_RELOAD_REFUSED:
	case HUBMSG_DRAIN_ASK:
	case HUBMSG_TYPES:
		if (c->on_message != NULL)
			c->on_message(
			    c, m->head.type, m->payload, m->head.size);
		break;
	}
	while (m->nfds > 0)
		close(m->fds[--m->nfds]);
}

static void
on_channel(void *arg, int what)
{
	static struct channel_message m;
	struct hub_child *c = arg;

	for (;;) {
		switch (channel_receive(c->fds.channel, &m)) {
		case CHANNEL_GOT:
			obey(c, &m);
			continue;
		case CHANNEL_EOF:
			loop_io_want(c->channel_io, 0);
			loop_stop(c->loop);
			return;
		case CHANNEL_NONE:
			return;
		}
	}
}

void
child_attach(struct hub_child *c)
{
	c->channel_io = loop_io_new(c->loop, c->fds.channel, on_channel, c);
	loop_io_want(c->channel_io, LOOP_READ);
	c->beat_timer = loop_timer_new(c->loop, on_beat, c);
	on_beat(c);
}

bool
child_send_head(
    struct hub_child *c, const struct hubmsg_head *head, const void *payload)
{
	if (channel_send(c->fds.channel, head, payload, NULL, 0))
		return (true);
	log_warn("a message to the master is lost");
	return (false);
}

bool
child_send(struct hub_child *c, uint32_t type, const void *p, size_t n)
{
	struct hubmsg_head head = {.type = type, .size = (uint32_t)n};

	return (n <= HUBMSG_MAX && child_send_head(c, &head, p));
}

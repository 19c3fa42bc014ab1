/*
 * The master: sets up what all processes share, starts them, and then only
 * reacts: to signals, deaths, messages and time. It never touches traffic.
 */
#include "hubd/master/master.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

struct seat *
master_seat(struct master *m, uint32_t i)
{
	if (i < m->conf->workers)
		return (&m->workers[i]);
	if (i == m->conf->workers)
		return (&m->billing);
	if (i == m->conf->workers + 1)
		return (&m->admin_seat);
	i -= m->conf->workers + 2;
	if (i < RETIRED_PER_SLOT * m->conf->workers)
		return (&m->retired[i]);
	return (NULL);
}

bool
master_all_ready(struct master *m)
{
	struct seat *s;
	uint32_t i;

	for (i = 0; (s = master_seat(m, i)) != NULL; i++) {
		if (!s->retired && !s->ready)
			return (false);
	}
	return (true);
}

struct seat *
master_seat_of(struct master *m, pid_t pid)
{
	struct seat *s;
	uint32_t i;

	for (i = 0; (s = master_seat(m, i)) != NULL; i++) {
		if (s->pid == pid)
			return (s);
	}
	return (NULL);
}

/* ---- signals --------------------------------------------------------------
 */

static void
on_signal(struct master *m, uint32_t sig)
{
	switch (sig) {
	case SIGCHLD:
		reap_children(m);
		break;
	case SIGTERM:
	case SIGINT:
		if (is_draining(m))
			drain_hasten(m);
		else
			drain_begin(m, sig == SIGTERM ? "SIGTERM" : "SIGINT");
		break;
	case SIGHUP:
		reload(m, NULL, 0, 0);
		break;
	case SIGUSR1:
		reopen_logs(m);
		break;
	case SIGUSR2:
		upgrade_begin(m);
		break;
	}
}

static void
on_signal_fd(void *arg, int what)
{
	struct master *m = arg;
	struct signalfd_siginfo si;

	while (read(m->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		on_signal(m, si.ssi_signo);
}

static void
watch_signals(struct master *m)
{
	static const int signals[] = {
	    SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		fatal("sigprocmask");
	signal(SIGPIPE, SIG_IGN);
	m->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (m->signal_fd == -1)
		fatal("signalfd");
}

/* ---- set up ---------------------------------------------------------------
 */

static void
read_conf(struct master *m)
{
	char error[512];
	const char *why;

	m->conf = hub_conf_read(m->options.path, error, sizeof(error));
	if (m->conf == NULL)
		fatalx("%s", error);
	if ((why = limits_resolve(m->conf)) != NULL)
		fatalx("%s: limits: Redis's host: %s", m->options.path, why);
	reload_apply_options(&m->options, m->conf);
	log_init("master", (enum log_level)m->conf->log_level);
	if (identity_find(m->conf, &m->who, error, sizeof(error)) == -1)
		fatalx("%s: %s", m->options.path, error);
}

static void
drop_privileges(struct master *m)
{
	const char *path, *why;

	if (m->who.drop && m->conf->user == NULL)
		log_info("running as user %s", m->who.user);
	identity_assume(&m->who);
	if ((path = setup_closed_path(m->conf, &why)) != NULL)
		fatalx("%s: closed to user %s: %s", path, m->who.user, why);
	tls_warn_of_closed(m->conf, m->who.user);
}

void
master_make_seats(struct master *m)
{
	uint32_t i;

	seat_init(m, &m->billing, ROLE_BILLING, 0);
	seat_init(m, &m->admin_seat, ROLE_ADMIN, 0);
	for (i = 0; i < m->conf->workers; i++)
		seat_init(m, &m->workers[i], ROLE_WORKER, i);
	for (i = 0; i < RETIRED_PER_SLOT * m->conf->workers; i++) {
		seat_init(m, &m->retired[i], ROLE_WORKER, 0);
		m->retired[i].retired = true;
	}
}

static void
start_children(struct master *m)
{
	uint32_t i;

	seat_spawn(&m->billing);
	for (i = 0; i < m->conf->workers; i++)
		seat_spawn(&m->workers[i]);
	seat_spawn(&m->admin_seat);
}

static void
run(struct master *m)
{
	m->loop = loop_new();
	m->signal_io = loop_io_new(m->loop, m->signal_fd, on_signal_fd, m);
	loop_io_want(m->signal_io, LOOP_READ);
	m->tick = loop_timer_new(m->loop, watch_tick, m);
	m->last_tick = monotime_now();
	if (m->taking_over)
		takeover_start(m);
	else
		start_children(m);
	watch_tick(m);
	loop_run(m->loop);
}

/* A start that failed: nobody stays behind. */
static void
kill_children(struct master *m)
{
	struct seat *s;
	uint32_t i;

	for (i = 0; (s = master_seat(m, i)) != NULL; i++) {
		if (s->pid != 0)
			kill(s->pid, SIGKILL);
	}
}

/* Everything that is there before the first child. */
static void
set_up(struct master *m)
{
	read_conf(m);
	/* what admin_group may read, it may whatever the shell's mask is */
	umask(022);
	daemon_start(m);
	watch_signals(m);
	setup_limits();
	setup_folders(m);
	setup_lock(m);
	setup_logs(m);
	tls_start(m);
	listen_open(m);
	drop_privileges(m);
	setup_state_lock(m);
	setup_memory(m);
	listen_open_local(m);
	master_make_seats(m);
	/* until here whoever starts us reads of failures on stderr */
	if (m->conf->log != NULL && log_open(m->conf->log) == -1)
		fatal("%s", m->conf->log);
	log_info("hubd %s starts, pid %d", VERSION, (int)getpid());
}

int
master_main(const struct master_options *o)
{
	static struct master the_master; /* as long as the process */
	struct master *m = &the_master;

	m->options = *o;
	log_init("master", o->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	upgrade_init(m, o->argv[0]);
	if (handover_take(m))
		watch_signals(m);
	else
		set_up(m);
	run(m);
	kill_children(m);
	setup_remove_files(m);
	return (m->status);
}

/* agentd: dials hubs and passes their requests on to providers. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agentd/agent.h"
#include "agentd/announce.h"
#include "agentd/provider.h"
#include "agentd/tunnel.h"
#include "agentd/ui.h"
#include "agentd/uplink.h"
#include "agentd/upstream.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/notify.h"

#define CONF_PATH "/etc/hubd/agentd.conf"
#define FILES_MAX 65536
#define NO_LOG	  "%s: in the background `log` must name a file"

struct options {
	const char *conf, *pid_file;
	bool foreground, check;
	enum log_level level;
};

struct program {
	struct options options;
	struct agent agent;
	struct ui *ui;
	struct loop_timer *drain_timer;
	int signals;
	struct loop_io *signal_io;
};

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr, "usage: agentd [-dnvV] [-f file] [-p file]\n");
	exit(2);
}

static void
parse_options(struct options *o, int argc, char **argv)
{
	int c;

	*o = (struct options){.conf = CONF_PATH, .level = LOG_LEVEL_INFO};
	while ((c = getopt(argc, argv, "df:np:vV")) != -1) {
		switch (c) {
		case 'd':
			o->foreground = true;
			break;
		case 'f':
			o->conf = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 'p':
			o->pid_file = optarg;
			break;
		case 'v':
			o->level = LOG_LEVEL_DEBUG;
			break;
		case 'V':
			printf("agentd %s\n", VERSION);
			exit(0);
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

/* ---- signals ------------------------------------------------------------ */

static void
on_drained(struct agent *a)
{
	loop_stop(a->loop);
}

static void
on_drain_timeout(void *arg)
{
	struct program *p = arg;

	log_warnx("%u calls did not end in time", p->agent.calls);
	loop_stop(p->agent.loop);
}

static void
terminate(struct program *p)
{
	if (p->agent.draining) {
		loop_stop(p->agent.loop);
		return;
	}
	log_info("draining: %u calls", p->agent.calls);
	notify_supervisor("STOPPING=1");
	p->agent.draining = true;
	loop_timer_set_ms(p->drain_timer, p->agent.conf->drain_ms);
	uplinks_drain(p->agent.uplinks, on_drained);
}

static bool
same_list(const struct conf_list *a, const struct conf_list *b)
{
	size_t i;

	for (i = 0; i < a->n && i < b->n; i++)
		if (strcmp(a->item[i], b->item[i]) != 0)
			return (false);
	return (a->n == b->n);
}

/* As hubd says it. */
static void
tell_unchanged(const struct agent_conf *old, const struct agent_conf *new)
{
	const struct {
		const char *option;
		bool same;
	} fixed[] = {
	    {"hubs", same_list(&old->hubs, &new->hubs)},
	    {"links", old->links == new->links},
	    {"ui", str_same(old->ui, new->ui)},
	};
	size_t i;

	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (!fixed[i].same)
			log_warnx("%s has changed, which only a start can do",
			    fixed[i].option);
}

static void
reopen_log(struct program *p)
{
	if (p->options.foreground || p->agent.conf->log == NULL)
		return;
	if (log_open(p->agent.conf->log) == -1)
		log_err("cannot open %s", p->agent.conf->log);
}

static void
reload(struct program *p)
{
	struct agent_conf *old = p->agent.conf, *new;
	char error[512];
	bool moved;

	new = agent_conf_load(p->options.conf, error, sizeof(error));
	if (new == NULL) {
		log_errx("not reloaded: %s", error);
		return;
	}
	tell_unchanged(old, new);
	moved = new->log != NULL && !str_same(old->log, new->log);
	providers_start(new, p->agent.loop, p->agent.upstream);
	p->agent.conf = new;
	agent_conf_unref(old);
	if (moved)
		reopen_log(p);
	uplinks_announce(p->agent.uplinks);
	uplinks_retry(p->agent.uplinks);
	log_info("reloaded: %zu providers", new->nproviders);
}

static void
on_signal(void *arg, int what)
{
	struct program *p = arg;
	struct signalfd_siginfo info;

	(void)what;
	while (read(p->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			reload(p);
		else if (info.ssi_signo == SIGUSR1)
			reopen_log(p);
		else
			terminate(p);
	}
}

/* Before curl's first thread, which inherits the mask. */
static void
block_signals(struct program *p)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		fatal("sigprocmask");
	signal(SIGPIPE, SIG_IGN);
	p->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (p->signals == -1)
		fatal("signalfd");
}

/* ---- setting up --------------------------------------------------------- */

/*
 * The parent waits until the child runs or has said on stderr why it does
 * not. Returns the descriptor for run_in_background(). The fork comes before
 * the loop, whose signal descriptor would go on hearing the parent's signals.
 */
static int
daemonise(void)
{
	int fds[2];
	char ok;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		fatal("cannot go into the background");
	if (pid > 0) {
		close(fds[1]);
		_exit(read(fds[0], &ok, 1) == 1 ? 0 : 1);
	}
	close(fds[0]);
	if (setsid() == -1)
		fatal("setsid");
	return (fds[1]);
}

static void
run_in_background(const struct program *p, int parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (log_open(p->agent.conf->log) == -1)
		fatal("cannot open %s", p->agent.conf->log);
	if (null == -1 || dup2(null, STDIN_FILENO) == -1 ||
	    dup2(null, STDOUT_FILENO) == -1 ||
	    dup2(null, STDERR_FILENO) == -1 || write(parent, "", 1) != 1)
		fatal("cannot go into the background");
	close(null);
	close(parent);
}

/* It stays open, for the lock. */
static void
write_pid(const char *path)
{
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1 &&
	    errno == EWOULDBLOCK)
		fatalx("%s: another agentd runs", path);
	if (fd == -1 || ftruncate(fd, 0) == -1 ||
	    dprintf(fd, "%d\n", (int)getpid()) < 0)
		fatal("cannot write %s", path);
}

/* A link, and for each call a connection. */
static void
raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == -1)
		return;
	r.rlim_cur = r.rlim_max < FILES_MAX ? r.rlim_max : FILES_MAX;
	if (setrlimit(RLIMIT_NOFILE, &r) == -1)
		log_warn("cannot raise the limit of descriptors");
}

static void
set_up(struct program *p)
{
	struct agent *a = &p->agent;

	a->loop = loop_new();
	announce_identify(a, p->options.conf);
	a->tunnels = tunnels_new(a->loop);
	a->upstream = upstream_new(a->loop, a->tunnels);
	providers_start(a->conf, a->loop, a->upstream);
	if (a->conf->ui != NULL && (p->ui = ui_new(a, a->conf->ui)) == NULL)
		fatal("cannot listen on %s", a->conf->ui);
	p->drain_timer = loop_timer_new(a->loop, on_drain_timeout, p);
	p->signal_io = loop_io_new(a->loop, p->signals, on_signal, p);
	loop_io_want(p->signal_io, LOOP_READ);
}

static void
tear_down(struct program *p)
{
	struct agent *a = &p->agent;

	ui_free(p->ui);
	uplinks_free(a->uplinks);
	agent_conf_unref(a->conf);
	upstream_free(a->upstream);
	tunnels_free(a->tunnels);
	loop_timer_free(p->drain_timer);
	loop_io_free(p->signal_io);
	close(p->signals);
	loop_free(a->loop);
}

/* The file, or the folder that it is to be made in. */
static bool
can_be_written(const char *log)
{
	char *path = xstrdup(log);
	bool can;

	can = access(access(log, F_OK) == 0 ? log : dirname(path), W_OK) == 0;
	if (!can)
		fprintf(stderr, "log: %s: cannot be written: %s\n", log,
		    strerror(errno));
	free(path);
	return (can);
}

/* Without -p it may be meant for -d as well. */
static bool
check_log(const struct options *o, const char *log)
{
	if (o->foreground || (log == NULL && o->pid_file == NULL))
		return (true);
	if (log != NULL)
		return (can_be_written(log));
	fprintf(stderr, NO_LOG "\n", o->conf);
	return (false);
}

/* As `hubd -n` says it. */
static int
say_checked(struct program *p, const char *error)
{
	bool fine;

	if (p->agent.conf == NULL) {
		fprintf(stderr, "%s\n", error);
		return (1);
	}
	fine = check_log(&p->options, p->agent.conf->log);
	if (fine)
		printf("%s: fine\n", p->options.conf);
	agent_conf_unref(p->agent.conf);
	return (fine ? 0 : 1);
}

int
main(int argc, char **argv)
{
	static struct program program;
	struct program *p = &program;
	char error[512];
	int parent = -1;

	parse_options(&p->options, argc, argv);
	log_init("agentd", p->options.level);
	p->agent.conf = agent_conf_load(p->options.conf, error, sizeof(error));
	if (p->options.check)
		return (say_checked(p, error));
	if (p->agent.conf == NULL)
		fatalx("%s", error);
	if (!p->options.foreground && p->agent.conf->log == NULL)
		fatalx(NO_LOG, p->options.conf);
	if (!p->options.foreground)
		parent = daemonise();
	raise_limits();
	block_signals(p);
	set_up(p);
	write_pid(p->options.pid_file);
	if (!p->options.foreground)
		run_in_background(p, parent);
	p->agent.uplinks = uplinks_new(&p->agent);
	log_info("agentd %s: agent %s, %zu hubs, %zu providers", VERSION,
	    p->agent.conf->name, p->agent.conf->hubs.n,
	    p->agent.conf->nproviders);
	notify_supervisor("READY=1");
	loop_run(p->agent.loop);
	log_info("agentd ends");
	if (p->options.pid_file != NULL && unlink(p->options.pid_file) == -1)
		log_warn("%s", p->options.pid_file);
	tear_down(p);
	return (0);
}

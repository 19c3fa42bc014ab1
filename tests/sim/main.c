/* provsim: options, the listener and the loop of the provider simulator. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/sim/provider.h"

#define EVENTS 512

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	stop = 1;
}

static void
usage(void)
{
	fprintf(stderr,
	    "usage: provsim [-l ADDR:PORT] [-d DIR]... [-k KEY] "
	    "[-a ACCESS:SECRET[:SESSION]]\n"
	    "    [-c CLIENT:SECRET] [-j PUBLIC.PEM] [-s SECONDS]\n");
	exit(2);
}

/* "127.0.0.1:0"; the port really taken is printed. */
static int
open_listener(char *where)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	char *colon = strrchr(where, ':');
	socklen_t len = sizeof(sin);
	int fd, one = 1;

	if (colon == NULL)
		usage();
	*colon = '\0';
	sin.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, where, &sin.sin_addr) != 1)
		usage();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		fatal("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 4096) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		fatal("%s", where);
	printf("listening on %s:%u\n", where, ntohs(sin.sin_port));
	*colon = ':'; /* as ps shows it */
	fflush(stdout);
	return (fd);
}

static void
set_up_process(void)
{
	struct rlimit limit;

	log_init("provsim", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void
accept_all(int epfd, int listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		peer_new(epfd, fd);
	}
}

/* How long to sleep: until the next peer's time, at most a second. */
static struct timespec
nap(void)
{
	monotime_t next;
	int64_t ns = 1000000000;

	if (peers_ready())
		ns = 0;
	else if (timers_next(&next)) {
		int64_t left = next.ns - monotime_now().ns;

		if (left < ns)
			ns = left < 0 ? 0 : left;
	}
	return ((struct timespec){ns / 1000000000, ns % 1000000000});
}

static void
loop(int epfd, int listener)
{
	struct epoll_event events[EVENTS];
	struct peer *p;

	while (!stop) {
		struct timespec ts = nap();
		int n = epoll_pwait2(epfd, events, EVENTS, &ts, NULL);

		for (int i = 0; i < n; i++)
			if (events[i].data.ptr == NULL)
				accept_all(epfd, listener);
			else
				peer_on_event(
				    events[i].data.ptr, events[i].events);
		peers_run_ready();
		while ((p = timers_pop_due(monotime_now())) != NULL)
			peer_step(p);
		peers_free_dead();
	}
}

/* Who may come in: keys and secrets of all kinds. */
static bool
take_secret(int ch, char *value)
{
	struct sim_secrets *s = &sim_secrets;

	if (ch == 'k')
		s->key = value;
	else if (ch == 'j')
		jwt_set_key(value);
	else if (ch == 'a')
		return (secrets_split(
		    value, &s->aws_access, &s->aws_secret, &s->aws_session));
	else
		return (
		    secrets_split(value, &s->client, &s->client_secret, NULL));
	return (true);
}

int
main(int argc, char **argv)
{
	struct epoll_event e = {.events = EPOLLIN};
	char fallback[] = "127.0.0.1:0", *where = fallback;
	int ch, epfd, listener;

	set_up_process();
	while ((ch = getopt(argc, argv, "l:d:k:a:c:j:s:")) != -1) {
		if (ch == 'l')
			where = optarg;
		else if (ch == 'd')
			catalog_add(optarg);
		else if (ch == 's')
			sim_set_skew(strtoll(optarg, NULL, 10));
		else if (ch == '?' || !take_secret(ch, optarg))
			usage();
	}
	if (optind != argc)
		usage();
	listener = open_listener(where);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd == -1 || epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &e) == -1)
		fatal("epoll");
	loop(epfd, listener);
	return (0);
}

/*
 * Listening sockets: one of each address for every worker slot, opened once
 * and kept for ever, so that no waiting connection dies with a worker.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "hubd/address.h"
#include "hubd/ctlproto.h"
#include "hubd/master/master.h"

#define BACKLOG	     4096
#define BIND_WAIT_MS 2000

/*
 * We hold the lock, but who held it before may still be dying: a process
 * that is killed lets go of its files one by one.
 */
static int
bind_patiently(int fd, const struct sockaddr_storage *ss, socklen_t len)
{
	monotime_t end = monotime_add_ms(monotime_now(), BIND_WAIT_MS);

	while (bind(fd, (const struct sockaddr *)ss, len) == -1) {
		if (errno != EADDRINUSE ||
		    monotime_reached(end, monotime_now()))
			return (-1);
		poll(NULL, 0, 20);
	}
	return (0);
}

static int
open_tcp(const char *text, const struct sockaddr_storage *ss, socklen_t len,
    bool shared)
{
	int fd, on = 1, off = 0;

	fd = socket(
	    ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		fatal("listen on %s", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ss->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind_patiently(fd, ss, len) == -1)
		fatal("listen on %s", text);
	if (listen(fd, BACKLOG) == -1)
		fatal("listen on %s", text);
	return (fd);
}

static void
resolve(const char *text, struct sockaddr_storage *ss, socklen_t *len)
{
	const char *why;

	if (address_resolve(text, ss, len, &why) == -1)
		fatalx("listen on %s: %s", text, why);
}

static void
open_users(struct master *m, const char *text)
{
	struct sockaddr_storage ss;
	socklen_t len;
	uint32_t i;

	resolve(text, &ss, &len);
	/* with SO_REUSEPORT two hubs could share an address unnoticed */
	close(open_tcp(text, &ss, len, false));
	for (i = 0; i < m->conf->workers; i++)
		m->listen[i][m->nlisten] = open_tcp(text, &ss, len, true);
	m->nlisten++;
	if (m->tls == -1 && !address_is_loopback(&ss))
		log_warnx("listening on %s WITHOUT TLS: keys and answers "
			  "travel in the clear",
		    text);
}

void
listen_open(struct master *m)
{
	struct sockaddr_storage ss;
	socklen_t len;
	size_t i;

	for (i = 0; i < m->conf->listen.n; i++)
		open_users(m, m->conf->listen.item[i]);
	for (i = 0; i < m->conf->admin_listen.n; i++) {
		const char *text = m->conf->admin_listen.item[i];

		resolve(text, &ss, &len);
		m->admin[m->nadmin++] = open_tcp(text, &ss, len, false);
		if (!address_is_loopback(&ss))
			log_warnx("admin_listen %s is open to others", text);
	}
}

/* ---- sockets in run_dir ---------------------------------------------------
 */

/* -1: logged. */
static int
open_unix(struct master *m, const char *name, mode_t mode)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t mask;
	bool failed;
	int fd, n;

	n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s",
	    m->conf->run_dir, name);
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path)) {
		log_errx("%s/%s: too long a path", m->conf->run_dir, name);
		return (-1);
	}
	/* we hold the lock: whoever made it is gone */
	unlink(sun.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mask = umask((mode_t)(0777 & ~mode));
	failed = fd == -1 ||
		 bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
		 listen(fd, BACKLOG) == -1;
	umask(mask);
	if (failed) {
		log_err("%s", sun.sun_path);
		if (fd != -1)
			close(fd);
		return (-1);
	}
	if ((mode & 060) != 0 && m->who.has_admin &&
	    chown(sun.sun_path, (uid_t)-1, m->who.admin_gid) == -1)
		log_warn("giving %s to the admin group", sun.sun_path);
	return (fd);
}

void
listen_open_local(struct master *m)
{
	if ((m->control = open_unix(m, CTL_SOCKET, 0660)) == -1)
		exit(1);
}

static const char *
relay_name(uint32_t row, char buf[32])
{
	snprintf(buf, 32, "relay.%u.sock", row);
	return (buf);
}

int
listen_open_relay(struct master *m, uint32_t row)
{
	char name[32];

	return (open_unix(m, relay_name(row, name), 0600));
}

void
listen_remove_relay(struct master *m, uint32_t row)
{
	char name[32];

	setup_remove_file(m, relay_name(row, name));
}

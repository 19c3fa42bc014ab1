/*
 * TLS of the listeners: the master reads certificates and keys while it may,
 * makes the keys of tickets and renews them, and hands all of it to workers.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/master/master.h"
#include "hubd/tls_pack.h"

#define ROTATE_MS (12 * 3600 * 1000) /* a ticket key seals for this long */
#define SOON_S	  (14 * 86400)

/* ---- certificates -------------------------------------------------------- */

static void
warn_of_end(const char *path)
{
	int64_t left = tls_pack_end(path) - walltime_ms() / 1000;

	if (left < 0)
		log_warnx("%s: THE CERTIFICATE HAS EXPIRED", path);
	else if (left < SOON_S)
		log_warnx("%s: the certificate ends in %lld days", path,
		    (long long)(left / 86400));
}

static void
replace(struct master *m, int fd)
{
	if (m->tls != -1)
		close(m->tls);
	m->tls = fd;
}

static int
load(struct master *m, const struct hub_conf *c, char *error, size_t cap)
{
	int fd = tls_pack_make(c, &m->tickets, error, cap);
	size_t i;

	if (fd == -1)
		return (-1);
	replace(m, fd);
	for (i = 0; i < c->certificate.n; i++)
		warn_of_end(c->certificate.item[i]);
	return (0);
}

void
tls_start(struct master *m)
{
	char error[512];

	m->tls = -1;
	if (m->conf->certificate.n == 0)
		return;
	tls_ticket_keys_make(&m->tickets);
	m->tickets_at = monotime_now();
	if (load(m, m->conf, error, sizeof(error)) == -1)
		fatalx("tls: %s", error);
}

void
tls_warn_of_closed(const struct hub_conf *c, const char *user)
{
	size_t i;

	for (i = 0; i < c->key.n; i++) {
		if (access(c->key.item[i], R_OK) == -1)
			log_warnx("%s: closed to user %s: a reload will not "
				  "be able to read it",
			    c->key.item[i], user);
	}
}

/* ---- handing over -------------------------------------------------------- */

static void
hand_over(struct master *m)
{
	uint32_t i;

	for (i = 0; i < m->conf->workers; i++)
		seat_send_fds(&m->workers[i], HUBMSG_TLS, NULL, 0, &m->tls, 1);
}

int
tls_reload(
    struct master *m, const struct hub_conf *fresh, char *error, size_t cap)
{
	char why[400];

	if ((m->tls == -1) != (fresh->certificate.n == 0)) {
		snprintf(
		    error, cap, "tls: only a start can switch it on or off");
		return (-1);
	}
	if (m->tls == -1)
		return (0);
	if (load(m, fresh, why, sizeof(why)) == -1) {
		snprintf(error, cap, "tls: %s", why);
		return (-1);
	}
	hand_over(m);
	return (0);
}

void
tls_tick(struct master *m, monotime_t now)
{
	int fd;

	if (m->tls == -1 || is_draining(m) ||
	    (monotime_diff_ms(now, m->tickets_at) < ROTATE_MS &&
		!FAILPOINT("master.rotate")))
		return;
	m->tickets_at = now;
	tls_ticket_keys_rotate(&m->tickets);
	if ((fd = tls_pack_renew(m->tls, &m->tickets)) == -1) {
		log_err("new keys for TLS tickets");
		return;
	}
	replace(m, fd);
	hand_over(m);
	log_info("TLS tickets have a new key");
}

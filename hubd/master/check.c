/* hubd -n, -u: would it start, or take over, and with how much memory? */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/address.h"
#include "hubd/master/master.h"
#include "hubd/price/price.h"
#include "hubd/tls_pack.h"

static int __attribute__((format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return (1);
}

static int
check_prices(const struct hub_conf *c)
{
	const char *paths[CONF_LIST_MAX];
	struct price_blob *blob;
	char error[512];
	size_t i;

	for (i = 0; i < c->prices.n; i++)
		paths[i] = c->prices.item[i];
	if (price_load(paths, c->prices.n, &blob, error, sizeof(error)) == -1)
		return (wrong("%s", error));
	printf("prices: %u models\n", blob->nentries);
	free(blob);
	return (0);
}

static int
check_tls(const struct hub_conf *c)
{
	static const struct tls_ticket_keys none;
	char error[512], day[32];
	time_t end;
	size_t i;
	int fd;

	if (c->certificate.n == 0)
		return (0);
	if ((fd = tls_pack_make(c, &none, error, sizeof(error))) == -1)
		return (wrong("tls: %s", error));
	close(fd);
	for (i = 0; i < c->certificate.n; i++) {
		end = tls_pack_end(c->certificate.item[i]);
		if (end < time(NULL))
			return (wrong("tls: %s: the certificate has expired",
			    c->certificate.item[i]));
		strftime(day, sizeof(day), "%Y-%m-%d", gmtime(&end));
		printf("tls: %s: until %s\n", c->certificate.item[i], day);
	}
	return (0);
}

/* The caller frees. */
static char *
parent_of(const char *path)
{
	char *parent = xasprintf("%s%s", path[0] == '/' ? "" : "./", path);
	char *slash = strrchr(parent, '/');

	slash[slash == parent ? 1 : 0] = '\0';
	return (parent);
}

/* A folder or a log that is not there yet: can the start make it? */
static int
check_makeable(const char *path)
{
	char *parent;
	int r;

	if (path == NULL || access(path, F_OK) == 0 || errno != ENOENT)
		return (0); /* whether it is open is asked later */
	parent = parent_of(path);
	r = access(parent, W_OK | X_OK);
	if (r == -1)
		wrong("%s: cannot be made in %s: %s", path, parent,
		    strerror(errno));
	free(parent);
	return (r == -1 ? 1 : 0);
}

/* As the user that the hub will be, in a process that can become it. */
static int
check_as_user(const struct hub_conf *c, const struct identity *who)
{
	const char *path, *why;

	identity_assume(who);
	path = setup_closed_path(c, &why);
	/* what is missing the start makes: that was checked before */
	if (path != NULL &&
	    (path == c->run_dir || path == c->state_dir || path == c->log ||
		path == c->access_log) &&
	    access(path, F_OK) == -1)
		path = NULL;
	tls_warn_of_closed(c, who->user);
	if (path != NULL)
		return (
		    wrong("%s: closed to user %s: %s", path, who->user, why));
	return (check_prices(c));
}

static int
check_identity(const struct hub_conf *c)
{
	struct identity who;
	char error[128];
	int status;
	pid_t pid;

	if (identity_find(c, &who, error, sizeof(error)) == -1)
		return (wrong("%s: %s", c->path, error));
	fflush(stdout);
	if ((pid = fork()) == 0)
		exit(check_as_user(c, &who));
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		return (wrong("fork: %s", strerror(errno)));
	return (WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static int
check_addresses(const struct conf_list *list)
{
	struct sockaddr_storage ss;
	const char *why;
	socklen_t len;
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (address_resolve(list->item[i], &ss, &len, &why) == -1)
			return (wrong("%s: %s", list->item[i], why));
	}
	return (0);
}

/* Whom a running hub asks before it makes place for him. */
static int
check_contract(const char *asked)
{
	if (asked == NULL || strcmp(asked, HANDOVER_CONTRACT) == 0)
		return (0);
	return (wrong("the hub that runs has %s, hubd %s has %s: stop the one, "
		      "start the other",
	    asked, VERSION, HANDOVER_CONTRACT));
}

/* A hub that is to take over has its logs open. */
static int
check_logs(const struct master_options *o, const struct hub_conf *c)
{
	return ((o->foreground ? 0 : check_makeable(c->log)) |
		check_makeable(c->access_log));
}

/* Keys of TLS may be closed to the user that the hub has become: those that
 * it has are handed over. */
static int
check_files(const struct master_options *o, const struct hub_conf *c)
{
	return ((o->asked == NULL ? check_tls(c) | check_logs(o, c) : 0) |
		check_makeable(c->run_dir) | check_makeable(c->state_dir) |
		check_identity(c));
}

static uint64_t
size_of(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);
	struct stat st;
	uint64_t n = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;

	free(path);
	return (n);
}

/* What lies there of a hub before makes place for this one. */
static int
check_room(const struct hub_conf *c, uint64_t bytes)
{
	char *parent = parent_of(c->run_dir);
	struct statvfs fs;
	uint64_t room;
	int r;

	r = statvfs(access(c->run_dir, F_OK) == 0 ? c->run_dir : parent, &fs);
	free(parent);
	if (r == -1)
		return (0); /* why is told elsewhere */
	room = (uint64_t)fs.f_bavail * fs.f_frsize +
	       size_of(c->run_dir, "hubd.run") +
	       size_of(c->run_dir, "hubd.pub");
	if (room >= bytes)
		return (0);
	return (wrong("%s: no room for that: %llu MiB are free", c->run_dir,
	    (unsigned long long)room >> 20));
}

static void
say_fine(const struct master_options *o)
{
	if (o->asked != NULL)
		printf(TAKES_OVER_BEGIN "%s" TAKES_OVER_END "\n", VERSION);
	else
		printf("%s: fine\n", o->path);
}

static int
check_limits(struct hub_conf *c)
{
	const char *why = limits_resolve(c);

	return (why == NULL ? 0 : wrong("limits: Redis's host: %s", why));
}

int
master_check(const struct master_options *o)
{
	struct shm_sizes sizes;
	struct hub_conf *c;
	char error[512];
	uint64_t bytes;
	int r;

	(void)FAILPOINT("check");
	if (check_contract(o->asked) != 0)
		return (1);
	c = hub_conf_read(o->path, error, sizeof(error));
	if (c == NULL)
		return (wrong("%s", error));
	setup_shm_sizes(c, &sizes);
	bytes = shm_run_bytes(&sizes) + shm_pub_bytes(&sizes);
	printf("shared memory: %llu MiB in %s (%u workers)\n",
	    (unsigned long long)(bytes + (1 << 20) - 1) >> 20, c->run_dir,
	    c->workers);
	r = o->asked == NULL ? check_room(c, bytes) : 0;
	r |= check_addresses(&c->listen) | check_addresses(&c->admin_listen) |
	     check_limits(c) | check_files(o, c);
	if (r == 0)
		say_fine(o);
	hub_conf_free(c);
	return (r == 0 ? 0 : 1);
}

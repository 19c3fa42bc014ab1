/* What the master makes before the first child: folders, locks, memory. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/ctlproto.h"
#include "hubd/master/master.h"

#define LOCK_WAIT_MS 5000
#define FILES_WANTED 65536
#define TMPFS	     0x01021994
#define RAMFS	     0x858458f6

/* ---- folders and logs -----------------------------------------------------
 */

static void
make_folder(struct master *m, const char *path, mode_t mode)
{
	int fd;

	if (mkdir(path, mode) == -1) {
		if (errno != EEXIST)
			fatal("%s", path);
		return;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		fatal("%s", path);
	identity_own(&m->who, fd, path);
	close(fd);
}

void
setup_folders(struct master *m)
{
	struct statfs fs;

	make_folder(m, m->conf->run_dir, 0755);
	make_folder(m, m->conf->state_dir, 0700);
	if (statfs(m->conf->run_dir, &fs) == 0 && fs.f_type != TMPFS &&
	    fs.f_type != RAMFS)
		log_warnx("run_dir %s IS NOT ON A TMPFS: every counter goes to "
			  "a disk, and the hub is SLOW",
		    m->conf->run_dir);
}

static void
make_log(struct master *m, const char *path)
{
	int fd;

	if (path == NULL)
		return;
	fd = open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
	    0640);
	if (fd == -1 && errno == ENXIO)
		return; /* a pipe whose reader is not there yet */
	if (fd == -1)
		fatal("%s", path);
	identity_own(&m->who, fd, path);
	close(fd);
}

void
setup_logs(struct master *m)
{
	make_log(m, m->conf->log);
	make_log(m, m->conf->access_log);
}

void
setup_limits(void)
{
	struct rlimit lim, more = {FILES_WANTED, FILES_WANTED};

	if (getrlimit(RLIMIT_NOFILE, &lim) == -1)
		return;
	if (lim.rlim_max < FILES_WANTED && setrlimit(RLIMIT_NOFILE, &more) == 0)
		return;
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim) == -1)
		log_warn("raising the number of open files");
}

/* ---- paths ----------------------------------------------------------------
 */

static const char *
closed(const char *path, int mode, const char **why)
{
	if (path == NULL || access(path, mode) == 0)
		return (NULL);
	*why = strerror(errno);
	return (path);
}

const char *
setup_closed_path(const struct hub_conf *c, const char **why)
{
	const char *path;
	size_t i;

	if ((path = closed(c->path, R_OK, why)) != NULL ||
	    (path = closed(c->run_dir, R_OK | W_OK | X_OK, why)) != NULL ||
	    (path = closed(c->state_dir, R_OK | W_OK | X_OK, why)) != NULL ||
	    (path = closed(c->log, W_OK, why)) != NULL ||
	    (path = closed(c->access_log, W_OK, why)) != NULL)
		return (path);
	for (i = 0; i < c->prices.n; i++) {
		if ((path = closed(c->prices.item[i], R_OK, why)) != NULL)
			return (path);
	}
	return (NULL);
}

/* ---- locks ----------------------------------------------------------------
 */

static bool
try_lock(int fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return (fcntl(fd, F_OFD_SETLK, &l) == 0);
}

/* A lock that lives as long as any process that inherits it. */
static int
take_lock(struct master *m, const char *dir)
{
	char *path = xasprintf("%s/hubd.lock", dir);
	monotime_t end = monotime_add_ms(monotime_now(), LOCK_WAIT_MS);
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd == -1)
		fatal("%s", path);
	identity_own(&m->who, fd, path);
	while (!try_lock(fd)) {
		if (errno != EAGAIN && errno != EACCES)
			fatal("locking %s", path);
		if (monotime_reached(end, monotime_now()))
			fatalx("another hubd runs: it holds %s", path);
		poll(NULL, 0, 50);
	}
	free(path);
	return (fd);
}

static void
write_pid(struct master *m)
{
	char *path = xasprintf("%s/hubd.pid", m->conf->run_dir);
	int fd = open(
	    path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd == -1)
		fatal("%s", path);
	identity_own(&m->who, fd, path);
	dprintf(fd, "%d\n", (int)getpid());
	close(fd);
	free(path);
}

void
setup_lock(struct master *m)
{
	m->lock = take_lock(m, m->conf->run_dir);
	write_pid(m);
}

void
setup_state_lock(struct master *m)
{
	m->state_lock = take_lock(m, m->conf->state_dir);
}

/* ---- shared memory --------------------------------------------------------
 */

/* Is there a call that was admitted and is not in the store? */
static bool
has_calls(const struct shm *shm)
{
	const struct call_row *row;
	enum call_state state;
	uint32_t i;

	for (i = 0; i < shm->sizes.max_calls; i++) {
		row = call_at(shm, (call_ref_t){.index = i});
		state = call_word_state(atomic_load(&row->word));
		if (state == CALL_OPEN || state == CALL_FINAL)
			return (true);
	}
	return (false);
}

/* Billing reads it from there; a file that nobody can read is kept. One that
 * has nothing to bill goes: starts that fail again and again, before billing
 * is there, would fill the memory. */
static void
put_aside(const char *path)
{
	struct shm *old = shm_open_old(path);
	bool empty;
	char *to;
	int i;

	if (old == NULL && errno == ENOENT)
		return;
	if (old == NULL) {
		log_warnx("%s cannot be read; it is kept beside", path);
		if (shm_retire(path) == -1)
			fatal("%s", path);
		return;
	}
	empty = !has_calls(old);
	shm_detach(old);
	if (empty) {
		if (unlink(path) == -1)
			fatal("%s", path);
		return;
	}
	to = xasprintf("%s.old", path);
	for (i = 1;
	     renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) == -1;
	     i++) {
		if (errno != EEXIST)
			fatal("%s", path);
		free(to);
		to = xasprintf("%s.old.%d", path, i);
	}
	free(to);
}

void
setup_shm_sizes(const struct hub_conf *c, struct shm_sizes *s)
{
	s->workers = c->workers;
	s->nprocs = shm_nprocs(c->workers);
	s->max_calls = c->max_calls;
	s->max_keys = c->max_keys;
	s->max_accounts = c->max_accounts;
	s->max_agents = c->max_agents;
	s->max_objects = c->objects ? c->max_objects : 0;
}

static int
open_again(struct master *m, const char *name)
{
	char *path = xasprintf("%s/%s", m->conf->run_dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1)
		fatal("%s", path);
	/* so that hubctl can map it */
	if (m->who.has_admin && fchown(fd, (uid_t)-1, m->who.admin_gid) == -1)
		log_warn("giving %s to the admin group", path);
	free(path);
	return (fd);
}

static void
open_queue(struct master *m)
{
	int size = 1 << 20;
	uint32_t i;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		m->queue) == -1)
		fatal("socketpair");
	setsockopt(m->queue[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	for (i = 0; i < m->conf->workers; i++) {
		m->wake[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (m->wake[i] == -1)
			fatal("eventfd");
	}
}

void
setup_memory(struct master *m)
{
	char *run = xasprintf("%s/hubd.run", m->conf->run_dir);
	char *pub = xasprintf("%s/hubd.pub", m->conf->run_dir);
	struct shm_sizes sizes;
	int row;

	put_aside(run);
	if (unlink(pub) == -1 && errno != ENOENT)
		fatal("%s", pub);
	free(run);
	free(pub);
	setup_shm_sizes(m->conf, &sizes);
	if ((m->shm = shm_create(m->conf->run_dir, &sizes)) == NULL)
		exit(1);
	m->run_ro = open_again(m, "hubd.run");
	m->pub_ro = open_again(m, "hubd.pub");
	row = process_take(m->shm, ROLE_MASTER, 0);
	m->me = (process_ref_t){
	    (uint32_t)row, process_generation(&process_rows(m->shm)[row])};
	atomic_store(&process_rows(m->shm)[row].pid, getpid());
	open_queue(m);
}

/* ---- the end --------------------------------------------------------------
 */

void
setup_remove_file(struct master *m, const char *name)
{
	char *path = xasprintf("%s/%s", m->conf->run_dir, name);

	if (unlink(path) == -1 && errno != ENOENT)
		log_warn("%s", path);
	free(path);
}

void
setup_remove_files(struct master *m)
{
	uint32_t i;

	/* a move has none */
	for (i = 0; m->shm != NULL && i < m->shm->sizes.nprocs; i++)
		listen_remove_relay(m, i);
	setup_remove_file(m, CTL_SOCKET);
	setup_remove_file(m, "hubd.pid");
	if (m->clean) {
		setup_remove_file(m, "hubd.run");
		setup_remove_file(m, "hubd.pub");
	}
}

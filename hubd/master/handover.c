/*
 * From one program to the next in the same process: who executes the other
 * leaves what is his in a sealed file without a name, and descriptors open.
 * Children, listeners, locks and shared memory stay what they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/master/master.h"

#define HANDOVER_MAGIC 0x72766f68u
#define HANDOVER_ENV   "HUBD_HANDOVER" /* the descriptor's number */
#define SEATS	       ((RETIRED_PER_SLOT + 1) * HUB_MAX_WORKERS + 2)
#define CONF_MAX       (1 << 20)

struct seat_over {
	uint32_t role, slot;
	int32_t pid;
	uint32_t row;
	int32_t channel;
	uint8_t ready, told_retire, pad[2];
	int64_t since, deadline;
};

/* Behind it lies the whole configuration as text. */
struct handover {
	uint32_t magic;
	uint32_t size; /* of this struct */
	int32_t pid;
	process_ref_t me;
	uint32_t conf_size, nseats;
	int32_t nlisten, nadmin;
	int32_t run, pub, run_ro, pub_ro, lock, state_lock, control, tls;
	int32_t queue[2];
	int32_t listen[HUB_MAX_WORKERS][HUB_MAX_LISTEN];
	int32_t admin[HUB_MAX_LISTEN];
	int32_t wake[HUB_MAX_WORKERS];
	int64_t tickets_at;
	struct tls_ticket_keys tickets;
	char version[32]; /* who writes this */
	struct seat_over seats[SEATS];
};
/* It is read by another version: HUB_PROTOCOL changes with it. */
_Static_assert(sizeof(struct handover) == 10376, "HUB_PROTOCOL");

/* ---- descriptors --------------------------------------------------------- */

static bool
set_cloexec(int fd, bool on)
{
	return (fd == -1 || fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) == 0);
}

static bool
set_all(const int32_t *fds, size_t n, bool on)
{
	bool ok = true;

	for (size_t i = 0; i < n; i++)
		ok = set_cloexec(fds[i], on) && ok;
	return (ok);
}

/* Every descriptor in it. off: the next program inherits them; false: one
 * of them is none. */
static bool
set_cloexec_of(const struct handover *h, bool on)
{
	const int32_t some[] = {h->run, h->pub, h->run_ro, h->pub_ro, h->lock,
	    h->state_lock, h->control, h->tls, h->queue[0], h->queue[1]};
	bool ok = set_all(some, sizeof(some) / sizeof(some[0]), on) &
		  set_all(h->admin, HUB_MAX_LISTEN, on) &
		  set_all(h->wake, HUB_MAX_WORKERS, on);

	for (size_t i = 0; i < HUB_MAX_WORKERS; i++)
		ok = set_all(h->listen[i], HUB_MAX_LISTEN, on) && ok;
	for (size_t i = 0; i < h->nseats; i++)
		ok = set_cloexec(h->seats[i].channel, on) && ok;
	return (ok);
}

/* ---- giving -------------------------------------------------------------- */

static void
put_seat(struct handover *h, const struct seat *s)
{
	if (s->pid == 0)
		return;
	h->seats[h->nseats++] = (struct seat_over){
	    .role = (uint32_t)s->role,
	    .slot = s->slot,
	    .pid = s->pid,
	    .row = s->row,
	    .channel = s->channel,
	    .ready = s->ready,
	    .told_retire = s->told_retire,
	    .since = s->since.ns,
	    .deadline = s->deadline.ns,
	};
}

static void
put_sockets(struct handover *h, const struct master *m)
{
	memset(h->listen, -1, sizeof(h->listen));
	memset(h->admin, -1, sizeof(h->admin));
	memset(h->wake, -1, sizeof(h->wake));
	h->nlisten = m->nlisten;
	h->nadmin = m->nadmin;
	for (uint32_t i = 0; i < m->conf->workers; i++) {
		memcpy(h->listen[i], m->listen[i],
		    (size_t)m->nlisten * sizeof(int));
		h->wake[i] = m->wake[i];
	}
	memcpy(h->admin, m->admin, (size_t)m->nadmin * sizeof(int));
}

static struct handover *
make_handover(struct master *m)
{
	struct handover *h = xcalloc(1, sizeof(*h));
	struct seat *s;

	h->magic = HANDOVER_MAGIC;
	h->size = sizeof(*h);
	h->pid = getpid();
	h->me = m->me;
	h->run = m->shm->run_fd;
	h->pub = m->shm->pub_fd;
	h->run_ro = m->run_ro;
	h->pub_ro = m->pub_ro;
	h->lock = m->lock;
	h->state_lock = m->state_lock;
	h->control = m->control;
	h->tls = m->tls;
	memcpy(h->queue, m->queue, sizeof(h->queue));
	put_sockets(h, m);
	h->tickets_at = m->tickets_at.ns;
	h->tickets = m->tickets;
	snprintf(h->version, sizeof(h->version), "%s", VERSION);
	for (uint32_t i = 0; (s = master_seat(m, i)) != NULL; i++)
		put_seat(h, s);
	return (h);
}

/* The sealed file; -1 (logged). */
static int
write_file(struct handover *h, struct master *m)
{
	int fd = memfd_create("hubd handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct buf conf = {0};
	bool ok;

	hub_conf_serialise(m->conf, ROLE_MASTER, &conf);
	h->conf_size = (uint32_t)buf_len(&conf);
	ok = fd != -1 && write(fd, h, sizeof(*h)) == (ssize_t)sizeof(*h) &&
	     write(fd, buf_ptr(&conf), h->conf_size) == (ssize_t)h->conf_size &&
	     fcntl(fd, F_ADD_SEALS,
		 F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0;
	buf_fini(&conf);
	if (ok)
		return (fd);
	log_err("not upgraded: what is to be handed over");
	if (fd != -1)
		close(fd);
	return (-1);
}

void
handover_give(struct master *m, int binary)
{
	struct handover *h = make_handover(m);
	int fd = write_file(h, m);
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	if (fd != -1 && set_cloexec_of(h, false) && set_cloexec(fd, false) &&
	    setenv(HANDOVER_ENV, number, 1) == 0) {
		if (!FAILPOINT("master.exec"))
			fexecve(binary, m->options.argv, environ);
		log_err("not upgraded: executing %s", m->upgrade.program);
	}
	unsetenv(HANDOVER_ENV);
	set_cloexec_of(h, true);
	if (fd != -1)
		close(fd);
	explicit_bzero(h, sizeof(*h));
	free(h);
}

/* ---- taking -------------------------------------------------------------- */

static bool
is_sane(const struct handover *h)
{
	return (h->magic == HANDOVER_MAGIC && h->size == sizeof(*h) &&
		h->pid == getpid() && h->conf_size <= CONF_MAX &&
		h->nseats <= SEATS && h->nlisten <= HUB_MAX_LISTEN &&
		h->nadmin <= HUB_MAX_LISTEN);
}

static struct hub_conf *
read_conf(int fd, const struct handover *h, const struct master_options *o)
{
	char *text = xcalloc(1, h->conf_size + 1);
	struct hub_conf *conf, *file;
	char error[512];

	if (pread(fd, text, h->conf_size, sizeof(*h)) != (ssize_t)h->conf_size)
		fatal("the configuration handed over");
	if ((file = hub_conf_read(o->path, error, sizeof(error))) == NULL)
		log_warnx("options that are new have no value: %s", error);
	conf = hub_conf_inherit(text, h->conf_size, file);
	hub_conf_free(file);
	free(text);
	conf->path = xstrdup(o->path);
	reload_apply_options(o, conf);
	return (conf);
}

static void
take_descriptors(struct master *m, const struct handover *h)
{
	if (!set_cloexec_of(h, true))
		fatal("what was handed over");
	m->run_ro = h->run_ro;
	m->pub_ro = h->pub_ro;
	m->lock = h->lock;
	m->state_lock = h->state_lock;
	m->control = h->control;
	m->tls = h->tls;
	memcpy(m->queue, h->queue, sizeof(m->queue));
	memcpy(m->listen, h->listen, sizeof(m->listen));
	memcpy(m->admin, h->admin, sizeof(m->admin));
	memcpy(m->wake, h->wake, sizeof(m->wake));
	m->nlisten = h->nlisten;
	m->nadmin = h->nadmin;
	m->shm = shm_attach(h->run, h->pub, SHM_RUN_RW_PUB_RW);
	if (m->shm == NULL)
		exit(1);
}

static void
take_seat(struct master *m, const struct seat_over *o, uint32_t *nretired)
{
	struct seat *s;

	if (o->role == ROLE_BILLING)
		s = &m->billing;
	else if (o->role == ROLE_ADMIN)
		s = &m->admin_seat;
	else
		s = &m->retired[(*nretired)++];
	if (*nretired > RETIRED_PER_SLOT * m->conf->workers ||
	    o->slot >= m->conf->workers || o->row >= m->shm->sizes.nprocs)
		fatalx("children handed over have no place");
	s->slot = o->slot;
	s->pid = o->pid;
	s->row = o->row;
	s->channel = o->channel;
	s->ready = o->ready;
	s->told_retire = o->told_retire;
	s->since.ns = o->since;
	s->deadline.ns = o->deadline;
}

static void
take(struct master *m, int fd, const struct handover *h)
{
	uint32_t nretired = 0;

	m->conf = read_conf(fd, h, &m->options);
	log_init("master", (enum log_level)m->conf->log_level);
	if (m->conf->log != NULL && log_open(m->conf->log) == -1)
		log_warn("%s", m->conf->log);
	take_descriptors(m, h);
	m->me = h->me;
	m->tickets = h->tickets;
	m->tickets_at.ns = h->tickets_at;
	m->notify_pipe = -1;
	master_make_seats(m);
	for (uint32_t i = 0; i < h->nseats; i++)
		take_seat(m, &h->seats[i], &nretired);
	m->taking_over = true;
	log_info("hubd %s takes over from hubd %.*s, pid %d", VERSION,
	    (int)sizeof(h->version) - 1, h->version, (int)getpid());
}

bool
handover_take(struct master *m)
{
	const char *number = getenv(HANDOVER_ENV);
	struct handover h;
	int fd;

	if (number == NULL)
		return (false);
	fd = atoi(number);
	unsetenv(HANDOVER_ENV);
	/* executed by its descriptor, it was named after that */
	prctl(PR_SET_NAME, "hubd");
	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || !is_sane(&h))
		fatalx(HANDOVER_ENV " is set, but nothing was handed over");
	take(m, fd, &h);
	close(fd);
	explicit_bzero(&h, sizeof(h));
	return (true);
}

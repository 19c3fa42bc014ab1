/* The two files of shared memory: made, mapped, checked, put aside. */
#include "shm/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/monotime.h"
#include "shm/call.h"
#include "shm/layout.h"

#define WORKERS_MAX 64

uint32_t
shm_nprocs(uint32_t workers)
{
	return (SHM_OTHER_PROCS + 4 * workers);
}

static bool
sizes_ok(const struct shm_sizes *s)
{
	return (s->workers >= 1 && s->workers <= WORKERS_MAX &&
		s->nprocs == shm_nprocs(s->workers) && s->max_calls >= 1 &&
		s->max_calls <= 1u << 22 && s->max_keys >= 1 &&
		s->max_keys <= 1u << 20 && s->max_accounts >= 1 &&
		s->max_accounts <= 1u << 20 && s->max_agents >= 1 &&
		s->max_agents <= 1u << 14 && s->max_objects <= 1u << 22);
}

static bool
in_pub(enum shm_table t)
{
	return (t >= SHM_T_PRICES);
}

/* Fills the offsets of one file's tables; returns the file's size. */
static uint64_t
lay_out(const struct shm_sizes *s, bool pub, uint64_t table_at[SHM_TABLES])
{
	uint64_t at = sizeof(struct shm_header);
	unsigned t;

	for (t = 0; t < SHM_TABLES; t++) {
		table_at[t] = 0;
		if (in_pub((enum shm_table)t) != pub)
			continue;
		at = (at + 63) & ~UINT64_C(63);
		table_at[t] = at;
		at += shm_table_bytes(s, (enum shm_table)t);
	}
	return ((at + 4095) & ~UINT64_C(4095));
}

uint64_t
shm_run_bytes(const struct shm_sizes *s)
{
	uint64_t table_at[SHM_TABLES];

	return (lay_out(s, false, table_at));
}

uint64_t
shm_pub_bytes(const struct shm_sizes *s)
{
	uint64_t table_at[SHM_TABLES];

	return (lay_out(s, true, table_at));
}

static void
read_boot_id(char *out, size_t cap)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, out, cap - 1);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	if (fd != -1)
		close(fd);
}

void
shm_set_build(struct shm *shm, const char *version)
{
	snprintf(shm->run->build, sizeof(shm->run->build), "%s", version);
	snprintf(shm->pub->build, sizeof(shm->pub->build), "%s", version);
}

static void
fill_header(struct shm_header *h, bool pub, const struct shm_sizes *s)
{
	h->magic = pub ? SHM_PUB_MAGIC : SHM_RUN_MAGIC;
	h->layout = SHM_LAYOUT;
	h->header_size = sizeof(*h);
	h->sizes = *s;
	h->file_size = lay_out(s, pub, h->table_at);
	h->created_ms = walltime_ms();
	snprintf(h->build, sizeof(h->build), "%s", VERSION);
	read_boot_id(h->boot_id, sizeof(h->boot_id));
}

/* A new file of that size, mapped read-write; NULL with a logged reason. */
static struct shm_header *
make_file(const char *path, uint64_t size, int *fdp)
{
	struct shm_header *h;
	int fd, error;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd == -1) {
		log_err("%s", path);
		return (NULL);
	}
	if ((error = posix_fallocate(fd, 0, (off_t)size)) != 0) {
		log_errx("%s: no room for %llu bytes: %s", path,
		    (unsigned long long)size, strerror(error));
		goto fail;
	}
	h = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED) {
		log_err("mapping %s", path);
		goto fail;
	}
	*fdp = fd;
	return (h);
fail:
	close(fd);
	unlink(path);
	return (NULL);
}

static void
set_tables(struct shm *shm)
{
	unsigned t;

	shm->call_row_size = sizeof(struct call_row);
	for (t = 0; t < SHM_TABLES; t++) {
		struct shm_header *h =
		    in_pub((enum shm_table)t) ? shm->pub : shm->run;

		if (h != NULL)
			shm->table[t] = (char *)h + h->table_at[t];
	}
}

static void
set_constants(struct shm *shm)
{
	struct run_state *rs = shm_run_state(shm);
	struct pub_state *ps = shm_pub_state(shm);

	rs->started_ms = walltime_ms();
	atomic_store(&rs->calls_top, 1); /* kept from the first row on */
	rs->started_mono_ns = monotime_now().ns;
	atomic_store(&ps->epoch, 1); /* 0 in a process row: it sleeps */
	atomic_store(&ps->price_current, PUB_NO_PRICES);
}

struct shm *
shm_create(const char *run_dir, const struct shm_sizes *sizes)
{
	char *path_run = xasprintf("%s/hubd.run", run_dir);
	char *path_pub = xasprintf("%s/hubd.pub", run_dir);
	struct shm *shm = xcalloc(1, sizeof(*shm));

	shm->run_fd = shm->pub_fd = -1;
	if (!sizes_ok(sizes)) {
		log_errx("sizes of shared memory are out of range");
		goto fail;
	}
	shm->sizes = *sizes;
	shm->run = make_file(path_run, shm_run_bytes(sizes), &shm->run_fd);
	if (shm->run == NULL)
		goto fail;
	fill_header(shm->run, false, sizes);
	shm->pub = make_file(path_pub, shm_pub_bytes(sizes), &shm->pub_fd);
	if (shm->pub == NULL)
		goto fail;
	fill_header(shm->pub, true, sizes);
	shm->run_writable = shm->pub_writable = true;
	set_tables(shm);
	set_constants(shm);
	atomic_store(&shm->pub->ready, 1);
	atomic_store(&shm->run->ready, 1);
	free(path_run);
	free(path_pub);
	return (shm);
fail:
	if (shm->run != NULL)
		unlink(path_run);
	free(path_run);
	free(path_pub);
	shm_detach(shm);
	return (NULL);
}

/* Why a mapped file cannot be used, or NULL. */
static const char *
header_wrong(const struct shm_header *h, bool pub, uint64_t size)
{
	uint64_t table_at[SHM_TABLES];

	if (h->magic != (pub ? SHM_PUB_MAGIC : SHM_RUN_MAGIC))
		return ("wrong magic");
	if (h->layout != SHM_LAYOUT || h->header_size != sizeof(*h))
		return ("another layout");
	if (atomic_load(&h->ready) != 1)
		return ("not ready");
	if (!sizes_ok(&h->sizes))
		return ("sizes out of range");
	if (lay_out(&h->sizes, pub, table_at) != size || h->file_size != size)
		return ("wrong size");
	if (memcmp(table_at, h->table_at, sizeof(table_at)) != 0)
		return ("wrong offsets");
	return (NULL);
}

/* Maps a whole file. NULL with errno and a reason. */
static struct shm_header *
map_whole(int fd, bool writable, uint64_t *size, const char **why)
{
	int prot = PROT_READ | (writable ? PROT_WRITE : 0);
	struct shm_header *h;
	struct stat st;

	*why = "cannot be mapped";
	if (fstat(fd, &st) == -1)
		return (NULL);
	if (st.st_size < (off_t)sizeof(*h)) {
		*why = "too short";
		errno = ENOEXEC;
		return (NULL);
	}
	*size = (uint64_t)st.st_size;
	h = mmap(NULL, *size, prot, MAP_SHARED, fd, 0);
	return (h == MAP_FAILED ? NULL : h);
}

/* The same, and checks it. */
static struct shm_header *
map_file(int fd, bool pub, bool writable, const char **why)
{
	uint64_t size;
	struct shm_header *h = map_whole(fd, writable, &size, why);

	if (h == NULL)
		return (NULL);
	if ((*why = header_wrong(h, pub, size)) != NULL) {
		munmap(h, size);
		errno = ENOEXEC;
		return (NULL);
	}
	return (h);
}

struct shm *
shm_attach(int run_fd, int pub_fd, enum shm_access access)
{
	struct shm *shm = xcalloc(1, sizeof(*shm));
	const char *why;

	shm->run_fd = run_fd;
	shm->pub_fd = pub_fd;
	shm->run_writable = access != SHM_RUN_RO_PUB_RO;
	shm->pub_writable = access == SHM_RUN_RW_PUB_RW;
	shm->run = map_file(run_fd, false, shm->run_writable, &why);
	if (shm->run == NULL) {
		log_err("hubd.run: %s", why);
		goto fail;
	}
	shm->pub = map_file(pub_fd, true, shm->pub_writable, &why);
	if (shm->pub == NULL) {
		log_err("hubd.pub: %s", why);
		goto fail;
	}
	shm->sizes = shm->run->sizes;
	if (memcmp(&shm->sizes, &shm->pub->sizes, sizeof(shm->sizes)) != 0) {
		log_errx("hubd.run and hubd.pub do not belong together");
		goto fail;
	}
	set_tables(shm);
	return (shm);
fail:
	shm_detach(shm);
	return (NULL);
}

static int
open_in(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	free(path);
	return (fd);
}

struct shm *
shm_open_readonly(const char *run_dir)
{
	struct shm *shm = xcalloc(1, sizeof(*shm));
	const char *why;
	int error;

	shm->pub_fd = -1;
	if ((shm->run_fd = open_in(run_dir, "hubd.run")) == -1 ||
	    (shm->pub_fd = open_in(run_dir, "hubd.pub")) == -1)
		goto fail;
	if ((shm->run = map_file(shm->run_fd, false, false, &why)) == NULL ||
	    (shm->pub = map_file(shm->pub_fd, true, false, &why)) == NULL)
		goto fail;
	shm->sizes = shm->run->sizes;
	if (memcmp(&shm->sizes, &shm->pub->sizes, sizeof(shm->sizes)) == 0) {
		set_tables(shm);
		return (shm);
	}
	errno = ENOEXEC;
fail:
	error = errno;
	shm_detach(shm);
	errno = error;
	return (NULL);
}

void
shm_detach(struct shm *shm)
{
	if (shm == NULL)
		return;
	if (shm->run != NULL)
		munmap(shm->run, shm->run->file_size);
	if (shm->pub != NULL)
		munmap(shm->pub, shm->pub->file_size);
	if (shm->run_fd != -1)
		close(shm->run_fd);
	if (shm->pub_fd != -1)
		close(shm->pub_fd);
	free(shm);
}

/* Its tables as this hubd, or an older one, has laid them out. */
static bool
find_old_tables(struct shm *shm, uint64_t size)
{
	if (header_wrong(shm->run, false, size) != NULL)
		return (shm_map_older(shm, size));
	shm->sizes = shm->run->sizes;
	set_tables(shm);
	return (true);
}

struct shm *
shm_open_old(const char *path)
{
	struct shm *shm = xcalloc(1, sizeof(*shm));
	uint64_t size;
	const char *why;
	int error;

	shm->pub_fd = -1;
	shm->run_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (shm->run_fd == -1)
		goto fail;
	shm->run = map_whole(shm->run_fd, true, &size, &why);
	if (shm->run == NULL)
		goto fail;
	if (!find_old_tables(shm, size)) {
		munmap(shm->run, size);
		shm->run = NULL;
		errno = ENOEXEC;
		goto fail;
	}
	shm->run_writable = true;
	shm_all_died(shm);
	return (shm);
fail:
	error = errno;
	shm_detach(shm);
	errno = error;
	return (NULL);
}

int
shm_retire(const char *path)
{
	char *aside =
	    xasprintf("%s.unreadable.%lld", path, (long long)walltime_ms());
	int r = rename(path, aside);

	free(aside);
	return (r);
}

void *
shm_table(const struct shm *shm, enum shm_table t)
{
	return (shm->table[t]);
}

struct run_state *
shm_run_state(const struct shm *shm)
{
	return (shm->table[SHM_T_RUN_STATE]);
}

struct pub_state *
shm_pub_state(const struct shm *shm)
{
	return (shm->table[SHM_T_PUB_STATE]);
}

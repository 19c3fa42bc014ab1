/* Certificates and keys from files into sealed memory, and out of it. */
#include "hubd/tls_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/crypto.h"

#define PACK_MAGIC 0x6b636170u
#define FILE_MAX   (256 * 1024)
#define PACK_MAX   (sizeof(struct head) + 2 * CONF_LIST_MAX * FILE_MAX)

/* Master and workers are of one binary, so a plain struct will do. Behind
 * it: certificate, key, certificate, key. */
struct head {
	uint32_t magic;
	uint32_t npairs;
	struct tls_ticket_keys tickets;
	struct {
		uint32_t certificate, key; /* bytes */
	} size[CONF_LIST_MAX];
};

struct pem {
	char *p;
	size_t n;
};

static void
forget(struct pem *f)
{
	if (f->p != NULL)
		crypto_wipe(f->p, f->n);
	free(f->p);
	*f = (struct pem){0};
}

/* 0, or -1 with what is wrong in error. */
static int
read_whole(int fd, const char *path, struct pem *f, char *error, size_t cap)
{
	struct stat st;
	const char *why = NULL;

	if (fd == -1 || fstat(fd, &st) == -1)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "not a file";
	else if (st.st_size > FILE_MAX)
		why = "larger than 256 KiB";
	if (why == NULL) {
		f->n = (size_t)st.st_size;
		f->p = xcalloc(1, f->n + 1);
		if (pread(fd, f->p, f->n, 0) != (ssize_t)f->n)
			why = "cannot be read";
	}
	if (why == NULL)
		return (0);
	snprintf(error, cap, "%s: %s", path, why);
	return (-1);
}

static int
read_file(const char *path, struct pem *f, char *error, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = read_whole(fd, path, f, error, cap);

	if (fd != -1)
		close(fd);
	return (r);
}

time_t
tls_pack_end(const char *path)
{
	struct pem f = {0};
	char error[256];
	time_t end = 0;

	if (read_file(path, &f, error, sizeof(error)) == 0)
		end = tls_certificate_end(span_of(f.p, f.n));
	forget(&f);
	return (end);
}

/* ---- making -------------------------------------------------------------- */

/* In front of the text of all files, which comes behind it. */
static int
seal(const struct head *h, const struct pem *files, size_t nfiles)
{
	int fd = memfd_create("hubd tls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool ok;
	size_t i;

	if (fd == -1)
		return (-1);
	ok = write(fd, h, sizeof(*h)) == (ssize_t)sizeof(*h);
	for (i = 0; ok && i < nfiles; i++)
		ok = write(fd, files[i].p, files[i].n) == (ssize_t)files[i].n;
	if (ok &&
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		return (fd);
	close(fd);
	return (-1);
}

static int
check(const struct hub_conf *c, const struct pem *files,
    const struct tls_ticket_keys *tickets, char *error, size_t cap)
{
	struct tls_pair pairs[CONF_LIST_MAX];
	struct tls_context *context;
	size_t i;

	for (i = 0; i < c->certificate.n; i++)
		pairs[i] = (struct tls_pair){
		    .certificate = span_of(files[2 * i].p, files[2 * i].n),
		    .key = span_of(files[2 * i + 1].p, files[2 * i + 1].n),
		    .certificate_name = c->certificate.item[i],
		    .key_name = c->key.item[i]};
	context = tls_context_new(pairs, c->certificate.n, tickets, error, cap);
	tls_context_free(context);
	return (context != NULL ? 0 : -1);
}

static int
read_files(const struct hub_conf *c, struct pem *files, char *error, size_t cap)
{
	size_t i;

	for (i = 0; i < c->certificate.n; i++) {
		if (read_file(c->certificate.item[i], &files[2 * i], error,
			cap) == -1 ||
		    read_file(c->key.item[i], &files[2 * i + 1], error, cap) ==
			-1)
			return (-1);
	}
	return (0);
}

int
tls_pack_make(const struct hub_conf *c, const struct tls_ticket_keys *tickets,
    char *error, size_t cap)
{
	struct pem files[2 * CONF_LIST_MAX] = {0};
	struct head h = {.magic = PACK_MAGIC,
	    .npairs = (uint32_t)c->certificate.n,
	    .tickets = *tickets};
	size_t i;
	int fd = -1;

	if (read_files(c, files, error, cap) == 0 &&
	    check(c, files, tickets, error, cap) == 0) {
		for (i = 0; i < h.npairs; i++) {
			h.size[i].certificate = (uint32_t)files[2 * i].n;
			h.size[i].key = (uint32_t)files[2 * i + 1].n;
		}
		if ((fd = seal(&h, files, 2 * c->certificate.n)) == -1)
			snprintf(error, cap, "memory for TLS keys: %s",
			    strerror(errno));
	}
	for (i = 0; i < 2 * CONF_LIST_MAX; i++)
		forget(&files[i]);
	crypto_wipe(&h, sizeof(h));
	return (fd);
}

/* ---- reading ------------------------------------------------------------- */

/* The whole of it, the head included. */
static bool
read_pack(int fd, struct pem *pack)
{
	struct stat st;

	*pack = (struct pem){0};
	if (fstat(fd, &st) == -1 || st.st_size < (off_t)sizeof(struct head) ||
	    st.st_size > (off_t)PACK_MAX) {
		errno = EINVAL;
		return (false);
	}
	pack->n = (size_t)st.st_size;
	pack->p = xmalloc(pack->n);
	if (pread(fd, pack->p, pack->n, 0) == (ssize_t)pack->n)
		return (true);
	forget(pack);
	return (false);
}

int
tls_pack_renew(int fd, const struct tls_ticket_keys *tickets)
{
	struct pem pack, rest;
	struct head h;
	int fresh;

	if (!read_pack(fd, &pack))
		return (-1);
	memcpy(&h, pack.p, sizeof(h));
	h.tickets = *tickets;
	rest = (struct pem){pack.p + sizeof(h), pack.n - sizeof(h)};
	fresh = seal(&h, &rest, 1);
	crypto_wipe(&h, sizeof(h));
	forget(&pack);
	return (fresh);
}

/* The pairs lie in the pack; false if it is not whole. */
static bool
find_pairs(const struct pem *pack, const struct head *h, struct tls_pair *pairs)
{
	size_t at = sizeof(*h), i;

	if (h->magic != PACK_MAGIC || h->npairs == 0 ||
	    h->npairs > CONF_LIST_MAX)
		return (false);
	for (i = 0; i < h->npairs; i++) {
		size_t c = h->size[i].certificate, k = h->size[i].key;

		if (c > FILE_MAX || k > FILE_MAX || pack->n - at < c + k)
			return (false);
		pairs[i] =
		    (struct tls_pair){.certificate = span_of(pack->p + at, c),
			.key = span_of(pack->p + at + c, k),
			.certificate_name = "a certificate",
			.key_name = "a key"};
		at += c + k;
	}
	return (at == pack->n);
}

struct tls_context *
tls_pack_open(int fd, char *error, size_t cap)
{
	struct tls_pair pairs[CONF_LIST_MAX];
	struct tls_context *context = NULL;
	struct pem pack;
	struct head h;

	if (!read_pack(fd, &pack)) {
		snprintf(error, cap, "what the master sent cannot be read");
		return (NULL);
	}
	memcpy(&h, pack.p, sizeof(h));
	if (find_pairs(&pack, &h, pairs))
		context =
		    tls_context_new(pairs, h.npairs, &h.tickets, error, cap);
	else
		snprintf(error, cap, "what the master sent is not whole");
	crypto_wipe(&h, sizeof(h));
	forget(&pack);
	return (context);
}

/* Certificates to trust, each file read once. */
#include "agentd/trust.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <openssl/ssl.h>

#include "common/alloc.h"

struct trust_store {
	unsigned refs; /* the list's is one */
	LIST_ENTRY(trust_store) entry;
	char *file;
	struct stat as; /* of the file when it was read */
	X509_STORE *x509;
};

struct trust {
	LIST_HEAD(, trust_store) stores;
};

struct trust *
trust_new(void)
{
	struct trust *t = xcalloc(1, sizeof(*t));

	LIST_INIT(&t->stores);
	return (t);
}

void
trust_unref(struct trust_store *s)
{
	if (s == NULL || --s->refs > 0)
		return;
	X509_STORE_free(s->x509);
	free(s->file);
	free(s);
}

static void
drop(struct trust_store *s)
{
	LIST_REMOVE(s, entry);
	trust_unref(s);
}

void
trust_free(struct trust *t)
{
	struct trust_store *s;

	if (t == NULL)
		return;
	while ((s = LIST_FIRST(&t->stores)) != NULL)
		drop(s);
	free(t);
}

static X509_STORE *
read_store(const char *file, const char *folder)
{
	X509_STORE *x = X509_STORE_new();

	if (x == NULL)
		abort();
	if (X509_STORE_load_file(x, file) != 1 ||
	    (folder != NULL && X509_STORE_load_path(x, folder) != 1)) {
		X509_STORE_free(x);
		return (NULL);
	}
	/* As libcurl has it: who is in the file is trusted, root or not. */
	X509_STORE_set_flags(x, X509_V_FLAG_PARTIAL_CHAIN);
	return (x);
}

bool
trust_is_good(const char *file)
{
	X509_STORE *x = read_store(file, NULL);

	X509_STORE_free(x); /* NULL is fine */
	return (x != NULL);
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return (a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
		a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec);
}

struct trust_store *
trust_find(struct trust *t, const char *file, const char *folder)
{
	struct trust_store *s;
	struct stat now;
	X509_STORE *x;

	if (stat(file, &now) == -1)
		return (NULL);
	LIST_FOREACH (s, &t->stores, entry)
		if (strcmp(s->file, file) == 0)
			break;
	if (s != NULL && !is_same(&s->as, &now)) {
		drop(s);
		s = NULL;
	}
	if (s == NULL) {
		if ((x = read_store(file, folder)) == NULL)
			return (NULL);
		s = xcalloc(1, sizeof(*s));
		s->refs = 1;
		s->file = xstrdup(file);
		s->as = now;
		s->x509 = x;
		LIST_INSERT_HEAD(&t->stores, s, entry);
	}
	s->refs++;
	return (s);
}

void
trust_apply(const struct trust_store *s, void *ssl_ctx)
{
	SSL_CTX_set1_cert_store(ssl_ctx, s->x509);
}

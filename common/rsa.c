/* RSA signatures by OpenSSL. */
#include "common/rsa.h"

#include <limits.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/alloc.h"

struct rsa_key {
	EVP_PKEY *pkey;
};

/* OpenSSL would ask for the passphrase of an encrypted key. */
static int
no_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)arg;
	return (-1);
}

static EVP_PKEY *
read_pem(struct span pem)
{
	BIO *bio;
	EVP_PKEY *pkey;

	if (pem.n > INT_MAX ||
	    (bio = BIO_new_mem_buf(pem.p, (int)pem.n)) == NULL)
		return (NULL);
	pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (pkey != NULL && EVP_PKEY_base_id(pkey) != EVP_PKEY_RSA) {
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	ERR_clear_error();
	return (pkey);
}

struct rsa_key *
rsa_key_parse(struct span pem)
{
	EVP_PKEY *pkey = read_pem(pem);
	struct rsa_key *k;

	if (pkey == NULL)
		return (NULL);
	k = xcalloc(1, sizeof(*k));
	k->pkey = pkey;
	return (k);
}

void
rsa_key_free(struct rsa_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

bool
rsa_key_sign(struct rsa_key *k, struct span message, struct buf *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = (size_t)EVP_PKEY_size(k->pkey);
	char *at = buf_reserve(out, n);
	bool ok;

	ok = ctx != NULL &&
	     EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) == 1 &&
	     EVP_DigestSign(ctx, (unsigned char *)at, &n,
		 (const unsigned char *)message.p, message.n) == 1;
	if (ok)
		buf_commit(out, n);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return (ok);
}

/* Digests, comparison of secrets, tokens. */
#include <assert.h>
#include <limits.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/crypto.h"
#include "common/ids.h"
#include "common/log.h"

void
sha256(struct span bytes, uint8_t out[SHA256_SIZE])
{
	/* Both are kept for ever: looking the method up and making a context
	 * cost more than the digest of a key. */
	static EVP_MD *method;
	static EVP_MD_CTX *ctx;
	unsigned int n = 0;

	if (method == NULL)
		method = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (ctx == NULL)
		ctx = EVP_MD_CTX_new();
	if (ctx == NULL || EVP_DigestInit_ex2(ctx, method, NULL) != 1 ||
	    EVP_DigestUpdate(ctx, bytes.p, bytes.n) != 1 ||
	    EVP_DigestFinal_ex(ctx, out, &n) != 1)
		fatalx("SHA-256 is not available");
	assert(n == SHA256_SIZE);
}

void
sha1(struct span bytes, uint8_t out[SHA1_SIZE])
{
	if (EVP_Digest(bytes.p, bytes.n, out, NULL, EVP_sha1(), NULL) != 1)
		fatalx("SHA-1 is not available");
}

void
hmac_sha256(struct span key, struct span bytes, uint8_t out[SHA256_SIZE])
{
	unsigned int n = 0;

	assert(key.n <= INT_MAX);
	if (HMAC(EVP_sha256(), key.p, (int)key.n, (const uint8_t *)bytes.p,
		bytes.n, out, &n) == NULL)
		fatalx("HMAC with SHA-256 is not available");
	assert(n == SHA256_SIZE);
}

bool
crypto_equal(const void *a, const void *b, size_t n)
{
	return (CRYPTO_memcmp(a, b, n) == 0);
}

void
token_make(const char *prefix, char out[TOKEN_MAX])
{
	static const char base62[] = "0123456789"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz";
	size_t n = strlen(prefix), i;

	assert(n + TOKEN_RANDOM < TOKEN_MAX);
	memcpy(out, prefix, n);
	for (i = 0; i < TOKEN_RANDOM; i++)
		out[n + i] = base62[random_below(62)];
	out[n + TOKEN_RANDOM] = '\0';
}

void
crypto_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

/* Digests and secrets. */
#include <assert.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/crypto.h"
#include "common/ids.h"
#include "common/log.h"

void
sha256(struct span bytes, uint8_t out[SHA256_SIZE])
{
	unsigned int n = 0;

	if (EVP_Digest(bytes.p, bytes.n, out, &n, EVP_sha256(), NULL) != 1)
		fatalx("SHA-256 is not available");
	assert(n == SHA256_SIZE);
}

/* Slicing by four: tables are made at the first call of a process, which
 * has one thread. */
static uint32_t crc_table[4][256];

static void
crc_make_tables(void)
{
	uint32_t i, k, c;

	for (i = 0; i < 256; i++) {
		c = i;
		for (k = 0; k < 8; k++)
			c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
		crc_table[0][i] = c;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < 4; k++) {
			c = crc_table[k - 1][i];
			crc_table[k][i] = crc_table[0][c & 0xff] ^ (c >> 8);
		}
}

uint32_t
crc32_add(uint32_t crc, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	if (crc_table[0][1] == 0)
		crc_make_tables();
	crc = ~crc;
	for (; n >= 4; p += 4, n -= 4) {
		crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 |
		       (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		crc = crc_table[3][crc & 0xff] ^ crc_table[2][crc >> 8 & 0xff] ^
		      crc_table[1][crc >> 16 & 0xff] ^ crc_table[0][crc >> 24];
	}
	for (; n > 0; p++, n--)
		crc = crc_table[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
	return (~crc);
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

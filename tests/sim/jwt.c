/* Signed tokens of service accounts: RS256 (RFC 7515, RFC 7518 3.3). */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "common/log.h"
#include "tests/sim/provider.h"

static EVP_PKEY *account_key;

void
jwt_set_key(const char *path)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		fatal("%s", path);
	account_key = PEM_read_PUBKEY(f, NULL, NULL, NULL);
	fclose(f);
	if (account_key == NULL)
		fatalx("%s: no public key", path);
}

static int
digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (c - 'A');
	if (c >= 'a' && c <= 'z')
		return (c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (c - '0' + 52);
	return (c == '-' ? 62 : c == '_' ? 63 : -1);
}

/* base64url without padding (RFC 4648 5). false: it is something else. */
static bool
decode(struct span text, struct buf *out)
{
	unsigned bits = 0;
	uint32_t word = 0;

	for (size_t i = 0; i < text.n; i++) {
		int digit = digit_of(text.p[i]);
		unsigned char byte;

		if (digit == -1)
			return (false);
		word = word << 6 | (uint32_t)digit;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		byte = (unsigned char)(word >> bits);
		buf_add(out, &byte, 1);
	}
	return (text.n % 4 != 1);
}

static struct json *
decode_json(struct span text)
{
	struct buf b = {0};
	struct json *doc = NULL;

	if (decode(text, &b))
		doc = json_parse(buf_span(&b), NULL, 0);
	buf_fini(&b);
	return (doc);
}

static bool
is_rs256(struct span header)
{
	struct json *doc = decode_json(header);
	const char *alg = json_get_str(doc, "alg");
	bool fits = alg != NULL && span_eq(span_str(alg), SPAN("RS256"));

	json_free(doc);
	return (fits);
}

static bool
is_signed(struct span text, struct span signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct buf raw = {0};
	bool good =
	    account_key != NULL && decode(signature, &raw) &&
	    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, account_key) ==
		1 &&
	    EVP_DigestVerify(ctx, (unsigned char *)buf_ptr(&raw), buf_len(&raw),
		(const unsigned char *)text.p, text.n) == 1;

	buf_fini(&raw);
	EVP_MD_CTX_free(ctx);
	return (good);
}

struct json *
jwt_verify(struct span token)
{
	const char *end = token.p + token.n;
	const char *first = memchr(token.p, '.', token.n), *second;

	if (first == NULL)
		return (NULL);
	second = memchr(first + 1, '.', (size_t)(end - first) - 1);
	if (second == NULL ||
	    !is_rs256(span_of(token.p, (size_t)(first - token.p))) ||
	    !is_signed(span_of(token.p, (size_t)(second - token.p)),
		span_of(second + 1, (size_t)(end - second) - 1)))
		return (NULL);
	return (decode_json(span_of(first + 1, (size_t)(second - first) - 1)));
}

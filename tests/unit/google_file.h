/* A service account's key file, with a key made for the occasion. */
#ifndef TESTS_UNIT_GOOGLE_FILE_H
#define TESTS_UNIT_GOOGLE_FILE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/buf.h"
#include "common/json.h"

static EVP_PKEY *google_pkey; /* of the file that was last written */
static char google_path[] = "/tmp/google-key-XXXXXX";

/* The key in PEM, as PKCS #8. */
static inline void
google_pem(EVP_PKEY *pkey, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	ck_assert_int_eq(
	    PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL),
	    1);
	n = BIO_get_mem_data(bio, &p);
	buf_add(out, p, (size_t)n);
	BIO_free(bio);
}

static inline void
google_write(struct span text)
{
	int fd = mkstemp(google_path);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, text.p, text.n), (ssize_t)text.n);
	close(fd);
}

static inline void
google_unlink(void)
{
	ck_assert_int_eq(unlink(google_path), 0);
	snprintf(google_path, sizeof(google_path), "/tmp/google-key-XXXXXX");
	EVP_PKEY_free(google_pkey);
	google_pkey = NULL;
}

/* NULL leaves a member out. */
static inline void
google_file(EVP_PKEY *pkey, const char *type, const char *email,
    const char *token_uri, const char *project)
{
	struct buf pem = {0}, text = {0};
	struct jout j;

	google_pkey = pkey;
	jout_init(&j, &text);
	jout_begin_object(&j);
	if (type != NULL)
		jout_kstr(&j, "type", type);
	if (project != NULL)
		jout_kstr(&j, "project_id", project);
	jout_kstr(&j, "private_key_id", "kid-1");
	if (email != NULL)
		jout_kstr(&j, "client_email", email);
	if (token_uri != NULL)
		jout_kstr(&j, "token_uri", token_uri);
	if (pkey != NULL) {
		google_pem(pkey, &pem);
		jout_kstr(&j, "private_key", buf_cstr(&pem));
	}
	jout_end_object(&j);
	google_write(buf_span(&text));
	buf_fini(&pem);
	buf_fini(&text);
}

static inline void
google_good_file(void)
{
	google_file(EVP_RSA_gen(2048), "service_account",
	    "a@p.iam.gserviceaccount.com", "https://oauth2.example.com/token",
	    "key-project");
}

static inline int
digit_of(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz"
				     "0123456789-_";
	const char *at = strchr(digits, c);

	ck_assert_msg(c != '\0' && at != NULL, "'%c'", c);
	return ((int)(at - digits));
}

/* Appends what base64url stands for. */
static inline void
put_decoded(struct buf *out, struct span s)
{
	unsigned bits = 0, n = 0;
	char c;
	size_t i;

	for (i = 0; i < s.n; i++) {
		bits = bits << 6 | (unsigned)digit_of(s.p[i]);
		n += 6;
		if (n < 8)
			continue;
		n -= 8;
		c = (char)(bits >> n & 0xff);
		buf_add(out, &c, 1);
	}
}

/*
 * Checks the signature of a token with the file's key, and returns its claims
 * and, if header is not NULL, its header.
 */
static inline struct json *
google_verify(const char *jwt, struct json **header)
{
	const char *dot = strchr(jwt, '.'), *second;
	struct buf h = {0}, claims = {0}, signature = {0};
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct json *doc;

	ck_assert_ptr_nonnull(dot);
	second = strchr(dot + 1, '.');
	ck_assert_ptr_nonnull(second);
	put_decoded(&h, span_of(jwt, (size_t)(dot - jwt)));
	put_decoded(&claims, span_of(dot + 1, (size_t)(second - dot - 1)));
	put_decoded(&signature, span_str(second + 1));
	ck_assert_int_eq(
	    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, google_pkey),
	    1);
	ck_assert_int_eq(
	    EVP_DigestVerify(ctx, (unsigned char *)buf_ptr(&signature),
		buf_len(&signature), (const unsigned char *)jwt,
		(size_t)(second - jwt)),
	    1);
	EVP_MD_CTX_free(ctx);
	doc = json_parse(buf_span(&claims), NULL, 0);
	ck_assert_ptr_nonnull(doc);
	if (header != NULL)
		*header = json_parse(buf_span(&h), NULL, 0);
	buf_fini(&h);
	buf_fini(&claims);
	buf_fini(&signature);
	return (doc);
}

#endif

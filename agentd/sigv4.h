/*
 * AWS Signature Version 4 in the header Authorization (IAM User Guide,
 * "Create a signed AWS API request"). Pure: the clock is the caller's.
 */
#ifndef AGENTD_SIGV4_H
#define AGENTD_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/crypto.h"
#include "common/span.h"

#define SIGV4_MAX_FIELDS 32
#define SIGV4_HEX_SIZE	 (2 * SHA256_SIZE + 1)
#define SIGV4_TIME_SIZE	 17 /* "20150830T123600Z", terminated */

struct sigv4_field {
	struct span name; /* in any case */
	struct span value;
};

/* What is signed; all views are the caller's. */
struct sigv4_request {
	const char *method;
	struct span path;  /* as sent, with its "/" in front */
	struct span query; /* as sent, without "?"; may be empty */
	/* In any order, at most SIGV4_MAX_FIELDS; Host and X-Amz-Date must be
	 * among them, and X-Amz-Security-Token if there is one. */
	const struct sigv4_field *fields;
	size_t nfields;
	uint8_t body[SHA256_SIZE]; /* its digest */
	bool keep_path; /* leave "." , ".." and "//" in the path, as S3 does */
};

/* Credentials for one service in one region, with the day's signing key. */
struct sigv4_signer {
	/* Of the caller; they must live as long as the signer. */
	const char *access_key, *secret_key, *region, *service;
	char day[9]; /* of key; "" if there is none yet */
	uint8_t key[SHA256_SIZE];
};

void sigv4_init(struct sigv4_signer *, const char *access_key,
    const char *secret_key, const char *region, const char *service);
/* Wipes the key. */
void sigv4_fini(struct sigv4_signer *);

/* A digest as X-Amz-Content-Sha256 has it, terminated. */
void sigv4_hex(const uint8_t digest[SHA256_SIZE], char out[SIGV4_HEX_SIZE]);
/* The value of X-Amz-Date at that second of the epoch; clamped to the years
 * 1970 to 9999. */
void sigv4_time(int64_t at, char out[SIGV4_TIME_SIZE]);

/* Appends the value of Authorization for a request sent at that second. */
void sigv4_sign(struct sigv4_signer *, const struct sigv4_request *, int64_t at,
    struct buf *out);

/*
 * Appends the canonical request, and to names the list of signed headers.
 * The path, encoded as sent, is encoded once more.
 */
void sigv4_canonical(
    const struct sigv4_request *, struct buf *out, struct buf *names);

#endif

/* Base64 (RFC 4648 4), read as it comes. */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

struct base64 {
	uint32_t bits;
	unsigned n;  /* characters in bits, 0 to 3 */
	bool padded; /* "=" was seen: nothing but it may follow */
	bool bad;    /* a character that is none of it */
};

void base64_init(struct base64 *);
/*
 * Decodes characters into out, which has room for BASE64_ROOM(in.n) bytes.
 * Returns how many were written; 0 and bad from the first wrong one on.
 */
#define BASE64_ROOM(n) ((n) / 4 * 3 + 3)
size_t base64_feed(struct base64 *, struct span in, char *out);
/* Was it whole and good? */
bool base64_end(const struct base64 *);

#endif

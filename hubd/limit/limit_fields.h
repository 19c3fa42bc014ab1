/* What a key's rates look like to its user: x-ratelimit-* fields. */
#ifndef HUBD_LIMIT_LIMIT_FIELDS_H
#define HUBD_LIMIT_LIMIT_FIELDS_H

#include "common/buf.h"
#include "hubd/limit/limit.h"

/* "6m0s", "1.5s", "120ms", "0s": as Go writes durations, and OpenAI in its
 * fields. Rounded up to whole milliseconds; negative is 0. */
#define DURATION_TEXT 40
void duration_format(int64_t ns, char text[DURATION_TEXT]);

/*
 * Appends x-ratelimit-{limit,remaining,reset}-{requests,tokens} as they
 * stand now, each line ended, for those of rpm and tpm that the key has.
 */
void limit_fields(const struct shm *, const struct admission *, monotime_t now,
    struct buf *out);

#endif

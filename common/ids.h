/*
 * Request ids: UUIDv7 (RFC 9562 5.7): 48 bits of milliseconds, then the
 * process row and a counter of the process, then 32 random bits. Unique
 * across restarts and across the processes of a hub; grows with time.
 */
#ifndef COMMON_IDS_H
#define COMMON_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQ_ID_TEXT 37 /* with the terminator */

typedef struct {
	uint8_t b[16];
} req_id_t;

/* State belongs to one process and is seeded in it, never before a fork. */
struct id_source;
struct id_source *id_source_new(uint16_t process_row);
void id_source_free(struct id_source *);
req_id_t id_next(struct id_source *);

void req_id_format(req_id_t, char out[REQ_ID_TEXT]);
/* When it was made, if it is one of ours: milliseconds since 1970. */
int64_t req_id_ms(req_id_t);
/* false unless s is the 36 characters of a UUID. */
bool req_id_parse(const char *s, req_id_t *out);

/* A UUID that says nothing (version 4, RFC 9562 5.4): for what is named once
 * and for ever. */
req_id_t uuid_random(void);

/*
 * n random bytes from a buffer of this process, refilled from the system
 * 4 KiB at a time. Ends the process if the system has no randomness.
 */
void random_bytes(void *out, size_t n);
uint32_t random_u32(void);
/* Uniform below bound (bound > 0). */
uint32_t random_below(uint32_t bound);

#endif

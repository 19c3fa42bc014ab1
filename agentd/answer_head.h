/* The head of a provider's answer, rebuilt as it goes to the hub. */
#ifndef AGENTD_ANSWER_HEAD_H
#define AGENTD_ANSWER_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agentd/upstream.h"
#include "common/h2link.h"
#include "common/span.h"

struct answer_head {
	struct h2_field fields[UPSTREAM_MAX_FIELDS + 2];
	size_t n;
	char names[1024], status[8], us[24];
	char *text; /* of a copy, else NULL */
};

/*
 * Status, the time it took, and those fields that keep() likes, with names
 * in lower case (RFC 9113 8.2.1); a value that HTTP does not allow is left
 * out. The values are still the provider's.
 */
void answer_head_make(struct answer_head *, int status, int64_t us,
    const struct upstream_field *, size_t n, bool (*keep)(struct span name));
/* A copy that holds everything itself; answer_head_free(). */
struct answer_head *answer_head_copy(const struct answer_head *);
void answer_head_free(struct answer_head *); /* NULL is fine */

#endif

/*
 * Clocks that differ: ours from a hub's, which is worth a warning, and ours
 * from a provider's that refuses signatures of another time, which is learnt
 * and made up for. Pure: the time is the caller's.
 */
#ifndef AGENTD_SKEW_H
#define AGENTD_SKEW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/monotime.h"
#include "common/span.h"

/* What AWS's own clients (smithy) correct; the providers allow 5 minutes. */
#define SKEW_LEARN_MS 240000
/* An answer that took longer says too little of what time it is. */
#define SKEW_ROUND_TRIP_MS 60000

/* What an answer's head tells of the time. */
struct skew_head {
	struct span date, age; /* of its fields; empty: it has none */
	int64_t wall_ms;       /* our clock, when it came */
	monotime_t came_at;
	monotime_t asked_at; /* when the request was made, and signed */
};

/*
 * By how much the other clock is ahead of ours. false: it does not tell. A
 * Date with an Age was some cache's a while ago.
 */
bool skew_measure(const struct skew_head *, int64_t *ms);

/* What is known of a provider's clock; all zeroes: nothing yet. */
struct skew {
	int64_t offset_ms;    /* to be added to our clock */
	monotime_t learnt_at; /* if it ever was */
	bool learnt;
};

enum skew_verdict {
	SKEW_NO,     /* clocks are not the matter */
	SKEW_LEARNT, /* the offset has changed: sign anew */
	SKEW_BY_NOW, /* it has, since the request was signed: sign anew */
};

/*
 * A provider has refused a request with that code. The offset changes only
 * by much: a wrong key is refused with the codes of a wrong clock, and would
 * be tried for ever.
 */
enum skew_verdict skew_refused(
    struct skew *, struct span code, const struct skew_head *);

#endif

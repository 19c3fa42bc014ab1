/*
 * An answer of a provider, read as its bytes come: interim heads are
 * skipped, the final head is told, then its body, by length, in chunks or to
 * the end of the connection (RFC 9112 6.3). A pure codec: no socket, no loop.
 */
#ifndef AGENTD_ANSWER_H
#define AGENTD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/http1.h"
#include "common/span.h"

enum answer_event {
	ANSWER_MORE, /* nothing to tell: more bytes */
	ANSWER_HEAD, /* head is filled; its spans point into the input */
	ANSWER_DATA, /* a piece of the body: data views it */
	ANSWER_END,  /* the answer is whole */
	ANSWER_BAD,  /* error says why: end the connection */
};

struct answer {
	enum {
		ANSWER_IN_HEAD,
		ANSWER_IN_BODY,
		ANSWER_IS_WHOLE,
		ANSWER_IS_BAD,
	} state;
	bool bodiless; /* the request was HEAD */
	http1_keep_fn *keep;
	struct http1_body body;
	size_t scanned; /* of the head that is coming */
	size_t heads;	/* bytes of those before it */
	bool close;	/* the connection takes no further request */
	const char *error;
};

/* method: of the request. keep: which fields of the head are wanted. */
void answer_init(struct answer *, const char *method, http1_keep_fn *keep);

/*
 * Reads from the front of in and returns how many bytes it used, which are
 * gone then; of a head only all or none. Call again, also with what is left
 * and be it nothing, until the event is ANSWER_MORE, ANSWER_END or
 * ANSWER_BAD, which stay. Heads beyond 64 KiB in all, and a coding of the
 * body that nobody asked for, are errors.
 */
size_t answer_read(struct answer *, struct span in, enum answer_event *,
    struct http1_response *head, struct span *data);

/*
 * The connection has ended, and all bytes were read: is the answer whole?
 * A body without framing ends so.
 */
bool answer_ended(const struct answer *);

#endif

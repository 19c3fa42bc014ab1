/*
 * Server-sent events (WHATWG HTML 9.2) as an incremental splitter that holds
 * nothing but a few bytes of state: the data of an event is handed on in
 * pieces as it passes, so that no line or event has to fit anywhere.
 */
#ifndef COMMON_SSE_H
#define COMMON_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

#define SSE_NAME_MAX 64 /* longer event names are cut there */

struct sse_handler {
	/*
	 * Bytes of the data field; several calls make one event, lines of one
	 * event are joined by "\n" as the standard says.
	 */
	void (*on_data)(void *arg, struct span piece);
	/*
	 * The event is over (empty line). name is "" if it had none;
	 * has_data says whether it had a data field at all: by the standard
	 * it is no event without. end is the offset behind the event in the
	 * bytes given to this sse_feed() call; the LF of a final CRLF may come
	 * with the next one.
	 */
	void (*on_event)(
	    void *arg, const char *name, bool has_data, size_t end);
	/*
	 * A line began with "{", which no field does: some providers end a
	 * stream with a bare JSON document when they fail. These are its bytes
	 * and all that follow, line ends included; there will be no further
	 * event. May be NULL: such lines are ignored as any other.
	 */
	void (*on_stray)(void *arg, struct span piece);
};

struct sse {
	const struct sse_handler *handler;
	void *arg;
	char field[8];
	size_t field_len;
	char name[SSE_NAME_MAX + 1];
	size_t name_len;
	unsigned state;
	unsigned bom;
	bool has_data, last_cr, skip_blank;
};

void sse_init(struct sse *, const struct sse_handler *, void *arg);
/* CR, LF and CRLF end lines, wherever the bytes are cut. */
void sse_feed(struct sse *, struct span bytes);

#endif

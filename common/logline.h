/*
 * One structured line of a log, as logfmt (key=value) or as a JSON object.
 * Every byte of a value that could end it, end the line or move a terminal's
 * cursor is escaped, so that nothing from outside can forge a line or a
 * field (d11).
 */
#ifndef COMMON_LOGLINE_H
#define COMMON_LOGLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/span.h"

enum logline_format { LOGLINE_JSON, LOGLINE_LOGFMT };

#define LOGLINE_TIME_MAX  40
#define LOGLINE_VALUE_MAX 512 /* bytes of a value as it is written */

struct logline {
	struct buf *out;
	enum logline_format format;
	const char *group; /* NULL: none is open */
	bool comma;
};

/* Begins a line at the end of out with time (RFC 3339, UTC) and event. */
void logline_begin(struct logline *, struct buf *out, enum logline_format,
    int64_t time_ms, const char *event);
/* Text; a long one is cut, which "..." at its end says. Keys are ours. */
void logline_str(struct logline *, const char *key, struct span value);
void logline_uint(struct logline *, const char *key, uint64_t);
void logline_bool(struct logline *, const char *key, bool);
/* Microseconds as milliseconds: 12.345. Negative is 0. */
void logline_ms(struct logline *, const char *key, int64_t us);
/* Members of an object, which logfmt writes as group.key; not nested. */
void logline_open(struct logline *, const char *group);
void logline_close(struct logline *);
void logline_end(struct logline *);

#endif

/*
 * JSON documents as trees, for what is small and read whole: price files,
 * commands of hubctl, an agent's announcement. yajl is behind it and its
 * header is included in json.c alone. User requests and answers go through
 * common/jscan.h instead.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/span.h"

enum json_type {
	JSON_NULL,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_OBJECT,
	JSON_ARRAY,
};

struct json {
	enum json_type type;
	char *key;	    /* of a member of an object, else NULL */
	char *text;	    /* of strings (decoded, no NUL inside) and
			       numbers (as written) */
	struct json *first; /* of objects and arrays, in order */
	struct json *next;
};

/*
 * Parses one document. NULL if it is not JSON, deeper than 64, has a
 * duplicate key in one object, or a string with U+0000; then error (if cap
 * is not 0) says what and in which line.
 */
struct json *json_parse(struct span text, char *error, size_t cap);
void json_free(struct json *);
/* The same for a document with secrets: overwrites its texts. */
void json_wipe(struct json *);

/* The member of that key, or NULL; obj may be NULL or not an object. */
const struct json *json_get(const struct json *obj, const char *key);
/* Text of a string member, or NULL. */
const char *json_get_str(const struct json *obj, const char *key);
/* An integer member within int64, or fallback. */
int64_t json_get_int(const struct json *obj, const char *key, int64_t fallback);
bool json_get_bool(const struct json *obj, const char *key, bool fallback);

/*
 * Writer: appends to a buffer, puts the commas itself. Strings are escaped;
 * bytes that are not UTF-8 become U+FFFD.
 */
struct jout {
	struct buf *out;
	bool comma;
};

void jout_init(struct jout *, struct buf *out);
void jout_begin_object(struct jout *);
void jout_end_object(struct jout *);
void jout_begin_array(struct jout *);
void jout_end_array(struct jout *);
void jout_key(struct jout *, const char *);
void jout_str(struct jout *, const char *); /* NULL writes null */
void jout_span(struct jout *, struct span);
void jout_int(struct jout *, int64_t);
void jout_uint(struct jout *, uint64_t);
void jout_bool(struct jout *, bool);
void jout_null(struct jout *);
void jout_raw(struct jout *, const char *); /* a value that is JSON already */
/* key and value in one call */
void jout_kstr(struct jout *, const char *key, const char *);
void jout_kint(struct jout *, const char *key, int64_t);
void jout_kuint(struct jout *, const char *key, uint64_t);
void jout_kbool(struct jout *, const char *key, bool);
/* The quoted, escaped form of s alone: nothing in it that a terminal would
 * obey, or that is no UTF-8. */
void json_quote(struct buf *, struct span s);

#endif

/*
 * What http1_field.c has for http1_head.c: classes of characters, steps of
 * a cursor, and the fields of a head with what they say about the message.
 */
#ifndef COMMON_HTTP1_PRIVATE_H
#define COMMON_HTTP1_PRIVATE_H

#include "common/http1.h"

#define HTTP1_TOKEN  1
#define HTTP1_TARGET 2
#define HTTP1_HOST   4
#define HTTP1_DIGIT  8

extern const uint8_t http1_class_of[256];

/* What the fields say about the message, of requests and of responses. */
struct http1_facts {
	const char *why;
	struct span host;
	uint64_t length;
	bool has_host, has_length, chunked, close;
	bool connection_upgrade, has_upgrade, expect_continue, coded;
};

struct http1_cursor {
	const char *p, *end;
};

static inline bool
http1_is_class(char c, uint8_t class)
{
	return ((http1_class_of[(uint8_t)c] & class) != 0);
}

/* The characters of that class that come next, perhaps none. */
static inline struct span
http1_take_class(struct http1_cursor *c, uint8_t class)
{
	const char *from = c->p;

	while (c->p < c->end && http1_is_class(*c->p, class))
		c->p++;
	return (span_of(from, (size_t)(c->p - from)));
}

/* Exactly these bytes come next: HTTP1_OK, HTTP1_BAD or HTTP1_MORE. */
enum http1_error http1_take_text(struct http1_cursor *, struct span text);
/* At the first control character (not a tab) or at the end. */
const char *http1_skip_value(const char *p, const char *end);
/* A name or address with or without port; not empty. */
bool http1_is_host(struct span);
/* All fields and the empty line behind them; facts begins as zeroes and
 * comes from all of them, also from those that keep (NULL: all) drops. */
enum http1_error http1_take_fields(struct http1_cursor *,
    struct http1_field *fields, size_t *nfields, http1_keep_fn *keep,
    struct http1_facts *);

#endif

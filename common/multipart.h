/*
 * A scanner of multipart/form-data bodies (RFC 7578, RFC 2046 5.1) that is
 * fed bytes as they come and keeps bounded state whatever the size of a file
 * in them. It is strict: where parsers are known to differ (text before the
 * first or behind the last boundary, a boundary behind half a line end,
 * folded fields, quotes with a backslash) the body is BAD, for whoever reads
 * it after us must find the same fields.
 */
#ifndef COMMON_MULTIPART_H
#define COMMON_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define MULTIPART_BOUNDARY_MAX 70   /* RFC 2046 */
#define MULTIPART_TEXT	       256  /* bytes kept of a value */
#define MULTIPART_NAME	       128  /* longer names are BAD */
#define MULTIPART_LINE	       2048 /* of a part's head; longer is BAD */
#define MULTIPART_HEAD	       8192 /* all lines of one */
#define MULTIPART_PARTS	       1024 /* more are BAD */

struct multipart_field {
	struct span name;
	bool file;	  /* it has a filename */
	struct span text; /* the first MULTIPART_TEXT bytes of the value */
	bool cut;	  /* that is not all */
	uint64_t size;	  /* of the value */
	uint64_t begin;	  /* its offset in the body */
};

enum multipart_result {
	MULTIPART_MORE,
	MULTIPART_DONE,	   /* the last boundary was read */
	MULTIPART_STOPPED, /* the handler returned false */
	MULTIPART_BAD,
};

/* A whole field; the spans are valid in the call. */
typedef bool multipart_fn(void *arg, const struct multipart_field *);

/* In place; no memory is allocated. */
struct multipart {
	multipart_fn *fn;
	void *arg;
	enum multipart_result result;
	unsigned state;
	uint64_t offset;
	unsigned parts;

	char mark[MULTIPART_BOUNDARY_MAX + 2]; /* "--" and the boundary */
	size_t mark_len, matched;
	unsigned line_end; /* what came before the bytes matched */

	char line[MULTIPART_LINE];
	size_t line_len, head_len;
	bool cr, named;

	struct multipart_field field;
	char name[MULTIPART_NAME];
	char text[MULTIPART_TEXT];
	size_t text_len;
};

/*
 * The boundary of a content-type field "multipart/form-data; boundary=...";
 * n = 0 if it is another type, or the boundary is missing, there twice or
 * not as RFC 2046 wants it. It points into type.
 */
struct span multipart_boundary(struct span type);

/* boundary is copied; it is one that multipart_boundary() has found. */
void multipart_init(
    struct multipart *, struct span boundary, multipart_fn *, void *arg);
/* Once it is not MORE or DONE it stays so; nothing but blanks and line ends
 * may follow the last boundary. */
enum multipart_result multipart_feed(struct multipart *, struct span bytes);

#endif

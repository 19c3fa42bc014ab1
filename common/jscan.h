/*
 * A JSON scanner that is fed bytes as they come and keeps bounded state
 * whatever the size of the document or of a string in it (d07). It checks
 * the grammar (RFC 8259) strictly and reports members and values with their
 * place in the structure, so that nothing is ever found by text search.
 *
 * Keys and scalar values are kept up to JSCAN_TEXT bytes; longer ones are
 * reported cut, with cut set (their true size is known).
 */
#ifndef COMMON_JSCAN_H
#define COMMON_JSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define JSCAN_DEPTH 64	/* deeper is an error */
#define JSCAN_TEXT  256 /* bytes kept of a key or scalar, escapes decoded */

enum jscan_type {
	JSCAN_OBJECT, /* begin; the end is reported by on_close */
	JSCAN_ARRAY,
	JSCAN_STRING,
	JSCAN_NUMBER, /* its text as written */
	JSCAN_TRUE,
	JSCAN_FALSE,
	JSCAN_NULL,
};

struct jscan;

struct jscan_value {
	enum jscan_type type;
	struct span text; /* of strings (decoded) and numbers (raw) */
	bool cut;	  /* text is only the first JSCAN_TEXT bytes */
	bool escaped;	  /* a string had escapes */
	uint64_t size;	  /* bytes of the decoded string */
	uint64_t begin;	  /* offsets of the value in the document, quotes */
	uint64_t end;	  /* and brackets included; end of objects and
			     arrays is known only in on_close */
};

struct jscan_handler {
	/*
	 * A member's key. Its value follows. depth counts the open objects
	 * and arrays around it (1 for members of the top object). begin is
	 * the offset of its opening quote. Return false to stop: jscan_feed()
	 * then fails with JSCAN_STOPPED. May be NULL.
	 */
	bool (*on_key)(struct jscan *, void *arg, unsigned depth,
	    struct span key, bool cut, bool escaped, uint64_t begin);
	/* A scalar, or the beginning of an object or array. */
	bool (*on_value)(struct jscan *, void *arg, unsigned depth,
	    const struct jscan_value *);
	/* The end of an object or array; offset is one past its bracket. May
	 * be NULL. depth is that of the value itself, as in on_value. */
	bool (*on_close)(
	    struct jscan *, void *arg, unsigned depth, uint64_t offset);
	/* Pieces of a string that is a value, decoded, before its on_value:
	 * for those who need all of it. May be NULL. */
	void (*on_text)(struct jscan *, void *arg, struct span piece);
};

enum jscan_result {
	JSCAN_MORE,    /* the document is not complete */
	JSCAN_DONE,    /* one whole value was read; only blanks may follow */
	JSCAN_STOPPED, /* a handler returned false */
	JSCAN_BAD,     /* not JSON, bad UTF-8, lone surrogate or too deep */
};

/* In place; no memory is allocated. About 1 KiB. */
struct jscan {
	const struct jscan_handler *handler;
	void *arg;
	uint64_t offset;    /* bytes read so far */
	const char *origin; /* of the bytes under way, in jscan_feed() */
	uint64_t begin;	    /* of the token under way */
	uint64_t size;	    /* of the string under way */
	enum jscan_result result;
	unsigned state, depth;
	uint32_t code, high; /* \u escapes */
	uint32_t utf8;
	uint8_t nhex, literal;
	bool is_key, cut, escaped;
	bool lenient; /* see jscan_be_lenient() */
	uint8_t stack[JSCAN_DEPTH + 1];
	uint32_t index[JSCAN_DEPTH + 1]; /* element number in arrays */
	size_t text_len;
	char text[JSCAN_TEXT];
};

void jscan_init(struct jscan *, const struct jscan_handler *, void *arg);
/*
 * Takes what is wrong inside of strings only, where it cannot change the
 * structure: lone surrogates (read as U+FFFD), bytes that are not UTF-8 and
 * control characters. For answers that are metered, not judged.
 */
void jscan_be_lenient(struct jscan *);
/* Once BAD, STOPPED it stays so. Bytes behind DONE but blanks are BAD. */
enum jscan_result jscan_feed(struct jscan *, struct span bytes);
/* The input has ended: completes a top-level number; DONE or BAD. */
enum jscan_result jscan_finish(struct jscan *);
/* Element number, from 0, of the innermost open array. */
uint32_t jscan_index(const struct jscan *);

/* A non-negative integer without fraction or exponent that fits; "6.0" and
 * the like are accepted if the fraction is all zeroes. */
bool jscan_count(struct span number, uint64_t *out);

#endif

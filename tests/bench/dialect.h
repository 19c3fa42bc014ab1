/* The dialects that the load generator asks in. */
#ifndef TESTS_BENCH_DIALECT_H
#define TESTS_BENCH_DIALECT_H

#include <stdbool.h>
#include <stddef.h>

#define NUMBER "0000000" /* stands in each request, behind "number " */

struct dialect {
	const char *name;
	/* '@' stands for the model in these. */
	const char *path, *stream_path;
	const char *body;   /* without its last brace */
	const char *stream; /* members more that ask for a stream */
	const char *fields; /* header fields; the key goes to their end */
	/* Bytes of the first event of a stream; 0: not all of it is there. */
	size_t (*event)(const char *, size_t);
};

/* NULL: no such dialect. */
const struct dialect *dialect_find(const char *name);
/* A whole request, ending in '\0'; the caller's to free. */
char *dialect_request(const struct dialect *, const char *model,
    const char *key, bool streamed, size_t *len);

#endif

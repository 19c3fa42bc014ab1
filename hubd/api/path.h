/*
 * Patterns of paths, as they stand in endpoints.def and target.c; private to
 * this room. A pattern is literal but for
 *	*	one segment that does not matter
 *	{model}	a model's name, which may hold slashes where the pattern
 *		ends behind it or goes on with a literal end
 *	{name}	a model's that has neither slash nor colon
 *	{id}	one segment of [A-Za-z0-9_.-], 128 bytes at most
 * and has at most one of the last three.
 */
#ifndef HUBD_API_PATH_H
#define HUBD_API_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

#define PATH_ID_MAX 128

/* Does the whole path fit? name is what stands for the placeholder, as
 * written; n = 0: there is none. No "*" is understood. */
bool path_fits(const char *pattern, struct span path, struct span *name);
/*
 * Does the path begin like that? rest is what follows then. A {model} is
 * one segment here.
 */
bool path_begins(const char *pattern, struct span path, struct span *rest,
    struct span *name);
/*
 * Decodes a name once into out, terminated. False: an encoding is broken,
 * it is too long for cap, not UTF-8, or holds NUL, control characters, a
 * backslash or a segment of one or two dots.
 */
bool path_decode(struct span name, char *out, size_t cap);

#endif

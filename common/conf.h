/*
 * Configuration files: libconfuse's syntax read strictly into a struct that
 * a table describes. What libconfuse is lenient about is refused here with
 * file and line: an unknown or repeated key, `+=`, an unset ${VARIABLE}
 * without ${VARIABLE:-default}, an octal, a bad unit.
 *
 *	key = value		key = {"a", "b"}	# comment
 *	section { key = value }		section "title" { key = value }
 *
 * Sizes take k, m, g (powers of 1024); durations ms, s, m, h, d, and a bare
 * number of them is seconds.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/span.h"

#define CONF_LIST_MAX 16

/* A list of strings; zeroed is empty. The items belong to the struct. */
struct conf_list {
	char *item[CONF_LIST_MAX];
	size_t n;
};

enum conf_type {
	CONF_STR,  /* char *, heap; NULL without value and default */
	CONF_LIST, /* struct conf_list; one value without braces is fine */
	CONF_INT,  /* uint32_t */
	CONF_SIZE, /* uint64_t, bytes */
	CONF_TIME, /* int64_t, milliseconds */
	CONF_BOOL, /* bool: true, yes, on, false, no, off */
	CONF_ENUM, /* an enum from 0 on, by the words of a table */
};

#define CONF_REQUIRED 1 /* no default: the file must name it */
#define CONF_NONEMPTY 2 /* CONF_STR, CONF_LIST: "" and {} are errors */

struct conf_option {
	const char *name;
	enum conf_type type;
	size_t offset;	 /* of the field in the struct */
	const char *def; /* as in a file, lists with commas; NULL: none */
	unsigned flags;
	uint64_t min, max;	  /* INT, SIZE, TIME (ms); max 0: the type's */
	const char *const *words; /* CONF_ENUM, NULL at the end */
	/* Says what is wrong with a string or item, or NULL: none of it is
	 * repeated in the message, it may be a secret. */
	const char *(*check)(const char *value);
	size_t set_offset;  /* of a bool: the file names it; 0: none */
	size_t line_offset; /* of an unsigned: its line; 0: none */
	unsigned mark;	    /* the caller's own, for conf_serialise() */
};

struct conf_section {
	const char *name;
	const struct conf_option *options;
	size_t noptions;
	/*
	 * Without titles: a section occurs at most once and its offsets are
	 * those of the outer struct. With them: each occurrence is an element
	 * of an array of structs of that size; the outer struct holds a
	 * pointer to the array (heap) and a size_t count, an element its
	 * title (char *) at title_offset and its line (unsigned) at
	 * line_offset, if that is not 0.
	 */
	bool titled;
	size_t size, array_offset, count_offset, title_offset, line_offset;
};

struct conf_schema {
	const struct conf_option *options;
	size_t noptions;
	const struct conf_section *sections;
	size_t nsections;
};

/*
 * Reads a file into a zeroed struct, defaults included. -1 refuses it:
 * error says why, with file and line, and the struct is freed and zero.
 */
int conf_read(const struct conf_schema *, const char *path, void *out,
    char *error, size_t cap);
/* The same from memory; name stands for the file in messages. */
int conf_parse(const struct conf_schema *, const char *name, struct span text,
    void *out, char *error, size_t cap);
/* Only the defaults: for programs that can run without a file. */
void conf_defaults(const struct conf_schema *, void *out);
/* Frees what the fields hold, not the struct, and zeroes them. */
void conf_free(const struct conf_schema *, void *out);

/*
 * The options that wanted() likes as text for another process, and back
 * into a zeroed struct: what is not there stays zero. Elements of titled
 * sections go with their first option. conf_deserialise(): -1 if the text
 * is broken.
 */
void conf_serialise(const struct conf_schema *, const void *,
    bool (*wanted)(const struct conf_option *, void *arg), void *arg,
    struct buf *);
int conf_deserialise(const struct conf_schema *, struct span text, void *out);
/* The same of another version's text: what is not known here is left out. */
void conf_deserialise_known(
    const struct conf_schema *, struct span text, void *out);

#endif

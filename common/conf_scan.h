/*
 * Where each key of a configuration stands, private to conf*.c: libconfuse
 * forgets it, and takes repeated keys and open sections for good.
 */
#ifndef COMMON_CONF_SCAN_H
#define COMMON_CONF_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/span.h"

struct conf_place {
	char *section; /* "" at the top */
	unsigned nth;  /* occurrence of the section of that name, from 0 */
	char *key;     /* "" for the section itself */
	unsigned line;
};

enum conf_token {
	CONF_T_WORD,
	CONF_T_STRING,
	CONF_T_EQUALS,
	CONF_T_OPEN,
	CONF_T_CLOSE,
	CONF_T_COMMA,
	CONF_T_END,
};

struct conf_scan {
	struct conf_place *places;
	size_t nplaces;
	enum conf_scan_state {
		CONF_S_KEY,    /* a key or the end of a section may come */
		CONF_S_AFTER,  /* a word was read: a key or a section */
		CONF_S_TITLED, /* a word and a title: a section */
		CONF_S_VALUE,  /* behind "=" */
		CONF_S_LIST,
	} state;
	char *word; /* of CONF_S_AFTER */
	unsigned word_line;
	char *section; /* that is open, or NULL */
	unsigned nth;
};

/* Takes the next token. NULL, or what is wrong with it. */
const char *conf_scan_token(
    struct conf_scan *, enum conf_token, struct span word, unsigned line);
const struct conf_place *conf_scan_find(const struct conf_scan *,
    const char *section, unsigned nth, const char *key);
void conf_scan_fini(struct conf_scan *);

/*
 * Copies text for libconfuse: without comments, with ${NAME} and
 * ${NAME:-default} replaced by quoted values, lines where they were; notes
 * the places. -1: error says why.
 */
int conf_expand(const char *name, struct span text, struct conf_scan *,
    struct buf *out, char *error, size_t cap);

#endif

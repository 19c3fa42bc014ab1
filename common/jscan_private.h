/*
 * What the halves of the scanner share: jscan.c has the grammar, jscan_chars.c
 * those characters of strings that are not plain.
 */
#ifndef COMMON_JSCAN_PRIVATE_H
#define COMMON_JSCAN_PRIVATE_H

#include "common/jscan.h"

enum jscan_state {
	ST_VALUE,	 /* a value must follow */
	ST_VALUE_OR_END, /* behind '[' */
	ST_KEY,		 /* behind ',' in an object */
	ST_KEY_OR_END,	 /* behind '{' */
	ST_COLON,
	ST_AFTER, /* behind a value inside of something */
	ST_STRING,
	ST_UTF8, /* inside of a multi-byte character */
	ST_ESCAPE,
	ST_HEX,
	ST_LOW_BACKSLASH, /* the second half of a surrogate pair */
	ST_LOW_U,
	ST_LITERAL,
	ST_MINUS,
	ST_ZERO,
	ST_INT,
	ST_POINT,
	ST_FRACTION,
	ST_EXP,
	ST_EXP_SIGN,
	ST_EXP_DIGITS,
	ST_END,
};

static inline const char *
jscan_bad(struct jscan *s, const char *p)
{
	s->result = JSCAN_BAD;
	return (p);
}

/* Keeps bytes of a token, as far as there is room. */
static inline void
jscan_keep(struct jscan *s, const char *p, size_t n)
{
	size_t room = JSCAN_TEXT - s->text_len;

	s->size += n;
	if (n > room) {
		s->cut = true;
		n = room;
	}
	memcpy(s->text + s->text_len, p, n);
	s->text_len += n;
}

/* Bytes of a string. */
static inline void
jscan_add(struct jscan *s, const char *p, size_t n)
{
	if (s->handler != NULL && s->handler->on_text != NULL && !s->is_key &&
	    n > 0)
		s->handler->on_text(s, s->arg, span_of(p, n));
	jscan_keep(s, p, n);
}

/* ---- jscan_chars.c: where it goes on ------------------------------------- */

/* Takes characters beyond ASCII until another byte comes; in ST_UTF8, on in
 * the one that is under way. */
const char *jscan_utf8_run(struct jscan *, const char *p, const char *end);
/* Takes the next byte of an escape, in a state from ST_ESCAPE to ST_LOW_U. */
const char *jscan_escape_step(struct jscan *, const char *p);

#endif

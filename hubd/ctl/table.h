/*
 * Tables for people: columns as wide as they need to be, numbers to the
 * right, money at its decimal point. What would be wider than 80 columns is
 * made narrower by cutting names, never ids or numbers.
 */
#ifndef HUBD_CTL_TABLE_H
#define HUBD_CTL_TABLE_H

#include "common/buf.h"
#include "common/json.h"

#define TABLE_WIDTH   80
#define TABLE_COLUMNS 12

enum column_kind {
	COLUMN_END,  /* ends a list of columns */
	COLUMN_ID,   /* text that is never cut */
	COLUMN_NAME, /* text that may be cut */
	COLUMN_LIST, /* array of texts; may be cut */
	COLUMN_NUMBER,
	COLUMN_MONEY,	    /* decimal text, aligned at the point */
	COLUMN_PER_MILLION, /* the same, USD a unit shown a million units */
	COLUMN_LENGTH,	    /* milliseconds */
	COLUMN_LIMIT,	    /* a number; 0 shows as "-" */
	COLUMN_INPUT,	    /* sum of a usage object's input side */
	COLUMN_OUTPUT,	    /* ... and of its output side */
	COLUMN_TIME,	    /* RFC 3339; shown to the second */
};

struct column {
	enum column_kind kind;
	const char *title, *member;
};

/*
 * Appends the table of an array of objects to out, titles first. second, if
 * not NULL, are columns of a second, indented line under each row.
 */
void table_put(struct buf *out, const struct json *rows,
    const struct column *columns, const struct column *second);

/* The text of one value, as a cell of that kind shows it; appended. */
void table_cell(struct buf *out, enum column_kind, const struct json *value);

/* A text from anywhere, for a terminal: what would control that is written as
 * \xNN. Appended. */
void table_text(struct buf *out, const char *);

/* Decimal text times 10^places, exactly; appended. */
void decimal_shift(struct buf *out, const char *text, unsigned places);

#endif

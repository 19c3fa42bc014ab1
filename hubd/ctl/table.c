/* Tables for people. */
#include "hubd/ctl/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/utf8.h"
#include "hubd/ctl/when.h"
#include "shm/usage.h"

#define GAP	    2
#define INDENT	    2
#define NARROWEST   8 /* a name is not cut below this */
#define PER_MILLION 6

/* ---- cells -------------------------------------------------------------- */

static int64_t
number_of(const struct json *v)
{
	return (v->type == JSON_NUMBER ? strtoll(v->text, NULL, 10) : 0);
}

void
table_text(struct buf *out, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t left = strlen(s), n;

	while (left > 0) {
		if ((n = utf8_shown(p, left)) > 0)
			buf_add(out, p, n);
		else {
			buf_addf(out, "\\x%02x", *p);
			n = 1;
		}
		p += n;
		left -= n;
	}
}

static void
put_list(struct buf *out, const struct json *v)
{
	const struct json *e;

	if (v->type == JSON_ARRAY && v->first == NULL)
		buf_addstr(out, "-");
	for (e = v->first; e != NULL; e = e->next) {
		table_text(out, e->text == NULL ? "-" : e->text);
		if (e->next != NULL)
			buf_addstr(out, ",");
	}
}

static void
put_simple(struct buf *out, const struct json *v)
{
	switch (v->type) {
	case JSON_STRING:
	case JSON_NUMBER:
		table_text(out, *v->text == '\0' ? "-" : v->text);
		break;
	case JSON_TRUE:
		buf_addstr(out, "yes");
		break;
	case JSON_FALSE:
		buf_addstr(out, "no");
		break;
	case JSON_NULL:
		buf_addstr(out, "-");
		break;
	case JSON_OBJECT:
	case JSON_ARRAY:
		put_list(out, v);
		break;
	}
}

/* Without its fraction of a second. */
static void
put_time(struct buf *out, const char *text)
{
	const char *point = strchr(text, '.');

	if (point == NULL) {
		table_text(out, text);
		return;
	}
	buf_add(out, text, (size_t)(point - text));
	table_text(out, point + strspn(point, ".0123456789"));
}

/* Sum over one side of {"input":12,"output":3}. */
static void
put_side(struct buf *out, const struct json *usage, enum usage_side side)
{
	struct usage u = {{0}};
	int64_t n;
	int i;

	for (i = 0; i < USAGE_KINDS; i++) {
		n = json_get_int(usage, usage_kind_str((enum usage_kind)i), 0);
		u.n[i] = n > 0 ? (uint64_t)n : 0;
	}
	buf_addf(out, "%" PRIu64, usage_sum(&u, side));
}

void
table_cell(struct buf *out, enum column_kind kind, const struct json *v)
{
	char text[WHEN_TEXT];

	if (v == NULL) {
		buf_addstr(out, "-");
	} else if (kind == COLUMN_PER_MILLION && v->type == JSON_STRING) {
		decimal_shift(out, v->text, PER_MILLION);
	} else if (kind == COLUMN_LENGTH && v->type == JSON_NUMBER) {
		when_format_length(number_of(v), text);
		buf_addstr(out, text);
	} else if (kind == COLUMN_INPUT) {
		put_side(out, v, USAGE_SIDE_INPUT);
	} else if (kind == COLUMN_OUTPUT) {
		put_side(out, v, USAGE_SIDE_OUTPUT);
	} else if (kind == COLUMN_LIMIT && number_of(v) == 0) {
		buf_addstr(out, "-");
	} else if (kind == COLUMN_TIME && v->type == JSON_STRING) {
		put_time(out, v->text);
	} else {
		put_simple(out, v);
	}
}

/* ---- layout ------------------------------------------------------------- */

struct cell {
	char *text;
	size_t width; /* characters, not bytes */
	size_t whole; /* of a decimal number: width in front of its point */
};

struct lane {
	const struct column *column;
	size_t width, whole, fraction;
};

struct table {
	struct lane lanes[TABLE_COLUMNS];
	size_t ncolumns, nrows;
	struct cell *cells; /* row by row */
};

static size_t
characters(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return (n);
}

static bool
is_decimal(enum column_kind k)
{
	return (k == COLUMN_MONEY || k == COLUMN_PER_MILLION);
}

static bool
is_right(enum column_kind k)
{
	return (k == COLUMN_NUMBER || k == COLUMN_LIMIT || k == COLUMN_LENGTH ||
		k == COLUMN_INPUT || k == COLUMN_OUTPUT || is_decimal(k));
}

static bool
may_cut(enum column_kind k)
{
	return (k == COLUMN_NAME || k == COLUMN_LIST);
}

static void
make_cell(struct cell *cell, const struct column *c, const struct json *row)
{
	struct buf text = {0};

	table_cell(&text, c->kind, json_get(row, c->member));
	cell->text = xmemdup0(buf_ptr(&text), buf_len(&text));
	cell->width = characters(cell->text);
	cell->whole = strcspn(cell->text, ".");
	buf_fini(&text);
}

static void
widen(struct lane *lane, const struct cell *cell)
{
	size_t fraction = cell->width - cell->whole;

	if (!is_decimal(lane->column->kind)) {
		if (cell->width > lane->width)
			lane->width = cell->width;
		return;
	}
	if (cell->whole > lane->whole)
		lane->whole = cell->whole;
	if (fraction > lane->fraction)
		lane->fraction = fraction;
	if (lane->whole + lane->fraction > lane->width)
		lane->width = lane->whole + lane->fraction;
}

static size_t
total_width(const struct table *t, size_t indent)
{
	size_t i, sum = indent;

	for (i = 0; i < t->ncolumns; i++)
		sum += t->lanes[i].width + (i > 0 ? GAP : 0);
	return (sum);
}

/* Takes from the widest column of names until it fits, or cannot. */
static void
squeeze(struct table *t, size_t indent)
{
	struct lane *widest;
	size_t i;

	while (total_width(t, indent) > TABLE_WIDTH) {
		widest = NULL;
		for (i = 0; i < t->ncolumns; i++) {
			if (may_cut(t->lanes[i].column->kind) &&
			    t->lanes[i].width > NARROWEST &&
			    (widest == NULL ||
				t->lanes[i].width > widest->width))
				widest = &t->lanes[i];
		}
		if (widest == NULL)
			return;
		widest->width--;
	}
}

static void
table_init(struct table *t, const struct json *rows, const struct column *c,
    size_t indent)
{
	const struct json *row;
	size_t i, at = 0;

	memset(t, 0, sizeof(*t));
	for (row = rows->first; row != NULL; row = row->next)
		t->nrows++;
	for (i = 0; i < TABLE_COLUMNS && c[i].kind != COLUMN_END; i++) {
		t->lanes[i].column = &c[i];
		t->lanes[i].width = characters(c[i].title);
		t->ncolumns++;
	}
	t->cells = xcalloc(t->nrows * t->ncolumns + 1, sizeof(*t->cells));
	for (row = rows->first; row != NULL; row = row->next) {
		for (i = 0; i < t->ncolumns; i++, at++) {
			make_cell(&t->cells[at], &c[i], row);
			widen(&t->lanes[i], &t->cells[at]);
		}
	}
	squeeze(t, indent);
}

static void
table_fini(struct table *t)
{
	size_t i;

	for (i = 0; i < t->nrows * t->ncolumns; i++)
		free(t->cells[i].text);
	free(t->cells);
}

/* ---- lines -------------------------------------------------------------- */

static void
blanks(struct buf *out, size_t n)
{
	while (n-- > 0)
		buf_addstr(out, " ");
}

/* The first n characters of s. */
static void
put_cut(struct buf *out, const char *s, size_t n)
{
	const char *p = s;

	while (*p != '\0' && (n > 0 || ((unsigned char)*p & 0xc0) == 0x80)) {
		n -= ((unsigned char)*p & 0xc0) != 0x80;
		p++;
	}
	buf_add(out, s, (size_t)(p - s));
}

static void
put_aligned(struct buf *out, const struct lane *lane, const struct cell *c)
{
	size_t width = c->width, left = 0;

	if (width > lane->width) {
		put_cut(out, c->text, lane->width - 1);
		buf_addstr(out, "+");
		return;
	}
	if (is_decimal(lane->column->kind))
		left = lane->width - lane->fraction - c->whole;
	else if (is_right(lane->column->kind))
		left = lane->width - width;
	blanks(out, left);
	buf_addstr(out, c->text);
	blanks(out, lane->width - width - left);
}

static void
trim_line(struct buf *out)
{
	while (buf_len(out) > 0 && out->mem[out->end - 1] == ' ')
		out->end--;
	buf_addstr(out, "\n");
}

static void
put_titles(struct buf *out, const struct table *t, size_t indent)
{
	struct lane lane;
	struct cell cell;
	size_t i;

	blanks(out, indent);
	for (i = 0; i < t->ncolumns; i++) {
		lane = t->lanes[i];
		cell = (struct cell){.width = characters(lane.column->title)};
		blanks(out, i > 0 ? GAP : 0);
		if (is_right(lane.column->kind))
			blanks(out, lane.width - cell.width);
		buf_addstr(out, lane.column->title);
		if (!is_right(lane.column->kind))
			blanks(out, lane.width - cell.width);
	}
	trim_line(out);
}

static void
put_row(struct buf *out, const struct table *t, size_t row, size_t indent)
{
	size_t i;

	blanks(out, indent);
	for (i = 0; i < t->ncolumns; i++) {
		blanks(out, i > 0 ? GAP : 0);
		put_aligned(
		    out, &t->lanes[i], &t->cells[row * t->ncolumns + i]);
	}
	trim_line(out);
}

void
table_put(struct buf *out, const struct json *rows,
    const struct column *columns, const struct column *second)
{
	struct table a, b;
	size_t i;

	table_init(&a, rows, columns, 0);
	put_titles(out, &a, 0);
	if (second != NULL) {
		table_init(&b, rows, second, INDENT);
		put_titles(out, &b, INDENT);
	}
	for (i = 0; i < a.nrows; i++) {
		put_row(out, &a, i, 0);
		if (second != NULL)
			put_row(out, &b, i, INDENT);
	}
	table_fini(&a);
	if (second != NULL)
		table_fini(&b);
}

/* Decimal text times a power of ten: exact, because it only moves a point. */
#include <string.h>

#include "hubd/ctl/table.h"

static const char *
skip_zeros(const char *s)
{
	while (s[0] == '0' && s[1] != '\0')
		s++;
	return (s);
}

void
decimal_shift(struct buf *out, const char *text, unsigned places)
{
	struct buf digits = {0};
	size_t whole, fraction, moved;
	const char *point, *s;

	if (*text == '-') {
		buf_addstr(out, "-");
		text++;
	}
	point = strchr(text, '.');
	whole = point == NULL ? strlen(text) : (size_t)(point - text);
	fraction = point == NULL ? 0 : strlen(point + 1);
	moved = fraction < places ? fraction : places;

	buf_add(&digits, text, whole);
	if (point != NULL)
		buf_add(&digits, point + 1, moved);
	for (; places > moved; places--)
		buf_addstr(&digits, "0");
	s = skip_zeros(buf_cstr(&digits));
	buf_addstr(out, s);
	if (fraction > moved) {
		buf_addstr(out, ".");
		buf_addstr(out, point + 1 + moved);
	}
	buf_fini(&digits);
}

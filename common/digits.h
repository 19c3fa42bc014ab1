/* Decimal digits of a number, without the cost of a format string. */
#ifndef COMMON_DIGITS_H
#define COMMON_DIGITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DIGITS_MAX 20 /* of UINT64_MAX */

/* Writes n in decimal, without an end; the number of digits. */
static inline size_t
digits_put(char out[DIGITS_MAX], uint64_t n)
{
	char text[DIGITS_MAX], *at = text + sizeof(text);
	size_t len;

	do
		*--at = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	len = (size_t)(text + sizeof(text) - at);
	memcpy(out, at, len);
	return (len);
}

/* The same with zeros in front, width digits in all; n has no more. */
static inline void
digits_put_padded(char *out, unsigned width, uint64_t n)
{
	while (width-- > 0) {
		out[width] = (char)('0' + n % 10);
		n /= 10;
	}
}

#endif

/* CRC-32, eight bytes a step by tables that are made at the first use. */
#include "common/crc32.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0xedb88320u /* of IEEE 802.3, reflected */

static uint32_t table[8][256];

static void
make_tables(void)
{
	uint32_t c;

	for (unsigned i = 0; i < 256; i++) {
		c = i;
		for (int bit = 0; bit < 8; bit++)
			c = (c >> 1) ^ (c & 1 ? POLYNOMIAL : 0);
		table[0][i] = c;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = (table[k - 1][i] >> 8) ^
				      table[0][table[k - 1][i] & 255];
}

static uint32_t
step8(uint32_t crc, const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	w = le64toh(w) ^ crc;
	return (table[7][w & 255] ^ table[6][w >> 8 & 255] ^
		table[5][w >> 16 & 255] ^ table[4][w >> 24 & 255] ^
		table[3][w >> 32 & 255] ^ table[2][w >> 40 & 255] ^
		table[1][w >> 48 & 255] ^ table[0][w >> 56]);
}

uint32_t
crc32_add(uint32_t crc, const void *bytes, size_t n)
{
	static bool made;
	const uint8_t *p = bytes;

	if (!made)
		make_tables();
	made = true;
	crc = ~crc;
	for (; n >= 8; n -= 8, p += 8)
		crc = step8(crc, p);
	for (; n > 0; n--, p++)
		crc = (crc >> 8) ^ table[0][(crc ^ *p) & 255];
	return (~crc);
}

/* CRC-32 by a table of 16 entries: small, and fast enough for rows. */
#include "common/crc32.h"

static const uint32_t nibbles[16] = {0x00000000, 0x1db71064, 0x3b6e20c8,
    0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320,
    0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278,
    0xbdbdf21c};

uint32_t
crc32_add(uint32_t crc, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t i;

	crc = ~crc;
	for (i = 0; i < n; i++) {
		crc ^= p[i];
		crc = (crc >> 4) ^ nibbles[crc & 15];
		crc = (crc >> 4) ^ nibbles[crc & 15];
	}
	return (~crc);
}

/* CRC-32 (ISO 3309; the one of Ethernet, zip and event streams). */
#ifndef COMMON_CRC32_H
#define COMMON_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc, 0 at first, so that a message may come in pieces. */
uint32_t crc32_add(uint32_t crc, const void *, size_t n);

#endif

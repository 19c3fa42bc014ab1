/*
 * What a child is told at its birth: in a sealed file at a fixed descriptor,
 * its role's part of the configuration behind it. Master and children are
 * of one binary, so a plain struct will do.
 */
#ifndef HUBD_BIRTH_H
#define HUBD_BIRTH_H

#include <stdint.h>

#include "hubd/hub.h"

#define BIRTH_FD    3
#define BIRTH_MAGIC 0x68746269u
#define BIRTH_TITLE "hubd: " /* how argv[0] of a child begins */

struct birth {
	uint32_t magic;
	uint32_t role; /* enum process_role */
	uint32_t slot;
	process_ref_t me;
	int32_t master; /* its pid */
	struct hub_fds fds;
	uint32_t conf_size; /* bytes of text behind this struct */
};

#endif

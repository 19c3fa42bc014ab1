/*
 * Starting a child and what it is told: in a sealed file at a fixed
 * descriptor, its part of the configuration behind it. Parents and children
 * are of one binary, so a plain struct will do. Parents are the master and,
 * for its offspring, billing.
 */
#ifndef HUBD_BIRTH_H
#define HUBD_BIRTH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "hubd/hub.h"

#define BIRTH_FD      3
#define BIRTH_FDS_MAX 128
#define BIRTH_MAGIC   0x68746269u
#define BIRTH_TITLE   "hubd: " /* how argv[0] of a child begins */

struct birth {
	uint32_t magic;
	uint32_t role; /* enum process_role; ROLE_NONE: billing's offspring */
	uint32_t slot;
	process_ref_t me; /* of a role: its process row */
	int32_t parent;	  /* its pid: who dies with it */
	struct hub_fds fds;
	uint32_t offspring; /* of ROLE_NONE: enum offspring_kind */
	int32_t client;	    /* of ROLE_NONE: a descriptor, or -1 */
	uint32_t conf_size; /* bytes of text behind this struct */
};

/* Descriptors of a child: src[i] becomes number BIRTH_FD + i; the first is
 * that of its birth. */
struct birth_fds {
	int src[BIRTH_FDS_MAX];
	int n;
};

void birth_fds_init(struct birth_fds *);
/* Adds one of the caller's; the number it will have, or -1 for -1. */
int birth_fds_add(struct birth_fds *, int fd);

/*
 * Forks and executes this program as "hubd: NAME" with these descriptors and
 * nothing else of the caller's: a clean environment, no other file, signals
 * ignored that are the master's to act on. magic, parent and conf_size are
 * filled in. own_log: it writes to a log of its own, not to stderr. Returns
 * the pid, or -1 (logged).
 */
pid_t birth_give(struct birth *, struct birth_fds *, const struct buf *conf,
    const char *name, bool own_log);

#endif

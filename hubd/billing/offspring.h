/*
 * Children of billing: processes that may block where billing must not. Each
 * is this program executed anew ("hubd: errand", "hubd: courier") with
 * billing's part of the configuration and shared memory to read; it dies
 * with billing.
 */
#ifndef HUBD_BILLING_OFFSPRING_H
#define HUBD_BILLING_OFFSPRING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "hubd/hub_conf.h"
#include "shm/shm.h"

struct billing;
struct offspring;

enum offspring_kind {
	OFFSPRING_ERRAND,
	OFFSPRING_COURIER,
	OFFSPRING_TIDIER,
	OFFSPRING_KINDS
};

/*
 * Starts one. Between it and billing is a pair of stream sockets; billing's
 * end is non-blocking and closed by offspring_end(). Its end of file says
 * that the child is gone or about to be. client: a descriptor that the child
 * gets as well, or -1; it stays the caller's. NULL: it could not be started
 * (logged).
 */
struct offspring *offspring_start(
    struct billing *, enum offspring_kind, int client);
int offspring_socket(const struct offspring *);
/* 0: it is gone. */
pid_t offspring_pid(const struct offspring *);
/* Closes the socket and kills it if it lives; it is reaped, without waiting
 * for it, when it is gone. Not to be used any more. NULL is fine. */
void offspring_end(struct offspring *);

/* In the child: what the entry function of the kind is given. */
struct offspring_self {
	struct hub_conf *conf;
	struct shm *shm; /* read-only */
	int socket;	 /* to billing; blocking */
	int client;	 /* -1: none; non-blocking, for billing has it, too */
};

/* Entry functions: they return the exit status. */
int errand_main(struct offspring_self *);
int courier_main(struct offspring_self *);
int tidier_main(struct offspring_self *);

#endif

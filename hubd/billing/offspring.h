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

struct billing;
struct offspring;

enum offspring_kind { OFFSPRING_ERRAND, OFFSPRING_COURIER };

/*
 * Starts one. socket is billing's end of a stream pair to it, non-blocking,
 * closed by offspring_end(). client: a descriptor that it gets as well, or
 * -1; it stays the caller's. NULL: it could not be started (logged).
 */
struct offspring *offspring_start(
    struct billing *, enum offspring_kind, int client);
int offspring_socket(const struct offspring *);
pid_t offspring_pid(const struct offspring *);
/* Kills it if it lives, reaps it, closes the socket. */
void offspring_end(struct offspring *);

/* In the child: what main() of the role is given. */
struct offspring_self {
	struct hub_conf *conf;
	struct shm *shm; /* read-only */
	int socket;	 /* to billing; blocking */
	int client;	 /* -1: none; blocking */
};

int errand_main(struct offspring_self *);
int courier_main(struct offspring_self *);

#endif

/*
 * What hubd's processes share: roles, what a child is started with, and the
 * messages between master and children. Process rooms include this and shm,
 * never each other.
 */
#ifndef HUBD_HUB_H
#define HUBD_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "hubd/hub_conf.h"
#include "shm/call.h"
#include "shm/process.h"
#include "shm/shm.h"

#define HUB_MAX_WORKERS 64

/*
 * What processes of two versions say to each other while one takes over
 * from the other: the messages below, the queue, relays, the sealed file of
 * TLS, and what a master hands to the next. Changes with any of them: another
 * number refuses an upgrade in place. Options come and go without it
 * (hub_conf_inherit()).
 */
#define HUB_PROTOCOL 1

/*
 * Descriptors that a child is born with; -1 where the role has none.
 *
 *	channel	  SEQPACKET to the master; its EOF means: end
 *	run, pub  shared memory (pub read-only but for billing)
 *	lock	  the OFD lock on run_dir/hubd.lock, only held
 *	listen	  a worker's: its slot's listeners, one an address
 *	relay	  a worker's: its own Unix listener; admin, billing: none
 *	queue	  DGRAM: workers write call names, billing reads
 *	tls	  a worker's: certificates and keys, sealed (tls_pack.h)
 *	wake	  eventfds by slot: billing writes all, a worker reads its own
 *	control	  billing's: the listening socket of hubctl
 *	admin	  admin's: listeners of admin_listen
 */
#define HUB_MAX_LISTEN 8

struct hub_fds {
	int channel, run, pub, lock;
	int listen[HUB_MAX_LISTEN];
	int nlisten;
	int relay, queue, control, tls;
	int wake[HUB_MAX_WORKERS];
	int nwake;
};

/* In front of every message between master and children (hubmsg.def). */
struct hubmsg_head {
	uint32_t type;
	uint32_t size;	 /* of the payload behind this head */
	uint32_t cookie; /* of a request that wants an answer; else 0 */
	uint32_t flags;	 /* HUBMSG_FORCE, HUBMSG_RETIRE */
};
#define HUBMSG_FORCE 1
/* With DRAIN: a successor takes over, nobody is to notice. */
#define HUBMSG_RETIRE 2

/* A child as its entry function finds itself: privileges dropped, mapped,
 * its row LIVE, PDEATHSIG set. */
struct hub_child {
	enum process_role role;
	uint32_t slot;	  /* of a worker */
	process_ref_t me; /* its process row */
	struct shm *shm;
	struct hub_fds fds;
	struct hub_conf *conf; /* this role's part only; replaced on reload */
	struct loop *loop;
	struct loop_io *channel_io;
	struct loop_timer *beat_timer;
	/* set by the role before it runs the loop; any may be NULL */
	void (*on_drain)(struct hub_child *);
	void (*on_reload)(struct hub_child *, struct hub_conf *fresh,
	    uint32_t cookie, bool force);
	void (*on_reopen)(struct hub_child *);
	/* a worker's: serve that slot too, by these listeners, which become
	 * its to close; n = 0: the slot has its own worker back */
	void (*on_neighbour)(
	    struct hub_child *, uint32_t slot, const int *listeners, size_t n);
	/* a worker's: new certificates or ticket keys; fd is only lent */
	void (*on_tls)(struct hub_child *, int fd);
	void (*on_message)(
	    struct hub_child *, uint32_t type, const void *, size_t n);
	void *arg;
	/* of the message that one of these is told of, while it is told */
	struct hubmsg_head head;
};

/* Entry functions: set up, run the loop, return the exit status. */
int worker_main(struct hub_child *);
int billing_main(struct hub_child *);
int admin_main(struct hub_child *);
/* The same of a child of billing, which has no row and no channel
 * (hubd/billing/offspring.h). The configuration becomes its own. */
struct birth;
int offspring_main(const struct birth *, struct hub_conf *);

/*
 * Watches the channel and beats every second: what every child does alike
 * (hubd/child.c). Ends the loop when the master is gone.
 */
void child_attach(struct hub_child *);
/* To the master; false if it could not be sent. */
bool child_send(struct hub_child *, uint32_t type, const void *, size_t n);
/* The same with a cookie and flags; head's size is that of the payload. */
bool child_send_head(
    struct hub_child *, const struct hubmsg_head *, const void *payload);

/* ---- master <-> child -----------------------------------------------------
 */

#define HUBMSG_MAX (192 * 1024)

enum hubmsg_type {
#define MESSAGE(id, from, to, payload) HUBMSG_##id,
#include "hubd/hubmsg.def"
#undef MESSAGE
	HUBMSG_TYPES
};

/* ---- worker -> billing: the queue ---------------------------------------- */

#define QUEUE_MAGIC 0x51627568u

#define QUEUE_NAMES 64 /* at most in one datagram */

/* Names a finished call; a datagram holds up to QUEUE_NAMES of them. Losing
 * one costs 100 ms: the row is the event. */
struct queue_message {
	uint32_t magic;
	uint32_t index;
	uint64_t generation;
};

#endif

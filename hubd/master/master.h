/* The master: what its files share, and its two entry functions. */
#ifndef HUBD_MASTER_MASTER_H
#define HUBD_MASTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/loop.h"
#include "common/monotime.h"
#include "common/tls.h"
#include "hubd/channel.h"
#include "hubd/hub.h"

struct master_options {
	const char *path; /* of hubd.conf */
	bool foreground, verbose;
	char **argv;	   /* as this program was started */
	const char *asked; /* -u: of a running hub, what it hands over */
};

/* What two programs must have in common for one to take over. */
#define TEXT_OF(number)	  #number
#define NUMBER_TEXT(name) TEXT_OF(name)
#define HANDOVER_CONTRACT                                            \
	"layout " NUMBER_TEXT(SHM_LAYOUT) ", protocol " NUMBER_TEXT( \
	    HUB_PROTOCOL)
/* What -u prints last if all is well: the version is between. */
#define TAKES_OVER_BEGIN "hubd "
#define TAKES_OVER_END	 " takes over"

/* Runs the hub; the exit status. */
int master_main(const struct master_options *);
/* -n, -u: says what is wrong, or what the hub would take; 0 or 1. */
int master_check(const struct master_options *);
/* hubd -m: moves hubd.db into the store of the file; the exit status. */
int master_move(const struct master_options *);

/* One place for a child: a worker's slot, billing's, admin's. */
struct seat {
	struct master *m;
	enum process_role role;
	uint32_t slot;
	pid_t pid; /* 0: empty */
	uint32_t row;
	int channel;
	struct loop_io *io;
	struct loop_timer *respawn;
	bool ready;	     /* has said so */
	bool told_drain;     /* this child */
	bool told_retire;    /* this child, for a successor */
	bool retired;	     /* a worker whose slot is another's */
	bool silent;	     /* billing, which does not move: said */
	monotime_t deadline; /* of one that was told to retire */
	monotime_t since;    /* it is taken, or empty */
	monotime_t lost_at;  /* since when nobody serves a worker's slot; 0 */
	int64_t delay_ms;    /* of the next start, if this one fails too */
	struct seat *helper; /* whose worker serves this slot meanwhile */
	pid_t helper_pid;    /* ... as it was then */
};

enum master_stage {
	STAGE_STARTING,
	STAGE_SERVING,
	STAGE_DRAIN_WORKERS,
	STAGE_DRAIN_BILLING,
	STAGE_END_ADMIN,
	STAGE_OVER,
};

/* Whom the hub runs as. */
struct identity {
	bool drop; /* we are root and shall not stay it */
	char user[64];
	uid_t uid;
	gid_t gid;
	bool has_admin;
	gid_t admin_gid; /* of hubctl's users */
};

/* SIGUSR2: the program that is to follow us, while it is checked. */
struct upgrade {
	char *program; /* where it lies */
	int binary;    /* what was found there; -1: none is under way */
	pid_t pid;     /* of the check */
	int out;       /* what it says */
	struct loop_io *io;
	struct buf said;
	monotime_t deadline;
	struct loop_work go; /* it is good */
};

/* Reloads of prices that billing was told of and has not answered. */
struct price_reloads {
	unsigned n;
	uint32_t flags; /* of all of them */
	pid_t told;	/* which billing */
	bool again;	/* in the stead of one that is gone */
};

/* Workers of programs before, as many at most for each slot. */
#define RETIRED_PER_SLOT 2

struct master {
	struct master_options options;
	struct hub_conf *conf;
	struct identity who;
	struct loop *loop;
	int signal_fd;
	struct loop_io *signal_io;
	struct loop_timer *tick;
	monotime_t last_tick, watch_from;
	enum master_stage stage;
	monotime_t deadline; /* of a drain's stage */
	int status;	     /* to exit with */
	bool clean;	     /* billing has booked everything */
	int notify_pipe;     /* to the process that was started; -1 */

	struct shm *shm;
	process_ref_t me;
	int run_ro, pub_ro; /* the files again, read-only */
	int lock, state_lock;
	int listen[HUB_MAX_WORKERS][HUB_MAX_LISTEN];
	int nlisten;
	int admin[HUB_MAX_LISTEN];
	int nadmin;
	int control;
	int tls; /* what workers need for it, sealed; -1: plain text */
	struct tls_ticket_keys tickets;
	monotime_t tickets_at; /* when they last changed */
	int queue[2];	       /* billing reads 0, workers write 1 */
	int wake[HUB_MAX_WORKERS];

	struct seat workers[HUB_MAX_WORKERS];
	struct seat billing, admin_seat;

	struct price_reloads price_reloads;
	struct upgrade upgrade;
	bool taking_over; /* not all children of this program are ready */
	struct seat retired[RETIRED_PER_SLOT * HUB_MAX_WORKERS];
};

/* All seats, one after the other: from 0 until NULL; those of the retired
 * last. */
struct seat *master_seat(struct master *, uint32_t i);
/* All of them, empty. */
void master_make_seats(struct master *);
/* Are those of this program's children all ready? */
bool master_all_ready(struct master *);
struct seat *master_seat_of(struct master *, pid_t);
/* "worker 3" */
const char *seat_name(const struct seat *, char buf[32]);

/* identity.c: setting up; these end the process with a message. */
int identity_find(
    const struct hub_conf *, struct identity *, char *error, size_t cap);
void identity_assume(const struct identity *);
/* Ours, whoever we are at the moment. */
void identity_own(const struct identity *, int fd, const char *path);

/* setup.c */
void setup_folders(struct master *);
void setup_lock(struct master *);
void setup_state_lock(struct master *);
void setup_logs(struct master *);
void setup_limits(void);
void setup_memory(struct master *);
/* After the drop: NULL, or the path that is closed to us, and why. */
const char *setup_closed_path(const struct hub_conf *, const char **why);
void setup_shm_sizes(const struct hub_conf *, struct shm_sizes *);
/* Of that name in run_dir, if it is there. */
void setup_remove_file(struct master *, const char *name);
void setup_remove_files(struct master *);

/* listen.c */
void listen_open(struct master *);
void listen_open_local(struct master *);
/* The Unix listener of the worker in that process row, the caller's; -1
 * (logged). Its name goes with listen_remove_relay(). */
int listen_open_relay(struct master *, uint32_t row);
void listen_remove_relay(struct master *, uint32_t row);

/* tls.c */
/* Reads certificates and keys; ends the process if they are no good. */
void tls_start(struct master *);
/* After the drop: names keys that a reload could not read. */
void tls_warn_of_closed(const struct hub_conf *, const char *user);
/* Reads them again, for all workers. -1: nothing has changed, and why. */
int tls_reload(
    struct master *, const struct hub_conf *fresh, char *error, size_t cap);
/* Changes the keys of tickets when it is time. */
void tls_tick(struct master *, monotime_t now);

/* spawn.c */
void seat_init(
    struct master *, struct seat *, enum process_role, uint32_t slot);
void seat_spawn(struct seat *);
void seat_spawn_later(struct seat *, int64_t ms);
/* To its child, if there is one. */
bool seat_send(struct seat *, uint32_t type, uint32_t cookie, uint32_t flags,
    const void *, size_t n);
void seat_send_fds(struct seat *, uint32_t type, const void *, size_t n,
    const int *fds, size_t nfds);
void seat_vacate(struct seat *);
/* Listens to a child that was there before us. */
void seat_adopt(struct seat *);

/* reap.c */
void reap_children(struct master *);
/* Heartbeats, neighbours, deadlines. */
void watch_tick(void *arg);
/* Slots without a worker get a neighbour. */
void watch_slots(struct master *);
void watch_worker_ready(struct seat *);

/* limits.c: puts addresses in the place of a name of Redis. What is wrong as
 * a static text, or NULL. Asks the resolver, which may take its time. */
const char *limits_resolve(struct hub_conf *);

/* reload.c */
void reload(
    struct master *, struct seat *asker, uint32_t cookie, uint32_t flags);
void reopen_logs(struct master *);
/* What -d and -v change of a configuration. */
void reload_apply_options(const struct master_options *, struct hub_conf *);
void push_conf(struct seat *, uint32_t cookie, uint32_t flags);
/* Billing is ready: tells it what the one before has not lived to do. */
void reload_prices_again(struct master *);
/* It has answered. */
void reload_prices_done(struct master *);

/* drain.c */
void drain_begin(struct master *, const char *why);
void drain_hasten(struct master *);
/* Something has ended, or time has passed: goes on as far as it can. */
void drain_step(struct master *);
bool is_draining(const struct master *);

/* upgrade.c */
/* Finds where the program lies that was started as argv0; for later. */
void upgrade_init(struct master *, const char *argv0);
/* SIGUSR2: checks what lies there now, then executes it in our place. */
void upgrade_begin(struct master *);
/* Was that the check? */
bool upgrade_reaped(struct master *, pid_t, int status);
void upgrade_tick(struct master *, monotime_t now);

/* handover.c */
/* Executes that program in our place, with all that is ours. Returns if it
 * cannot be done (logged); then nothing has changed. */
void handover_give(struct master *, int binary);
/* false: we were started as anybody is. Else all of the master is there but
 * for its loop, and children sit in their seats: workers in those of the
 * retired. */
bool handover_take(struct master *);

/* takeover.c */
/* Starts children of this program; those of the one before retire as soon
 * as there is somebody in their place. */
void takeover_start(struct master *);
/* Somebody is ready. */
void takeover_step(struct master *);
void takeover_tick(struct master *, monotime_t now);
/* A child that had retired, or was about to, is gone. */
void takeover_gone(struct seat *);

/* message.c */
void message_received(struct seat *, const struct channel_message *);

/* daemon.c */
void daemon_start(struct master *);
/* Everything serves: whoever started us may go, with 0. */
void daemon_ready(struct master *);

#endif

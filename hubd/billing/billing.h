/*
 * The billing process: the only one that speaks to the store, the only
 * writer of what is published, and the one that answers hubctl. Private to
 * this room.
 *
 * The order in which a finished call becomes money is law (book.c):
 * commit -> publish the new `available` -> BOOKED -> wake the worker.
 */
#ifndef HUBD_BILLING_BILLING_H
#define HUBD_BILLING_BILLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hubd/billing/directory.h"
#include "hubd/billing/due.h"
#include "hubd/billing/settle.h"
#include "hubd/billing/versions.h"
#include "hubd/hub.h"
#include "hubd/ledger/ledger.h"
#include "shm/counters.h"

#define BATCH_ROWS	  400 /* of one transaction, at most */
#define GATHER_MS	  20  /* how long rows gather behind a commit */
#define SWEEP_MS	  100
#define CHECKPOINT_MS	  2000
#define BACKOFF_MIN	  100 /* ms */
#define BACKOFF_MAX	  5000
#define PRICE_RETRY_MS	  5 /* until a buffer of prices is free */
#define PRICE_PATIENCE_MS 10000

/* What has to be done before calls are booked, in this order. Each step may
 * find the store away and is then tried again. */
enum stage {
	STAGE_OPEN,	 /* open the store */
	STAGE_TABLES,	 /* load accounts, keys, agents */
	STAGE_WHOLE,	 /* of a shared store: all of it was here once */
	STAGE_OLD_ROWS,	 /* calls of a hub before this one */
	STAGE_LEFTOVERS, /* checkpoints whose calls are lost */
	STAGE_PRICES,	 /* prices in force; users are served from here on,
			    when every balance is less what it owes */
	STAGE_SERVING,
};

struct asker;
struct batch;
struct billing;
struct control;
struct offspring;
struct offspring_self;
struct shared;

/* Who tidies up the store (tidy.c). */
struct tidier {
	struct offspring *child; /* NULL: nobody */
	struct loop_io *io;
	unsigned speechless; /* that ended so, one after the other */
	monotime_t since, not_before;
};

/* What it says at its end. */
#define TIDY_DONE  'd'
#define TIDY_LATER 'l' /* somebody reads an older state */

/* Where changes of an errand go, which publishes nothing itself: each is as
 * its namesake of publish.c. */
struct publish_sink {
	bool (*account)(struct billing *, const struct ledger_account *);
	bool (*key)(struct billing *, const struct ledger_key *);
	bool (*agent)(struct billing *, const struct ledger_agent *);
	/* Waits until all of that is in force at this hub; false: it is in
	 * the store, but not in force here yet. */
	bool (*settle)(struct billing *);
};

/* A reload that came too early: before start-up was through, or between two
 * couriers. It follows. */
struct early_reload {
	bool wanted, force;
	uint32_t cookie;
};

struct billing {
	struct hub_child *child; /* NULL in unit tests */
	struct shm *shm;
	struct loop *loop; /* NULL in unit tests, as the timers */
	struct counter_row *count;
	struct hub_conf *conf; /* child->conf */

	struct offspring_self *self; /* an errand's; NULL: this is billing */
	const struct publish_sink *sink; /* an errand's that changes things */

	const struct ledger_ops *ops;
	struct ledger *store;  /* NULL until open */
	char store_error[256]; /* an errand's: why it could not open it */
	enum stage stage;
	bool draining;	      /* end as soon as nothing is left to book */
	monotime_t retire_by; /* for a successor, answered or not; 0 */
	int64_t backoff_ms;   /* 0: the store works */
	monotime_t retry_at;

	struct dir_table accounts, keys, agents;
	struct versions versions;
	struct settler settler;
	amount_t *sum;

	struct due due;
	struct batch *batch;
	uint64_t wake_slots; /* to be woken, a bit a slot */
	monotime_t last_commit;
	uint64_t *checkpointed; /* by row: what its last checkpoint saw */

	struct price_blob *price_waiting; /* until a buffer is free */
	monotime_t price_deadline;
	uint32_t price_cookie; /* of the reload that waits for it */
	bool price_reload;     /* somebody wants to hear of it */
	struct early_reload early_reload;

	struct shared *shared; /* NULL: the store is this hub's own */
	struct control *control;
	unsigned errands; /* that run */
	struct tidier tidier;
	struct loop_io *queue_io;
	struct loop_timer *sweep_timer, *commit_timer, *checkpoint_timer;
	struct loop_timer *retry_timer, *price_timer, *seal_timer;
	struct loop_timer *retire_timer;
};

/* ---- state.c ------------------------------------------------------------- */

/* Without loop, timers and child: those are set by who has them. */
void billing_init(struct billing *, struct shm *, process_ref_t me,
    struct hub_conf *, const struct ledger_ops *);
void billing_fini(struct billing *);

/* ---- store.c: the store and its absences --------------------------------- */

/* Goes on with start-up as far as the store lets it. */
void billing_advance(struct billing *);
/* The store could not do something: back off. */
void store_failed(struct billing *);
/* It could. */
void store_worked(struct billing *);
/* Is it of no use to ask now? */
bool store_waits(const struct billing *);
/* Is it a store that several hubs share, whose copy is here? */
bool store_is_shared(const struct billing *);

/* ---- intake.c ------------------------------------------------------------ */

/* Watches the queue; starts the sweep. */
void intake_start(struct billing *);
void intake_stop(struct billing *);
/* Takes the messages that are there: rows become due. */
void intake_read(struct billing *);
/* Finds what nobody named: FINAL rows, rows of the dead. */
void intake_sweep(struct billing *);
/* Something is due: commits now or when a moment has passed. */
void intake_kick(struct billing *);

/* ---- book.c -------------------------------------------------------------- */

void book_init(struct billing *);
void book_fini(struct billing *);
/* One batch: what is due is booked, published, marked, woken. */
void book_due(struct billing *);
/* What is published has changed: nobody waits for his next event to see. */
void wake_all_workers(struct billing *);
/* Counts one row that was committed. */
void book_count(struct billing *, const struct ledger_row *, nanousd_t cost);
/* Puts a row aside; false: the store is away. */
bool book_suspend(
    struct billing *, req_id_t, const char *reason, const void *raw, size_t n);

/* ---- checkpoint.c -------------------------------------------------------- */

/* Copies calls that have been open for long into the store. */
void checkpoint_run(struct billing *);
/* Bills checkpoints whose calls are in no memory any more. */
enum ledger_result checkpoint_leftovers(struct billing *);

/* ---- oldrows.c ----------------------------------------------------------- */

/* Bills every run_dir/hubd.run.old*. DOWN: the rest later. */
enum ledger_result oldrows_bill(struct billing *);

/* ---- publish.c ----------------------------------------------------------- */

/* Notes which row is whose, as shared memory says. */
void publish_take_over(struct billing *);
/* Reconciles what is published with what is stored. */
enum ledger_result publish_load(struct billing *);
/* The log has how many there are. */
void publish_tell(const struct billing *);
/* Each writes one row; false: the table is full. */
bool publish_account(struct billing *, const struct ledger_account *);
bool publish_key(struct billing *, const struct ledger_key *);
bool publish_agent(struct billing *, const struct ledger_agent *);
/* Reads an account anew and publishes it. */
enum ledger_result publish_balance(struct billing *, uint32_t account);

/* ---- objects.c ----------------------------------------------------------- */

/* Publishes the newest of the store, and takes back what it does not know. */
enum ledger_result objects_load(struct billing *);
/* Publishes what the store says of each object of a row. */
enum ledger_result publish_row_objects(
    struct billing *, const struct ledger_row *);
/* Of one. OK, MISSING (it is none any more) or DOWN. */
enum ledger_result publish_object(struct billing *, const char *id);

/* ---- prices.c ------------------------------------------------------------ */

/* Puts a version in force at start, whatever the files say. */
enum ledger_result prices_start(struct billing *);
/*
 * Loads the files anew. -1: refused, error says why. Else the version goes
 * into force now or soon, and reload_is_over() is called with cookie. While
 * the hub starts and nothing is known to be away, that is after the start;
 * between two couriers it is with the next.
 */
int prices_reload(
    struct billing *, uint32_t cookie, bool force, char *error, size_t cap);
/* Start-up is through, or a courier is there: a reload that waits for both is
 * done. */
void prices_unblocked(struct billing *);
/* Tries to publish what waits for a buffer. */
void prices_retry(struct billing *);
/* The files as a table; -1 and error. The caller frees it. */
int prices_load(
    const struct hub_conf *, struct price_blob **, char *error, size_t cap);
/* Takes the blob over. */
void prices_put_in_force(struct billing *, struct price_blob *);
/* A reload is done when what waits for a buffer is in force. */
void prices_reloaded(struct billing *, uint32_t cookie);

/* ---- shared.c: a store that several hubs share --------------------------- */

/* With the spool open: starts the courier, if there is a loop. */
void shared_start(struct billing *);
void shared_stop(struct billing *);
/* Has all of the store been here once? MISSING: the courier brings it. DOWN.
 * OK also for a store of this hub's own. */
enum ledger_result shared_whole(struct billing *);
/* Rows were committed: they may go on. */
void shared_booked(struct billing *);
/* At shutdown: has all gone on, or as much as time allows? */
bool shared_flushed(struct billing *);
/* Is the one courier gone and the next not there yet? */
bool shared_wants_courier(const struct billing *);
/* Is it known that the shared store does not answer? */
bool shared_is_away(const struct billing *);

/* ---- shared_prices.c ----------------------------------------------------- */

/* Puts the newest version of the file here in force, if another is. MISSING:
 * it has none. */
enum ledger_result prices_newest(struct billing *);
/* As prices_start(); MISSING: the files are on their way to the store, which
 * has none; it goes on when they are a version. */
enum ledger_result shared_prices_start(struct billing *);
/* As prices_reload(), with the files loaded. */
int shared_prices_reload(struct billing *, uint32_t cookie,
    const struct price_blob *, char *error, size_t cap);

/* ---- asker.c ------------------------------------------------------------- */

/* Answers an errand (mirror.h: what errands say) on its socket, which stays
 * the caller's. gone is called when it has ended or makes no sense; the
 * asker may be freed in it. */
struct asker *asker_new(
    struct billing *, int socket, void (*gone)(void *), void *arg);
void asker_free(struct asker *); /* NULL is fine */

/* ---- identity.c ---------------------------------------------------------- */

/* Publishes who this hub and its store are. OK or DOWN. */
enum ledger_result identity_publish(struct billing *);

/* ---- tidy.c -------------------------------------------------------------- */

/* Has the store tidied up if it must be. */
void tidy_look(struct billing *);
void tidy_stop(struct billing *);

/* ---- billing.c ----------------------------------------------------------- */

/* Prices are loaded anew, or not: the master is told, which would have the
 * next billing do it, and whoever waits for it; error NULL: done. */
void reload_is_over(struct billing *, uint32_t cookie, const char *error);
/* That which billing books into, whatever the store: a file of its own. */
const struct ledger_ops *billing_store(const struct hub_conf *);

/* ---- seal.c -------------------------------------------------------------- */

/* Puts old months away, from now on. */
void seal_start(struct billing *);
void seal_stop(struct billing *);
/* `ledger_keep` may have changed: looks now. */
void seal_look(struct billing *);

/* ---- control.c ----------------------------------------------------------- */

void control_start(struct billing *);
/* Takes no more clients: they wait for a successor. Is nobody left? */
bool control_rest(struct billing *);
/* The user id of who asks, while his command runs. */
uint32_t control_asker(const struct billing *);
/* Answers whoever waits for that reload; error NULL: done. */
void control_reloaded(struct billing *, uint32_t cookie, const char *error);

#endif

/*
 * The two files of shared memory. hubd.run holds live state and is mapped
 * read-write by master, workers and billing; hubd.pub holds what billing
 * publishes and is mapped by everyone else from a descriptor that was opened
 * read-only. Both lie in run_dir, are made by the master before the first
 * child, and hold offsets, never pointers.
 *
 * Layout of each file: struct shm_header, then its tables at the offsets the
 * header names, each aligned to 64 bytes.
 */
#ifndef SHM_SHM_H
#define SHM_SHM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHM_LAYOUT    4 /* changes with any change of a shared struct */
#define SHM_RUN_MAGIC UINT64_C(0x6875626472756e31) /* "hubdrun1" */
#define SHM_PUB_MAGIC UINT64_C(0x6875626470756231) /* "hubdpub1" */

enum shm_table {
	SHM_T_PROCESS,
	SHM_T_COUNTERS,
	SHM_T_REGISTRY,
	SHM_T_CALL,
	SHM_T_CELLS,
	SHM_T_BUCKETS,
	SHM_T_RUN_STATE,
	SHM_T_PRICES,
	SHM_T_KEYS,
	SHM_T_KEY_INDEX,
	SHM_T_ACCOUNTS,
	SHM_T_AGENTS,
	SHM_T_OBJECTS,
	SHM_T_OBJECT_INDEX,
	SHM_T_PUB_STATE,
	SHM_TABLES
};

/* Fixed at start; kept in both headers. */
struct shm_sizes {
	uint32_t workers; /* listener slots */
	uint32_t nprocs;  /* process rows: see shm_nprocs() */
	uint32_t max_calls;
	uint32_t max_keys;
	uint32_t max_accounts;
	uint32_t max_agents;
	uint32_t max_objects; /* 0: none are kept */
};

struct shm_header {
	uint64_t magic;
	uint32_t layout;
	uint32_t header_size;
	uint64_t file_size;
	struct shm_sizes sizes;
	char build[32];	  /* VERSION of the master */
	char boot_id[40]; /* of the kernel: rows of another boot are old */
	int64_t created_ms;
	uint64_t table_at[SHM_TABLES]; /* 0: not in this file */
	_Atomic uint32_t ready;	       /* stored last, 1 */
	uint32_t pad;
};

/* One process's view of both files. */
struct shm {
	struct shm_header *run; /* NULL if only pub is mapped */
	struct shm_header *pub;
	struct shm_sizes sizes;
	uint32_t call_row_size; /* smaller in an old file */
	int run_fd, pub_fd;	/* owned: shm_detach() closes them */
	bool run_writable, pub_writable;
	void *table[SHM_TABLES]; /* checked addresses */
};

enum shm_access {
	SHM_RUN_RW_PUB_RO, /* master, workers */
	SHM_RUN_RW_PUB_RW, /* billing */
	SHM_RUN_RO_PUB_RO, /* admin, hubctl */
};

/* Rows for master, billing, admin and 4 generations of every worker slot:
 * a dead worker's row is used again only when billing has settled it. */
uint32_t shm_nprocs(uint32_t workers);
/* The first rows, which no worker takes: master, admin, and two of billing
 * should one outlive its channel. */
#define SHM_OTHER_PROCS 4

/* A master of that version has taken over: they are its files now. */
void shm_set_build(struct shm *, const char *version);

/* Bytes that each file takes with these sizes. */
uint64_t shm_run_bytes(const struct shm_sizes *);
uint64_t shm_pub_bytes(const struct shm_sizes *);

/*
 * Makes both files (O_EXCL, 0640, posix_fallocate) in run_dir and maps them
 * read-write. The caller has dealt with old ones: shm_retire(). Sets up what
 * is constant in the tables and the ready flags. NULL with a logged reason.
 */
struct shm *shm_create(const char *run_dir, const struct shm_sizes *);

/*
 * Maps files by inherited descriptors; checks magic, layout, sizes, ready.
 * pub_fd must have been opened read-only unless access says otherwise.
 * NULL with a logged reason.
 */
struct shm *shm_attach(int run_fd, int pub_fd, enum shm_access);
/* The same by path, read-only: for hubctl. NULL with errno; ENOEXEC for
 * another layout. */
struct shm *shm_open_readonly(const char *run_dir);
void shm_detach(struct shm *);

/*
 * Opens an old hubd.run by path and maps it read-write for recovery,
 * whatever its sizes, if its magic is right and its layout can be read.
 * The caller knows by the lock that its hub is gone: every process in it is
 * made DEAD. NULL with errno: ENOENT there is none; ENOEXEC it cannot be read.
 */
struct shm *shm_open_old(const char *path);
/* Renames a file that cannot be read aside (path.unreadable.TIME). */
int shm_retire(const char *path);

/* The address of a table in whichever file holds it. */
void *shm_table(const struct shm *, enum shm_table);

/* ---- hub-wide words of hubd.run ------------------------------------------ */

struct run_state {
	_Atomic uint64_t registry_version; /* grows when a route may change */
	_Atomic uint32_t draining;	   /* the hub is going down */
	_Atomic uint32_t spawned;	   /* children started so far */
	_Atomic uint32_t restarts;	   /* of children that died */
	_Atomic uint32_t calls_top; /* rows from here on were never taken;
				       0: nobody has kept it */
	int64_t started_ms;
	int64_t started_mono_ns;
	uint64_t unused; /* holds the place of a figure that is counted now */
	_Atomic uint64_t old_rows_billed; /* from files of before */
	_Atomic uint64_t old_rows_unread;
};
struct run_state *shm_run_state(const struct shm *);

/* ---- hub-wide words of hubd.pub ------------------------------------------ */

#define PUB_NO_PRICES UINT32_MAX

struct pub_state {
	_Atomic uint64_t epoch;		/* grows with each price version */
	_Atomic uint32_t loaded;	/* first load is done: serve */
	_Atomic uint32_t price_current; /* which buffer, or PUB_NO_PRICES */
	_Atomic uint32_t store_ok;	/* last commit succeeded */
	_Atomic uint32_t naccounts, nkeys, nagents; /* rows in use */
	_Atomic uint64_t suspense;
	_Atomic uint64_t keys_version; /* grows when keys, accounts or
					  agents change */
	char store[16];
	/* Of a store that several hubs share: what this hub has booked and
	 * the store has not yet, and since when; 0: nothing waits. */
	_Atomic uint64_t spooled;
	_Atomic int64_t spooled_since_ms;
	_Atomic uint32_t shared_ok; /* the shared store answers */
	uint32_t pad;
	char store_id[40]; /* a UUID: hubs of one store have the same */
	char hub_id[40];   /* a UUID: of this state_dir */
	uint64_t spare[3];
};
struct pub_state *shm_pub_state(const struct shm *);

#endif

/*
 * The store: accounts, keys, agents, price versions, and the ledger. A
 * backend is one file with one table of functions (struct ledger_ops);
 * billing is its only user. Calls may block on the disk.
 *
 * Money goes in and out as exact decimal text.
 */
#ifndef HUBD_LEDGER_LEDGER_H
#define HUBD_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ids.h"
#include "hubd/price/amount.h"
#include "shm/object.h"
#include "shm/pricetab.h"
#include "shm/usage.h"

#define LEDGER_NAME_MAX 64 /* of accounts, keys, agents; with terminator */
#define LEDGER_ID_MAX	40 /* of a UUID as text */

struct ledger; /* an open store */

enum ledger_result {
	LEDGER_OK,
	LEDGER_CONFLICT, /* exists already, or differs from what is stored */
	LEDGER_MISSING,	 /* no such account, key, agent */
	LEDGER_REFUSED,	 /* the store refuses the row by its content */
	LEDGER_DOWN,	 /* disk full, locked, away: try again later */
};

struct ledger_account {
	uint32_t id; /* from 1, never reused */
	char name[LEDGER_NAME_MAX];
	bool disabled;
	bool overdraft_unlimited;
	char overdraft[AMOUNT_TEXT_MAX];
	char balance[AMOUNT_TEXT_MAX];
	char spent[AMOUNT_TEXT_MAX];
	/* Of a store that several hubs share: the number of its last change
	 * there, and what this hub has booked and the store has not yet,
	 * which balance is less by already. 0 and "" else. */
	int64_t seq;
	char owed[AMOUNT_TEXT_MAX];
};

struct ledger_key {
	char id[24];	 /* "key_..." */
	uint32_t number; /* from 1, never reused */
	uint32_t account;
	char name[LEDGER_NAME_MAX];
	uint8_t hash[32];	   /* SHA-256 of the key */
	uint8_t old_hash[32];	   /* of the key before a rotation */
	int64_t old_until_ms;	   /* 0: no old key */
	uint32_t rpm, concurrency; /* 0: no limit */
	uint64_t tpm;
	int64_t expires_ms; /* 0: never */
	int64_t created_ms;
	uint8_t revoked;  /* as in struct pub_key: 2 also cuts its requests */
	char models[192]; /* "a,b*" or "" for all */
};

struct ledger_agent {
	uint32_t id; /* from 1, never reused */
	char name[LEDGER_NAME_MAX];
	uint8_t token_hash[32];
	char models[192];
	char providers[128];
	uint32_t replicas; /* instances that may serve at once; 0 = 1 */
	bool revoked, draining;
};

/* A finished call, as it is billed. Strings are "" when unknown. */
struct ledger_row {
	req_id_t id;
	int64_t time_ms; /* of admission */
	uint32_t account;
	char account_name[LEDGER_NAME_MAX]; /* filled by queries */
	char key[24];
	char agent[LEDGER_NAME_MAX];
	char provider[32];
	char dialect[16];
	char endpoint[32];
	char model[PRICE_NAME_MAX];
	char price[PRICE_NAME_MAX]; /* entry's name */
	char tier[16];
	uint64_t price_version;
	int status;
	bool stream;
	char outcome[16]; /* complete cancelled failed timed_out orphaned */
	unsigned attempts;
	struct usage usage;
	char amount[AMOUNT_TEXT_MAX];
	char estimated[16];  /* "" or the method's name */
	bool unpriced_kinds; /* a kind counted had no price */
	int64_t duration_ms;
	/* What it did to an object, which is no column of a row: it happens
	 * to table object in the same transaction. */
	struct call_object object;
	uint32_t agent_number; /* who holds it */
	bool again; /* set by book(): another row has billed that object */
};

/* Its usage and amount become nothing: what it bills was billed before. */
void ledger_row_free(struct ledger_row *);

/* Whose an object is, and who holds it. */
struct ledger_object {
	uint64_t number; /* from 1, grows, never reused */
	char id[OBJECT_ID_MAX];
	uint32_t account, agent;
	char provider[32];
	enum object_kind kind;
	int64_t created_ms;
	bool billed; /* of a batch */
};

/* What became of a row in suspense. */
enum suspense_how { SUSPENSE_WAITS, SUSPENSE_RETRIED, SUSPENSE_DROPPED };

struct ledger_suspense {
	int64_t number; /* of this one: an id may have several */
	char id[REQ_ID_TEXT];
	int64_t time_ms;
	char reason[256];
	enum suspense_how how;
	int64_t resolved_ms; /* 0: it waits */
	char by[LEDGER_NAME_MAX], why[256];
	const void *raw; /* as it was put aside; only while it is listed */
	size_t size;
};

enum ledger_change_kind { CHANGE_CHARGE, CHANGE_CREDIT, CHANGE_DEBIT };

struct ledger_filter {
	uint32_t account;  /* 0: all */
	int64_t since_ms;  /* 0: all */
	int64_t until_ms;  /* rows before it; 0: all */
	uint32_t limit;	   /* 0: no end */
	bool oldest_first; /* else the newest first */
};

struct ledger_audit {
	uint64_t rows, changes, accounts;
	uint64_t bad_accounts; /* balance is not the sum of its changes */
	uint64_t bad_rows;     /* amount is not usage x price (full only), or
				  row and charge differ */
	uint64_t unchecked;    /* prices that this hubd cannot read (full) */
	uint64_t suspense;     /* that wait */
	uint64_t sealed;       /* months in files of their own */
	uint64_t absent;       /* of these, whose file is not there: only
				  their recorded sums were counted */
	char first_absent[8];  /* "2026-01", or "" */
	char ledger_sum[AMOUNT_TEXT_MAX];  /* of amounts */
	char charges_sum[AMOUNT_TEXT_MAX]; /* of charge changes */
	char first_bad[128];		   /* which, or "" */
};

/* Whether a store is whole, apart from its sums. */
struct ledger_check {
	char schema[16]; /* its version */
	uint64_t problems;
	char first[256]; /* what is wrong, or "" */
};

struct ledger_ops {
	const char *name; /* "sqlite" */
	/* where: the folder (sqlite) or URL. NULL and error, the bare reason,
	 * on failure. */
	struct ledger *(*open)(const char *where, char *error, size_t cap);
	/* The same for a process that only reads: all it reads is of one
	 * state, that of its first look, and holds up nobody who writes. */
	struct ledger *(*open_to_read)(
	    const char *where, char *error, size_t cap);
	void (*close)(struct ledger *);
	/*
	 * Tidying up (SQLite: its log is copied into the file) is part of
	 * commits, which takes long when a reader has put it off for long.
	 * Who asks is_untidy() takes it upon himself to have it done then: by
	 * tidy() in another process, which holds up nobody, and tidy_rest()
	 * after it. tidy(): OK, little is left; CONFLICT, somebody reads an
	 * older state; DOWN. All NULL: there is nothing to tidy up.
	 */
	bool (*is_untidy)(struct ledger *);
	enum ledger_result (*tidy)(const char *where);
	void (*tidy_rest)(struct ledger *);
	/* The UUID of the store, whoever opens it; "" while a shared one has
	 * not been heard of. NULL if a backend has none. */
	enum ledger_result (*store_id)(
	    struct ledger *, char out[LEDGER_ID_MAX]);

	/*
	 * Books rows in one transaction: each row, its account's balance
	 * change, the removal of its checkpoint, and what it did to an
	 * object. A row that bills an object which another row has billed
	 * becomes one that costs nothing (again). results[i]: OK (also
	 * if an equal row is there already), CONFLICT (a different row is
	 * there) or REFUSED; such rows are left out and the others are
	 * booked. Returns OK, or DOWN with nothing booked.
	 */
	enum ledger_result (*book)(struct ledger *, struct ledger_row *,
	    size_t n, enum ledger_result *results);
	/* A copy of calls still open, replacing what was there for them. */
	enum ledger_result (*checkpoint)(
	    struct ledger *, const struct ledger_row *, size_t n);
	/* Checkpoints left (after power loss): fn for each. */
	enum ledger_result (*each_checkpoint)(struct ledger *,
	    void (*fn)(void *, const struct ledger_row *), void *);
	/* raw: the row as billing found it, whatever it is. CONFLICT: just
	 * that is there already. */
	enum ledger_result (*suspend)(struct ledger *, req_id_t,
	    const char *reason, const void *raw, size_t n);
	/* In the order in which they came; all: also those resolved. */
	enum ledger_result (*each_suspense)(struct ledger *, bool all,
	    void (*fn)(void *, const struct ledger_suspense *), void *);
	/* The oldest of that id that waits; *raw is the caller's to free.
	 * MISSING: none does. */
	enum ledger_result (*suspense_get)(struct ledger *, const char *id,
	    struct ledger_suspense *, void **raw, size_t *n);
	/* Notes what became of it (how, by, why, the time is now); it stays
	 * for ever. CONFLICT: that is noted already; MISSING. */
	enum ledger_result (*suspense_resolve)(
	    struct ledger *, const struct ledger_suspense *);
	enum ledger_result (*object_get)(
	    struct ledger *, const char *id, struct ledger_object *);
	/* Those with the last limit numbers, oldest first. */
	enum ledger_result (*each_object)(struct ledger *, uint32_t limit,
	    void (*fn)(void *, const struct ledger_object *), void *);
	/* All of one state of the store. MISSING: what there is was listed,
	 * but a sealed month that was wanted is not here. */
	enum ledger_result (*each_row)(struct ledger *,
	    const struct ledger_filter *,
	    void (*fn)(void *, const struct ledger_row *), void *);
	/* Recomputes sums; full: also every row from usage and version. */
	enum ledger_result (*audit)(
	    struct ledger *, bool full, struct ledger_audit *);
	/* Is what the store lies in whole: schema, files, references? */
	enum ledger_result (*check)(struct ledger *, struct ledger_check *);
	/*
	 * One step, of a few milliseconds, of putting months away that ended
	 * at or before that time; where to is the store's affair, and all
	 * that reads rows finds them still. *more: there is another step to
	 * do. REFUSED (logged): a month that cannot be put away. NULL in a
	 * store that has nothing of the kind.
	 */
	enum ledger_result (*seal)(
	    struct ledger *, int64_t ended_ms, bool *more);

	/* With its first credit, in one transaction; NULL: none. */
	enum ledger_result (*account_add)(struct ledger *, const char *name,
	    const amount_t *credit, uint32_t *id);
	/* amount > 0 for credit, < 0 for debit. A credit's ref given twice
	 * with the same account and amount changes nothing: OK; with another
	 * amount: CONFLICT. "" and a debit's ref (its reason) may repeat. */
	enum ledger_result (*account_change)(struct ledger *, uint32_t id,
	    enum ledger_change_kind, const amount_t *, const char *ref);
	/* overdraft: NULL leaves it; "unlimited" or decimal text. */
	enum ledger_result (*account_set)(struct ledger *, uint32_t id,
	    const char *overdraft, const bool *disabled);
	enum ledger_result (*account_get)(
	    struct ledger *, uint32_t id, struct ledger_account *);
	enum ledger_result (*each_account)(struct ledger *,
	    void (*fn)(void *, const struct ledger_account *), void *);

	/*
	 * In a store that others change, too: what key_get() and agent_get()
	 * have read in between is changed by nobody else until the end, which
	 * commits if rc is OK and says what has become of it all. Both NULL:
	 * nobody else does. See ledger_change_key().
	 */
	enum ledger_result (*change_begin)(struct ledger *);
	enum ledger_result (*change_end)(
	    struct ledger *, enum ledger_result rc);

	/* MISSING: there is none of that id. */
	enum ledger_result (*key_get)(
	    struct ledger *, const char *id, struct ledger_key *);
	/* number is given by the store; inserts or replaces by id. */
	enum ledger_result (*key_put)(struct ledger *, struct ledger_key *);
	enum ledger_result (*each_key)(struct ledger *,
	    void (*fn)(void *, const struct ledger_key *), void *);
	/* MISSING: there is none of that name. */
	enum ledger_result (*agent_get)(
	    struct ledger *, const char *name, struct ledger_agent *);
	/* id 0 inserts (CONFLICT if the name is taken), else replaces. */
	enum ledger_result (*agent_put)(struct ledger *, struct ledger_agent *);
	enum ledger_result (*each_agent)(struct ledger *,
	    void (*fn)(void *, const struct ledger_agent *), void *);

	/* Stores the blob under the next version number, sets it in it. */
	enum ledger_result (*price_put)(struct ledger *, struct price_blob *);
	/* version 0: the latest. *blob is the caller's to free; MISSING. */
	enum ledger_result (*price_get)(
	    struct ledger *, uint64_t version, struct price_blob **);

	enum ledger_result (*backup)(
	    struct ledger *, const char *path, char *error, size_t cap);
};

extern const struct ledger_ops ledger_sqlite;

/*
 * Reads the key of that id, has fn change it and stores it, so that no change
 * that others make meanwhile is lost; *k is as it is stored. MISSING: there is
 * none. REFUSED, too, if fn returns false: nothing is stored.
 */
enum ledger_result ledger_change_key(const struct ledger_ops *, struct ledger *,
    const char *id, bool (*fn)(void *, struct ledger_key *), void *arg,
    struct ledger_key *k);
/* The same with the agent of that name. */
enum ledger_result ledger_change_agent(const struct ledger_ops *,
    struct ledger *, const char *name,
    bool (*fn)(void *, struct ledger_agent *), void *arg,
    struct ledger_agent *a);

/* The backend that a `store` value names, or NULL. */
const struct ledger_ops *ledger_ops_of(const char *store);

#endif

/* Private to the store in memory: its lists, and what its files share. */
#ifndef HUBD_LEDGER_NULL_PRIVATE_H
#define HUBD_LEDGER_NULL_PRIVATE_H

#include "hubd/ledger/ledger_null.h"

/* A list of things of one size. */
struct list {
	char *items;
	size_t n, cap, size;
};

struct null_suspense {
	struct ledger_suspense s;
	void *raw;
	size_t n;
};

struct null_object {
	struct ledger_object o;
	req_id_t billed_by; /* if o.billed */
};

struct null_change {
	uint32_t account;
	enum ledger_change_kind kind;
	char amount[AMOUNT_TEXT_MAX];
	char ref[256];
};

struct ledger {
	bool down;
	struct list accounts, keys, agents, rows, checkpoints, suspense;
	struct list changes, objects, prices; /* prices: pointers */
	uint64_t last_object;
};

/* The i-th thing of a list. */
void *null_item(const struct list *, size_t i);
/* A copy of a thing at the end of a list; where it is now. */
void *null_append(struct list *, const void *);
/* The account of that id, or NULL. */
struct ledger_account *null_account(struct ledger *, uint32_t id);
/* text += amount, or -= if negative. */
void null_add_text(
    char text[AMOUNT_TEXT_MAX], const amount_t *amount, bool negative);

/* What a row's object means for it, and what it does to it (null_objects.c).
 */
void null_object_before(struct ledger *, struct ledger_row *);
void null_object_after(struct ledger *, const struct ledger_row *);
/* The i-th thing is no more. */
void null_remove(struct list *, size_t i);

/* Operations (struct ledger_ops) of null_objects.c. */
enum ledger_result null_object_get(
    struct ledger *l, const char *id, struct ledger_object *out);
enum ledger_result null_each_object(struct ledger *l, uint32_t limit,
    void (*fn)(void *, const struct ledger_object *), void *arg);

/* Operations (struct ledger_ops) of null_suspense.c. */
enum ledger_result null_suspend(struct ledger *l, req_id_t id,
    const char *reason, const void *raw, size_t n);
enum ledger_result null_each_suspense(struct ledger *l, bool all,
    void (*fn)(void *, const struct ledger_suspense *), void *arg);
enum ledger_result null_suspense_get(struct ledger *l, const char *id,
    struct ledger_suspense *s, void **raw, size_t *n);
enum ledger_result null_suspense_resolve(
    struct ledger *l, const struct ledger_suspense *s);
void null_suspense_free(struct ledger *l);

/* The copy of a call still open is not needed any more. */
void null_drop_checkpoint(struct ledger *, req_id_t);

/* Operations (struct ledger_ops) of null_tables.c. */
enum ledger_result null_account_add(
    struct ledger *l, const char *name, const amount_t *credit, uint32_t *id);
enum ledger_result null_account_change(struct ledger *l, uint32_t id,
    enum ledger_change_kind kind, const amount_t *amount, const char *ref);
enum ledger_result null_account_set(
    struct ledger *l, uint32_t id, const char *overdraft, const bool *disabled);
enum ledger_result null_account_get(
    struct ledger *l, uint32_t id, struct ledger_account *out);
enum ledger_result null_each_account(struct ledger *l,
    void (*fn)(void *, const struct ledger_account *), void *arg);
enum ledger_result null_key_get(
    struct ledger *l, const char *id, struct ledger_key *out);
enum ledger_result null_key_put(struct ledger *l, struct ledger_key *k);
enum ledger_result null_each_key(
    struct ledger *l, void (*fn)(void *, const struct ledger_key *), void *arg);
enum ledger_result null_agent_get(
    struct ledger *l, const char *name, struct ledger_agent *out);
enum ledger_result null_agent_put(struct ledger *l, struct ledger_agent *a);
enum ledger_result null_each_agent(struct ledger *l,
    void (*fn)(void *, const struct ledger_agent *), void *arg);

#endif

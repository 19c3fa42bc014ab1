/*
 * Figures of the hub as a whole, each counted over shared memory when it is
 * asked for: for health, metrics and hubctl.
 */
#ifndef HUBD_GAUGES_H
#define HUBD_GAUGES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/money.h"
#include "shm/process.h"
#include "shm/shm.h"

/* Agents that take requests: registered, not draining, with a live link. */
uint32_t hub_agents_up(const struct shm *);
/* The same question, cheaper: is there any? */
bool hub_any_agent(const struct shm *);
/* Calls that are open, over all workers. Reads every row. */
uint32_t hub_calls_open(const struct shm *);
/*
 * Finished calls that are not booked yet. Billing is not asked: it may be
 * what they wait for. Reads every row.
 */
uint32_t hub_calls_pending(const struct shm *);
/* Live workers, and links to all of them. */
uint32_t hub_workers(const struct shm *);
uint64_t hub_links(const struct shm *);
/* Money held for calls in flight, over all accounts; saturates. */
nanousd_t hub_held(const struct shm *);
/*
 * How long ago billing was last seen to move, in ms: it does each second,
 * unless it waits for its disk. -1: there is none.
 */
int64_t hub_billing_silent_ms(const struct shm *);
/* More than that is no accident of scheduling. */
#define HUB_SILENT_MS 5000
/* The version in force; 0 before the first. */
uint64_t hub_price_version(const struct shm *);

/* Who admits calls: the worst that a live worker says of itself. */
enum process_limits hub_limits(const struct shm *);

#endif

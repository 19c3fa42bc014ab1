/*
 * Errands: commands of hubctl that may take long. Each is run by a child of
 * billing (offspring.h) with a look of its own at the store, which writes
 * the answer to the client itself, while rows are read. Billing keeps the
 * client only to see that it is still there.
 */
#ifndef HUBD_BILLING_ERRAND_H
#define HUBD_BILLING_ERRAND_H

#include "common/span.h"

#define ERRANDS_MAX 16 /* at once */

struct billing;
struct errand;

/*
 * Hands a request line over, and the client that waits for its answer; that
 * stays the caller's. ended(arg) is called when the errand is over, whether
 * or not the client has all of its answer. NULL: *why says why not, for
 * people.
 */
struct errand *errand_start(struct billing *, struct span line, int client,
    void (*ended)(void *arg), void *arg, const char **why);
/* Ends it if it still runs; ended() is not called any more. NULL is fine. */
void errand_end(struct errand *);

#endif

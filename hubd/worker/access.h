/*
 * The access log of a worker: one line a request, one a change of state.
 * Without the option access_log there are no records and every function
 * takes NULL for them.
 */
#ifndef HUBD_WORKER_ACCESS_H
#define HUBD_WORKER_ACCESS_H

#include "hubd/worker/worker.h"

struct access;	   /* what is known of one request */
struct access_log; /* w->access; NULL: there is none */

/* NULL: it is not configured, or cannot be opened, which is logged. */
struct access_log *access_log_new(struct worker *);
void access_log_reopen(struct worker *);
void access_log_free(struct worker *);

/* A request whose head was read; h = NULL: it could not be. */
struct access *access_begin(struct worker *, const char *peer,
    const struct http1_head *h, const char *id);
/* Whose key it has. */
void access_who(struct access *, const struct identity *);
/* Its body has that many bytes. */
void access_body(struct access *, size_t bytes);
/* A small reply is written; error NULL: it is none. */
void access_reply(struct access *, int status, const char *error, size_t bytes);
/* Bytes of a body were written to the user. */
void access_sent(struct access *, size_t bytes);
/* An answer broke off. */
void access_broken(struct access *, enum api_error);
/* The call is FINAL. */
void access_finish(struct access *, enum call_outcome,
    const struct call_progress *, const char *cost);
/* The line; the record is gone. r = NULL: it never became a request. */
void access_end(struct worker *, struct access **, const struct request *r);

/* A change of state: what (NULL: nothing) names the field of name. */
void access_event(struct worker *, const char *event, const char *what,
    const char *name, const char *peer, const char *reason);

#endif

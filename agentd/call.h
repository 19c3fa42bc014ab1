/*
 * One request's life at the agent: its body is gathered, sent to a provider,
 * and the answer goes back as it comes. Every way out leads through
 * call_end().
 */
#ifndef AGENTD_CALL_H
#define AGENTD_CALL_H

#include <stdint.h>
#include <sys/queue.h>

#include "common/h2link.h"
#include "common/span.h"

struct agent;
struct call;
struct link;

LIST_HEAD(call_list, call);

/* Why a call ends; all but CALL_DONE and CALL_CLOSED reset its stream. */
enum call_reason {
	CALL_DONE,	/* the answer was delivered */
	CALL_CLOSED,	/* the hub reset the stream */
	CALL_REFUSED,	/* nothing was done */
	CALL_BROKEN,	/* the provider broke off, or was too slow */
	CALL_TIMED_OUT, /* the whole took too long */
	CALL_LINK_LOST,
};

/* A /call stream has begun. The call joins the list, unless refused. */
void call_begin(struct agent *, struct link *, struct call_list *,
    struct h2stream *, const struct h2_field *, size_t n);
/* What the stream tells (common/h2link.h). */
void call_on_data(struct call *, struct span);
void call_on_end(struct call *);
void call_on_close(struct call *, uint32_t code);
void call_on_writable(struct call *);
/* Tears the call down, whatever it is doing; safe to call twice. */
void call_end(struct call *, enum call_reason);

#endif

/*
 * What the halves of a call share: call.c has its request and its end,
 * call_answer.c what the provider answers.
 */
#ifndef AGENTD_CALL_PRIVATE_H
#define AGENTD_CALL_PRIVATE_H

#include "agentd/agent.h"
#include "agentd/call.h"
#include "agentd/call_want.h"
#include "agentd/provider.h"
#include "agentd/token.h"
#include "agentd/upstream.h"

#define CALL_MAGIC 0x63616c6c

enum call_state {
	STATE_BODY,	 /* the request is coming in */
	STATE_WAITING,	 /* for a credential of the provider's */
	STATE_SENT,	 /* the provider has it */
	STATE_LOOKING,	 /* whose fault its error is, the body tells */
	STATE_STREAMING, /* its answer is going out */
	STATE_ANSWERED,	 /* all is queued for the hub */
	STATE_OVER,
};

struct call {
	unsigned magic;
	enum call_state state;
	LIST_ENTRY(call) entry;
	struct agent *agent;
	struct link *link;
	struct agent_conf *conf;	/* the one it began with */
	struct provider_conf *provider; /* NULL: the hub named none we have */
	struct h2stream *stream;
	struct upstream_req *upstream; /* NULL: none under way */
	struct buf body;
	struct loop_timer *timer;
	monotime_t end_at; /* of the whole */
	monotime_t sent_at;
	size_t queued; /* for the hub, when last written */
	struct call_want want;
	struct credential_wait credential;
	uint64_t credential_version; /* that the request was made with */
	struct loop_work again_work; /* upstream must not be on the stack */
	bool again;		     /* this is the second try */
	struct answer_head *held;    /* while STATE_LOOKING */
	struct buf error; /* then; of a 3xx or 5xx, the first bytes */
	int status;	  /* of the provider's answer; 0: none yet */
};

/* ---- call.c -------------------------------------------------------------- */

/* Nobody else writes state. */
void call_set_state(struct call *, enum call_state);
/* From now on, and not beyond the end of the whole. */
void call_wait_at_most(struct call *, int64_t ms);
/* The answer is not the provider's: 502, and in a word why. */
void call_answer_error(struct call *, const char *error);

/* ---- call_answer.c ------------------------------------------------------- */

/* What becomes of a provider's answer. upstream_start()'s arg is the call. */
extern const struct upstream_handler call_upstream_handler;
/* The call is over: what the provider said, if users are not told. */
void call_log_failure(const struct call *);

#endif

/*
 * A credential that has to be fetched and runs out: an OAuth token, keys of
 * an instance. However many calls wait for it, one fetch is under way (d04);
 * it is refreshed ahead of its end while calls go on with what they have; a
 * server that fails is asked again with growing pauses. The secret is never
 * logged and is wiped when it is replaced.
 *
 * How a fetch goes is the source's matter: a few requests one after the
 * other, made by the provider's file.
 */
#ifndef AGENTD_TOKEN_H
#define AGENTD_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "agentd/provider.h"
#include "common/buf.h"
#include "common/loop.h"
#include "common/span.h"

#define TOKEN_MAX_STEPS	 6     /* requests of one fetch */
#define TOKEN_ANSWER_MAX 65536 /* bytes of an answer's body */
#define TOKEN_WHY_MAX	 256

struct upstream;

/* A request of a fetch. */
struct token_request {
	struct provider_request http;
	struct buf body;
	bool direct; /* past any proxy: the server is on this machine's link */
};

struct token_answer {
	int status;
	struct span body;
	int64_t date_ms;    /* its Date, since 1970; -1: it has none */
	struct span flavor; /* its Metadata-Flavor; empty: none */
};

/* What a fetch brings. */
struct token {
	struct buf secret; /* a bearer token, or what make() understands */
	int64_t life_ms;   /* from now */
};

enum token_step {
	TOKEN_GOT,
	TOKEN_NEXT, /* request() once more, with the next step */
	TOKEN_FAILED,
};

struct token_source {
	/* Makes the request of a step; the first is 0. */
	void (*request)(void *arg, unsigned step, struct token_request *);
	/*
	 * Takes the answer to it. TOKEN_GOT: the token is filled in.
	 * TOKEN_FAILED: why is, for the log and without any secret.
	 */
	enum token_step (*answer)(void *arg, unsigned step,
	    const struct token_answer *, struct token *,
	    char why[TOKEN_WHY_MAX]);
	void (*free)(void *arg);
};

struct credential_options {
	struct loop *loop;
	struct upstream *upstream;
	/* These must outlive the credential. */
	const char *name;    /* of the provider section, for the log */
	const char *proxy;   /* NULL: none */
	bool proxy_loopback; /* use the proxy even for this machine */
	const char *ca_file; /* NULL: the system's */
};

/* arg becomes the credential's; the source frees it. Nothing is fetched
 * before somebody waits. */
struct credential *credential_new(
    const struct credential_options *, const struct token_source *, void *arg);
/* Nobody waits for it any more. NULL is fine. */
void credential_free(struct credential *);

/* why is NULL: the credential is valid now. Else it is for the log. */
typedef void credential_fn(void *arg, const char *why);

/* A place in the queue, part of the caller's object; fn and arg are his. */
struct credential_wait {
	credential_fn *fn;
	void *arg;
	bool waiting; /* private, as is what follows */
	struct credential *credential;
	TAILQ_ENTRY(credential_wait) entry;
};

/*
 * Calls fn once, unless cancelled: before it returns if the credential is
 * valid, or if the last fetch has failed a moment ago.
 */
void credential_await(struct credential *, struct credential_wait *);
/* fn will not be called. Fine if it was. */
void credential_cancel(struct credential_wait *);

/* The secret, as long as nothing returns to the loop; a terminator follows
 * it. Only while valid. */
struct span credential_secret(const struct credential *);
/* Changes with every secret; never 0. */
uint64_t credential_version(const struct credential *);
/*
 * A provider did not take the secret of that version (401). true: wait for
 * the credential and try once more. Many may say so of one secret: it is
 * fetched anew once, and not again for a minute whatever they say.
 */
bool credential_refused(struct credential *, uint64_t version);

#endif

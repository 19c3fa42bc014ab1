/*
 * The providers that the simulator plays: who takes a request, whose
 * credentials it must show, and how each words a refusal.
 */
#ifndef TESTS_SIM_PROVIDER_H
#define TESTS_SIM_PROVIDER_H

#include "tests/sim/sim.h"

struct sim_provider {
	const char *name;
	/* Is the request meant for it? The first in the table has it. */
	bool (*owns)(const struct sim_request *);
	/*
	 * Are the credentials, the version and the address good? If not, the
	 * refusal is in play. NULL: everything is.
	 */
	bool (*admit)(const struct sim_request *, struct play *);
	/* Answers by itself; NULL: recordings and synthetic models do. */
	void (*answer)(const struct sim_request *, struct play *);
	/* A refusal in its own shape; code and message may be NULL. */
	void (*refuse)(
	    struct play *, int status, const char *code, const char *message);
};

extern const struct sim_provider provider_anthropic, provider_aws,
    provider_azure, provider_google, provider_openai;
/* Where agents get credentials from; they answer by themselves. */
extern const struct sim_provider issuer_aws, issuer_entra, issuer_google;

/* Never NULL: OpenAI takes what nobody else does. */
const struct sim_provider *provider_of(const struct sim_request *);
/* Who would have answered a recording of the manifest. */
const struct sim_provider *provider_by_recording(
    const char *provider, const char *endpoint);

/* How a status is usually worded; lists end with status 0 for all others. */
struct wording {
	int status;
	const char *code, *message;
};
/* The one of that status. code and message, if not NULL, go before. */
struct wording wording_of(
    const struct wording *, int status, const char *code, const char *message);

/* ---- what agents must know ---- */

/* Set by options; NULL: nobody has it. Without a key nothing is checked. */
struct sim_secrets {
	const char *key; /* of every provider; Bedrock's bearer too */
	const char *aws_access, *aws_secret, *aws_session;
	const char *client, *client_secret; /* of Entra ID */
};
extern struct sim_secrets sim_secrets;

/* "A:B" or "A:B:C" taken apart in place; false: too few parts. */
bool secrets_split(char *, const char **a, const char **b, const char **c);
/* Is that the key? */
bool is_key(struct span);
/* The token of "Authorization: Bearer"; n = 0 without. */
struct span bearer_of(const struct sim_request *);
/* The value of a header field; n = 0 without. */
struct span field_of(const struct sim_request *, const char *name);
/* Does the path hold that text? */
bool path_has(const struct sim_request *, const char *text);
/*
 * Appends the decoded value of a parameter of an urlencoded text: a query or
 * the body of a form. false: it is not there.
 */
bool param_of(struct span text, const char *name, struct buf *out);

/* ---- issued credentials ---- */

enum issued_kind {
	ISSUED_OAUTH,	  /* Google, for a signed JWT */
	ISSUED_METADATA,  /* Google's metadata server */
	ISSUED_ENTRA,	  /* Entra ID */
	ISSUED_SESSION,	  /* IMDSv2's own */
	ISSUED_ROLE,	  /* AWS instance metadata */
	ISSUED_CONTAINER, /* AWS container */
	ISSUED_KINDS,
};

struct issued {
	enum issued_kind kind;
	char name[64];	   /* a bearer token, or an access key id */
	char secret[64];   /* of an access key */
	char session[128]; /* of an access key */
	int64_t expires;   /* second of the simulator's clock */
};

/* Counts a fetch and makes what it gets; valid until many more are made. */
const struct issued *issue(enum issued_kind);
/* The newest of its kind that is good for more than so many seconds. */
const struct issued *issued_newest(enum issued_kind, int64_t seconds);
/* A live one of that name, or NULL; *expired: there was one. */
const struct issued *issued_find(struct span name, bool *expired);
/* Does nobody honour any of them any more? */
void issued_revoke(void);
/* How long the next ones live, in seconds. */
void issued_set_lifetime(int64_t seconds);
/* "oauth":N, ... of the fetches, as members of an object. */
void issued_print(struct jout *);
/* A fetch that was answered with what was already there. */
void issued_count(enum issued_kind);
void issued_reset(void);

/* ---- signatures ---- */

/* The public key of service accounts, a PEM file. Ends the process if bad. */
void jwt_set_key(const char *path);
/*
 * Is it a JWT signed by that key (RFC 7515, RS256)? Then its claims, to be
 * freed with json_free(), else NULL.
 */
struct json *jwt_verify(struct span token);

/* What is wrong with an AWS signature. */
struct sigv4_verdict {
	int status; /* 0: nothing */
	const char *code;
	struct buf message;
};
/* AWS Signature Version 4 of a request to that service. */
void sigv4_verify(
    const struct sim_request *, const char *service, struct sigv4_verdict *);

#endif

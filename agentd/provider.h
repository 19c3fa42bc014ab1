/*
 * What differs between providers: how a call becomes a request to them, what
 * must be fetched before (a token), what the head of an answer tells, and
 * which fields of it are carried on. One file a type.
 */
#ifndef AGENTD_PROVIDER_H
#define AGENTD_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agentd/upstream.h"
#include "common/buf.h"
#include "common/monotime.h"
#include "common/span.h"

struct agent_conf;
struct credential;
struct credential_options;
struct loop;
struct provider_conf;

/* A field of the user's head that the hub sends on; terminated strings. */
struct provider_field {
	const char *name; /* in lower case */
	const char *value;
};

#define PROVIDER_MAX_FIELDS 16 /* of a call */

/*
 * What the hub asks for. The strings are terminated, belong to the call, and
 * are "" where the hub named none.
 */
struct provider_call {
	const char *endpoint; /* "chat.completions" */
	const char *dialect;  /* "openai": in which the user speaks */
	const char *model;
	const char *object; /* the id in the path of a stateful endpoint */
	/* Which part of the list that lies there, as in OpenAI's queries; NULL
	 * is "". */
	const char *after, *limit, *order;
	const char *content_type;
	const char *alt;	 /* gemini: "sse", "json" or "enum" */
	const char *api_version; /* azure: as the user asked for */
	bool stream;		 /* the user asked for one */
	const struct provider_field *fields;
	size_t nfields;
	struct span body; /* as it will be sent */
};

#define PROVIDER_MAX_HEADERS 32

/* A request as it is to be sent. */
struct provider_request {
	const char *method;
	struct buf url;	  /* terminated by buf_cstr() */
	struct buf lines; /* all header lines, each terminated */
	const char *headers[PROVIDER_MAX_HEADERS + 1];
};

enum provider_verdict {
	PROVIDER_PASS,	  /* the answer is the user's */
	PROVIDER_REFUSED, /* it refuses our credentials: the agent's matter */
	PROVIDER_DENIED,  /* they are good, but not for this model: it is as
			     if the provider were not here */
	/* Something was learnt (a clock) by which make() does better now: the
	 * request is made anew and sent again, once. */
	PROVIDER_AGAIN,
	PROVIDER_LOOK, /* its body tells: on_error() decides */
};

/* The head of an answer, while it is judged. */
struct provider_answer {
	int status;
	const struct upstream_field *fields;
	size_t n;
	monotime_t asked_at; /* when make() made the request */
	uint64_t credential; /* the version that it had then; 0: none */
};

/* How much of a body on_error() is shown; a longer one passes. */
#define PROVIDER_LOOK_MAX 16384

struct provider_type {
	const char *name; /* of `type` in agentd.conf */
	/*
	 * Is the section complete? If not, why (static text). It may keep
	 * what it has worked out in conf->state, which release() frees; the
	 * latter is called after a failed check, too, and may be absent.
	 */
	bool (*check)(struct provider_conf *, const char **why);
	void (*release)(struct provider_conf *);
	/*
	 * The credential that calls of this section wait for before make(),
	 * or NULL: it needs none. May be absent.
	 */
	struct credential *(*credential)(
	    const struct provider_conf *, const struct credential_options *);
	/*
	 * Fills the request; the section's credential, if it has one, is
	 * valid now. false: this provider has no such endpoint.
	 * provider_request_fini() in either case.
	 */
	bool (*make)(const struct provider_conf *, const struct provider_call *,
	    struct provider_request *);
	/* Is this field of an answer's head carried to the hub? */
	bool (*keep_field)(struct span name);
	/* Is it shown to on_head()? Absent: those that are carried are. */
	bool (*read_field)(struct span name);
	/* Absent: 401 and 403 are PROVIDER_REFUSED, all else passes. */
	enum provider_verdict (*on_head)(
	    struct provider_conf *, const struct provider_answer *);
	/* After PROVIDER_LOOK, with the whole body; must not say so again. */
	enum provider_verdict (*on_error)(
	    struct provider_conf *, int status, struct span body);
};

extern const struct provider_type provider_anthropic, provider_aws,
    provider_azure, provider_google, provider_openai;

/* NULL if this version has no such type. */
const struct provider_type *provider_type_find(const char *name);

/* Gives every section its credential. agent_conf_unref() frees them: the
 * loop and upstream must live as long as the configuration. */
void providers_start(struct agent_conf *, struct loop *, struct upstream *);

/* The verdict of a type without an on_head() of its own. */
enum provider_verdict provider_on_head(int status);

/* The value of the answer's field of that name, empty if there is none. */
struct span provider_answer_field(
    const struct provider_answer *, struct span name);

/* The value of the user's field of that name (lower case), or NULL. */
const char *provider_call_field(const struct provider_call *, const char *name);

/* All zeroes is a valid empty request. Wipes the lines: keys are in them. */
void provider_request_fini(struct provider_request *);
/* Appends "name: value" to the lines; provider_request_seal() at the end
 * makes headers of them. At most PROVIDER_MAX_HEADERS. */
void provider_request_add(
    struct provider_request *, const char *name, const char *value);
/* The same for a value in two parts: "Bearer ", token. */
void provider_request_add2(struct provider_request *, const char *name,
    const char *prefix, const char *value);
void provider_request_seal(struct provider_request *);
/* What every call ends with: the body's type, who we are, those of the
 * call's fields that are in the list (see below); and seals. */
void provider_request_finish(struct provider_request *,
    const struct provider_call *, const char *const *list);

/* Is name one of the list, or does it begin with an entry that ends in "-"?
 * The list is lower case and ends with NULL. */
bool provider_field_in(struct span name, const char *const *list);

#endif

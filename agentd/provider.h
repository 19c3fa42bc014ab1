/*
 * What differs between providers: how a call becomes a request to them and
 * which fields of their answers are carried on. One file a type.
 */
#ifndef AGENTD_PROVIDER_H
#define AGENTD_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/span.h"

struct provider_conf;

/* What the hub asks for; terminated strings of the call. */
struct provider_call {
	const char *endpoint; /* "chat.completions" */
	const char *model;
	const char *content_type; /* "" if none */
};

#define PROVIDER_MAX_HEADERS 8

/* A request as it is to be sent. */
struct provider_request {
	const char *method;
	struct buf url;	  /* terminated by buf_cstr() */
	struct buf lines; /* all header lines, each terminated */
	const char *headers[PROVIDER_MAX_HEADERS + 1];
};

struct provider_type {
	const char *name; /* of `type` in agentd.conf */
	/* Is the section complete? If not, why. May write to conf. */
	bool (*check)(const struct provider_conf *, const char **why);
	/*
	 * Fills the request. false: this provider has no such endpoint.
	 * provider_request_fini() in either case.
	 */
	bool (*make)(const struct provider_conf *, const struct provider_call *,
	    struct provider_request *);
	/* Is this field of an answer's head carried to the hub? */
	bool (*keep_field)(struct span name);
};

extern const struct provider_type provider_openai;

/* NULL if this version has no such type. */
const struct provider_type *provider_type_find(const char *name);

/* All zeroes is a valid empty request. */
void provider_request_fini(struct provider_request *);
/* Appends "name: value" to the lines; provider_request_seal() at the end
 * makes headers of them. At most PROVIDER_MAX_HEADERS. */
void provider_request_add(
    struct provider_request *, const char *name, const char *value);
void provider_request_seal(struct provider_request *);

/* Is name one of the list, or does it begin with an entry that ends in "-"?
 * The list is lower case and ends with NULL. */
bool provider_field_in(struct span name, const char *const *list);

#endif

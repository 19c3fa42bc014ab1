/* What other types share with OpenAI's, and what is open to its test. */
#ifndef AGENTD_PROVIDER_OPENAI_H
#define AGENTD_PROVIDER_OPENAI_H

#include <stdbool.h>

#include "common/buf.h"

struct provider_call;

/* Where Azure has an endpoint whose API is dated. */
enum azure_place {
	AZURE_SCOPED, /* below a deployment */
	AZURE_OPEN,   /* beside them; the body names one */
	AZURE_NONE,
};

struct openai_endpoint {
	const char *id, *method;
	const char *path; /* below the version: "/files/{id}" */
	enum azure_place azure;
};

/* The endpoint that a call asks for; false if there is none. */
bool provider_openai_endpoint(
    const struct provider_call *, struct openai_endpoint *);

/* Appends its path, with the call's object in it. false: that is no id. */
bool provider_openai_path(const struct provider_call *,
    const struct openai_endpoint *, struct buf *out);
/* Appends which part of a list the call asks for to a URL, if it does. */
void provider_openai_query(const struct provider_call *, struct buf *url);

/*
 * Appends the URL of path ("/chat/completions") under a base URL as people
 * write it: with or without scheme (https then), trailing slashes and
 * version; a base without any path gets /v1, one with a path is taken as it
 * is, so that "https://host/openai/v4" works, too. A base that already ends
 * in the path is not given it twice. false if it is no URL.
 */
bool provider_openai_url(
    const char *base_url, const char *path, struct buf *out);

#endif

/* The one function from base URL, deployment and endpoint to URL (d08). */
#ifndef AGENTD_AZURE_URL_H
#define AGENTD_AZURE_URL_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/span.h"

/*
 * Appends the URL of an endpoint ("/chat/completions"; scoped: it belongs to
 * a deployment where the API is dated) for a base URL as people paste it:
 * with or without scheme, slashes, "/openai", "/openai/v1",
 * "/openai/deployments/NAME", the whole path of any endpoint, and
 * "?api-version=". Nothing of these is ever in the URL twice.
 *
 * section is the api_version of the configuration, user that of the user's
 * request; either may be NULL or "". The first of section, the base URL's and
 * the user's counts; a date means the dated API, "preview" or "latest" the v1
 * API with that word. Without any, and where the base URL itself says "/v1"
 * and the section does not contradict, it is the v1 API.
 *
 * false if the base URL is none.
 */
bool azure_url(const char *base_url, const char *deployment,
    const char *section, const char *user, const char *path, bool scoped,
    struct buf *out);

/* The deployment that a base URL names, still encoded; empty: none. */
struct span azure_url_deployment(const char *base_url);

/* What is wrong with a base URL; NULL: nothing. */
const char *azure_url_flaw(const char *base_url);
/* May that be an api-version at all? */
bool azure_url_is_version(const char *);

#endif

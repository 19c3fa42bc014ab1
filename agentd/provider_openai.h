/* The one function from base URL and endpoint to URL, open to its test. */
#ifndef AGENTD_PROVIDER_OPENAI_H
#define AGENTD_PROVIDER_OPENAI_H

#include <stdbool.h>

#include "common/buf.h"

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

/* What token servers of OAuth 2 (RFC 6749) have in common. */
#ifndef AGENTD_OAUTH_H
#define AGENTD_OAUTH_H

#include "agentd/token.h"
#include "common/buf.h"

/* Appends "name=value" to a form (application/x-www-form-urlencoded). */
void oauth_form(struct buf *, const char *name, const char *value);

/* Makes it a POST of a form. */
void oauth_post(struct token_request *);

/*
 * Reads a token's answer (section 5.1): TOKEN_GOT, or TOKEN_FAILED with why,
 * in the server's words if it has any (5.2).
 */
enum token_step oauth_answer(
    const struct token_answer *, struct token *, char why[TOKEN_WHY_MAX]);

#endif

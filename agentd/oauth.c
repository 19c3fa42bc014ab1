/* Forms and answers of token servers. */
#include "agentd/oauth.h"

#include <stdio.h>
#include <string.h>

#include "agentd/base_url.h"
#include "common/json.h"

#define LIFE_MS 3600000 /* of a token that does not tell (5.1: RECOMMENDED) */

void
oauth_form(struct buf *b, const char *name, const char *value)
{
	if (buf_len(b) > 0)
		buf_addstr(b, "&");
	buf_addstr(b, name);
	buf_addstr(b, "=");
	url_encode(b, span_str(value));
}

void
oauth_post(struct token_request *r)
{
	r->http.method = "POST";
	provider_request_add(
	    &r->http, "Content-Type", "application/x-www-form-urlencoded");
	provider_request_add(&r->http, "Accept", "application/json");
	provider_request_add(&r->http, "User-Agent", "agentd/" VERSION);
}

/* It becomes a header line of ours. */
static bool
is_token(const char *s)
{
	if (s == NULL || *s == '\0')
		return (false);
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return (false);
	return (true);
}

/* expires_in is a number, or at older servers a string of digits. */
static int64_t
life_ms(const struct json *doc)
{
	const char *text = json_get_str(doc, "expires_in");
	int64_t s = json_get_int(doc, "expires_in", -1);
	long long n;

	if (text != NULL && sscanf(text, "%lld", &n) == 1)
		s = n;
	if (s == -1 && text == NULL)
		return (LIFE_MS);
	return (s > INT32_MAX ? (int64_t)INT32_MAX * 1000 : s * 1000);
}

static enum token_step
fail(int status, const struct json *doc, char why[TOKEN_WHY_MAX])
{
	const char *error = json_get_str(doc, "error");
	const char *text = json_get_str(doc, "error_description");

	snprintf(why, TOKEN_WHY_MAX, "the token server answers %d%s%s%s%s",
	    status, error != NULL ? ": " : "", error != NULL ? error : "",
	    text != NULL ? ": " : "", text != NULL ? text : "");
	return (TOKEN_FAILED);
}

enum token_step
oauth_answer(
    const struct token_answer *a, struct token *t, char why[TOKEN_WHY_MAX])
{
	struct json *doc = json_parse(a->body, NULL, 0);
	const char *token = json_get_str(doc, "access_token");
	enum token_step step = TOKEN_GOT;

	if (a->status != 200) {
		step = fail(a->status, doc, why);
	} else if (!is_token(token)) {
		snprintf(why, TOKEN_WHY_MAX,
		    "the token server's answer has no access_token");
		step = TOKEN_FAILED;
	} else {
		buf_addstr(&t->secret, token);
		t->life_ms = life_ms(doc);
	}
	json_wipe(doc);
	return (step);
}

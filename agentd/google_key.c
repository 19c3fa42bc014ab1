/* Service account key files, and JSON Web Tokens signed with them. */
#include "agentd/google_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/base_url.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/rsa.h"

#define FILE_MAX 65536
#define LIFE_S	 3600 /* the most that Google allows */

struct google_key {
	char *email, *key_id, *token_uri, *project; /* NULL: not there */
	struct rsa_key *rsa;
};

/* ---- reading ------------------------------------------------------------ */

static bool
read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return (false);
	n = fread(buf_reserve(out, FILE_MAX), 1, FILE_MAX, f);
	buf_commit(out, n);
	fclose(f);
	return (n < FILE_MAX);
}

static char *
copy(const struct json *doc, const char *name)
{
	const char *s = json_get_str(doc, name);

	return (s != NULL && *s != '\0' ? xstrdup(s) : NULL);
}

static const char *
flaw_of(const struct google_key *k, const struct json *doc)
{
	const char *type = json_get_str(doc, "type");
	struct base_url u;

	if (doc == NULL)
		return ("service_account is not JSON");
	if (type == NULL || strcmp(type, "service_account") != 0)
		return ("service_account is not of type service_account");
	if (k->email == NULL)
		return ("service_account has no client_email");
	if (k->rsa == NULL)
		return ("service_account has no private_key of RSA in PEM");
	if (k->token_uri == NULL || !base_url_split(k->token_uri, &u))
		return ("service_account has no token_uri");
	return (NULL);
}

static struct google_key *
key_of(const struct json *doc)
{
	struct google_key *k = xcalloc(1, sizeof(*k));
	const char *pem = json_get_str(doc, "private_key");

	k->email = copy(doc, "client_email");
	k->key_id = copy(doc, "private_key_id");
	k->token_uri = copy(doc, "token_uri");
	k->project = copy(doc, "project_id");
	if (pem != NULL)
		k->rsa = rsa_key_parse(span_str(pem));
	return (k);
}

struct google_key *
google_key_load(const char *path, const char **why)
{
	struct buf text = {0};
	struct json *doc = NULL;
	struct google_key *k = NULL;

	*why = "service_account cannot be read, or is too large";
	if (read_file(path, &text)) {
		doc = json_parse(buf_span(&text), NULL, 0);
		k = key_of(doc);
		*why = flaw_of(k, doc);
	}
	if (text.mem != NULL)
		crypto_wipe(text.mem, text.cap);
	buf_fini(&text);
	json_wipe(doc);
	if (*why == NULL)
		return (k);
	google_key_free(k);
	return (NULL);
}

void
google_key_free(struct google_key *k)
{
	if (k == NULL)
		return;
	free(k->email);
	free(k->key_id);
	free(k->token_uri);
	free(k->project);
	rsa_key_free(k->rsa);
	free(k);
}

const char *
google_key_token_uri(const struct google_key *k)
{
	return (k->token_uri);
}

const char *
google_key_project(const struct google_key *k)
{
	return (k->project);
}

/* ---- signing ------------------------------------------------------------ */

/* base64url without padding (RFC 7515 2) */
static void
put_base64url(struct buf *out, struct span s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz"
				     "0123456789-_";
	const unsigned char *p = (const unsigned char *)s.p;
	uint32_t bits;
	size_t i, j, k;

	for (i = 0; i < s.n; i += 3) {
		for (bits = 0, j = 0; j < 3; j++)
			bits = bits << 8 | (i + j < s.n ? p[i + j] : 0);
		k = s.n - i < 3 ? s.n - i : 3;
		for (j = 0; j <= k; j++)
			buf_add(out, &digits[bits >> (18 - 6 * j) & 63], 1);
	}
}

static void
put_json(struct buf *out, struct buf *json)
{
	put_base64url(out, buf_span(json));
	buf_fini(json);
}

static void
put_header(const struct google_key *k, struct buf *out)
{
	struct buf b = {0};
	struct jout j;

	jout_init(&j, &b);
	jout_begin_object(&j);
	jout_kstr(&j, "alg", "RS256");
	jout_kstr(&j, "typ", "JWT");
	if (k->key_id != NULL)
		jout_kstr(&j, "kid", k->key_id);
	jout_end_object(&j);
	put_json(out, &b);
}

static void
put_claims(
    const struct google_key *k, const char *scope, int64_t now, struct buf *out)
{
	struct buf b = {0};
	struct jout j;

	jout_init(&j, &b);
	jout_begin_object(&j);
	jout_kstr(&j, "iss", k->email);
	jout_kstr(&j, "scope", scope);
	jout_kstr(&j, "aud", k->token_uri);
	jout_kint(&j, "iat", now);
	jout_kint(&j, "exp", now + LIFE_S);
	jout_end_object(&j);
	put_json(out, &b);
}

bool
google_key_assert(
    struct google_key *k, const char *scope, int64_t now, struct buf *out)
{
	struct buf jwt = {0}, signature = {0};
	bool ok;

	put_header(k, &jwt);
	buf_addstr(&jwt, ".");
	put_claims(k, scope, now, &jwt);
	ok = rsa_key_sign(k->rsa, buf_span(&jwt), &signature);
	buf_addstr(&jwt, ".");
	put_base64url(&jwt, buf_span(&signature));
	if (ok)
		buf_addspan(out, buf_span(&jwt));
	buf_fini(&jwt);
	buf_fini(&signature);
	return (ok);
}

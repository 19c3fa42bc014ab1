/* AWS credentials from the environment, a file, or a server's answer. */
#include "agentd/aws_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/crypto.h"
#include "common/json.h"

#define FILE_MAX_SIZE 1048576

static void
wipe(char **s)
{
	if (*s != NULL)
		crypto_wipe(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void
aws_keys_fini(struct aws_keys *k)
{
	wipe(&k->access);
	wipe(&k->secret);
	wipe(&k->token);
}

void
aws_keys_set(struct aws_keys *k, struct span access, struct span secret,
    struct span token)
{
	aws_keys_fini(k);
	k->access = xmemdup0(access.p, access.n);
	k->secret = xmemdup0(secret.p, secret.n);
	k->token = token.n > 0 ? xmemdup0(token.p, token.n) : NULL;
}

/* Printable and without blanks: they go into lines of a head. */
static bool
is_clean(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return (false);
	return (true);
}

/* ---- environment --------------------------------------------------------- */

/* A variable that is empty is none. */
static struct span
variable(const char *name)
{
	const char *s = getenv(name);

	return (s != NULL ? span_str(s) : SPAN(""));
}

enum aws_found
aws_keys_of_environment(struct aws_keys *k, const char **why)
{
	struct span access = variable("AWS_ACCESS_KEY_ID");
	struct span secret = variable("AWS_SECRET_ACCESS_KEY");
	struct span token = variable("AWS_SESSION_TOKEN");

	if (access.n == 0 && secret.n == 0)
		return (AWS_NONE);
	*why = "finds only half of AWS_ACCESS_KEY_ID and "
	       "AWS_SECRET_ACCESS_KEY in the environment";
	if (access.n == 0 || secret.n == 0)
		return (AWS_WRONG);
	*why = "finds AWS keys with blanks or control characters in the "
	       "environment";
	if (!is_clean(access) || !is_clean(secret) || !is_clean(token))
		return (AWS_WRONG);
	aws_keys_set(k, access, secret, token);
	return (AWS_FOUND);
}

/* ---- the shared credentials file ----------------------------------------- */

static struct span
trim(struct span s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = span_of(s.p + 1, s.n - 1);
	while (s.n > 0 && strchr(" \t\r", s.p[s.n - 1]) != NULL)
		s.n--;
	return (s);
}

static struct span
take_line(struct span *text)
{
	const char *nl = memchr(text->p, '\n', text->n);
	size_t n = nl != NULL ? (size_t)(nl - text->p) : text->n;
	struct span line = span_of(text->p, n);

	n += nl != NULL;
	*text = span_of(text->p + n, text->n - n);
	return (trim(line));
}

/* "[name]", with blanks where people put them. */
static bool
is_section(struct span line, const char *name)
{
	if (line.n < 2 || line.p[line.n - 1] != ']')
		return (false);
	return (span_eq(trim(span_of(line.p + 1, line.n - 2)), span_str(name)));
}

/* Of "name = value"; a comment behind it begins with a blank. */
static struct span
value_of(struct span line, const char *name)
{
	const char *eq = memchr(line.p, '=', line.n);
	struct span value;
	size_t i;

	if (eq == NULL ||
	    !span_ieq(
		trim(span_of(line.p, (size_t)(eq - line.p))), span_str(name)))
		return (SPAN(""));
	value = trim(span_of(eq + 1, (size_t)(line.p + line.n - eq - 1)));
	for (i = 1; i < value.n; i++)
		if ((value.p[i] == '#' || value.p[i] == ';') &&
		    (value.p[i - 1] == ' ' || value.p[i - 1] == '\t'))
			return (trim(span_of(value.p, i)));
	return (value);
}

static void
take(struct span *out, struct span line, const char *name)
{
	struct span value = value_of(line, name);

	if (value.n > 0)
		*out = value;
}

enum aws_found
aws_keys_parse(struct aws_keys *k, struct span text, const char *profile)
{
	struct span line, access = {0}, secret = {0}, token = {0};
	bool inside = false;

	while (text.n > 0) {
		line = take_line(&text);
		if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
			continue;
		if (line.p[0] == '[')
			inside = is_section(line, profile);
		if (!inside)
			continue;
		take(&access, line, "aws_access_key_id");
		take(&secret, line, "aws_secret_access_key");
		take(&token, line, "aws_session_token");
	}
	if (access.n == 0 && secret.n == 0)
		return (AWS_NONE);
	if (access.n == 0 || secret.n == 0 || !is_clean(access) ||
	    !is_clean(secret) || !is_clean(token))
		return (AWS_WRONG);
	aws_keys_set(k, access, secret, token);
	return (AWS_FOUND);
}

static bool
read_file(struct buf *out)
{
	const char *home = getenv("HOME");
	struct span named = variable("AWS_SHARED_CREDENTIALS_FILE");
	char *path;
	FILE *f;
	size_t n = 0;

	path = named.n > 0
		   ? xstrdup(named.p)
		   : xasprintf("%s/.aws/credentials", home != NULL ? home : "");
	f = fopen(path, "re");
	free(path);
	if (f == NULL)
		return (false);
	/* At once, so that growing leaves no copies of keys behind. */
	n = fread(buf_reserve(out, FILE_MAX_SIZE), 1, FILE_MAX_SIZE, f);
	buf_commit(out, n);
	fclose(f);
	return (true);
}

enum aws_found
aws_keys_of_profile(struct aws_keys *k, const char **why)
{
	struct span profile = variable("AWS_PROFILE");
	enum aws_found found = AWS_NONE;
	struct buf text = {0};

	if (read_file(&text))
		found = aws_keys_parse(
		    k, buf_span(&text), profile.n > 0 ? profile.p : "default");
	if (text.mem != NULL)
		crypto_wipe(text.mem, text.cap);
	buf_fini(&text);
	*why = "finds no whole pair of keys in its profile of AWS's "
	       "credentials file";
	if (found == AWS_NONE && profile.n > 0) {
		*why = "finds no keys in the profile AWS_PROFILE of AWS's "
		       "credentials file";
		return (AWS_WRONG);
	}
	return (found);
}

/* ---- a server's answer --------------------------------------------------- */

/* "2026-11-28T18:00:00Z" in ms since 1970, -1: it is not that. */
static int64_t
parse_time(const char *s)
{
	struct tm tm = {0};
	const char *end;

	end = s == NULL ? NULL : strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	if (end == NULL)
		return (-1);
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (strcmp(end, "Z") != 0)
		return (-1);
	return ((int64_t)timegm(&tm) * 1000);
}

static struct span
member(const struct json *j, const char *key)
{
	const char *s = json_get_str(j, key);

	return (s != NULL ? span_str(s) : SPAN(""));
}

bool
aws_keys_answer(
    struct aws_keys *k, struct span body, int64_t now_ms, int64_t *life_ms)
{
	struct json *j = json_parse(body, NULL, 0);
	struct span access = member(j, "AccessKeyId");
	struct span secret = member(j, "SecretAccessKey");
	struct span token = member(j, "Token");
	int64_t end = parse_time(json_get_str(j, "Expiration"));
	bool good;

	good = end != -1 && access.n > 0 && secret.n > 0 && is_clean(access) &&
	       is_clean(secret) && is_clean(token);
	if (good) {
		aws_keys_set(k, access, secret, token);
		*life_ms = end - now_ms;
	}
	json_wipe(j);
	return (good);
}

void
aws_keys_pack(const struct aws_keys *k, struct buf *out)
{
	buf_addf(out, "%s\n%s\n%s", k->access, k->secret,
	    k->token != NULL ? k->token : "");
}

bool
aws_keys_unpack(struct aws_keys *k, struct span s)
{
	struct span access, secret;

	access = take_line(&s);
	secret = take_line(&s);
	if (access.n == 0 || secret.n == 0)
		return (false);
	aws_keys_set(k, access, secret, s);
	return (true);
}

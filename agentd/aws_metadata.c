/* Keys of containers and instances, fetched from servers beside them. */
#include "agentd/aws_metadata.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agentd/aws_keys.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/monotime.h"

#define CONTAINER_HOST "http://169.254.170.2"
#define INSTANCE_HOST  "http://169.254.169.254"
#define INSTANCE_TOKEN "/latest/api/token"
#define INSTANCE_KEYS  "/latest/meta-data/iam/security-credentials/"
#define INSTANCE_TTL_S "21600"
#define AUTH_MAX       8192 /* of a container's authorization token */
#define ROLE_MAX       128  /* IAM's names have 64 */

struct source {
	struct buf token; /* of the instance's session */
	char role[ROLE_MAX + 1];
};

/* A variable that is empty is none. */
static const char *
variable(const char *name)
{
	const char *s = getenv(name);

	return (s != NULL && s[0] != '\0' ? s : NULL);
}

static void
source_free(void *arg)
{
	struct source *s = arg;

	if (s->token.mem != NULL)
		crypto_wipe(s->token.mem, s->token.cap);
	buf_fini(&s->token);
	free(s);
}

static struct source *
source_new(void)
{
	return (xcalloc(1, sizeof(struct source)));
}

/* The answer with the keys, which both kinds give alike. */
static enum token_step
take_keys(
    const struct token_answer *a, struct token *t, char why[TOKEN_WHY_MAX])
{
	struct aws_keys k = {0};
	int64_t now = a->date_ms != -1 ? a->date_ms : walltime_ms();

	if (a->status != 200) {
		snprintf(why, TOKEN_WHY_MAX, "the keys: status %d", a->status);
		return (TOKEN_FAILED);
	}
	if (!aws_keys_answer(&k, a->body, now, &t->life_ms)) {
		snprintf(why, TOKEN_WHY_MAX, "the answer has no keys");
		return (TOKEN_FAILED);
	}
	aws_keys_pack(&k, &t->secret);
	aws_keys_fini(&k);
	return (TOKEN_GOT);
}

/* ---- containers -----------------------------------------------------------
 */

static bool
starts(const char *s, const char *prefix)
{
	return (strncasecmp(s, prefix, strlen(prefix)) == 0);
}

bool
aws_is_container(void)
{
	return (variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL ||
		variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") != NULL);
}

/* Hosts that may be asked without encryption: this machine, and where
 * Amazon's own agents for containers listen. */
static bool
is_near(const char *url)
{
	static const char *const hosts[] = {"http://localhost", "http://127.",
	    "http://[::1]", "http://169.254.170.2", "http://169.254.170.23",
	    "http://[fd00:ec2::23]"};
	size_t i, n;

	if (strchr(url, '@') != NULL)
		return (false);
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		n = strlen(hosts[i]);
		if (!starts(url, hosts[i]))
			continue;
		if (hosts[i][n - 1] == '.')
			n += strspn(url + n, "0123456789.");
		if (url[n] == '\0' || url[n] == ':' || url[n] == '/')
			return (true);
	}
	return (false);
}

bool
aws_check_container(const char **why)
{
	const char *relative =
	    variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");

	*why = "finds an AWS_CONTAINER_CREDENTIALS_RELATIVE_URI that is no "
	       "path";
	if (relative != NULL)
		return (relative[0] == '/');
	*why = "finds an AWS_CONTAINER_CREDENTIALS_FULL_URI that is neither "
	       "https nor on this machine";
	return (starts(full, "https://") || is_near(full));
}

/* Its one line; the file is read each time, for it is renewed. */
static void
read_authorization(struct buf *out, const char *path)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL)
		return;
	n = fread(buf_reserve(out, AUTH_MAX), 1, AUTH_MAX, f);
	fclose(f);
	buf_commit(out, n);
	while (
	    buf_len(out) > 0 && isspace((unsigned char)out->mem[out->end - 1]))
		out->end--;
}

static void
container_request(void *arg, unsigned step, struct token_request *r)
{
	const char *relative =
	    variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct buf line = {0};

	(void)arg;
	(void)step;
	r->http.method = "GET";
	if (relative != NULL)
		buf_addf(&r->http.url, CONTAINER_HOST "%s", relative);
	else
		buf_addstr(&r->http.url,
		    variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
	r->direct = starts(buf_cstr(&r->http.url), "http://");
	if (file != NULL)
		read_authorization(&line, file);
	else if (token != NULL)
		buf_addstr(&line, token);
	if (buf_len(&line) > 0)
		provider_request_add(
		    &r->http, "Authorization", buf_cstr(&line));
	if (line.mem != NULL)
		crypto_wipe(line.mem, line.cap);
	buf_fini(&line);
}

static enum token_step
container_answer(void *arg, unsigned step, const struct token_answer *a,
    struct token *t, char why[TOKEN_WHY_MAX])
{
	(void)arg;
	(void)step;
	return (take_keys(a, t, why));
}

static const struct token_source container = {
    .request = container_request,
    .answer = container_answer,
    .free = source_free,
};

struct credential *
aws_container_new(const struct credential_options *o)
{
	return (credential_new(o, &container, source_new()));
}

/* ---- instances: a session, the role's name, its keys ----------------------
 */

enum { STEP_SESSION, STEP_ROLE, STEP_KEYS };

static void
instance_request(void *arg, unsigned step, struct token_request *r)
{
	const char *base = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	struct source *s = arg;
	size_t n;

	if (base == NULL)
		base = INSTANCE_HOST;
	for (n = strlen(base); n > 0 && base[n - 1] == '/';)
		n--;
	r->direct = true;
	r->http.method = step == STEP_SESSION ? "PUT" : "GET";
	buf_add(&r->http.url, base, n);
	if (step == STEP_SESSION) {
		buf_addstr(&r->http.url, INSTANCE_TOKEN);
		provider_request_add(&r->http,
		    "X-aws-ec2-metadata-token-ttl-seconds", INSTANCE_TTL_S);
		return;
	}
	buf_addstr(&r->http.url, INSTANCE_KEYS);
	if (step == STEP_KEYS)
		buf_addstr(&r->http.url, s->role);
	provider_request_add(
	    &r->http, "X-aws-ec2-metadata-token", buf_cstr(&s->token));
}

static bool
is_printable(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return (false);
	return (s.n > 0);
}

/* The first line: an instance has one role. */
static bool
take_role(struct source *s, struct span body)
{
	size_t n = 0;

	while (n < body.n && strchr("\r\n", body.p[n]) == NULL)
		n++;
	if (n > ROLE_MAX || !is_printable(span_of(body.p, n)) ||
	    memchr(body.p, '/', n) != NULL || memchr(body.p, '?', n) != NULL)
		return (false);
	memcpy(s->role, body.p, n);
	s->role[n] = '\0';
	return (true);
}

static enum token_step
instance_answer(void *arg, unsigned step, const struct token_answer *a,
    struct token *t, char why[TOKEN_WHY_MAX])
{
	struct source *s = arg;
	bool good = a->status == 200;

	if (step == STEP_KEYS)
		return (take_keys(a, t, why));
	if (step == STEP_SESSION) {
		good = good && is_printable(a->body);
		buf_reset(&s->token, SIZE_MAX);
		buf_addspan(&s->token, good ? a->body : SPAN(""));
	} else {
		good = good && take_role(s, a->body);
	}
	if (good)
		return (TOKEN_NEXT);
	snprintf(why, TOKEN_WHY_MAX, "the instance's metadata has no %s: %d",
	    step == STEP_SESSION ? "session" : "role", a->status);
	return (TOKEN_FAILED);
}

static const struct token_source instance = {
    .request = instance_request,
    .answer = instance_answer,
    .free = source_free,
};

struct credential *
aws_instance_new(const struct credential_options *o)
{
	return (credential_new(o, &instance, source_new()));
}

/*
 * AWS Bedrock. Requests are signed, or carry a bearer key. Refusals name an
 * exception: some are about a clock, which is learnt, some about keys
 * (aws_exception.c), and AccessDeniedException is mostly about one model.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agentd/agent_conf.h"
#include "agentd/aws_exception.h"
#include "agentd/aws_keys.h"
#include "agentd/aws_metadata.h"
#include "agentd/aws_url.h"
#include "agentd/provider.h"
#include "agentd/sigv4.h"
#include "agentd/skew.h"
#include "agentd/token.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/log.h"

#define SERVICE "bedrock" /* not bedrock-runtime, as the host says */

static const struct {
	const char *id, *operation;
} endpoints[] = {
    {"bedrock.converse", "converse"},
    {"bedrock.converse_stream", "converse-stream"},
    {"bedrock.invoke", "invoke"},
    {"bedrock.invoke_stream", "invoke-with-response-stream"},
};

/* Fields of the user's head that go on, and are signed. */
static const char *const forwarded_fields[] = {
    "x-amzn-bedrock-",
    NULL,
};

/* What users' clients read, and what hubs meter by. */
static const char *const kept_fields[] = {
    "content-type",
    "retry-after",
    "x-amzn-bedrock-",
    "x-amzn-errortype",
    "x-amzn-requestid",
    NULL,
};

/* What we judge by besides. */
static const char *const read_fields[] = {
    "age",
    "date",
    NULL,
};

enum source {
	BEARER,
	OWN_KEYS, /* of the configuration */
	ENVIRONMENT,
	PROFILE,
	CONTAINER,
	INSTANCE,
};

static const char *const source_names[] = {
    "a bearer key",
    "keys of the configuration",
    "keys of the environment",
    "keys of a profile",
    "keys of the container",
    "keys of the instance",
};

struct aws_state {
	enum source source;
	const char *region; /* NULL: only with a bearer and a base URL */
	const char *bearer;
	struct aws_keys keys;
	uint64_t version; /* of the credential that they are of */
	struct sigv4_signer signer;
	struct skew skew;
};

/* ---- the section --------------------------------------------------------- */

/* A variable that is empty is none. */
static const char *
variable(const char *name)
{
	const char *s = getenv(name);

	return (s != NULL && s[0] != '\0' ? s : NULL);
}

static const char *
find_region(const struct provider_conf *conf)
{
	if (conf->region != NULL)
		return (conf->region);
	if (variable("AWS_REGION") != NULL)
		return (variable("AWS_REGION"));
	return (variable("AWS_DEFAULT_REGION"));
}

static bool
is_region(const char *s)
{
	return (
	    s[0] != '\0' && strlen(s) <= 64 &&
	    strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s));
}

/* What the section says itself, if it does. */
static bool
take_own(
    struct aws_state *s, const struct provider_conf *conf, const char **why)
{
	bool keys = conf->access_key != NULL || conf->secret_key != NULL ||
		    conf->session_token != NULL;

	if (conf->bearer != NULL && keys)
		*why = "has both keys and a bearer";
	else if (keys && (conf->access_key == NULL || conf->secret_key == NULL))
		*why = "needs both access_key and secret_key";
	if (*why != NULL || (conf->bearer == NULL && !keys))
		return (false);
	s->bearer = conf->bearer;
	s->source = BEARER;
	if (!keys)
		return (true);
	s->source = OWN_KEYS;
	aws_keys_set(&s->keys, span_str(conf->access_key),
	    span_str(conf->secret_key),
	    conf->session_token != NULL ? span_str(conf->session_token)
					: SPAN(""));
	return (true);
}

/* For machines that are no instances, where asking only takes time. */
static bool
is_instance_off(void)
{
	const char *s = variable("AWS_EC2_METADATA_DISABLED");

	return (s != NULL && strcasecmp(s, "true") == 0);
}

/* Else where AWS's own clients would look. *why stays NULL if all is well. */
static void
take_found(struct aws_state *s, const char **why)
{
	const char *wrong = NULL;
	enum aws_found found;

	s->bearer = variable("AWS_BEARER_TOKEN_BEDROCK");
	s->source = BEARER;
	if (s->bearer != NULL)
		return;
	s->source = ENVIRONMENT;
	found = aws_keys_of_environment(&s->keys, &wrong);
	if (found == AWS_NONE) {
		s->source = PROFILE;
		found = aws_keys_of_profile(&s->keys, &wrong);
	}
	if (found == AWS_WRONG)
		*why = wrong;
	if (found != AWS_NONE)
		return;
	s->source = aws_is_container() ? CONTAINER : INSTANCE;
	if (s->source == CONTAINER && !aws_check_container(&wrong))
		*why = wrong;
	if (s->source == INSTANCE && is_instance_off())
		*why = "has no keys and finds none";
}

static bool
aws_check(struct provider_conf *conf, const char **why)
{
	struct aws_state *s = xcalloc(1, sizeof(*s));
	struct aws_url url = {0};
	bool good;

	conf->state = s;
	*why = NULL;
	if (!take_own(s, conf, why) && *why == NULL)
		take_found(s, why);
	if (*why != NULL)
		return (false);
	s->region = find_region(conf);
	if (s->region == NULL && (s->bearer == NULL || conf->base_url == NULL))
		*why = "needs a region";
	else if (s->region != NULL && !is_region(s->region))
		*why = "has a region that is none";
	if (*why != NULL)
		return (false);
	good = aws_url_make(conf->base_url, s->region, "m", "converse", &url);
	buf_fini(&url.text);
	*why = good ? NULL : "base_url is not an http or https URL";
	if (s->keys.access != NULL)
		sigv4_init(&s->signer, s->keys.access, s->keys.secret,
		    s->region, SERVICE);
	return (good);
}

static void
aws_release(struct provider_conf *conf)
{
	struct aws_state *s = conf->state;

	if (s == NULL)
		return;
	sigv4_fini(&s->signer);
	aws_keys_fini(&s->keys);
	free(s);
	conf->state = NULL;
}

static struct credential *
aws_credential(
    const struct provider_conf *conf, const struct credential_options *o)
{
	const struct aws_state *s = conf->state;

	log_info("provider %s: %s", conf->name, source_names[s->source]);
	if (s->source == CONTAINER)
		return (aws_container_new(o));
	return (s->source == INSTANCE ? aws_instance_new(o) : NULL);
}

/* ---- the request --------------------------------------------------------- */

/* Keys that are fetched change; the day's signing key goes with them. */
static bool
renew_keys(const struct provider_conf *conf, struct aws_state *s)
{
	if (conf->credential == NULL ||
	    s->version == credential_version(conf->credential))
		return (s->keys.access != NULL);
	if (!aws_keys_unpack(&s->keys, credential_secret(conf->credential)))
		return (false);
	s->version = credential_version(conf->credential);
	sigv4_fini(&s->signer);
	sigv4_init(
	    &s->signer, s->keys.access, s->keys.secret, s->region, SERVICE);
	return (true);
}

struct signing {
	struct sigv4_field fields[SIGV4_MAX_FIELDS];
	size_t n;
};

static void
add_field(struct signing *g, const char *name, struct span value)
{
	g->fields[g->n++] = (struct sigv4_field){span_str(name), value};
}

/* The host, and of the call's head what goes on. */
static void
add_fields(struct signing *g, const struct aws_url *url,
    const struct provider_call *call)
{
	size_t i;

	add_field(g, "Host", url->host);
	add_field(g, "Content-Type",
	    call->content_type[0] != '\0' ? span_str(call->content_type)
					  : SPAN("application/json"));
	for (i = 0; i < call->nfields && i < PROVIDER_MAX_FIELDS; i++)
		if (provider_field_in(
			span_str(call->fields[i].name), forwarded_fields))
			add_field(g, call->fields[i].name,
			    span_str(call->fields[i].value));
}

static void
add_lines(struct provider_request *r, const struct signing *g)
{
	struct buf line = {0};
	size_t i;

	for (i = 0; i < g->n; i++) {
		buf_reset(&line, SIZE_MAX);
		buf_addspan(&line, g->fields[i].value);
		provider_request_add(r, g->fields[i].name.p, buf_cstr(&line));
	}
	if (line.mem != NULL)
		crypto_wipe(line.mem, line.cap);
	buf_fini(&line);
}

/* Signed by the provider's clock, as far as it is known. */
static void
sign(struct aws_state *s, struct signing *g, const struct aws_url *url,
    const struct provider_call *call, struct provider_request *r)
{
	int64_t at = (walltime_ms() + s->skew.offset_ms) / 1000;
	char time[SIGV4_TIME_SIZE], digest[SIGV4_HEX_SIZE];
	struct sigv4_request q = {.method = r->method, .path = url->path};
	struct buf authorization = {0};

	sha256(call->body, q.body);
	sigv4_hex(q.body, digest);
	sigv4_time(at, time);
	add_field(g, "X-Amz-Content-Sha256", span_str(digest));
	add_field(g, "X-Amz-Date", span_str(time));
	if (s->keys.token != NULL)
		add_field(g, "X-Amz-Security-Token", span_str(s->keys.token));
	q.fields = g->fields;
	q.nfields = g->n;
	sigv4_sign(&s->signer, &q, at, &authorization);
	add_lines(r, g);
	provider_request_add(r, "Authorization", buf_cstr(&authorization));
	buf_fini(&authorization);
}

static const char *
operation_of(const char *endpoint)
{
	size_t i;

	for (i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		if (strcmp(endpoints[i].id, endpoint) == 0)
			return (endpoints[i].operation);
	return (NULL);
}

static bool
aws_make(const struct provider_conf *conf, const struct provider_call *call,
    struct provider_request *r)
{
	const char *operation = operation_of(call->endpoint);
	struct aws_state *s = conf->state;
	struct signing g = {.n = 0};
	struct aws_url url = {0};
	bool good;

	good = operation != NULL &&
	       aws_url_make(
		   conf->base_url, s->region, call->model, operation, &url) &&
	       (s->bearer != NULL || renew_keys(conf, s));
	if (good) {
		r->method = "POST";
		buf_addspan(&r->url, buf_span(&url.text));
		add_fields(&g, &url, call);
		if (s->bearer == NULL) {
			sign(s, &g, &url, call, r);
		} else {
			add_lines(r, &g);
			provider_request_add2(
			    r, "Authorization", "Bearer ", s->bearer);
		}
		provider_request_add(r, "User-Agent", "agentd/" VERSION);
		provider_request_seal(r);
	}
	buf_fini(&url.text);
	return (good);
}

/* ---- the answer ---------------------------------------------------------- */

static bool
aws_keep_field(struct span name)
{
	return (provider_field_in(name, kept_fields));
}

static bool
aws_read_field(struct span name)
{
	return (provider_field_in(name, kept_fields) ||
		provider_field_in(name, read_fields));
}

/* Was it our clock, and is it known now? */
static bool
learn_clock(struct provider_conf *conf, const struct provider_answer *a,
    struct span exception)
{
	struct aws_state *s = conf->state;
	const struct skew_head h = {
	    .date = provider_answer_field(a, SPAN("date")),
	    .age = provider_answer_field(a, SPAN("age")),
	    .wall_ms = walltime_ms(),
	    .came_at = monotime_now(),
	    .asked_at = a->asked_at,
	};
	enum skew_verdict v = skew_refused(&s->skew, exception, &h);

	if (v == SKEW_LEARNT)
		log_warnx("provider %s: our clock is %lld s %s its own: "
			  "signing by that",
		    conf->name, llabs((long long)s->skew.offset_ms / 1000),
		    s->skew.offset_ms > 0 ? "behind" : "ahead of");
	return (v != SKEW_NO);
}

static enum provider_verdict
aws_on_head(struct provider_conf *conf, const struct provider_answer *a)
{
	const struct aws_state *s = conf->state;
	struct span exception =
	    aws_exception(provider_answer_field(a, SPAN("x-amzn-errortype")));

	if (a->status < 400 || a->status > 403)
		return (PROVIDER_PASS);
	if (s->bearer == NULL && learn_clock(conf, a, exception))
		return (PROVIDER_AGAIN);
	if (aws_exception_is_of_age(exception) && conf->credential != NULL &&
	    credential_refused(conf->credential, a->credential))
		return (PROVIDER_AGAIN);
	if (aws_exception_is_of_keys(exception))
		return (PROVIDER_REFUSED);
	if (a->status == 403 &&
	    span_eq(exception, SPAN("AccessDeniedException")))
		return (PROVIDER_LOOK);
	return (provider_on_head(a->status));
}

static enum provider_verdict
aws_on_error(struct provider_conf *conf, int status, struct span body)
{
	(void)conf;
	(void)status;
	return (
	    aws_denial_is_of_key(body) ? PROVIDER_REFUSED : PROVIDER_DENIED);
}

const struct provider_type provider_aws = {
    .name = "aws",
    .check = aws_check,
    .release = aws_release,
    .credential = aws_credential,
    .make = aws_make,
    .keep_field = aws_keep_field,
    .read_field = aws_read_field,
    .on_head = aws_on_head,
    .on_error = aws_on_error,
};

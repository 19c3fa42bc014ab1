/*
 * Where AWS credentials come from: the metadata server of an instance, second
 * version, and the credentials endpoint of a container (with a token in EKS,
 * without in ECS).
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/sim/provider.h"

#define SESSION_LONGEST 21600 /* seconds */
#define ROLES		"/latest/meta-data/iam/security-credentials/"
#define ROLE		"sim-role"
#define REGION		"us-east-1"

static const struct wording words[] = {
    {400, "BadRequest", "Bad Request"},
    {401, "Unauthorized", "Unauthorized"},
    {404, "NotFound", "Not Found"},
    {0, "InternalServerError", "Internal Server Error"},
};

static bool
owns(const struct sim_request *q)
{
	struct span path = q->head->path;

	return (span_starts(path, SPAN("/latest/")) ||
		span_eq(path, SPAN("/v1/credentials")) ||
		span_starts(path, SPAN("/v2/credentials/")));
}

static void
refuse(struct play *p, int status, const char *code, const char *message)
{
	struct wording w = wording_of(words, status, code, message);
	struct buf b = {0};
	struct jout j;

	jout_init(&j, &b);
	jout_begin_object(&j);
	jout_kstr(&j, "code", w.code);
	jout_kstr(&j, "message", w.message);
	jout_end_object(&j);
	play_refusal(p, status, &b);
}

static void
play_text(struct play *p, const char *text)
{
	struct buf b = {0};

	buf_addstr(&b, text);
	play_whole(p, 200, "text/plain", &b);
}

static void
play_credentials(struct play *p, const struct issued *i)
{
	char when[40];
	struct buf b = {0};
	struct jout j;

	sim_format_time(i->expires, "%FT%TZ", when, sizeof(when));
	jout_init(&j, &b);
	jout_begin_object(&j);
	jout_kstr(&j, "Code", "Success");
	jout_kstr(&j, "Type", "AWS-HMAC");
	jout_kstr(&j, "AccessKeyId", i->name);
	jout_kstr(&j, "SecretAccessKey", i->secret);
	jout_kstr(&j, "Token", i->session);
	jout_kstr(&j, "Expiration", when);
	jout_end_object(&j);
	play_json(p, 200, &b);
}

static void
answer_session(const struct sim_request *q, struct play *p)
{
	struct span field = field_of(q, "x-aws-ec2-metadata-token-ttl-seconds");
	char *text = xmemdup0(field.n ? field.p : "", field.n);
	long ttl = strtol(text, NULL, 10);

	free(text);
	if (!span_eq(q->head->method, SPAN("PUT")) || ttl < 1 ||
	    ttl > SESSION_LONGEST)
		refuse(p, 400, NULL, NULL);
	else
		play_text(p, issue(ISSUED_SESSION)->name);
}

static void
answer_instance(const struct sim_request *q, struct play *p)
{
	struct span path = q->head->path;
	bool expired;
	const struct issued *session =
	    issued_find(field_of(q, "x-aws-ec2-metadata-token"), &expired);

	if (session == NULL || session->kind != ISSUED_SESSION)
		refuse(p, 401, NULL, NULL);
	else if (span_eq(path, SPAN(ROLES)))
		play_text(p, ROLE);
	else if (span_eq(path, SPAN(ROLES ROLE)))
		play_credentials(p, issue(ISSUED_ROLE));
	else if (span_eq(path, SPAN("/latest/meta-data/placement/region")))
		play_text(p, REGION);
	else
		refuse(p, 404, NULL, NULL);
}

static void
answer_container(const struct sim_request *q, struct play *p)
{
	bool is_eks = span_eq(q->head->path, SPAN("/v1/credentials"));

	if (is_eks && !is_key(field_of(q, "authorization")))
		refuse(p, 401, NULL, NULL);
	else
		play_credentials(p, issue(ISSUED_CONTAINER));
}

static void
answer(const struct sim_request *q, struct play *p)
{
	if (span_eq(q->head->path, SPAN("/latest/api/token")))
		answer_session(q, p);
	else if (span_starts(q->head->path, SPAN("/latest/")))
		answer_instance(q, p);
	else
		answer_container(q, p);
}

const struct sim_provider issuer_aws = {
    .name = "aws-issuer",
    .owns = owns,
    .answer = answer,
    .refuse = refuse,
};

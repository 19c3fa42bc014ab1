/*
 * AWS Bedrock: a signature or a bearer key; errors are a message with the
 * exception's name in a header field.
 */
#include "tests/sim/provider.h"

#define SERVICE "bedrock"

static const struct wording words[] = {
    {400, "ValidationException", "The request is not valid."},
    {403, "AccessDeniedException",
	"You don't have access to the model with the specified model ID."},
    {404, "ResourceNotFoundException", "The model could not be found."},
    {408, "ModelTimeoutException", "Model processing timed out."},
    {424, "ModelErrorException", "The model returned an error."},
    {429, "ThrottlingException",
	"Too many requests, please wait before trying again."},
    {503, "ServiceUnavailableException",
	"Bedrock is unable to process your request."},
    {0, "InternalServerException",
	"The system encountered an unexpected error during processing. "
	"Try your request again."},
};

static bool
owns(const struct sim_request *q)
{
	return (span_starts(q->head->path, SPAN("/model/")));
}

static void
refuse(struct play *p, int status, const char *code, const char *message)
{
	struct wording w = wording_of(words, status, code, message);
	struct buf b = {0}, type = {0};
	struct jout j;

	jout_init(&j, &b);
	jout_begin_object(&j);
	jout_kstr(&j, "message", w.message);
	jout_end_object(&j);
	/* With a tail that clients must cut off at the colon. */
	buf_addf(&type,
	    "%s:http://internal.amazon.com/coral/com.amazon.bedrock/", w.code);
	http1_put_field(&p->extra, "x-amzn-errortype", buf_span(&type));
	play_refusal(p, status, &b);
	buf_fini(&type);
}

static bool
is_signed_well(const struct sim_request *q, struct play *p)
{
	struct sigv4_verdict v = {0};
	bool good;

	sigv4_verify(q, SERVICE, &v);
	good = v.status == 0;
	if (!good)
		refuse(p, v.status, v.code, buf_cstr(&v.message));
	buf_fini(&v.message);
	return (good);
}

static bool
admit(const struct sim_request *q, struct play *p)
{
	struct span bearer = bearer_of(q);

	if (sim_secrets.key != NULL && bearer.n > 0 && !is_key(bearer)) {
		refuse(p, 403, NULL,
		    "Authentication failed: Please make sure your API Key "
		    "is valid.");
		return (false);
	}
	if (sim_secrets.key != NULL && bearer.n == 0 && !is_signed_well(q, p))
		return (false);
	if (q->endpoint != NULL)
		return (true);
	refuse(p, 404, "UnknownOperationException", "");
	return (false);
}

const struct sim_provider provider_aws = {
    .name = "aws",
    .owns = owns,
    .admit = admit,
    .refuse = refuse,
};

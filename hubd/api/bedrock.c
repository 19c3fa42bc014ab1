/* The Bedrock dialect: its errors, whose code is a field of the head. */
#include "hubd/api/dialect.h"

/* Exceptions of the runtime's service model, by status. */
static const char *
exception(int status)
{
	switch (status) {
	case 401:
	case 403:
		return ("AccessDeniedException");
	case 402:
		return ("ServiceQuotaExceededException");
	case 404:
		return ("ResourceNotFoundException");
	case 408:
	case 504:
		return ("ModelTimeoutException");
	case 429:
		return ("ThrottlingException");
	case 503:
		return ("ServiceUnavailableException");
	default:
		return (status < 500 ? "ValidationException"
				     : "InternalServerException");
	}
}

static void
error_fields(struct buf *out, enum api_error e)
{
	buf_addf(
	    out, "x-amzn-errortype: %s\r\n", exception(api_error_status(e)));
}

static void
error_body(struct buf *out, enum api_error e, const char *detail,
    const char *request_id)
{
	struct jout o;

	jout_init(&o, out);
	jout_begin_object(&o);
	jout_kstr(&o, "message", detail ? detail : api_error_text(e));
	jout_kstr(&o, "reason", api_error_code(e));
	if (request_id != NULL)
		jout_kstr(&o, "request_id", request_id);
	jout_end_object(&o);
}

/* "Message" is what some of AWS's front ends write. */
static bool
error_scrub(struct buf *out, struct span body)
{
	struct json *doc = scrub_parse(body);
	const char *name =
	    json_get_str(doc, "message") != NULL ? "message" : "Message";
	bool good = json_get_str(doc, name) != NULL;
	struct jout o;

	if (good) {
		jout_init(&o, out);
		jout_begin_object(&o);
		scrub_message(&o, doc, name);
		jout_end_object(&o);
	}
	json_free(doc);
	return (good);
}

static const char *const forwards[] = {"x-amzn-bedrock-", NULL};
static const char *const carries[] = {"x-amzn-bedrock-", NULL};

const struct dialect_ops dialect_bedrock = {
    .name = "bedrock",
    .id_field = "x-amzn-requestid",
    .forwards = forwards,
    .carries = carries,
    .error_body = error_body,
    .error_fields = error_fields,
    .error_scrub = error_scrub,
};

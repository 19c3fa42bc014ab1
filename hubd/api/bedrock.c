/* The Bedrock dialect: its errors, whose code is a field of the head. */
#include <ctype.h>
#include <string.h>

#include "common/crc32.h"
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

/* ---- a message of an event stream -----------------------------------------
 */

static void
put32(struct buf *out, uint32_t n)
{
	unsigned char b[4] = {(unsigned char)(n >> 24),
	    (unsigned char)(n >> 16), (unsigned char)(n >> 8),
	    (unsigned char)n};

	buf_add(out, b, sizeof(b));
}

/* A header whose value is a string. */
static void
put_header(struct buf *out, const char *name, struct span value)
{
	unsigned char n = (unsigned char)strlen(name);
	unsigned char type[3] = {
	    7, (unsigned char)(value.n >> 8), (unsigned char)value.n};

	buf_add(out, &n, 1);
	buf_add(out, name, n);
	buf_add(out, type, sizeof(type));
	buf_addspan(out, value);
}

static void
put_message(struct buf *out, struct span headers, struct span payload)
{
	struct buf m = {0};

	put32(&m, (uint32_t)(headers.n + payload.n + 16));
	put32(&m, (uint32_t)headers.n);
	put32(&m, crc32_add(0, buf_ptr(&m), buf_len(&m)));
	buf_addspan(&m, headers);
	buf_addspan(&m, payload);
	put32(&m, crc32_add(0, buf_ptr(&m), buf_len(&m)));
	buf_addspan(out, buf_span(&m));
	buf_fini(&m);
}

/* An exception; in streams their names begin with a small letter. */
static void
error_joined(struct buf *out, enum meter_joint joint, enum api_error e,
    const char *request_id)
{
	const char *exc = exception(api_error_status(e));
	struct buf name = {0}, headers = {0}, payload = {0};

	(void)joint;
	buf_addf(&name, "%c%s", tolower((unsigned char)*exc), exc + 1);
	put_header(&headers, ":message-type", SPAN("exception"));
	put_header(&headers, ":exception-type", buf_span(&name));
	put_header(&headers, ":content-type", SPAN("application/json"));
	error_body(&payload, e, NULL, request_id);
	put_message(out, buf_span(&headers), buf_span(&payload));
	buf_fini(&payload);
	buf_fini(&headers);
	buf_fini(&name);
}

/* ---- a provider's errors --------------------------------------------------
 */

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

/* The name of an exception; where it is from follows a colon. */
static struct span
carried_value(struct span name, struct span value)
{
	size_t n;

	if (!span_eq(name, SPAN("x-amzn-errortype")))
		return (value);
	for (n = 0; n < value.n && isalnum((unsigned char)value.p[n]); n++)
		;
	return (span_of(value.p, n == value.n || value.p[n] == ':' ? n : 0));
}

static const char *const forwards[] = {"x-amzn-bedrock-", NULL};
static const char *const carries[] = {
    "x-amzn-bedrock-", "x-amzn-errortype", NULL};

const struct dialect_ops dialect_bedrock = {
    .name = "bedrock",
    .id_field = "x-amzn-requestid",
    .forwards = forwards,
    .carries = carries,
    .carried_value = carried_value,
    .inspect = bedrock_inspect,
    .error_body = error_body,
    .error_fields = error_fields,
    .error_joined = error_joined,
    .error_scrub = error_scrub,
};

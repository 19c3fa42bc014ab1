/* The Bedrock dialect: its errors, whose code is a field of the head. */
#include <ctype.h>
#include <string.h>

#include "common/base64.h"
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

static size_t
get16(const char *p)
{
	return ((size_t)(unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

static size_t
get32(const char *p)
{
	return (get16(p) << 16 | get16(p + 2));
}

/* Bytes of a header's value, by its type, with what says its length. */
static size_t
value_len(struct span value, unsigned char type)
{
	static const uint8_t fixed[] = {0, 0, 1, 2, 4, 8, 0, 0, 8, 16};

	if (type == 6 || type == 7)
		return (value.n >= 2 ? 2 + get16(value.p) : SIZE_MAX);
	return (type < sizeof(fixed) ? fixed[type] : SIZE_MAX);
}

/* One header, scrubbed if it is a string; how long it was, 0 if it is none. */
static size_t
scrub_header(struct buf *out, struct span h)
{
	size_t head, n;
	struct buf clean = {0};

	if (h.n < 1 || h.n < (size_t)(unsigned char)*h.p + 2)
		return (0);
	head = (size_t)(unsigned char)*h.p + 2;
	n = value_len(
	    span_of(h.p + head, h.n - head), (unsigned char)h.p[head - 1]);
	if (n > h.n - head)
		return (0);
	buf_add(out, h.p, head);
	if (h.p[head - 1] == 7) {
		scrub_text(&clean, span_of(h.p + head + 2, n - 2));
		buf_add(out,
		    (char[2]){
			(char)(buf_len(&clean) >> 8), (char)buf_len(&clean)},
		    2);
		buf_addspan(out, buf_span(&clean));
	} else {
		buf_add(out, h.p + head, n);
	}
	buf_fini(&clean);
	return (head + n);
}

static bool
scrub_headers(struct buf *out, struct span headers)
{
	size_t n;

	for (; headers.n > 0; headers = span_of(headers.p + n, headers.n - n)) {
		n = scrub_header(out, headers);
		if (n == 0)
			return (false);
	}
	return (true);
}

/* Needs what {"bytes":"<base64>"} holds no scrubbing? */
static bool
is_clean_inside(struct span payload)
{
	struct json *doc = json_parse(payload, NULL, 0);
	const char *text = json_get_str(doc, "bytes");
	struct span in = span_str(text != NULL ? text : "");
	struct buf plain = {0}, clean = {0};
	struct base64 b;
	bool good;

	base64_init(&b);
	buf_commit(&plain,
	    base64_feed(&b, in, buf_reserve(&plain, BASE64_ROOM(in.n))));
	good = text != NULL && base64_end(&b) &&
	       scrub_document(&clean, buf_span(&plain)) &&
	       span_eq(buf_span(&clean), buf_span(&plain));
	json_free(doc);
	buf_fini(&plain);
	buf_fini(&clean);
	return (good);
}

bool
scrub_amazon(struct buf *out, struct span message, bool wrapped)
{
	struct buf headers = {0}, payload = {0};
	struct span in;
	size_t n;
	bool good;

	if (message.n < 16 || get32(message.p) != message.n ||
	    (n = get32(message.p + 4)) > message.n - 16)
		return (false);
	in = span_of(message.p + 12 + n, message.n - 16 - n);
	good = scrub_headers(&headers, span_of(message.p + 12, n)) &&
	       (wrapped ? is_clean_inside(in)
			: in.n == 0 || scrub_document(&payload, in));
	if (good)
		put_message(
		    out, buf_span(&headers), wrapped ? in : buf_span(&payload));
	buf_fini(&headers);
	buf_fini(&payload);
	return (good);
}

/* "Message" is what some of AWS's front ends write. */
static bool
put_error(struct jout *o, const struct json *doc)
{
	const char *name =
	    json_get_str(doc, "message") != NULL ? "message" : "Message";

	if (json_get_str(doc, name) == NULL)
		return (false);
	jout_begin_object(o);
	scrub_message(o, doc, name);
	jout_end_object(o);
	return (true);
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
    .put_error = put_error,
};

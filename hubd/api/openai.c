/* The OpenAI dialect: its key and its errors. */
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "hubd/api/dialect.h"

#define ERROR_BODY_MAX 65536
#define MEMBER_MAX     128

static struct span
bearer_of(struct span value)
{
	const struct span scheme = SPAN("bearer ");

	if (value.n < scheme.n || !span_ieq(span_of(value.p, scheme.n), scheme))
		return (span_of(NULL, 0));
	value = span_of(value.p + scheme.n, value.n - scheme.n);
	while (value.n > 0 && *value.p == ' ')
		value = span_of(value.p + 1, value.n - 1);
	return (value);
}

static struct span
key_of(const struct http1_head *head)
{
	struct span key = {NULL, 0}, other;
	size_t i;

	for (i = 0; i < head->nfields; i++) {
		if (!span_ieq(head->fields[i].name, SPAN("authorization")))
			continue;
		other = bearer_of(head->fields[i].value);
		if (other.n == 0 || (key.n != 0 && !span_eq(key, other)))
			return (span_of(NULL, 0));
		key = other;
	}
	return (key);
}

/* ---- our errors --------------------------------------------------------- */

static void
error_body(struct buf *out, enum api_error e, const char *detail,
    const char *request_id)
{
	struct jout o;

	jout_init(&o, out);
	jout_begin_object(&o);
	jout_key(&o, "error");
	jout_begin_object(&o);
	jout_kstr(&o, "message", detail ? detail : api_error_text(e));
	jout_kstr(&o, "type", api_error_type(e));
	jout_kstr(&o, "param", NULL);
	jout_kstr(&o, "code", api_error_code(e));
	if (request_id != NULL)
		jout_kstr(&o, "request_id", request_id);
	jout_end_object(&o);
	jout_end_object(&o);
}

/* No [DONE] follows: clients must not take the answer for a whole one. */
static void
error_event(struct buf *out, enum api_error e, const char *request_id)
{
	buf_addstr(out, "data: ");
	error_body(out, e, NULL, request_id);
	buf_addstr(out, "\n\n");
}

/* ---- a provider's errors ------------------------------------------------ */

/* A short text goes on whole or, if it holds anything doubtful, not. */
static void
put_member(struct jout *o, const struct json *error, const char *name)
{
	const struct json *j = json_get(error, name);
	struct buf clean = {0};

	jout_key(o, name);
	if (j != NULL && j->type == JSON_NUMBER && strlen(j->text) <= 6) {
		jout_raw(o, j->text);
		return;
	}
	if (j == NULL || j->type != JSON_STRING ||
	    strlen(j->text) > MEMBER_MAX) {
		jout_null(o);
		return;
	}
	scrub_text(&clean, span_str(j->text));
	jout_str(o, strcmp(buf_cstr(&clean), j->text) == 0 ? j->text : NULL);
	buf_fini(&clean);
}

static void
put_error(struct buf *out, const struct json *error, const char *message)
{
	struct buf clean = {0};
	struct jout o;

	scrub_text(&clean, span_str(message));
	jout_init(&o, out);
	jout_begin_object(&o);
	jout_key(&o, "error");
	jout_begin_object(&o);
	jout_key(&o, "message");
	jout_span(&o, buf_span(&clean));
	put_member(&o, error, "type");
	put_member(&o, error, "param");
	put_member(&o, error, "code");
	jout_end_object(&o);
	jout_end_object(&o);
	buf_fini(&clean);
}

static bool
error_scrub(struct buf *out, struct span body)
{
	struct json *doc;
	const struct json *error;
	const char *message;

	if (body.n > ERROR_BODY_MAX)
		return (false);
	doc = json_parse(body, NULL, 0);
	error = doc;
	/* Gemini's OpenAI endpoint wraps it in an array. */
	if (error != NULL && error->type == JSON_ARRAY)
		error = error->first;
	error = json_get(error, "error");
	message = json_get_str(error, "message");
	if (message != NULL)
		put_error(out, error, message);
	json_free(doc);
	return (message != NULL);
}

const struct dialect_ops dialect_openai = {
    .name = "openai",
    .key_of = key_of,
    .inspect = openai_inspect,
    .inspect_form = openai_inspect_form,
    .prepare = openai_prepare,
    .error_body = error_body,
    .error_event = error_event,
    .error_scrub = error_scrub,
};

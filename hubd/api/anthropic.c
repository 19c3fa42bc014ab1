/* The Anthropic dialect: its key, its models and its errors. */
#include <time.h>

#include "hubd/api/dialect.h"

/* ---- lists of models ----------------------------------------------------- */

static void
put_model(struct jout *o, const struct api_model *m)
{
	time_t t = (time_t)m->created_s;
	char created[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm);
	jout_begin_object(o);
	jout_kstr(o, "type", "model");
	jout_kstr(o, "id", m->name);
	jout_kstr(o, "display_name", m->name);
	jout_kstr(o, "created_at", created);
	jout_end_object(o);
}

static void
put_models(struct jout *o, const struct api_model *list, size_t n)
{
	size_t i;

	jout_begin_object(o);
	jout_key(o, "data");
	jout_begin_array(o);
	for (i = 0; i < n; i++)
		put_model(o, &list[i]);
	jout_end_array(o);
	jout_kbool(o, "has_more", false);
	jout_kstr(o, "first_id", n > 0 ? list[0].name : NULL);
	jout_kstr(o, "last_id", n > 0 ? list[n - 1].name : NULL);
	jout_end_object(o);
}

/* ---- our errors ---------------------------------------------------------- */

/* What the official clients know: docs.claude.com/en/api/errors. */
static const char *
error_type(int status)
{
	switch (status) {
	case 401:
		return ("authentication_error");
	case 402:
		return ("billing_error");
	case 403:
		return ("permission_error");
	case 404:
		return ("not_found_error");
	case 413:
		return ("request_too_large");
	case 429:
		return ("rate_limit_error");
	case 503:
		return ("overloaded_error");
	case 504:
		return ("timeout_error");
	default:
		return (status < 500 ? "invalid_request_error" : "api_error");
	}
}

/* Their place for a stable code is details, since 2026-10-21. */
static void
error_body(struct buf *out, enum api_error e, const char *detail,
    const char *request_id)
{
	struct jout o;

	jout_init(&o, out);
	jout_begin_object(&o);
	jout_kstr(&o, "type", "error");
	jout_key(&o, "error");
	jout_begin_object(&o);
	jout_kstr(&o, "type", error_type(api_error_status(e)));
	jout_kstr(&o, "message", detail ? detail : api_error_text(e));
	jout_key(&o, "details");
	jout_begin_object(&o);
	jout_kstr(&o, "error_code", api_error_code(e));
	jout_end_object(&o);
	jout_end_object(&o);
	if (request_id != NULL)
		jout_kstr(&o, "request_id", request_id);
	jout_end_object(&o);
}

/* ---- a provider's errors ------------------------------------------------- */

static bool
put_error(struct jout *o, const struct json *doc)
{
	const struct json *error = json_get(doc, "error");

	if (json_get_str(error, "message") == NULL ||
	    json_get_str(error, "type") == NULL)
		return (false);
	jout_begin_object(o);
	jout_kstr(o, "type", "error");
	jout_key(o, "error");
	jout_begin_object(o);
	scrub_word(o, error, "type");
	scrub_message(o, error, "message");
	jout_end_object(o);
	jout_end_object(o);
	return (true);
}

static const char *const forwards[] = {
    "anthropic-beta", "anthropic-version", NULL};
static const char *const carries_429[] = {
    "anthropic-ratelimit-", "x-should-retry", NULL};

const struct dialect_ops dialect_anthropic = {
    .name = "anthropic",
    .key_field = "x-api-key",
    .id_field = "request-id",
    .forwards = forwards,
    .carries_429 = carries_429,
    .models = put_models,
    .model = put_model,
    .inspect = anthropic_inspect,
    .prepare = anthropic_prepare,
    .error_body = error_body,
    .event_begin = "event: error\ndata: ",
    .event_end = "\n\n",
    .put_error = put_error,
};

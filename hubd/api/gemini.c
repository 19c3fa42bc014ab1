/* The Gemini dialect, of Vertex AI as well: key, models and errors. */
#include <string.h>

#include "hubd/api/dialect.h"

#define RPC "type.googleapis.com/google.rpc."

/* ---- lists of models ----------------------------------------------------- */

static const char *const methods[] = {
    "generateContent", "countTokens", "embedContent"};

static void
put_model(struct jout *o, const struct api_model *m)
{
	struct buf name = {0};
	size_t i;

	buf_addf(&name, "models/%s", m->name);
	jout_begin_object(o);
	jout_kstr(o, "name", buf_cstr(&name));
	jout_kstr(o, "displayName", m->name);
	jout_key(o, "supportedGenerationMethods");
	jout_begin_array(o);
	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		jout_str(o, methods[i]);
	jout_end_array(o);
	jout_end_object(o);
	buf_fini(&name);
}

static void
put_models(struct jout *o, const struct api_model *list, size_t n)
{
	size_t i;

	jout_begin_object(o);
	jout_key(o, "models");
	jout_begin_array(o);
	for (i = 0; i < n; i++)
		put_model(o, &list[i]);
	jout_end_array(o);
	jout_end_object(o);
}

/* ---- our errors ---------------------------------------------------------- */

/* Names of google.rpc.Code, by the status that stands for each. */
static const char *
error_status(int status)
{
	switch (status) {
	case 401:
		return ("UNAUTHENTICATED");
	case 402:
		return ("FAILED_PRECONDITION");
	case 403:
		return ("PERMISSION_DENIED");
	case 404:
		return ("NOT_FOUND");
	case 408:
	case 504:
		return ("DEADLINE_EXCEEDED");
	case 429:
		return ("RESOURCE_EXHAUSTED");
	case 500:
		return ("INTERNAL");
	case 405:
	case 501:
		return ("UNIMPLEMENTED");
	case 502:
	case 503:
		return ("UNAVAILABLE");
	default:
		return ("INVALID_ARGUMENT");
	}
}

static void
put_info(struct jout *o, enum api_error e, const char *request_id)
{
	jout_begin_object(o);
	jout_kstr(o, "@type", RPC "ErrorInfo");
	jout_kstr(o, "reason", api_error_code(e));
	jout_key(o, "metadata");
	jout_begin_object(o);
	if (request_id != NULL)
		jout_kstr(o, "request_id", request_id);
	jout_end_object(o);
	jout_end_object(o);
}

static void
error_body(struct buf *out, enum api_error e, const char *detail,
    const char *request_id)
{
	struct jout o;

	jout_init(&o, out);
	jout_begin_object(&o);
	jout_key(&o, "error");
	jout_begin_object(&o);
	jout_kint(&o, "code", api_error_status(e));
	jout_kstr(&o, "message", detail ? detail : api_error_text(e));
	jout_kstr(&o, "status", error_status(api_error_status(e)));
	jout_key(&o, "details");
	jout_begin_array(&o);
	put_info(&o, e, request_id);
	jout_end_array(&o);
	jout_end_object(&o);
	jout_end_object(&o);
}

/* The last element of an array. */
static void
error_joined(struct buf *out, enum meter_joint joint, enum api_error e,
    const char *request_id)
{
	buf_addstr(out, joint == JOINT_NEXT ? ",\r\n" : "");
	error_body(out, e, NULL, request_id);
	buf_addstr(out, "]");
}

/* ---- a provider's errors ------------------------------------------------- */

/* When to come again, and which field was wrong: clients act on these. The
 * others tell of the agent's project. */
static void
put_detail(struct jout *o, const struct json *d)
{
	const char *type = json_get_str(d, "@type");
	const struct json *v;

	if (type != NULL && strcmp(type, RPC "RetryInfo") == 0) {
		jout_begin_object(o);
		jout_kstr(o, "@type", RPC "RetryInfo");
		scrub_word(o, d, "retryDelay");
		jout_end_object(o);
	} else if (type != NULL && strcmp(type, RPC "BadRequest") == 0) {
		jout_begin_object(o);
		jout_kstr(o, "@type", RPC "BadRequest");
		jout_key(o, "fieldViolations");
		jout_begin_array(o);
		v = json_get(d, "fieldViolations");
		for (v = v != NULL ? v->first : NULL; v != NULL; v = v->next) {
			jout_begin_object(o);
			scrub_message(o, v, "field");
			scrub_message(o, v, "description");
			jout_end_object(o);
		}
		jout_end_array(o);
		jout_end_object(o);
	}
}

/* A bad key of the agent's is 400 here, and not the user's affair. */
static bool
is_ours(const struct json *error)
{
	const struct json *d = json_get(error, "details");
	const char *reason;

	for (d = d != NULL ? d->first : NULL; d != NULL; d = d->next) {
		reason = json_get_str(d, "reason");
		if (reason != NULL && strncmp(reason, "API_KEY_", 8) == 0)
			return (true);
	}
	return (false);
}

/* Streams that are arrays have their errors in one. */
static bool
put_error(struct jout *o, const struct json *doc)
{
	const struct json *error = scrub_error_of(doc);
	const struct json *d = json_get(error, "details");

	if (error == NULL || is_ours(error))
		return (false);
	jout_begin_object(o);
	jout_key(o, "error");
	jout_begin_object(o);
	scrub_word(o, error, "code");
	scrub_message(o, error, "message");
	scrub_word(o, error, "status");
	if (d != NULL && d->type == JSON_ARRAY) {
		jout_key(o, "details");
		jout_begin_array(o);
		for (d = d->first; d != NULL; d = d->next)
			put_detail(o, d);
		jout_end_array(o);
	}
	jout_end_object(o);
	jout_end_object(o);
	return (true);
}

static const char *const forwards[] = {"x-server-timeout", NULL};

const struct dialect_ops dialect_gemini = {
    .name = "gemini",
    .key_field = "x-goog-api-key",
    .key_in_query = true,
    .forwards = forwards,
    .models = put_models,
    .model = put_model,
    .inspect = gemini_inspect,
    .prepare = gemini_prepare,
    .error_body = error_body,
    .event_begin = "data: ",
    .event_end = "\r\n\r\n",
    .error_joined = error_joined,
    .put_error = put_error,
};

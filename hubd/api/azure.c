/*
 * The Azure dialect: OpenAI's bodies and answers under Azure's paths, with
 * its key and its errors, which have a code and no type.
 */
#include <string.h>

#include "hubd/api/dialect.h"

#define CATEGORY_MAX 40 /* bytes of its name */

static void
error_body(struct buf *out, enum api_error e, const char *detail,
    const char *request_id)
{
	struct jout o;

	jout_init(&o, out);
	jout_begin_object(&o);
	jout_key(&o, "error");
	jout_begin_object(&o);
	jout_kstr(&o, "code", api_error_code(e));
	jout_kstr(&o, "message", detail ? detail : api_error_text(e));
	if (request_id != NULL)
		jout_kstr(&o, "request_id", request_id);
	jout_end_object(&o);
	jout_end_object(&o);
}

/* ---- a provider's errors ------------------------------------------------- */

/* A category of what was filtered: {"filtered":true,"severity":"high"}. */
static void
put_category(struct jout *o, const struct json *c)
{
	size_t n = strlen(c->key);

	if (n > CATEGORY_MAX ||
	    strspn(c->key, "abcdefghijklmnopqrstuvwxyz_") != n)
		return;
	jout_key(o, c->key);
	jout_begin_object(o);
	jout_kbool(o, "filtered", json_get_bool(c, "filtered", false));
	scrub_word(o, c, "severity");
	jout_end_object(o);
}

/* Why the prompt was refused: it is the user's own. */
static void
put_inner(struct jout *o, const struct json *inner)
{
	const struct json *c = json_get(inner, "content_filter_result");

	jout_key(o, "innererror");
	jout_begin_object(o);
	scrub_word(o, inner, "code");
	if (c != NULL && c->type == JSON_OBJECT) {
		jout_key(o, "content_filter_result");
		jout_begin_object(o);
		for (c = c->first; c != NULL; c = c->next)
			put_category(o, c);
		jout_end_object(o);
	}
	jout_end_object(o);
}

static bool
put_error(struct jout *o, const struct json *doc)
{
	const struct json *error = json_get(doc, "error");
	const struct json *inner = json_get(error, "innererror");

	if (json_get_str(error, "message") == NULL)
		return (false);
	jout_begin_object(o);
	jout_key(o, "error");
	jout_begin_object(o);
	scrub_message(o, error, "message");
	scrub_word(o, error, "type");
	scrub_word(o, error, "param");
	scrub_word(o, error, "code");
	if (inner != NULL && inner->type == JSON_OBJECT)
		put_inner(o, inner);
	jout_end_object(o);
	jout_end_object(o);
	return (true);
}

const struct dialect_ops dialect_azure = {
    .name = "azure",
    .key_field = "api-key",
    .forwards = openai_forwards,
    .carries = openai_carries,
    .carries_429 = openai_carries_429,
    .models = openai_models,
    .model = openai_model,
    .inspect = openai_inspect,
    .inspect_form = openai_inspect_form,
    .prepare = openai_prepare,
    .error_body = error_body,
    .event_begin = "data: ",
    .event_end = "\n\n",
    .put_error = put_error,
};

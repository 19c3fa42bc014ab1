/* The OpenAI dialect: its models and its errors. */
#include "hubd/api/dialect.h"

/* ---- lists of models ----------------------------------------------------- */

void
openai_model(struct jout *o, const struct api_model *m)
{
	jout_begin_object(o);
	jout_kstr(o, "id", m->name);
	jout_kstr(o, "object", "model");
	jout_kint(o, "created", m->created_s);
	jout_kstr(o, "owned_by", m->provider);
	jout_end_object(o);
}

void
openai_models(struct jout *o, const struct api_model *list, size_t n)
{
	size_t i;

	jout_begin_object(o);
	jout_kstr(o, "object", "list");
	jout_key(o, "data");
	jout_begin_array(o);
	for (i = 0; i < n; i++)
		openai_model(o, &list[i]);
	jout_end_array(o);
	jout_end_object(o);
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

/* ---- a provider's errors ------------------------------------------------ */

/* Gemini's OpenAI endpoint wraps it in an array. */
static bool
put_error(struct jout *o, const struct json *doc)
{
	const struct json *error = scrub_error_of(doc);

	if (error == NULL)
		return (false);
	jout_begin_object(o);
	jout_key(o, "error");
	jout_begin_object(o);
	scrub_message(o, error, "message");
	scrub_word(o, error, "type");
	scrub_word(o, error, "param");
	scrub_word(o, error, "code");
	jout_end_object(o);
	jout_end_object(o);
	return (true);
}

const char *const openai_forwards[] = {"openai-beta", NULL};
const char *const openai_carries[] = {
    "openai-processing-ms", "openai-version", "openai-model", NULL};
const char *const openai_carries_429[] = {
    "retry-after-ms", "x-should-retry", "x-ratelimit-", NULL};

const struct dialect_ops dialect_openai = {
    .name = "openai",
    .forwards = openai_forwards,
    .carries = openai_carries,
    .carries_429 = openai_carries_429,
    .models = openai_models,
    .model = openai_model,
    .inspect = openai_inspect,
    .inspect_form = openai_inspect_form,
    .prepare = openai_prepare,
    .error_body = error_body,
    /* No [DONE] follows: clients must not take the answer for a whole one. */
    .event_begin = "data: ",
    .event_end = "\n\n",
    .put_error = put_error,
};

/*
 * The Azure dialect: OpenAI's bodies and answers under Azure's paths, with
 * its key and its errors, which have a code and no type.
 */
#include "hubd/api/dialect.h"

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

static void
error_event(struct buf *out, enum api_error e, const char *request_id)
{
	buf_addstr(out, "data: ");
	error_body(out, e, NULL, request_id);
	buf_addstr(out, "\n\n");
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
    .error_event = error_event,
    .error_scrub = openai_error_scrub,
};

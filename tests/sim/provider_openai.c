/* OpenAI: a bearer key, and errors with type, param and code. */
#include "tests/sim/provider.h"

/* The types follow from the status. */
static const struct wording words[] = {
    {400, "invalid_value", "The request is not valid."},
    {401, "invalid_api_key", "Incorrect API key provided."},
    {403, "model_not_allowed", "Project does not have access to the model."},
    {404, "model_not_found",
	"The model does not exist or you do not have access to it."},
    {429, "rate_limit_exceeded", "Rate limit reached for requests"},
    {0, "internal_error",
	"The server had an error while processing your request."},
};

static bool
owns(const struct sim_request *q)
{
	return (true);
}

static const char *
type_of(int status)
{
	if (status == 429)
		return ("requests");
	return (status < 500 ? "invalid_request_error" : "server_error");
}

static void
refuse(struct play *p, int status, const char *code, const char *message)
{
	struct wording w = wording_of(words, status, code, message);
	struct buf b = {0};

	buf_addstr(&b, "{\n    \"error\": {\n        \"message\": ");
	json_quote(&b, span_str(w.message));
	buf_addf(&b,
	    ",\n        \"type\": \"%s\",\n        \"param\": null,\n"
	    "        \"code\": \"%s\"\n    }\n}\n",
	    type_of(status), w.code);
	play_refusal(p, status, &b);
}

static bool
admit(const struct sim_request *q, struct play *p)
{
	if (sim_secrets.key == NULL || is_key(bearer_of(q)))
		return (true);
	refuse(p, 401, NULL, NULL);
	return (false);
}

const struct sim_provider provider_openai = {
    .name = "openai",
    .owns = owns,
    .admit = admit,
    .refuse = refuse,
};

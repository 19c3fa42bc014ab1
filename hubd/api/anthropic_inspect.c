/* What an Anthropic request asks. */
#include "hubd/api/dialect.h"
#include "hubd/api/inspect.h"

static const struct ask_field top[] = {
    ASK("model", ASK_MODEL),
    ASK("stream", ASK_STREAM),
    ASK("max_tokens", ASK_MAX),
    ASK("service_tier", ASK_TIER),
    ASK("speed", ASK_TIER),
    ASK("metadata", ASK_QUIET),
    ASK("stop_sequences", ASK_QUIET),
    ASK("container", ASK_QUIET),
    ASK_END,
};
static const char *const media[] = {"source", NULL};
static const struct ask_shape shape = {.top = top, .media = media};

enum api_error
anthropic_inspect(const struct endpoint *ep, struct span body,
    struct api_request *req, const char **why)
{
	req->no_output = ep->meter == METER_COUNT;
	return (inspect_json(&shape, body, req, why));
}

void
anthropic_prepare(const struct api_request *req, struct buf *body,
    struct span model, bool ask_usage)
{
	(void)ask_usage;
	splice_model(req, body, model);
}

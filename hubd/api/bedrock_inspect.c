/*
 * What a Bedrock request asks: the model is in the path, and what a model
 * that is invoked calls its bounds depends on whose it is.
 */
#include "hubd/api/dialect.h"
#include "hubd/api/inspect.h"

static const struct ask_field converse[] = {
    ASK("inferenceConfig", ASK_CONFIG),
    ASK("serviceTier", ASK_CONFIG),
    ASK("requestMetadata", ASK_QUIET),
    ASK("performanceConfig", ASK_QUIET),
    ASK_END,
};
static const struct ask_field invoke[] = {
    ASK("max_tokens", ASK_MAX),		     /* Claude, Mistral, Cohere */
    ASK("max_completion_tokens", ASK_MAX),   /* OpenAI's */
    ASK("max_tokens_to_sample", ASK_MAX),    /* Claude of old */
    ASK("max_gen_len", ASK_MAX),	     /* Llama */
    ASK("maxTokens", ASK_MAX),		     /* Jurassic */
    ASK("textGenerationConfig", ASK_CONFIG), /* Titan */
    ASK("inferenceConfig", ASK_CONFIG),	     /* Nova */
    ASK("num_generations", ASK_N),
    ASK("n", ASK_N),
    ASK("anthropic_version", ASK_QUIET),
    ASK("anthropic_beta", ASK_QUIET),
    ASK("stop_sequences", ASK_QUIET),
    ASK_END,
};
static const struct ask_field config[] = {
    ASK("maxTokens", ASK_MAX),
    ASK("max_new_tokens", ASK_MAX),
    ASK("maxTokenCount", ASK_MAX),
    ASK("type", ASK_TIER), /* of the service */
    ASK("stopSequences", ASK_QUIET),
    ASK_END,
};
static const char *const media[] = {
    "image", "document", "video", "audio", "source", NULL};

static const struct ask_shape converse_shape = {
    .top = converse, .config = config, .media = media};
static const struct ask_shape invoke_shape = {
    .top = invoke, .config = config, .media = media};

enum api_error
bedrock_inspect(const struct endpoint *ep, struct span body,
    struct api_request *req, const char **why)
{
	req->stream = ep->stream;
	return (inspect_json(
	    ep->meter == METER_CONVERSE ? &converse_shape : &invoke_shape, body,
	    req, why));
}

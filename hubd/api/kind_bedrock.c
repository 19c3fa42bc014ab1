/*
 * Bedrock's answers. Converse reports usage in one place, a stream in its
 * last event. What models answer to be invoked is their own; Bedrock counts
 * beside it, in fields of the head or in the last chunk, and where it does
 * not, what the model itself reports is taken.
 */
#include "hubd/api/reader.h"

/* ---- converse -------------------------------------------------------------
 */

static const struct member converse_top[] = {
    {SPAN("usage"), N_USAGE},
    {SPAN("output"), N_RESPONSE},
    {SPAN("delta"), N_MESSAGE},
    {SPAN("serviceTier"), N_TIER_OBJECT},
    /* of an error that came with 200: no answer has one there */
    {SPAN("message"), N_ERROR},
    {{NULL, 0}, 0},
};
/* Some counts are there under two names, with the same number. */
static const struct member converse_usage[] = {
    {SPAN("inputTokens"), N_RAW + RAW_PROMPT},
    {SPAN("outputTokens"), N_RAW + RAW_COMPLETION},
    {SPAN("totalTokens"), N_RAW + RAW_TOTAL},
    {SPAN("cacheReadInputTokens"), N_RAW + RAW_CACHED},
    {SPAN("cacheReadInputTokenCount"), N_RAW + RAW_CACHED},
    {SPAN("cacheWriteInputTokens"), N_RAW + RAW_CACHE_WRITE},
    {SPAN("cacheWriteInputTokenCount"), N_RAW + RAW_CACHE_WRITE},
    {SPAN("cacheDetails"), N_CACHE_TIMES},
    {{NULL, 0}, 0},
};
static const struct member share[] = {
    {SPAN("ttl"), N_SHARE_OF},
    {SPAN("inputTokens"), N_SHARE_COUNT},
    {{NULL, 0}, 0},
};
static const struct member output[] = {
    {SPAN("message"), N_ITEM},
    {{NULL, 0}, 0},
};
static const struct member message[] = {
    {SPAN("content"), N_CONTENT},
    {{NULL, 0}, 0},
};
/* A block of content, or what a delta adds to one. */
static const struct member block[] = {
    {SPAN("text"), N_TEXT},
    {SPAN("reasoningContent"), N_MESSAGE},
    {SPAN("reasoningText"), N_MESSAGE},
    {SPAN("toolUse"), N_FUNCTION},
    {{NULL, 0}, 0},
};
static const struct member tool[] = {
    {SPAN("input"), N_TEXT},
    {{NULL, 0}, 0},
};
static const struct member tier[] = {
    {SPAN("type"), N_TIER},
    {{NULL, 0}, 0},
};

static const struct event_type converse_types[] = {
    {"messageStop", .ends = true},
    {"metadata", .last = true},
    {NULL, .last = false},
};

const struct kind kind_converse = {
    .members =
	{
	    [N_TOP] = converse_top,
	    [N_USAGE] = converse_usage,
	    [N_SHARE] = share,
	    [N_RESPONSE] = output,
	    [N_ITEM] = message,
	    [N_PART] = block,
	    [N_MESSAGE] = block,
	    [N_FUNCTION] = tool,
	    [N_TIER_OBJECT] = tier,
	},
    .element_of =
	{
	    [N_CACHE_TIMES] = N_SHARE,
	    [N_CONTENT] = N_PART,
	},
    .types = converse_types,
    .roles = true,
    .no_sniff = true,
    .amazon = true,
    .convert = bedrock_usage,
};

/* ---- invoke ---------------------------------------------------------------
 */

static const struct member invoke_top[] = {
    {SPAN("amazon-bedrock-invocationMetrics"), N_METRICS},
    {SPAN("usage"), N_USAGE},
    {SPAN("message"), N_RESPONSE},		       /* Claude, streamed */
    {SPAN("metadata"), N_RESPONSE},		       /* Nova, streamed */
    {SPAN("inputTextTokenCount"), N_RAW + RAW_PROMPT}, /* Titan */
    {SPAN("totalOutputTextTokenCount"), N_RAW + RAW_COMPLETION},
    {SPAN("results"), N_RESULTS},
    {SPAN("outputText"), N_TEXT},
    {SPAN("prompt_token_count"), N_RAW + RAW_PROMPT}, /* Llama */
    {SPAN("generation_token_count"), N_RAW + RAW_COMPLETION},
    {SPAN("generation"), N_TEXT},
    {SPAN("completion"), N_TEXT}, /* Claude of old */
    {SPAN("text"), N_TEXT},	  /* Cohere */
    {SPAN("generations"), N_RESULTS},
    {SPAN("outputs"), N_RESULTS}, /* Mistral */
    {SPAN("choices"), N_RESULTS}, /* those who speak OpenAI's */
    {SPAN("content"), N_CONTENT},
    {SPAN("delta"), N_MESSAGE},
    {SPAN("contentBlockDelta"), N_ITEM},
    {SPAN("output"), N_ITEM},
    {SPAN("service_tier"), N_TIER},
    {SPAN("error"), N_ERROR},
    {{NULL, 0}, 0},
};
static const struct member metrics[] = {
    {SPAN("inputTokenCount"), N_RAW + RAW_METRIC_IN},
    {SPAN("outputTokenCount"), N_RAW + RAW_METRIC_OUT},
    {SPAN("cacheReadInputTokenCount"), N_RAW + RAW_METRIC_READ},
    {SPAN("cacheWriteInputTokenCount"), N_RAW + RAW_METRIC_WRITE},
    {{NULL, 0}, 0},
};
static const struct member invoke_usage[] = {
    {SPAN("input_tokens"), N_RAW + RAW_PROMPT}, /* Claude */
    {SPAN("output_tokens"), N_RAW + RAW_COMPLETION},
    {SPAN("cache_read_input_tokens"), N_RAW + RAW_CACHED},
    {SPAN("cache_creation_input_tokens"), N_RAW + RAW_CACHE_WRITE},
    {SPAN("cache_creation"), N_CACHE_CREATION},
    {SPAN("inputTokens"), N_RAW + RAW_PROMPT}, /* Nova */
    {SPAN("outputTokens"), N_RAW + RAW_COMPLETION},
    {SPAN("cacheReadInputTokenCount"), N_RAW + RAW_CACHED},
    {SPAN("cacheWriteInputTokenCount"), N_RAW + RAW_CACHE_WRITE},
    {SPAN("prompt_tokens"), N_RAW + RAW_PROMPT}, /* OpenAI's, Jamba */
    {SPAN("completion_tokens"), N_RAW + RAW_COMPLETION},
    {{NULL, 0}, 0},
};
static const struct member cache_creation[] = {
    {SPAN("ephemeral_5m_input_tokens"), N_RAW + RAW_CACHE_5M},
    {SPAN("ephemeral_1h_input_tokens"), N_RAW + RAW_CACHE_1H},
    {{NULL, 0}, 0},
};
static const struct member inner[] = {
    {SPAN("usage"), N_USAGE},
    {{NULL, 0}, 0},
};
static const struct member result[] = {
    {SPAN("tokenCount"), N_RAW + RAW_COMPLETION},
    {SPAN("outputText"), N_TEXT},
    {SPAN("text"), N_TEXT},
    {SPAN("delta"), N_MESSAGE},
    {SPAN("message"), N_MESSAGE},
    {{NULL, 0}, 0},
};
static const struct member holder[] = {
    {SPAN("delta"), N_MESSAGE},
    {SPAN("message"), N_MESSAGE},
    {{NULL, 0}, 0},
};
static const struct member words[] = {
    {SPAN("text"), N_TEXT},
    {SPAN("thinking"), N_TEXT},
    {SPAN("partial_json"), N_TEXT},
    {SPAN("content"), N_CONTENT},
    {{NULL, 0}, 0},
};

const struct kind kind_invoke = {
    .members =
	{
	    [N_TOP] = invoke_top,
	    [N_METRICS] = metrics,
	    [N_USAGE] = invoke_usage,
	    [N_CACHE_CREATION] = cache_creation,
	    [N_RESPONSE] = inner,
	    [N_RESULT] = result,
	    [N_ITEM] = holder,
	    [N_MESSAGE] = words,
	    [N_PART] = words,
	},
    .element_of =
	{
	    [N_RESULTS] = N_RESULT,
	    [N_CONTENT] = N_PART,
	},
    .at_end = true,
    .cumulative = true,
    .last_counts = 1u << RAW_METRIC_IN | 1u << RAW_METRIC_OUT,
    .roles = true,
    .any_type = true,
    .no_sniff = true,
    .amazon = true,
    .wrapped = true,
    .convert = bedrock_usage,
};

/*
 * Chat, legacy completions and embeddings: prompt_tokens and its kin at the
 * top level, choices that finish one by one.
 */
#include "hubd/api/reader.h"

static const struct member top[] = {
    {SPAN("choices"), N_CHOICES},
    {SPAN("usage"), N_USAGE},
    {SPAN("error"), N_ERROR},
    {SPAN("service_tier"), N_TIER},
    {SPAN("x_groq"), N_GROQ},
    {{NULL, 0}, 0},
};
static const struct member usage[] = {
    {SPAN("prompt_tokens"), N_RAW + RAW_PROMPT},
    {SPAN("completion_tokens"), N_RAW + RAW_COMPLETION},
    {SPAN("total_tokens"), N_RAW + RAW_TOTAL},
    {SPAN("prompt_cache_hit_tokens"), N_RAW + RAW_CACHE_HIT},
    {SPAN("num_cached_tokens"), N_RAW + RAW_NUM_CACHED},
    {SPAN("prompt_tokens_details"), N_PROMPT_DETAILS},
    {SPAN("completion_tokens_details"), N_OUTPUT_DETAILS},
    {{NULL, 0}, 0},
};
const struct member reader_prompt_details[] = {
    {SPAN("cached_tokens"), N_RAW + RAW_CACHED},
    {SPAN("cache_write_tokens"), N_RAW + RAW_CACHE_WRITE},
    {SPAN("audio_tokens"), N_RAW + RAW_AUDIO_IN},
    {SPAN("image_tokens"), N_RAW + RAW_IMAGE_IN},
    {{NULL, 0}, 0},
};
const struct member reader_output_details[] = {
    {SPAN("reasoning_tokens"), N_RAW + RAW_REASONING},
    {SPAN("audio_tokens"), N_RAW + RAW_AUDIO_OUT},
    {SPAN("image_tokens"), N_RAW + RAW_IMAGE_OUT},
    {{NULL, 0}, 0},
};
static const struct member groq[] = {
    {SPAN("usage"), N_GROQ_USAGE},
    {{NULL, 0}, 0},
};
static const struct member choice[] = {
    {SPAN("index"), N_INDEX},
    {SPAN("delta"), N_MESSAGE},
    {SPAN("message"), N_MESSAGE},
    {SPAN("finish_reason"), N_FINISH},
    {SPAN("text"), N_TEXT},
    {{NULL, 0}, 0},
};
static const struct member message[] = {
    {SPAN("content"), N_CONTENT},
    {SPAN("reasoning_content"), N_CONTENT},
    {SPAN("reasoning"), N_TEXT},
    {SPAN("refusal"), N_TEXT},
    {SPAN("tool_calls"), N_TOOL_CALLS},
    {SPAN("function_call"), N_FUNCTION},
    {{NULL, 0}, 0},
};
static const struct member part[] = {
    {SPAN("text"), N_TEXT},
    {SPAN("thinking"), N_CONTENT},
    {{NULL, 0}, 0},
};
static const struct member tool_call[] = {
    {SPAN("function"), N_FUNCTION},
    {SPAN("custom"), N_FUNCTION},
    {{NULL, 0}, 0},
};
static const struct member function[] = {
    {SPAN("name"), N_TEXT},
    {SPAN("arguments"), N_TEXT},
    {SPAN("input"), N_TEXT},
    {{NULL, 0}, 0},
};

#define MEMBERS                                             \
	.members =                                          \
	    {                                               \
		[N_TOP] = top,                              \
		[N_USAGE] = usage,                          \
		[N_GROQ_USAGE] = usage,                     \
		[N_PROMPT_DETAILS] = reader_prompt_details, \
		[N_OUTPUT_DETAILS] = reader_output_details, \
		[N_GROQ] = groq,                            \
		[N_CHOICE] = choice,                        \
		[N_MESSAGE] = message,                      \
		[N_PART] = part,                            \
		[N_TOOL_CALL] = tool_call,                  \
		[N_FUNCTION] = function,                    \
	},                                                  \
	.element_of = {                                     \
	    [N_CHOICES] = N_CHOICE,                         \
	    [N_TOOL_CALLS] = N_TOOL_CALL,                   \
	    [N_CONTENT] = N_PART,                           \
	}

const struct kind kind_chat = {MEMBERS, .asks_usage = true, .roles = true};
const struct kind kind_completion = {MEMBERS, .asks_usage = true};
const struct kind kind_embedding = {MEMBERS, .read_at_once = true};

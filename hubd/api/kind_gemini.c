/*
 * Gemini's answers, of Vertex AI as well: usageMetadata at the top level of
 * every document of a stream; the last one counts, whole.
 */
#include "hubd/api/reader.h"

static const struct member top[] = {
    {SPAN("candidates"), N_CHOICES},
    {SPAN("usageMetadata"), N_USAGE},
    {SPAN("promptFeedback"), N_FEEDBACK},
    {SPAN("error"), N_ERROR},
    {{NULL, 0}, 0},
};
/* What is zero is left out, and in embeddings one name is another. */
static const struct member usage[] = {
    {SPAN("promptTokenCount"), N_RAW + RAW_PROMPT},
    {SPAN("candidatesTokenCount"), N_RAW + RAW_COMPLETION},
    {SPAN("totalTokenCount"), N_RAW + RAW_TOTAL},
    {SPAN("cachedContentTokenCount"), N_RAW + RAW_CACHED},
    {SPAN("thoughtsTokenCount"), N_RAW + RAW_REASONING},
    {SPAN("toolUsePromptTokenCount"), N_RAW + RAW_TOOL_PROMPT},
    {SPAN("promptTokensDetails"), N_PROMPT_MODES},
    {SPAN("promptTokenDetails"), N_PROMPT_MODES},
    {SPAN("cacheTokensDetails"), N_CACHE_MODES},
    {SPAN("candidatesTokensDetails"), N_OUTPUT_MODES},
    {SPAN("serviceTier"), N_TIER},
    {SPAN("trafficType"), N_TRAFFIC},
    {{NULL, 0}, 0},
};
static const struct member share[] = {
    {SPAN("modality"), N_SHARE_OF},
    {SPAN("tokenCount"), N_SHARE_COUNT},
    {{NULL, 0}, 0},
};
static const struct member feedback[] = {
    {SPAN("blockReason"), N_BLOCKED},
    {{NULL, 0}, 0},
};
static const struct member candidate[] = {
    {SPAN("index"), N_INDEX},
    {SPAN("content"), N_MESSAGE},
    {SPAN("finishReason"), N_FINISH},
    {{NULL, 0}, 0},
};
static const struct member content[] = {
    {SPAN("parts"), N_CONTENT},
    {{NULL, 0}, 0},
};
static const struct member part[] = {
    {SPAN("text"), N_TEXT},
    {SPAN("executableCode"), N_FUNCTION},
    {SPAN("codeExecutionResult"), N_FUNCTION},
    {{NULL, 0}, 0},
};
static const struct member code[] = {
    {SPAN("code"), N_TEXT},
    {SPAN("output"), N_TEXT},
    {{NULL, 0}, 0},
};

#define MEMBERS                             \
	.members =                          \
	    {                               \
		[N_TOP] = top,              \
		[N_USAGE] = usage,          \
		[N_SHARE] = share,          \
		[N_FEEDBACK] = feedback,    \
		[N_CHOICE] = candidate,     \
		[N_MESSAGE] = content,      \
		[N_PART] = part,            \
		[N_FUNCTION] = code,        \
	},                                  \
	.element_of =                       \
	    {                               \
		[N_ALL] = N_TOP,            \
		[N_CHOICES] = N_CHOICE,     \
		[N_CONTENT] = N_PART,       \
		[N_PROMPT_MODES] = N_SHARE, \
		[N_CACHE_MODES] = N_SHARE,  \
		[N_OUTPUT_MODES] = N_SHARE, \
	},                                  \
	.convert = gemini_usage,            \
	.more_counts = 1u << RAW_REASONING | 1u << RAW_TOOL_PROMPT

const struct kind kind_gemini = {MEMBERS, .roles = true};
const struct kind kind_gemini_stream = {
    MEMBERS, .roles = true, .array = true, .strays = true};
const struct kind kind_gemini_embed = {MEMBERS, .read_at_once = true};

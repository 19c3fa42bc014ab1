/*
 * Anthropic's messages: the input's counts come with message_start, and
 * message_delta overwrites what it names, for its counts are sums.
 */
#include "hubd/api/reader.h"

static const struct member top[] = {
    {SPAN("type"), N_TYPE},
    {SPAN("message"), N_RESPONSE},
    {SPAN("delta"), N_MESSAGE},
    {SPAN("content"), N_CONTENT},
    {SPAN("usage"), N_USAGE},
    {SPAN("error"), N_ERROR},
    {{NULL, 0}, 0},
};
static const struct member response[] = {
    {SPAN("usage"), N_USAGE},
    {{NULL, 0}, 0},
};
static const struct member usage[] = {
    {SPAN("input_tokens"), N_RAW + RAW_PROMPT},
    {SPAN("output_tokens"), N_RAW + RAW_COMPLETION},
    {SPAN("cache_read_input_tokens"), N_RAW + RAW_CACHED},
    {SPAN("cache_creation_input_tokens"), N_RAW + RAW_CACHE_WRITE},
    {SPAN("cache_creation"), N_CACHE_CREATION},
    {SPAN("output_tokens_details"), N_OUTPUT_DETAILS},
    {SPAN("server_tool_use"), N_SERVER_TOOLS},
    {SPAN("service_tier"), N_TIER},
    {SPAN("speed"), N_SPEED},
    {SPAN("iterations"), N_STEPS},
    {{NULL, 0}, 0},
};
static const struct member cache_creation[] = {
    {SPAN("ephemeral_5m_input_tokens"), N_RAW + RAW_CACHE_5M},
    {SPAN("ephemeral_1h_input_tokens"), N_RAW + RAW_CACHE_1H},
    {{NULL, 0}, 0},
};
static const struct member output_details[] = {
    {SPAN("thinking_tokens"), N_RAW + RAW_REASONING},
    {{NULL, 0}, 0},
};
static const struct member server_tools[] = {
    {SPAN("web_search_requests"), N_RAW + RAW_SEARCHES},
    {SPAN("web_fetch_requests"), N_RAW + RAW_FETCHES},
    {{NULL, 0}, 0},
};
static const struct member step[] = {
    {SPAN("input_tokens"), N_RAW + RAW_PROMPT},
    {SPAN("output_tokens"), N_RAW + RAW_COMPLETION},
    {SPAN("cache_read_input_tokens"), N_RAW + RAW_CACHED},
    {SPAN("cache_creation_input_tokens"), N_RAW + RAW_CACHE_WRITE},
    {SPAN("cache_creation"), N_CACHE_CREATION},
    {{NULL, 0}, 0},
};
/* A block of content, or what a delta adds to one. */
static const struct member block[] = {
    {SPAN("text"), N_TEXT},
    {SPAN("thinking"), N_TEXT},
    {SPAN("partial_json"), N_TEXT},
    {{NULL, 0}, 0},
};

static const struct event_type types[] = {
    {"message_start", .first = true},
    {"message_stop", .last = true},
    {"error", .failed = true},
    {NULL, .last = false},
};

const struct kind kind_message = {
    .members =
	{
	    [N_TOP] = top,
	    [N_RESPONSE] = response,
	    [N_USAGE] = usage,
	    [N_CACHE_CREATION] = cache_creation,
	    [N_OUTPUT_DETAILS] = output_details,
	    [N_SERVER_TOOLS] = server_tools,
	    [N_STEP] = step,
	    [N_MESSAGE] = block,
	    [N_PART] = block,
	},
    .element_of =
	{
	    [N_CONTENT] = N_PART,
	    [N_STEPS] = N_STEP,
	},
    .types = types,
    .any_usage = true,
    .cumulative = true,
    .roles = true,
    .convert = anthropic_usage,
};

/*
 * The responses API: input_tokens and its kin, at the top level of a plain
 * answer, in the response of the last event of a stream. Those events are
 * named; there is no [DONE].
 */
#include "hubd/api/reader.h"

static const struct member top[] = {
    {SPAN("id"), N_PLAIN_ID},
    {SPAN("type"), N_TYPE},
    {SPAN("response"), N_RESPONSE},
    {SPAN("delta"), N_TEXT},
    {SPAN("usage"), N_USAGE},
    {SPAN("error"), N_ERROR},
    {SPAN("service_tier"), N_TIER},
    {SPAN("output"), N_OUTPUT},
    {{NULL, 0}, 0},
};
/* Its output was already seen, delta by delta. */
static const struct member response[] = {
    {SPAN("id"), N_ID},
    {SPAN("usage"), N_USAGE},
    {SPAN("error"), N_ERROR},
    {SPAN("service_tier"), N_TIER},
    {{NULL, 0}, 0},
};
const struct member reader_io_usage[] = {
    {SPAN("input_tokens"), N_RAW + RAW_PROMPT},
    {SPAN("output_tokens"), N_RAW + RAW_COMPLETION},
    {SPAN("total_tokens"), N_RAW + RAW_TOTAL},
    {SPAN("input_tokens_details"), N_PROMPT_DETAILS},
    {SPAN("input_token_details"), N_PROMPT_DETAILS},
    {SPAN("output_tokens_details"), N_OUTPUT_DETAILS},
    {SPAN("output_token_details"), N_OUTPUT_DETAILS},
    {SPAN("seconds"), N_SECONDS},
    {{NULL, 0}, 0},
};
static const struct member item[] = {
    {SPAN("content"), N_CONTENT},
    {SPAN("summary"), N_CONTENT},
    {SPAN("name"), N_TEXT},
    {SPAN("arguments"), N_TEXT},
    {SPAN("input"), N_TEXT},
    {SPAN("code"), N_TEXT},
    {{NULL, 0}, 0},
};
static const struct member part[] = {
    {SPAN("text"), N_TEXT},
    {SPAN("refusal"), N_TEXT},
    {{NULL, 0}, 0},
};

static const struct event_type types[] = {
    {"response.completed", .last = true},
    {"response.incomplete", .last = true},
    {"response.cancelled", .last = true, .failed = true},
    {"response.failed", .last = true, .failed = true},
    {"error", .failed = true},
    {NULL, .last = false},
};

const struct kind kind_response = {
    .members =
	{
	    [N_TOP] = top,
	    [N_RESPONSE] = response,
	    [N_USAGE] = reader_io_usage,
	    [N_PROMPT_DETAILS] = reader_prompt_details,
	    [N_OUTPUT_DETAILS] = reader_output_details,
	    [N_ITEM] = item,
	    [N_PART] = part,
	},
    .element_of =
	{
	    [N_OUTPUT] = N_ITEM,
	    [N_CONTENT] = N_PART,
	},
    .types = types,
    .roles = true,
};

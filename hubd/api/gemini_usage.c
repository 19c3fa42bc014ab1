/*
 * From Gemini's usageMetadata to our kinds: the prompt holds what was cached
 * and not what tools put in, candidates hold no thoughts (ai.google.dev,
 * GenerateContentResponse.UsageMetadata).
 */
#include "hubd/api/reader.h"

/* The prompt, which is left out now and then where the total is not. */
static uint64_t
prompt_of(const struct raw_usage *raw)
{
	uint64_t rest = raw->n[RAW_COMPLETION] + raw->n[RAW_REASONING] +
			raw->n[RAW_TOOL_PROMPT];

	if (raw_has(raw, RAW_PROMPT))
		return (raw->n[RAW_PROMPT]);
	return (raw->n[RAW_TOTAL] > rest ? raw->n[RAW_TOTAL] - rest : 0);
}

/* What of a modality is not among what was cached. */
static uint64_t
fresh(const struct raw_usage *raw, enum raw_count all, enum raw_count cached)
{
	return (
	    raw->n[all] > raw->n[cached] ? raw->n[all] - raw->n[cached] : 0);
}

bool
gemini_usage(
    const struct raw_usage *raw, const struct raw_usage *steps, struct usage *u)
{
	uint64_t in = prompt_of(raw), out = raw->n[RAW_COMPLETION];

	(void)steps;
	*u = (struct usage){0};
	if (!raw_is_sane(raw))
		return (false);
	u->n[USAGE_cache_read] = take_part(&in, raw->n[RAW_CACHED]);
	u->n[USAGE_audio_input] =
	    take_part(&in, fresh(raw, RAW_AUDIO_IN, RAW_AUDIO_CACHED));
	u->n[USAGE_image_input] =
	    take_part(&in, fresh(raw, RAW_IMAGE_IN, RAW_IMAGE_CACHED));
	u->n[USAGE_input] = in + raw->n[RAW_TOOL_PROMPT];
	u->n[USAGE_audio_output] = take_part(&out, raw->n[RAW_AUDIO_OUT]);
	u->n[USAGE_image_output] = take_part(&out, raw->n[RAW_IMAGE_OUT]);
	u->n[USAGE_output] = out;
	u->n[USAGE_reasoning] = raw->n[RAW_REASONING];
	return (true);
}

/* From an OpenAI usage object to our disjoint kinds. */
#include "hubd/api/reader.h"

bool
raw_is_sane(const struct raw_usage *raw)
{
	unsigned i;

	for (i = 0; i < RAW_COUNT; i++) {
		if (raw->n[i] > USAGE_MAX_COUNT)
			return (false);
	}
	return (!raw->bad);
}

uint64_t
take_part(uint64_t *left, uint64_t part)
{
	uint64_t n = part < *left ? part : *left;

	*left -= n;
	return (n);
}

/* Three names of one figure. */
static uint64_t
cached(const struct raw_usage *raw)
{
	if (raw_has(raw, RAW_CACHED))
		return (raw->n[RAW_CACHED]);
	if (raw_has(raw, RAW_CACHE_HIT))
		return (raw->n[RAW_CACHE_HIT]);
	return (raw->n[RAW_NUM_CACHED]);
}

/*
 * Reasoning that completion_tokens does not hold: xAI says how much it was,
 * Gemini's OpenAI endpoint lets it be seen in the total alone.
 */
static uint64_t
reasoning_outside(const struct raw_usage *raw)
{
	uint64_t sum = raw->n[RAW_PROMPT] + raw->n[RAW_COMPLETION];
	uint64_t rest;

	if (!raw_has(raw, RAW_TOTAL) || !raw_has(raw, RAW_PROMPT) ||
	    !raw_has(raw, RAW_COMPLETION) || raw->n[RAW_TOTAL] <= sum)
		return (0);
	rest = raw->n[RAW_TOTAL] - sum;
	if (raw->n[RAW_REASONING] != 0 && raw->n[RAW_REASONING] != rest)
		return (0);
	return (rest);
}

bool
openai_usage(const struct raw_usage *raw, struct usage *u)
{
	uint64_t in = raw->n[RAW_PROMPT], out = raw->n[RAW_COMPLETION];
	uint64_t outside;

	*u = (struct usage){0};
	if (!raw_is_sane(raw))
		return (false);
	outside = reasoning_outside(raw);
	if (!raw_has(raw, RAW_PROMPT) && raw->n[RAW_TOTAL] > out)
		in = raw->n[RAW_TOTAL] - out;
	u->n[USAGE_cache_read] = take_part(&in, cached(raw));
	u->n[USAGE_cache_write] = take_part(&in, raw->n[RAW_CACHE_WRITE]);
	u->n[USAGE_audio_input] = take_part(&in, raw->n[RAW_AUDIO_IN]);
	u->n[USAGE_image_input] = take_part(&in, raw->n[RAW_IMAGE_IN]);
	u->n[USAGE_input] = in;
	u->n[USAGE_reasoning] =
	    outside ? outside : take_part(&out, raw->n[RAW_REASONING]);
	u->n[USAGE_audio_output] = take_part(&out, raw->n[RAW_AUDIO_OUT]);
	u->n[USAGE_image_output] = take_part(&out, raw->n[RAW_IMAGE_OUT]);
	u->n[USAGE_output] = out;
	u->n[USAGE_milliseconds] = raw->n[RAW_MILLISECONDS];
	return (true);
}

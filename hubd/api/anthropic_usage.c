/*
 * From Anthropic's usage to our kinds. Its four counts are disjoint already
 * (docs.claude.com, prompt caching); what thought is part of the output.
 */
#include "hubd/api/reader.h"

bool
anthropic_usage(
    const struct raw_usage *raw, const struct raw_usage *steps, struct usage *u)
{
	/* Steps hold what the top level leaves out: compaction, and other
	 * models that were asked for advice. */
	const struct raw_usage *t = steps->seen != 0 ? steps : raw;
	uint64_t written = t->n[RAW_CACHE_WRITE];
	uint64_t out = t->n[RAW_COMPLETION];

	*u = (struct usage){0};
	if (!raw_is_sane(raw) || !raw_is_sane(steps))
		return (false);
	/* The end of a stream repeats the sum, and not how it is split. */
	if (!raw_has(t, RAW_CACHE_WRITE))
		written = t->n[RAW_CACHE_5M] + t->n[RAW_CACHE_1H];
	u->n[USAGE_input] = t->n[RAW_PROMPT];
	u->n[USAGE_cache_read] = t->n[RAW_CACHED];
	u->n[USAGE_cache_write_1h] = take_part(&written, t->n[RAW_CACHE_1H]);
	u->n[USAGE_cache_write] = written;
	u->n[USAGE_reasoning] = take_part(&out, raw->n[RAW_REASONING]);
	u->n[USAGE_output] = out;
	u->n[USAGE_searches] = raw->n[RAW_SEARCHES];
	u->n[USAGE_tool_calls] = raw->n[RAW_FETCHES];
	return (true);
}

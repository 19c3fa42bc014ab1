/*
 * From Bedrock's counts to our kinds. Its input does not hold what was read
 * from or written to a cache: the total is the sum of all four.
 */
#include "hubd/api/reader.h"

bool
bedrock_usage(
    const struct raw_usage *raw, const struct raw_usage *steps, struct usage *u)
{
	bool counted =
	    raw_has(raw, RAW_METRIC_IN) || raw_has(raw, RAW_METRIC_OUT);
	uint64_t written = raw->n[RAW_CACHE_WRITE];
	uint64_t read = raw->n[RAW_CACHED];

	(void)steps;
	*u = (struct usage){0};
	if (!raw_is_sane(raw))
		return (false);
	if (raw_has(raw, RAW_METRIC_READ))
		read = raw->n[RAW_METRIC_READ];
	if (raw_has(raw, RAW_METRIC_WRITE))
		written = raw->n[RAW_METRIC_WRITE];
	u->n[USAGE_input] = raw->n[counted ? RAW_METRIC_IN : RAW_PROMPT];
	u->n[USAGE_cache_read] = read;
	u->n[USAGE_cache_write_1h] = take_part(&written, raw->n[RAW_CACHE_1H]);
	u->n[USAGE_cache_write] = written;
	u->n[USAGE_output] = raw->n[counted ? RAW_METRIC_OUT : RAW_COMPLETION];
	return (true);
}

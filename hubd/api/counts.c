/*
 * The counts in documents of answers: gathered as the provider names them,
 * in steps and by modality too, and made into usage if they can be true.
 */
#include <string.h>

#include "hubd/api/reader.h"

#define MILLI_DIGITS 3

/* ---- one by one ---------------------------------------------------------- */

void
counts_take(struct reader *r, unsigned which, const struct jscan_value *v)
{
	if (v->type == JSCAN_NULL)
		return;
	if (v->type == JSCAN_NUMBER && !v->cut &&
	    jscan_count(v->text, &r->counts->n[which]))
		r->counts->seen |= 1u << which;
	else
		r->counts->bad = true;
}

/* Seconds, with or without a fraction, as milliseconds, rounded up. */
static bool
milliseconds_of(struct span s, uint64_t *out)
{
	unsigned digits = 0;
	bool point = false;
	uint64_t n = 0;

	for (; s.n > 0; s = span_of(s.p + 1, s.n - 1)) {
		if (*s.p == '.' && !point) {
			point = true;
			continue;
		}
		if (*s.p < '0' || *s.p > '9' || n > USAGE_MAX_COUNT)
			return (false);
		if (point && digits == MILLI_DIGITS) {
			n += *s.p != '0';
			break;
		}
		n = n * 10 + (uint64_t)(*s.p - '0');
		digits += point;
	}
	for (; digits < MILLI_DIGITS; digits++)
		n *= 10;
	*out = n;
	return (true);
}

void
counts_take_seconds(
    struct reader *r, enum node node, const struct jscan_value *v)
{
	uint64_t ms = 0;
	bool good;

	if (v->type == JSCAN_NULL)
		return;
	/* whisper's own servers write the duration as a string */
	good = (v->type == JSCAN_NUMBER ||
		   (v->type == JSCAN_STRING && node == N_DURATION)) &&
	       !v->cut && v->text.n > 0 && milliseconds_of(v->text, &ms);
	if (node == N_DURATION) {
		if (good && ms <= USAGE_MAX_COUNT)
			r->report->duration_ms = ms;
		return;
	}
	r->raw.n[RAW_MILLISECONDS] = ms;
	r->raw.seen |= 1u << RAW_MILLISECONDS;
	r->raw.bad |= !good;
}

/* Modalities have numbers in some streams (google.ai.generativelanguage). */
void
counts_take_share(struct reader *r, const struct jscan_value *v)
{
	static const struct {
		struct span name;
		enum raw_share share;
	} shares[] = {
	    {SPAN("AUDIO"), SHARE_AUDIO},
	    {SPAN("IMAGE"), SHARE_IMAGE},
	    {SPAN("4"), SHARE_AUDIO},
	    {SPAN("2"), SHARE_IMAGE},
	    {SPAN("1h"), SHARE_HOUR},
	};

	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		if (span_eq(v->text, shares[i].name))
			r->share = shares[i].share;
}

void
counts_take_field(struct reader *r, enum raw_count which, struct span number)
{
	if (jscan_count(number, &r->raw.n[which]))
		r->raw.seen |= 1u << which;
}

/* ---- together ------------------------------------------------------------ */

/* A later report replaces an earlier one; it is never added. */
static void
take_usage(struct reader *r, const struct usage *u)
{
	r->report->usage = *u;
	r->report->has_usage = true;
}

/* A kind may be the sum of counts each of which could be believed. */
static bool
convert(const struct reader *r, struct usage *u)
{
	bool good = r->kind->convert != NULL
			? r->kind->convert(&r->raw, &r->steps, u)
			: openai_usage(&r->raw, u);

	return (good && usage_is_sane(u));
}

/* Counts that lie about in a document, or in several. */
static void
take_all(struct reader *r)
{
	struct usage u;

	if (r->raw.seen == 0)
		return;
	if (convert(r, &u))
		take_usage(r, &u);
	else
		r->report->broken = true;
	r->was_last |= (r->raw.seen & r->kind->last_counts) != 0;
}

static void
usage_close(struct reader *r, enum node node)
{
	const uint32_t counts = 1u << RAW_PROMPT | 1u << RAW_COMPLETION |
				1u << RAW_TOTAL | 1u << RAW_MILLISECONDS |
				r->kind->more_counts;
	struct usage u;

	if (r->kind->at_end)
		return;
	if ((r->raw.seen & counts) == 0 && !r->raw.bad)
		return;
	if (node == N_GROQ_USAGE && r->has_own_usage)
		return;
	if (!convert(r, &u)) {
		r->report->broken = true;
		return;
	}
	if (node == N_USAGE)
		r->has_own_usage = true;
	if (r->kind->fix != NULL)
		r->kind->fix(&r->raw, &u);
	r->found = u;
	r->has_found = true;
	if (!r->stream || r->kind->types == NULL || r->kind->any_usage)
		take_usage(r, &u);
}

static void
step_close(struct reader *r)
{
	unsigned i;

	r->counts = &r->raw;
	r->steps.seen |= r->step.seen;
	r->steps.bad |= !raw_is_sane(&r->step);
	for (i = 0; i < RAW_COUNT && !r->steps.bad; i++)
		r->steps.n[i] += r->step.n[i];
	r->steps.bad |= !raw_is_sane(&r->steps);
}

/* A count by modality or time; which it is a part of is a matter of the list
 * that it stands in. */
static void
share_close(struct reader *r, enum node list)
{
	static const uint8_t of[N_PARENTS][SHARE_HOUR + 1] = {
	    [N_PROMPT_MODES] =
		{[SHARE_AUDIO] = RAW_AUDIO_IN, [SHARE_IMAGE] = RAW_IMAGE_IN},
	    [N_CACHE_MODES] = {[SHARE_AUDIO] = RAW_AUDIO_CACHED,
		[SHARE_IMAGE] = RAW_IMAGE_CACHED},
	    [N_OUTPUT_MODES] =
		{[SHARE_AUDIO] = RAW_AUDIO_OUT, [SHARE_IMAGE] = RAW_IMAGE_OUT},
	    [N_CACHE_TIMES] = {[SHARE_HOUR] = RAW_CACHE_1H},
	};
	uint8_t which = of[list][r->share];

	if (which == 0)
		return;
	r->raw.bad |= __builtin_add_overflow(
	    r->raw.n[which], r->share_count, &r->raw.n[which]);
	r->raw.seen |= 1u << which;
}

void
counts_open(struct reader *r, enum node node)
{
	if ((node == N_USAGE || node == N_GROQ_USAGE) && !r->kind->cumulative)
		memset(&r->raw, 0, sizeof(r->raw));
	if (node == N_USAGE)
		r->has_usage = true;
	if (node == N_STEPS)
		memset(&r->steps, 0, sizeof(r->steps));
	if (node == N_STEP) {
		memset(&r->step, 0, sizeof(r->step));
		r->counts = &r->step;
	}
	if (node == N_SHARE) {
		r->share = SHARE_NONE;
		r->share_count = 0;
	}
}

void
counts_close(struct reader *r, enum node node, enum node list)
{
	if (node == N_USAGE || node == N_GROQ_USAGE)
		usage_close(r, node);
	else if (node == N_STEP)
		step_close(r);
	else if (node == N_SHARE)
		share_close(r, list);
}

void
counts_end(struct reader *r)
{
	if (r->kind->at_end)
		take_all(r);
	if (r->has_found && r->is_last)
		take_usage(r, &r->found);
	if (r->has_found)
		r->report->partial = r->is_first;
}

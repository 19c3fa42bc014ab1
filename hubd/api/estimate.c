/*
 * Learnt figures of a model and what is estimated from them, in whole
 * numbers: bounds for the hold before the request, usage after an answer
 * that reported none.
 */
#include "hubd/api/reader.h"

#define MILLI_MIN     250 /* bytes per token x 1000 */
#define MILLI_MAX     16000
#define SAMPLE_MIN    256  /* shorter inputs are mostly overhead */
#define HIDDEN_TOKENS 96   /* of prompts that providers put before ours */
#define ROLE_TOKENS   7	   /* of roles and separators in a chat */
#define MEDIA_BOUND   2048 /* tokens of one image, file or sound */
#define MEDIA_USUAL   768
#define QUICK	      64 /* the first samples move figures faster */

static uint64_t
mul(uint64_t a, uint64_t b)
{
	uint64_t r;

	return (__builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r);
}

static uint64_t
add(uint64_t a, uint64_t b)
{
	uint64_t r;

	return (__builtin_add_overflow(a, b, &r) ? UINT64_MAX : r);
}

static uint64_t
clamp(uint64_t v, uint64_t low, uint64_t high)
{
	return (v < low ? low : v > high ? high : v);
}

static uint64_t
max(uint64_t a, uint64_t b)
{
	return (a > b ? a : b);
}

/* Tokens of so many bytes, rounded up. */
static uint64_t
tokens_of(uint64_t bytes, uint32_t milli)
{
	return (add(mul(bytes, 1000), milli - 1) / milli);
}

static uint32_t
or_start(uint32_t figure, uint32_t start)
{
	return (figure != 0 ? figure : start);
}

/*
 * One step towards the percent-th percentile: up and down in such a ratio
 * that the figure rests where that share of the samples lies below it.
 */
static uint32_t
track(uint32_t figure, uint64_t sample, uint32_t step, unsigned percent)
{
	uint64_t up = max(1, (uint64_t)step * percent / 100);
	uint64_t down = max(1, (uint64_t)step * (100 - percent) / 100);

	if (sample > figure)
		return ((uint32_t)clamp(figure + up, 0, UINT32_MAX));
	if (sample < figure)
		return (figure > down ? (uint32_t)(figure - down) : 1);
	return (figure);
}

static uint32_t
approach(uint32_t figure, uint64_t sample)
{
	int64_t gap = (int64_t)sample - (int64_t)figure;

	return ((uint32_t)((int64_t)figure + gap / 8));
}

static void
learn_input(struct learnt *l, const struct api_request *req, uint64_t tokens)
{
	uint32_t low = or_start(l->input_milli, LEARNT_INPUT_START_MILLI);
	uint32_t mean =
	    or_start(l->input_mean_milli, LEARNT_INPUT_MEAN_START_MILLI);
	uint64_t sample;

	if (req->media != 0 || req->text_bytes < SAMPLE_MIN || tokens == 0)
		return;
	sample =
	    clamp(mul(req->text_bytes, 1000) / tokens, MILLI_MIN, MILLI_MAX);
	low = track(low, sample, low / (l->seen < QUICK ? 8 : 32), 5);
	l->input_milli = (uint32_t)clamp(low, MILLI_MIN, MILLI_MAX);
	l->input_mean_milli = approach(mean, sample);
}

static void
learn_output(struct learnt *l, const struct api_request *req,
    const struct meter_report *rep, uint64_t tokens)
{
	uint32_t milli = or_start(l->output_milli, LEARNT_OUTPUT_START_MILLI);
	uint32_t p95 = or_start(l->output_p95, LEARNT_OUTPUT_P95_START);
	uint64_t visible = rep->usage.n[USAGE_output];

	if (rep->text_bytes >= 64 && visible > 0)
		l->output_milli =
		    approach(milli, clamp(mul(rep->text_bytes, 1000) / visible,
					MILLI_MIN, MILLI_MAX));
	l->output_p95 = track(p95, tokens / max(req->n, 1),
	    (uint32_t)max(20, p95 / (l->seen < QUICK ? 4 : 16)), 95);
}

void
learnt_update(struct learnt *l, const struct api_request *req,
    const struct meter_report *rep)
{
	if (!rep->has_usage || rep->failed)
		return;
	learn_input(l, req, usage_sum(&rep->usage, USAGE_SIDE_INPUT));
	if (!req->no_output)
		learn_output(
		    l, req, rep, usage_sum(&rep->usage, USAGE_SIDE_OUTPUT));
	if (l->seen < UINT32_MAX)
		l->seen++;
}

uint64_t
estimate_input_bound(const struct learnt *l, const struct api_request *req)
{
	uint32_t milli = or_start(l->input_milli, LEARNT_INPUT_START_MILLI);

	return (add(add(tokens_of(req->text_bytes, milli), HIDDEN_TOKENS),
	    mul(req->media, MEDIA_BOUND)));
}

uint64_t
estimate_output_bound(const struct learnt *l, const struct api_request *req)
{
	if (req->no_output)
		return (0);
	if (req->max_output != 0)
		return (mul(req->max_output, max(req->n, 1)));
	return (mul(
	    or_start(l->output_p95, LEARNT_OUTPUT_P95_START), max(req->n, 1)));
}

void
estimate_bound(const struct learnt *l, const struct endpoint *ep,
    const struct api_request *req, struct usage *bound)
{
	const struct kind *kind = kind_of(ep->meter);

	*bound = (struct usage){0};
	if (kind != NULL && kind->bound != NULL) {
		kind->bound(l, req, bound);
		return;
	}
	bound->n[USAGE_input] = estimate_input_bound(l, req);
	bound->n[USAGE_output] = estimate_output_bound(l, req);
	bound->n[USAGE_requests] = 1;
}

/* An event that carries output carries a token or more. */
static uint64_t
output_of(const struct learnt *l, const struct meter_report *rep)
{
	uint32_t milli = or_start(l->output_milli, LEARNT_OUTPUT_START_MILLI);

	return (clamp(max(tokens_of(rep->text_bytes, milli), rep->events), 0,
	    USAGE_MAX_COUNT));
}

static const char *
method_of(const struct learnt *l)
{
	return (l->seen != 0 ? "learnt" : "bytes");
}

static const char *
estimate_tokens(const struct learnt *l, const struct endpoint *ep,
    const struct api_request *req, const struct meter_report *rep,
    struct usage *u)
{
	uint32_t in =
	    or_start(l->input_mean_milli, LEARNT_INPUT_MEAN_START_MILLI);
	uint64_t input =
	    add(tokens_of(req->text_bytes, in), mul(req->media, MEDIA_USUAL));

	if (kind_of(ep->meter) != NULL && kind_of(ep->meter)->roles)
		input = add(input, ROLE_TOKENS);
	u->n[USAGE_input] = clamp(input, 1, USAGE_MAX_COUNT);
	if (kind_of(ep->meter) == NULL || !kind_of(ep->meter)->read_at_once)
		u->n[USAGE_output] = output_of(l, rep);
	return (method_of(l));
}

const char *
estimate_rest(
    const struct learnt *l, const struct meter_report *rep, struct usage *u)
{
	uint64_t output = output_of(l, rep);

	*u = rep->usage;
	if (output <= u->n[USAGE_output])
		return ("");
	u->n[USAGE_output] = output;
	return (method_of(l));
}

const char *
estimate_usage(const struct learnt *l, const struct endpoint *ep,
    const struct api_request *req, const struct meter_report *rep,
    struct usage *u)
{
	const struct kind *kind = kind_of(ep->meter);

	*u = (struct usage){0};
	if (kind != NULL && kind->estimate != NULL)
		return (kind->estimate(l, req, rep, u));
	return (estimate_tokens(l, ep, req, rep, u));
}

/* Measuring and learning how far another clock is from ours. */
#include "agentd/skew.h"

#include <stddef.h>

#include "common/httpdate.h"

/* Of refusals that a wrong clock gives (smithy's list); a wrong key or a
 * right that is missing gives some of them, too. */
static const char *const codes[] = {
    "AccessDeniedException",
    "AuthFailure",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
};

bool
skew_measure(const struct skew_head *h, int64_t *ms)
{
	int64_t date = httpdate_parse(h->date);

	if (date == -1 || h->age.n > 0 ||
	    monotime_diff_ms(h->came_at, h->asked_at) > SKEW_ROUND_TRIP_MS)
		return (false);
	return (!__builtin_sub_overflow(date, h->wall_ms, ms));
}

static bool
is_clock_code(struct span code)
{
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (span_eq(code, span_str(codes[i])))
			return (true);
	return (false);
}

static bool
is_large(int64_t ms)
{
	return (ms >= SKEW_LEARN_MS || ms <= -SKEW_LEARN_MS);
}

enum skew_verdict
skew_refused(struct skew *s, struct span code, const struct skew_head *h)
{
	int64_t measured, change;

	if (!is_clock_code(code))
		return (SKEW_NO);
	if (s->learnt && !monotime_reached(s->learnt_at, h->asked_at))
		return (SKEW_BY_NOW);
	if (!skew_measure(h, &measured) ||
	    __builtin_sub_overflow(measured, s->offset_ms, &change) ||
	    !is_large(change))
		return (SKEW_NO);
	s->offset_ms = measured;
	s->learnt_at = h->came_at;
	s->learnt = true;
	return (SKEW_LEARNT);
}

/* What a key's rates look like to its user: x-ratelimit-* fields. */
#include "hubd/limit/limit_fields.h"

#include <inttypes.h>
#include <stdio.h>

/* Seconds below a minute: "1.5s", without trailing zeros. */
static void
put_seconds(char *text, size_t cap, uint64_t ms)
{
	int n =
	    snprintf(text, cap, "%" PRIu64 ".%03" PRIu64, ms / 1000, ms % 1000);

	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	snprintf(text + n, cap - (size_t)n, "s");
}

void
duration_format(int64_t ns, char text[DURATION_TEXT])
{
	uint64_t ms = ns <= 0 ? 0 : ((uint64_t)ns + 999999) / 1000000;
	uint64_t minutes = ms / 60000;
	int n = 0;

	if (ms > 0 && ms < 1000) {
		snprintf(text, DURATION_TEXT, "%" PRIu64 "ms", ms);
		return;
	}
	if (minutes >= 60)
		n +=
		    snprintf(text, DURATION_TEXT, "%" PRIu64 "h", minutes / 60);
	if (minutes > 0)
		n += snprintf(text + n, DURATION_TEXT - (size_t)n,
		    "%" PRIu64 "m", minutes % 60);
	put_seconds(text + n, DURATION_TEXT - (size_t)n, ms % 60000);
}

static void
put_one(struct buf *out, const char *what, uint64_t limit,
    const struct bucket *b, monotime_t now)
{
	char reset[DURATION_TEXT];

	duration_format(bucket_full_in_ns(b, now), reset);
	buf_addf(out,
	    "x-ratelimit-limit-%s: %" PRIu64 "\r\n"
	    "x-ratelimit-remaining-%s: %" PRIu64 "\r\n"
	    "x-ratelimit-reset-%s: %s\r\n",
	    what, limit, what, bucket_left(b, limit, now), what, reset);
}

void
limit_fields(const struct shm *shm, const struct admission *a, monotime_t now,
    struct buf *out)
{
	if (a->rpm != 0)
		put_one(out, "requests", a->rpm,
		    bucket_of_key(shm, a->key_row, BUCKET_REQUESTS), now);
	if (a->tpm != 0)
		put_one(out, "tokens", a->tpm,
		    bucket_of_key(shm, a->key_row, BUCKET_TOKENS), now);
}

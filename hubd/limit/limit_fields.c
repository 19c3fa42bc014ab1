/* What a key's rates look like to its user: x-ratelimit-* fields. */
#include "hubd/limit/limit_fields.h"

#include <string.h>

#include "common/digits.h"

/* Seconds below a minute: "1.5s", without trailing zeros. */
static size_t
put_seconds(char *text, uint64_t ms)
{
	size_t n = digits_put(text, ms / 1000);

	text[n] = '.';
	digits_put_padded(text + n + 1, 3, ms % 1000);
	n += 4;
	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	text[n] = 's';
	return (n + 1);
}

static size_t
put_unit(char *text, uint64_t n, const char *unit)
{
	size_t len = digits_put(text, n);

	memcpy(text + len, unit, strlen(unit));
	return (len + strlen(unit));
}

void
duration_format(int64_t ns, char text[DURATION_TEXT])
{
	uint64_t ms = ns <= 0 ? 0 : ((uint64_t)ns + 999999) / 1000000;
	uint64_t minutes = ms / 60000;
	size_t n = 0;

	if (ms > 0 && ms < 1000) {
		n = put_unit(text, ms, "ms");
	} else {
		if (minutes >= 60)
			n += put_unit(text, minutes / 60, "h");
		if (minutes > 0)
			n += put_unit(text + n, minutes % 60, "m");
		n += put_seconds(text + n, ms % 60000);
	}
	text[n] = '\0';
}

/* The fields of one rate, as they begin. */
struct names {
	struct span limit, left, reset;
};

static const struct names requests = {
    SPAN("x-ratelimit-limit-requests: "),
    SPAN("x-ratelimit-remaining-requests: "),
    SPAN("x-ratelimit-reset-requests: "),
};
static const struct names tokens = {
    SPAN("x-ratelimit-limit-tokens: "),
    SPAN("x-ratelimit-remaining-tokens: "),
    SPAN("x-ratelimit-reset-tokens: "),
};

static void
put_number(struct buf *out, struct span name, uint64_t n)
{
	buf_addspan(out, name);
	buf_adduint(out, n);
	buf_addspan(out, SPAN("\r\n"));
}

static void
put_rate(struct buf *out, const struct names *names, uint64_t limit,
    const struct bucket *b, monotime_t now)
{
	char reset[DURATION_TEXT];

	duration_format(bucket_full_in_ns(b, now), reset);
	put_number(out, names->limit, limit);
	put_number(out, names->left, bucket_left(b, limit, now));
	buf_addspan(out, names->reset);
	buf_addstr(out, reset);
	buf_addspan(out, SPAN("\r\n"));
}

void
limit_fields(const struct shm *shm, const struct admission *a, monotime_t now,
    struct buf *out)
{
	if (a->rpm != 0)
		put_rate(out, &requests, a->rpm,
		    bucket_of_key(shm, a->key_row, BUCKET_REQUESTS), now);
	if (a->tpm != 0)
		put_rate(out, &tokens, a->tpm,
		    bucket_of_key(shm, a->key_row, BUCKET_TOKENS), now);
}

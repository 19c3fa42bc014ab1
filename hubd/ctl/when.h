/* Times and lengths of time as people type and read them. */
#ifndef HUBD_CTL_WHEN_H
#define HUBD_CTL_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* "15m", "24h", "7d", also "s" and "w", as milliseconds; at most 100
 * years. false: it is not that. */
bool when_parse_length(const char *, int64_t *ms);

/*
 * A moment as milliseconds since 1970: RFC 3339 ("2026-01-31T08:00:00Z",
 * any offset), a date (its first moment in UTC), or a length of time before
 * now_ms (after it if ahead). false: it is none of these.
 */
bool when_parse(const char *, int64_t now_ms, bool ahead, int64_t *ms);

#define WHEN_TEXT 32
/* RFC 3339 in UTC, to the second. */
void when_format(int64_t ms, char out[WHEN_TEXT]);
/* "350 ms", "12.3 s", "5m03s", "3h12m", "4d07h". */
void when_format_length(int64_t ms, char out[WHEN_TEXT]);

#endif

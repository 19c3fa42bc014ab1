/* Providers that fail are left alone for a while, then tried again. */
#include "hubd/route/route.h"

#define COOL_FIRST_MS 1000
#define COOL_MOST_MS  60000
#define PATIENCE      3 /* failures in a row before a pause */

/* The n-th pause, from 1: each twice as long. */
static int64_t
pause_ms(uint32_t n)
{
	int64_t ms = COOL_FIRST_MS;

	while (n-- > 1 && ms < COOL_MOST_MS)
		ms *= 2;
	return (ms < COOL_MOST_MS ? ms : COOL_MOST_MS);
}

/* 0: none. */
static int64_t
pause_after(enum route_result result, uint32_t failures, int64_t retry_ms)
{
	if (retry_ms > 0)
		return (retry_ms < COOL_MOST_MS ? retry_ms : COOL_MOST_MS);
	switch (result) {
	case ROUTE_LIMITED:
	case ROUTE_REFUSED:
		return (pause_ms(failures));
	case ROUTE_FAILED:
		return (failures < PATIENCE
			    ? 0
			    : pause_ms(failures - PATIENCE + 1));
	case ROUTE_ANSWERED:
		break;
	}
	return (0);
}

void
route_note(const struct shm *shm, process_ref_t me, const struct candidate *c,
    enum route_result result, monotime_t now, int64_t first_us,
    int64_t retry_ms)
{
	int64_t ms;

	if (result == ROUTE_ANSWERED) {
		registry_note_good(shm, me, c->agent_row, c->provider_at,
		    first_us < 1	    ? 1
		    : first_us < UINT32_MAX ? (uint32_t)first_us
					    : UINT32_MAX);
		return;
	}
	ms = pause_after(result,
	    registry_note_bad(shm, me, c->agent_row, c->provider_at), retry_ms);
	if (ms > 0)
		registry_cool(shm, me, c->agent_row, c->provider_at,
		    monotime_add_ms(now, ms));
}

/*
 * Guards: amounts of money in whole nano-dollars, used where a limit is
 * kept (holds, what an account has available). They are rounded to the safe
 * side when made from exact amounts (hubd/price/amount.h), never the other
 * way round, and never billed.
 */
#ifndef COMMON_MONEY_H
#define COMMON_MONEY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
	int64_t n; /* 10^-9 USD */
} nanousd_t;

#define NANOUSD_MAX ((nanousd_t){INT64_MAX})

/* Saturates at both ends: a guard that is too large still guards. */
static inline nanousd_t
nanousd_add(nanousd_t a, nanousd_t b)
{
	int64_t r;

	if (!__builtin_add_overflow(a.n, b.n, &r))
		return ((nanousd_t){r});
	return ((nanousd_t){a.n > 0 ? INT64_MAX : INT64_MIN});
}

static inline nanousd_t
nanousd_sub(nanousd_t a, nanousd_t b)
{
	int64_t r;

	if (!__builtin_sub_overflow(a.n, b.n, &r))
		return ((nanousd_t){r});
	return ((nanousd_t){a.n > 0 ? INT64_MAX : INT64_MIN});
}

#endif

/* The date of HTTP fields (RFC 9110 5.6.7) in the form that is in use. */
#ifndef COMMON_HTTPDATE_H
#define COMMON_HTTPDATE_H

#include <stdint.h>

#include "common/span.h"

/* "Sun, 06 Nov 1994 08:49:37 GMT" in ms since 1970; -1 if it is not that. */
int64_t httpdate_parse(struct span);

#endif

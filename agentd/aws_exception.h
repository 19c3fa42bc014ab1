/* What the exceptions of Bedrock's refusals are about. */
#ifndef AGENTD_AWS_EXCEPTION_H
#define AGENTD_AWS_EXCEPTION_H

#include <stdbool.h>

#include "common/span.h"

/* Its name alone, out of x-amzn-errortype: a part of that. */
struct span aws_exception(struct span errortype);
/* Is it about keys? So are those of a clock, when it is not the clock. */
bool aws_exception_is_of_keys(struct span);
/* ... that would be mended if they were fetched anew? */
bool aws_exception_is_of_age(struct span);
/* Of a bad bearer key Bedrock says the same as of a model that is not ours,
 * an AccessDeniedException. Is that of a key, by its body? */
bool aws_denial_is_of_key(struct span body);

#endif

/* The one function from base URL, model and operation to a URL of Bedrock. */
#ifndef AGENTD_AWS_URL_H
#define AGENTD_AWS_URL_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/span.h"

/* An URL in the parts that are signed, each a view into text. */
struct aws_url {
	struct buf text;
	struct span host; /* with the port, unless it is the scheme's own */
	struct span path;
};

/*
 * base_url as people write it: with or without scheme (https then), trailing
 * slashes, a path in front, even that of a whole request, whose /model/ and
 * what follows is cut off, and a query. NULL: the region's own endpoint. The
 * model is one segment of the path, whatever it holds. false if base_url is
 * no URL, or the model no segment. buf_fini(&out->text) in either case.
 */
bool aws_url_make(const char *base_url, const char *region, const char *model,
    const char *operation, struct aws_url *out);

#endif

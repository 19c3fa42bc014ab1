/* What the exceptions of Bedrock's refusals are about. */
#include "agentd/aws_exception.h"

#include <string.h>

/* Exceptions about keys; those that a clock gives, too, come here when it is
 * not the clock. */
static const char *const key_exceptions[] = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    NULL,
};

/* Of these, what keys that are fetched anew would mend. */
static const char *const expired_exceptions[] = {
    "ExpiredToken",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    NULL,
};

/* "ValidationException:http://internal.amazon.com/..." or
 * "com.amazon.coral#ValidationException": the name alone. */
struct span
aws_exception(struct span s)
{
	const char *end, *hash;

	if (s.n > 0 && (end = memchr(s.p, ':', s.n)) != NULL)
		s.n = (size_t)(end - s.p);
	hash = s.n > 0 ? memrchr(s.p, '#', s.n) : NULL;
	return (hash == NULL
		    ? s
		    : span_of(hash + 1, (size_t)(s.p + s.n - hash - 1)));
}

static bool
is_one_of(struct span exception, const char *const *list)
{
	for (; *list != NULL; list++)
		if (span_eq(exception, span_str(*list)))
			return (true);
	return (false);
}

bool
aws_exception_is_of_keys(struct span exception)
{
	return (is_one_of(exception, key_exceptions));
}

bool
aws_exception_is_of_age(struct span exception)
{
	return (is_one_of(exception, expired_exceptions));
}

bool
aws_denial_is_of_key(struct span body)
{
	static const char *const about_keys[] = {
	    "Authentication failed", "API Key", "Bearer Token"};
	size_t i;

	for (i = 0; i < sizeof(about_keys) / sizeof(about_keys[0]); i++)
		if (body.n > 0 && memmem(body.p, body.n, about_keys[i],
				      strlen(about_keys[i])) != NULL)
			return (true);
	return (false);
}

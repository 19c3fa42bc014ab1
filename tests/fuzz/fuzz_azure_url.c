/*
 * Azure's URLs: from whatever base URL, deployment and versions, either none
 * is made, or one that a client may send and that, pasted as a base URL,
 * gives itself again (d08).
 */
#include <string.h>

#include "agentd/azure_url.h"
#include "common/buf.h"
#include "tests/fuzz/fuzz.h"

/* The next of the input's strings, which zero bytes separate. */
static const char *
take(const char **p, const char *end)
{
	const char *s = *p, *zero = memchr(s, '\0', (size_t)(end - s));

	*p = zero != NULL ? zero + 1 : end;
	return (s);
}

static void
check(struct span url, bool scoped)
{
	struct span path =
	    scoped ? SPAN("/chat/completions") : SPAN("/responses");
	const char *at = memmem(url.p, url.n, path.p, path.n);
	size_t i;

	for (i = 0; i < url.n; i++)
		MUST((unsigned char)url.p[i] > ' ' &&
		     (unsigned char)url.p[i] < 0x7f && url.p[i] != '#' &&
		     url.p[i] != '@');
	MUST(at != NULL);
	MUST(memmem(url.p, url.n, "/openai/", 8) != NULL);
	MUST(span_starts(url, SPAN("http://")) ||
	     span_starts(url, SPAN("https://")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = {0}, once = {0}, twice = {0};
	const char *p, *end, *base, *deployment, *user, *path;
	struct span named;
	bool scoped;

	if (size == 0)
		return (0);
	buf_add(&in, data, size);
	p = buf_cstr(&in);
	end = p + size;
	scoped = *p++ & 1;
	path = scoped ? "/chat/completions" : "/responses";
	base = take(&p, end);
	deployment = take(&p, end);
	user = take(&p, end);
	named = azure_url_deployment(base);
	MUST(named.n <= strlen(base));
	if (azure_url(base, deployment, NULL, user, path, scoped, &once)) {
		check(buf_span(&once), scoped);
		/* What the user asked for is in it, if it counted. */
		MUST(azure_url(buf_cstr(&once), deployment, NULL, NULL, path,
		    scoped, &twice));
		MUST(span_eq(buf_span(&once), buf_span(&twice)));
	}
	buf_fini(&in);
	buf_fini(&once);
	buf_fini(&twice);
	return (0);
}

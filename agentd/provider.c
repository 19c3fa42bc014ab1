/* The provider types of this version, and what they share. */
#include "agentd/provider.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

static const struct provider_type *const types[] = {
    &provider_openai,
};

const struct provider_type *
provider_type_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i]->name, name) == 0)
			return (types[i]);
	return (NULL);
}

void
provider_request_fini(struct provider_request *r)
{
	buf_fini(&r->url);
	buf_fini(&r->lines);
	r->headers[0] = NULL;
}

void
provider_request_add(
    struct provider_request *r, const char *name, const char *value)
{
	buf_addstr(&r->lines, name);
	buf_addstr(&r->lines, ": ");
	buf_addstr(&r->lines, value);
	buf_add(&r->lines, "", 1);
}

void
provider_request_seal(struct provider_request *r)
{
	const char *p = buf_ptr(&r->lines);
	const char *end = p + buf_len(&r->lines);
	size_t n = 0;

	for (; p < end; p += strlen(p) + 1) {
		assert(n < PROVIDER_MAX_HEADERS);
		r->headers[n++] = p;
	}
	r->headers[n] = NULL;
}

bool
provider_field_in(struct span name, const char *const *list)
{
	size_t n;

	for (; *list != NULL; list++) {
		n = strlen(*list);
		if (name.n < n || strncasecmp(name.p, *list, n) != 0)
			continue;
		if (name.n == n || (*list)[n - 1] == '-')
			return (true);
	}
	return (false);
}

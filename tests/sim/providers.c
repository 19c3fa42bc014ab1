/* The table of providers, and what their checks have in common. */
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "tests/sim/provider.h"

struct sim_secrets sim_secrets;

/* In order: the last one takes what is left. */
static const struct sim_provider *const providers[] = {
    &issuer_google,
    &issuer_entra,
    &issuer_aws,
    &provider_azure,
    &provider_anthropic,
    &provider_google,
    &provider_aws,
    &provider_openai,
};

/* Of recordings: names in the manifest, and who answers to them here. */
static const struct {
	const char *recorded;
	const struct sim_provider *provider;
} recorded[] = {
    {"anthropic", &provider_anthropic},
    {"azure", &provider_azure},
    {"bedrock", &provider_aws},
    {"gemini", &provider_google},
    {"vertex", &provider_google},
};

const struct sim_provider *
provider_of(const struct sim_request *q)
{
	size_t i = 0;

	while (!providers[i]->owns(q))
		i++;
	return (providers[i]);
}

const struct sim_provider *
provider_by_recording(const char *name, const char *endpoint)
{
	/* AWS speaks OpenAI's dialect, too, on a host of its own. */
	if (strcmp(name, "bedrock") == 0 &&
	    (strcmp(endpoint, "responses") == 0 ||
		strcmp(endpoint, "chat.completions") == 0))
		return (&provider_openai);
	for (size_t i = 0; i < sizeof(recorded) / sizeof(*recorded); i++)
		if (strcmp(recorded[i].recorded, name) == 0)
			return (recorded[i].provider);
	return (&provider_openai);
}

struct wording
wording_of(const struct wording *list, int status, const char *code,
    const char *message)
{
	struct wording w;

	while (list->status != status && list->status != 0)
		list++;
	w = *list;
	w.status = status;
	if (code != NULL)
		w.code = code;
	if (message != NULL)
		w.message = message;
	return (w);
}

bool
secrets_split(char *s, const char **a, const char **b, const char **c)
{
	char *colon = strchr(s, ':');

	if (colon == NULL)
		return (false);
	*colon++ = '\0';
	*a = s;
	*b = colon;
	colon = c != NULL ? strchr(colon, ':') : NULL;
	if (colon != NULL) {
		*colon++ = '\0';
		*c = colon;
	}
	return (true);
}

bool
is_key(struct span s)
{
	return (
	    sim_secrets.key != NULL && span_eq(s, span_str(sim_secrets.key)));
}

struct span
field_of(const struct sim_request *q, const char *name)
{
	const struct http1_field *f = http1_find(q->head, name);

	return (f != NULL ? f->value : span_of(NULL, 0));
}

struct span
bearer_of(const struct sim_request *q)
{
	struct span s = field_of(q, "authorization");

	if (!span_starts(s, SPAN("Bearer ")))
		return (span_of(NULL, 0));
	return (span_of(s.p + 7, s.n - 7));
}

bool
path_has(const struct sim_request *q, const char *text)
{
	return (memmem(q->head->path.p, q->head->path.n, text, strlen(text)) !=
		NULL);
}

bool
param_of(struct span text, const char *name, struct buf *out)
{
	size_t n = strlen(name);

	while (text.n > 0) {
		const char *end = memchr(text.p, '&', text.n);
		size_t size = end != NULL ? (size_t)(end - text.p) : text.n;

		if (size > n && text.p[n] == '=' &&
		    memcmp(text.p, name, n) == 0)
			return (http1_unescape(
				    span_of(text.p + n + 1, size - n - 1), true,
				    out) == 0);
		size += end != NULL;
		text = span_of(text.p + size, text.n - size);
	}
	return (false);
}

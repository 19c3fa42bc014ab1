/* Which entry of a price version prices a model at a provider. */
#include "hubd/price/price.h"

#include <string.h>

/* Provider types, and how price files name them: see price_provider_maps. */
static const struct {
	const char *litellm; /* a name, or the beginning of one with '*' */
	const char *type;
} provider_map[] = {
    {"openai", "openai"},
    {"text-completion-openai", "openai"},
    {"azure*", "azure"},
    {"anthropic*", "anthropic"},
    {"gemini*", "google"},
    {"vertex_ai*", "google"},
    {"palm*", "google"},
    {"bedrock*", "aws"},
    {"sagemaker*", "aws"},
};

/* Names in front of models in price files, for types named otherwise. */
static const struct {
	const char *prefix;
	const char *type;
} prefix_map[] = {
    {"gemini", "google"},
    {"vertex_ai", "google"},
    {"azure_ai", "azure"},
    {"bedrock", "aws"},
};

static bool
matches(const char *pattern, const char *name)
{
	size_t n = strlen(pattern);

	if (n > 0 && pattern[n - 1] == '*')
		return (strncmp(pattern, name, n - 1) == 0);
	return (strcmp(pattern, name) == 0);
}

bool
price_provider_maps(const char *litellm_provider, struct span type)
{
	size_t i;

	if (span_eq(span_str(litellm_provider), type))
		return (true);
	for (i = 0; i < sizeof(provider_map) / sizeof(provider_map[0]); i++) {
		if (span_eq(span_str(provider_map[i].type), type) &&
		    matches(provider_map[i].litellm, litellm_provider))
			return (true);
	}
	return (false);
}

static const struct price_entry *
find_joined(const struct price_blob *b, struct span prefix, struct span model)
{
	char name[PRICE_NAME_MAX];

	if (prefix.n == 0 || model.n >= sizeof(name) ||
	    prefix.n >= sizeof(name) - model.n - 1)
		return (NULL);
	memcpy(name, prefix.p, prefix.n);
	name[prefix.n] = '/';
	memcpy(name + prefix.n + 1, model.p, model.n);
	return (price_blob_find(b, span_of(name, prefix.n + 1 + model.n)));
}

static const struct price_entry *
find_prefixed(const struct price_blob *b, struct span type, struct span model)
{
	const struct price_entry *e;
	size_t i;

	for (i = 0; i < sizeof(prefix_map) / sizeof(prefix_map[0]); i++) {
		if (!span_eq(span_str(prefix_map[i].type), type))
			continue;
		e = find_joined(b, span_str(prefix_map[i].prefix), model);
		if (e != NULL)
			return (e);
	}
	return (NULL);
}

const struct price_entry *
price_find(const struct price_blob *b, struct span provider, struct span type,
    struct span model)
{
	const struct price_entry *e, *plain;

	if ((e = find_joined(b, provider, model)) != NULL ||
	    (e = find_joined(b, type, model)) != NULL)
		return (e);
	plain = price_blob_find(b, model);
	if (plain != NULL && price_provider_maps(plain->provider, type))
		return (plain);
	/* Then as price files call the type; then whatever has that name. */
	e = find_prefixed(b, type, model);
	return (e != NULL ? e : plain);
}

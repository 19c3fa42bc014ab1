/* Does a provider of an agent serve a model, and at what price? */
#include "hubd/route/match.h"

#include <fnmatch.h>
#include <string.h>

#include "hubd/auth/auth.h"

/* Any pattern but for skip. */
static bool
one_fits(const struct registry_announce *a, const struct registry_provider *p,
    const char *model, const char *skip)
{
	struct registry_walk walk = {0};
	const char *glob;

	while ((glob = registry_next_glob(a, p, &walk)) != NULL)
		if (strcmp(glob, skip) != 0 && fnmatch(glob, model, 0) == 0)
			return (true);
	return (false);
}

bool
route_provider_serves(const struct registry_announce *a,
    const struct registry_provider *p, const char *model)
{
	return (one_fits(a, p, model, ""));
}

bool
route_provider_names(const struct registry_announce *a,
    const struct registry_provider *p, const char *model)
{
	return (one_fits(a, p, model, "*"));
}

bool
route_rights_allow(
    const struct pub_agent *agent, const char *provider, const char *model)
{
	return (auth_list_allows(agent->models, model) &&
		auth_list_allows(agent->providers, provider));
}

const char *
route_behind_prefix(const char *model, const char *prefix)
{
	size_t n = strlen(prefix);

	return (n > 0 && strncmp(model, prefix, n) == 0 && model[n] == '/'
		    ? model + n + 1
		    : NULL);
}

const struct price_entry *
route_price(const struct price_blob *prices, const struct registry_provider *p,
    const char *model)
{
	return (prices == NULL ? NULL
			       : price_find(prices, span_str(p->name),
				     span_str(p->type), span_str(model)));
}

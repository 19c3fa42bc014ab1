/*
 * Does a provider of an agent serve a model, and at what price? What routes
 * are made of, and what tells people of them.
 */
#ifndef HUBD_ROUTE_MATCH_H
#define HUBD_ROUTE_MATCH_H

#include <stdbool.h>

#include "hubd/price/price.h"
#include "shm/pubtab.h"
#include "shm/registry.h"

/* Does one of its patterns fit? */
bool route_provider_serves(const struct registry_announce *,
    const struct registry_provider *, const char *model);
/* One other than "*"? Who takes everything has not said that there is such a
 * model. */
bool route_provider_names(const struct registry_announce *,
    const struct registry_provider *, const char *model);
bool route_rights_allow(
    const struct pub_agent *, const char *provider, const char *model);
/* "openai/gpt-4o" is gpt-4o, of providers of that name or type alone: what is
 * behind the prefix, or NULL. */
const char *route_behind_prefix(const char *model, const char *prefix);
/* The price of the model at that provider; NULL: it has none. prices may be
 * NULL. */
const struct price_entry *route_price(const struct price_blob *prices,
    const struct registry_provider *, const char *model);

#endif

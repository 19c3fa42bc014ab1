/* What the hub asks for: the fields of a call's stream, read and bounded. */
#ifndef AGENTD_CALL_WANT_H
#define AGENTD_CALL_WANT_H

#include <stdint.h>

#include "agentd/provider.h"
#include "common/h2link.h"
#include "common/span.h"

#define WANT_TEXT_MAX	256
#define WANT_FIELDS_MAX 8192 /* bytes of the user's fields */

/* What is unknown or does not fit is left out, and missed later. */
struct call_want {
	char id[64], endpoint[64], provider[WANT_TEXT_MAX];
	char model[WANT_TEXT_MAX], content_type[WANT_TEXT_MAX];
	char dialect[16], alt[16], api_version[64], object[160];
	char after[160], limit[16], order[8];
	bool stream;
	int64_t total_ms, first_ms, idle_ms;
	struct provider_field fields[PROVIDER_MAX_FIELDS];
	size_t nfields;
	char *text; /* of the fields, heap */
};

/* want is zeroed; times that the hub does not name have defaults. */
void call_want_read(struct call_want *, const struct h2_field *, size_t n);
void call_want_fini(struct call_want *);

/* A view of it, as the provider's file wants it. */
struct provider_call call_want_view(const struct call_want *, struct span body);

#endif

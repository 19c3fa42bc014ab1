/* What an agent says of itself on its link, read: no link, no loop. */
#include "hubd/worker/announce.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"

static bool
add_glob(struct registry_announce *a, size_t *used, const char *glob)
{
	size_t n = strlen(glob) + 1;

	if (n > sizeof(a->globs) - *used)
		return (false);
	memcpy(a->globs + *used, glob, n);
	*used += n;
	return (true);
}

static void
copy_text(char *to, size_t cap, const char *from)
{
	snprintf(to, cap, "%s", from != NULL ? from : "");
}

static bool
take_provider(struct registry_announce *a, const struct json *doc, size_t *used)
{
	struct registry_provider *p = &a->providers[a->nproviders];
	const struct json *models = json_get(doc, "models"), *m;
	int64_t weight = json_get_int(doc, "weight", 1);

	copy_text(p->name, sizeof(p->name), json_get_str(doc, "name"));
	copy_text(p->type, sizeof(p->type), json_get_str(doc, "type"));
	p->weight = weight > 0 && weight <= 1000000 ? (uint32_t)weight : 1;
	p->globs_at = (uint32_t)*used;
	p->nglobs = 0;
	if (models == NULL || models->type != JSON_ARRAY)
		return (p->name[0] != '\0');
	for (m = models->first; m != NULL; m = m->next) {
		if (m->type != JSON_STRING)
			continue;
		if (!add_glob(a, used, m->text))
			return (false);
		p->nglobs++;
	}
	return (p->name[0] != '\0');
}

static void
take_providers(struct announcement *out, const struct json *providers)
{
	struct registry_announce *a = &out->registry;
	const struct json *p;
	size_t used = 0;

	for (p = providers->first; p != NULL; p = p->next) {
		if (a->nproviders == REGISTRY_PROVIDERS ||
		    !take_provider(a, p, &used)) {
			out->cut = true;
			return;
		}
		a->nproviders++;
	}
}

/* The clock of an agent may say anything: a difference that does not fit is
 * the largest that does. */
static int64_t
difference(int64_t theirs, int64_t ours)
{
	int64_t d;

	if (__builtin_sub_overflow(theirs, ours, &d))
		return (theirs < ours ? INT64_MIN : INT64_MAX);
	return (d);
}

static bool
take(struct announcement *out, const struct json *doc, int64_t now_ms)
{
	const struct json *providers = json_get(doc, "providers");
	struct registry_announce *a = &out->registry;
	int64_t capacity = json_get_int(doc, "capacity", 0);

	if (providers == NULL || providers->type != JSON_ARRAY)
		return (false);
	copy_text(a->version, sizeof(a->version), json_get_str(doc, "version"));
	copy_text(
	    a->instance, sizeof(a->instance), json_get_str(doc, "instance"));
	if (capacity > 0 && capacity <= UINT32_MAX)
		a->capacity = (uint32_t)capacity;
	a->clock_skew_ms =
	    difference(json_get_int(doc, "clock_ms", now_ms), now_ms);
	take_providers(out, providers);
	copy_text(out->name, sizeof(out->name), json_get_str(doc, "name"));
	out->draining = json_get_bool(doc, "draining", false);
	return (true);
}

bool
announcement_parse(struct span line, int64_t now_ms, struct announcement *out)
{
	struct json *doc = json_parse(line, NULL, 0);
	bool taken;

	memset(out, 0, sizeof(*out));
	taken = doc != NULL && take(out, doc, now_ms);
	json_free(doc);
	return (taken);
}

/*
 * What an agent says of itself: whatever it is, what is taken fits its
 * table, with every text and pattern ended inside of it.
 */
#include <string.h>

#include "common/json.h"
#include "hubd/worker/announce.h"
#include "tests/fuzz/fuzz.h"

#define ENDED(text) MUST(memchr(text, '\0', sizeof(text)) != NULL)

static void
check_globs(
    const struct registry_announce *a, const struct registry_provider *p)
{
	size_t at = p->globs_at;

	for (uint32_t i = 0; i < p->nglobs; i++) {
		const char *end;

		MUST(at < sizeof(a->globs));
		end = memchr(a->globs + at, '\0', sizeof(a->globs) - at);
		MUST(end != NULL);
		at = (size_t)(end - a->globs) + 1;
	}
}

/* It is shown by hubctl. */
static void
check_shown(const struct registry_announce *a)
{
	struct buf out = {0};
	struct json *doc;
	struct jout j;

	jout_init(&j, &out);
	jout_begin_object(&j);
	jout_kstr(&j, "version", a->version);
	jout_kstr(&j, "instance", a->instance);
	jout_key(&j, "providers");
	jout_begin_array(&j);
	for (uint32_t i = 0; i < a->nproviders; i++)
		jout_str(&j, a->providers[i].name);
	jout_end_array(&j);
	jout_end_object(&j);
	MUST((doc = json_parse(buf_span(&out), NULL, 0)) != NULL);
	json_free(doc);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct announcement said;
	const struct registry_announce *a = &said.registry;

	if (!announcement_parse(
		span_of((const char *)data, n), 1790000000000, &said))
		return (0);
	MUST(a->nproviders <= REGISTRY_PROVIDERS && a->agent == 0);
	ENDED(a->version);
	ENDED(a->instance);
	for (uint32_t i = 0; i < a->nproviders; i++) {
		ENDED(a->providers[i].name);
		ENDED(a->providers[i].type);
		MUST(a->providers[i].name[0] != '\0');
		MUST(a->providers[i].weight >= 1);
		check_globs(a, &a->providers[i]);
	}
	check_shown(a);
	return (0);
}

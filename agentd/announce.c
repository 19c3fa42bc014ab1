/* The announcement: name, capacity, providers, models. */
#include "agentd/announce.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agentd/provider.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/monotime.h"

static void
put_provider(struct jout *j, const struct provider_conf *p)
{
	size_t i;

	jout_begin_object(j);
	jout_kstr(j, "name", p->name);
	jout_kstr(j, "type", p->type->name);
	jout_kuint(j, "weight", p->weight);
	if (p->capacity > 0)
		jout_kuint(j, "capacity", p->capacity);
	jout_key(j, "models");
	jout_begin_array(j);
	for (i = 0; i < p->models.n; i++)
		jout_str(j, p->models.item[i]);
	jout_end_array(j);
	jout_end_object(j);
}

void
announce_put(const struct agent *a, struct buf *out)
{
	struct jout j;
	size_t i;

	jout_init(&j, out);
	jout_begin_object(&j);
	jout_kstr(&j, "name", a->conf->name);
	jout_kstr(&j, "version", VERSION);
	jout_kstr(&j, "instance", a->instance);
	jout_kint(&j, "clock_ms", walltime_ms());
	jout_kuint(&j, "capacity", a->conf->capacity);
	jout_kbool(&j, "draining", a->draining);
	jout_key(&j, "providers");
	jout_begin_array(&j);
	for (i = 0; i < a->conf->nproviders; i++)
		put_provider(&j, &a->conf->providers[i]);
	jout_end_array(&j);
	jout_end_object(&j);
	buf_addstr(out, "\n");
}

static void
add_machine_id(struct buf *b)
{
	char line[64];
	FILE *f = fopen("/etc/machine-id", "re");

	if (f == NULL)
		return;
	if (fgets(line, sizeof(line), f) != NULL)
		buf_addstr(b, line);
	fclose(f);
}

void
announce_identify(struct agent *a, const char *conf_path)
{
	char host[256] = "", path[PATH_MAX];
	uint8_t digest[SHA256_SIZE];
	struct buf b = {0};
	size_t i;

	if (gethostname(host, sizeof(host) - 1) == 0)
		buf_addstr(&b, host);
	buf_add(&b, "", 1);
	add_machine_id(&b);
	buf_add(&b, "", 1);
	if (realpath(conf_path, path) != NULL)
		buf_addstr(&b, path);
	sha256(buf_span(&b), digest);
	buf_fini(&b);
	for (i = 0; i < INSTANCE_HEX / 2; i++)
		snprintf(a->instance + 2 * i, 3, "%02x", digest[i]);
}

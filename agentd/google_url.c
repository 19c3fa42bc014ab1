/* URLs of the Gemini API and of Vertex AI. */
#include "agentd/google_url.h"

#include <string.h>

#include "agentd/base_url.h"

/* What Google's own clients use: the stable versions know less. */
#define GEMINI_VERSION "/v1beta"
#define VERTEX_VERSION "/v1beta1"

#define GEMINI_URL  "https://generativelanguage.googleapis.com"
#define VERTEX_HOST "aiplatform.googleapis.com"

/* Drops the path from that segment on, if it is there. */
static void
cut_from(struct base_url *u, const char *segment)
{
	size_t n = strlen(segment), i;

	for (i = 0; i + n <= u->path.n; i++) {
		if (memcmp(u->path.p + i, segment, n) != 0 ||
		    (i + n < u->path.n && u->path.p[i + n] != '/'))
			continue;
		u->path.n = i;
		base_url_cut(u, "");
		return;
	}
}

/* What people paste beyond the version. */
static const char *const beyond[] = {
    "/projects", "/publishers", "/models", "/tunedModels", "/openai"};

static bool
put_base(const char *text, const char *version, struct buf *out)
{
	struct base_url u;
	size_t i;

	if (!base_url_split(text, &u))
		return (false);
	for (i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
		cut_from(&u, beyond[i]);
	base_url_put(&u, out);
	if (!base_url_has_version(&u))
		buf_addstr(out, version);
	return (true);
}

/* Regions, the world, and the two continents that have hosts of their own. */
static bool
put_vertex_base(const struct google_place *at, struct buf *out)
{
	const char *l = at->location;

	if (at->base_url != NULL)
		return (put_base(at->base_url, VERTEX_VERSION, out));
	if (at->project == NULL || strcmp(l, "global") == 0)
		buf_addstr(out, "https://" VERTEX_HOST);
	else if (strcmp(l, "us") == 0 || strcmp(l, "eu") == 0)
		buf_addf(out, "https://aiplatform.%s.rep.googleapis.com", l);
	else
		buf_addf(out, "https://%s-" VERTEX_HOST, l);
	buf_addstr(out, VERTEX_VERSION);
	return (true);
}

static bool
begins(const char *s, const char *prefix)
{
	return (strncmp(s, prefix, strlen(prefix)) == 0);
}

static bool
put_gemini_model(const char *model, struct buf *out)
{
	static const char other[] = "publishers/google/";

	if (begins(model, other))
		model += sizeof(other) - 1;
	buf_addstr(out, "/");
	if (!begins(model, "models/") && !begins(model, "tunedModels/"))
		buf_addstr(out, "models/");
	return (url_encode_path(out, span_str(model)));
}

static bool
put_vertex_model(
    const struct google_place *at, const char *model, struct buf *out)
{
	if (at->project != NULL && !begins(model, "projects/")) {
		buf_addstr(out, "/projects/");
		url_encode(out, span_str(at->project));
		buf_addstr(out, "/locations/");
		url_encode(out, span_str(at->location));
	}
	buf_addstr(out, "/");
	if (begins(model, "models/"))
		buf_addstr(out, "publishers/google/");
	else if (!begins(model, "publishers/") &&
		 !begins(model, "endpoints/") && !begins(model, "projects/"))
		buf_addstr(out, "publishers/google/models/");
	return (url_encode_path(out, span_str(model)));
}

bool
google_url(const struct google_place *at, const char *model, const char *method,
    const char *alt, struct buf *out)
{
	bool ok;

	if (at->vertex)
		ok = put_vertex_base(at, out) &&
		     put_vertex_model(at, model, out);
	else
		ok = put_base(at->base_url != NULL ? at->base_url : GEMINI_URL,
			 GEMINI_VERSION, out) &&
		     put_gemini_model(model, out);
	if (!ok)
		return (false);
	buf_addf(out, ":%s", method);
	if (strcmp(alt, "sse") == 0)
		buf_addstr(out, "?alt=sse");
	else if (strcmp(alt, "enum") == 0)
		buf_addstr(out, "?%24alt=json%3Benum-encoding%3Dint");
	return (true);
}

bool
google_url_is_vertex(const char *base_url)
{
	struct base_url u;

	return (base_url != NULL && base_url_split(base_url, &u) &&
		(base_url_host_ends(&u, VERTEX_HOST) ||
		    base_url_host_ends(&u, ".rep.googleapis.com")));
}

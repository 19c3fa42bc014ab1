/* Recordings: the manifest, the files, and which of them answers. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "tests/sim/provider.h"

static struct recording *recordings, **tail = &recordings;

/* Recorded fields that clients read; framing and dates are our own. */
static const char *const kept[] = {
    "x-request-id",
    "request-id",
    "openai-",
    "x-ratelimit-",
    "retry-after",
    "x-should-retry",
    "anthropic-ratelimit-",
    "apim-request-id",
    "x-ms-",
    "azureml-model-session",
    "x-amzn-",
    "server-timing",
};

/* Appends a file's bytes. 0, or -1 with errno. */
static int
slurp(const char *dir, const char *name, struct buf *out)
{
	char *path = xasprintf("%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	free(path);
	if (fd == -1)
		return (-1);
	do {
		char *room = buf_reserve(out, 65536);

		n = read(fd, room, 65536);
		if (n > 0)
			buf_commit(out, (size_t)n);
	} while (n > 0 || (n == -1 && errno == EINTR));
	close(fd);
	return (n == 0 ? 0 : -1);
}

static bool
is_kept(const char *name)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (strncasecmp(name, kept[i], strlen(kept[i])) == 0)
			return (true);
	return (false);
}

static void
add_fields(struct buf *head, const struct json *fields)
{
	const struct json *f;

	for (f = fields ? fields->first : NULL; f; f = f->next)
		if (f->type == JSON_STRING && is_kept(f->key))
			http1_put_field(head, f->key, span_str(f->text));
}

static char *
copy_or_null(const char *s)
{
	return (s ? xstrdup(s) : NULL);
}

static const char *
model_of(const struct json *e)
{
	const struct json *names = json_get(e, "request_model");
	const char *s = json_get_str(names, "path");

	if (s == NULL)
		s = json_get_str(names, "body");
	return (s ? s : json_get_str(names, "multipart"));
}

static void
add_entry(const char *dir, const struct json *e)
{
	struct recording *r = xcalloc(1, sizeof(*r));
	const char *type = json_get_str(e, "content_type");
	const char *provider = json_get_str(e, "provider");

	r->dir = xstrdup(dir);
	r->file = copy_or_null(json_get_str(e, "file"));
	r->endpoint = copy_or_null(json_get_str(e, "endpoint"));
	if (r->file == NULL || provider == NULL)
		fatalx("%s: an entry without file or provider", dir);
	r->provider =
	    provider_by_recording(provider, r->endpoint ? r->endpoint : "");
	r->model = copy_or_null(model_of(e));
	r->req_path = copy_or_null(json_get_str(e, "request_body"));
	r->content_type = xstrdup(type ? type : "application/json");
	r->streaming = json_get_bool(e, "streaming", false);
	r->status = (int)json_get_int(e, "status", 200);
	add_fields(&r->head, json_get(e, "response_headers"));
	*tail = r;
	tail = &r->next;
}

/* Files are named from dir on. false: there is no such manifest. */
static bool
add_manifest(const char *dir, const char *name)
{
	struct buf text = {0};
	char error[200];
	struct json *doc;

	if (slurp(dir, name, &text) == -1)
		return (false);
	doc = json_parse(buf_span(&text), error, sizeof(error));
	if (doc == NULL || doc->type != JSON_ARRAY)
		fatalx("%s/%s: %s", dir, name, doc ? "no list" : error);
	for (const struct json *e = doc->first; e; e = e->next)
		add_entry(dir, e);
	json_free(doc);
	buf_fini(&text);
	return (true);
}

void
catalog_add(const char *dir)
{
	if (!add_manifest(dir, "manifest.json"))
		fatal("%s/manifest.json", dir);
	add_manifest(dir, "quoted/manifest.json");
}

struct recording *
catalog_by_file(const char *file)
{
	struct recording *r;

	for (r = recordings; r; r = r->next)
		if (strcmp(r->file, file) == 0)
			break;
	return (r);
}

/* A file that cannot be read ends the process: the test would mislead. */
static struct span
load(const char *dir, const char *name, struct buf *into, bool *done)
{
	if (!*done && slurp(dir, name, into) == -1)
		fatal("%s/%s", dir, name);
	*done = true;
	return (buf_span(into));
}

struct span
recording_body(struct recording *r)
{
	return (load(r->dir, r->file, &r->body, &r->body_loaded));
}

static struct span
recorded_request(struct recording *r)
{
	return (load(r->dir, r->req_path, &r->req, &r->req_loaded));
}

static bool
same_request(struct recording *r, const struct sim_request *q)
{
	return (r->req_path != NULL && q->body.n > 0 &&
		span_eq(recorded_request(r), q->body));
}

static bool
same_model(const struct recording *r, const struct sim_request *q)
{
	return (q->model[0] == '\0'
		    ? r->model == NULL
		    : r->model != NULL && strcmp(r->model, q->model) == 0);
}

struct recording *
catalog_match(const struct sim_request *q)
{
	struct recording *good = NULL, *any = NULL;

	if (q->endpoint == NULL)
		return (NULL);
	for (struct recording *r = recordings; r; r = r->next) {
		if (r->endpoint == NULL || r->provider != q->provider ||
		    strcmp(r->endpoint, q->endpoint) != 0)
			continue;
		if (r->model != NULL && !same_model(r, q))
			continue;
		if (same_request(r, q))
			return (r);
		if (!same_model(r, q))
			continue;
		if (any == NULL)
			any = r;
		if (good == NULL && r->status == 200 &&
		    r->streaming == q->stream)
			good = r;
	}
	return (good ? good : any);
}

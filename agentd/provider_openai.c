/* OpenAI and the many who speak as it does. */
#include "agentd/provider_openai.h"

#include <string.h>
#include <strings.h>

#include "agentd/agent_conf.h"
#include "agentd/provider.h"

static const struct openai_endpoint endpoints[] = {
    {"chat.completions", "POST", "/chat/completions", AZURE_SCOPED},
    {"completions", "POST", "/completions", AZURE_SCOPED},
    {"embeddings", "POST", "/embeddings", AZURE_SCOPED},
    {"responses", "POST", "/responses", AZURE_OPEN},
    {"responses.compact", "POST", "/responses/compact", AZURE_OPEN},
    {"responses.input_tokens", "POST", "/responses/input_tokens", AZURE_OPEN},
    {"moderations", "POST", "/moderations", AZURE_NONE},
    {"images.generations", "POST", "/images/generations", AZURE_SCOPED},
    {"images.edits", "POST", "/images/edits", AZURE_SCOPED},
    {"audio.speech", "POST", "/audio/speech", AZURE_SCOPED},
    {"audio.transcriptions", "POST", "/audio/transcriptions", AZURE_SCOPED},
    {"audio.translations", "POST", "/audio/translations", AZURE_SCOPED},
    {"files.create", "POST", "/files", AZURE_OPEN},
    {"files.retrieve", "GET", "/files/{id}", AZURE_OPEN},
    {"files.content", "GET", "/files/{id}/content", AZURE_OPEN},
    {"files.delete", "DELETE", "/files/{id}", AZURE_OPEN},
    {"batches.create", "POST", "/batches", AZURE_OPEN},
    {"batches.retrieve", "GET", "/batches/{id}", AZURE_OPEN},
    {"batches.cancel", "POST", "/batches/{id}/cancel", AZURE_OPEN},
    {"responses.retrieve", "GET", "/responses/{id}", AZURE_OPEN},
    {"responses.delete", "DELETE", "/responses/{id}", AZURE_OPEN},
    {"responses.cancel", "POST", "/responses/{id}/cancel", AZURE_OPEN},
    {"responses.input_items", "GET", "/responses/{id}/input_items", AZURE_OPEN},
};

/* What users' clients read, and what hubs learn from. */
static const char *const kept_fields[] = {
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-ratelimit-",
    "openai-processing-ms",
    "openai-version",
    "openai-model",
    NULL,
};

/* Of the user's own. */
static const char *const sent_fields[] = {"openai-beta", NULL};

static bool
starts_nocase(struct span s, const char *prefix)
{
	size_t n = strlen(prefix);

	return (s.n >= n && strncasecmp(s.p, prefix, n) == 0);
}

static struct span
strip_slashes(struct span s)
{
	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	return (s);
}

static bool
ends_with(struct span s, const char *tail)
{
	size_t n = strlen(tail);

	return (s.n >= n && memcmp(s.p + s.n - n, tail, n) == 0);
}

/* Bytes that would end the URL's path or forge a line. */
static bool
is_clean(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f ||
		    s.p[i] == '?' || s.p[i] == '@' || s.p[i] == '#' ||
		    s.p[i] == '\\')
			return (false);
	return (true);
}

bool
provider_openai_url(const char *base_url, const char *path, struct buf *out)
{
	struct span s = span_str(base_url), host;
	const char *scheme = "https://", *slash;

	if (starts_nocase(s, "https://")) {
		s = span_of(s.p + 8, s.n - 8);
	} else if (starts_nocase(s, "http://")) {
		scheme = "http://";
		s = span_of(s.p + 7, s.n - 7);
	} else if (memmem(s.p, s.n, "://", 3) != NULL) {
		return (false);
	}
	s = strip_slashes(s);
	if (ends_with(s, path))
		s = strip_slashes(span_of(s.p, s.n - strlen(path)));
	if (!is_clean(s) || s.n == 0)
		return (false);
	slash = memchr(s.p, '/', s.n);
	host = slash == NULL ? s : span_of(s.p, (size_t)(slash - s.p));
	if (host.n == 0)
		return (false);
	buf_addstr(out, scheme);
	buf_addspan(out, s);
	if (slash == NULL)
		buf_addstr(out, "/v1");
	buf_addstr(out, path);
	return (true);
}

static bool
openai_check(struct provider_conf *conf, const char **why)
{
	struct buf url = {0};
	bool ok;

	if (conf->base_url == NULL) {
		*why = "base_url is missing";
		return (false);
	}
	ok = provider_openai_url(conf->base_url, "/x", &url);
	buf_fini(&url);
	*why = ok ? NULL : "base_url is not an http or https URL";
	return (ok);
}

bool
provider_openai_endpoint(
    const struct provider_call *call, struct openai_endpoint *e)
{
	size_t i;

	for (i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		if (strcmp(endpoints[i].id, call->endpoint) != 0)
			continue;
		*e = endpoints[i];
		return (true);
	}
	return (false);
}

/* One segment of a path, and never another one. */
static bool
is_object(const char *id)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	return (id[0] != '\0' && id[0] != '.' && id[strspn(id, good)] == '\0');
}

bool
provider_openai_path(const struct provider_call *call,
    const struct openai_endpoint *e, struct buf *out)
{
	const char *mark = strstr(e->path, "{id}");

	if (mark == NULL) {
		buf_addstr(out, e->path);
		return (true);
	}
	if (!is_object(call->object))
		return (false);
	buf_add(out, e->path, (size_t)(mark - e->path));
	buf_addstr(out, call->object);
	buf_addstr(out, mark + strlen("{id}"));
	return (true);
}

static void
put_query(struct buf *url, const char *name, const char *value)
{
	if (value == NULL || !is_object(value))
		return;
	buf_addf(url, "%c%s=%s",
	    memchr(buf_ptr(url), '?', buf_len(url)) != NULL ? '&' : '?', name,
	    value);
}

void
provider_openai_query(const struct provider_call *call, struct buf *url)
{
	put_query(url, "after", call->after);
	put_query(url, "limit", call->limit);
	put_query(url, "order", call->order);
}

static bool
put_url(const struct provider_conf *conf, const struct provider_call *call,
    const struct openai_endpoint *e, struct buf *url)
{
	struct buf path = {0};
	bool ok;

	ok = provider_openai_path(call, e, &path) &&
	     provider_openai_url(conf->base_url, buf_cstr(&path), url);
	buf_fini(&path);
	if (ok)
		provider_openai_query(call, url);
	return (ok);
}

static bool
openai_make(const struct provider_conf *conf, const struct provider_call *call,
    struct provider_request *r)
{
	struct openai_endpoint e;

	if (!provider_openai_endpoint(call, &e) ||
	    !put_url(conf, call, &e, &r->url))
		return (false);
	r->method = e.method;
	/* A model server of one's own may want no key. */
	if (conf->api_key != NULL && conf->api_key[0] != '\0')
		provider_request_add2(
		    r, "Authorization", "Bearer ", conf->api_key);
	provider_request_finish(r, call, sent_fields);
	return (true);
}

static bool
openai_keep_field(struct span name)
{
	return (provider_field_in(name, kept_fields));
}

const struct provider_type provider_openai = {
    .name = "openai",
    .check = openai_check,
    .make = openai_make,
    .keep_field = openai_keep_field,
};

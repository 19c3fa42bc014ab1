/* What a request asks for: endpoint, model, stream, usage wished. */
#include <string.h>

#include "common/jscan.h"
#include "tests/sim/provider.h"

static const struct {
	const char *suffix, *endpoint;
} endpoints[] = {
    {"/chat/completions", "chat.completions"},
    {"/completions", "completions"},
    {"/embeddings", "embeddings"},
    {"/models", "models"},
    {"/responses", "responses"},
    {"/responses/compact", "responses.compact"},
    {"/responses/input_tokens", "responses.input_tokens"},
    {"/images/generations", "images.generations"},
    {"/images/edits", "images.edits"},
    {"/audio/speech", "audio.speech"},
    {"/audio/transcriptions", "audio.transcriptions"},
    {"/audio/translations", "audio.translations"},
    {"/moderations", "moderations"},
    {"/messages", "messages"},
    {"/messages/count_tokens", "count_tokens"},
    {"/complete", "complete"},
    {":generateContent", "generateContent"},
    {":streamGenerateContent", "streamGenerateContent"},
    {":countTokens", "countTokens"},
    {":embedContent", "embedContent"},
    {":batchEmbedContents", "batchEmbedContents"},
    {":predict", "predict"},
    {"/cachedContents", "cachedContents"},
    {"/interactions", "interactions"},
    {"/converse", "converse"},
    {"/converse-stream", "converse-stream"},
    {"/invoke", "invoke"},
    {"/invoke-with-response-stream", "invoke-with-response-stream"},
    {"/count-tokens", "count-tokens"},
    {"/token", "oauth2.token"},
    {"/oauth2/v2.0/token", "entra.token"},
    {"/service-accounts/default/token", "metadata.token"},
    {"/latest/api/token", "imds.token"},
    {"/iam/security-credentials/", "imds.role"},
    {"/iam/security-credentials/sim-role", "imds.credentials"},
    {"/v1/credentials", "container.credentials"},
    {"/v2/credentials/sim-task", "container.credentials"},
};

static const char *const streaming[] = {
    "streamGenerateContent",
    "converse-stream",
    "invoke-with-response-stream",
};

static bool
span_ends(struct span s, const char *suffix)
{
	size_t n = strlen(suffix);

	return (s.n >= n && memcmp(s.p + s.n - n, suffix, n) == 0);
}

/* The longest suffix in the list wins. */
static const char *
endpoint_of(struct span path)
{
	const char *found = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(*endpoints); i++) {
		size_t n = strlen(endpoints[i].suffix);

		if (n > longest && span_ends(path, endpoints[i].suffix)) {
			longest = n;
			found = endpoints[i].endpoint;
		}
	}
	return (found);
}

struct body_scan {
	struct sim_request *request;
	enum {
		KEY_OTHER,
		KEY_MODEL,
		KEY_STREAM,
		KEY_STREAM_FORMAT,
		KEY_USAGE
	} key;
	bool in_options;
};

static bool
on_key(struct jscan *scan, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	struct body_scan *s = arg;

	s->key = KEY_OTHER;
	if (depth == 1) {
		s->in_options = span_eq(key, SPAN("stream_options"));
		if (s->in_options)
			s->request->options = true;
		if (span_eq(key, SPAN("model")))
			s->key = KEY_MODEL;
		else if (span_eq(key, SPAN("stream")))
			s->key = KEY_STREAM;
		else if (span_eq(key, SPAN("stream_format")))
			s->key = KEY_STREAM_FORMAT;
	} else if (depth == 2 && s->in_options &&
		   span_eq(key, SPAN("include_usage")))
		s->key = KEY_USAGE;
	return (true);
}

static void
set_model(struct sim_request *r, struct span name)
{
	size_t n = name.n < SIM_NAME_MAX ? name.n : SIM_NAME_MAX;

	memcpy(r->model, name.p, n);
	r->model[n] = '\0';
}

static bool
on_value(
    struct jscan *scan, void *arg, unsigned depth, const struct jscan_value *v)
{
	struct body_scan *s = arg;

	if (s->key == KEY_MODEL && v->type == JSCAN_STRING)
		set_model(s->request, v->text);
	else if (s->key == KEY_STREAM)
		s->request->stream = v->type == JSCAN_TRUE;
	else if (s->key == KEY_STREAM_FORMAT)
		s->request->stream = span_eq(v->text, SPAN("sse"));
	else if (s->key == KEY_USAGE)
		s->request->include_usage = v->type == JSCAN_TRUE;
	s->key = KEY_OTHER;
	return (true);
}

static void
inspect_json(struct sim_request *r)
{
	static const struct jscan_handler handler = {
	    .on_key = on_key,
	    .on_value = on_value,
	};
	struct body_scan s = {.request = r};
	struct jscan scan;

	jscan_init(&scan, &handler, &s);
	jscan_feed(&scan, r->body);
}

/*
 * Models in paths: between a marker and what ends it, percent-decoded. Where
 * a path has one, it counts and not the body's.
 */
static const struct {
	const char *marker;
	char end;  /* the first one, or */
	bool last; /* the last one: names may hold it, too */
} places[] = {
    {"/deployments/", '/', false},
    {"/model/", '/', true},
    {"/models/", ':', true},
};

static void
model_in_path(struct sim_request *r, size_t place)
{
	struct span path = r->head->path, name;
	struct buf text = {0};
	const char *marker = places[place].marker, *end;

	name.p = memmem(path.p, path.n, marker, strlen(marker));
	if (name.p == NULL)
		return;
	name.p += strlen(marker);
	name.n = (size_t)(path.p + path.n - name.p);
	end = places[place].last ? memrchr(name.p, places[place].end, name.n)
				 : memchr(name.p, places[place].end, name.n);
	if (end == NULL)
		return;
	name.n = (size_t)(end - name.p);
	if (http1_unescape(name, false, &text) == 0)
		set_model(r, buf_span(&text));
	buf_fini(&text);
}

/* A field of a form, as clients write it; n = 0 without. */
static struct span
form_field(const struct sim_request *r, const char *name)
{
	struct span value = {NULL, 0};
	struct buf head = {0};
	const char *end;

	buf_addf(&head, "name=\"%s\"\r\n\r\n", name);
	value.p = memmem(r->body.p, r->body.n, buf_ptr(&head), buf_len(&head));
	if (value.p != NULL) {
		value.p += buf_len(&head);
		value.n = (size_t)(r->body.p + r->body.n - value.p);
		end = memchr(value.p, '\r', value.n);
		if (end != NULL)
			value.n = (size_t)(end - value.p);
	}
	buf_fini(&head);
	return (value);
}

static void
inspect_form(struct sim_request *r)
{
	struct span model = form_field(r, "model");

	if (model.n > 0)
		set_model(r, model);
	r->stream = span_eq(form_field(r, "stream"), SPAN("true"));
}

void
request_inspect(
    struct sim_request *r, const struct http1_head *head, struct span body)
{
	memset(r, 0, sizeof(*r));
	r->head = head;
	r->body = body;
	r->provider = provider_of(r);
	r->endpoint = endpoint_of(head->path);
	for (size_t i = 0; i < sizeof(streaming) / sizeof(*streaming); i++)
		if (r->endpoint && strcmp(r->endpoint, streaming[i]) == 0)
			r->stream = true;
	if (body.n > 0 && body.p[0] == '-')
		inspect_form(r);
	else if (body.n > 0)
		inspect_json(r);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		model_in_path(r, i);
}

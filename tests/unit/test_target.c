/* From heads to endpoints: paths, queries, keys, fields, lists of models. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "hubd/api/api.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static struct http1_head
head_of(const char *method, const char *target)
{
	const char *query = strchr(target, '?');
	struct http1_head h = {0};

	h.method = span_str(method);
	h.path = span_str(target);
	if (query != NULL) {
		h.path.n = (size_t)(query - target);
		h.query = span_str(query + 1);
	}
	return (h);
}

static void
add(struct http1_head *h, const char *name, const char *value)
{
	h->fields[h->nfields].name = span_str(name);
	h->fields[h->nfields++].value = span_str(value);
}

static struct api_target
find(const char *method, const char *target, const char *field)
{
	struct http1_head h = head_of(method, target);
	struct api_target t;

	if (field != NULL)
		add(&h, field, "x");
	api_target(&h, false, &t);
	return (t);
}

/* ---- paths ----------------------------------------------------------------
 */

static const struct {
	const char *method, *path, *field;
	const char *id, *dialect, *name; /* of what is found */
} found[] = {
    {"POST", "/v1/chat/completions", NULL, "chat.completions", "openai", ""},
    {"POST", "/v1/chat/completions", "api-key", "chat.completions", "azure",
	""},
    {"POST", "/openai/v1/embeddings", NULL, "embeddings", "openai", ""},
    {"POST", "/openai/v1/embeddings", "api-key", "embeddings", "azure", ""},
    {"POST", "/azure/openai/v1/embeddings", NULL, "embeddings", "azure", ""},
    {"POST", "/azure/v1/responses", NULL, "responses", "azure", ""},
    {"POST", "/openai/responses?api-version=2025-03-01-preview", NULL,
	"responses", "azure", ""},
    {"POST", "/openai/deployments/my-dep/chat/completions", NULL,
	"chat.completions", "azure", "my-dep"},
    {"POST", "/azure/openai/deployments/my_dep.2/embeddings", NULL,
	"embeddings", "azure", "my_dep.2"},
    {"POST", "//openai/deployments/d/audio/transcriptions", NULL,
	"audio.transcriptions", "azure", "d"},
    {"POST", "/openai/deployments/a%2Db/images/generations", NULL,
	"images.generations", "azure", "a-b"},
    {"GET", "/openai/models", NULL, "models", "azure", ""},
    {"GET", "/v1/models", NULL, "models", "openai", ""},
    {"GET", "/v1/models", "Anthropic-Version", "models", "anthropic", ""},
    {"GET", "/v1/models", "X-API-Key", "models", "anthropic", ""},
    {"GET", "/anthropic/v1/models", NULL, "models", "anthropic", ""},
    {"GET", "/v1/models/a/b", NULL, "models.retrieve", "openai", "a/b"},
    {"GET", "/v1/models/ft:gpt%2d4o::x%40y", NULL, "models.retrieve", "openai",
	"ft:gpt-4o::x@y"},
    {"GET", "/v1/models/claude-x", "x-api-key", "models.retrieve", "anthropic",
	"claude-x"},
    {"GET", "/v1/models/caf%c3%a9", NULL, "models.retrieve", "openai",
	"caf\xc3\xa9"},
    {"GET", "/v1beta/models", NULL, "models", "gemini", ""},
    {"GET", "/google/v1beta/models/gemini-x", NULL, "models.retrieve", "gemini",
	"gemini-x"},
    {"GET", "/v1/models", "x-goog-api-key", "models", "gemini", ""},
    {"POST", "/v1/messages?beta=true", NULL, "messages", "anthropic", ""},
    {"POST", "/anthropic/v1/messages/count_tokens", NULL,
	"messages.count_tokens", "anthropic", ""},
    {"POST", "/v1beta/models/gemini-x:generateContent", NULL, "gemini.generate",
	"gemini", "gemini-x"},
    {"POST", "/v1/models/gemini-x:generateContent", NULL, "gemini.generate",
	"gemini", "gemini-x"},
    {"POST", "/v1alpha/models/gemini-x:streamGenerateContent?alt=sse", NULL,
	"gemini.stream", "gemini", "gemini-x"},
    {"POST", "/google/v1beta/models/g%2Fx:countTokens", NULL,
	"gemini.count_tokens", "gemini", "g/x"},
    {"POST", "/v1beta/models/a:b:embedContent", NULL, "gemini.embed", "gemini",
	"a:b"},
    {"POST", "/v1beta/models/a:batchEmbedContents", NULL, "gemini.batch_embed",
	"gemini", "a"},
    {"POST",
	"/v1/projects/p-1/locations/us-central1/publishers/google/models/"
	"gemini-x:generateContent",
	NULL, "gemini.generate", "gemini", "gemini-x"},
    {"POST",
	"/google/v1beta1/projects/p/locations/global/publishers/google/models/"
	"gemini-x:streamGenerateContent?alt=sse",
	NULL, "gemini.stream", "gemini", "gemini-x"},
    {"POST", "/v1beta1/publishers/google/models/gemini-x:generateContent", NULL,
	"gemini.generate", "gemini", "gemini-x"},
    {"POST", "/model/us.anthropic.claude-v1%3A0/converse", NULL,
	"bedrock.converse", "bedrock", "us.anthropic.claude-v1:0"},
    {"POST", "/aws/model/anthropic.claude-v1:0/converse-stream", NULL,
	"bedrock.converse_stream", "bedrock", "anthropic.claude-v1:0"},
    {"POST",
	"/model/arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x"
	"/invoke",
	NULL, "bedrock.invoke", "bedrock",
	"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x"},
    {"POST",
	"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ap%2Fus.x"
	"/invoke-with-response-stream",
	NULL, "bedrock.invoke_stream", "bedrock",
	"arn:aws:bedrock:us-east-1:123456789012:p/us.x"},
};

START_TEST(paths_lead_to_endpoints)
{
	struct api_target t;
	size_t i;

	for (i = 0; i < ROWS(found); i++) {
		t = find(found[i].method, found[i].path, found[i].field);
		ck_assert_msg(t.error == API_OK && t.endpoint != NULL, "%s",
		    found[i].path);
		ck_assert_str_eq(t.endpoint->id, found[i].id);
		ck_assert_msg(
		    strcmp(dialect_str(t.dialect), found[i].dialect) == 0,
		    "%s: %s", found[i].path, dialect_str(t.dialect));
		ck_assert_str_eq(t.model, found[i].name);
		ck_assert_str_eq(t.object, "");
	}
}
END_TEST

static const struct {
	const char *method, *path, *dialect;
	enum api_error error;
} lost[] = {
    {"GET", "/v1/embeddings", "openai", API_ERR_method_not_allowed},
    {"DELETE", "/v1/models/x", "openai", API_ERR_method_not_allowed},
    {"GET", "/v1/models/", "openai", API_ERR_unknown_endpoint},
    {"POST", "/v1/chat/completions/", "openai", API_ERR_unknown_endpoint},
    {"POST", "//v1/chat/completions", "openai", API_ERR_unknown_endpoint},
    {"POST", "/openai/openai/v1/embeddings", "openai",
	API_ERR_unknown_endpoint},
    {"POST", "/openai", "openai", API_ERR_unknown_endpoint},
    {"POST", "/azure", "openai", API_ERR_unknown_endpoint},
    {"POST", "/azurev1/embeddings", "openai", API_ERR_unknown_endpoint},
    {"POST", "/anthropic/v1/chat/completions", "anthropic",
	API_ERR_unknown_endpoint},
    {"POST", "/google/v1/embeddings", "gemini", API_ERR_unknown_endpoint},
    {"POST", "/aws/v1/embeddings", "bedrock", API_ERR_unknown_endpoint},
    {"GET", "/aws/v1/models", "bedrock", API_ERR_unknown_endpoint},
    {"POST", "/openai/deployments//embeddings", "azure",
	API_ERR_unknown_endpoint},
    {"POST", "/openai/deployments/a/b/embeddings", "azure",
	API_ERR_unknown_endpoint},
    {"GET", "/openai/deployments/a/models", "azure", API_ERR_unknown_endpoint},
    {"POST", "/v1beta/models/:generateContent", "gemini",
	API_ERR_unknown_endpoint},
    {"POST", "/v1beta/models/x", "gemini", API_ERR_method_not_allowed},
    {"POST", "/v1beta/models/x:predict", "gemini", API_ERR_unknown_endpoint},
    {"POST", "/v1/projects/p/publishers/google/models/x:generateContent",
	"gemini", API_ERR_unknown_endpoint},
    {"POST", "/model//converse", "bedrock", API_ERR_unknown_endpoint},
    {"POST", "/model/x/y", "bedrock", API_ERR_unknown_endpoint},
    {"GET", "/model/x/converse", "bedrock", API_ERR_method_not_allowed},
    {"POST", "/model/..%2fx/converse", "bedrock", API_ERR_invalid_request},
    {"POST", "/v1/complete", "openai", API_ERR_unknown_endpoint},
    {"GET", "/v1/models/%", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/%4", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/%zz", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/a%00b", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/a%0d%0ab", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/a%7fb", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/a%5cb", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/..", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/a/%2e%2e/b", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/%2E", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/..%2f..%2fx", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/%c3", "openai", API_ERR_invalid_request},
    {"GET", "/v1/models/%c0%ae%c0%ae", "openai", API_ERR_invalid_request},
    {"POST", "/openai/deployments/%2e%2e/embeddings", "azure",
	API_ERR_invalid_request},
};

START_TEST(other_paths_are_refused)
{
	struct api_target t;
	size_t i;

	for (i = 0; i < ROWS(lost); i++) {
		t = find(lost[i].method, lost[i].path, NULL);
		ck_assert_msg(t.error == lost[i].error, "%s: %s", lost[i].path,
		    api_error_code(t.error));
		ck_assert_msg(
		    strcmp(dialect_str(t.dialect), lost[i].dialect) == 0,
		    "%s: %s", lost[i].path, dialect_str(t.dialect));
	}
}
END_TEST

START_TEST(names_in_paths_have_a_largest_size)
{
	char path[400];

	snprintf(path, sizeof(path), "/v1/models/%0*d", API_NAME_MAX - 1, 7);
	ck_assert_int_eq(find("GET", path, NULL).error, API_OK);
	snprintf(path, sizeof(path), "/v1/models/%0*d", API_NAME_MAX, 7);
	ck_assert_int_eq(
	    find("GET", path, NULL).error, API_ERR_invalid_request);
}
END_TEST

START_TEST(methods_are_listed_once)
{
	struct http1_head h = head_of("PUT", "/openai/v1/models/x");
	struct buf methods = {0};

	api_target_methods(&h, false, &methods);
	ck_assert_str_eq(buf_cstr(&methods), "GET");
	buf_fini(&methods);
}
END_TEST

/* ---- queries --------------------------------------------------------------
 */

START_TEST(the_query_says_alt_and_version)
{
	static const char azure[] = "/openai/responses?";
	static const char gemini[] = "/v1beta/models?";
	static const struct {
		const char *path, *query;
		enum api_alt alt;
		const char *version;
		enum api_error error;
	} cases[] = {
	    {gemini, "alt=sse", ALT_SSE, "", API_OK},
	    {gemini, "x=1&%61lt=%73se&beta=true", ALT_SSE, "", API_OK},
	    {gemini, "alt=json", ALT_JSON, "", API_OK},
	    {gemini, "%24alt=json%3Benum-encoding=int", ALT_ENUM, "", API_OK},
	    {gemini, "$alt=json;enum-encoding%3dint&", ALT_ENUM, "", API_OK},
	    {gemini, "alt=media", ALT_NONE, "", API_ERR_invalid_request},
	    {gemini, "alt=", ALT_NONE, "", API_ERR_invalid_request},
	    {gemini, "alt", ALT_NONE, "", API_ERR_invalid_request},
	    {gemini, "alt=sse&alt=sse", ALT_SSE, "", API_ERR_invalid_request},
	    {gemini, "alt=%zz", ALT_NONE, "", API_ERR_invalid_request},
	    {gemini, "%zz=1&&=&junk", ALT_NONE, "", API_OK},
	    {azure, "api-version=2024-10-21&alt=media", ALT_NONE, "2024-10-21",
		API_OK},
	    {azure, "api-version=preview", ALT_NONE, "preview", API_OK},
	    {azure, "api-version=2024-10-21%0d%0ax", ALT_NONE, "",
		API_ERR_invalid_request},
	    {azure, "api-version=a/../b", ALT_NONE, "",
		API_ERR_invalid_request},
	    {azure, "api-version=012345678901234567890123456789012", ALT_NONE,
		"", API_ERR_invalid_request},
	};
	struct api_target t;
	char path[200];
	size_t i;

	for (i = 0; i < ROWS(cases); i++) {
		snprintf(
		    path, sizeof(path), "%s%s", cases[i].path, cases[i].query);
		t = find(cases[i].path == azure ? "POST" : "GET", path, NULL);
		ck_assert_msg(t.error == cases[i].error, "%s", path);
		ck_assert_int_eq(t.alt, cases[i].alt);
		ck_assert_str_eq(t.version, cases[i].version);
		ck_assert_int_eq(t.why != NULL, t.error != API_OK);
	}
}
END_TEST

/* ---- keys -----------------------------------------------------------------
 */

/* The key of a request with up to two fields, of "name: value" each. */
static void
ck_key(const char *target, const char *a, const char *b, const char *key)
{
	struct http1_head h = head_of("GET", target);
	const char *fields[] = {a, b};
	struct api_target t;
	struct span got;
	size_t i;

	add(&h, "Host", "h");
	for (i = 0; i < 2 && fields[i] != NULL; i++) {
		h.fields[h.nfields].name =
		    span_of(fields[i], strcspn(fields[i], ":"));
		h.fields[h.nfields++].value =
		    span_str(strchr(fields[i], ':') + 2);
	}
	api_target(&h, false, &t);
	got = api_key_of(&t, &h);
	ck_assert_msg(span_eq(got, span_str(key)), "%s %s %s: %.*s", target, a,
	    b != NULL ? b : "", (int)got.n, got.p);
}

START_TEST(keys_are_where_each_apis_clients_put_them)
{
	ck_key("/v1/x", "AUTHORIZATION: Bearer k1", NULL, "k1");
	ck_key("/v1/x", "authorization: bearer  k1", NULL, "k1");
	ck_key("/v1/x", "a: Bearer k1", "authorization: Bearer k1", "k1");
	ck_key("/v1/x", "authorization: Bearer ", NULL, "");
	ck_key("/v1/x", "authorization: Bearerk1", NULL, "");
	ck_key("/v1/x?key=k1", "a: b", NULL, "");
	ck_key("/openai/deployments/d/x", "Api-Key: k1", NULL, "k1");
	ck_key(
	    "/openai/deployments/d/x", "Authorization: Bearer k1", NULL, "k1");
	ck_key("/v1/messages", "X-Api-Key: k1", NULL, "k1");
	ck_key("/v1/messages", "Authorization: Bearer k1", NULL, "k1");
	ck_key("/v1/messages", "x-goog-api-key: k1", NULL, "");
	ck_key("/v1beta/models", "x-goog-api-key: k1", NULL, "k1");
	ck_key("/v1beta/models", "authorization: Bearer k1", NULL, "k1");
	ck_key("/v1beta/models?key=k1", "a: b", NULL, "k1");
	ck_key("/v1beta/models?key=k%31", "x-goog-api-key: k1", NULL, "k1");
	ck_key("/model/m/converse", "authorization: Bearer k1", NULL, "k1");
	ck_key("/model/m/converse", "x-api-key: k1", NULL, "");
	ck_key("/model/m/converse",
	    "authorization: AWS4-HMAC-SHA256 Credential=k1/x", NULL, "");
}
END_TEST

START_TEST(two_different_keys_are_none)
{
	ck_key("/v1/x", "Authorization: Bearer k1", "authorization: Bearer k1",
	    "k1");
	ck_key("/v1/x", "Authorization: Bearer k1", "authorization: Bearer k2",
	    "");
	ck_key("/v1/x", "Authorization: Bearer k1",
	    "authorization: Basic eA==", "");
	ck_key(
	    "/v1/messages", "x-api-key: k1", "authorization: Bearer k1", "k1");
	ck_key("/v1/messages", "x-api-key: k1", "authorization: Bearer k2", "");
	ck_key("/v1/messages", "x-api-key: k1", "x-api-key: ", "");
	ck_key("/openai/deployments/d/x", "api-key: k1", "api-key: k2", "");
	ck_key("/v1beta/models?key=k2", "x-goog-api-key: k1", NULL, "");
}
END_TEST

/* ---- fields ---------------------------------------------------------------
 */

START_TEST(only_listed_fields_pass)
{
	ck_assert(api_forwards(DIALECT_ANTHROPIC, SPAN("Anthropic-Beta")));
	ck_assert(api_forwards(DIALECT_ANTHROPIC, SPAN("anthropic-version")));
	ck_assert(!api_forwards(DIALECT_OPENAI, SPAN("anthropic-beta")));
	ck_assert(api_forwards(DIALECT_AZURE, SPAN("OpenAI-Beta")));
	ck_assert(!api_forwards(DIALECT_OPENAI, SPAN("openai-organization")));
	ck_assert(api_forwards(DIALECT_BEDROCK, SPAN("X-Amzn-Bedrock-Trace")));
	ck_assert(!api_forwards(DIALECT_BEDROCK, SPAN("x-amzn-bedrock")));
	ck_assert(!api_forwards(DIALECT_GEMINI, SPAN("x-goog-user-project")));
	ck_assert(api_carries(
	    DIALECT_BEDROCK, 200, SPAN("x-amzn-bedrock-input-token-count")));
	ck_assert(!api_carries(
	    DIALECT_ANTHROPIC, 200, SPAN("anthropic-ratelimit-tokens-limit")));
	ck_assert(api_carries(
	    DIALECT_ANTHROPIC, 429, SPAN("anthropic-ratelimit-tokens-limit")));
	ck_assert(!api_carries(
	    DIALECT_ANTHROPIC, 429, SPAN("anthropic-organization-id")));
	ck_assert(!api_carries(DIALECT_GEMINI, 429, SPAN("server-timing")));
	ck_assert(
	    span_eq(api_carried_value(DIALECT_BEDROCK, SPAN("x-amzn-errortype"),
			SPAN("ValidationException:http://internal.example/")),
		SPAN("ValidationException")));
	ck_assert_uint_eq(api_carried_value(DIALECT_BEDROCK,
			      SPAN("x-amzn-errortype"), SPAN("http/internal"))
			      .n,
	    0);
	ck_assert(
	    span_eq(api_carried_value(DIALECT_OPENAI, SPAN("x"), SPAN("a:b")),
		SPAN("a:b")));
	ck_assert_str_eq(api_id_field(DIALECT_ANTHROPIC), "request-id");
	ck_assert_ptr_null(api_id_field(DIALECT_OPENAI));
}
END_TEST

/* ---- lists ----------------------------------------------------------------
 */

static const struct api_model models[] = {
    {"m-1", "openai", 1735689600}, {"m\"2", "anthropic", 1735689600}};

static struct json *
list_of(enum dialect d, size_t n)
{
	struct buf b = {0};
	struct json *doc;

	api_models(&b, d, models, n);
	doc = json_parse(buf_span(&b), NULL, 0);
	ck_assert_ptr_nonnull(doc);
	buf_fini(&b);
	return (doc);
}

START_TEST(models_are_listed_in_each_shape)
{
	struct json *doc = list_of(DIALECT_OPENAI, 2);
	const struct json *m;

	m = json_get(doc, "data")->first;
	ck_assert_str_eq(json_get_str(m, "id"), "m-1");
	ck_assert_int_eq(json_get_int(m, "created", 0), 1735689600);
	json_free(doc);

	doc = list_of(DIALECT_ANTHROPIC, 2);
	m = json_get(doc, "data")->first->next;
	ck_assert_str_eq(json_get_str(m, "id"), "m\"2");
	ck_assert_str_eq(json_get_str(m, "created_at"), "2025-01-01T00:00:00Z");
	ck_assert_str_eq(json_get_str(doc, "first_id"), "m-1");
	ck_assert_str_eq(json_get_str(doc, "last_id"), "m\"2");
	json_free(doc);

	doc = list_of(DIALECT_ANTHROPIC, 0);
	ck_assert_int_eq(json_get(doc, "first_id")->type, JSON_NULL);
	ck_assert(!json_get_bool(doc, "has_more", true));
	json_free(doc);

	doc = list_of(DIALECT_GEMINI, 2);
	m = json_get(doc, "models")->first;
	ck_assert_str_eq(json_get_str(m, "name"), "models/m-1");
	json_free(doc);
}
END_TEST

/* ---- errors ---------------------------------------------------------------
 */

START_TEST(errors_have_each_apis_shape)
{
	struct buf b = {0};

	api_error_body(&b, DIALECT_AZURE, API_ERR_no_agent, NULL, "r-1");
	ck_assert_str_eq(buf_cstr(&b),
	    "{\"error\":{\"code\":\"no_agent\",\"message\":\"Nobody serves "
	    "this model at the moment.\",\"request_id\":\"r-1\"}}");
	buf_reset(&b, 512);
	api_error_event(&b, DIALECT_ANTHROPIC, FRAME_EVENTS, JOINT_NONE,
	    API_ERR_agent_lost, "r-1");
	ck_assert_str_eq(buf_cstr(&b),
	    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
	    "\"api_error\",\"message\":\"The connection to the provider was "
	    "lost.\",\"details\":{\"error_code\":\"agent_lost\"}},"
	    "\"request_id\":\"r-1\"}\n\n");
	buf_reset(&b, 512);
	api_error_event(&b, DIALECT_GEMINI, FRAME_ARRAY, JOINT_NONE,
	    API_ERR_agent_lost, "r-1");
	ck_assert_uint_eq(buf_len(&b), 0);
	api_error_event(&b, DIALECT_GEMINI, FRAME_ARRAY, JOINT_NEXT,
	    API_ERR_agent_lost, "r-1");
	ck_assert(span_starts(buf_span(&b), SPAN(",\r\n{\"error\":{")));
	ck_assert_str_eq(buf_cstr(&b) + buf_len(&b) - 2, "}]");
	buf_reset(&b, 512);
	api_error_body(&b, DIALECT_GEMINI, API_ERR_rate_limited, "Slow.", "r");
	ck_assert_str_eq(buf_cstr(&b),
	    "{\"error\":{\"code\":429,\"message\":\"Slow.\",\"status\":"
	    "\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":\"type.googleapis"
	    ".com/google.rpc.ErrorInfo\",\"reason\":\"rate_limited\","
	    "\"metadata\":{\"request_id\":\"r\"}}]}}");
	buf_reset(&b, 512);
	api_error_body(&b, DIALECT_BEDROCK, API_ERR_rate_limited, NULL, "r");
	ck_assert_str_eq(buf_cstr(&b),
	    "{\"message\":\"Too many requests or tokens in this time.\","
	    "\"reason\":\"rate_limited\",\"request_id\":\"r\"}");
	buf_reset(&b, 512);
	api_error_fields(&b, DIALECT_BEDROCK, API_ERR_rate_limited);
	ck_assert_str_eq(
	    buf_cstr(&b), "x-amzn-errortype: ThrottlingException\r\n");
	buf_fini(&b);
}
END_TEST

static void
ck_scrubbed(enum dialect d, int status, const char *body, const char *want)
{
	struct buf b = {0};
	bool shown = api_error_scrub(&b, d, status, span_str(body));

	ck_assert_msg(shown == (want != NULL), "%s", body);
	if (shown)
		ck_assert_str_eq(buf_cstr(&b), want);
	buf_fini(&b);
}

START_TEST(refusals_of_providers_keep_what_is_the_users)
{
	ck_scrubbed(DIALECT_ANTHROPIC, 400,
	    "{\"type\":\"error\",\"error\":{\"details\":null,\"type\":"
	    "\"invalid_request_error\",\"message\":\"max_tokens: bad, see "
	    "https://a.example/x\"},\"request_id\":\"req_1\"}",
	    "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\","
	    "\"message\":\"max_tokens: bad, see [removed]\"}}");
	ck_scrubbed(DIALECT_ANTHROPIC, 400, "{\"error\":\"no\"}", NULL);
	ck_scrubbed(DIALECT_ANTHROPIC, 529,
	    "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
	    "\"message\":\"Overloaded\"}}",
	    NULL);
	ck_scrubbed(DIALECT_GEMINI, 429,
	    "[{\"error\":{\"code\":429,\"message\":\"Quota of projects/x1 is "
	    "gone.\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":"
	    "\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"R\","
	    "\"metadata\":{\"consumer\":\"projects/1234567\"}},{\"@type\":"
	    "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":"
	    "\"34s\"}]}}]",
	    "{\"error\":{\"code\":429,\"message\":\"Quota of projects/x1 is "
	    "gone.\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":"
	    "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":"
	    "\"34s\"}]}}");
	ck_scrubbed(DIALECT_GEMINI, 400,
	    "{\"error\":{\"code\":400,\"message\":\"API key not valid.\","
	    "\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"@type\":\"x\","
	    "\"reason\":\"API_KEY_INVALID\"}]}}",
	    NULL);
	ck_scrubbed(DIALECT_BEDROCK, 400,
	    "{\"message\":\"Model arn:aws:bedrock:us-east-1:123456789012:x is "
	    "unknown\"}",
	    "{\"message\":\"Model [removed] is unknown\"}");
	ck_scrubbed(DIALECT_BEDROCK, 404, "{\"Message\":\"no\"}",
	    "{\"Message\":\"no\"}");
	ck_scrubbed(DIALECT_BEDROCK, 403, "{\"message\":\"no\"}", NULL);
	ck_scrubbed(DIALECT_BEDROCK, 400, "[]", NULL);
	ck_scrubbed(DIALECT_AZURE, 404,
	    "{\"error\":{\"code\":\"DeploymentNotFound\",\"message\":\"No.\"}}",
	    "{\"error\":{\"message\":\"No.\",\"type\":null,\"param\":null,"
	    "\"code\":\"DeploymentNotFound\"}}");
	ck_scrubbed(DIALECT_AZURE, 400,
	    "{\"error\":{\"message\":\"Filtered.\",\"type\":null,\"param\":"
	    "\"prompt\",\"code\":\"content_filter\",\"status\":400,"
	    "\"innererror\":{\"code\":\"Policy\",\"content_filter_result\":{"
	    "\"hate\":{\"filtered\":true,\"severity\":\"high\"},"
	    "\"a b\":{}}}}}",
	    "{\"error\":{\"message\":\"Filtered.\",\"type\":null,\"param\":"
	    "\"prompt\",\"code\":\"content_filter\",\"innererror\":{"
	    "\"code\":\"Policy\",\"content_filter_result\":{\"hate\":{"
	    "\"filtered\":true,\"severity\":\"high\"}}}}}");
}
END_TEST

/* What must not leave the house, in every member that may. */
static const char *const secrets[] = {"10.1.2.3", "db.inside.example.com",
    "/srv/agent/key.pem", "sk-live-0123456789abcdef", "123456789012",
    "https://inside.example.com/x", "ops@inside.example.com"};

static void
ck_hidden(enum dialect d, const char *format)
{
	char body[2000], text[400] = "";
	struct buf b = {0};
	size_t i, n = 0;

	for (i = 0; i < ROWS(secrets); i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "at %s, ", secrets[i]);
	snprintf(body, sizeof(body), format, text, text, text, text);
	ck_assert_msg(api_error_scrub(&b, d, 400, span_str(body)), "%s", body);
	for (i = 0; i < ROWS(secrets); i++)
		ck_assert_msg(strstr(buf_cstr(&b), secrets[i]) == NULL,
		    "%s: %s", secrets[i], buf_cstr(&b));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&b), "[removed]"));
	buf_fini(&b);
}

START_TEST(d20_refusals_in_every_shape_leak_nothing)
{
	ck_hidden(DIALECT_OPENAI,
	    "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":"
	    "\"%s\",\"code\":\"%s\"}}");
	ck_hidden(DIALECT_AZURE,
	    "{\"error\":{\"message\":\"%s\",\"code\":\"%s\",\"innererror\":"
	    "{\"code\":\"%s\",\"content_filter_result\":{\"a\":{"
	    "\"severity\":\"%s\"}}}}}");
	ck_hidden(DIALECT_ANTHROPIC,
	    "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"details\":{"
	    "\"error_code\":\"%s\"}},\"request_id\":\"%s\"}");
	ck_hidden(DIALECT_GEMINI,
	    "{\"error\":{\"message\":\"%s\",\"status\":\"%s\",\"details\":["
	    "{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\","
	    "\"fieldViolations\":[{\"field\":\"%s\",\"description\":\"x\"}"
	    "]},{\"@type\":\"type.googleapis.com/google.rpc.DebugInfo\","
	    "\"detail\":\"%s\"}]}}");
	ck_hidden(DIALECT_BEDROCK,
	    "{\"message\":\"%s\",\"__type\":\"%s\",\"originalMessage\":"
	    "\"%s\",\"resourceName\":\"%s\"}");
}
END_TEST

/* ---- deployments ----------------------------------------------------------
 */

/* What becomes of the body of a request to deployment d for candidate c. */
static void
ck_prepared(const char *body, const char *want, bool ask)
{
	struct api_target t =
	    find("POST", "/openai/deployments/d/chat/completions", NULL);
	struct api_request r;
	struct buf b = {0};
	const char *why;

	ck_assert_int_eq(api_inspect(&t, span_str(body), &r, &why), API_OK);
	ck_assert_str_eq(r.model, "d");
	buf_addstr(&b, body);
	api_prepare(&r, &b, SPAN("d"), ask);
	ck_assert_str_eq(buf_cstr(&b), want);
	buf_fini(&b);
}

START_TEST(a_deployment_names_the_model)
{
	ck_prepared("{\"model\":\"d\"}", "{\"model\":\"d\"}", false);
	ck_prepared(
	    "{\"model\":\"e\",\"n\":1}", "{\"model\":\"d\",\"n\":1}", false);
	ck_prepared(
	    "{\"n\":1,\"model\":null}", "{\"n\":1,\"model\":\"d\"}", false);
	ck_prepared(" { \"n\":1}", " {\"model\":\"d\", \"n\":1}", false);
	ck_prepared("{}", "{\"model\":\"d\"}", false);
	ck_prepared("{\"stream\":true}",
	    "{\"model\":\"d\",\"stream\":true,\"stream_options\":"
	    "{\"include_usage\":true}}",
	    true);
}
END_TEST

START_TEST(old_azure_versions_are_not_asked_for_usage)
{
	struct api_target t = find("POST",
	    "/openai/deployments/d/chat/completions?api-version=2024-02-01",
	    NULL);
	struct api_request r;
	const char *why;

	ck_assert_int_eq(api_inspect(&t, SPAN("{}"), &r, &why), API_OK);
	ck_assert(r.no_ask);
	strcpy(t.version, "2024-10-21");
	ck_assert_int_eq(api_inspect(&t, SPAN("{}"), &r, &why), API_OK);
	ck_assert(!r.no_ask);
	strcpy(t.version, "preview");
	ck_assert_int_eq(api_inspect(&t, SPAN("{}"), &r, &why), API_OK);
	ck_assert(!r.no_ask);
}
END_TEST

START_TEST(a_form_without_a_model_gets_one)
{
	struct api_target t =
	    find("POST", "/openai/deployments/d/audio/transcriptions", NULL);
	const char *body =
	    "--b\r\nContent-Disposition: form-data; "
	    "name=\"file\"; filename=\"a\"\r\n\r\nx\r\n--b--\r\n";
	struct api_request r;
	struct buf b = {0};
	const char *why;

	ck_assert_int_eq(
	    api_inspect_form(&t, SPAN("b"), span_str(body), &r, &why), API_OK);
	ck_assert_str_eq(r.model, "d");
	buf_addstr(&b, body);
	api_prepare(&r, &b, SPAN("d"), false);
	ck_assert_ptr_eq(
	    strstr(buf_cstr(&b), "--b\r\nContent-Disposition: form-data; "
				 "name=\"model\"\r\n\r\nd\r\n--b\r\n"),
	    buf_cstr(&b));
	buf_fini(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("target");
	TCase *tc = tcase_create("target");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, paths_lead_to_endpoints);
	tcase_add_test(tc, other_paths_are_refused);
	tcase_add_test(tc, names_in_paths_have_a_largest_size);
	tcase_add_test(tc, methods_are_listed_once);
	tcase_add_test(tc, the_query_says_alt_and_version);
	tcase_add_test(tc, keys_are_where_each_apis_clients_put_them);
	tcase_add_test(tc, two_different_keys_are_none);
	tcase_add_test(tc, only_listed_fields_pass);
	tcase_add_test(tc, models_are_listed_in_each_shape);
	tcase_add_test(tc, errors_have_each_apis_shape);
	tcase_add_test(tc, refusals_of_providers_keep_what_is_the_users);
	tcase_add_test(tc, d20_refusals_in_every_shape_leak_nothing);
	tcase_add_test(tc, a_deployment_names_the_model);
	tcase_add_test(tc, old_azure_versions_are_not_asked_for_usage);
	tcase_add_test(tc, a_form_without_a_model_gets_one);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed != 0);
}

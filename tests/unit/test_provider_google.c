/*
 * Google's kind of provider: the section, the requests beside those of the
 * official client, tokens by service account and metadata server, verdicts.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/agent_conf.h"
#include "agentd/provider.h"
#include "agentd/token.h"
#include "common/log.h"
#include "common/loop.h"
#include "tests/unit/google_file.h"
#include "tests/unit/upstream_fake.h"

#define S(text) ((char[]){text})
#define GEMINI	"https://generativelanguage.googleapis.com"

static struct provider_request request;

static void
checked(struct provider_conf *c)
{
	const char *why = "";

	ck_assert_msg(provider_google.check(c, &why), "%s", why);
}

static bool
make(const struct provider_conf *c, const char *endpoint, const char *model,
    const char *alt)
{
	static const struct provider_field fields[] = {
	    {"x-server-timeout", "60"}, {"x-goog-user-project", "theirs"}};
	struct provider_call call = {
	    .endpoint = endpoint,
	    .dialect = "gemini",
	    .model = model,
	    .content_type = "application/json",
	    .alt = alt,
	    .fields = fields,
	    .nfields = 2,
	};

	provider_request_fini(&request);
	request = (struct provider_request){0};
	return (provider_google.make(c, &call, &request));
}

static bool
has(const char *line)
{
	const char *const *h;

	for (h = request.headers; *h != NULL; h++)
		if (strcmp(*h, line) == 0)
			return (true);
	return (false);
}

/* ---- requests ----------------------------------------------------------- */

START_TEST(a_request_carries_the_key)
{
	struct provider_conf c = {.api_key = S("AIza-key")};

	checked(&c);
	ck_assert(make(&c, "gemini.stream", "m", "sse"));
	ck_assert_str_eq(request.method, "POST");
	ck_assert_str_eq(buf_cstr(&request.url),
	    GEMINI "/v1beta/models/m:streamGenerateContent?alt=sse");
	ck_assert(has("x-goog-api-key: AIza-key"));
	ck_assert(has("Content-Type: application/json"));
	ck_assert(has("x-server-timeout: 60"));
	ck_assert(!has("x-goog-user-project: theirs"));
	provider_request_fini(&request);
	provider_google.release(&c);
}
END_TEST

START_TEST(other_endpoints_are_refused)
{
	struct provider_conf c = {.api_key = S("k")};

	checked(&c);
	ck_assert(!make(&c, "chat.completions", "m", ""));
	ck_assert(!make(&c, "gemini.x", "m", ""));
	ck_assert(!make(&c, "gemini.generate", "..", ""));
	provider_request_fini(&request);
	provider_google.release(&c);
}
END_TEST

/* Recorded requests of the official client; project my-proj. */
static const struct {
	const char *file, *endpoint, *alt;
	enum { GEMINI_API, EXPRESS, VERTEX } place;
} clients[] = {
    {"gemini-generate.http", "gemini.generate", "", GEMINI_API},
    {"gemini-generate-stream.http", "gemini.stream", "sse", GEMINI_API},
    {"gemini-count-tokens.http", "gemini.count_tokens", "", GEMINI_API},
    {"gemini-embed.http", "gemini.batch_embed", "", GEMINI_API},
    {"vertex-express-generate.http", "gemini.generate", "", EXPRESS},
    {"vertex-generate-stream.http", "gemini.stream", "sse", VERTEX},
};

START_TEST(the_path_is_that_of_the_official_client)
{
	struct provider_conf c = {.api_key = S("k")};
	char path[256], line[1024] = "", target[512], model[64], *at;
	FILE *f;

	snprintf(path, sizeof(path), "../shared/clients/%s", clients[_i].file);
	if ((f = fopen(path, "r")) == NULL)
		return;
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	fclose(f);
	ck_assert_int_eq(sscanf(line, "POST %511[^ ]", target), 1);
	ck_assert_ptr_nonnull(at = strstr(target, "/models/"));
	ck_assert_int_eq(sscanf(at, "/models/%63[^:]", model), 1);
	c.base_url = clients[_i].place == EXPRESS
			 ? S("https://aiplatform.googleapis.com")
			 : NULL;
	c.project = clients[_i].place == VERTEX ? S("my-proj") : NULL;
	c.location = clients[_i].place == VERTEX ? S("us-central1") : NULL;
	checked(&c);
	ck_assert(make(&c, clients[_i].endpoint, model, clients[_i].alt));
	ck_assert_str_eq(
	    strchr(buf_cstr(&request.url) + strlen("https://"), '/'), target);
	provider_request_fini(&request);
	provider_google.release(&c);
}
END_TEST

/* ---- the section -------------------------------------------------------- */

static const char *
flaw(struct provider_conf *c)
{
	static char text[256];
	const char *why = "";

	provider_google.check(c, &why);
	snprintf(text, sizeof(text), "%s", why != NULL ? why : "");
	provider_google.release(c);
	return (text);
}

START_TEST(a_section_is_checked)
{
	struct provider_conf c = {0};

	ck_assert_ptr_nonnull(strstr(flaw(&c), "none of"));
	c.api_key = S("");
	ck_assert_ptr_nonnull(strstr(flaw(&c), "none of"));
	c.api_key = S("k");
	ck_assert_str_eq(flaw(&c), "");
	c.metadata = true;
	ck_assert_ptr_nonnull(strstr(flaw(&c), "more than one"));
	c.api_key = NULL;
	ck_assert_str_eq(flaw(&c), "");
	c.location = S("eu");
	ck_assert_str_eq(flaw(&c), "project is missing");
	c.project = S("p");
	ck_assert_str_eq(flaw(&c), "");
	c.base_url = S("ftp://x");
	ck_assert_ptr_nonnull(strstr(flaw(&c), "base_url"));
	c.base_url = S("https://x?key=1");
	ck_assert_ptr_nonnull(strstr(flaw(&c), "base_url"));
	c.base_url = S("https://x");
	ck_assert_str_eq(flaw(&c), "");
	c.location = NULL;
	ck_assert_str_eq(flaw(&c), "location is missing");
	c.service_account = S("/nonexistent");
	c.metadata = false;
	ck_assert_ptr_nonnull(strstr(flaw(&c), "service_account"));
}
END_TEST

/* ---- tokens ------------------------------------------------------------- */

static struct {
	struct loop *loop;
	struct loop_timer *stop;
	struct credential_wait wait;
	unsigned ready;
	char why[TOKEN_WHY_MAX];
} t;

static void
on_ready(void *arg, const char *why)
{
	t.ready++;
	snprintf(t.why, sizeof(t.why), "%s", why != NULL ? why : "");
}

static void
on_stop(void *arg)
{
	loop_stop(t.loop);
}

static void
turn(void)
{
	loop_timer_set_ms(t.stop, 0);
	loop_run(t.loop);
}

/* Checks the section, and lets a call wait for its credential. */
static void
begin(struct provider_conf *c)
{
	struct credential_options o = {.name = "x", .proxy = "http://proxy"};

	log_init("test", LOG_LEVEL_ERR);
	t.loop = o.loop = loop_new();
	t.stop = loop_timer_new(t.loop, on_stop, NULL);
	checked(c);
	c->credential = provider_google.credential(c, &o);
	ck_assert_ptr_nonnull(c->credential);
	t.wait.fn = on_ready;
	credential_await(c->credential, &t.wait);
	turn();
}

static void
end(struct provider_conf *c)
{
	provider_request_fini(&request);
	credential_free(c->credential);
	provider_google.release(c);
	loop_timer_free(t.stop);
	loop_free(t.loop);
}

/* The claims of the assertion that was sent last. */
static struct json *
claims(void)
{
	const char *at = strstr(fake_text, "&assertion=");

	ck_assert_ptr_nonnull(at);
	return (google_verify(at + strlen("&assertion="), NULL));
}

#define TOKEN                                               \
	"{\"access_token\":\"ya29.x\",\"expires_in\":3599," \
	"\"token_type\":\"Bearer\"}"

START_TEST(a_service_account_gets_a_token)
{
	struct provider_conf c = {.service_account = google_path};
	struct json *doc;
	int64_t iat, now = walltime_ms() / 1000;

	google_good_file();
	c.location = S("europe-west1");
	begin(&c);
	ck_assert_ptr_nonnull(strstr(fake_text,
	    "POST https://oauth2.example.com/token\n"
	    "Content-Type: application/x-www-form-urlencoded\n"));
	ck_assert_ptr_nonnull(strstr(fake_text,
	    "\n\ngrant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type"
	    "%3Ajwt-bearer&assertion="));
	ck_assert(fake_proxied);
	doc = claims();
	iat = json_get_int(doc, "iat", 0);
	ck_assert(iat >= now && iat <= now + 60);
	ck_assert_str_eq(json_get_str(doc, "scope"),
	    "https://www.googleapis.com/auth/cloud-platform");
	json_free(doc);
	fake_answer(200, NULL, TOKEN);
	ck_assert_str_eq(t.why, "");
	ck_assert(make(&c, "gemini.generate", "m", ""));
	ck_assert(has("Authorization: Bearer ya29.x"));
	/* The project is the key's. */
	ck_assert_ptr_nonnull(
	    strstr(buf_cstr(&request.url), "/projects/key-project/"));
	end(&c);
	google_unlink();
}
END_TEST

/* Our clock is far behind: the server says what time it is. */
START_TEST(a_wrong_clock_is_made_up_for_once)
{
	static const char *const date[] = {
	    "Date", "Fri, 01 Jan 2100 00:00:00 GMT", NULL};
	struct provider_conf c = {.service_account = google_path};
	const char *refusal = "{\"error\":\"invalid_grant\"}";
	struct json *doc;
	int64_t iat;

	google_good_file();
	begin(&c);
	fake_answer(400, date, refusal);
	ck_assert_uint_eq(t.ready, 0);
	turn();
	ck_assert_uint_eq(fake_started, 2);
	doc = claims();
	iat = json_get_int(doc, "iat", 0);
	ck_assert(iat >= 4102444800 && iat <= 4102444860);
	json_free(doc);
	fake_answer(400, date, refusal);
	ck_assert_uint_eq(t.ready, 1);
	ck_assert_str_eq(t.why, "the token server answers 400: invalid_grant");
	end(&c);
	google_unlink();
}
END_TEST

/* A refusal for another reason is no reason to ask twice. */
START_TEST(a_right_clock_is_left_alone)
{
	char date[64];
	const char *fields[] = {"Date", date, NULL};
	struct provider_conf c = {.service_account = google_path};
	time_t now = time(NULL);

	google_good_file();
	begin(&c);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
	fake_answer(400, fields, "{\"error\":\"invalid_grant\"}");
	ck_assert_uint_eq(t.ready, 1);
	ck_assert_uint_eq(fake_started, 1);
	end(&c);
	google_unlink();
}
END_TEST

START_TEST(the_machine_has_a_token)
{
	static const char *const flavor[] = {"Metadata-Flavor", "Google", NULL};
	struct provider_conf c = {.metadata = true};

	unsetenv("GCE_METADATA_HOST");
	begin(&c);
	ck_assert_str_eq(fake_text,
	    "GET http://169.254.169.254/computeMetadata/v1/instance"
	    "/service-accounts/default/token\n"
	    "Metadata-Flavor: Google\nUser-Agent: agentd/" VERSION "\n\n");
	ck_assert(!fake_proxied);
	fake_answer(200, flavor, TOKEN);
	ck_assert_str_eq(t.why, "");
	ck_assert(make(&c, "gemini.generate", "m", ""));
	ck_assert(has("Authorization: Bearer ya29.x"));
	end(&c);
}
END_TEST

START_TEST(another_server_is_no_metadata_server)
{
	struct provider_conf c = {.metadata = true};

	setenv("GCE_METADATA_HOST", "127.0.0.1:9", 1);
	begin(&c);
	ck_assert_ptr_nonnull(
	    strstr(fake_text, "GET http://127.0.0.1:9/computeMetadata/"));
	fake_answer(200, NULL, TOKEN);
	ck_assert_ptr_nonnull(strstr(t.why, "no metadata server"));
	end(&c);
}
END_TEST

START_TEST(a_key_needs_no_token)
{
	struct provider_conf c = {.api_key = S("k")};
	struct credential_options o = {.name = "x"};

	checked(&c);
	ck_assert_ptr_null(provider_google.credential(&c, &o));
	provider_google.release(&c);
}
END_TEST

/* ---- answers ------------------------------------------------------------ */

static enum provider_verdict
on_head(int status)
{
	struct provider_answer a = {.status = status};

	return (provider_google.on_head(NULL, &a));
}

START_TEST(a_bad_key_is_not_the_users_mistake)
{
	ck_assert_int_eq(on_head(200), PROVIDER_PASS);
	ck_assert_int_eq(on_head(429), PROVIDER_PASS);
	ck_assert_int_eq(on_head(401), PROVIDER_REFUSED);
	ck_assert_int_eq(on_head(403), PROVIDER_REFUSED);
	ck_assert_int_eq(on_head(400), PROVIDER_LOOK);
}
END_TEST

static const struct {
	const char *body;
	enum provider_verdict verdict;
} errors[] = {
    {"{\"error\":{\"code\":400,\"details\":[{\"@type\":\"x\"},"
     "{\"reason\":\"API_KEY_INVALID\"}]}}",
	PROVIDER_REFUSED},
    {"[{\"error\":{\"details\":[{\"reason\":\"API_KEY_SERVICE_BLOCKED\"}]}}]",
	PROVIDER_REFUSED},
    {"{\"error\":{\"code\":400,\"message\":\"API_KEY_INVALID\"}}",
	PROVIDER_PASS},
    {"{\"error\":{\"details\":[{\"reason\":17}]}}", PROVIDER_PASS},
    {"{\"error\":{\"details\":{}}}", PROVIDER_PASS},
    {"{\"error\":\"x\"}", PROVIDER_PASS},
    {"[]", PROVIDER_PASS},
    {"<html>API_KEY_INVALID</html>", PROVIDER_PASS},
    {"", PROVIDER_PASS},
};

START_TEST(an_error_is_looked_at)
{
	ck_assert_int_eq(
	    provider_google.on_error(NULL, 400, span_str(errors[_i].body)),
	    errors[_i].verdict);
}
END_TEST

START_TEST(answer_fields_are_those_of_a_list)
{
	ck_assert(provider_google.keep_field(SPAN("Content-Type")));
	ck_assert(provider_google.keep_field(SPAN("retry-after")));
	ck_assert(!provider_google.keep_field(SPAN("server-timing")));
	ck_assert(!provider_google.keep_field(SPAN("alt-svc")));
}
END_TEST

static void
add_tests(TCase *c)
{
	tcase_add_test(c, a_request_carries_the_key);
	tcase_add_test(c, other_endpoints_are_refused);
	tcase_add_loop_test(c, the_path_is_that_of_the_official_client, 0,
	    sizeof(clients) / sizeof(clients[0]));
	tcase_add_test(c, a_section_is_checked);
	tcase_add_test(c, a_service_account_gets_a_token);
	tcase_add_test(c, a_wrong_clock_is_made_up_for_once);
	tcase_add_test(c, a_right_clock_is_left_alone);
	tcase_add_test(c, the_machine_has_a_token);
	tcase_add_test(c, another_server_is_no_metadata_server);
	tcase_add_test(c, a_key_needs_no_token);
	tcase_add_test(c, a_bad_key_is_not_the_users_mistake);
	tcase_add_loop_test(
	    c, an_error_is_looked_at, 0, sizeof(errors) / sizeof(errors[0]));
	tcase_add_test(c, answer_fields_are_those_of_a_list);
}

int
main(void)
{
	Suite *s = suite_create("provider_google");
	TCase *c = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_set_timeout(c, 60);
	add_tests(c);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}

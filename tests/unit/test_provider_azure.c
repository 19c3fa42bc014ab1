/*
 * Azure's kind of provider: keys and tokens, and the requests beside those of
 * the official client.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/agent_conf.h"
#include "agentd/provider.h"
#include "agentd/token.h"
#include "common/buf.h"
#include "common/log.h"
#include "tests/unit/upstream_fake.h"

#define HOST "https://res.openai.azure.com"

/* ---- requests ----------------------------------------------------------- */

static struct provider_conf conf = {
    .base_url = (char[]){HOST},
    .api_key = (char[]){"secret-key"},
};

static struct provider_request request;

static bool
make(const struct provider_conf *c, const char *endpoint, const char *user)
{
	static const struct provider_field fields[] = {
	    {"openai-beta", "x=v1"}, {"x-other", "1"}};
	struct provider_call call = {
	    .endpoint = endpoint,
	    .model = "my-deployment",
	    .content_type = "application/json",
	    .api_version = user,
	    .fields = fields,
	    .nfields = 2,
	};

	provider_request_fini(&request);
	request = (struct provider_request){0};
	return (provider_azure.make(c, &call, &request));
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

START_TEST(a_request_carries_the_key_as_azure_wants_it)
{
	ck_assert(make(&conf, "chat.completions", ""));
	ck_assert_str_eq(request.method, "POST");
	ck_assert_str_eq(
	    buf_cstr(&request.url), HOST "/openai/v1/chat/completions");
	ck_assert_str_eq(request.headers[0], "api-key: secret-key");
	ck_assert(has("Content-Type: application/json"));
	ck_assert(has("openai-beta: x=v1"));
	ck_assert(!has("x-other: 1"));
	provider_request_fini(&request);
}
END_TEST

START_TEST(what_azure_has_not_is_refused)
{
	ck_assert(!make(&conf, "moderations", ""));
	ck_assert(!make(&conf, "messages", ""));
	ck_assert(!make(&conf, "", ""));
	provider_request_fini(&request);
}
END_TEST

/* What openai's own AzureOpenAI class sends, file by file. */
static const struct {
	const char *file, *endpoint, *model, *version;
} clients[] = {
    {"azure-chat-stream.http", "chat.completions", "my-deployment",
	"2024-10-21"},
    {"azure-v1-chat.http", "chat.completions", "my-deployment", ""},
    {"azure-responses.http", "responses", "my-dep", "2024-10-21"},
    {"azure-embeddings.http", "embeddings", "my-emb", "2024-10-21"},
    {"azure-audio-transcriptions.http", "audio.transcriptions", NULL,
	"2024-10-21"},
};

/* The target of a recorded request, or "" without recordings. */
static const char *
recorded(const char *file, char *out, size_t cap)
{
	char path[256], line[1024], *end;
	FILE *f;

	out[0] = '\0';
	snprintf(path, sizeof(path), "../shared/clients/%s", file);
	if ((f = fopen(path, "r")) == NULL)
		return (out);
	if (fgets(line, sizeof(line), f) != NULL &&
	    strncmp(line, "POST ", 5) == 0 &&
	    (end = strchr(line + 5, ' ')) != NULL)
		snprintf(out, cap, "%.*s", (int)(end - line - 5), line + 5);
	fclose(f);
	return (out);
}

START_TEST(the_path_is_that_of_the_official_client)
{
	char target[512], model[64] = "";
	struct provider_call call = {
	    .endpoint = clients[_i].endpoint,
	    .model = clients[_i].model,
	    .content_type = "",
	    .api_version = clients[_i].version,
	};

	if (recorded(clients[_i].file, target, sizeof(target))[0] == '\0')
		return;
	if (call.model == NULL) { /* as the file has it */
		ck_assert_int_eq(
		    sscanf(target, "/openai/deployments/%63[^/]", model), 1);
		call.model = model;
	}
	request = (struct provider_request){0};
	ck_assert(provider_azure.make(&conf, &call, &request));
	ck_assert_str_eq(buf_cstr(&request.url) + strlen(HOST), target);
	provider_request_fini(&request);
}
END_TEST

/* ---- the section -------------------------------------------------------- */

static const char *
flaw(struct provider_conf c)
{
	static char glob[] = "gpt-*";
	const char *why = "";

	c.models = (struct conf_list){{glob}, 1};
	return (provider_azure.check(&c, &why) ? "" : why);
}

#define S(text) ((char[]){text})

START_TEST(a_section_is_checked)
{
	struct provider_conf c = conf;

	ck_assert_str_eq(flaw(c), "");
	c.base_url = S(HOST "/openai/deployments/gpt-4o");
	ck_assert_str_eq(flaw(c), "");
	c.base_url = S(HOST "/openai/deployments/other");
	ck_assert_ptr_nonnull(strstr(flaw(c), "deployment"));
	c.base_url = S("ftp://x");
	ck_assert_ptr_nonnull(strstr(flaw(c), "http or https"));
	c.base_url = S(HOST "?key=1");
	ck_assert_ptr_nonnull(strstr(flaw(c), "query"));
	c.base_url = NULL;
	ck_assert_ptr_nonnull(strstr(flaw(c), "base_url is missing"));
	c = conf;
	c.api_version = S("a/b");
	ck_assert_ptr_nonnull(strstr(flaw(c), "api_version"));
	c = conf;
	c.api_key = NULL;
	ck_assert_ptr_nonnull(strstr(flaw(c), "neither"));
	c.tenant = S("t");
	ck_assert_ptr_nonnull(strstr(flaw(c), "all of"));
	c.client_id = S("i");
	ck_assert_ptr_nonnull(strstr(flaw(c), "all of"));
	c.client_secret = S("s");
	ck_assert_str_eq(flaw(c), "");
	c.authority = S("file:///x");
	ck_assert_ptr_nonnull(strstr(flaw(c), "authority"));
	c.authority = S("http://127.0.0.1:1/x/");
	ck_assert_str_eq(flaw(c), "");
	c.api_key = S("k");
	ck_assert_ptr_nonnull(strstr(flaw(c), "api_key and"));
}
END_TEST

/* ---- Entra ID ----------------------------------------------------------- */

static unsigned ready;
static struct loop *loop;

static void
on_ready(void *arg, const char *why)
{
	ck_assert_msg(why == NULL, "%s", why);
	ready++;
	loop_stop(loop);
}

static void
on_stop(void *arg)
{
	loop_stop(loop);
}

/* base URL, authority, and where the token is asked for */
static const struct {
	const char *base, *authority, *url, *scope;
} entra[] = {
    {HOST, NULL, "https://login.microsoftonline.com/my-tenant",
	"https%3A%2F%2Fcognitiveservices.azure.com%2F.default"},
    {"https://res.openai.azure.us:443/", NULL,
	"https://login.microsoftonline.us/my-tenant",
	"https%3A%2F%2Fcognitiveservices.azure.us%2F.default"},
    {"res.openai.azure.cn", NULL,
	"https://login.partner.microsoftonline.cn/my-tenant",
	"https%3A%2F%2Fcognitiveservices.azure.cn%2F.default"},
    {HOST, "http://127.0.0.1:9/login/", "http://127.0.0.1:9/login/my-tenant",
	"https%3A%2F%2Fcognitiveservices.azure.com%2F.default"},
};

START_TEST(a_token_of_entra_id_is_asked_for_and_used)
{
	struct provider_conf c = {
	    .base_url = (char *)(uintptr_t)entra[_i].base,
	    .authority = (char *)(uintptr_t)entra[_i].authority,
	    .tenant = S("my-tenant"),
	    .client_id = S("my-client"),
	    .client_secret = S("s&cret"),
	};
	struct credential_options o = {.name = "x"};
	struct credential_wait w = {.fn = on_ready};
	struct loop_timer *stop;
	char want[1024];

	log_init("test", LOG_LEVEL_ERR);
	loop = o.loop = loop_new();
	c.credential = provider_azure.credential(&c, &o);
	stop = loop_timer_new(loop, on_stop, NULL);
	loop_timer_set_ms(stop, 0);
	credential_await(c.credential, &w);
	loop_run(loop);
	snprintf(want, sizeof(want),
	    "POST %s/oauth2/v2.0/token\n"
	    "Content-Type: application/x-www-form-urlencoded\n"
	    "Accept: application/json\n"
	    "User-Agent: agentd/" VERSION "\n\n"
	    "grant_type=client_credentials&client_id=my-client"
	    "&client_secret=s%%26cret&scope=%s",
	    entra[_i].url, entra[_i].scope);
	ck_assert_str_eq(fake_text, want);
	fake_answer(200, NULL,
	    "{\"token_type\":\"Bearer\",\"expires_in\":3599,"
	    "\"ext_expires_in\":3599,\"access_token\":\"eyJ0.x-y\"}");
	ck_assert_uint_eq(ready, 1);
	ck_assert(make(&c, "chat.completions", ""));
	ck_assert_str_eq(request.headers[0], "Authorization: Bearer eyJ0.x-y");
	ck_assert(!has("api-key: "));
	provider_request_fini(&request);
	credential_free(c.credential);
	loop_timer_free(stop);
	loop_free(loop);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("provider_azure");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, a_request_carries_the_key_as_azure_wants_it);
	tcase_add_test(t, what_azure_has_not_is_refused);
	tcase_add_loop_test(t, the_path_is_that_of_the_official_client, 0,
	    sizeof(clients) / sizeof(clients[0]));
	tcase_add_test(t, a_section_is_checked);
	tcase_add_loop_test(t, a_token_of_entra_id_is_asked_for_and_used, 0,
	    sizeof(entra) / sizeof(entra[0]));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}

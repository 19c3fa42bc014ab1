/* Anthropic's kind of provider: URLs, fields, verdicts. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/agent_conf.h"
#include "agentd/provider.h"
#include "tests/unit/upstream_fake.h"

#define S(text) ((char[]){text})
#define URL	"https://api.anthropic.com/v1/messages"

static struct provider_request request;

static bool
make(const struct provider_conf *c, const char *endpoint,
    const struct provider_field *fields, size_t n)
{
	struct provider_call call = {
	    .endpoint = endpoint,
	    .dialect = "anthropic",
	    .model = "claude-x",
	    .content_type = "application/json",
	    .fields = fields,
	    .nfields = n,
	};

	provider_request_fini(&request);
	request = (struct provider_request){0};
	return (provider_anthropic.make(c, &call, &request));
}

static const struct {
	const char *base, *url; /* NULL: refused */
} urls[] = {
    {NULL, URL},
    {"https://api.anthropic.com", URL},
    {"https://api.anthropic.com/", URL},
    {"https://api.anthropic.com/v1", URL},
    {"https://api.anthropic.com/v1/", URL},
    {"api.anthropic.com", URL},
    {"HTTPS://api.anthropic.com", URL},
    {URL, URL},
    {URL "/count_tokens", URL},
    {"http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/messages"},
    {"https://gw/anthropic", "https://gw/anthropic/v1/messages"},
    {"https://gw/anthropic/v1", "https://gw/anthropic/v1/messages"},
    {"", NULL},
    {"ftp://x", NULL},
    {"https://a@x", NULL},
    {URL "?beta=true", NULL},
};

START_TEST(a_base_url_gives_one_url)
{
	struct provider_conf c = {
	    .base_url = (char *)(uintptr_t)urls[_i].base,
	    .api_key = S("k"),
	};
	const char *why;
	bool ok = provider_anthropic.check(&c, &why);

	ck_assert(ok == (urls[_i].url != NULL));
	ck_assert(make(&c, "messages", NULL, 0) == ok);
	if (ok)
		ck_assert_str_eq(buf_cstr(&request.url), urls[_i].url);
	else
		ck_assert_ptr_nonnull(strstr(why, "base_url"));
	provider_request_fini(&request);
}
END_TEST

START_TEST(a_request_carries_key_and_version)
{
	struct provider_conf c = {.api_key = S("sk-ant-api03-x")};

	ck_assert(make(&c, "messages", NULL, 0));
	ck_assert_str_eq(request.method, "POST");
	ck_assert_str_eq(request.headers[0], "x-api-key: sk-ant-api03-x");
	ck_assert_str_eq(request.headers[1], "anthropic-version: 2023-06-01");
	ck_assert_str_eq(request.headers[2], "Content-Type: application/json");
	ck_assert_str_eq(request.headers[3], "User-Agent: agentd/" VERSION);
	ck_assert_ptr_null(request.headers[4]);
	provider_request_fini(&request);
}
END_TEST

START_TEST(what_the_user_says_of_the_api_is_passed_on)
{
	static const struct provider_field fields[] = {
	    {"anthropic-beta", "a-1"},
	    {"anthropic-version", "2026-10-21"},
	    {"x-api-key", "mine"},
	    {"anthropic-beta", "b-2"},
	};
	struct provider_conf c = {.api_key = S("k")};

	ck_assert(make(&c, "messages.count_tokens", fields, 4));
	ck_assert_str_eq(buf_cstr(&request.url), URL "/count_tokens");
	ck_assert_str_eq(request.headers[0], "x-api-key: k");
	ck_assert_str_eq(request.headers[1], "anthropic-version: 2026-10-21");
	ck_assert_str_eq(request.headers[4], "anthropic-beta: a-1");
	ck_assert_str_eq(request.headers[5], "anthropic-beta: b-2");
	ck_assert_ptr_null(request.headers[6]);
	provider_request_fini(&request);
}
END_TEST

START_TEST(a_token_is_a_bearer)
{
	struct provider_conf c = {.api_key = S("sk-ant-oat01-x")};

	ck_assert(make(&c, "messages", NULL, 0));
	ck_assert_str_eq(
	    request.headers[0], "Authorization: Bearer sk-ant-oat01-x");
	provider_request_fini(&request);
}
END_TEST

START_TEST(other_endpoints_are_refused)
{
	struct provider_conf c = {.api_key = S("k")};

	ck_assert(!make(&c, "chat.completions", NULL, 0));
	ck_assert(!make(&c, "messages.batches", NULL, 0));
	ck_assert(!make(&c, "", NULL, 0));
	provider_request_fini(&request);
}
END_TEST

START_TEST(a_section_wants_a_key)
{
	struct provider_conf c = {0};
	const char *why;

	ck_assert(!provider_anthropic.check(&c, &why));
	ck_assert_str_eq(why, "api_key is missing");
	c.api_key = S("");
	ck_assert(!provider_anthropic.check(&c, &why));
}
END_TEST

static bool
kept(const char *name)
{
	return (provider_anthropic.keep_field(span_str(name)));
}

START_TEST(answer_fields_are_those_of_a_list)
{
	ck_assert(kept("Content-Type"));
	ck_assert(kept("retry-after"));
	ck_assert(kept("x-should-retry"));
	ck_assert(kept("request-id"));
	ck_assert(kept("anthropic-ratelimit-input-tokens-remaining"));
	ck_assert(!kept("anthropic-organization-id"));
	ck_assert(!kept("cf-ray"));
	ck_assert(!kept("set-cookie"));
	ck_assert(!kept("x-request-id"));
}
END_TEST

static enum provider_verdict
on_head(int status)
{
	struct provider_answer a = {.status = status};

	return (provider_anthropic.on_head(NULL, &a));
}

START_TEST(whose_a_refusal_is)
{
	ck_assert_int_eq(on_head(401), PROVIDER_REFUSED);
	ck_assert_int_eq(on_head(402), PROVIDER_REFUSED);
	ck_assert_int_eq(on_head(403), PROVIDER_REFUSED);
	ck_assert_int_eq(on_head(400), PROVIDER_PASS);
	ck_assert_int_eq(on_head(529), PROVIDER_PASS);
	ck_assert_int_eq(on_head(200), PROVIDER_PASS);
}
END_TEST

/* Recorded requests of the official client. */
static const struct {
	const char *file, *endpoint;
} clients[] = {
    {"anthropic-messages.http", "messages"},
    {"anthropic-messages-stream.http", "messages"},
    {"anthropic-beta-messages-stream.http", "messages"},
    {"anthropic-count-tokens.http", "messages.count_tokens"},
};

START_TEST(the_path_is_that_of_the_official_client)
{
	struct provider_conf c = {.api_key = S("k")};
	char path[256], line[1024] = "", target[256];
	FILE *f;

	snprintf(path, sizeof(path), "../shared/clients/%s", clients[_i].file);
	if ((f = fopen(path, "r")) == NULL)
		return;
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	fclose(f);
	ck_assert_int_eq(sscanf(line, "POST %255[^ ?]", target), 1);
	ck_assert(make(&c, clients[_i].endpoint, NULL, 0));
	ck_assert_str_eq(
	    buf_cstr(&request.url) + strlen("https://api.anthropic.com"),
	    target);
	provider_request_fini(&request);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("provider_anthropic");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(
	    t, a_base_url_gives_one_url, 0, sizeof(urls) / sizeof(urls[0]));
	tcase_add_test(t, a_request_carries_key_and_version);
	tcase_add_test(t, what_the_user_says_of_the_api_is_passed_on);
	tcase_add_test(t, a_token_is_a_bearer);
	tcase_add_test(t, other_endpoints_are_refused);
	tcase_add_test(t, a_section_wants_a_key);
	tcase_add_test(t, answer_fields_are_those_of_a_list);
	tcase_add_test(t, whose_a_refusal_is);
	tcase_add_loop_test(t, the_path_is_that_of_the_official_client, 0,
	    sizeof(clients) / sizeof(clients[0]));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}

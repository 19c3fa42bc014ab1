/* Azure's URLs: one, whatever form of base URL is pasted. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/azure_url.h"

#define HOST "https://res.openai.azure.com"
#define V1   HOST "/openai/v1/chat/completions"
#define DATED(version)                    \
	HOST "/openai/deployments/gpt-4o" \
	     "/chat/completions?api-version=" version

/* base, section's version, user's version, URL; NULL: refused */
static const struct {
	const char *base, *section, *user, *url;
} urls[] = {
    /* the v1 API, as nothing names a version */
    {HOST, NULL, NULL, V1},
    {HOST "/", NULL, NULL, V1},
    {HOST "//", NULL, NULL, V1},
    {"res.openai.azure.com", NULL, NULL, V1},
    {"res.openai.azure.com/", NULL, NULL, V1},
    {"HTTPS://res.openai.azure.com", NULL, NULL, V1},
    {HOST "/openai", NULL, NULL, V1},
    {HOST "/openai/", NULL, NULL, V1},
    {HOST "//openai//", NULL, NULL, V1},
    {HOST "/OpenAI", NULL, NULL, V1},
    {HOST "/openai/v1", NULL, NULL, V1},
    {HOST "/openai/v1/", NULL, NULL, V1},
    {HOST "/openai//v1//", NULL, NULL, V1},
    {HOST "/v1", NULL, NULL, V1},
    {HOST "/openai/v1/chat/completions", NULL, NULL, V1},
    {HOST "/openai/v1/responses", NULL, NULL, V1},
    {HOST "/openai/responses", NULL, NULL, V1},
    {HOST "/openai/deployments", NULL, NULL, V1},
    {HOST "/openai/deployments/", NULL, NULL, V1},
    {HOST "/openai/deployments/gpt-4o", NULL, NULL, V1},
    {HOST "/openai/deployments/gpt-4o/", NULL, NULL, V1},
    {HOST "/openai/deployments/gpt-4o/chat/completions", NULL, NULL, V1},
    {HOST "/openai/deployments/gpt-4o/chat/completions/", NULL, NULL, V1},
    {HOST "/openai/deployments/gpt-4o/extensions/chat/completions", NULL, NULL,
	V1},
    {HOST "/chat/completions", NULL, NULL, V1},
    {HOST "/models", NULL, NULL, V1},
    {HOST "/models/chat/completions", NULL, NULL, V1},
    {HOST "/openai/v1?api-version=2024-10-21", NULL, NULL, V1},
    {HOST, "", "", V1},
    {HOST, NULL, "v1", V1},
    /* words instead of a date */
    {HOST, "preview", NULL, V1 "?api-version=preview"},
    {HOST "/openai/v1", NULL, "preview", V1 "?api-version=preview"},
    {HOST "/openai/v1/?api-version=preview", NULL, NULL,
	V1 "?api-version=preview"},
    {HOST "/openai/v1/responses?api-version=latest", NULL, NULL,
	V1 "?api-version=latest"},
    /* the dated API: the section's version, the base URL's, the user's */
    {HOST, "2024-10-21", NULL, DATED("2024-10-21")},
    {HOST "/", "2024-10-21", NULL, DATED("2024-10-21")},
    {"res.openai.azure.com", "2024-10-21", NULL, DATED("2024-10-21")},
    {HOST "/openai", "2024-10-21", NULL, DATED("2024-10-21")},
    {HOST "/openai/", "2024-10-21", NULL, DATED("2024-10-21")},
    {HOST "/openai/v1", "2024-10-21", NULL, DATED("2024-10-21")},
    {HOST "/openai/deployments", "2024-10-21", NULL, DATED("2024-10-21")},
    {HOST "/openai/deployments/gpt-4o", "2024-10-21", NULL,
	DATED("2024-10-21")},
    {HOST "/openai/deployments/gpt-4o/", "2024-10-21", NULL,
	DATED("2024-10-21")},
    {HOST "/openai/deployments/gpt-4o/chat/completions", "2024-10-21", NULL,
	DATED("2024-10-21")},
    {HOST "/openai/deployments/gpt-4o/embeddings", "2024-10-21", NULL,
	DATED("2024-10-21")},
    {DATED("2024-10-21"), NULL, NULL, DATED("2024-10-21")},
    {DATED("2024-02-01"), "2024-10-21", NULL, DATED("2024-10-21")},
    {DATED("2024-02-01"), NULL, "2024-10-21", DATED("2024-02-01")},
    {HOST "/openai/?api-version=2024-10-21", NULL, NULL, DATED("2024-10-21")},
    {HOST "?api-version=2024-10-21", NULL, NULL, DATED("2024-10-21")},
    {HOST "/?API-Version=2024-10-21", NULL, NULL, DATED("2024-10-21")},
    {HOST "/openai/responses?api-version=2025-04-01-preview", NULL, NULL,
	DATED("2025-04-01-preview")},
    {HOST, NULL, "2024-10-21", DATED("2024-10-21")},
    {HOST, "2024-10-21", "2024-02-01", DATED("2024-10-21")},
    {HOST, "preview", "2024-02-01", V1 "?api-version=preview"},
    /* the base URL says v1; what a user's old client sends is no reason */
    {HOST "/openai/v1", NULL, "2024-10-21", V1},
    /* of a user nothing is believed */
    {HOST, NULL, "2024-10-21&x=1", V1},
    {HOST, NULL, "../../x", V1},
    {HOST, NULL, "2024-10-21-preview-preview-preview-preview", V1},
    /* other hosts and gateways */
    {"https://res.cognitiveservices.azure.com/", NULL, NULL,
	"https://res.cognitiveservices.azure.com/openai/v1/chat/completions"},
    {"https://res.services.ai.azure.com/models", NULL, NULL,
	"https://res.services.ai.azure.com/openai/v1/chat/completions"},
    {"https://res.services.ai.azure.com/api/projects/p1/openai/v1", NULL, NULL,
	"https://res.services.ai.azure.com/api/projects/p1/openai/v1"
	"/chat/completions"},
    {"https://gw.example.com/team/openai/deployments/x", "2024-10-21", NULL,
	"https://gw.example.com/team/openai/deployments/gpt-4o"
	"/chat/completions?api-version=2024-10-21"},
    {"https://gw.example.com/team/", NULL, NULL,
	"https://gw.example.com/team/openai/v1/chat/completions"},
    {"https://gw.example.com/openai/openai/v1", NULL, NULL,
	"https://gw.example.com/openai/openai/v1/chat/completions"},
    {"https://gw.example.com/openai-eu", NULL, NULL,
	"https://gw.example.com/openai-eu/openai/v1/chat/completions"},
    {"http://127.0.0.1:8000", "2024-10-21", NULL,
	"http://127.0.0.1:8000/openai/deployments/gpt-4o"
	"/chat/completions?api-version=2024-10-21"},
    {"http://[::1]:8000/openai/v1", NULL, NULL,
	"http://[::1]:8000/openai/v1/chat/completions"},
    /* no URLs, or more than we would know how to keep */
    {"", NULL, NULL, NULL},
    {"https://", NULL, NULL, NULL},
    {"https:///openai", NULL, NULL, NULL},
    {"ftp://res.openai.azure.com", NULL, NULL, NULL},
    {"https://user@res.openai.azure.com", NULL, NULL, NULL},
    {HOST "/openai#x", NULL, NULL, NULL},
    {HOST "/open ai", NULL, NULL, NULL},
    {HOST "\r\nX: y", NULL, NULL, NULL},
    {HOST "?key=1", NULL, NULL, NULL},
    {HOST "?api-version=", NULL, NULL, NULL},
    {HOST "?api-version=2024-10-21&key=1", NULL, NULL, NULL},
};

START_TEST(d08_every_base_url_gives_one_url)
{
	struct buf b = {0};
	bool ok;

	ok = azure_url(urls[_i].base, "gpt-4o", urls[_i].section, urls[_i].user,
	    "/chat/completions", true, &b);
	ck_assert_msg(ok == (urls[_i].url != NULL), "%s", urls[_i].base);
	if (ok)
		ck_assert_str_eq(buf_cstr(&b), urls[_i].url);
	buf_fini(&b);
}
END_TEST

START_TEST(d08_a_url_that_was_made_is_a_base_url_for_the_same)
{
	struct buf b = {0};

	if (urls[_i].url == NULL)
		return;
	ck_assert(azure_url(
	    urls[_i].url, "gpt-4o", NULL, NULL, "/chat/completions", true, &b));
	ck_assert_str_eq(buf_cstr(&b), urls[_i].url);
	buf_fini(&b);
}
END_TEST

/* deployment, and its segment; NULL: there is no such */
static const struct {
	const char *deployment, *segment;
} deployments[] = {
    {"gpt-4o", "gpt-4o"},
    {"My_Dep.1", "My_Dep.1"},
    {"a b", "a%20b"},
    {"a/b", "a%2Fb"},
    {"a?b#c", "a%3Fb%23c"},
    {"../x", "..%2Fx"},
    {"h\xc3\xa9", "h%C3%A9"},
    {"openai", "openai"},
    {".", NULL},
    {"..", NULL},
    {"", NULL},
};

START_TEST(a_deployment_is_one_segment)
{
	const char *segment = deployments[_i].segment;
	struct buf b = {0}, want = {0};
	bool ok;

	ok = azure_url(HOST, deployments[_i].deployment, "2024-10-21", NULL,
	    "/embeddings", true, &b);
	ck_assert(ok == (segment != NULL));
	buf_addf(&want,
	    HOST "/openai/deployments/%s/embeddings?api-version=2024-10-21",
	    segment != NULL ? segment : "");
	if (ok)
		ck_assert_str_eq(buf_cstr(&b), buf_cstr(&want));
	buf_fini(&b);
	buf_fini(&want);
}
END_TEST

START_TEST(some_endpoints_are_no_deployments)
{
	struct buf b = {0};

	ck_assert(azure_url(HOST "/openai/deployments/x", "gpt-4o",
	    "2024-10-21", NULL, "/responses", false, &b));
	ck_assert_str_eq(
	    buf_cstr(&b), HOST "/openai/responses?api-version=2024-10-21");
	buf_fini(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("azure_url");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, d08_every_base_url_gives_one_url, 0,
	    sizeof(urls) / sizeof(urls[0]));
	tcase_add_loop_test(t,
	    d08_a_url_that_was_made_is_a_base_url_for_the_same, 0,
	    sizeof(urls) / sizeof(urls[0]));
	tcase_add_loop_test(t, a_deployment_is_one_segment, 0,
	    sizeof(deployments) / sizeof(deployments[0]));
	tcase_add_test(t, some_endpoints_are_no_deployments);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}

/* OpenAI's kind of provider: every form of base URL in use gives one URL. */
#include <check.h>
#include <string.h>

#include "agentd/agent_conf.h"
#include "agentd/provider.h"
#include "agentd/provider_openai.h"
#include "common/buf.h"
#include "tests/unit/upstream_fake.h"

static const struct {
	const char *base, *url; /* NULL: refused */
} urls[] = {
    {"https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"},
    {"https://api.openai.com/v1/",
	"https://api.openai.com/v1/chat/completions"},
    {"https://api.openai.com/v1//",
	"https://api.openai.com/v1/chat/completions"},
    {"https://api.openai.com", "https://api.openai.com/v1/chat/completions"},
    {"https://api.openai.com/", "https://api.openai.com/v1/chat/completions"},
    {"api.openai.com", "https://api.openai.com/v1/chat/completions"},
    {"api.openai.com/v1", "https://api.openai.com/v1/chat/completions"},
    {"HTTPS://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"},
    {"http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/chat/completions"},
    {"http://[::1]:8000/v1", "http://[::1]:8000/v1/chat/completions"},
    {"localhost:11434", "https://localhost:11434/v1/chat/completions"},
    {"https://api.groq.com/openai/v1",
	"https://api.groq.com/openai/v1/chat/completions"},
    {"https://host/api/paas/v4", "https://host/api/paas/v4/chat/completions"},
    /* pasted whole: not appended twice (d08) */
    {"https://api.openai.com/v1/chat/completions",
	"https://api.openai.com/v1/chat/completions"},
    {"https://api.openai.com/v1/chat/completions/",
	"https://api.openai.com/v1/chat/completions"},
    {"", NULL},
    {"https://", NULL},
    {"https:///v1", NULL},
    {"ftp://host/v1", NULL},
    {"file:///etc/passwd", NULL},
    {"https://host/v1?key=1", NULL},
    {"https://host/v1#x", NULL},
    {"https://host /v1", NULL},
    {"https://host/v1\r\nX: y", NULL},
    {"https://host\\@evil/v1", NULL},
    {"https://user@host/v1", NULL},
};

START_TEST(a_base_url_gives_one_url)
{
	struct buf b = {0};
	bool ok;

	ok = provider_openai_url(urls[_i].base, "/chat/completions", &b);
	ck_assert_msg(ok == (urls[_i].url != NULL), "%s", urls[_i].base);
	if (ok)
		ck_assert_str_eq(buf_cstr(&b), urls[_i].url);
	buf_fini(&b);
}
END_TEST

static struct provider_conf conf = {
    .base_url = (char[]){"https://host/v1"},
    .api_key = (char[]){"sk-secret"},
};

START_TEST(a_request_carries_our_key_and_the_content_type)
{
	struct provider_call call = {.endpoint = "embeddings",
	    .model = "model",
	    .content_type = "application/json"};
	struct provider_request r = {0};

	ck_assert(provider_openai.make(&conf, &call, &r));
	ck_assert_str_eq(r.method, "POST");
	ck_assert_str_eq(buf_cstr(&r.url), "https://host/v1/embeddings");
	ck_assert_str_eq(r.headers[0], "Authorization: Bearer sk-secret");
	ck_assert_str_eq(r.headers[1], "Content-Type: application/json");
	ck_assert_str_eq(r.headers[2], "User-Agent: agentd/" VERSION);
	ck_assert_ptr_null(r.headers[3]);
	provider_request_fini(&r);
}
END_TEST

START_TEST(without_a_key_no_authorization_is_sent)
{
	struct provider_conf bare = {.base_url = conf.base_url};
	struct provider_call call = {.endpoint = "chat.completions",
	    .model = "model",
	    .content_type = ""};
	struct provider_request r = {0};

	ck_assert(provider_openai.make(&bare, &call, &r));
	ck_assert_str_eq(r.headers[0], "User-Agent: agentd/" VERSION);
	ck_assert_ptr_null(r.headers[1]);
	provider_request_fini(&r);
}
END_TEST

static const struct {
	const char *endpoint, *object, *after, *limit;
	const char *method, *url; /* NULL: refused */
} objects[] = {
    {"files.create", "", "", "", "POST", "https://host/v1/files"},
    {"files.content", "file-1", "", "", "GET",
	"https://host/v1/files/file-1/content"},
    {"responses.delete", "resp_1.a", "", "", "DELETE",
	"https://host/v1/responses/resp_1.a"},
    {"responses.input_items", "resp_1", "msg_1", "7", "GET",
	"https://host/v1/responses/resp_1/input_items?after=msg_1&limit=7"},
    {"responses.input_items", "resp_1", "a&b=c", "", "GET",
	"https://host/v1/responses/resp_1/input_items"},
    {"files.retrieve", "", "", "", NULL, NULL},
    {"files.retrieve", "..", "", "", NULL, NULL},
    {"files.retrieve", "a/b", "", "", NULL, NULL},
    {"files.retrieve", "a?b", "", "", NULL, NULL},
};

START_TEST(objects_are_asked_for_by_method_and_path)
{
	struct provider_call call = {.endpoint = objects[_i].endpoint,
	    .model = "",
	    .object = objects[_i].object,
	    .after = objects[_i].after,
	    .limit = objects[_i].limit,
	    .order = "",
	    .content_type = ""};
	struct provider_request r = {0};
	bool made = provider_openai.make(&conf, &call, &r);

	ck_assert_int_eq(made, objects[_i].url != NULL);
	if (made) {
		ck_assert_str_eq(r.method, objects[_i].method);
		ck_assert_str_eq(buf_cstr(&r.url), objects[_i].url);
	}
	provider_request_fini(&r);
}
END_TEST

START_TEST(an_unknown_endpoint_is_refused)
{
	static const char *const ids[] = {
	    "", "models", "/chat/completions", "chat.completions/../x"};
	struct provider_call call = {.model = "model", .content_type = ""};
	struct provider_request r = {0};
	size_t i;

	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		call.endpoint = ids[i];
		ck_assert(!provider_openai.make(&conf, &call, &r));
		provider_request_fini(&r);
	}
}
END_TEST

static bool
kept(const char *name)
{
	return (provider_openai.keep_field(span_str(name)));
}

START_TEST(answer_fields_are_those_of_a_list)
{
	ck_assert(kept("content-type"));
	ck_assert(kept("Content-Type"));
	ck_assert(kept("Retry-After"));
	ck_assert(kept("retry-after-ms"));
	ck_assert(kept("x-ratelimit-remaining-requests"));
	ck_assert(kept("openai-processing-ms"));
	ck_assert(!kept("set-cookie"));
	ck_assert(!kept("content-length"));
	ck_assert(!kept("transfer-encoding"));
	ck_assert(!kept("openai-organization"));
	ck_assert(!kept("x-request-id"));
	ck_assert(!kept("server"));
	ck_assert(!kept("content-typed"));
	ck_assert(!kept("content"));
	ck_assert(!kept(""));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("provider_openai");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(
	    t, a_base_url_gives_one_url, 0, sizeof(urls) / sizeof(urls[0]));
	tcase_add_test(t, a_request_carries_our_key_and_the_content_type);
	tcase_add_test(t, without_a_key_no_authorization_is_sent);
	tcase_add_loop_test(t, objects_are_asked_for_by_method_and_path, 0,
	    sizeof(objects) / sizeof(objects[0]));
	tcase_add_test(t, an_unknown_endpoint_is_refused);
	tcase_add_test(t, answer_fields_are_those_of_a_list);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}

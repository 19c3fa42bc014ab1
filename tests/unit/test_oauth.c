/* Answers of token servers, good and bad. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/oauth.h"
#include "tests/unit/upstream_fake.h"

#define LONG_LIFE ((int64_t)INT32_MAX * 1000)

/* token NULL: why has this */
static const struct {
	int status;
	const char *body, *token, *why;
	int64_t life_ms;
} answers[] = {
    {200,
	"{\"access_token\":\"ya29.a-b_c\",\"expires_in\":3599,"
	"\"token_type\":\"Bearer\"}",
	"ya29.a-b_c", NULL, 3599000},
    {200, "{\"access_token\":\"t\",\"expires_in\":\"120\"}", "t", NULL, 120000},
    {200, "{\"access_token\":\"t\"}", "t", NULL, 3600000},
    {200, "{\"access_token\":\"t\",\"expires_in\":0}", "t", NULL, 0},
    {200, "{\"access_token\":\"t\",\"expires_in\":9223372036854775807}", "t",
	NULL, LONG_LIFE},
    {200, "{\"access_token\":\"t\",\"expires_in\":-9}", "t", NULL, -9000},
    {200, "{\"access_token\":\"\"}", NULL, "no access_token", 0},
    {200, "{\"access_token\":\"a b\"}", NULL, "no access_token", 0},
    {200, "{\"access_token\":\"a\\r\\nX: y\"}", NULL, "no access_token", 0},
    {200, "{\"access_token\":17}", NULL, "no access_token", 0},
    {200, "{\"id_token\":\"t\"}", NULL, "no access_token", 0},
    {200, "[]", NULL, "no access_token", 0},
    {200, "<html>", NULL, "no access_token", 0},
    {200, "", NULL, "no access_token", 0},
    {400, "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT\"}",
	NULL, "answers 400: invalid_grant: Invalid JWT", 0},
    {401, "{\"error\":\"invalid_client\"}", NULL, "401: invalid_client", 0},
    {503, "<html>busy</html>", NULL, "answers 503", 0},
    {204, "{\"access_token\":\"t\"}", NULL, "answers 204", 0},
};

START_TEST(an_answer_is_read)
{
	struct token_answer a = {
	    .status = answers[_i].status, .body = span_str(answers[_i].body)};
	struct token t = {0};
	char why[TOKEN_WHY_MAX] = "";
	enum token_step step = oauth_answer(&a, &t, why);

	if (answers[_i].token != NULL) {
		ck_assert_int_eq(step, TOKEN_GOT);
		ck_assert_str_eq(buf_cstr(&t.secret), answers[_i].token);
		ck_assert_int_eq(t.life_ms, answers[_i].life_ms);
	} else {
		ck_assert_int_eq(step, TOKEN_FAILED);
		ck_assert_msg(strstr(why, answers[_i].why) != NULL, "%s", why);
	}
	buf_fini(&t.secret);
}
END_TEST

START_TEST(a_long_reason_is_cut)
{
	struct buf b = {0};
	struct token_answer a = {.status = 400};
	struct token t = {0};
	char why[TOKEN_WHY_MAX];
	size_t i;

	buf_addstr(&b, "{\"error\":\"");
	for (i = 0; i < 5000; i++)
		buf_addstr(&b, "x");
	buf_addstr(&b, "\"}");
	a.body = buf_span(&b);
	ck_assert_int_eq(oauth_answer(&a, &t, why), TOKEN_FAILED);
	ck_assert_uint_eq(strlen(why), TOKEN_WHY_MAX - 1);
	buf_fini(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("oauth");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(
	    t, an_answer_is_read, 0, sizeof(answers) / sizeof(answers[0]));
	tcase_add_test(t, a_long_reason_is_cut);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}

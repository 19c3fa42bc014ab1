/* Service account key files, and the tokens that are signed with them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/google_key.h"
#include "tests/unit/google_file.h"
#include "tests/unit/upstream_fake.h"

#define URI "https://oauth2.example.com/token"

START_TEST(an_assertion_is_signed)
{
	struct google_key *k;
	struct json *header, *claims;
	const char *why = "";
	struct buf b = {0};

	google_good_file();
	k = google_key_load(google_path, &why);
	ck_assert_msg(k != NULL, "%s", why);
	ck_assert_ptr_null(why);
	ck_assert_str_eq(google_key_token_uri(k), URI);
	ck_assert_str_eq(google_key_project(k), "key-project");
	ck_assert(google_key_assert(k, "a-scope", 1700000000, &b));
	claims = google_verify(buf_cstr(&b), &header);
	ck_assert_str_eq(json_get_str(header, "alg"), "RS256");
	ck_assert_str_eq(json_get_str(header, "kid"), "kid-1");
	ck_assert_str_eq(
	    json_get_str(claims, "iss"), "a@p.iam.gserviceaccount.com");
	ck_assert_str_eq(json_get_str(claims, "aud"), URI);
	ck_assert_str_eq(json_get_str(claims, "scope"), "a-scope");
	ck_assert_int_eq(json_get_int(claims, "iat", 0), 1700000000);
	ck_assert_int_eq(json_get_int(claims, "exp", 0), 1700003600);
	json_free(header);
	json_free(claims);
	buf_fini(&b);
	google_key_free(k);
	google_unlink();
}
END_TEST

/* Every length of base64url's last group. */
START_TEST(every_length_is_encoded)
{
	char scope[8] = "xxxxxxx";
	struct google_key *k;
	struct json *claims;
	const char *why;
	struct buf b = {0};

	scope[_i] = '\0';
	google_good_file();
	k = google_key_load(google_path, &why);
	ck_assert(google_key_assert(k, scope, 0, &b));
	ck_assert_ptr_null(strchr(buf_cstr(&b), '='));
	claims = google_verify(buf_cstr(&b), NULL);
	ck_assert_str_eq(json_get_str(claims, "scope"), scope);
	json_free(claims);
	buf_fini(&b);
	google_key_free(k);
	google_unlink();
}
END_TEST

static void
refuse(const char *words)
{
	const char *why = NULL;

	ck_assert_ptr_null(google_key_load(google_path, &why));
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, words) != NULL, "%s", why);
	google_unlink();
}

START_TEST(a_bad_file_is_told)
{
	const char *why = NULL;

	ck_assert_ptr_null(google_key_load("/nonexistent", &why));
	ck_assert_ptr_nonnull(strstr(why, "cannot be read"));
	google_write(SPAN(""));
	refuse("not JSON");
	google_write(SPAN("not JSON"));
	refuse("not JSON");
	google_write(SPAN("[1]"));
	refuse("type");
	google_file(EVP_RSA_gen(1024), "authorized_user", "a@b", URI, NULL);
	refuse("type");
	google_file(EVP_RSA_gen(1024), NULL, "a@b", URI, NULL);
	refuse("type");
	google_file(EVP_RSA_gen(1024), "service_account", NULL, URI, NULL);
	refuse("client_email");
	google_file(EVP_RSA_gen(1024), "service_account", "a@b", NULL, NULL);
	refuse("token_uri");
	google_file(
	    EVP_RSA_gen(1024), "service_account", "a@b", "file:///x", NULL);
	refuse("token_uri");
	google_file(NULL, "service_account", "a@b", URI, NULL);
	refuse("private_key");
	google_file(EVP_EC_gen("P-256"), "service_account", "a@b", URI, NULL);
	refuse("private_key");
	google_write(
	    SPAN("{\"type\":\"service_account\",\"client_email\":\"a\","
		 "\"token_uri\":\"https://h\",\"private_key\":"
		 "\"-----BEGIN PRIVATE KEY-----\\nAAAA\\n"
		 "-----END PRIVATE KEY-----\\n\"}"));
	refuse("private_key");
}
END_TEST

START_TEST(a_huge_file_is_refused)
{
	struct buf b = {0};
	size_t i;

	for (i = 0; i < 70000; i++)
		buf_addstr(&b, " ");
	google_write(buf_span(&b));
	buf_fini(&b);
	refuse("too large");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("google_key");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_assertion_is_signed);
	tcase_add_loop_test(t, every_length_is_encoded, 0, 4);
	tcase_add_test(t, a_bad_file_is_told);
	tcase_add_test(t, a_huge_file_is_refused);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}

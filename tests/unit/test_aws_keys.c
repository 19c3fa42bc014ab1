/* Where AWS keys are found, and what servers hand out. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentd/aws_keys.h"
#include "common/alloc.h"

static void
setup(void)
{
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("AWS_PROFILE");
	unsetenv("AWS_SHARED_CREDENTIALS_FILE");
	setenv("HOME", "/nonexistent", 1);
}

START_TEST(the_environment_has_both_or_none)
{
	struct aws_keys k = {0};
	const char *why = NULL;

	ck_assert_int_eq(aws_keys_of_environment(&k, &why), AWS_NONE);
	setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
	ck_assert_int_eq(aws_keys_of_environment(&k, &why), AWS_WRONG);
	setenv("AWS_SECRET_ACCESS_KEY", "", 1);
	ck_assert_int_eq(aws_keys_of_environment(&k, &why), AWS_WRONG);
	ck_assert_ptr_nonnull(strstr(why, "half"));
	setenv("AWS_SECRET_ACCESS_KEY", "se/cr+et=", 1);
	ck_assert_int_eq(aws_keys_of_environment(&k, &why), AWS_FOUND);
	ck_assert_str_eq(k.access, "AKID");
	ck_assert_str_eq(k.secret, "se/cr+et=");
	ck_assert_ptr_null(k.token);
	setenv("AWS_SESSION_TOKEN", "tok", 1);
	ck_assert_int_eq(aws_keys_of_environment(&k, &why), AWS_FOUND);
	ck_assert_str_eq(k.token, "tok");
	setenv("AWS_SESSION_TOKEN", "tok\r\nX: y", 1);
	ck_assert_int_eq(aws_keys_of_environment(&k, &why), AWS_WRONG);
	aws_keys_fini(&k);
	ck_assert_ptr_null(k.access);
}
END_TEST

static const char file[] =
    "# of many\n"
    "[other]\n"
    "aws_access_key_id = OTHER\n"
    "aws_secret_access_key = other-secret\n"
    "\n"
    "[ default ]\r\n"
    "  aws_access_key_id=AKID\r\n"
    "aws_secret_access_key = sec#ret ; with a comment\r\n"
    ";aws_session_token = none\n"
    "[half]\n"
    "aws_access_key_id = HALF\n"
    "[temporary]\n"
    "AWS_ACCESS_KEY_ID = TEMP\n"
    "aws_secret_access_key = temp-secret\n"
    "aws_session_token = temp==\n"
    "[bare]\n"
    "region = eu-west-1\n"
    "[blank]\n"
    "aws_access_key_id = A B\n"
    "aws_secret_access_key = x";

START_TEST(a_profile_is_found_in_the_file)
{
	static const struct {
		const char *profile, *access, *secret, *token;
		enum aws_found found;
	} t[] = {
	    {"default", "AKID", "sec#ret", NULL, AWS_FOUND},
	    {"other", "OTHER", "other-secret", NULL, AWS_FOUND},
	    {"temporary", "TEMP", "temp-secret", "temp==", AWS_FOUND},
	    {"half", NULL, NULL, NULL, AWS_WRONG},
	    {"blank", NULL, NULL, NULL, AWS_WRONG},
	    {"bare", NULL, NULL, NULL, AWS_NONE},
	    {"none", NULL, NULL, NULL, AWS_NONE},
	};
	struct aws_keys k = {0};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		ck_assert_msg(aws_keys_parse(&k, span_str(file),
				  t[i].profile) == t[i].found,
		    "%s", t[i].profile);
		if (t[i].found != AWS_FOUND)
			continue;
		ck_assert_str_eq(k.access, t[i].access);
		ck_assert_str_eq(k.secret, t[i].secret);
		ck_assert_pstr_eq(k.token, t[i].token);
	}
	aws_keys_fini(&k);
}
END_TEST

static char *
write_file(const char *folder, const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(file, f);
	fclose(f);
	return (path);
}

START_TEST(the_file_is_at_home_or_where_it_is_named)
{
	char folder[] = "/tmp/aws_keys.XXXXXX", *aws, *path, *named;
	struct aws_keys k = {0};
	const char *why = NULL;

	ck_assert_int_eq(aws_keys_of_profile(&k, &why), AWS_NONE);
	setenv("AWS_PROFILE", "temporary", 1);
	ck_assert_int_eq(aws_keys_of_profile(&k, &why), AWS_WRONG);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	setenv("HOME", folder, 1);
	aws = xasprintf("%s/.aws", folder);
	ck_assert_int_eq(mkdir(aws, 0700), 0);
	path = write_file(aws, "credentials");
	ck_assert_int_eq(aws_keys_of_profile(&k, &why), AWS_FOUND);
	ck_assert_str_eq(k.access, "TEMP");
	unsetenv("AWS_PROFILE");
	ck_assert_int_eq(aws_keys_of_profile(&k, &why), AWS_FOUND);
	ck_assert_str_eq(k.access, "AKID");
	named = write_file(folder, "keys");
	setenv("AWS_SHARED_CREDENTIALS_FILE", named, 1);
	unlink(path);
	setenv("AWS_PROFILE", "other", 1);
	ck_assert_int_eq(aws_keys_of_profile(&k, &why), AWS_FOUND);
	ck_assert_str_eq(k.access, "OTHER");
	setenv("AWS_PROFILE", "half", 1);
	ck_assert_int_eq(aws_keys_of_profile(&k, &why), AWS_WRONG);
	ck_assert_ptr_nonnull(strstr(why, "whole pair"));
	setenv("AWS_PROFILE", "nobody", 1);
	ck_assert_int_eq(aws_keys_of_profile(&k, &why), AWS_WRONG);
	ck_assert_ptr_nonnull(strstr(why, "AWS_PROFILE"));
	unlink(named);
	rmdir(aws);
	rmdir(folder);
	free(aws);
	free(path);
	free(named);
	aws_keys_fini(&k);
}
END_TEST

#define NOON INT64_C(1795867200000) /* 2026-11-28T12:00:00Z */

START_TEST(an_answer_has_keys_and_their_end)
{
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{\"Code\":\"Failed\"}",
	    "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\"}",
	    "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
	    "\"Expiration\":\"tomorrow\"}",
	    "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
	    "\"Expiration\":\"2026-11-28T18:00:00+01:00\"}",
	    "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":7,\"Token\":\"T\","
	    "\"Expiration\":\"2026-11-28T18:00:00Z\"}",
	    "{\"AccessKeyId\":\"A\\n\",\"SecretAccessKey\":\"S\","
	    "\"Token\":\"T\",\"Expiration\":\"2026-11-28T18:00:00Z\"}",
	};
	struct aws_keys k = {0};
	int64_t life = 0;
	size_t i;

	ck_assert(aws_keys_answer(&k,
	    SPAN("{\"Code\":\"Success\",\"AccessKeyId\":\"A\","
		 "\"SecretAccessKey\":\"S\",\"Token\":\"T\","
		 "\"Expiration\":\"2026-11-28T18:00:00Z\"}"),
	    NOON, &life));
	ck_assert_str_eq(k.access, "A");
	ck_assert_str_eq(k.secret, "S");
	ck_assert_str_eq(k.token, "T");
	ck_assert_int_eq(life, 6 * 3600000);
	ck_assert(aws_keys_answer(&k,
	    SPAN("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\","
		 "\"Token\":\"T\",\"Expiration\":\"2026-11-28T11:00:00.5Z\"}"),
	    NOON, &life));
	ck_assert_int_eq(life, -3600000);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(
		    !aws_keys_answer(&k, span_str(bad[i]), NOON, &life), "%s",
		    bad[i]);
	aws_keys_fini(&k);
}
END_TEST

START_TEST(what_was_packed_is_unpacked)
{
	struct aws_keys k = {0};
	struct buf b = {0};

	aws_keys_set(&k, SPAN("A"), SPAN("S"), SPAN("T"));
	aws_keys_pack(&k, &b);
	ck_assert(aws_keys_unpack(&k, buf_span(&b)));
	ck_assert_str_eq(k.access, "A");
	ck_assert_str_eq(k.secret, "S");
	ck_assert_str_eq(k.token, "T");
	aws_keys_set(&k, SPAN("A"), SPAN("S"), SPAN(""));
	buf_reset(&b, 256);
	aws_keys_pack(&k, &b);
	ck_assert(aws_keys_unpack(&k, buf_span(&b)));
	ck_assert_ptr_null(k.token);
	ck_assert(!aws_keys_unpack(&k, SPAN("A\n")));
	ck_assert(!aws_keys_unpack(&k, SPAN("")));
	aws_keys_fini(&k);
	buf_fini(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("aws_keys");
	TCase *t = tcase_create("aws_keys");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, the_environment_has_both_or_none);
	tcase_add_test(t, a_profile_is_found_in_the_file);
	tcase_add_test(t, the_file_is_at_home_or_where_it_is_named);
	tcase_add_test(t, an_answer_has_keys_and_their_end);
	tcase_add_test(t, what_was_packed_is_unpacked);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed > 0);
}

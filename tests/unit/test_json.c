/* JSON trees and the JSON writer. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"

static struct json *
parse(const char *text)
{
	char error[200];

	return (json_parse(span_str(text), error, sizeof(error)));
}

static void
expect_error(struct span text, const char *part)
{
	char error[200] = "";

	ck_assert_ptr_null(json_parse(text, error, sizeof(error)));
	ck_assert_msg(strstr(error, part) != NULL, "%s", error);
	ck_assert_ptr_null(json_parse(text, NULL, 0));
}

START_TEST(a_tree_keeps_order_and_number_text)
{
	struct json *j = parse("{\"b\":0.00000015,\"a\":[1,\"x\\u00e9\",null],"
			       "\"t\":true,\"i\":-9223372036854775808}");

	ck_assert_ptr_nonnull(j);
	ck_assert_str_eq(j->first->key, "b");
	ck_assert_str_eq(json_get(j, "b")->text, "0.00000015");
	ck_assert_int_eq(json_get(j, "a")->type, JSON_ARRAY);
	ck_assert_str_eq(json_get(j, "a")->first->next->text, "x\xc3\xa9");
	ck_assert_int_eq(json_get(j, "a")->first->next->next->type, JSON_NULL);
	ck_assert(json_get_bool(j, "t", false));
	ck_assert(json_get_bool(j, "none", true));
	ck_assert_int_eq(json_get_int(j, "i", 0), INT64_MIN);
	ck_assert_int_eq(json_get_int(j, "b", 7), 7);
	ck_assert_ptr_null(json_get(NULL, "b"));
	ck_assert_ptr_null(json_get_str(j, "b"));
	json_free(j);
	json_free(NULL);
}
END_TEST

START_TEST(errors_name_line_and_reason)
{
	expect_error(SPAN(""), "line 1");
	expect_error(SPAN("{\n\"a\":1,\n}"), "line 3");
	expect_error(SPAN("{\"a\":1,\n\"a\":2}"), "\"a\" twice");
	expect_error(SPAN("{\"x\":{\"\\u0061\":1,\"a\":2}}"), "twice");
	expect_error(SPAN("[\"\\u0000\"]"), "U+0000");
	expect_error(SPAN("{\"k\\u0000\":1}"), "U+0000");
	expect_error(SPAN("[1] 2"), "line 1");
	expect_error(SPAN("[1"), "line 1");
	expect_error(SPAN("[01]"), "line 1");
	expect_error(SPAN("// c\n1"), "line 1");
	expect_error(SPAN("[\"\xff\"]"), "line 1");
	expect_error(SPAN("[\"\x01\"]"), "line 1");
	expect_error(SPAN("[1,\f2]"), "RFC 8259");
	expect_error(SPAN("6 \"l"), "RFC 8259");
	expect_error(SPAN("[\"\\ud83d\"]"), "RFC 8259");
}
END_TEST

START_TEST(depth_is_bounded)
{
	char doc[131];
	struct json *j;

	memset(doc, '[', 64);
	memset(doc + 64, ']', 64);
	j = json_parse(span_of(doc, 128), NULL, 0);
	ck_assert_ptr_nonnull(j);
	json_free(j);
	memset(doc, '[', 65);
	memset(doc + 65, ']', 65);
	expect_error(span_of(doc, 130), "deeper");
}
END_TEST

START_TEST(the_writer_puts_commas_and_escapes)
{
	struct buf b = {0};
	struct jout o;

	jout_init(&o, &b);
	jout_begin_object(&o);
	jout_kstr(&o, "s", "a\"\\\n\x01\xc3\xa9");
	jout_kstr(&o, "none", NULL);
	jout_kint(&o, "i", -5);
	jout_kuint(&o, "u", UINT64_MAX);
	jout_kbool(&o, "t", true);
	jout_key(&o, "a");
	jout_begin_array(&o);
	jout_begin_array(&o);
	jout_end_array(&o);
	jout_raw(&o, "1.5");
	jout_null(&o);
	jout_begin_object(&o);
	jout_end_object(&o);
	jout_span(&o, SPAN("\xff-\xed\xa0\x80"));
	jout_end_array(&o);
	jout_end_object(&o);
	ck_assert_str_eq(buf_cstr(&b),
	    "{\"s\":\"a\\\"\\\\\\n\\u0001\xc3\xa9\",\"none\":null,\"i\":-5,"
	    "\"u\":18446744073709551615,\"t\":true,\"a\":[[],1.5,null,{},"
	    "\"\xef\xbf\xbd-\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"]}");
	buf_fini(&b);
}
END_TEST

START_TEST(what_a_terminal_would_obey_is_escaped)
{
	const char *obeyed = "\x7f \xc2\x80 \xc2\x9b"
			     "2J \xe2\x80\xa8\xe2\x80\xa9 "
			     "\xe2\x80\xae \xd8\x9c";
	struct buf b = {0};
	struct json *j;

	json_quote(&b, span_str(obeyed));
	ck_assert_str_eq(buf_cstr(&b),
	    "\"\\u007f \\u0080 \\u009b2J \\u2028\\u2029 \\u202e \\u061c\"");
	j = json_parse(buf_span(&b), NULL, 0);
	ck_assert_str_eq(j->text, obeyed);
	json_free(j);
	buf_reset(&b, SIZE_MAX);
	json_quote(&b, span_str("\xc2\xa0 \xe2\x82\xac \xf0\x9f\x98\x80"));
	ck_assert_str_eq(
	    buf_cstr(&b), "\"\xc2\xa0 \xe2\x82\xac \xf0\x9f\x98\x80\"");
	buf_fini(&b);
}
END_TEST

START_TEST(what_is_quoted_parses_back)
{
	struct buf b = {0};
	struct json *j;
	char text[256];
	int c;

	for (c = 1; c < 128; c++)
		text[c - 1] = (char)c;
	text[127] = '\0';
	json_quote(&b, span_str(text));
	j = json_parse(buf_span(&b), NULL, 0);
	ck_assert_ptr_nonnull(j);
	ck_assert_str_eq(j->text, text);
	json_free(j);
	buf_fini(&b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("json");
	TCase *tc = tcase_create("json");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, a_tree_keeps_order_and_number_text);
	tcase_add_test(tc, errors_name_line_and_reason);
	tcase_add_test(tc, depth_is_bounded);
	tcase_add_test(tc, the_writer_puts_commas_and_escapes);
	tcase_add_test(tc, what_a_terminal_would_obey_is_escaped);
	tcase_add_test(tc, what_is_quoted_parses_back);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

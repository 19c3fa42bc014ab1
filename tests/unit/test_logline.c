/* Lines of logs: whatever a value holds, it stays one field of one line. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/logline.h"
#include "common/plain.h"

static struct buf out;

static const char *
line(enum logline_format format, struct span value)
{
	struct logline l;

	buf_reset(&out, 0);
	logline_begin(&l, &out, format, 1700000000123, "test");
	logline_str(&l, "v", value);
	logline_end(&l);
	return (buf_cstr(&out));
}

static const char *
logfmt(struct span value)
{
	static const char head[] = "time=2023-11-14T22:13:20.123Z event=test ";
	const char *text = line(LOGLINE_LOGFMT, value);

	ck_assert_int_eq(strncmp(text, head, sizeof(head) - 1), 0);
	return (text + sizeof(head) - 1);
}

START_TEST(plain_values_stand_bare)
{
	ck_assert_str_eq(logfmt(SPAN("gpt-4o")), "v=gpt-4o\n");
	ck_assert_str_eq(logfmt(SPAN("/v1/a%20b")), "v=/v1/a%20b\n");
	ck_assert_str_eq(logfmt(SPAN("")), "v=\"\"\n");
	ck_assert_str_eq(logfmt(SPAN("a b")), "v=\"a b\"\n");
	ck_assert_str_eq(logfmt(SPAN("a=b")), "v=\"a=b\"\n");
	ck_assert_str_eq(
	    logfmt(SPAN("gr\xc3\xbc\xc3\x9f")), "v=\"gr\xc3\xbc\xc3\x9f\"\n");
}
END_TEST

/* Whatever the length, the place and the byte. */
START_TEST(plain_text_ends_at_the_first_byte_that_is_not)
{
	char text[20], *end;
	unsigned wrong = 0;

	ck_assert_ptr_eq(plain_run(text, text), text);
	for (end = text + 1; end <= text + sizeof(text); end++) {
		for (char *at = text; at < end; at++) {
			for (int c = 0; c < 256; c++) {
				bool plain = c >= 0x20 && c < 0x7f &&
					     c != '"' && c != '\\';

				memset(text, '~', sizeof(text));
				*at = (char)c;
				wrong +=
				    plain_run(text, end) != (plain ? end : at);
			}
		}
	}
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(d11_nothing_ends_its_field_or_line)
{
	ck_assert_str_eq(logfmt(SPAN("a\nb")), "v=\"a\\u000ab\"\n");
	ck_assert_str_eq(logfmt(SPAN("a\rb")), "v=\"a\\u000db\"\n");
	ck_assert_str_eq(logfmt(SPAN("a\" b=\"")), "v=\"a\\\" b=\\\"\"\n");
	ck_assert_str_eq(logfmt(SPAN("a\\")), "v=\"a\\\\\"\n");
	ck_assert_str_eq(logfmt(span_of("a\0b", 3)), "v=\"a\\u0000b\"\n");
}
END_TEST

START_TEST(d11_nothing_moves_a_terminal)
{
	ck_assert_str_eq(logfmt(SPAN("\x1b[2J")), "v=\"\\u001b[2J\"\n");
	ck_assert_str_eq(logfmt(SPAN("\x7f")), "v=\"\\u007f\"\n");
	/* CSI as one character, line separator, right-to-left override */
	ck_assert_str_eq(logfmt(SPAN("\xc2\x9b")), "v=\"\\u009b\"\n");
	ck_assert_str_eq(logfmt(SPAN("\xe2\x80\xa8")), "v=\"\\u2028\"\n");
	ck_assert_str_eq(logfmt(SPAN("\xe2\x80\xae")), "v=\"\\u202e\"\n");
	ck_assert_str_eq(logfmt(SPAN("\xe2\x81\xa6")), "v=\"\\u2066\"\n");
}
END_TEST

START_TEST(d11_what_is_no_utf8_is_replaced)
{
	static const struct span bad[] = {SPAN("\x80"), SPAN("\xc0\xaf"),
	    SPAN("\xed\xa0\x80"), SPAN("\xf5\x80\x80\x80"), SPAN("\xe2\x80")};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *text = logfmt(bad[i]);

		ck_assert_int_eq(strncmp(text, "v=\"\\ufffd", 9), 0);
		for (; *text != '\n'; text++)
			ck_assert_int_gt(*text, 0x1f);
	}
}
END_TEST

/* Every byte, alone and between others, comes back from a JSON parser. */
START_TEST(d11_json_stays_one_document)
{
	char value[4] = "a?b", error[64];
	struct json *doc;

	for (int c = 1; c < 128; c++) {
		value[1] = (char)c;
		doc =
		    json_parse(span_str(line(LOGLINE_JSON, span_of(value, 3))),
			error, sizeof(error));
		ck_assert_ptr_nonnull(doc);
		ck_assert_str_eq(json_get_str(doc, "v"), value);
		json_free(doc);
		ck_assert_ptr_eq(strchr(buf_ptr(&out), '\n'),
		    buf_ptr(&out) + buf_len(&out) - 1);
	}
}
END_TEST

START_TEST(long_values_are_cut)
{
	char value[5000];

	memset(value, '\x1b', sizeof(value));
	line(LOGLINE_JSON, span_of(value, sizeof(value)));
	ck_assert_uint_lt(buf_len(&out), LOGLINE_VALUE_MAX + 100);
	ck_assert_ptr_nonnull(strstr(buf_ptr(&out), "...\"}\n"));
	memset(value, 'a', sizeof(value));
	line(LOGLINE_LOGFMT, span_of(value, sizeof(value)));
	ck_assert_uint_lt(buf_len(&out), LOGLINE_VALUE_MAX + 100);
}
END_TEST

static const char *
all_types(enum logline_format format)
{
	struct logline l;

	buf_reset(&out, 0);
	logline_begin(&l, &out, format, 0, "e");
	logline_open(&l, "usage");
	logline_uint(&l, "input", 3);
	logline_uint(&l, "output", 4);
	logline_close(&l);
	logline_bool(&l, "b", true);
	logline_ms(&l, "ms", 1002);
	logline_end(&l);
	return (buf_cstr(&out));
}

START_TEST(types_and_groups)
{
	ck_assert_str_eq(all_types(LOGLINE_LOGFMT),
	    "time=1970-01-01T00:00:00.000Z event=e usage.input=3 "
	    "usage.output=4 b=true ms=1.002\n");
	ck_assert_str_eq(all_types(LOGLINE_JSON),
	    "{\"time\":\"1970-01-01T00:00:00.000Z\",\"event\":\"e\","
	    "\"usage\":{\"input\":3,\"output\":4},\"b\":true,"
	    "\"ms\":1.002}\n");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("logline");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, plain_values_stand_bare);
	tcase_add_test(tc, plain_text_ends_at_the_first_byte_that_is_not);
	tcase_add_test(tc, d11_nothing_ends_its_field_or_line);
	tcase_add_test(tc, d11_nothing_moves_a_terminal);
	tcase_add_test(tc, d11_what_is_no_utf8_is_replaced);
	tcase_add_test(tc, d11_json_stays_one_document);
	tcase_add_test(tc, long_values_are_cut);
	tcase_add_test(tc, types_and_groups);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed != 0);
}

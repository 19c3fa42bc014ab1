/*
 * What hubctl prints: each golden/NAME.json shown by its command must be
 * golden/NAME.txt, to the byte. GOLDEN=write writes the texts anew; then
 * read the difference.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hubd/ctl/out.h"
#include "hubd/ctl/table.h"

#define GOLDEN "tests/unit/golden/"

static const struct {
	const char *command, *name;
} cases[] = {
    {"show status", "status"},
    {"show status", "status_bad"},
    {"show workers", "workers"},
    {"show agents", "agents"},
    {"show models", "models"},
    {"show calls", "calls"},
    {"show calls", "calls_none"},
    {"show limits", "limits"},
    {"show accounts", "accounts"},
    {"show keys", "keys"},
    {"show prices", "prices"},
    {"show prices", "price"},
    {"show ledger", "ledger"},
    {"show suspense", "suspense"},
    {"show suspense", "suspense_none"},
    {"show usage", "usage"},
    {"show usage", "usage_none"},
    {"explain", "explain"},
    {"show routes", "routes"},
    {"agent drain", "agent_drain"},
    {"key add", "key_add"},
    {"account credit", "done"},
    {"audit", "audit"},
    {"store check", "check"},
};

static bool
read_file(const char *name, const char *suffix, struct buf *out)
{
	char path[200];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), GOLDEN "%s.%s", name, suffix);
	if ((f = fopen(path, "r")) == NULL)
		return (false);
	while ((n = fread(buf_reserve(out, 4096), 1, 4096, f)) > 0)
		buf_commit(out, n);
	fclose(f);
	return (true);
}

static void
write_file(const char *name, const struct buf *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), GOLDEN "%s.txt", name);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	fwrite(buf_ptr(text), 1, buf_len(text), f);
	fclose(f);
}

static struct json *
document(const char *name, struct buf *source)
{
	struct json *data;
	char error[200];

	ck_assert_msg(read_file(name, "json", source), "%s", name);
	data = json_parse(buf_span(source), error, sizeof(error));
	ck_assert_msg(data != NULL, "%s: %s", name, error);
	return (data);
}

START_TEST(text_is_golden)
{
	struct buf source = {0}, text = {0}, golden = {0};
	const char *name = cases[_i].name;
	struct json *data = document(name, &source);

	out_text.show(&text, ctl_command_find(cases[_i].command), data);
	if (getenv("GOLDEN") != NULL)
		write_file(name, &text);
	ck_assert_msg(read_file(name, "txt", &golden), "%s.txt", name);
	ck_assert_msg(strcmp(buf_cstr(&golden), buf_cstr(&text)) == 0,
	    "%s: expected\n%sgot\n%s", name, buf_cstr(&golden),
	    buf_cstr(&text));
	json_free(data);
	buf_fini(&source);
	buf_fini(&text);
	buf_fini(&golden);
}
END_TEST

START_TEST(no_line_is_wider_than_80_columns)
{
	struct buf source = {0}, text = {0};
	struct json *data = document(cases[_i].name, &source);
	char *line, *rest;

	out_text.show(&text, ctl_command_find(cases[_i].command), data);
	rest = buf_cstr(&text);
	while ((line = strsep(&rest, "\n")) != NULL)
		ck_assert_msg(strlen(line) <= TABLE_WIDTH, "%s", line);
	json_free(data);
	buf_fini(&source);
	buf_fini(&text);
}
END_TEST

START_TEST(json_is_what_the_hub_said)
{
	struct buf source = {0}, text = {0};
	struct json *data = document(cases[_i].name, &source);
	char *s, *end;

	/* golden documents are written as one line, without blanks */
	out_json.show(&text, ctl_command_find(cases[_i].command), data);
	s = buf_cstr(&source);
	end = buf_cstr(&text);
	ck_assert_str_eq(s, end);
	json_free(data);
	buf_fini(&source);
	buf_fini(&text);
}
END_TEST

START_TEST(nothing_from_outside_reaches_the_terminal_raw)
{
	static const char hostile[] =
	    "{\"agents\":[{\"name\":\"a\\u001b[2Jb\\nc\"},"
	    "{\"name\":\"\\u009b2J\"},{\"name\":\"\\u202ex\"},"
	    "{\"name\":\"\\u061cx\"},"
	    "{\"name\":\"\\u00fc\\u6f22\"}]}";
	struct buf text = {0};
	struct json *data = json_parse(SPAN(hostile), NULL, 0);

	out_text.show(&text, ctl_command_find("show agents"), data);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&text), "a\\x1b[2Jb\\x0ac"));
	ck_assert_ptr_null(strchr(buf_cstr(&text), '\033'));
	/* CSI in 8 bits, and what turns the writing around */
	ck_assert_ptr_nonnull(strstr(buf_cstr(&text), "\\xc2\\x9b2J"));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&text), "\\xe2\\x80\\xaex"));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&text), "\\xd8\\x9cx"));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&text), "\xc3\xbc\xe6\xbc\xa2"));
	json_free(data);
	buf_fini(&text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("out");
	TCase *tc = tcase_create("out");
	SRunner *runner = srunner_create(suite);
	int n = sizeof(cases) / sizeof(cases[0]), failed;

	tcase_add_loop_test(tc, text_is_golden, 0, n);
	tcase_add_loop_test(tc, no_line_is_wider_than_80_columns, 0, n);
	tcase_add_loop_test(tc, json_is_what_the_hub_said, 0, n);
	tcase_add_test(tc, nothing_from_outside_reaches_the_terminal_raw);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

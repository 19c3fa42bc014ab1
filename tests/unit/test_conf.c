/* Configuration files: what is taken, and every leniency that is not. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"

struct part {
	char *name;
	uint32_t weight;
	char *secret;
	struct conf_list models;
};

struct sample {
	char *text, *empty;
	struct conf_list list;
	uint32_t n, mode;
	uint64_t size;
	int64_t time, header;
	bool flag, flag_set;
	struct part *parts;
	size_t nparts;
};

static const char *const modes[] = {"one", "two", NULL};

static const char *
no_blanks(const char *value)
{
	return (strchr(value, ' ') != NULL ? "must not hold blanks" : NULL);
}

#define AT(field) .offset = offsetof(struct sample, field)
static const struct conf_option options[] = {
    {"text", CONF_STR, AT(text), .def = "dflt", .check = no_blanks},
    {"empty", CONF_STR, AT(empty)},
    {"list", CONF_LIST, AT(list), .def = "a,b"},
    {"n", CONF_INT, AT(n), .def = "7", .min = 1, .max = 100},
    {"mode", CONF_ENUM, AT(mode), .def = "one", .words = modes},
    {"size", CONF_SIZE, AT(size), .def = "1k"},
    {"time", CONF_TIME, AT(time), .def = "5"},
    {"flag", CONF_BOOL, AT(flag), .def = "false",
	.set_offset = offsetof(struct sample, flag_set)},
};
static const struct conf_option timeouts[] = {
    {"header", CONF_TIME, AT(header), .def = "5s"},
};
#undef AT
#define AT(field) .offset = offsetof(struct part, field)
static const struct conf_option part_options[] = {
    {"weight", CONF_INT, AT(weight), .def = "1"},
    {"secret", CONF_STR, AT(secret), .flags = CONF_REQUIRED | CONF_NONEMPTY,
	.check = no_blanks},
    {"models", CONF_LIST, AT(models), .flags = CONF_NONEMPTY},
};
static const struct conf_section sections[] = {
    {"timeout", timeouts, 1, .titled = false},
    {"part", part_options, 3, .titled = true, .size = sizeof(struct part),
	.array_offset = offsetof(struct sample, parts),
	.count_offset = offsetof(struct sample, nparts),
	.title_offset = offsetof(struct part, name)},
};
static const struct conf_schema schema = {options, 8, sections, 2};

static struct sample got;
static char error[256];

static int
parse(const char *text)
{
	return (conf_parse(
	    &schema, "f", span_str(text), &got, error, sizeof(error)));
}

static void
take(const char *text)
{
	int rc = parse(text);

	ck_assert_msg(rc == 0, "%s", error);
}

static void
done(void)
{
	struct sample zero = {0};

	conf_free(&schema, &got);
	got.flag_set = false;
	ck_assert_mem_eq(&got, &zero, sizeof(got));
}

START_TEST(defaults_hold_without_a_word)
{
	take("");
	ck_assert_str_eq(got.text, "dflt");
	ck_assert_ptr_null(got.empty);
	ck_assert_uint_eq(got.list.n, 2);
	ck_assert_str_eq(got.list.item[1], "b");
	ck_assert_uint_eq(got.n, 7);
	ck_assert_uint_eq(got.size, 1024);
	ck_assert_int_eq(got.time, 5000);
	ck_assert_int_eq(got.header, 5000);
	ck_assert(!got.flag_set);
	ck_assert_uint_eq(got.nparts, 0);
	done();
}
END_TEST

START_TEST(everything_can_be_said)
{
	setenv("HUB_T", "v\"\\$x", 1);
	setenv("HUB_EMPTY", "", 1);
	take("# comment \" {\n"
	     "text = ${HUB_T} # why\n"
	     "empty = \"${HUB_UNSET:-}\"\nlist = {\"x\",y,\n"
	     "'${z}' , \"${HUB_EMPTY:-q}${HUB_EMPTY}#\"}\n"
	     "n=100 mode = two\nsize = 3m\ntime = 250ms flag = yes\n"
	     "timeout {\n\theader = 2h\n}\n"
	     "part \"one\" { secret = s weight = 3 models = {\"m-*\", o} }\n"
	     "part two { secret = \"t\" }\n");
	ck_assert_str_eq(got.text, "v\"\\$x");
	ck_assert_str_eq(got.empty, "");
	ck_assert_uint_eq(got.list.n, 4);
	ck_assert_str_eq(got.list.item[2], "${z}");
	ck_assert_str_eq(got.list.item[3], "q#");
	ck_assert_uint_eq(got.n, 100);
	ck_assert_uint_eq(got.mode, 1);
	ck_assert_uint_eq(got.size, 3 << 20);
	ck_assert_int_eq(got.time, 250);
	ck_assert(got.flag && got.flag_set);
	ck_assert_int_eq(got.header, 7200000);
	ck_assert_uint_eq(got.nparts, 2);
	ck_assert_str_eq(got.parts[0].name, "one");
	ck_assert_uint_eq(got.parts[0].weight, 3);
	ck_assert_uint_eq(got.parts[0].models.n, 2);
	ck_assert_str_eq(got.parts[1].name, "two");
	ck_assert_uint_eq(got.parts[1].weight, 1);
	done();
}
END_TEST

START_TEST(an_empty_list_is_empty_and_one_value_is_a_list)
{
	take("list = {}");
	ck_assert_uint_eq(got.list.n, 0);
	done();
	take("list = \"x,y\"");
	ck_assert_uint_eq(got.list.n, 1);
	done();
}
END_TEST

static const struct {
	const char *text, *says;
} bad[] = {
    {"\nunknown = 1", "f:2: no such option 'unknown'"},
    {"n = 1\n\nn = 2", "f:3: n was given before, in line 1"},
    {"list = {a}\nlist = {b}", "f:2: list was given before, in line 1"},
    {"list = {}\nlist = {}", "f:2: list was given before, in line 1"},
    {"list += {b}", "f:1: \"+=\""},
    {"timeout {\nheader = 1\nheader = 2\n}",
	"f:3: header was given before, in line 2"},
    {"timeout {}\ntimeout {}", "f:2: timeout was given before"},
    {"part a { secret = x }\npart a { secret = x }", "f:2: found duplicate"},
    {"timeout {\nheader = 1\n", "f:3: a section without"},
    {"list = {a,\nb", "f:2: a list without"},
    {"\ntext = ${HUB_UNSET}", "f:2: variable HUB_UNSET is not set"},
    {"\ntext = \"a${HUB_UNSET}\"", "f:2: variable HUB_UNSET is not set"},
    {"text = ${HUB UNSET}", "f:1: bad name"},
    {"text = \"${HUB", "f:1: \"${\" without"},
    {"text = $X", "f:1: \"$\" outside"},
    {"\nn = 010", "f:2: n: a number must not begin with 0"},
    {"n = 0x10", "f:1: n: a plain number was expected"},
    {"n = -1", "f:1: n: a number was expected"},
    {"n = 0", "f:1: n: must be from 1 to 100"},
    {"n = 101", "f:1: n: must be from 1 to 100"},
    {"n = 99999999999999999999", "f:1: n: the number is too large"},
    {"n = \"\"", "f:1: n: a number was expected"},
    {"time = 40000d", "f:1: time: must be from 0 to 36525d"},
    {"n = 5k", "f:1: n: a plain number"},
    {"size = 10x", "f:1: size: bad unit"},
    {"size = 10M", "f:1: size: bad unit"},
    {"size = 18446744073709551615g", "f:1: size: must be at least 0"},
    {"time = 5 parsecs", "f:1: \"=\" was expected"},
    {"time = 5y", "f:1: time: bad unit"},
    {"time = 1.5s", "f:1: time: bad unit"},
    {"flag = maybe", "f:1: flag: true or false"},
    {"flag = 1", "f:1: flag: true or false"},
    {"mode = three", "f:1: mode: must be one of: one two"},
    {"text = \"a b\"", "f:1: text: must not hold blanks"},
    {"text = {a}", "f:1: unexpected token"},
    {"text", "f:1: \"=\" was expected"},
    {"text =", "f:1: a value was expected"},
    {"text = a b", "f:1: \"=\" was expected"},
    {"text 'x", "f:1: string without an end"},
    {"text = \"x\ny\"", "f:1: string without an end"},
    {"text = \"\\101\"", "f:1: unknown escape"},
    {"\"text\" = x", "f:1: a key was expected"},
    {"// x", "f:1: comments begin"},
    {"/* x */", "f:1: comments begin"},
    {"}", "f:1: a key was expected"},
    {"timeout { timeout { } }", "f:1: a section within"},
    {"timeout \"x\" { }", "f:1: missing opening brace"},
    {"part { secret = x }", "f:1: missing title"},
    {"\n\npart a {\nweight = 2 }", "f:3: part \"a\": secret is missing"},
    {"part a { secret = \"\" }", "f:1: secret: must not be empty"},
    {"part a { secret = x models = {} }", "f:1: models: must not be empty"},
    {"include(\"/etc/passwd\")", "f:1: "},
    {"list = {,}", "f:1: unexpected token"},
    {"list = {a b}", "f:1: unexpected token"},
};

START_TEST(leniencies_are_closed)
{
	struct sample zero = {0};

	unsetenv("HUB_UNSET");
	memset(&got, 0, sizeof(got));
	ck_assert_msg(parse(bad[_i].text) == -1, "%s", bad[_i].text);
	ck_assert_msg(strncmp(error, bad[_i].says, strlen(bad[_i].says)) == 0,
	    "%s\nsaid %s\nnot %s", bad[_i].text, error, bad[_i].says);
	ck_assert_mem_eq(&got, &zero, sizeof(got));
}
END_TEST

START_TEST(a_refusal_shows_no_value)
{
	ck_assert_int_eq(parse("part a {\nsecret = \"sk-very secret\"\n}"), -1);
	ck_assert_ptr_null(strstr(error, "sk-very"));
	ck_assert_ptr_nonnull(strstr(error, "f:2: secret"));
}
END_TEST

START_TEST(a_zero_byte_is_refused)
{
	ck_assert_int_eq(conf_parse(&schema, "f", SPAN("text = a\0b"), &got,
			     error, sizeof(error)),
	    -1);
}
END_TEST

START_TEST(a_missing_file_is_named)
{
	ck_assert_int_eq(conf_read(&schema, "/nonexistent/x.conf", &got, error,
			     sizeof(error)),
	    -1);
	ck_assert_ptr_nonnull(strstr(error, "/nonexistent/x.conf"));
}
END_TEST

static bool
all_but_n(const struct conf_option *o, void *arg)
{
	return (strcmp(o->name, arg) != 0);
}

START_TEST(another_process_gets_its_part)
{
	struct sample back = {0};
	struct buf text = {0};

	take("text = \"a\\\\=\\n+b\" list = {\"\", \"x=y\"} flag = off\n"
	     "timeout { header = 3 }\n"
	     "part \"one\" { secret = \"s\" models = {\"a\", \"b\"} }\n"
	     "part \"t]=.o\" { secret = \"z\" weight = 3 }");
	conf_serialise(
	    &schema, &got, all_but_n, (void *)(uintptr_t) "n", &text);
	ck_assert_int_eq(conf_deserialise(&schema, buf_span(&text), &back), 0);
	ck_assert_str_eq(back.text, "a\\=\n+b");
	ck_assert_uint_eq(back.list.n, 2);
	ck_assert_str_eq(back.list.item[0], "");
	ck_assert_str_eq(back.list.item[1], "x=y");
	ck_assert_ptr_null(back.empty);
	ck_assert_uint_eq(back.n, 0);
	ck_assert(back.flag_set && !back.flag);
	ck_assert_int_eq(back.header, 3000);
	ck_assert_uint_eq(back.nparts, 2);
	ck_assert_str_eq(back.parts[0].name, "one");
	ck_assert_uint_eq(back.parts[0].weight, 1);
	ck_assert_uint_eq(back.parts[0].models.n, 2);
	ck_assert_str_eq(back.parts[0].models.item[1], "b");
	ck_assert_str_eq(back.parts[1].name, "t]=.o");
	ck_assert_str_eq(back.parts[1].secret, "z");
	ck_assert_uint_eq(back.parts[1].weight, 3);
	conf_free(&schema, &back);
	done();
	buf_reset(&text, 0);
	ck_assert_int_eq(conf_deserialise(&schema, SPAN("n=x\n"), &back), -1);
	ck_assert_int_eq(conf_deserialise(&schema, SPAN("n=1"), &back), -1);
	ck_assert_int_eq(conf_deserialise(&schema, SPAN("no=1\n"), &back), -1);
	ck_assert_int_eq(
	    conf_deserialise(&schema, SPAN("part[1]=x\n"), &back), -1);
	ck_assert_int_eq(
	    conf_deserialise(&schema, SPAN("part[0].weight=1\n"), &back), -1);
	ck_assert_int_eq(
	    conf_deserialise(&schema, SPAN("part[0]=x\npart[0].no=1\n"), &back),
	    -1);
	buf_fini(&text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf");
	TCase *tc = tcase_create("conf");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, defaults_hold_without_a_word);
	tcase_add_test(tc, everything_can_be_said);
	tcase_add_test(tc, an_empty_list_is_empty_and_one_value_is_a_list);
	tcase_add_loop_test(
	    tc, leniencies_are_closed, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, a_refusal_shows_no_value);
	tcase_add_test(tc, a_zero_byte_is_refused);
	tcase_add_test(tc, a_missing_file_is_named);
	tcase_add_test(tc, another_process_gets_its_part);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

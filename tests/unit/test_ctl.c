/* hubctl's reading: times, commands, run_dir; moving a decimal point. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hubd/ctl/ctl.h"
#include "hubd/ctl/table.h"
#include "hubd/ctl/when.h"

#define NOW INT64_C(1790000000000)

/* ---- times -------------------------------------------------------------- */

START_TEST(a_moment_is_rfc_3339_a_date_or_a_while_ago)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
	    {"2026-01-31T08:00:00Z", 1769846400000},
	    {"2026-01-31t08:00:00.25z", 1769846400250},
	    {"2026-01-31 10:30:00+02:30", 1769846400000},
	    {"2026-01-31T00:00:00-08:00", 1769846400000},
	    {"2026-01-31", 1769817600000},
	    {"2024-02-29", 1709164800000},
	    {"90s", NOW - 90000},
	    {"15m", NOW - 900000},
	    {"24h", NOW - 86400000},
	    {"7d", NOW - 604800000},
	    {"2w", NOW - 1209600000},
	};
	int64_t ms;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(when_parse(good[i].text, NOW, false, &ms), "%s",
		    good[i].text);
		ck_assert_msg(
		    ms == good[i].ms, "%s: %lld", good[i].text, (long long)ms);
	}
	ck_assert(when_parse("24h", NOW, true, &ms));
	ck_assert_int_eq(ms, NOW + 86400000);
}
END_TEST

START_TEST(what_is_no_moment_is_refused)
{
	static const char *const bad[] = {"", "x", "15", "m", "15mm", "-5m",
	    "2026-02-30", "2025-02-29", "2026-13-01", "2026-1-1", "1969-12-31",
	    "2026-01-31T", "2026-01-31T08:00", "2026-01-31T08:00:00",
	    "2026-01-31T24:00:00Z", "2026-01-31T08:00:00.Z",
	    "2026-01-31T08:00:00Zx", "2026-01-31T08:00:00+2", "tomorrow",
	    "999999999999w", "9999999999999999999999s"};
	int64_t ms;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(
		    !when_parse(bad[i], NOW, false, &ms), "%s", bad[i]);
	ck_assert(!when_parse("100d", 1000, false, &ms));
}
END_TEST

START_TEST(times_and_lengths_read_well)
{
	static const struct {
		int64_t ms;
		const char *text;
	} lengths[] = {{0, "0 ms"}, {999, "999 ms"}, {12345, "12.3 s"},
	    {303000, "5m03s"}, {11520000, "3h12m"}, {370800000, "4d07h"}};
	char text[WHEN_TEXT];
	size_t i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		when_format_length(lengths[i].ms, text);
		ck_assert_str_eq(text, lengths[i].text);
	}
	when_format(1769846400999, text);
	ck_assert_str_eq(text, "2026-01-31T08:00:00Z");
}
END_TEST

/* ---- commands ----------------------------------------------------------- */

/* The words, split at blanks, as a request; false with the error. */
static bool
parse(const char *line, struct ctl_request *r, char *error)
{
	static char words[400];
	char *argv[32], *rest = words;
	int argc = 0;

	snprintf(words, sizeof(words), "%s", line);
	while (rest != NULL)
		argv[argc++] = strsep(&rest, " ");
	return (ctl_parse(argc, argv, NOW, r, error, 4000));
}

static void
expect(const char *line, enum ctl_command_id id, const char *args)
{
	struct ctl_request r;
	char error[4000];

	ck_assert_msg(parse(line, &r, error), "%s: %s", line, error);
	ck_assert_int_eq(r.command->id, id);
	ck_assert_str_eq(buf_cstr(&r.args), args);
	buf_fini(&r.args);
}

static void
expect_refusal(const char *line, const char *part)
{
	struct ctl_request r;
	char error[4000];

	ck_assert_msg(!parse(line, &r, error), "%s", line);
	ck_assert_msg(strstr(error, part) != NULL, "%s: %s", line, error);
	buf_fini(&r.args);
}

START_TEST(commands_become_requests)
{
	expect("show status", CTL_CMD_show_status, "{}");
	expect("account add acme", CTL_CMD_account_add, "{\"name\":\"acme\"}");
	expect("account add acme credit 0.5", CTL_CMD_account_add,
	    "{\"name\":\"acme\",\"credit\":\"0.5\"}");
	expect("account set acme overdraft unlimited", CTL_CMD_account_set,
	    "{\"name\":\"acme\",\"overdraft\":\"unlimited\"}");
	expect("show ledger limit 5 since 24h", CTL_CMD_show_ledger,
	    "{\"limit\":5,\"since_ms\":1789913600000}");
	expect("key add acme rpm 60 models gpt-*,o1 expires 24h",
	    CTL_CMD_key_add,
	    "{\"account\":\"acme\",\"rpm\":60,\"models\":\"gpt-*,o1\","
	    "\"expires\":1790086400000}");
	expect("key set key_1 expires never", CTL_CMD_key_set,
	    "{\"id\":\"key_1\",\"expires\":0}");
	expect("key rotate key_1 grace 15m", CTL_CMD_key_rotate,
	    "{\"id\":\"key_1\",\"grace\":900000}");
	expect("key revoke key_1 cut", CTL_CMD_key_revoke,
	    "{\"id\":\"key_1\",\"cut\":true}");
	expect("show usage by agent", CTL_CMD_show_usage, "{\"by\":\"agent\"}");
	expect("export ledger format jsonl", CTL_CMD_export_ledger,
	    "{\"format\":\"jsonl\"}");
	expect("backup /tmp/x", CTL_CMD_backup, "{\"file\":\"/tmp/x\"}");
}
END_TEST

START_TEST(words_may_be_shortened_while_they_are_unique)
{
	expect("sh st", CTL_CMD_show_status, "{}");
	expect("sh acc", CTL_CMD_show_accounts, "{}");
	expect("expl gpt-4o", CTL_CMD_explain, "{\"model\":\"gpt-4o\"}");
	expect_refusal("a add x", "hubctl audit");
	expect_refusal("show s",
	    "one of these is meant:\n       hubctl show status\n"
	    "       hubctl show suspense [all]");
	expect_refusal("show z", "no such command");
}
END_TEST

START_TEST(what_is_no_command_is_explained)
{
	expect_refusal("account fly away", "hubctl account enable NAME");
	expect_refusal("show", "hubctl show ledger");
	expect_refusal("", "hubctl show status");
	expect_refusal("account add", "usage: hubctl account add NAME");
	expect_refusal("account credit acme", "missing");
	expect_refusal("account debit acme 5", "reason: missing");
	expect_refusal("account credit acme lots", "not an amount");
	expect_refusal("account credit acme unlimited", "not an amount");
	expect_refusal("key add acme rpm 1 rpm 2", "given twice");
	expect_refusal("key add acme rpm", "needs a value");
	expect_refusal("key add acme rpm 1.5", "not a whole number");
	expect_refusal("key add acme rpm 9007199254740993", "too large");
	expect_refusal("show usage by dog", "dog: not one of the words");
	expect_refusal("show usage by d", "by account|model|day|key|agent");
	expect_refusal("show usage by model|day", "not one of the words");
	expect_refusal("export ledger format ", "format csv|jsonl");
	expect_refusal("show ledger since yesterday", "not a time");
	expect_refusal("key rotate key_1 grace 2020-01-01", "to come");
	expect_refusal("show status now", "not expected");
}
END_TEST

/* ---- run_dir ------------------------------------------------------------ */

static void
expect_run_dir(const char *conf, const char *dir)
{
	char unset[8], *found = ctl_find_run_dir(conf, unset, sizeof(unset));

	ck_assert_str_eq(unset, "");
	if (dir == NULL)
		ck_assert_msg(found == NULL, "%s: %s", conf, found);
	else {
		ck_assert_msg(found != NULL, "%s", conf);
		ck_assert_str_eq(found, dir);
	}
	free(found);
}

START_TEST(run_dir_is_found_whatever_is_around_it)
{
	expect_run_dir("run_dir = \"/x\"\n", "/x");
	expect_run_dir(
	    "listen={\"a\"} # run_dir = \"/no\"\nrun_dir='/y'", "/y");
	expect_run_dir(
	    "// run_dir=\"/n\"\n/* run_dir=\"/n\" */run_dir=\"/z\"", "/z");
	expect_run_dir("tls { run_dir = \"/no\" }\nrun_dir = \"/x\"", "/x");
	expect_run_dir("log = \"run_dir = \\\"/no\\\"\"\nrun_dir=\"/x\"", "/x");
	expect_run_dir("my_run_dir = \"/no\"\n", NULL);
	expect_run_dir("run_dir = 5\nbroken {{{", NULL);
	expect_run_dir("", NULL);
}
END_TEST

START_TEST(run_dir_takes_its_variables)
{
	setenv("CTL_TEST", "/here", 1);
	unsetenv("CTL_NONE");
	expect_run_dir("run_dir = \"${CTL_TEST}/run\"", "/here/run");
	expect_run_dir("run_dir = \"/a${CTL_NONE:-/b}\"", "/a/b");
	expect_run_dir("run_dir = \"/a${CTL_TEST", "/a${CTL_TEST");
}
END_TEST

START_TEST(a_variable_that_is_not_set_is_named)
{
	char unset[32];

	unsetenv("CTL_NONE");
	free(ctl_find_run_dir(
	    "run_dir = \"/a${CTL_NONE}\"", unset, sizeof(unset)));
	ck_assert_str_eq(unset, "CTL_NONE");
}
END_TEST

/* ---- decimals ----------------------------------------------------------- */

START_TEST(a_point_moves_exactly)
{
	static const char *const cases[][2] = {{"0.00000015", "0.15"},
	    {"0.000001", "1"}, {"0.0000125", "12.5"}, {"2", "2000000"},
	    {"0", "0"}, {"-0.0000025", "-2.5"}, {"0.000000000001", "0.000001"},
	    {"1.5", "1500000"}};
	struct buf out = {0};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&out, 64);
		decimal_shift(&out, cases[i][0], 6);
		ck_assert_str_eq(buf_cstr(&out), cases[i][1]);
	}
	buf_fini(&out);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ctl");
	TCase *tc = tcase_create("ctl");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, a_moment_is_rfc_3339_a_date_or_a_while_ago);
	tcase_add_test(tc, what_is_no_moment_is_refused);
	tcase_add_test(tc, times_and_lengths_read_well);
	tcase_add_test(tc, commands_become_requests);
	tcase_add_test(tc, words_may_be_shortened_while_they_are_unique);
	tcase_add_test(tc, what_is_no_command_is_explained);
	tcase_add_test(tc, run_dir_is_found_whatever_is_around_it);
	tcase_add_test(tc, run_dir_takes_its_variables);
	tcase_add_test(tc, a_variable_that_is_not_set_is_named);
	tcase_add_test(tc, a_point_moves_exactly);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

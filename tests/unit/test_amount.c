/* Exact amounts: text in, text out, nothing rounded on the way. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hubd/price/amount.h"

static const struct {
	const char *in, *out;
} forms[] = {
    {"0", "0"},
    {"-0", "0"},
    {"0.000", "0"},
    {"0e40", "0"},
    {"1", "1"},
    {"-1", "-1"},
    {"10", "10"},
    {"1000000", "1000000"},
    {"007.50", "7.5"},
    {"3e-06", "0.000003"},
    {"3E-6", "0.000003"},
    {"3e+06", "3000000"},
    {"1.5e-05", "0.000015"},
    {"-2.5e-9", "-0.0000000025"},
    {"3.625e-09", "0.000000003625"},
    {"3.3333333333333335e-05", "0.000033333333333333335"},
    {"0.0002833333333333333", "0.0002833333333333333"},
    {"0.000000000000000000000001", "0.000000000000000000000001"},
    {"1e-24", "0.000000000000000000000001"},
    {"10e-25", "0.000000000000000000000001"},
    {"1.000000000000000000000000000000", "1"},
    {"-12.000000000000000000000001", "-12.000000000000000000000001"},
    {"123456789012345678901234567890.5", "123456789012345678901234567890.5"},
    {"1e40", "10000000000000000000000000000000000000000"},
    {"100000000000000000000000000000e40", "100000000000000000000000000000000000"
					  "0000000000000000000000000000000000"},
};

static const char *const refused[] = {"", "-", "+1", ".5", "5.", "1e", "1e+",
    "1e-", "e5", "1e41", "1e-41", "1e999999999999", "0x10", "1,5", "1 ", " 1",
    "1.2.3", "--1", "nan", "inf", "1e-25", "0.0000000000000000000000001",
    "1.5e-24", "1e5x", "1e5.0",
    "00000000000000000000000000000000000000000000000000000000000000001"};

static void
expect(const amount_t *a, const char *text)
{
	char out[AMOUNT_TEXT_MAX];

	ck_assert_int_eq(amount_format(a, out), 0);
	ck_assert_str_eq(out, text);
}

START_TEST(every_form_of_a_number_is_read_exactly)
{
	amount_t *a = amount_new(), *b = amount_new();

	ck_assert_int_eq(
	    amount_parse(a, forms[_i].in, strlen(forms[_i].in)), 0);
	if (strlen(forms[_i].out) == 70) {
		/* 10^69 USD is the first that has no text. */
		char out[AMOUNT_TEXT_MAX];

		ck_assert_int_eq(amount_format(a, out), -1);
		amount_parse(b, "1", 1);
		amount_sub(a, b);
		ck_assert_int_eq(amount_format(a, out), 0);
		ck_assert_uint_eq(strspn(out, "9"), 69);
	} else {
		expect(a, forms[_i].out);
		amount_parse(b, forms[_i].out, strlen(forms[_i].out));
		ck_assert_int_eq(amount_cmp(a, b), 0);
	}
	amount_free(a);
	amount_free(b);
}
END_TEST

START_TEST(what_is_no_number_or_too_fine_is_refused)
{
	amount_t *a = amount_new();

	amount_parse(a, "7", 1);
	ck_assert_msg(amount_parse(a, refused[_i], strlen(refused[_i])) == -1,
	    "%s", refused[_i]);
	expect(a, "7");
	amount_free(a);
}
END_TEST

START_TEST(only_the_bytes_given_are_read)
{
	amount_t *a = amount_new();

	ck_assert_int_eq(amount_parse(a, "12345", 2), 0);
	expect(a, "12");
	ck_assert_int_eq(amount_parse(a, "1\0002", 3), -1);
	amount_free(a);
}
END_TEST

START_TEST(a_price_fills_127_bits_and_no_more)
{
	struct unit_price p;
	char out[AMOUNT_TEXT_MAX];
	static const char max[] = "170141183460469.231731687303715884105727";
	static const char over[] = "170141183460469.231731687303715884105728";

	ck_assert_int_eq(unit_price_parse(&p, max, strlen(max)), 0);
	ck_assert_uint_eq(p.lo, UINT64_MAX);
	ck_assert_uint_eq(p.hi, INT64_MAX);
	unit_price_format(p, out);
	ck_assert_str_eq(out, max);
	ck_assert_int_eq(unit_price_parse(&p, over, strlen(over)), -1);
	ck_assert_int_eq(unit_price_parse(&p, "-1e-9", 5), -1);
	ck_assert_int_eq(unit_price_parse(&p, "-0", 2), 0);
	ck_assert_uint_eq(p.lo, 0);
	ck_assert_uint_eq(p.hi, 0);
	ck_assert_int_eq(unit_price_parse(&p, "2.5e-09", 7), 0);
	ck_assert_uint_eq(p.lo, UINT64_C(2500000000000000));
	ck_assert_uint_eq(p.hi, 0);
}
END_TEST

START_TEST(products_of_large_prices_and_counts_are_exact)
{
	amount_t *a = amount_new();
	struct unit_price p;

	unit_price_parse(&p, "123456.000000000000000000000789", 31);
	amount_add_product(a, p, UINT64_C(1099511627776));
	expect(a, "135741307518713856.000000000867514674315264");
	amount_add_product(a, p, 0);
	expect(a, "135741307518713856.000000000867514674315264");
	p = (struct unit_price){1, 0};
	amount_zero(a);
	amount_add_product(a, p, UINT64_MAX);
	expect(a, "0.000018446744073709551615");
	amount_free(a);
}
END_TEST

START_TEST(adding_and_negating_keep_the_sign_right)
{
	amount_t *a = amount_new(), *b = amount_new();

	amount_parse(a, "0.1", 3);
	amount_parse(b, "0.3", 3);
	amount_sub(a, b);
	expect(a, "-0.2");
	ck_assert_int_eq(amount_sign(a), -1);
	ck_assert_int_eq(amount_cmp(a, b), -1);
	amount_neg(a);
	amount_add(a, b);
	expect(a, "0.5");
	ck_assert_int_eq(amount_cmp(a, b), 1);
	amount_copy(b, a);
	ck_assert_int_eq(amount_cmp(a, b), 0);
	amount_sub(a, b);
	ck_assert_int_eq(amount_sign(a), 0);
	expect(a, "0");
	amount_free(a);
	amount_free(b);
	amount_free(NULL);
}
END_TEST

static const struct {
	const char *usd;
	int64_t up, down;
} guards[] = {
    {"0", 0, 0},
    {"1", 1000000000, 1000000000},
    {"1e-9", 1, 1},
    {"1e-24", 1, 0},
    {"-1e-24", 0, -1},
    {"2.5e-9", 3, 2},
    {"-2.5e-9", -2, -3},
    {"9223372036.854775807", INT64_MAX, INT64_MAX},
    {"9223372036.854775808", INT64_MAX, INT64_MAX},
    {"-9223372036.854775808", INT64_MIN, INT64_MIN},
    {"-9223372036.854775809", INT64_MIN, INT64_MIN},
    {"1e30", INT64_MAX, INT64_MAX},
};

START_TEST(guards_round_to_the_side_they_are_told)
{
	amount_t *a = amount_new();

	amount_parse(a, guards[_i].usd, strlen(guards[_i].usd));
	ck_assert_int_eq(amount_to_nano(a, AMOUNT_UP).n, guards[_i].up);
	ck_assert_int_eq(amount_to_nano(a, AMOUNT_DOWN).n, guards[_i].down);
	amount_free(a);
}
END_TEST

START_TEST(nano_dollars_become_amounts_exactly)
{
	amount_t *a = amount_new();

	amount_from_nano(a, (nanousd_t){INT64_MIN});
	expect(a, "-9223372036.854775808");
	amount_from_nano(a, (nanousd_t){1});
	expect(a, "0.000000001");
	amount_free(a);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("amount");
	TCase *tc = tcase_create("amount");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, every_form_of_a_number_is_read_exactly, 0,
	    sizeof(forms) / sizeof(forms[0]));
	tcase_add_loop_test(tc, what_is_no_number_or_too_fine_is_refused, 0,
	    sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(tc, only_the_bytes_given_are_read);
	tcase_add_test(tc, a_price_fills_127_bits_and_no_more);
	tcase_add_test(tc, products_of_large_prices_and_counts_are_exact);
	tcase_add_test(tc, adding_and_negating_keep_the_sign_right);
	tcase_add_loop_test(tc, guards_round_to_the_side_they_are_told, 0,
	    sizeof(guards) / sizeof(guards[0]));
	tcase_add_test(tc, nano_dollars_become_amounts_exactly);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* A digest against its published value; tokens have their shape. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"

START_TEST(sha256_matches_fips_180)
{
	static const uint8_t abc[SHA256_SIZE] = {0xba, 0x78, 0x16, 0xbf, 0x8f,
	    0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
	    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff,
	    0x61, 0xf2, 0x00, 0x15, 0xad};
	uint8_t out[SHA256_SIZE];

	sha256(SPAN("abc"), out);
	ck_assert(crypto_equal(out, abc, sizeof(out)));
	out[31] ^= 1;
	ck_assert(!crypto_equal(out, abc, sizeof(out)));
}
END_TEST

START_TEST(hmac_matches_rfc_4231)
{
	/* test case 2 */
	static const uint8_t want[SHA256_SIZE] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf,
	    0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
	    0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58,
	    0xb9, 0x64, 0xec, 0x38, 0x43};
	uint8_t out[SHA256_SIZE];

	hmac_sha256(SPAN("Jefe"), SPAN("what do ya want for nothing?"), out);
	ck_assert(crypto_equal(out, want, sizeof(out)));
}
END_TEST

START_TEST(tokens_have_their_prefix_and_differ)
{
	char a[TOKEN_MAX], b[TOKEN_MAX];

	token_make("sk-hub-", a);
	token_make("sk-hub-", b);
	ck_assert_uint_eq(strlen(a), 7 + TOKEN_RANDOM);
	ck_assert_int_eq(strncmp(a, "sk-hub-", 7), 0);
	ck_assert_uint_eq(strspn(a + 7, "0123456789abcdefghijklmnopqrstuvwxyz"
					"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
	    TOKEN_RANDOM);
	ck_assert_str_ne(a, b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("crypto");
	TCase *t = tcase_create("crypto");
	SRunner *r;
	int failed;

	tcase_add_test(t, sha256_matches_fips_180);
	tcase_add_test(t, hmac_matches_rfc_4231);
	tcase_add_test(t, tokens_have_their_prefix_and_differ);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

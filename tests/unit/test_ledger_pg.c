/* The PostgreSQL store, on a server of the test's own. */
#include "tests/unit/pg_fixture.h"

#include "tests/unit/ledger_cases.h"
#include "tests/unit/ledger_object_cases.h"

int
main(void)
{
	Suite *s = suite_create("ledger_pg");
	TCase *tc = tcase_create("ledger_pg");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, pg_start, pg_stop);
	tcase_add_checked_fixture(tc, setup, teardown);
	add_store_cases(tc);
	add_object_cases(tc);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

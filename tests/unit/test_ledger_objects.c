/* Objects in the SQLite store: they come and go with their rows. */
#include "tests/unit/ledger_fixture.h"

#include "tests/unit/ledger_object_cases.h"

int
main(void)
{
	Suite *s = suite_create("ledger_objects");
	TCase *tc = tcase_create("ledger_objects");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	add_object_cases(tc);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

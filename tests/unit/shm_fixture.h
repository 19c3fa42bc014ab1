/* Small shared memory in a folder of its own, for the tests of its tables. */
#ifndef TESTS_UNIT_SHM_FIXTURE_H
#define TESTS_UNIT_SHM_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/process.h"
#include "shm/shm.h"

static char fixture_dir[64];
static struct shm *fixture;

static const struct shm_sizes fixture_sizes = {.workers = 2,
    .nprocs = 12,
    .max_calls = 64,
    .max_keys = 32,
    .max_accounts = 16,
    .max_agents = 8,
    .max_objects = 8};

static inline char *
fixture_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	return (path);
}

static inline void
fixture_set_up(void)
{
	snprintf(fixture_dir, sizeof(fixture_dir), "/tmp/hubd-shm.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fixture_dir));
	fixture = shm_create(fixture_dir, &fixture_sizes);
	ck_assert_ptr_nonnull(fixture);
}

static inline void
fixture_tear_down(void)
{
	shm_detach(fixture);
	unlink(fixture_path("hubd.run"));
	unlink(fixture_path("hubd.pub"));
	rmdir(fixture_dir);
}

static inline process_ref_t
fixture_process(enum process_role role)
{
	int row = process_take(fixture, role, 0);

	ck_assert_int_ge(row, 0);
	return ((process_ref_t){
	    (uint32_t)row, process_generation(&process_rows(fixture)[row])});
}

/* Memory that children share with the test; zeroed. */
static inline void *
fixture_shared(size_t n)
{
	void *p = mmap(
	    NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert(p != MAP_FAILED);
	return (p);
}

static inline void
fixture_join(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static inline int
fixture_main(const char *name, void (*add)(TCase *))
{
	Suite *suite = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, fixture_set_up, fixture_tear_down);
	add(tc);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

#endif

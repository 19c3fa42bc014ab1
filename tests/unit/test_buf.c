/* Growable bytes and the pools that their memory comes from. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"

#ifdef __SANITIZE_ADDRESS__
#define KEPT(n) 0u
#else
#define KEPT(n) ((unsigned)(n))
#endif

START_TEST(pool_keeps_the_last_and_no_more_than_it_may)
{
	struct pool pool = POOL(sizeof(void *), 2);
	void *a = pool_get(&pool), *b = pool_get(&pool), *c = pool_get(&pool);

	pool_put(&pool, a);
	pool_put(&pool, b);
	pool_put(&pool, c);
	ck_assert_uint_eq(pool.nkept, KEPT(2));
	if (KEPT(1) != 0) {
		ck_assert_ptr_eq(pool_get(&pool), b);
		ck_assert_ptr_eq(pool_get(&pool), a);
		ck_assert_ptr_null(pool.kept);
		free(a);
		free(b);
	}
	pool_put(&pool, NULL);
	ck_assert_uint_eq(pool.nkept, 0);
}
END_TEST

/* Of every size there is, into and out of those that are kept. */
START_TEST(bytes_stay_what_they_are_while_there_come_more)
{
	struct buf b = {0};
	size_t i, wrong = 0;

	for (int round = 0; round < 2; round++) {
		for (i = 0; i < 100000; i++)
			buf_add(&b, &(char){(char)(i % 251)}, 1);
		ck_assert_uint_eq(buf_len(&b), i);
		for (i = 0; i < 100000; i++)
			wrong += buf_ptr(&b)[i] != (char)(i % 251);
		ck_assert_uint_eq(wrong, 0);
		buf_fini(&b);
		ck_assert_ptr_null(buf_ptr(&b));
	}
}
END_TEST

START_TEST(memory_of_one_serves_the_next_of_its_size)
{
	struct buf a = {0}, b = {0}, c = {0};
	char *was = buf_reserve(&a, 1000);

	buf_fini(&a);
	ck_assert_ptr_ne(buf_reserve(&b, 2000), was);
	if (KEPT(1) != 0)
		ck_assert_ptr_eq(buf_reserve(&c, 1000), was);
	buf_fini(&b);
	buf_fini(&c);
}
END_TEST

START_TEST(what_was_consumed_makes_room)
{
	struct buf b = {0};
	size_t cap;

	memset(buf_reserve(&b, 200), 'x', 200);
	buf_commit(&b, 200);
	cap = b.cap;
	buf_consume(&b, 150);
	buf_add(&b, "0123456789", 10);
	memset(buf_reserve(&b, 100), 'y', 100);
	buf_commit(&b, 100);
	ck_assert_uint_eq(b.cap, cap);
	ck_assert_uint_eq(buf_len(&b), 160);
	ck_assert_mem_eq(buf_ptr(&b) + 49, "x0123456789y", 12);
	buf_fini(&b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("buf");
	TCase *t = tcase_create("buf");
	SRunner *r;
	int failed;

	tcase_add_test(t, pool_keeps_the_last_and_no_more_than_it_may);
	tcase_add_test(t, bytes_stay_what_they_are_while_there_come_more);
	tcase_add_test(t, memory_of_one_serves_the_next_of_its_size);
	tcase_add_test(t, what_was_consumed_makes_room);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed != 0);
}

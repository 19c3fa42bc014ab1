/* Request ids and the randomness behind them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ids.h"
#include "common/monotime.h"

START_TEST(ids_grow_and_are_of_version_7)
{
	struct id_source *s = id_source_new(0xabcd);
	req_id_t id, last = {{0}};
	int i;

	for (i = 0; i < 200000; i++) {
		id = id_next(s);
		ck_assert_int_gt(memcmp(id.b, last.b, 12), 0);
		ck_assert_uint_eq(id.b[6] >> 4, 7);
		ck_assert_uint_eq(id.b[8] >> 6, 2);
		last = id;
	}
	id_source_free(s);
}
END_TEST

START_TEST(an_id_tells_time_and_row)
{
	struct id_source *s = id_source_new(0xabcd);
	int64_t before = walltime_ms();
	req_id_t id = id_next(s);

	ck_assert_int_ge(req_id_ms(id), before);
	ck_assert_int_le(req_id_ms(id), walltime_ms());
	ck_assert_uint_eq(id.b[6] & 0xf, 0xa);
	ck_assert_uint_eq(id.b[7], 0xbc);
	ck_assert_uint_eq(id.b[8] >> 2 & 0xf, 0xd);
	id_source_free(s);
}
END_TEST

START_TEST(two_sources_of_one_row_do_not_meet)
{
	struct id_source *a = id_source_new(1), *b = id_source_new(1);
	req_id_t x, y;
	int i;

	for (i = 0; i < 1000; i++) {
		x = id_next(a);
		y = id_next(b);
		ck_assert_int_ne(memcmp(x.b, y.b, sizeof(x.b)), 0);
	}
	id_source_free(a);
	id_source_free(b);
}
END_TEST

START_TEST(text_comes_back)
{
	struct id_source *s = id_source_new(7);
	char text[REQ_ID_TEXT];
	req_id_t id = id_next(s), again;

	req_id_format(id, text);
	ck_assert_uint_eq(strlen(text), REQ_ID_TEXT - 1);
	ck_assert(text[8] == '-' && text[13] == '-' && text[18] == '-' &&
		  text[23] == '-');
	ck_assert(req_id_parse(text, &again));
	ck_assert_mem_eq(id.b, again.b, sizeof(id.b));
	ck_assert(req_id_parse("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", &id));
	req_id_format(id, text);
	ck_assert_str_eq(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
	id_source_free(s);
}
END_TEST

START_TEST(what_is_no_uuid_is_refused)
{
	static const char *const bad[] = {
	    "",
	    "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
	    "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
	    "017f22e279b07cc398c4dc0c0c07398f",
	    "017f22e2-79b0-7cc3-98c4+dc0c0c07398f",
	    "g17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
	    "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
	};
	req_id_t id;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!req_id_parse(bad[i], &id), "%s", bad[i]);
}
END_TEST

START_TEST(random_bytes_fill_any_size)
{
	static uint8_t a[10000], b[10000];
	size_t i, same = 0;

	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	for (i = 0; i < sizeof(a); i++)
		same += a[i] == b[i];
	ck_assert_uint_lt(same, 200); /* about 39 */
}
END_TEST

START_TEST(random_below_stays_below_and_is_even)
{
	unsigned count[3] = {0};
	int i;

	for (i = 0; i < 30000; i++)
		count[random_below(3)]++;
	for (i = 0; i < 3; i++)
		ck_assert(count[i] > 9000 && count[i] < 11000);
	for (i = 0; i < 100; i++)
		ck_assert_uint_eq(random_below(1), 0);
}
END_TEST

START_TEST(a_child_does_not_repeat_its_parent)
{
	uint8_t ours[16], theirs[16];
	int fd[2], status;
	pid_t pid;

	random_bytes(ours, sizeof(ours)); /* the buffer is filled */
	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		random_bytes(theirs, sizeof(theirs));
		_exit(write(fd[1], theirs, sizeof(theirs)) != sizeof(theirs));
	}
	random_bytes(ours, sizeof(ours));
	ck_assert_int_eq(read(fd[0], theirs, sizeof(theirs)), sizeof(theirs));
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
	ck_assert_int_ne(memcmp(ours, theirs, sizeof(ours)), 0);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ids");
	TCase *tc = tcase_create("ids");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, ids_grow_and_are_of_version_7);
	tcase_add_test(tc, an_id_tells_time_and_row);
	tcase_add_test(tc, two_sources_of_one_row_do_not_meet);
	tcase_add_test(tc, text_comes_back);
	tcase_add_test(tc, what_is_no_uuid_is_refused);
	tcase_add_test(tc, random_bytes_fill_any_size);
	tcase_add_test(tc, random_below_stays_below_and_is_even);
	tcase_add_test(tc, a_child_does_not_repeat_its_parent);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed > 0);
}

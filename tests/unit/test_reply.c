/* Answers as billing makes them and as hubctl takes them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "hubd/billing/commands.h"
#include "hubd/ctl/ctl.h"

static struct buf out, sent;
static struct reply reply;
static size_t largest; /* of what was waiting to be sent */
static char error[200];

static void
set_up(void)
{
	error[0] = '\0';
	largest = 0;
}

static void
tear_down(void)
{
	buf_fini(&out);
	buf_fini(&sent);
}

static void
flush(void *arg, struct buf *b)
{
	ck_assert_ptr_eq(arg, &sent);
	if (buf_len(b) > largest)
		largest = buf_len(b);
	buf_addspan(&sent, buf_span(b));
	buf_consume(b, buf_len(b));
}

/* What the client has got when all is sent. */
static const char *
end_reply(void)
{
	reply_end(&reply);
	buf_addspan(&sent, buf_span(&out));
	return (buf_cstr(&sent));
}

/* A list of so many numbers. */
static void
put_numbers(int n)
{
	struct jout *j = &reply.j;
	int i;

	jout_begin_object(j);
	jout_key(j, "n");
	jout_begin_array(j);
	for (i = 0; i < n; i++) {
		jout_int(j, i);
		reply_more(&reply);
	}
	jout_end_array(j);
	jout_end_object(j);
}

/* ---- documents ----------------------------------------------------------- */

START_TEST(a_short_answer_says_first_how_it_went)
{
	reply_begin(&reply, &out, flush, &sent);
	put_numbers(2);
	ck_assert_uint_eq(buf_len(&sent), 0);
	ck_assert_str_eq(
	    end_reply(), "{\"status\":0,\"data\":{\"n\":[0,1]}}\n");
}
END_TEST

START_TEST(what_a_short_refusal_had_gathered_is_dropped)
{
	reply_begin(&reply, &out, flush, &sent);
	put_numbers(2);
	reply_refuse(&reply, "no");
	ck_assert_str_eq(end_reply(), "{\"status\":1,\"error\":\"no\"}\n");
}
END_TEST

/* In bounded memory, whatever its length. */
START_TEST(a_long_answer_goes_out_while_it_grows)
{
	struct json *answer;
	const struct json *v;
	int n = 0;

	reply_begin(&reply, &out, flush, &sent);
	put_numbers(100000);
	ck_assert_uint_gt(buf_len(&sent), 400000);
	ck_assert_uint_lt(largest, 70000);
	end_reply();
	answer = json_parse(buf_span(&sent), error, sizeof(error));
	ck_assert_msg(answer != NULL, "%s", error);
	ck_assert_int_eq(json_get_int(answer, "status", -1), 0);
	for (v = json_get(json_get(answer, "data"), "n")->first; v != NULL;
	     v = v->next)
		ck_assert_int_eq(atoi(v->text), n++);
	ck_assert_int_eq(n, 100000);
	json_free(answer);
}
END_TEST

START_TEST(a_long_answer_says_at_its_end_what_went_wrong)
{
	struct json *answer;

	reply_begin(&reply, &out, flush, &sent);
	put_numbers(100000);
	reply_refuse(&reply, "the store is away");
	end_reply();
	answer = json_parse(buf_span(&sent), error, sizeof(error));
	ck_assert_msg(answer != NULL, "%s", error);
	ck_assert_int_eq(json_get_int(answer, "status", -1), 1);
	ck_assert_str_eq(json_get_str(answer, "error"), "the store is away");
	json_free(answer);
}
END_TEST

/* ---- streams ------------------------------------------------------------- */

/* As hubctl reads it, of which it has some bytes already; what it writes is
 * the caller's to free. */
static char *
receive(const char *text, size_t n, size_t have)
{
	struct buf in = {0};
	char *copy = NULL;
	int fds[2];
	size_t size;
	FILE *to = open_memstream(&copy, &size);

	ck_assert_int_eq(pipe(fds), 0);
	buf_add(&in, text, have);
	ck_assert(ctl_is_stream(&in));
	ck_assert_uint_lt(n - have, 60000); /* the pipe takes it */
	ck_assert_int_eq(
	    write(fds[1], text + have, n - have), (ssize_t)(n - have));
	close(fds[1]);
	ctl_copy_stream(fds[0], &in, to, error, sizeof(error));
	fclose(to);
	close(fds[0]);
	buf_fini(&in);
	return (copy);
}

static char *
receive_text(const char *text)
{
	return (receive(text, strlen(text), strlen(CTL_STREAM_HEAD)));
}

START_TEST(a_stream_is_what_was_written_to_it)
{
	char *bytes = xmalloc(150000), *copy;
	size_t i;

	for (i = 0; i < 150000; i++)
		bytes[i] = (char)(i * 7 + i / 256);
	reply_begin(&reply, &out, flush, &sent);
	reply_stream_begin(&reply);
	reply_stream_write(&reply, bytes, 10);
	reply_stream_write(&reply, bytes + 10, 149990);
	ck_assert_uint_gt(buf_len(&sent), 130000);
	ck_assert_uint_lt(largest, 70000);
	end_reply();
	copy = receive(buf_ptr(&sent), buf_len(&sent), 100000);
	ck_assert_str_eq(error, "");
	ck_assert_int_eq(memcmp(copy, bytes, 150000), 0);
	free(copy);
	free(bytes);
}
END_TEST

START_TEST(a_stream_of_nothing_is_one)
{
	char *copy;

	reply_begin(&reply, &out, flush, &sent);
	reply_stream_begin(&reply);
	copy = receive_text(end_reply());
	ck_assert_str_eq(copy, "");
	ck_assert_str_eq(error, "");
	free(copy);
}
END_TEST

START_TEST(a_stream_refused_before_its_first_byte_is_a_refusal)
{
	reply_begin(&reply, &out, flush, &sent);
	reply_stream_begin(&reply);
	reply_refuse(&reply, "no");
	ck_assert_str_eq(end_reply(), "{\"status\":1,\"error\":\"no\"}\n");
}
END_TEST

START_TEST(a_stream_that_fails_in_the_middle_says_so)
{
	static const char some[70000];
	char *copy;

	reply_begin(&reply, &out, flush, &sent);
	reply_stream_begin(&reply);
	reply_stream_write(&reply, some, sizeof(some));
	reply_refuse(&reply, "the store is away");
	end_reply();
	copy = receive(buf_ptr(&sent), buf_len(&sent), 40000);
	ck_assert_str_eq(error, "the store is away");
	free(copy);
}
END_TEST

START_TEST(a_stream_that_is_cut_off_is_no_whole_one)
{
	static const char *const cut[] = {"", "5", "5\n", "5\nhell", "5\nhello",
	    "5\nhello0\n", "5\nhello0\n{\"status\":0}", "5\nhello0\n{}\n",
	    "-1\n", "99999999\n", "\n", "x\n", "123456789\n"};
	char *text = xasprintf("%s%s", CTL_STREAM_HEAD, cut[_i]);

	free(receive_text(text));
	ck_assert_str_eq(error, CTL_CUT_OFF);
	free(text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("reply");
	TCase *tc = tcase_create("reply");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_short_answer_says_first_how_it_went);
	tcase_add_test(tc, what_a_short_refusal_had_gathered_is_dropped);
	tcase_add_test(tc, a_long_answer_goes_out_while_it_grows);
	tcase_add_test(tc, a_long_answer_says_at_its_end_what_went_wrong);
	tcase_add_test(tc, a_stream_is_what_was_written_to_it);
	tcase_add_test(tc, a_stream_of_nothing_is_one);
	tcase_add_test(tc, a_stream_refused_before_its_first_byte_is_a_refusal);
	tcase_add_test(tc, a_stream_that_fails_in_the_middle_says_so);
	tcase_add_loop_test(
	    tc, a_stream_that_is_cut_off_is_no_whole_one, 0, 13);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Objects: what a row says of one, and the published table. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "shm/objtab.h"
#include "tests/unit/shm_fixture.h"

#define SIZE 8 /* max_objects of the fixture */

static struct pub_object
make(uint64_t number, uint32_t account)
{
	struct pub_object o = {.number = number,
	    .created_ms = (int64_t)number * 1000,
	    .account = account,
	    .agent = 7,
	    .kind = OBJECT_FILE};

	snprintf(o.id, sizeof(o.id), "file-%llu", (unsigned long long)number);
	snprintf(o.provider, sizeof(o.provider), "openai");
	return (o);
}

static bool
publish(uint64_t number, uint32_t account)
{
	struct pub_object o = make(number, account);
	bool left;

	pub_object_write(fixture, &o, &left);
	return (left);
}

static bool
is_found(const char *id)
{
	struct pub_object o;

	return (pub_object_find(fixture, span_str(id), &o) &&
		strcmp(o.id, id) == 0);
}

/* ---- a row's part -------------------------------------------------------- */

START_TEST(ids_are_kept_until_there_is_no_room)
{
	struct call_object o = {.event = OBJECT_ENDED, .kind = OBJECT_BATCH};
	char id[64];

	memset(id, 'b', sizeof(id));
	ck_assert(call_object_add(&o, span_of(id, 64)));
	ck_assert(call_object_add(&o, SPAN("file-1")));
	ck_assert(call_object_ok(&o));
	ck_assert_str_eq(call_object_id(&o, 1), "file-1");
	ck_assert_ptr_null(call_object_id(&o, 2));
	/* 65 and 7 are taken; 63 and its end are one too many */
	ck_assert(!call_object_add(&o, span_of(id, 63)));
	ck_assert(call_object_add(&o, span_of(id, 62)));
	ck_assert(call_object_ok(&o));
	ck_assert(!call_object_add(&o, SPAN("x")));
	ck_assert_uint_eq(strlen(call_object_id(&o, 2)), 62);
	ck_assert_ptr_null(call_object_id(&o, 3));
}
END_TEST

START_TEST(what_is_no_id_is_not_kept)
{
	struct call_object o = {.event = OBJECT_CREATED, .kind = OBJECT_FILE};
	char id[OBJECT_ID_MAX];

	memset(id, 'a', sizeof(id));
	ck_assert(!call_object_add(&o, SPAN("")));
	ck_assert(!call_object_add(&o, SPAN("file/1")));
	ck_assert(!call_object_add(&o, SPAN("file 1")));
	ck_assert(!call_object_add(&o, span_of("f\0g", 3)));
	ck_assert(!call_object_add(&o, span_of(id, OBJECT_ID_MAX)));
	ck_assert(!call_object_ok(&o));
	ck_assert(call_object_add(&o, span_of(id, OBJECT_ID_MAX - 1)));
	ck_assert(call_object_ok(&o));
}
END_TEST

START_TEST(a_broken_part_is_not_believed)
{
	struct call_object o;

	memset(&o, 0, sizeof(o));
	ck_assert(call_object_ok(&o));
	memset(&o, 'x', sizeof(o));
	ck_assert(!call_object_ok(&o));
	o.event = OBJECT_CREATED;
	o.kind = OBJECT_FILE;
	ck_assert(!call_object_ok(&o)); /* no end */
	o.ids[OBJECT_IDS_MAX - 1] = '\0';
	ck_assert(!call_object_ok(&o)); /* no empty one behind it */
	o.ids[10] = o.ids[11] = '\0';
	ck_assert(call_object_ok(&o));
	o.ids[3] = '\n';
	ck_assert(!call_object_ok(&o));
	o.ids[3] = 'x';
	o.kind = OBJECT_KINDS;
	ck_assert(!call_object_ok(&o));
}
END_TEST

/* ---- the table ----------------------------------------------------------- */

START_TEST(objects_are_found_until_they_are_removed)
{
	struct pub_object o;

	ck_assert(!is_found("file-1"));
	ck_assert(!publish(1, 5));
	ck_assert(!publish(2, 6));
	ck_assert(pub_object_find(fixture, SPAN("file-2"), &o));
	ck_assert_uint_eq(o.account, 6);
	ck_assert_uint_eq(o.agent, 7);
	ck_assert(!is_found("file-"));
	ck_assert(!is_found("file-22"));
	pub_object_remove(fixture, SPAN("file-2"));
	pub_object_remove(fixture, SPAN("file-3"));
	ck_assert(!is_found("file-2"));
	ck_assert(is_found("file-1"));
	/* a number is not used again, its row is */
	ck_assert(!publish(2 + SIZE, 6));
	ck_assert(is_found("file-10"));
}
END_TEST

START_TEST(a_change_of_one_is_seen)
{
	struct pub_object o = make(1, 5);
	bool left;

	publish(1, 5);
	o.billed = 1;
	pub_object_write(fixture, &o, &left);
	ck_assert(!left);
	ck_assert(pub_object_find(fixture, SPAN("file-1"), &o));
	ck_assert_uint_eq(o.billed, 1);
	pub_object_remove(fixture, SPAN("file-1"));
	ck_assert(!is_found("file-1"));
}
END_TEST

START_TEST(the_oldest_leave_for_the_newest)
{
	char id[32];
	uint64_t n;

	for (n = 1; n <= 1000; n++)
		ck_assert(publish(n, 5) == (n > SIZE));
	for (n = 1; n <= 1000; n++) {
		snprintf(id, sizeof(id), "file-%llu", (unsigned long long)n);
		ck_assert(is_found(id) == (n > 1000 - SIZE));
	}
	/* one that is booked late has no place any more */
	ck_assert(!publish(7, 5));
	ck_assert(!is_found("file-7"));
	ck_assert(is_found("file-999"));
}
END_TEST

START_TEST(an_account_sees_its_own_in_order)
{
	struct pub_object o;
	uint64_t n;

	for (n = 1; n <= 12; n++)
		publish(n, n % 2 == 0 ? 5 : 6);
	/* 5 .. 12 are there */
	ck_assert(
	    pub_object_next(fixture, 5, OBJECT_FILE, UINT64_MAX, false, &o));
	ck_assert_uint_eq(o.number, 12);
	ck_assert(pub_object_next(fixture, 5, OBJECT_FILE, 12, false, &o));
	ck_assert_uint_eq(o.number, 10);
	ck_assert(!pub_object_next(fixture, 5, OBJECT_FILE, 6, false, &o));
	ck_assert(pub_object_next(fixture, 6, OBJECT_FILE, 0, true, &o));
	ck_assert_uint_eq(o.number, 5);
	ck_assert(pub_object_next(fixture, 6, OBJECT_FILE, 5, true, &o));
	ck_assert_uint_eq(o.number, 7);
	ck_assert(!pub_object_next(fixture, 6, OBJECT_FILE, 11, true, &o));
	ck_assert(
	    !pub_object_next(fixture, 5, OBJECT_BATCH, UINT64_MAX, false, &o));
	ck_assert(
	    !pub_object_next(fixture, 7, OBJECT_FILE, UINT64_MAX, false, &o));
	/* from where the beginning has left meanwhile, and from nowhere */
	ck_assert(pub_object_next(fixture, 5, OBJECT_FILE, 2, true, &o));
	ck_assert_uint_eq(o.number, 6);
	ck_assert(!pub_object_next(fixture, 5, OBJECT_FILE, 0, false, &o));
}
END_TEST

START_TEST(without_room_for_any_none_is_known)
{
	struct shm_sizes sizes = fixture_sizes;
	struct pub_object o = make(1, 5);
	bool left;

	fixture_tear_down();
	sizes.max_objects = 0;
	ck_assert_ptr_nonnull(mkdtemp(strcpy(fixture_dir, "/tmp/hubd-XXXXXX")));
	fixture = shm_create(fixture_dir, &sizes);
	pub_object_write(fixture, &o, &left);
	ck_assert(!left && !is_found("file-1"));
	ck_assert(
	    !pub_object_next(fixture, 5, OBJECT_FILE, UINT64_MAX, false, &o));
}
END_TEST

/* The writer goes round and round, and is killed anywhere. Number 8 stays. */
START_TEST(readers_find_what_is_there_while_a_writer_is_killed)
{
	int round, i, found = 0;
	uint64_t n;
	pid_t pid;

	for (round = 0; round < 20; round++) {
		publish(8, 5);
		if ((pid = fork()) == 0) {
			for (n = 1;; n = n % 7 + 1) {
				pub_object_clear(fixture, (uint32_t)n);
				publish(n, 5);
			}
		}
		for (i = 0; i < 2000; i++)
			found += is_found("file-8");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		/* what a new writer finds it can go on with */
		for (n = 1; n <= 7; n++) {
			pub_object_clear(fixture, (uint32_t)n);
			publish(n, 5);
		}
		for (i = 1; i <= 8; i++) {
			char id[32];

			snprintf(id, sizeof(id), "file-%d", i);
			ck_assert(is_found(id));
		}
	}
	ck_assert_int_eq(found, 40000);
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, ids_are_kept_until_there_is_no_room);
	tcase_add_test(tc, what_is_no_id_is_not_kept);
	tcase_add_test(tc, a_broken_part_is_not_believed);
	tcase_add_test(tc, objects_are_found_until_they_are_removed);
	tcase_add_test(tc, a_change_of_one_is_seen);
	tcase_add_test(tc, the_oldest_leave_for_the_newest);
	tcase_add_test(tc, an_account_sees_its_own_in_order);
	tcase_add_test(tc, without_room_for_any_none_is_known);
	tcase_add_test(tc, readers_find_what_is_there_while_a_writer_is_killed);
}

int
main(void)
{
	return (fixture_main("objtab", add));
}

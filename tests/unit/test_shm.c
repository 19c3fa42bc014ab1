/* Shared memory: the files, processes, epochs, registry, published tables. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "shm/counters.h"
#include "shm/pubtab.h"
#include "shm/registry.h"
#include "tests/unit/shm_fixture.h"

START_TEST(files_are_made_once_and_attach)
{
	struct shm *s;
	int run, pub;

	ck_assert_ptr_null(shm_create(fixture_dir, &fixture_sizes));
	ck_assert_int_eq(access(fixture_path("hubd.run"), F_OK), 0);
	run = open(fixture_path("hubd.run"), O_RDWR);
	pub = open(fixture_path("hubd.pub"), O_RDONLY);
	s = shm_attach(run, pub, SHM_RUN_RW_PUB_RO);
	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(s->sizes.max_calls, 64);
	/* what was opened read-only cannot be made writable */
	ck_assert_int_eq(mprotect(s->pub, 4096, PROT_READ | PROT_WRITE), -1);
	shm_detach(s);
	s = shm_open_readonly(fixture_dir);
	ck_assert_ptr_nonnull(s);
	shm_detach(s);
	ck_assert_ptr_null(shm_open_readonly("/nonexistent"));
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(a_file_that_is_not_ours_is_refused_and_put_aside)
{
	const char *path = fixture_path("hubd.run");
	char command[128];
	struct shm *s;

	fixture->run->layout++;
	ck_assert_ptr_null(shm_open_old(path));
	ck_assert_int_eq(errno, ENOEXEC);
	fixture->run->layout--;
	fixture->run->sizes.max_calls = UINT32_MAX;
	ck_assert_ptr_null(shm_open_old(path));
	fixture->run->sizes.max_calls = 64;
	fixture->run->table_at[SHM_T_CALL] += 64;
	ck_assert_ptr_null(shm_open_old(path));
	fixture->run->table_at[SHM_T_CALL] -= 64;
	atomic_store(&fixture->run->ready, 0);
	ck_assert_ptr_null(shm_open_old(path));
	atomic_store(&fixture->run->ready, 1);
	s = shm_open_old(path);
	ck_assert_ptr_nonnull(s);
	shm_detach(s);
	ck_assert_int_eq(shm_retire(path), 0);
	ck_assert_ptr_null(shm_open_old(fixture_path("hubd.run")));
	ck_assert_int_eq(errno, ENOENT);
	snprintf(command, sizeof(command), "rm %s/hubd.run.unreadable.*",
	    fixture_dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(in_an_old_file_everybody_is_dead)
{
	process_ref_t w = fixture_process(ROLE_WORKER);
	struct shm *s = shm_open_old(fixture_path("hubd.run"));

	ck_assert_ptr_nonnull(s);
	ck_assert(!process_is_live(s, w));
	ck_assert_int_eq(
	    process_state_of(&process_rows(s)[w.row]), PROCESS_DEAD);
	shm_detach(s);
}
END_TEST

START_TEST(a_dead_workers_row_waits_to_be_settled)
{
	process_ref_t a = fixture_process(ROLE_WORKER), b;
	process_ref_t admin;

	ck_assert(process_is_live(fixture, a));
	process_died(fixture, a.row);
	ck_assert(!process_is_live(fixture, a));
	b = fixture_process(ROLE_WORKER);
	ck_assert_uint_ne(b.row, a.row);
	process_settled(fixture, a.row);
	b = fixture_process(ROLE_WORKER);
	ck_assert_uint_eq(b.row, a.row);
	ck_assert_uint_ne(b.generation, a.generation);
	ck_assert(!process_is_live(fixture, a));
	admin = fixture_process(ROLE_ADMIN);
	process_died(fixture, admin.row);
	ck_assert_uint_eq(fixture_process(ROLE_BILLING).row, admin.row);
}
END_TEST

START_TEST(rows_of_processes_run_out)
{
	uint32_t i;

	for (i = SHM_OTHER_PROCS; i < fixture_sizes.nprocs; i++)
		process_died(fixture, fixture_process(ROLE_WORKER).row);
	ck_assert_int_eq(process_take(fixture, ROLE_WORKER, 0), -1);
	/* who frees them has a place of its own */
	ck_assert_uint_lt(fixture_process(ROLE_BILLING).row, SHM_OTHER_PROCS);
	ck_assert_int_eq(process_take(fixture, ROLE_WORKER, 0), -1);
}
END_TEST

static struct price_blob *
blob_of(uint64_t version)
{
	struct price_blob *b = calloc(1, sizeof(*b));

	b->size = sizeof(*b);
	b->version = version;
	return (b);
}

static bool
publish(uint64_t version)
{
	struct price_blob *b = blob_of(version);
	bool ok = pub_prices_publish(fixture, b);

	free(b);
	return (ok);
}

START_TEST(a_price_buffer_waits_for_its_readers)
{
	process_ref_t w = fixture_process(ROLE_WORKER);
	struct process_row *row = &process_rows(fixture)[w.row];
	const struct price_blob *pinned;

	ck_assert_ptr_null(pub_prices(fixture));
	ck_assert(publish(1));
	process_awake(fixture, row);
	pinned = pub_prices(fixture);
	ck_assert_uint_eq(pinned->version, 1);
	ck_assert(publish(2));
	ck_assert(publish(3));
	/* version 1 is being read, 2 was left behind it, 3 is in force */
	ck_assert(!publish(4));
	ck_assert_uint_eq(pinned->version, 1);
	process_asleep(row);
	ck_assert(publish(4));
	process_awake(fixture, row);
	ck_assert(publish(5));
	process_died(fixture, w.row);
	ck_assert(publish(6) && publish(7) && publish(8));
	ck_assert_uint_eq(pub_prices(fixture)->version, 8);
}
END_TEST

static void
hash_of(uint8_t hash[32], unsigned n)
{
	memset(hash, 0, 32);
	memcpy(hash, &(uint32_t){n * 2654435761u}, 4);
	memcpy(hash + 4, &n, 4);
	memcpy(hash + 28, &n, 4);
}

START_TEST(keys_are_found_by_either_hash_while_it_is_good)
{
	struct pub_key k = {.number = 7, .old_until_ms = 1000}, got;
	uint8_t unknown[32];
	uint32_t row;

	hash_of(k.hash, 1);
	hash_of(k.old_hash, 2);
	hash_of(unknown, 3);
	ck_assert(!pub_key_find(fixture, k.hash, 0, &row, &got));
	pub_key_write(fixture, 5, &k);
	ck_assert(!pub_key_find(fixture, k.hash, 0, &row, &got));
	ck_assert(pub_key_index(fixture, k.hash, 5));
	ck_assert(pub_key_index(fixture, k.old_hash, 5));
	ck_assert(pub_key_find(fixture, k.hash, 5000, &row, &got));
	ck_assert_uint_eq(row, 5);
	ck_assert_uint_eq(got.number, 7);
	ck_assert(pub_key_find(fixture, k.old_hash, 999, &row, &got));
	ck_assert(!pub_key_find(fixture, k.old_hash, 1000, &row, &got));
	ck_assert(!pub_key_find(fixture, unknown, 0, &row, &got));
	unknown[31] ^= 1;
	memcpy(unknown, k.hash, 31);
	unknown[31] = (uint8_t)~k.hash[31];
	ck_assert(!pub_key_find(fixture, unknown, 0, &row, &got));
}
END_TEST

START_TEST(the_index_outlives_any_number_of_rotations)
{
	struct pub_key k = {0}, got;
	uint32_t row, n;

	for (n = 1; n < 4000; n++) {
		memcpy(k.old_hash, k.hash, 32);
		k.old_until_ms = n > 32 ? INT64_MAX : 0;
		hash_of(k.hash, n);
		pub_key_write(fixture, n % 32, &k);
		ck_assert(pub_key_index(fixture, k.hash, n % 32));
		ck_assert(pub_key_find(fixture, k.hash, 0, &row, &got));
		ck_assert_uint_eq(row, n % 32);
	}
	for (; n < 8000; n++) { /* of one key alone */
		memcpy(k.old_hash, k.hash, 32);
		hash_of(k.hash, n);
		pub_key_write(fixture, 7, &k);
		ck_assert(pub_key_index(fixture, k.hash, 7));
		ck_assert(pub_key_index(fixture, k.old_hash, 7));
		ck_assert(pub_key_find(fixture, k.hash, 0, &row, &got));
		ck_assert(pub_key_find(fixture, k.old_hash, 0, &row, &got));
	}
}
END_TEST

START_TEST(balances_do_not_wake_those_who_watch_for_changes)
{
	struct pub_account a = {.id = 3, .balance = "1.5"}, got;
	uint64_t v;

	pub_account_write(fixture, 2, &a, 1500000000);
	v = atomic_load(&shm_pub_state(fixture)->keys_version);
	strcpy(a.balance, "1.25");
	pub_account_write(fixture, 2, &a, 1250000000);
	ck_assert_uint_eq(
	    atomic_load(&shm_pub_state(fixture)->keys_version), v);
	ck_assert_int_eq(atomic_load(pub_available(fixture, 2)), 1250000000);
	ck_assert(pub_account_read(fixture, 2, &got));
	ck_assert_str_eq(got.balance, "1.25");
	ck_assert_uint_eq(atomic_load(&shm_pub_state(fixture)->naccounts), 3);
	a.disabled = 1;
	pub_account_write(fixture, 2, &a, 0);
	ck_assert_uint_gt(
	    atomic_load(&shm_pub_state(fixture)->keys_version), v);
	ck_assert(!pub_account_read(fixture, 1, &got));
}
END_TEST

START_TEST(agents_are_found_unless_revoked)
{
	struct pub_agent a = {.id = 9}, got;
	uint32_t row;

	hash_of(a.token_hash, 4);
	pub_agent_write(fixture, 3, &a);
	ck_assert(pub_agent_find(fixture, a.token_hash, &row, &got));
	ck_assert_uint_eq(row, 3);
	ck_assert(pub_agent_by_id(fixture, 9, &row, &got));
	a.revoked = 1;
	pub_agent_write(fixture, 3, &a);
	ck_assert(!pub_agent_find(fixture, a.token_hash, &row, &got));
	ck_assert(!pub_agent_by_id(fixture, 9, &row, &got));
}
END_TEST

START_TEST(the_registry_skips_the_dead)
{
	process_ref_t w = fixture_process(ROLE_WORKER);
	static struct registry_announce a = {.agent = 1, .name = "edge"}, got;

	ck_assert(!registry_usable(fixture, w.row, 0));
	ck_assert(!registry_read(fixture, w.row, 0, &got));
	registry_announce(fixture, w, 0, &a);
	registry_set_links(fixture, w, 0, 2, 1);
	atomic_store(&registry_at(fixture, w.row, 0)->calls, 5);
	ck_assert(registry_usable(fixture, w.row, 0));
	ck_assert(registry_read(fixture, w.row, 0, &got));
	ck_assert_str_eq(got.name, "edge");
	ck_assert_uint_eq(registry_load(fixture, 0), 5);
	registry_set_links(fixture, w, 0, 2, 2);
	ck_assert(!registry_usable(fixture, w.row, 0));
	registry_set_links(fixture, w, 0, 2, 0);
	process_died(fixture, w.row);
	ck_assert(!registry_usable(fixture, w.row, 0));
	ck_assert(!registry_read(fixture, w.row, 0, &got));
	ck_assert_uint_eq(registry_load(fixture, 0), 0);
	process_settled(fixture, w.row);
	w = fixture_process(ROLE_WORKER);
	registry_set_links(fixture, w, 0, 1, 0);
	ck_assert(!registry_read(fixture, w.row, 0, &got));
	ck_assert_uint_eq(registry_load(fixture, 0), 0);
	registry_clear(fixture, w.row);
	ck_assert(!registry_usable(fixture, w.row, 0));
}
END_TEST

/* Every published copy is of one kind; a reader never sees a mixture. */
START_TEST(readers_see_whole_rows_while_a_writer_is_killed)
{
	struct pub_agent a, got;
	int i, round, reads = 0;
	pid_t pid;

	memset(&a, 'a', sizeof(a));
	pub_agent_write(fixture, 0, &a);
	for (round = 0; round < 20; round++) {
		if ((pid = fork()) == 0) {
			for (i = 0;; i++) {
				memset(&a, 'a' + i % 26, sizeof(a));
				pub_agent_write(fixture, 0, &a);
			}
		}
		for (i = 0; i < 2000; i++, reads++) {
			const char *p = (const char *)&got;

			ck_assert(pub_agent_read(fixture, 0, &got));
			ck_assert(memcmp(p, p + 1, sizeof(got) - 1) == 0);
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	ck_assert_int_eq(reads, 40000);
}
END_TEST

START_TEST(counters_of_the_dead_still_count)
{
	struct counter_row *rows = counter_rows(fixture);
	uint64_t bucket[HIST_BUCKETS], sum;

	counter_add(&rows[3], COUNT_requests, 2);
	counter_add(&rows[4], COUNT_requests, 3);
	ck_assert_uint_eq(counter_sum(fixture, COUNT_requests), 5);
	histogram_add(&rows[3], HIST_added, 16);
	histogram_add(&rows[3], HIST_added, 17);
	histogram_add(&rows[4], HIST_added, INT64_MAX / 2);
	histogram_sum(fixture, HIST_added, bucket, &sum);
	ck_assert_uint_eq(bucket[0], 1);
	ck_assert_uint_eq(bucket[1], 1);
	ck_assert_uint_eq(bucket[HIST_BUCKETS - 1], 1);
	ck_assert_str_eq(
	    counter_infos[COUNT_booked].name, "hubd_rows_booked_total");
	ck_assert_str_eq(
	    histogram_infos[HIST_commit].name, "hubd_commit_seconds");
}
END_TEST

START_TEST(model_names_are_capped_and_nothing_is_lost)
{
	struct counter_row *rows = counter_rows(fixture);
	static struct model_sum sums[MODEL_COUNTS];
	uint64_t input = 0, cost = 0;
	char model[100];
	unsigned i, n;

	ck_assert_uint_eq(model_count_sums(fixture, sums), 0);
	for (i = 0; i < 100; i++) {
		snprintf(model, sizeof(model), "m%u", i);
		model_count_add(&rows[i & 1], model, "p", 2, 1, i);
		model_count_add(&rows[i & 1], model, "p", 1, 0, 0);
	}
	memset(model, 'x', sizeof(model) - 1);
	model[sizeof(model) - 1] = '\0';
	model_count_add(&rows[0], model, "p", 7, 0, 0);
	n = model_count_sums(fixture, sums);
	ck_assert_uint_eq(n, MODEL_COUNTS);
	ck_assert_str_eq(sums[n - 1].model, "other");
	ck_assert_uint_eq(sums[0].input, 3);
	for (i = 0; i < n; i++) {
		input += sums[i].input;
		cost += sums[i].cost_nano;
	}
	ck_assert_uint_eq(input, 307);
	ck_assert_uint_eq(cost, 4950);
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, model_names_are_capped_and_nothing_is_lost);
	tcase_add_test(tc, files_are_made_once_and_attach);
	tcase_add_test(tc, a_file_that_is_not_ours_is_refused_and_put_aside);
	tcase_add_test(tc, in_an_old_file_everybody_is_dead);
	tcase_add_test(tc, a_dead_workers_row_waits_to_be_settled);
	tcase_add_test(tc, rows_of_processes_run_out);
	tcase_add_test(tc, a_price_buffer_waits_for_its_readers);
	tcase_add_test(tc, keys_are_found_by_either_hash_while_it_is_good);
	tcase_add_test(tc, the_index_outlives_any_number_of_rotations);
	tcase_add_test(tc, balances_do_not_wake_those_who_watch_for_changes);
	tcase_add_test(tc, agents_are_found_unless_revoked);
	tcase_add_test(tc, the_registry_skips_the_dead);
	tcase_add_test(tc, readers_see_whole_rows_while_a_writer_is_killed);
	tcase_add_test(tc, counters_of_the_dead_still_count);
}

int
main(void)
{
	return (fixture_main("shm", add));
}

/* From call rows to ledger rows: each admitted call once, to the digit. */
#include "common/alloc.h"
#include "common/crc32.h"
#include "shm/objtab.h"
#include "tests/unit/billing_fixture.h"

static struct ledger_row last;

static void
keep_row(void *arg, const struct ledger_row *r)
{
	last = *r;
}

/* The only row there is. */
static const struct ledger_row *
only_row(void)
{
	struct ledger_filter f = {.limit = 10};

	ck_assert_uint_eq(ledger_null_rows(billing.store), 1);
	billing.ops->each_row(billing.store, &f, keep_row, NULL);
	return (&last);
}

START_TEST(a_final_row_is_booked_to_the_last_digit)
{
	struct call_fixed f = call_fixed();
	call_ref_t ref = call_finished(&f, 1234567, 89);
	const struct ledger_row *r;
	struct ledger_account a;

	settle_all();
	ck_assert_int_eq(state_of_call(ref), CALL_BOOKED);
	r = only_row();
	ck_assert_str_eq(r->amount, "1.8520285");
	ck_assert_str_eq(r->outcome, "complete");
	ck_assert_str_eq(r->agent, "edge-1");
	ck_assert_str_eq(r->price, "m");
	ck_assert_int_eq(strncmp(r->key, "key_", 4), 0);
	ck_assert_int_eq(r->duration_ms, 250);
	a = account();
	ck_assert_str_eq(a.balance, "3.1479715");
	ck_assert_str_eq(a.spent, "1.8520285");
	ck_assert_int_eq(atomic_load(pub_available(fixture, 0)), 3147971500);
	ck_assert_uint_eq(counter_sum(fixture, COUNT_tok_input), 1234567);
	ck_assert_uint_eq(counter_sum(fixture, COUNT_cost_nano), 1852028500);
}
END_TEST

START_TEST(rows_of_the_living_that_are_not_final_are_left_alone)
{
	struct call_fixed f = call_fixed();
	call_ref_t taken = call_taken(), opened = call_opened(&f);

	settle_all();
	ck_assert_int_eq(state_of_call(taken), CALL_TAKEN);
	ck_assert_int_eq(state_of_call(opened), CALL_OPEN);
	ck_assert_uint_eq(ledger_null_rows(billing.store), 0);
}
END_TEST

START_TEST(a_dead_workers_rows_are_settled_and_its_row_freed)
{
	struct call_fixed f = call_fixed(), g = call_fixed();
	struct call_progress p = call_seen(1000, 10);
	call_ref_t taken = call_taken(), opened = call_opened(&f);
	call_ref_t final = call_finished(&g, 1000, 0);

	call_set_progress(call_at(fixture, opened), &p);
	cell_add_money(
	    fixture, cell_of_account(fixture, 0), worker, (nanousd_t){3000000});
	process_died(fixture, worker.row);
	settle_all();
	ck_assert_int_eq(state_of_call(taken), CALL_FREE);
	ck_assert_int_eq(state_of_call(opened), CALL_FREE);
	ck_assert_int_eq(state_of_call(final), CALL_FREE);
	ck_assert_uint_eq(ledger_null_rows(billing.store), 2);
	ck_assert_str_eq(account().spent, "0.00302");
	ck_assert_uint_eq(counter_sum(fixture, COUNT_orphaned), 1);
	ck_assert_int_eq(cells_held(fixture, cell_of_account(fixture, 0)).n, 0);
	ck_assert_int_eq(
	    process_state_of(&process_rows(fixture)[worker.row]), PROCESS_FREE);
}
END_TEST

START_TEST(workers_that_left_nothing_are_settled_though_the_store_is_away)
{
	cell_add_money(fixture, 0, worker, (nanousd_t){1000000});
	process_died(fixture, worker.row);
	billing.stage = STAGE_OPEN;
	intake_sweep(&billing);
	ck_assert_int_eq(
	    process_state_of(&process_rows(fixture)[worker.row]), PROCESS_FREE);
	ck_assert_int_eq(cells_held(fixture, 0).n, 0);
	billing.stage = STAGE_SERVING;
}
END_TEST

START_TEST(what_a_dead_worker_holds_counts_until_its_rows_are_booked)
{
	struct call_fixed f = call_fixed();

	call_finished(&f, 1000, 0);
	cell_add_money(
	    fixture, cell_of_account(fixture, 0), worker, (nanousd_t){1500000});
	process_died(fixture, worker.row);
	ledger_null_set_down(billing.store, true);
	settle_all();
	ck_assert_int_eq(
	    cells_held(fixture, cell_of_account(fixture, 0)).n, 1500000);
	ck_assert_int_eq(
	    process_state_of(&process_rows(fixture)[worker.row]), PROCESS_DEAD);
}
END_TEST

START_TEST(a_store_that_is_away_loses_nothing)
{
	struct call_fixed f = call_fixed();
	call_ref_t ref = call_finished(&f, 1000, 0);

	ledger_null_set_down(billing.store, true);
	settle_all();
	ck_assert_int_eq(state_of_call(ref), CALL_FINAL);
	ck_assert(store_waits(&billing));
	ck_assert_uint_eq(atomic_load(&shm_pub_state(fixture)->store_ok), 0);
	ledger_null_set_down(billing.store, false);
	billing.retry_at = monotime_now();
	settle_all();
	ck_assert_int_eq(state_of_call(ref), CALL_BOOKED);
	ck_assert_uint_eq(atomic_load(&shm_pub_state(fixture)->store_ok), 1);
	ck_assert_str_eq(only_row()->amount, "0.0015");
}
END_TEST

/* As after a kill between the commit and BOOKED. */
START_TEST(a_row_that_is_booked_twice_is_charged_once)
{
	struct call_fixed f = call_fixed();
	call_ref_t first = call_finished(&f, 1000, 0);
	call_ref_t again = call_finished(&f, 1000, 0);

	settle_all();
	ck_assert_int_eq(state_of_call(first), CALL_BOOKED);
	ck_assert_int_eq(state_of_call(again), CALL_BOOKED);
	ck_assert_str_eq(only_row()->amount, "0.0015");
	ck_assert_str_eq(account().spent, "0.0015");
	ck_assert_uint_eq(suspended(), 0);
}
END_TEST

START_TEST(a_row_that_differs_from_the_booked_one_goes_to_suspense)
{
	struct call_fixed f = call_fixed();
	call_ref_t other;

	call_finished(&f, 1000, 0);
	other = call_finished(&f, 2000, 0);
	settle_all();
	ck_assert_int_eq(state_of_call(other), CALL_BOOKED);
	ck_assert_uint_eq(suspended(), 1);
	ck_assert_str_eq(account().spent, "0.0015");
}
END_TEST

static void
spoil_crc(struct call_row *row)
{
	row->fixed.hold.n++;
}

static void
spoil_usage(struct call_row *row)
{
	row->progress[0].usage.n[0] = row->progress[1].usage.n[0] =
	    USAGE_MAX_COUNT + 1;
}

static void
spoil_text(struct call_row *row)
{
	memset(row->route[0].model, 'x', sizeof(row->route[0].model));
	memset(row->route[1].model, 'x', sizeof(row->route[1].model));
}

static void
spoil_all(struct call_row *row)
{
	memset(&row->fixed, 0xa5, sizeof(row->fixed));
	memset(row->route, 0xa5, sizeof(row->route));
	memset(row->progress, 0xa5, sizeof(row->progress));
}

static void
spoil_price(struct call_row *row)
{
	row->route[0].price_at = row->route[1].price_at = 12345;
}

static void (*const spoils[])(struct call_row *) = {
    spoil_crc, spoil_usage, spoil_text, spoil_all, spoil_price};

START_TEST(garbage_goes_to_suspense_and_nothing_is_stuck)
{
	struct call_fixed f = call_fixed(), g = call_fixed();
	call_ref_t bad = call_finished(&f, 1000, 0);
	call_ref_t good = call_finished(&g, 1000, 0);

	spoils[_i](call_at(fixture, bad));
	settle_all();
	ck_assert_int_eq(state_of_call(bad), CALL_BOOKED);
	ck_assert_int_eq(state_of_call(good), CALL_BOOKED);
	ck_assert_uint_eq(suspended(), 1);
	ck_assert_uint_eq(counter_sum(fixture, COUNT_suspended), 1);
	ck_assert_str_eq(only_row()->amount, "0.0015");
}
END_TEST

START_TEST(an_account_that_is_unknown_goes_to_suspense)
{
	struct call_fixed f = call_fixed();
	call_ref_t ref;

	f.account = 77;
	ref = call_finished(&f, 1000, 0);
	settle_all();
	ck_assert_int_eq(state_of_call(ref), CALL_BOOKED);
	ck_assert_uint_eq(suspended(), 1);
	ck_assert_uint_eq(ledger_null_rows(billing.store), 0);
}
END_TEST

START_TEST(a_version_that_is_unknown_goes_to_suspense)
{
	struct call_fixed f = call_fixed();

	f.price_version = 99;
	call_finished(&f, 1000, 0);
	settle_all();
	ck_assert_uint_eq(suspended(), 1);
}
END_TEST

/* As workers admit it with unpriced = "free". */
START_TEST(what_was_admitted_without_a_price_costs_nothing_and_is_flagged)
{
	struct call_fixed f = call_fixed();

	f.price_version = 0;
	call_finished(&f, 1000, 0);
	settle_all();
	ck_assert_str_eq(only_row()->amount, "0");
	ck_assert(only_row()->unpriced_kinds);
	ck_assert_uint_eq(suspended(), 0);
}
END_TEST

START_TEST(a_call_without_usage_costs_nothing)
{
	struct call_fixed f = call_fixed();

	call_finished(&f, 0, 0);
	settle_all();
	ck_assert_str_eq(only_row()->amount, "0");
	ck_assert(!only_row()->unpriced_kinds);
}
END_TEST

START_TEST(the_version_that_was_pinned_is_billed)
{
	struct call_fixed f = call_fixed();
	char error[200] = "";

	write_prices("{\"m\":{\"input_cost_per_token\":3e-06,"
		     "\"output_cost_per_token\":2e-06}}");
	ck_assert_int_eq(
	    prices_reload(&billing, 7, false, error, sizeof(error)), 0);
	ck_assert_uint_eq(pub_prices(fixture)->version, 2);
	ck_assert_uint_eq(reloaded, 7);
	call_finished(&f, 1000, 0);
	settle_all();
	ck_assert_str_eq(only_row()->amount, "0.0015");
	ck_assert_uint_eq(only_row()->price_version, 1);
}
END_TEST

START_TEST(bad_price_files_leave_the_version_in_force)
{
	char error[200] = "";

	write_prices("{\"m\":{\"input_cost_per_token\":1}}");
	ck_assert_int_eq(
	    prices_reload(&billing, 1, false, error, sizeof(error)), -1);
	ck_assert_ptr_nonnull(strstr(error, "m"));
	write_prices("{");
	ck_assert_int_eq(
	    prices_reload(&billing, 1, true, error, sizeof(error)), -1);
	ck_assert_uint_eq(pub_prices(fixture)->version, 1);
}
END_TEST

/* The start's prices are from the files as they were before. */
START_TEST(a_reload_while_the_hub_starts_follows_the_start)
{
	char error[200] = "";

	billing.stage = STAGE_PRICES;
	write_prices("{\"m\":{\"input_cost_per_token\":3e-06,"
		     "\"output_cost_per_token\":2e-06}}");
	ck_assert_int_eq(
	    prices_reload(&billing, 7, false, error, sizeof(error)), 0);
	ck_assert_int_eq(
	    prices_reload(&billing, 8, false, error, sizeof(error)), 0);
	ck_assert_uint_eq(reloaded, 7); /* overtaken */
	ck_assert_uint_eq(pub_prices(fixture)->version, 1);
	billing_advance(&billing);
	ck_assert_int_eq(billing.stage, STAGE_SERVING);
	ck_assert_uint_eq(reloaded, 8);
	ck_assert_str_eq(reload_error, "");
	ck_assert_uint_eq(pub_prices(fixture)->version, 2);
}
END_TEST

START_TEST(an_early_reload_of_bad_files_is_answered)
{
	char error[200] = "";

	billing.stage = STAGE_PRICES;
	write_prices("{");
	ck_assert_int_eq(
	    prices_reload(&billing, 9, false, error, sizeof(error)), 0);
	billing_advance(&billing);
	ck_assert_int_eq(billing.stage, STAGE_SERVING);
	ck_assert_uint_eq(reloaded, 9);
	ck_assert_str_ne(reload_error, "");
	ck_assert_uint_eq(pub_prices(fixture)->version, 1);
}
END_TEST

START_TEST(checkpoints_follow_long_calls_and_go_with_the_booking)
{
	struct call_fixed f = call_fixed(), g = call_fixed();
	struct call_progress p = call_seen(1000, 0);
	call_ref_t ref;

	f.time_ns -= INT64_C(3000000000);
	ref = call_opened(&f);
	call_opened(&g);
	call_set_progress(call_at(fixture, ref), &p);
	checkpoint_run(&billing);
	ck_assert_uint_eq(ledger_null_checkpoints(billing.store), 1);
	p.outcome = OUTCOME_COMPLETE;
	call_final(call_at(fixture, ref), &p);
	settle_all();
	ck_assert_uint_eq(ledger_null_checkpoints(billing.store), 0);
	ck_assert_str_eq(only_row()->outcome, "complete");
}
END_TEST

START_TEST(a_checkpoint_without_its_call_is_billed_orphaned)
{
	struct call_fixed f = call_fixed(), g = call_fixed();
	struct call_progress p = call_seen(1000, 0);
	call_ref_t lost, alive;

	f.time_ns -= INT64_C(3000000000);
	g.time_ns = f.time_ns;
	lost = call_opened(&f);
	alive = call_opened(&g);
	call_set_progress(call_at(fixture, lost), &p);
	checkpoint_run(&billing);
	ck_assert_uint_eq(ledger_null_checkpoints(billing.store), 2);
	memset(&call_at(fixture, lost)->fixed.id, 0, sizeof(req_id_t));
	ck_assert_int_eq(checkpoint_leftovers(&billing), LEDGER_OK);
	ck_assert_str_eq(only_row()->outcome, "orphaned");
	ck_assert_str_eq(only_row()->amount, "0.0015");
	ck_assert_uint_eq(ledger_null_checkpoints(billing.store), 1);
	ck_assert_int_eq(state_of_call(alive), CALL_OPEN);
}
END_TEST

START_TEST(rows_of_an_old_file_are_billed_and_the_file_goes)
{
	struct call_fixed f = call_fixed(), g = call_fixed(), h = call_fixed();
	struct call_progress p = call_seen(1000, 0);
	char path[128];
	call_ref_t ref;

	call_taken();
	ref = call_opened(&f);
	call_set_progress(call_at(fixture, ref), &p);
	call_finished(&g, 1000, 0);
	ref = call_finished(&h, 1000, 0);
	call_book(fixture, ref);
	snprintf(path, sizeof(path), "%s", fixture_path("hubd.run.old.1"));
	ck_assert_int_eq(link(fixture_path("hubd.run"), path), 0);
	ck_assert_int_eq(oldrows_bill(&billing), LEDGER_OK);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_uint_eq(ledger_null_rows(billing.store), 3);
	ck_assert_str_eq(account().spent, "0.0045");
	ck_assert_uint_eq(
	    atomic_load(&shm_run_state(fixture)->old_rows_billed), 3);
}
END_TEST

/* ---- a file of layout 2 -------------------------------------------------- */

struct header_2 {
	uint64_t magic;
	uint32_t layout, header_size;
	uint64_t file_size;
	uint32_t sizes[6];
	char build[32], boot_id[40];
	int64_t created_ms;
	uint64_t table_at[13];
	uint32_t ready, pad;
};
#define PROCESSES_AT 4096
#define CALLS_AT     65536
#define CALL_2	     832
#define CALLS_2	     3

/* What a hub of before would have left of the rows that are here. */
static void
write_layout_2(const char *path, uint64_t calls_at)
{
	struct header_2 h = {.magic = SHM_RUN_MAGIC,
	    .layout = 2,
	    .header_size = sizeof(h),
	    .file_size = CALLS_AT + CALLS_2 * CALL_2,
	    .sizes = {2, fixture_sizes.nprocs, CALLS_2, 32, 16, 8},
	    .ready = 1};
	FILE *f = fopen(path, "w");
	struct call_row row;
	uint32_t i;

	ck_assert_uint_eq(sizeof(h), 240);
	h.table_at[SHM_T_PROCESS] = PROCESSES_AT;
	h.table_at[SHM_T_CALL] = calls_at;
	fwrite(&h, sizeof(h), 1, f);
	fseek(f, PROCESSES_AT, SEEK_SET);
	fwrite(process_rows(fixture), sizeof(struct process_row),
	    fixture_sizes.nprocs, f);
	fseek(f, CALLS_AT, SEEK_SET);
	for (i = 0; i < CALLS_2; i++) {
		memcpy(&row, &call_rows(fixture)[i], sizeof(row));
		row.fixed.version = 1;
		row.fixed.crc =
		    crc32_add(0, &row.fixed, offsetof(struct call_fixed, crc));
		fwrite(&row, CALL_2, 1, f);
	}
	fclose(f);
}

START_TEST(calls_of_an_older_layout_are_billed)
{
	struct call_fixed f = call_fixed(), g = call_fixed(), h = call_fixed();
	char path[128];

	call_finished(&f, 1000, 0);
	call_finished(&g, 0, 1000);
	call_opened(&h);
	snprintf(path, sizeof(path), "%s", fixture_path("hubd.run.old"));
	write_layout_2(path, CALLS_AT);
	ck_assert_int_eq(oldrows_bill(&billing), LEDGER_OK);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_uint_eq(ledger_null_rows(billing.store), 3);
	ck_assert_str_eq(account().spent, "0.0035");
	ck_assert_uint_eq(suspended(), 0);
}
END_TEST

START_TEST(an_older_file_that_lies_about_its_tables_is_kept)
{
	char path[128], command[256];

	snprintf(path, sizeof(path), "%s", fixture_path("hubd.run.old"));
	write_layout_2(path, CALLS_AT + 64);
	ck_assert_int_eq(oldrows_bill(&billing), LEDGER_OK);
	ck_assert_uint_eq(
	    atomic_load(&shm_run_state(fixture)->old_rows_unread), 1);
	ck_assert_uint_eq(ledger_null_rows(billing.store), 0);
	snprintf(command, sizeof(command), "rm %s.unreadable.*", path);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* ---- objects ------------------------------------------------------------- */

static call_ref_t
call_with_object(
    enum object_event event, enum object_kind kind, const char *id, bool final)
{
	struct call_object o = {.event = (uint8_t)event, .kind = (uint8_t)kind};
	struct call_progress p = call_seen(1000, 0);
	struct call_fixed f = call_fixed();
	call_ref_t ref = call_opened(&f);

	ck_assert(call_object_add(&o, span_str(id)));
	if (event == OBJECT_ENDED)
		ck_assert(call_object_add(&o, SPAN("file-out")));
	call_set_object(call_at(fixture, ref), &o);
	p.outcome = final ? OUTCOME_COMPLETE : OUTCOME_NONE;
	if (final)
		call_final(call_at(fixture, ref), &p);
	else
		call_set_progress(call_at(fixture, ref), &p);
	return (ref);
}

static bool
published(const char *id, struct pub_object *o)
{
	return (pub_object_find(fixture, span_str(id), o));
}

START_TEST(an_object_is_published_when_its_row_is_booked)
{
	struct pub_object o;
	call_ref_t ref =
	    call_with_object(OBJECT_CREATED, OBJECT_RESPONSE, "resp_1", true);

	ck_assert(!published("resp_1", &o));
	settle_all();
	ck_assert_int_eq(state_of_call(ref), CALL_BOOKED);
	ck_assert(published("resp_1", &o));
	ck_assert_uint_eq(o.account, 1);
	ck_assert_uint_eq(o.agent, 1);
	ck_assert_str_eq(o.provider, "openai");
	ck_assert_int_eq(o.kind, OBJECT_RESPONSE);
	call_with_object(OBJECT_DELETED, OBJECT_RESPONSE, "resp_1", true);
	settle_all();
	ck_assert(!published("resp_1", &o));
	ck_assert_uint_eq(ledger_null_rows(billing.store), 2);
}
END_TEST

START_TEST(the_object_of_a_worker_that_died_is_kept)
{
	struct pub_object o;

	call_with_object(OBJECT_CREATED, OBJECT_FILE, "file-1", false);
	settle_all();
	ck_assert(!published("file-1", &o));
	process_died(fixture, worker.row);
	settle_all();
	ck_assert(published("file-1", &o));
	ck_assert_str_eq(only_row()->outcome, "orphaned");
}
END_TEST

START_TEST(an_attempt_that_is_made_anew_has_made_nothing)
{
	call_ref_t ref =
	    call_with_object(OBJECT_CREATED, OBJECT_FILE, "file-1", false);
	struct call_progress p = call_seen(1000, 0);
	struct pub_object o;

	call_set_object(call_at(fixture, ref), NULL);
	p.outcome = OUTCOME_FAILED;
	call_final(call_at(fixture, ref), &p);
	settle_all();
	ck_assert_int_eq(state_of_call(ref), CALL_BOOKED);
	ck_assert(!published("file-1", &o));
}
END_TEST

START_TEST(a_batch_is_billed_when_its_end_is_seen_and_once)
{
	struct pub_object o;

	call_with_object(OBJECT_CREATED, OBJECT_BATCH, "batch_1", true);
	settle_all();
	ck_assert_str_eq(account().spent, "0.0015");
	ck_assert(published("batch_1", &o) && !o.billed);
	call_with_object(OBJECT_ENDED, OBJECT_BATCH, "batch_1", true);
	call_with_object(OBJECT_ENDED, OBJECT_BATCH, "batch_1", true);
	settle_all();
	ck_assert_str_eq(account().spent, "0.003");
	ck_assert_uint_eq(ledger_null_rows(billing.store), 3);
	ck_assert_uint_eq(counter_sum(fixture, COUNT_cost_nano), 3000000);
	ck_assert(published("batch_1", &o) && o.billed);
	ck_assert(published("file-out", &o));
	ck_assert_int_eq(o.kind, OBJECT_FILE);
}
END_TEST

START_TEST(an_end_that_nobody_was_told_of_is_billed_with_the_next)
{
	struct pub_object o;

	call_with_object(OBJECT_CREATED, OBJECT_BATCH, "batch_1", true);
	settle_all();
	call_with_object(OBJECT_ENDED, OBJECT_BATCH, "batch_1", false);
	process_died(fixture, worker.row);
	settle_all();
	ck_assert_str_eq(account().spent, "0.0015");
	ck_assert(published("batch_1", &o) && !o.billed);
	worker = fixture_process(ROLE_WORKER);
	call_with_object(OBJECT_ENDED, OBJECT_BATCH, "batch_1", true);
	settle_all();
	ck_assert_str_eq(account().spent, "0.003");
	ck_assert(published("batch_1", &o) && o.billed);
}
END_TEST

START_TEST(a_restart_publishes_what_the_store_has)
{
	struct pub_object stranger = {.number = 5, .account = 1, .kind = 1};
	struct pub_object o;
	bool left;

	call_with_object(OBJECT_CREATED, OBJECT_FILE, "file-1", true);
	call_with_object(OBJECT_CREATED, OBJECT_FILE, "file-2", true);
	settle_all();
	strcpy(stranger.id, "file-gone");
	pub_object_write(fixture, &stranger, &left);
	pub_object_remove(fixture, SPAN("file-2"));
	ck_assert_int_eq(objects_load(&billing), LEDGER_OK);
	ck_assert(published("file-1", &o));
	ck_assert(published("file-2", &o));
	ck_assert(!published("file-gone", &o));
	ledger_null_set_down(billing.store, true);
	ck_assert_int_eq(objects_load(&billing), LEDGER_DOWN);
}
END_TEST

START_TEST(the_oldest_objects_leave_and_are_counted)
{
	struct pub_object o;
	char id[16];
	unsigned i;

	for (i = 1; i <= 10; i++) {
		snprintf(id, sizeof(id), "resp_%u", i);
		call_with_object(OBJECT_CREATED, OBJECT_RESPONSE, id, true);
		settle_all();
	}
	ck_assert_uint_eq(counter_sum(fixture, COUNT_objects_left), 2);
	ck_assert(!published("resp_2", &o));
	ck_assert(published("resp_3", &o));
	ck_assert(published("resp_10", &o));
}
END_TEST

START_TEST(an_old_file_stays_while_the_store_is_away)
{
	struct call_fixed f = call_fixed();
	char path[128];

	call_finished(&f, 1000, 0);
	snprintf(path, sizeof(path), "%s", fixture_path("hubd.run.old.1"));
	ck_assert_int_eq(link(fixture_path("hubd.run"), path), 0);
	ledger_null_set_down(billing.store, true);
	ck_assert_int_eq(oldrows_bill(&billing), LEDGER_DOWN);
	ck_assert_int_eq(access(path, F_OK), 0);
	unlink(path);
}
END_TEST

START_TEST(a_thousand_rows_add_up)
{
	struct call_fixed f;
	unsigned i, n = 0;
	call_ref_t ref;

	for (i = 0; i < 1000; i++) {
		f = call_fixed();
		ref = call_finished(&f, 1, i % 3);
		settle_all();
		call_free(call_at(fixture, ref));
		n += i % 3;
	}
	ck_assert_uint_eq(n, 999);
	ck_assert_str_eq(account().spent, "0.003498");
	ck_assert_str_eq(account().balance, "4.996502");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("settle");
	TCase *t = tcase_create("settle");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, billing_set_up, billing_tear_down);
	tcase_add_test(t, a_final_row_is_booked_to_the_last_digit);
	tcase_add_test(t, rows_of_the_living_that_are_not_final_are_left_alone);
	tcase_add_test(t, a_dead_workers_rows_are_settled_and_its_row_freed);
	tcase_add_test(
	    t, workers_that_left_nothing_are_settled_though_the_store_is_away);
	tcase_add_test(
	    t, what_a_dead_worker_holds_counts_until_its_rows_are_booked);
	tcase_add_test(t, a_store_that_is_away_loses_nothing);
	tcase_add_test(t, a_row_that_is_booked_twice_is_charged_once);
	tcase_add_test(
	    t, a_row_that_differs_from_the_booked_one_goes_to_suspense);
	tcase_add_loop_test(t, garbage_goes_to_suspense_and_nothing_is_stuck, 0,
	    sizeof(spoils) / sizeof(spoils[0]));
	tcase_add_test(t, an_account_that_is_unknown_goes_to_suspense);
	tcase_add_test(t, a_version_that_is_unknown_goes_to_suspense);
	tcase_add_test(
	    t, what_was_admitted_without_a_price_costs_nothing_and_is_flagged);
	tcase_add_test(t, a_call_without_usage_costs_nothing);
	tcase_add_test(t, the_version_that_was_pinned_is_billed);
	tcase_add_test(t, bad_price_files_leave_the_version_in_force);
	tcase_add_test(t, a_reload_while_the_hub_starts_follows_the_start);
	tcase_add_test(t, an_early_reload_of_bad_files_is_answered);
	tcase_add_test(
	    t, checkpoints_follow_long_calls_and_go_with_the_booking);
	tcase_add_test(t, a_checkpoint_without_its_call_is_billed_orphaned);
	tcase_add_test(t, rows_of_an_old_file_are_billed_and_the_file_goes);
	tcase_add_test(t, calls_of_an_older_layout_are_billed);
	tcase_add_test(t, an_older_file_that_lies_about_its_tables_is_kept);
	tcase_add_test(t, an_object_is_published_when_its_row_is_booked);
	tcase_add_test(t, the_object_of_a_worker_that_died_is_kept);
	tcase_add_test(t, an_attempt_that_is_made_anew_has_made_nothing);
	tcase_add_test(t, a_batch_is_billed_when_its_end_is_seen_and_once);
	tcase_add_test(
	    t, an_end_that_nobody_was_told_of_is_billed_with_the_next);
	tcase_add_test(t, a_restart_publishes_what_the_store_has);
	tcase_add_test(t, the_oldest_objects_leave_and_are_counted);
	tcase_add_test(t, an_old_file_stays_while_the_store_is_away);
	tcase_add_test(t, a_thousand_rows_add_up);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

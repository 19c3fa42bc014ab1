/* Health, readiness and the hub's figures over small shared memory. */
#include <string.h>

#include "hubd/gauges.h"
#include "hubd/health.h"
#include "shm/call.h"
#include "shm/cells.h"
#include "shm/pubtab.h"
#include "shm/registry.h"
#include "tests/unit/shm_fixture.h"

static void
expect(bool ready, int status, const char *reason)
{
	struct buf body = {0};
	char part[64];

	snprintf(part, sizeof(part), "\"reason\":\"%s\"", reason);
	ck_assert_int_eq(hub_health(fixture, ready, &body), status);
	ck_assert_msg(
	    strstr(buf_cstr(&body), part) != NULL, "%s", buf_cstr(&body));
	ck_assert_ptr_nonnull(strstr(
	    buf_cstr(&body), status == 200 ? "\"status\":\"ok\""
					   : "\"status\":\"unavailable\""));
	buf_fini(&body);
}

static process_ref_t
beating_worker(void)
{
	process_ref_t w = fixture_process(ROLE_WORKER);

	process_beat(&process_rows(fixture)[w.row], monotime_now());
	return (w);
}

/* A hub that has been up for a minute, with one worker and one agent. */
static process_ref_t
serving_hub(void)
{
	struct pub_agent agent = {.id = 5, .name = "edge"};
	struct registry_announce announce = {.agent = 5, .name = "edge"};
	process_ref_t w = beating_worker();

	shm_run_state(fixture)->started_mono_ns =
	    monotime_now().ns - INT64_C(60000000000);
	pub_agent_write(fixture, 0, &agent);
	atomic_store(&shm_pub_state(fixture)->nagents, 1);
	atomic_store(&shm_pub_state(fixture)->loaded, 1);
	atomic_store(&shm_pub_state(fixture)->store_ok, 1);
	registry_announce(fixture, w, 0, &announce);
	registry_set_links(fixture, w, 0, 2, 0);
	return (w);
}

START_TEST(d12_a_serving_hub_is_healthy_and_ready)
{
	serving_hub();
	expect(false, 200, "");
	expect(true, 200, "");
	ck_assert_uint_eq(hub_agents_up(fixture), 1);
	ck_assert_uint_eq(hub_workers(fixture), 1);
	ck_assert_int_eq(hub_billing_silent_ms(fixture), -1);
}
END_TEST

START_TEST(a_billing_that_does_not_move_is_told)
{
	struct process_row *row;
	int64_t ms;

	serving_hub();
	row = &process_rows(fixture)[fixture_process(ROLE_BILLING).row];
	expect(false, 200, "");
	process_beat(row, monotime_add_ms(monotime_now(), -HUB_SILENT_MS - 1));
	ms = hub_billing_silent_ms(fixture);
	ck_assert(ms > HUB_SILENT_MS && ms < 2 * HUB_SILENT_MS);
	expect(false, 200, "billing does not move");
	expect(true, 200, "billing does not move");
}
END_TEST

START_TEST(before_the_first_load_it_is_alive_but_not_ready)
{
	serving_hub();
	atomic_store(&shm_pub_state(fixture)->loaded, 0);
	expect(false, 200, "loading");
	expect(true, 503, "loading");
}
END_TEST

START_TEST(d12_a_draining_hub_is_alive_but_not_ready)
{
	process_ref_t w = serving_hub();

	atomic_store(&shm_run_state(fixture)->draining, 1);
	expect(false, 200, "draining");
	expect(true, 503, "draining");
	/* even when its last worker has gone */
	process_died(fixture, w.row);
	expect(false, 200, "draining");
}
END_TEST

START_TEST(a_store_that_is_away_changes_nothing)
{
	serving_hub();
	atomic_store(&shm_pub_state(fixture)->store_ok, 0);
	expect(false, 200, "store is away");
	expect(true, 200, "store is away");
}
END_TEST

START_TEST(d12_without_an_agent_it_is_not_ready)
{
	process_ref_t w = serving_hub();
	struct pub_agent agent = {.id = 5, .name = "edge", .draining = 1};

	registry_set_links(fixture, w, 0, 2, 2);
	expect(true, 503, "no agent");
	registry_set_links(fixture, w, 0, 0, 0);
	expect(true, 503, "no agent");
	registry_set_links(fixture, w, 0, 1, 0);
	expect(true, 200, "");
	pub_agent_write(fixture, 0, &agent);
	expect(true, 503, "no agent");
	agent.draining = 0;
	agent.revoked = 1;
	pub_agent_write(fixture, 0, &agent);
	expect(true, 503, "no agent");
	expect(false, 200, "");
	ck_assert_uint_eq(hub_agents_up(fixture), 0);
}
END_TEST

START_TEST(a_call_table_nearly_full_is_not_ready)
{
	process_ref_t w = serving_hub();
	call_ref_t refs[64];
	uint32_t hint = 0, i;

	/* of 64 rows, 61 are more than 95 % */
	for (i = 0; i < 60; i++)
		ck_assert(call_take(fixture, w.row, &hint, &refs[i]));
	expect(true, 200, "");
	ck_assert(call_take(fixture, w.row, &hint, &refs[60]));
	expect(true, 503, "overloaded");
	expect(false, 200, "");
	call_free(call_at(fixture, refs[7]));
	expect(true, 200, "");
	ck_assert_uint_eq(hub_calls_open(fixture), 0);
}
END_TEST

START_TEST(a_hub_that_would_refuse_for_want_of_redis_is_not_ready)
{
	process_ref_t w = serving_hub();

	atomic_store(&process_rows(fixture)[w.row].limits, LIMITS_SHARE);
	expect(true, 200, "");
	atomic_store(&process_rows(fixture)[w.row].limits, LIMITS_NOBODY);
	expect(true, 503, "Redis is away");
	expect(false, 200, "");
	/* the worst that a worker says */
	atomic_store(
	    &process_rows(fixture)[beating_worker().row].limits, LIMITS_SHARED);
	expect(true, 503, "Redis is away");
}
END_TEST

START_TEST(a_hub_whose_workers_are_silent_wants_a_restart)
{
	process_ref_t w = serving_hub();
	monotime_t then = monotime_add_ms(monotime_now(), -31000);

	process_beat(&process_rows(fixture)[w.row], then);
	expect(false, 503, "no worker answers");
	expect(true, 503, "no worker answers");
	beating_worker();
	expect(false, 200, "");
	/* one that has just started is given its time */
	process_beat(&process_rows(fixture)[w.row], then);
	shm_run_state(fixture)->started_mono_ns = monotime_now().ns;
	expect(false, 200, "");
}
END_TEST

START_TEST(figures_count_the_living)
{
	process_ref_t w = serving_hub();
	struct pub_account account = {.id = 1, .name = "acme"};

	pub_account_write(fixture, 0, &account, 1000);
	atomic_store(&shm_pub_state(fixture)->naccounts, 1);
	cell_add_money(
	    fixture, cell_of_account(fixture, 0), w, (nanousd_t){250});
	atomic_store(&process_rows(fixture)[w.row].links, 3);
	ck_assert_int_eq(hub_held(fixture).n, 250);
	ck_assert_uint_eq(hub_links(fixture), 3);
	ck_assert_uint_eq(hub_price_version(fixture), 0);
	process_died(fixture, w.row);
	ck_assert_uint_eq(hub_links(fixture), 0);
	ck_assert_uint_eq(hub_workers(fixture), 0);
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, d12_a_serving_hub_is_healthy_and_ready);
	tcase_add_test(tc, before_the_first_load_it_is_alive_but_not_ready);
	tcase_add_test(tc, d12_a_draining_hub_is_alive_but_not_ready);
	tcase_add_test(tc, a_store_that_is_away_changes_nothing);
	tcase_add_test(tc, d12_without_an_agent_it_is_not_ready);
	tcase_add_test(tc, a_billing_that_does_not_move_is_told);
	tcase_add_test(tc, a_call_table_nearly_full_is_not_ready);
	tcase_add_test(
	    tc, a_hub_that_would_refuse_for_want_of_redis_is_not_ready);
	tcase_add_test(tc, a_hub_whose_workers_are_silent_wants_a_restart);
	tcase_add_test(tc, figures_count_the_living);
}

int
main(void)
{
	return (fixture_main("health", add));
}

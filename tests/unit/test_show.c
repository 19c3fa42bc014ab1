/* The documents and metrics that hubctl and admin make of shared memory. */
#include <string.h>

#include "hubd/admin/admin.h"
#include "hubd/ctl/ctl.h"
#include "hubd/gauges.h"
#include "hubd/price/price.h"
#include "shm/call.h"
#include "shm/cells.h"
#include "shm/counters.h"
#include "shm/pubtab.h"
#include "shm/registry.h"
#include "tests/unit/shm_fixture.h"

static struct buf text;

/* A document as a tree; the caller frees. */
static struct json *
document(void (*show)(const struct shm *, struct jout *))
{
	struct json *data;
	char error[100];
	struct jout j;

	buf_reset(&text, 0);
	jout_init(&j, &text);
	show(fixture, &j);
	data = json_parse(buf_span(&text), error, sizeof(error));
	ck_assert_msg(data != NULL, "%s: %s", error, buf_cstr(&text));
	return (data);
}

static void
publish_prices(void)
{
	static const char file[] =
	    "{\"gpt-4o\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\","
	    "\"input_cost_per_token\":2.5e-06,"
	    "\"output_cost_per_token\":1e-05},"
	    "\"azure/gpt-4o\":{\"litellm_provider\":\"azure\","
	    "\"mode\":\"chat\",\"input_cost_per_token\":3e-06,"
	    "\"output_cost_per_token\":1e-05},"
	    "\"other\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\","
	    "\"input_cost_per_token\":1e-06}}";
	const char *path = fixture_path("prices.json");
	struct price_blob *blob;
	char error[200];
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(file, f);
	fclose(f);
	ck_assert_msg(price_load(&path, 1, &blob, error, sizeof(error)) == 0,
	    "%s", error);
	unlink(path);
	blob->version = 7;
	price_blob_seal(blob);
	ck_assert(pub_prices_publish(fixture, blob));
	free(blob);
}

static void
announce(process_ref_t w)
{
	static struct registry_announce a = {.agent = 5,
	    .capacity = 10,
	    .nproviders = 2,
	    .name = "edge",
	    .version = "0.1.0",
	    .clock_skew_ms = -12,
	    .providers = {{.name = "main", .type = "openai", .nglobs = 2},
		{.name = "az", .type = "azure", .globs_at = 10, .nglobs = 1}},
	    .globs = "gpt-*\0o1*\0gpt-4o"};

	registry_announce(fixture, w, 0, &a);
	registry_set_links(fixture, w, 0, 2, 0);
	atomic_store(&registry_at(fixture, w.row, 0)->latency_us, 350000);
	atomic_store(&registry_at(fixture, w.row, 0)->calls, 1);
}

static void
open_call(process_ref_t w)
{
	struct call_fixed fixed = {.time_ms = walltime_ms(),
	    .time_ns = monotime_now().ns - 2000000000,
	    .price_version = 7,
	    .account = 1,
	    .key = 1,
	    .key_row = UINT32_MAX,
	    .endpoint = "chat.completions"};
	struct call_route route = {
	    .agent = 5, .attempts = 1, .provider = "main", .model = "gpt-4o"};
	uint32_t hint = 0;
	call_ref_t ref;

	ck_assert(
	    req_id_parse("01914b7e-8c21-7003-8001-5f0e3c9a77d1", &fixed.id));
	ck_assert(call_take(fixture, w.row, &hint, &ref));
	call_open(call_at(fixture, ref), &fixed);
	call_set_route(call_at(fixture, ref), &route);
}

/* A hub with everything in it once. */
static process_ref_t
hub(void)
{
	struct pub_agent agents[] = {
	    {.id = 5, .name = "edge", .models = "gpt-*,o1", .replicas = 2},
	    {.id = 6, .name = "gone", .revoked = 1}, {.id = 7, .name = "away"}};
	struct pub_account account = {.id = 1, .name = "acme"};
	struct pub_key key = {.number = 1, .id = "key_1", .rpm = 60};
	process_ref_t w;
	uint32_t i;

	fixture_process(ROLE_MASTER);
	w = fixture_process(ROLE_WORKER);
	for (i = 0; i < 3; i++)
		pub_agent_write(fixture, i, &agents[i]);
	pub_account_write(fixture, 0, &account, 1500000000);
	pub_key_write(fixture, 0, &key);
	atomic_store(&shm_pub_state(fixture)->nagents, 3);
	atomic_store(&shm_pub_state(fixture)->naccounts, 1);
	atomic_store(&shm_pub_state(fixture)->nkeys, 1);
	atomic_store(&shm_pub_state(fixture)->loaded, 1);
	cell_add_money(
	    fixture, cell_of_account(fixture, 0), w, (nanousd_t){250});
	publish_prices();
	announce(w);
	open_call(w);
	return (w);
}

static const struct json *
nth(const struct json *object, const char *member, int n)
{
	const struct json *v = json_get(object, member);

	ck_assert_ptr_nonnull(v);
	for (v = v->first; v != NULL && n > 0; n--)
		v = v->next;
	return (v);
}

START_TEST(status_has_what_scripts_rely_on)
{
	process_ref_t w = hub();
	struct json *s = document(show_status);
	const struct json *worker = nth(s, "workers", 0);

	ck_assert_str_eq(json_get_str(s, "version"), VERSION);
	ck_assert_int_eq(json_get_int(s, "price_version", 0), 7);
	ck_assert_int_eq(json_get_int(s, "agents", 0), 1);
	ck_assert_int_eq(json_get_int(s, "calls", 0), 1);
	ck_assert_ptr_nonnull(json_get(s, "pid"));
	ck_assert_ptr_nonnull(json_get(s, "uptime_s"));
	ck_assert_int_eq(json_get_int(worker, "generation", 0), w.generation);
	ck_assert_ptr_nonnull(json_get(json_get(s, "billing"), "pending"));
	ck_assert_ptr_nonnull(json_get_str(json_get(s, "billing"), "store"));
	json_free(s);
}
END_TEST

START_TEST(agents_are_known_ones_with_their_state)
{
	process_ref_t w = hub();
	struct json *s = document(show_agents);
	const struct json *a = nth(s, "agents", 0);

	ck_assert_str_eq(json_get_str(a, "name"), "edge");
	ck_assert_str_eq(json_get_str(a, "state"), "up");
	ck_assert_int_eq(json_get_int(a, "links", 0), 2);
	ck_assert_int_eq(json_get_int(a, "latency_ms", 0), 350);
	ck_assert_int_eq(json_get_int(a, "clock_skew_ms", 0), -12);
	ck_assert_str_eq(nth(a, "models", 1)->text, "o1*");
	ck_assert_str_eq(nth(a, "models", 2)->text, "gpt-4o");
	ck_assert_str_eq(nth(a, "providers", 1)->text, "az");
	ck_assert_str_eq(nth(a, "may_models", 0)->text, "gpt-*");
	ck_assert_str_eq(nth(a, "may_models", 1)->text, "o1");
	ck_assert_ptr_null(nth(a, "may_models", 2));
	ck_assert_ptr_null(nth(a, "may_providers", 0));
	ck_assert_int_eq(json_get_int(a, "replicas", 0), 2);
	/* the revoked one has gone, the other waits for its agent */
	a = nth(s, "agents", 1);
	ck_assert_str_eq(json_get_str(a, "name"), "away");
	ck_assert_str_eq(json_get_str(a, "state"), "down");
	ck_assert_ptr_null(nth(s, "agents", 2));
	json_free(s);

	registry_set_links(fixture, w, 0, 2, 2);
	s = document(show_agents);
	ck_assert_str_eq(
	    json_get_str(nth(s, "agents", 0), "state"), "draining");
	json_free(s);
	process_died(fixture, w.row);
	s = document(show_agents);
	ck_assert_str_eq(json_get_str(nth(s, "agents", 0), "state"), "down");
	json_free(s);
}
END_TEST

START_TEST(calls_are_shown_while_they_live)
{
	struct json *s;
	const struct json *c;

	hub();
	s = document(show_calls);
	c = nth(s, "calls", 0);
	ck_assert_str_eq(
	    json_get_str(c, "id"), "01914b7e-8c21-7003-8001-5f0e3c9a77d1");
	ck_assert_str_eq(json_get_str(c, "account"), "acme");
	ck_assert_str_eq(json_get_str(c, "agent"), "edge");
	ck_assert_str_eq(json_get_str(c, "model"), "gpt-4o");
	ck_assert_str_eq(json_get_str(c, "state"), "open");
	ck_assert_int_ge(json_get_int(c, "age_ms", 0), 2000);
	ck_assert_int_lt(json_get_int(c, "age_ms", 0), 60000);
	json_free(s);
}
END_TEST

START_TEST(models_are_priced_and_served)
{
	struct json *s;
	const struct json *m;

	hub();
	s = document(show_models);
	m = nth(s, "models", 0);
	ck_assert_str_eq(json_get_str(m, "model"), "gpt-4o");
	ck_assert_str_eq(json_get_str(m, "provider"), "openai");
	ck_assert_str_eq(json_get_str(m, "input"), "0.0000025");
	m = nth(s, "models", 1);
	ck_assert_str_eq(json_get_str(m, "price"), "azure/gpt-4o");
	ck_assert_str_eq(json_get_str(m, "model"), "gpt-4o");
	ck_assert_str_eq(json_get_str(m, "input"), "0.000003");
	ck_assert_ptr_null(nth(s, "models", 2));
	json_free(s);
}
END_TEST

START_TEST(limits_tell_what_is_left)
{
	struct json *s;
	const struct json *v;

	hub();
	s = document(show_limits);
	v = nth(s, "keys", 0);
	ck_assert_str_eq(json_get_str(v, "key"), "key_1");
	ck_assert_int_eq(json_get_int(v, "rpm_left", 0), 60);
	v = nth(s, "accounts", 0);
	ck_assert_str_eq(json_get_str(v, "available"), "1.5");
	ck_assert_str_eq(json_get_str(v, "held"), "0.00000025");
	json_free(s);
}
END_TEST

/* Neither has a cell that counts them: only concurrency has. */
START_TEST(limits_tell_calls_of_accounts_and_of_keys_with_rates_alone)
{
	struct json *s;

	hub();
	s = document(show_limits);
	ck_assert_int_eq(json_get_int(nth(s, "keys", 0), "calls", -1), 1);
	ck_assert_int_eq(json_get_int(nth(s, "accounts", 0), "calls", -1), 1);
	json_free(s);
}
END_TEST

/* Whatever billing does: nobody but the rows themselves is asked. */
START_TEST(finished_calls_are_pending_until_they_are_booked)
{
	struct call_progress p = {.outcome = OUTCOME_COMPLETE};
	struct call_row *row;
	call_ref_t ref = {0};
	struct json *s;

	hub();
	row = &call_rows(fixture)[0];
	ref.generation = call_word_generation(atomic_load(&row->word));
	call_final(row, &p);
	s = document(show_status);
	ck_assert_int_eq(
	    json_get_int(json_get(s, "billing"), "pending", -1), 1);
	json_free(s);
	ck_assert_uint_eq(hub_calls_pending(fixture), 1);
	ck_assert(call_book(fixture, ref));
	ck_assert_uint_eq(hub_calls_pending(fixture), 0);
}
END_TEST

START_TEST(workers_show_the_dead_until_they_are_settled)
{
	process_ref_t w = hub();
	struct json *s;

	process_last_words(&process_rows(fixture)[w.row], "assertion failed");
	process_died(fixture, w.row);
	s = document(show_workers);
	ck_assert_str_eq(json_get_str(nth(s, "workers", 0), "state"), "dead");
	ck_assert_str_eq(json_get_str(nth(s, "workers", 0), "last_words"),
	    "assertion failed");
	json_free(s);
	s = document(show_status);
	ck_assert_ptr_null(nth(s, "workers", 0));
	json_free(s);
}
END_TEST

START_TEST(metrics_sum_over_processes_and_count_seconds_exactly)
{
	process_ref_t w = hub();
	struct counter_row *rows = counter_rows(fixture);
	struct buf out = {0};
	const char *s;

	counter_add(&rows[w.row], COUNT_requests, 3);
	counter_add(&rows[w.row + 1], COUNT_requests, 4);
	histogram_add(&rows[w.row], HIST_commit, 16);
	histogram_add(&rows[w.row], HIST_commit, 17);
	histogram_add(&rows[w.row + 1], HIST_commit, INT64_C(3000000000));
	metrics_put(fixture, &out);
	s = buf_cstr(&out);
	ck_assert_ptr_nonnull(strstr(s, "\nhubd_requests_total 7\n"));
	ck_assert_ptr_nonnull(strstr(s, "_bucket{le=\"0.000016\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(s, "_bucket{le=\"0.000032\"} 2\n"));
	ck_assert_ptr_nonnull(strstr(s, "_bucket{le=\"1.048576\"} 2\n"));
	ck_assert_ptr_nonnull(
	    strstr(s, "hubd_commit_seconds_bucket{le=\"+Inf\"} 3\n"));
	ck_assert_ptr_nonnull(
	    strstr(s, "hubd_commit_seconds_sum 3000.000033\n"));
	ck_assert_ptr_nonnull(strstr(s, "hubd_commit_seconds_count 3\n"));
	ck_assert_ptr_nonnull(strstr(s, "\nhubd_calls 1\n"));
	ck_assert_ptr_nonnull(strstr(s, "\nhubd_held_nanodollars 250\n"));
	ck_assert_ptr_nonnull(
	    strstr(s, "hubd_build_info{version=\"" VERSION "\"} 1\n"));
	/* a name is declared once, however many series it has */
	s = strstr(s, "# TYPE hubd_calls_total counter\n");
	ck_assert_ptr_nonnull(s);
	ck_assert_ptr_null(strstr(s + 1, "# TYPE hubd_calls_total"));
	buf_fini(&out);
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, status_has_what_scripts_rely_on);
	tcase_add_test(tc, agents_are_known_ones_with_their_state);
	tcase_add_test(tc, calls_are_shown_while_they_live);
	tcase_add_test(tc, models_are_priced_and_served);
	tcase_add_test(tc, limits_tell_what_is_left);
	tcase_add_test(
	    tc, limits_tell_calls_of_accounts_and_of_keys_with_rates_alone);
	tcase_add_test(tc, finished_calls_are_pending_until_they_are_booked);
	tcase_add_test(tc, workers_show_the_dead_until_they_are_settled);
	tcase_add_test(
	    tc, metrics_sum_over_processes_and_count_seconds_exactly);
}

int
main(void)
{
	return (fixture_main("show", add));
}

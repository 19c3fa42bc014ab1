/* Routes: who may serve a model, at which price, and who is picked. */
#include <string.h>

#include "hubd/route/route.h"
#include "tests/unit/shm_fixture.h"

static process_ref_t me;
static struct router *router;

static void
publish_prices(const char *text)
{
	char path[96], error[256];
	const char *paths[] = {path};
	static uint64_t version;
	struct price_blob *blob;
	FILE *f;

	snprintf(path, sizeof(path), "%s/prices.json", fixture_dir);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_msg(price_load(paths, 1, &blob, error, sizeof(error)) == 0,
	    "%s", error);
	unlink(path);
	blob->version = ++version;
	price_blob_seal(blob);
	ck_assert(pub_prices_publish(fixture, blob));
	free(blob);
}

static void
set_up(void)
{
	me = fixture_process(ROLE_WORKER);
	router = router_new(fixture);
	publish_prices("{\"gpt-4o\":{\"litellm_provider\":\"openai\","
		       "\"input_cost_per_token\":0.0000025,"
		       "\"output_cost_per_token\":0.00001},"
		       "\"spare\":{\"litellm_provider\":\"openai\","
		       "\"input_cost_per_token\":0.000001}}");
}

static void
configure(const struct hub_route *routes, size_t n, const char *default_route,
    bool free_unpriced)
{
	const struct route_rules rules = {
	    routes, n, default_route, free_unpriced};

	router_configure(router, &rules);
}

static void
add_agent(uint32_t row, const char *name, const char *glob, const char *rights,
    uint32_t capacity)
{
	struct pub_agent agent = {.id = row + 1};
	struct registry_announce a = {.agent = row + 1,
	    .capacity = capacity,
	    .nproviders = 1,
	    .providers[0] = {
		.name = "openai", .type = "openai", .weight = 1, .nglobs = 1}};

	snprintf(agent.name, sizeof(agent.name), "%s", name);
	snprintf(agent.models, sizeof(agent.models), "%s", rights);
	snprintf(a.globs, sizeof(a.globs), "%s", glob);
	pub_agent_write(fixture, row, &agent);
	registry_announce(fixture, me, row, &a);
	registry_set_links(fixture, me, row, 1, 0);
}

static uint32_t
candidates(const char *model, enum api_error *error)
{
	struct route *r = router_find(router, model, DIALECT_OPENAI);
	uint32_t n = r->n;

	*error = r->error;
	route_unref(r);
	return (n);
}

START_TEST(a_model_nobody_knows_is_not_found)
{
	enum api_error error;

	set_up();
	ck_assert_uint_eq(candidates("no-such", &error), 0);
	ck_assert_int_eq(error, API_ERR_model_not_found);
}
END_TEST

START_TEST(a_priced_model_without_an_agent_says_so)
{
	enum api_error error;

	set_up();
	ck_assert_uint_eq(candidates("gpt-4o", &error), 0);
	ck_assert_int_eq(error, API_ERR_no_agent);
}
END_TEST

START_TEST(a_dialect_goes_to_providers_that_speak_it)
{
	struct route *r;

	set_up();
	add_agent(0, "a", "*", "", 0);
	r = router_find(router, "gpt-4o", DIALECT_ANTHROPIC);
	ck_assert_uint_eq(r->n, 0);
	ck_assert_int_eq(r->error, API_ERR_wrong_api);
	route_unref(r);
	r = router_find(router, "gpt-4o", DIALECT_AZURE);
	ck_assert_uint_eq(r->n, 1);
	route_unref(r);
	ck_assert(route_speaks("aws", DIALECT_BEDROCK));
	ck_assert(!route_speaks("azure", DIALECT_BEDROCK));
	ck_assert(!route_speaks("", DIALECT_BEDROCK));
}
END_TEST

START_TEST(the_default_route_takes_what_nobody_knows)
{
	enum api_error error;
	struct route *r;

	set_up();
	add_agent(0, "a", "*", "", 0);
	configure(NULL, 0, "spare", false);
	ck_assert_uint_eq(candidates("no-such", &error), 1);
	r = router_find(router, "no-such", DIALECT_OPENAI);
	ck_assert_str_eq(r->c[0].model, "spare");
	ck_assert_str_eq(r->c[0].entry->name, "spare");
	route_unref(r);
}
END_TEST

START_TEST(an_unpriced_model_is_refused_or_free_as_configured)
{
	enum api_error error;

	set_up();
	add_agent(0, "a", "*", "", 0);
	ck_assert_uint_eq(candidates("unheard-of", &error), 0);
	ck_assert_int_eq(error, API_ERR_model_not_found);
	configure(NULL, 0, NULL, true);
	ck_assert_uint_eq(candidates("unheard-of", &error), 1);
}
END_TEST

START_TEST(rights_announcements_and_drains_are_obeyed)
{
	enum api_error error;

	set_up();
	add_agent(0, "a", "o*", "", 0);
	add_agent(1, "b", "*", "o*", 0);
	ck_assert_uint_eq(candidates("gpt-4o", &error), 0);
	add_agent(2, "c", "gpt-*", "gpt-4o", 0);
	ck_assert_uint_eq(candidates("gpt-4o", &error), 1);
	registry_set_links(fixture, me, 2, 1, 1);
	ck_assert_uint_eq(candidates("gpt-4o", &error), 0);
	registry_set_links(fixture, me, 2, 1, 0);
	ck_assert_uint_eq(candidates("gpt-4o", &error), 1);
	process_died(fixture, me.row);
	atomic_fetch_add(&shm_run_state(fixture)->registry_version, 1);
	ck_assert_uint_eq(candidates("gpt-4o", &error), 0);
}
END_TEST

static int64_t
hold(const struct route *route, uint64_t input, uint64_t output)
{
	struct usage bound = {0};

	bound.n[USAGE_input] = input;
	bound.n[USAGE_output] = output;
	return (route_hold(route, TIER_DEFAULT, &bound).n);
}

START_TEST(d16_a_new_price_makes_a_new_route)
{
	struct route *old, *fresh;

	set_up();
	add_agent(0, "a", "*", "", 0);
	old = router_find(router, "gpt-4o", DIALECT_OPENAI);
	publish_prices("{\"gpt-4o\":{\"litellm_provider\":\"openai\","
		       "\"input_cost_per_token\":0.000005}}");
	fresh = router_find(router, "gpt-4o", DIALECT_OPENAI);
	ck_assert_ptr_ne(old, fresh);
	ck_assert_uint_eq(old->price_version + 1, fresh->price_version);
	ck_assert_int_gt(hold(old, 0, 1000), 0);
	ck_assert_int_eq(hold(old, 1000, 0), 2500000);
	ck_assert_int_eq(hold(fresh, 1000, 0), 5000000);
	route_unref(old);
	route_unref(fresh);
}
END_TEST

START_TEST(the_less_loaded_is_picked_and_full_ones_never)
{
	struct route *r;
	const monotime_t now = {1};
	uint32_t tried = 0;
	bool full = false;
	int i;

	set_up();
	add_agent(0, "a", "*", "", 10);
	add_agent(1, "b", "*", "", 10);
	atomic_store(&registry_at(fixture, me.row, 0)->calls, 5);
	r = router_find(router, "gpt-4o", DIALECT_OPENAI);
	ck_assert_uint_eq(r->n, 2);
	i = route_pick(fixture, r, now, &tried, &full);
	ck_assert_uint_eq(r->c[i].agent_row, 1);
	ck_assert(!full);
	atomic_store(&registry_at(fixture, me.row, 0)->calls, 10);
	ck_assert_int_eq(route_pick(fixture, r, now, &tried, &full), -1);
	ck_assert(full);
	route_unref(r);
}
END_TEST

/* ---- sections route -------------------------------------------------------
 */

static char fast[] = "fast", gpt_4o[] = "gpt-4o", spare[] = "spare",
	    loop[] = "loop", at_openai[] = "openai/spare", gone[] = "gone";

/* The stage of a route's candidate of that model; -1: it has none. */
static int
stage_of(const struct route *r, const char *model)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (strcmp(r->c[i].model, model) == 0)
			return (r->c[i].stage);
	return (-1);
}

START_TEST(a_name_stands_for_models_and_their_fallbacks)
{
	const struct hub_route routes[] = {
	    {.name = fast,
		.models = {{gone, gpt_4o}, 2},
		.fallback = {{loop}, 1},
		.retries = 5,
		.max_wait = 70},
	    {.name = loop, .models = {{fast, loop, at_openai}, 3}},
	};
	struct route *r;

	set_up();
	add_agent(0, "a", "*", "", 0);
	configure(routes, 2, NULL, false);
	r = router_find(router, "fast", DIALECT_OPENAI);
	ck_assert_int_eq(r->error, API_OK);
	ck_assert(r->named);
	ck_assert_uint_eq(r->retries, 5);
	ck_assert_uint_eq(r->n, 2);
	ck_assert_int_eq(stage_of(r, "gpt-4o"), 0);
	ck_assert_int_eq(stage_of(r, "spare"), 1);
	route_unref(r);
	r = router_find(router, "gpt-4o", DIALECT_OPENAI);
	ck_assert(!r->named);
	ck_assert_uint_eq(r->n, 1);
	route_unref(r);
}
END_TEST

START_TEST(d09_a_route_without_anybody_ends_at_the_default_route)
{
	const struct hub_route routes[] = {
	    {.name = fast, .models = {{gone}, 1}, .fallback = {{gone}, 1}},
	    {.name = loop, .models = {{spare}, 1}},
	};
	enum api_error error;
	struct route *r;

	set_up();
	add_agent(0, "a", "*", "", 0);
	configure(routes, 2, NULL, false);
	ck_assert_uint_eq(candidates("fast", &error), 0);
	ck_assert_int_eq(error, API_ERR_model_not_found);
	configure(routes, 2, "loop", false);
	r = router_find(router, "fast", DIALECT_OPENAI);
	ck_assert_uint_eq(r->n, 1);
	ck_assert_str_eq(r->c[0].model, "spare");
	route_unref(r);
}
END_TEST

START_TEST(a_provider_is_named_before_the_model)
{
	enum api_error error;

	set_up();
	add_agent(0, "a", "gpt-*", "", 0);
	ck_assert_uint_eq(candidates("openai/gpt-4o", &error), 1);
	ck_assert_uint_eq(candidates("azure/gpt-4o", &error), 0);
	ck_assert_int_eq(error, API_ERR_model_not_found);
}
END_TEST

static int
picked_row(const struct route *r, int64_t now_ns, uint32_t tried)
{
	const monotime_t now = {now_ns};
	bool full = false;
	int i = route_pick(fixture, r, now, &tried, &full);

	return (i == -1 ? -1 : (int)r->c[i].agent_row);
}

START_TEST(latency_and_price_decide_where_they_are_asked)
{
	const struct hub_route routes[] = {
	    {.name = fast,
		.models = {{gpt_4o}, 1},
		.strategy = STRATEGY_LATENCY},
	    {.name = loop,
		.models = {{gpt_4o, spare}, 2},
		.strategy = STRATEGY_PRICE},
	};
	struct route *r;

	set_up();
	add_agent(0, "a", "gpt-4o", "", 0);
	add_agent(1, "b", "gpt-4o", "", 0);
	add_agent(2, "c", "spare", "", 0);
	configure(routes, 2, NULL, false);
	r = router_find(router, "fast", DIALECT_OPENAI);
	route_note(
	    fixture, me, &r->c[0], ROUTE_ANSWERED, (monotime_t){1}, 900, -1);
	route_note(
	    fixture, me, &r->c[1], ROUTE_ANSWERED, (monotime_t){1}, 300, -1);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(picked_row(r, 1, 0), 1);
	route_unref(r);
	r = router_find(router, "loop", DIALECT_OPENAI);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(picked_row(r, 1, 0), 2);
	route_unref(r);
}
END_TEST

#define MS INT64_C(1000000)

START_TEST(who_fails_is_left_alone_and_tried_again)
{
	monotime_t now = {100 * MS};
	struct route *r;
	unsigned i;

	set_up();
	add_agent(0, "a", "*", "", 0);
	add_agent(1, "b", "*", "", 0);
	r = router_find(router, "gpt-4o", DIALECT_OPENAI);
	ck_assert_uint_eq(r->n, 2);
	/* two failures are bad luck, three are a pause */
	for (i = 0; i < 3; i++)
		route_note(fixture, me, &r->c[0], ROUTE_FAILED, now, 0, -1);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(picked_row(r, 1099 * MS, 0), 1);
	/* the other asks for a longer one: the first is the first again */
	route_note(fixture, me, &r->c[1], ROUTE_LIMITED, now, 0, 5000);
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(picked_row(r, 500 * MS, 0), 0);
		ck_assert_int_eq(picked_row(r, 1100 * MS, 0), 0);
	}
	/* nobody else is left: better asked than a dead end */
	ck_assert_int_eq(picked_row(r, 500 * MS, 1), 1);
	/* the fourth failure: twice as long */
	now.ns = 1100 * MS;
	route_note(fixture, me, &r->c[0], ROUTE_FAILED, now, 0, -1);
	ck_assert_int_eq(
	    registry_cool_until(fixture, r->c[0].agent_row, 0).ns, 3100 * MS);
	route_note(fixture, me, &r->c[0], ROUTE_ANSWERED, now, 5, -1);
	ck_assert_int_eq(
	    registry_cool_until(fixture, r->c[0].agent_row, 0).ns, 0);
	process_died(fixture, me.row);
	ck_assert_int_eq(
	    registry_cool_until(fixture, r->c[1].agent_row, 0).ns, 0);
	route_unref(r);
}
END_TEST

START_TEST(the_list_of_models_has_what_is_served)
{
	const struct price_entry *gpt;
	const struct price_blob *blob;

	set_up();
	add_agent(0, "a", "gpt-*", "", 0);
	blob = pub_prices(fixture);
	gpt = price_blob_find(blob, SPAN("gpt-4o"));
	ck_assert(route_offers(fixture, gpt, DIALECT_COUNT));
	ck_assert(route_offers(fixture, gpt, DIALECT_OPENAI));
	ck_assert(!route_offers(fixture, gpt, DIALECT_GEMINI));
	ck_assert(!route_offers(
	    fixture, price_blob_find(blob, SPAN("spare")), DIALECT_COUNT));
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, a_model_nobody_knows_is_not_found);
	tcase_add_test(tc, a_priced_model_without_an_agent_says_so);
	tcase_add_test(tc, a_dialect_goes_to_providers_that_speak_it);
	tcase_add_test(tc, the_default_route_takes_what_nobody_knows);
	tcase_add_test(tc, an_unpriced_model_is_refused_or_free_as_configured);
	tcase_add_test(tc, rights_announcements_and_drains_are_obeyed);
	tcase_add_test(tc, d16_a_new_price_makes_a_new_route);
	tcase_add_test(tc, the_less_loaded_is_picked_and_full_ones_never);
	tcase_add_test(tc, a_name_stands_for_models_and_their_fallbacks);
	tcase_add_test(
	    tc, d09_a_route_without_anybody_ends_at_the_default_route);
	tcase_add_test(tc, a_provider_is_named_before_the_model);
	tcase_add_test(tc, latency_and_price_decide_where_they_are_asked);
	tcase_add_test(tc, who_fails_is_left_alone_and_tried_again);
	tcase_add_test(tc, the_list_of_models_has_what_is_served);
}

int
main(void)
{
	return (fixture_main("route", add));
}

/* hubctl's commands: shapes of section 9, refusals, what is published. */
#include "common/alloc.h"
#include "common/crypto.h"
#include "tests/unit/billing_fixture.h"

static void
refused(const char *request, const char *text)
{
	struct json *answer = ask(request);
	const char *error = json_get_str(answer, "error");

	ck_assert_int_eq(json_get_int(answer, "status", -1), 1);
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, text) != NULL, "%s", error);
	ck_assert_ptr_null(json_get(answer, "data"));
	json_free(answer);
}

static void
member_is(const struct json *j, const char *key, const char *value)
{
	const char *text = json_get_str(j, key);

	ck_assert_msg(text != NULL, "no %s", key);
	ck_assert_str_eq(text, value);
}

/* ---- accounts ------------------------------------------------------------ */

START_TEST(an_account_is_added_with_its_credit_and_published)
{
	struct json *answer =
	    ask("{\"cmd\":\"account add\",\"args\":{\"name\":\"beta\","
		"\"credit\":\"0.000000000000000000000001\"}}");
	const struct json *a = first_of(answer, "accounts");
	struct pub_account published;

	member_is(a, "name", "beta");
	member_is(a, "balance", "0.000000000000000000000001");
	member_is(a, "held", "0");
	member_is(a, "spent", "0");
	member_is(a, "state", "active");
	json_free(answer);
	ck_assert(pub_account_read(fixture, 1, &published));
	ck_assert_str_eq(published.name, "beta");
	ck_assert_int_eq(atomic_load(pub_available(fixture, 1)), 0);
}
END_TEST

START_TEST(an_account_may_begin_with_nothing)
{
	struct json *answer =
	    ask("{\"cmd\":\"account add\",\"args\":{\"name\":\"beta\","
		"\"credit\":\"0\"}}");

	member_is(first_of(answer, "accounts"), "balance", "0");
	json_free(answer);
}
END_TEST

START_TEST(accounts_that_cannot_be_are_refused)
{
	refused("{\"cmd\":\"account add\",\"args\":{\"name\":\"acme\"}}",
	    "exists already");
	refused(
	    "{\"cmd\":\"account add\",\"args\":{\"name\":\"a b\"}}", "name");
	refused("{\"cmd\":\"account add\",\"args\":{\"name\":\"\"}}", "name");
	refused("{\"cmd\":\"account add\",\"args\":{\"name\":\"-j\"}}", "- in");
	refused("{\"cmd\":\"account add\"}", "usage");
	refused("{\"cmd\":\"account add\",\"args\":{\"name\":\"x\","
		"\"credit\":\"-1\"}}",
	    "from 0");
	refused("{\"cmd\":\"account add\",\"args\":{\"name\":\"x\","
		"\"credit\":\"0.1234567890123456789012345\"}}",
	    "24 decimals");
	refused("{\"cmd\":\"account credit\",\"args\":{\"name\":\"acme\","
		"\"amount\":\"0\"}}",
	    "above 0");
	refused("{\"cmd\":\"account add\",\"args\":{\"name\":\"x\","
		"\"credit\":5}}",
	    "credit");
	refused("{\"cmd\":\"account credit\",\"args\":{\"name\":\"acme\","
		"\"amount\":\"1e30\"}}",
	    "below 10^30");
	refused("{\"cmd\":\"key add\",\"args\":{\"account\":\"acme\","
		"\"expires\":1000}}",
	    "has passed");
	refused("{\"cmd\":\"account credit\",\"args\":{\"name\":\"nobody\","
		"\"amount\":\"1\"}}",
	    "no account nobody");
	refused("{\"cmd\":\"account set\",\"args\":{\"name\":\"acme\","
		"\"overdraft\":\"-1\"}}",
	    "overdraft");
	ck_assert_uint_eq(atomic_load(&shm_pub_state(fixture)->naccounts), 1);
}
END_TEST

START_TEST(credit_with_a_ref_counts_once_and_debit_always)
{
	const char *credit =
	    "{\"cmd\":\"account credit\",\"args\":{\"name\":\"acme\","
	    "\"amount\":\"2.5\",\"ref\":\"inv-1\"}}";
	const char *debit =
	    "{\"cmd\":\"account debit\",\"args\":{\"name\":\"acme\","
	    "\"amount\":\"1\",\"reason\":\"refund\"}}";

	must(credit);
	must(credit);
	ck_assert_str_eq(account().balance, "7.5");
	refused("{\"cmd\":\"account credit\",\"args\":{\"name\":\"acme\","
		"\"amount\":\"3\",\"ref\":\"inv-1\"}}",
	    "inv-1");
	must(debit);
	must(debit);
	ck_assert_str_eq(account().balance, "5.5");
	ck_assert_int_eq(atomic_load(pub_available(fixture, 0)), 5500000000);
}
END_TEST

START_TEST(overdraft_and_state_are_published)
{
	struct pub_account a;

	must("{\"cmd\":\"account set\",\"args\":{\"name\":\"acme\","
	     "\"overdraft\":\"1.5\"}}");
	ck_assert_int_eq(atomic_load(pub_available(fixture, 0)), 6500000000);
	must("{\"cmd\":\"account set\",\"args\":{\"name\":\"acme\","
	     "\"overdraft\":\"unlimited\"}}");
	ck_assert_int_eq(atomic_load(pub_available(fixture, 0)), INT64_MAX);
	must("{\"cmd\":\"account disable\",\"args\":{\"name\":\"acme\"}}");
	ck_assert(pub_account_read(fixture, 0, &a));
	ck_assert_uint_eq(a.disabled, 1);
	must("{\"cmd\":\"account enable\",\"args\":{\"name\":\"acme\"}}");
	ck_assert(pub_account_read(fixture, 0, &a));
	ck_assert_uint_eq(a.disabled, 0);
}
END_TEST

START_TEST(held_is_what_workers_hold)
{
	struct json *answer;

	cell_add_money(fixture, cell_of_account(fixture, 0), worker,
	    (nanousd_t){1230000000});
	answer =
	    ask("{\"cmd\":\"show accounts\",\"args\":{\"name\":\"acme\"}}");
	member_is(first_of(answer, "accounts"), "held", "1.23");
	json_free(answer);
	refused("{\"cmd\":\"show accounts\",\"args\":{\"name\":\"x\"}}",
	    "no account");
}
END_TEST

START_TEST(tables_that_are_full_refuse_clearly)
{
	char request[128];
	unsigned i;

	for (i = 1; i < fixture_sizes.max_accounts; i++) {
		snprintf(request, sizeof(request),
		    "{\"cmd\":\"account add\",\"args\":{\"name\":\"a%u\"}}", i);
		must(request);
	}
	refused("{\"cmd\":\"account add\",\"args\":{\"name\":\"more\"}}",
	    "max_accounts");
	for (i = 1; i < fixture_sizes.max_keys; i++)
		must("{\"cmd\":\"key add\",\"args\":{\"account\":\"acme\"}}");
	refused("{\"cmd\":\"key add\",\"args\":{\"account\":\"acme\"}}",
	    "max_keys");
}
END_TEST

/* ---- keys ---------------------------------------------------------------- */

static bool
opens(const char *key, struct pub_key *k)
{
	uint8_t hash[SHA256_SIZE];
	uint32_t row;

	sha256(span_str(key), hash);
	return (pub_key_find(fixture, hash, walltime_ms(), &row, k));
}

static struct json *
new_key(const char *more)
{
	char request[256];

	snprintf(request, sizeof(request),
	    "{\"cmd\":\"key add\",\"args\":{\"account\":\"acme\"%s}}", more);
	return (ask(request));
}

static struct json *
key_command(const char *cmd, const char *id, const char *more)
{
	char request[256];

	snprintf(request, sizeof(request),
	    "{\"cmd\":\"%s\",\"args\":{\"id\":\"%s\"%s}}", cmd, id, more);
	return (ask(request));
}

START_TEST(a_key_is_shown_once_and_published_with_its_limits)
{
	struct json *answer = new_key(
	    ",\"name\":\"ci\",\"rpm\":60,\"tpm\":1000,\"concurrency\":4,"
	    "\"models\":\"gpt-*,o3\",\"expires\":4102444800000");
	const struct json *data = data_of(answer);
	const char *key = json_get_str(data, "key");
	struct pub_key k;

	ck_assert_ptr_nonnull(key);
	ck_assert_uint_eq(strlen(key), strlen("sk-hub-") + 43);
	ck_assert(opens(key, &k));
	member_is(data, "id", k.id);
	ck_assert_uint_eq(k.rpm, 60);
	ck_assert_uint_eq(k.tpm, 1000);
	ck_assert_uint_eq(k.concurrency, 4);
	ck_assert_str_eq(k.models, "gpt-*,o3");
	ck_assert_int_eq(k.expires_ms, 4102444800000);
	json_free(answer);
}
END_TEST

/* None of them is what says "all": that is to leave them out, or *. */
START_TEST(lists_with_empty_names_are_refused)
{
	static const char *const lists[] = {"", ",", "a,", ",a", "a,,b", "a b"};
	char request[128];
	size_t i;

	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		snprintf(request, sizeof(request),
		    "{\"cmd\":\"key add\",\"args\":{\"account\":\"acme\","
		    "\"models\":\"%s\"}}",
		    lists[i]);
		refused(request, "models: names");
		snprintf(request, sizeof(request),
		    "{\"cmd\":\"agent add\",\"args\":{\"name\":\"x\","
		    "\"providers\":\"%s\"}}",
		    lists[i]);
		refused(request, "providers: names");
	}
}
END_TEST

/* Whose list is not empty makes no batches. */
START_TEST(a_key_for_all_models_has_no_list)
{
	struct json *added = new_key(",\"models\":\"*\"");
	const char *key = json_get_str(data_of(added), "key");
	const char *id = json_get_str(data_of(added), "id");
	struct pub_key k;

	ck_assert(opens(key, &k));
	ck_assert_str_eq(k.models, "");
	json_free(key_command("key set", id, ",\"models\":\"a\""));
	ck_assert(opens(key, &k));
	ck_assert_str_eq(k.models, "a");
	json_free(key_command("key set", id, ",\"models\":\"*\""));
	ck_assert(opens(key, &k));
	ck_assert_str_eq(k.models, "");
	json_free(added);
}
END_TEST

START_TEST(keys_are_listed_without_secrets)
{
	struct json *answer, *added = new_key(",\"models\":\"a,b\"");
	const char *key = json_get_str(data_of(added), "key");
	struct buf out;

	buf_init(&out);
	command_run(
	    &billing, SPAN("{\"cmd\":\"show keys\"}"), &out, NULL, NULL);
	ck_assert_ptr_null(strstr(buf_cstr(&out), key));
	ck_assert_ptr_null(strstr(buf_cstr(&out), "hash"));
	ck_assert_ptr_nonnull(
	    strstr(buf_cstr(&out), "\"models\":[\"a\",\"b\"]"));
	buf_fini(&out);
	answer = ask("{\"cmd\":\"show keys\",\"args\":{\"account\":\"acme\"}}");
	member_is(first_of(answer, "keys"), "account", "acme");
	json_free(answer);
	json_free(added);
}
END_TEST

START_TEST(a_rotated_key_keeps_its_id_and_its_old_self_for_the_grace)
{
	struct json *first = new_key(""), *second, *third;
	const char *old = json_get_str(data_of(first), "key");
	const char *id = json_get_str(data_of(first), "id");
	const char *now;
	struct pub_key k;

	second = key_command("key rotate", id, ",\"grace\":60000");
	member_is(data_of(second), "id", id);
	now = json_get_str(data_of(second), "key");
	ck_assert_str_ne(now, old);
	ck_assert(opens(now, &k));
	ck_assert(opens(old, &k));
	third = key_command("key rotate", id, "");
	ck_assert(!opens(old, &k));
	ck_assert(!opens(now, &k));
	ck_assert(opens(json_get_str(data_of(third), "key"), &k));
	json_free(first);
	json_free(second);
	json_free(third);
}
END_TEST

static bool
note_account(struct billing *b, const struct ledger_account *a)
{
	return (true);
}

static bool
note_key(struct billing *b, const struct ledger_key *k)
{
	return (true);
}

static bool
note_agent(struct billing *b, const struct ledger_agent *a)
{
	return (true);
}

static bool in_force;

static bool
is_in_force(struct billing *b)
{
	return (in_force);
}

/* A key that is revoked in the store may still be served here. */
START_TEST(a_change_that_is_not_in_force_is_told_with_its_answer)
{
	static const struct publish_sink sink = {
	    note_account, note_key, note_agent, is_in_force};
	struct json *answer;

	billing.sink = &sink;
	in_force = false;
	answer = new_key("");
	ck_assert_int_eq(json_get_int(answer, "status", -1), 1);
	ck_assert_ptr_nonnull(
	    strstr(json_get_str(answer, "error"), "not in force"));
	ck_assert_ptr_nonnull(json_get_str(json_get(answer, "data"), "key"));
	json_free(answer);
	refused("{\"cmd\":\"key revoke\",\"args\":{\"id\":\"key_x\"}}",
	    "there is no key");
	in_force = true;
	answer = new_key("");
	ck_assert_int_eq(json_get_int(answer, "status", -1), 0);
	json_free(answer);
	billing.sink = NULL;
}
END_TEST

START_TEST(revocation_is_published_and_final)
{
	struct json *added = new_key(""), *answer;
	const char *id = json_get_str(data_of(added), "id");
	const char *key = json_get_str(data_of(added), "key");
	struct pub_key k;

	answer = key_command("key revoke", id, "");
	member_is(first_of(answer, "keys"), "state", "revoked");
	json_free(answer);
	ck_assert(opens(key, &k));
	ck_assert_uint_eq(k.revoked, 1);
	json_free(key_command("key revoke", id, ",\"cut\":true"));
	ck_assert(opens(key, &k));
	ck_assert_uint_eq(k.revoked, 2);
	answer = key_command("key set", id, ",\"rpm\":5");
	ck_assert_int_eq(json_get_int(answer, "status", -1), 1);
	json_free(answer);
	json_free(added);
	refused("{\"cmd\":\"key revoke\",\"args\":{\"id\":\"key_x\"}}",
	    "no key key_x");
}
END_TEST

/* ---- agents -------------------------------------------------------------- */

START_TEST(an_agent_gets_a_token_that_is_known_until_it_is_revoked)
{
	struct json *answer =
	    ask("{\"cmd\":\"agent add\",\"args\":{\"name\":\"e2\","
		"\"models\":\"gpt-*\",\"replicas\":2}}");
	const char *token = json_get_str(data_of(answer), "token");
	uint8_t hash[SHA256_SIZE];
	struct pub_agent a;
	uint32_t row;

	ck_assert_ptr_nonnull(token);
	ck_assert_int_eq(strncmp(token, "at-hub-", 7), 0);
	sha256(span_str(token), hash);
	json_free(answer);
	ck_assert(pub_agent_find(fixture, hash, &row, &a));
	ck_assert_str_eq(a.name, "e2");
	ck_assert_uint_eq(a.replicas, 2);
	must("{\"cmd\":\"agent drain\",\"args\":{\"name\":\"e2\"}}");
	ck_assert(pub_agent_find(fixture, hash, &row, &a));
	ck_assert_uint_eq(a.draining, 1);
	must("{\"cmd\":\"agent resume\",\"args\":{\"name\":\"e2\"}}");
	must("{\"cmd\":\"agent revoke\",\"args\":{\"name\":\"e2\"}}");
	ck_assert(!pub_agent_find(fixture, hash, &row, &a));
	refused("{\"cmd\":\"agent add\",\"args\":{\"name\":\"edge-1\"}}",
	    "exists already");
	refused(
	    "{\"cmd\":\"agent rotate\",\"args\":{\"name\":\"e2\"}}", "revoked");
}
END_TEST

START_TEST(a_revoked_agents_name_may_be_given_again)
{
	struct json *answer;
	uint8_t hash[SHA256_SIZE];
	struct pub_agent a;
	uint32_t row;

	must("{\"cmd\":\"agent revoke\",\"args\":{\"name\":\"edge-1\"}}");
	answer = ask("{\"cmd\":\"agent add\",\"args\":{\"name\":\"edge-1\"}}");
	sha256(span_str(json_get_str(data_of(answer), "token")), hash);
	json_free(answer);
	ck_assert(pub_agent_find(fixture, hash, &row, &a));
	ck_assert_str_eq(a.name, "edge-1");
	ck_assert_uint_eq(row, 0);
	refused("{\"cmd\":\"agent add\",\"args\":{\"name\":\"edge-1\"}}",
	    "exists already");
}
END_TEST

/* ---- the ledger, prices, the hub ----------------------------------------- */

START_TEST(ledger_rows_have_the_shape_of_the_contract)
{
	static const char *const members[] = {"id", "time", "account", "key",
	    "agent", "provider", "dialect", "model", "price", "tier",
	    "price_version", "status", "stream", "outcome", "attempts", "usage",
	    "amount", "estimated"};
	struct call_fixed f = call_fixed();
	const struct json *row;
	struct json *answer;
	size_t i;

	call_finished(&f, 1000, 0);
	settle_all();
	answer = ask("{\"cmd\":\"show ledger\",\"args\":{\"account\":\"acme\","
		     "\"since_ms\":0,\"limit\":5}}");
	row = first_of(answer, "rows");
	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		ck_assert_msg(
		    json_get(row, members[i]) != NULL, "no %s", members[i]);
	member_is(row, "time", "1970-01-01T00:00:01.000Z");
	member_is(row, "account", "acme");
	member_is(row, "amount", "0.0015");
	ck_assert_int_eq(
	    json_get_int(json_get(row, "usage"), "input", 0), 1000);
	ck_assert_ptr_null(json_get(json_get(row, "usage"), "output"));
	ck_assert_int_eq(json_get(row, "estimated")->type, JSON_FALSE);
	json_free(answer);
	refused(
	    "{\"cmd\":\"show ledger\",\"args\":{\"limit\":100000}}", "limit");
}
END_TEST

START_TEST(prices_are_shown_exactly)
{
	struct json *answer =
	    ask("{\"cmd\":\"show prices\",\"args\":{\"model\":\"m\"}}");
	const struct json *rate =
	    json_get(first_of(answer, "prices"), "rates")->first;

	ck_assert_int_eq(json_get_int(data_of(answer), "price_version", 0), 1);
	member_is(rate, "kind", "input");
	member_is(rate, "price", "0.0000015");
	/* what the file does not say is not zero */
	ck_assert_ptr_null(json_get(first_of(answer, "prices"), "max_input"));
	ck_assert_ptr_null(json_get(first_of(answer, "prices"), "max_output"));
	json_free(answer);
	refused("{\"cmd\":\"show prices\",\"args\":{\"model\":\"zz\"}}",
	    "no price");
}
END_TEST

static const struct json *
changes_of(struct json *answer)
{
	return (json_get(data_of(answer), "changes"));
}

START_TEST(prices_are_shown_with_what_they_changed)
{
	struct json *answer = ask("{\"cmd\":\"show prices\",\"args\":{}}");
	const struct json *change;
	char error[200];

	ck_assert_ptr_null(changes_of(answer)); /* nothing was before */
	json_free(answer);
	write_prices("{\"m\":{\"input_cost_per_token\":\"1.6e-06\","
		     "\"output_cost_per_token\":1},"
		     "\"other\":{\"input_cost_per_token\":1}}");
	ck_assert_int_eq(
	    prices_reload(&billing, 0, true, error, sizeof(error)), 0);
	answer = ask("{\"cmd\":\"show prices\",\"args\":{}}");
	ck_assert_int_eq(json_get_int(data_of(answer), "price_version", 0), 2);
	ck_assert_int_eq(json_get_int(data_of(answer), "before", 0), 1);
	change = changes_of(answer)->first;
	member_is(change, "model", "m");
	member_is(change, "change", "changed");
	member_is(change, "kind", "input");
	member_is(change, "old", "0.0000015");
	member_is(change, "new", "0.0000016");
	json_free(answer);
	answer =
	    ask("{\"cmd\":\"show prices\",\"args\":{\"model\":\"other\"}}");
	change = changes_of(answer)->first;
	member_is(change, "model", "other");
	member_is(change, "change", "added");
	ck_assert_ptr_null(change->next);
	json_free(answer);
}
END_TEST

START_TEST(a_reload_asks_the_master_and_is_answered_later)
{
	struct json *answer;
	struct buf out;
	uint32_t cookie;

	buf_init(&out);
	cookie = command_run(&billing,
	    SPAN("{\"cmd\":\"reload\",\"args\":{\"force\":true}}"), &out, NULL,
	    NULL);
	ck_assert_uint_ne(cookie, 0);
	ck_assert_uint_eq(buf_len(&out), 0);
	ck_assert_uint_eq(sent.type, HUBMSG_RELOAD_ASK);
	ck_assert_uint_eq(sent.cookie, cookie);
	ck_assert_uint_eq(sent.flags, HUBMSG_FORCE);
	command_reloaded(&billing, NULL, &out);
	answer = json_parse(buf_span(&out), NULL, 0);
	ck_assert_int_eq(json_get_int(data_of(answer), "price_version", 0), 1);
	json_free(answer);
	buf_fini(&out);
	must("{\"cmd\":\"drain\"}");
	ck_assert_uint_eq(sent.type, HUBMSG_DRAIN_ASK);
}
END_TEST

START_TEST(an_audit_of_clean_books_is_clean)
{
	struct json *answer = ask("{\"cmd\":\"audit\",\"args\":{}}");

	ck_assert(json_get_bool(data_of(answer), "ok", false));
	json_free(answer);
	refused(
	    "{\"cmd\":\"backup\",\"args\":{\"file\":\"x.db\"}}", "absolute");
}
END_TEST

START_TEST(requests_that_are_none_are_refused)
{
	refused("", "JSON");
	refused("[]", "JSON");
	refused("{}", "not understood");
	refused("{\"cmd\":\"show status\"}", "no such command");
	refused("{\"cmd\":\"nonsense\"}", "no such command");
	refused("{\"cmd\":\"drain\",\"args\":{\"now\":true}}", "now");
	refused("{\"cmd\":\"drain\",\"args\":[]}", "not understood");
	refused(
	    "{\"cmd\":\"key set\",\"args\":{\"id\":\"k\",\"rpm\":-1}}", "rpm");
	refused("{\"cmd\":\"key set\",\"args\":{\"id\":\"k\",\"rpm\":1e99}}",
	    "rpm");
}
END_TEST

START_TEST(without_the_store_commands_are_refused)
{
	ledger_null_set_down(billing.store, true);
	refused("{\"cmd\":\"account add\",\"args\":{\"name\":\"x\"}}", "away");
	refused("{\"cmd\":\"show keys\"}", "away");
	refused("{\"cmd\":\"show ledger\"}", "away");
	ledger_null_set_down(billing.store, false);
}
END_TEST

/* A connection may be lost when all was done but the answer. */
START_TEST(a_change_whose_answer_is_lost_is_not_to_be_repeated_unseen)
{
	static char shared[] = "postgresql://db/hub";

	json_free(ask("{\"cmd\":\"account add\",\"args\":{\"name\":\"x\"}}"));
	ledger_null_set_down(billing.store, true);
	conf.store = shared;
	refused("{\"cmd\":\"account debit\",\"args\":{\"name\":\"x\","
		"\"amount\":\"1\",\"reason\":\"why\"}}",
	    "not known");
	conf.store = store_name;
	refused("{\"cmd\":\"account debit\",\"args\":{\"name\":\"x\","
		"\"amount\":\"1\",\"reason\":\"why\"}}",
	    "try again");
	ledger_null_set_down(billing.store, false);
}
END_TEST

/* ---- restart ------------------------------------------------------------- */

/* Another billing process over the same memory and store. */
static void
restart(void)
{
	struct ledger *store = billing.store;

	billing.store = NULL;
	billing_fini(&billing);
	billing_begin();
	billing.store = store;
	versions_init(&billing.versions, billing.ops, store);
	billing.stage = STAGE_TABLES;
	billing_advance(&billing);
	ck_assert_int_eq(billing.stage, STAGE_SERVING);
}

START_TEST(row_numbers_and_prices_outlive_billing)
{
	struct json *gone = new_key(""), *kept = new_key("");
	const char *key = json_get_str(data_of(kept), "key");
	struct pub_key before, after;

	json_free(key_command(
	    "key revoke", json_get_str(data_of(gone), "id"), ",\"cut\":true"));
	ck_assert(opens(key, &before));
	restart();
	ck_assert(opens(key, &after));
	ck_assert_mem_eq(&before, &after, sizeof(before));
	ck_assert(opens(json_get_str(data_of(gone), "key"), &after));
	ck_assert_uint_eq(after.revoked, 2);
	ck_assert_uint_eq(atomic_load(&shm_pub_state(fixture)->nkeys), 3);
	ck_assert_uint_eq(pub_prices(fixture)->version, 1);
	must("{\"cmd\":\"account add\",\"args\":{\"name\":\"beta\"}}");
	ck_assert_uint_eq(atomic_load(&shm_pub_state(fixture)->naccounts), 2);
	json_free(gone);
	json_free(kept);
}
END_TEST

static void
reload_prices(const char *input)
{
	char text[128], error[200] = "";

	snprintf(text, sizeof(text),
	    "{\"m\":{\"input_cost_per_token\":\"%s\"}}", input);
	write_prices(text);
	ck_assert_int_eq(
	    prices_reload(&billing, 0, true, error, sizeof(error)), 0);
}

/* They were stored, and whoever wanted them was told that they follow. */
START_TEST(prices_that_wait_for_a_buffer_outlive_billing)
{
	atomic_store(&process_rows(fixture)[worker.row].epoch, 1);
	reload_prices("1e-06");
	reload_prices("2e-06");
	reload_prices("3e-06"); /* a worker looks at the first still */
	ck_assert_uint_eq(pub_prices(fixture)->version, 3);
	ck_assert_ptr_nonnull(billing.price_waiting);
	restart();
	ck_assert_uint_eq(pub_prices(fixture)->version, 3);
	atomic_store(&process_rows(fixture)[worker.row].epoch, 0);
	prices_retry(&billing);
	ck_assert_uint_eq(pub_prices(fixture)->version, 4);
	/* nor are files looked at */
	write_prices("{");
	restart();
	ck_assert_uint_eq(pub_prices(fixture)->version, 4);
}
END_TEST

START_TEST(keys_that_another_store_does_not_know_are_revoked)
{
	struct json *added = new_key("");
	const char *key = json_get_str(data_of(added), "key");
	struct pub_key k;

	billing_fini(&billing);
	billing_begin();
	billing_advance(&billing);
	ck_assert(opens(key, &k));
	ck_assert_uint_eq(k.revoked, 1);
	json_free(added);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, an_account_is_added_with_its_credit_and_published);
	tcase_add_test(t, an_account_may_begin_with_nothing);
	tcase_add_test(t, accounts_that_cannot_be_are_refused);
	tcase_add_test(t, credit_with_a_ref_counts_once_and_debit_always);
	tcase_add_test(t, overdraft_and_state_are_published);
	tcase_add_test(t, held_is_what_workers_hold);
	tcase_add_test(t, tables_that_are_full_refuse_clearly);
	tcase_add_test(t, a_key_is_shown_once_and_published_with_its_limits);
	tcase_add_test(t, a_key_for_all_models_has_no_list);
	tcase_add_test(t, lists_with_empty_names_are_refused);
	tcase_add_test(t, keys_are_listed_without_secrets);
	tcase_add_test(
	    t, a_rotated_key_keeps_its_id_and_its_old_self_for_the_grace);
	tcase_add_test(
	    t, a_change_that_is_not_in_force_is_told_with_its_answer);
	tcase_add_test(t, revocation_is_published_and_final);
	tcase_add_test(
	    t, an_agent_gets_a_token_that_is_known_until_it_is_revoked);
	tcase_add_test(t, a_revoked_agents_name_may_be_given_again);
	tcase_add_test(t, ledger_rows_have_the_shape_of_the_contract);
	tcase_add_test(t, prices_are_shown_exactly);
	tcase_add_test(t, prices_are_shown_with_what_they_changed);
	tcase_add_test(t, a_reload_asks_the_master_and_is_answered_later);
	tcase_add_test(t, an_audit_of_clean_books_is_clean);
	tcase_add_test(t, requests_that_are_none_are_refused);
	tcase_add_test(t, without_the_store_commands_are_refused);
	tcase_add_test(
	    t, a_change_whose_answer_is_lost_is_not_to_be_repeated_unseen);
	tcase_add_test(t, row_numbers_and_prices_outlive_billing);
	tcase_add_test(t, prices_that_wait_for_a_buffer_outlive_billing);
	tcase_add_test(t, keys_that_another_store_does_not_know_are_revoked);
}

int
main(void)
{
	Suite *s = suite_create("commands");
	TCase *t = tcase_create("commands");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, billing_set_up, billing_tear_down);
	add_tests(t);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

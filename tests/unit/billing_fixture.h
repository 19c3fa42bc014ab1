/*
 * Billing without its loop: over small shared memory and a store in memory,
 * with one account, one key, one agent and one price; and a worker's calls.
 */
#ifndef TESTS_UNIT_BILLING_FIXTURE_H
#define TESTS_UNIT_BILLING_FIXTURE_H

#include <string.h>

#include "hubd/billing/billing.h"
#include "hubd/billing/commands.h"
#include "hubd/billing/offspring.h"
#include "hubd/ledger/ledger_null.h"
#include "shm/cells.h"
#include "shm/pubtab.h"
#include "tests/unit/shm_fixture.h"

static struct billing billing;
static struct hub_conf conf;
static char store_name[] = "sqlite";
static process_ref_t worker;
static uint64_t next_id;

/* ---- what billing asks of its surroundings ------------------------------- */

static struct hubmsg_head sent; /* the last message to the master */
static uint32_t reloaded;	/* cookie of the last answer */
static char reload_error[512];

bool
child_send(struct hub_child *child, uint32_t type, const void *p, size_t n)
{
	sent = (struct hubmsg_head){.type = type, .size = (uint32_t)n};
	return (true);
}

bool
child_send_head(
    struct hub_child *child, const struct hubmsg_head *head, const void *p)
{
	sent = *head;
	return (true);
}

uint32_t
control_asker(const struct billing *b)
{
	return (1000);
}

void
reload_is_over(struct billing *b, uint32_t cookie, const char *error)
{
	reloaded = cookie;
	snprintf(reload_error, sizeof(reload_error), "%s",
	    error != NULL ? error : "");
}

/* No child is born here. */
struct offspring *
offspring_start(struct billing *b, enum offspring_kind kind, int client)
{
	return (NULL);
}

int
offspring_socket(const struct offspring *o)
{
	return (-1);
}

void
offspring_end(struct offspring *o)
{
}

/* ---- commands ------------------------------------------------------------ */

/* Runs a request; the answer is the caller's to free. */
static inline struct json *
ask(const char *request)
{
	struct json *answer;
	struct buf out;

	buf_init(&out);
	ck_assert_uint_eq(
	    command_run(&billing, span_str(request), &out, NULL, NULL), 0);
	ck_assert_int_eq(buf_ptr(&out)[buf_len(&out) - 1], '\n');
	answer = json_parse(buf_span(&out), NULL, 0);
	ck_assert_ptr_nonnull(answer);
	buf_fini(&out);
	return (answer);
}

static inline const struct json *
data_of(const struct json *answer)
{
	const char *error = json_get_str(answer, "error");

	ck_assert_msg(json_get_int(answer, "status", -1) == 0, "%s",
	    error != NULL ? error : "no status");
	return (json_get(answer, "data"));
}

static inline void
must(const char *request)
{
	struct json *answer = ask(request);

	data_of(answer);
	json_free(answer);
}

/* The first element of a list in data. */
static inline const struct json *
first_of(const struct json *answer, const char *list)
{
	const struct json *l = json_get(data_of(answer), list);

	ck_assert_ptr_nonnull(l);
	ck_assert_ptr_nonnull(l->first);
	return (l->first);
}

/* ---- the hub ------------------------------------------------------------- */

static inline void
write_prices(const char *text)
{
	FILE *f = fopen(fixture_path("prices.json"), "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static inline void
billing_begin(void)
{
	billing_init(&billing, fixture, fixture_process(ROLE_BILLING), &conf,
	    &ledger_null);
	billing.child = NULL;
}

static inline void
billing_set_up(void)
{
	fixture_set_up();
	memset(&conf, 0, sizeof(conf));
	conf.run_dir = conf.state_dir = fixture_dir;
	conf.store = store_name;
	write_prices("{\"m\":{\"input_cost_per_token\":1.5e-06,"
		     "\"output_cost_per_token\":2e-06}}");
	conf.prices.item[0] = xstrdup(fixture_path("prices.json"));
	conf.prices.n = 1;
	worker = fixture_process(ROLE_WORKER);
	billing_begin();
	billing_advance(&billing);
	ck_assert_int_eq(billing.stage, STAGE_SERVING);
	must("{\"cmd\":\"account add\",\"args\":{\"name\":\"acme\","
	     "\"credit\":\"5\"}}");
	must("{\"cmd\":\"key add\",\"args\":{\"account\":\"acme\"}}");
	must("{\"cmd\":\"agent add\",\"args\":{\"name\":\"edge-1\"}}");
}

static inline void
billing_tear_down(void)
{
	billing_fini(&billing);
	free(conf.prices.item[0]);
	unlink(fixture_path("prices.json"));
	fixture_tear_down();
}

/* ---- calls --------------------------------------------------------------- */

static inline struct call_fixed
call_fixed(void)
{
	struct call_fixed f = {.time_ms = 1000,
	    .price_version = 1,
	    .account = 1,
	    .key = 1,
	    .hold = {1000000},
	    .worker_generation = worker.generation};

	next_id++;
	memcpy(f.id.b, &next_id, sizeof(next_id));
	strcpy(f.endpoint, "chat.completions");
	f.time_ns = monotime_now().ns;
	return (f);
}

static inline call_ref_t
call_taken(void)
{
	static uint32_t hint;
	call_ref_t ref;

	ck_assert(call_take(fixture, worker.row, &hint, &ref));
	return (ref);
}

static inline call_ref_t
call_opened(const struct call_fixed *f)
{
	struct call_route route = {.agent = 1, .attempts = 1};
	call_ref_t ref = call_taken();

	strcpy(route.provider, "openai");
	strcpy(route.model, "m");
	call_open(call_at(fixture, ref), f);
	call_set_route(call_at(fixture, ref), &route);
	return (ref);
}

static inline struct call_progress
call_seen(uint64_t input, uint64_t output)
{
	struct call_progress p = {.status = 200, .priced_whole = 1};

	p.usage.n[USAGE_input] = input;
	p.usage.n[USAGE_output] = output;
	return (p);
}

static inline call_ref_t
call_finished(const struct call_fixed *f, uint64_t input, uint64_t output)
{
	struct call_progress p = call_seen(input, output);
	call_ref_t ref = call_opened(f);

	p.outcome = OUTCOME_COMPLETE;
	p.end_ms = 1250;
	call_final(call_at(fixture, ref), &p);
	return (ref);
}

static inline enum call_state
state_of_call(call_ref_t ref)
{
	return (call_word_state(atomic_load(&call_at(fixture, ref)->word)));
}

/* The sweep, and all that is due. */
static inline void
settle_all(void)
{
	intake_sweep(&billing);
	while (billing.due.count > 0 && !store_waits(&billing))
		book_due(&billing);
	intake_sweep(&billing);
}

static inline struct ledger_account
account(void)
{
	struct ledger_account a;

	ck_assert_int_eq(
	    billing.ops->account_get(billing.store, 1, &a), LEDGER_OK);
	return (a);
}

static inline uint64_t
suspended(void)
{
	return (atomic_load(&shm_pub_state(fixture)->suspense));
}

#endif

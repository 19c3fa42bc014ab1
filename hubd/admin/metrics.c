/* Metrics as Prometheus reads them: text, version 0.0.4. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/monotime.h"
#include "hubd/admin/admin.h"
#include "hubd/gauges.h"
#include "shm/counters.h"

static void
put_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* ---- counters ----------------------------------------------------------- */

static void
put_counter(struct buf *out, const struct shm *shm, enum counter_id id)
{
	const struct counter_info *c = &counter_infos[id];

	/* Series of one name stand together in the list. */
	if (id == 0 || strcmp(c->name, counter_infos[id - 1].name) != 0)
		put_head(out, c->name, "counter", c->help);
	if (*c->labels == '\0')
		buf_addf(
		    out, "%s %" PRIu64 "\n", c->name, counter_sum(shm, id));
	else
		buf_addf(out, "%s{%s} %" PRIu64 "\n", c->name, c->labels,
		    counter_sum(shm, id));
}

/* ---- histograms --------------------------------------------------------- */

/* Microseconds as seconds: exact, no trailing zeros. */
static void
put_seconds(struct buf *out, uint64_t us)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRIu64 ".%06" PRIu64,
	    us / 1000000, us % 1000000);

	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	buf_add(out, text, (size_t)n);
}

static void
put_histogram(struct buf *out, const struct shm *shm, enum histogram_id id)
{
	const struct counter_info *h = &histogram_infos[id];
	uint64_t bucket[HIST_BUCKETS], sum_us, below = 0;
	int i;

	histogram_sum(shm, id, bucket, &sum_us);
	put_head(out, h->name, "histogram", h->help);
	for (i = 0; i < HIST_BUCKETS - 1; i++) {
		below += bucket[i];
		buf_addf(out, "%s_bucket{le=\"", h->name);
		put_seconds(out, UINT64_C(16) << i);
		buf_addf(out, "\"} %" PRIu64 "\n", below);
	}
	below += bucket[HIST_BUCKETS - 1];
	buf_addf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", h->name, below);
	buf_addf(out, "%s_sum ", h->name);
	put_seconds(out, sum_us);
	buf_addf(out, "\n%s_count %" PRIu64 "\n", h->name, below);
}

/* ---- gauges ------------------------------------------------------------- */

static void
put_gauge(struct buf *out, const char *name, const char *help, int64_t n)
{
	put_head(out, name, "gauge", help);
	buf_addf(out, "%s %" PRId64 "\n", name, n);
}

/* Of a store that several hubs share; one of a hub's own is always there. */
static void
put_shared(struct buf *out, struct pub_state *pub)
{
	int64_t since = atomic_load(&pub->spooled_since_ms);
	int64_t now = walltime_ms();

	if (strncmp(pub->store, "postgresql", sizeof(pub->store)) != 0)
		return;
	put_gauge(out, "hubd_shared_store_up",
	    "1 if the store that several hubs share answers.",
	    atomic_load(&pub->shared_ok) != 0);
	put_gauge(out, "hubd_spool_rows",
	    "Booked rows that the shared store has not taken yet.",
	    (int64_t)atomic_load(&pub->spooled));
	put_gauge(out, "hubd_spool_oldest_seconds",
	    "Age of the oldest of them, 0 if there is none.",
	    since > 0 && now > since ? (now - since) / 1000 : 0);
}

static void
put_gauges(struct buf *out, const struct shm *shm)
{
	struct run_state *run = shm_run_state(shm);
	struct pub_state *pub = shm_pub_state(shm);
	int64_t silent_ms = hub_billing_silent_ms(shm);

	put_gauge(out, "hubd_links", "Links of agents to live workers.",
	    (int64_t)hub_links(shm));
	put_gauge(out, "hubd_calls", "Calls in flight.", hub_calls_open(shm));
	put_gauge(out, "hubd_pending", "Finished calls not yet booked.",
	    hub_calls_pending(shm));
	put_gauge(out, "hubd_agents_up", "Agents that take requests.",
	    hub_agents_up(shm));
	put_gauge(out, "hubd_workers", "Live workers.", hub_workers(shm));
	put_gauge(out, "hubd_price_version", "Price version in force.",
	    (int64_t)hub_price_version(shm));
	put_gauge(out, "hubd_billing_silent_seconds",
	    "Since billing was last seen to move; -1 if there is none.",
	    silent_ms < 0 ? -1 : silent_ms / 1000);
	put_gauge(out, "hubd_store_up",
	    "1 if the last transaction of the store succeeded.",
	    atomic_load(&pub->store_ok) != 0);
	put_shared(out, pub);
	put_gauge(out, "hubd_held_nanodollars",
	    "Money held for calls in flight, in 10^-9 USD.", hub_held(shm).n);
	put_gauge(out, "hubd_limits_up",
	    "0 while a worker goes without Redis, which is away.",
	    hub_limits(shm) < LIMITS_SHARE);
	put_gauge(out, "hubd_suspense", "Ledger rows in suspense.",
	    (int64_t)atomic_load(&pub->suspense));
	put_gauge(out, "hubd_draining", "1 while the hub goes down.",
	    atomic_load(&run->draining) != 0);
	put_head(out, "hubd_restarts_total", "counter",
	    "Children that died and were replaced.");
	buf_addf(out, "hubd_restarts_total %" PRIu32 "\n",
	    atomic_load(&run->restarts));
	put_head(out, "hubd_build_info", "gauge",
	    "Always 1; the version is a label.");
	buf_addf(out, "hubd_build_info{version=\"%s\"} 1\n", VERSION);
}

/* ---- by table ----------------------------------------------------------- */

/* How full the tables of a fixed size are. */
static void
put_tables(struct buf *out, const struct shm *shm)
{
	struct pub_state *pub = shm_pub_state(shm);
	const struct {
		const char *name;
		uint32_t rows, size;
	} tables[] = {
	    {"calls", hub_calls_open(shm) + hub_calls_pending(shm),
		shm->sizes.max_calls},
	    {"keys", atomic_load(&pub->nkeys), shm->sizes.max_keys},
	    {"accounts", atomic_load(&pub->naccounts), shm->sizes.max_accounts},
	    {"agents", atomic_load(&pub->nagents), shm->sizes.max_agents},
	};
	size_t i;

	put_head(out, "hubd_table_rows", "gauge",
	    "Rows of shared memory in use, by table.");
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		buf_addf(out, "hubd_table_rows{table=\"%s\"} %" PRIu32 "\n",
		    tables[i].name, tables[i].rows);
	put_head(out, "hubd_table_size", "gauge",
	    "Rows that there are: max_calls and its like.");
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		buf_addf(out, "hubd_table_size{table=\"%s\"} %" PRIu32 "\n",
		    tables[i].name, tables[i].size);
}

/* ---- by model ----------------------------------------------------------- */

/* A name as the value of a label: what is not plain is a question mark. */
static void
put_label(struct buf *out, const char *label, const char *value)
{
	buf_addf(out, "%s=\"", label);
	for (; *value != '\0'; value++) {
		bool plain = *value >= ' ' && *value <= '~' && *value != '"' &&
			     *value != '\\';

		buf_add(out, plain ? value : "?", 1);
	}
	buf_addstr(out, "\"");
}

static void
put_model(struct buf *out, const char *name, const struct model_sum *m,
    const char *direction, uint64_t n)
{
	buf_addf(out, "%s{", name);
	put_label(out, "model", m->model);
	buf_addstr(out, ",");
	put_label(out, "provider", m->provider);
	if (direction != NULL) {
		buf_addstr(out, ",");
		put_label(out, "direction", direction);
	}
	buf_addf(out, "} %" PRIu64 "\n", n);
}

static void
put_models(struct buf *out, const struct shm *shm)
{
	struct model_sum m[MODEL_COUNTS];
	unsigned i, n = model_count_sums(shm, m);

	put_head(out, "hubd_model_tokens_total", "counter",
	    "Tokens billed, by model and provider.");
	for (i = 0; i < n; i++) {
		put_model(
		    out, "hubd_model_tokens_total", &m[i], "input", m[i].input);
		put_model(out, "hubd_model_tokens_total", &m[i], "output",
		    m[i].output);
	}
	put_head(out, "hubd_model_cost_nanodollars_total", "counter",
	    "Money billed, by model and provider, in 10^-9 USD.");
	for (i = 0; i < n; i++)
		put_model(out, "hubd_model_cost_nanodollars_total", &m[i], NULL,
		    m[i].cost_nano);
}

void
metrics_put(const struct shm *shm, struct buf *out)
{
	int i;

	put_gauges(out, shm);
	put_tables(out, shm);
	for (i = 0; i < COUNTERS; i++)
		put_counter(out, shm, (enum counter_id)i);
	for (i = 0; i < HISTOGRAMS; i++)
		put_histogram(out, shm, (enum histogram_id)i);
	put_models(out, shm);
}

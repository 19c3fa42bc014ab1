/* Price files, which price counts, and what usage costs to the last digit. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "hubd/price/price.h"

#define PUBLISHED "../shared/prices/model_prices_and_context_window.json"

static const char table[] =
    "{ \"sample_spec\": {\"input_cost_per_token\": \"as you like\"},\n"
    "  \"_comment\": \"not a model\",\n"
    "  \"cached\": { \"litellm_provider\": \"anthropic\", \"mode\": \"chat\",\n"
    "    \"max_input_tokens\": 200000, \"max_tokens\": 64000,\n"
    "    \"supports_reasoning\": true,\n"
    "    \"input_cost_per_token\": 3e-06,\n"
    "    \"output_cost_per_token\": 1.5e-05,\n"
    "    \"cache_read_input_token_cost\": 3e-07,\n"
    "    \"cache_creation_input_token_cost\": 3.75e-06,\n"
    "    \"cache_creation_input_token_cost_above_1hr\": 6e-06,\n"
    "    \"cache_creation_input_token_cost_above_1hr_above_200k_tokens\": "
    "1.2e-05,\n"
    "    \"input_cost_per_token_above_200k_tokens\": 6e-06,\n"
    "    \"output_cost_per_token_above_200k_tokens\": 2.25e-05,\n"
    "    \"cache_read_input_token_cost_above_200k_tokens\": 6e-07,\n"
    "    \"cache_creation_input_token_cost_above_200k_tokens\": 7.5e-06,\n"
    "    \"search_context_cost_per_query\": {\n"
    "      \"search_context_size_low\": 0.01,\n"
    "      \"search_context_size_medium\": 0.025,\n"
    "      \"search_context_size_high\": 0.05 } },\n"
    "  \"tiers\": { \"litellm_provider\": \"openai\",\n"
    "    \"input_cost_per_token\": 2.5e-06,\n"
    "    \"output_cost_per_token\": 1e-05,\n"
    "    \"cache_read_input_token_cost\": 1.25e-06,\n"
    "    \"input_cost_per_token_priority\": 4.25e-06,\n"
    "    \"output_cost_per_token_priority\": 1.7e-05,\n"
    "    \"input_cost_per_token_flex\": 1.25e-06,\n"
    "    \"input_cost_per_token_batches\": 1.25e-06,\n"
    "    \"output_cost_per_token_batches\": 5e-06,\n"
    "    \"input_cost_per_token_above_272k_tokens\": 5e-06,\n"
    "    \"input_cost_per_token_above_272k_tokens_priority\": 9e-06 },\n"
    "  \"bands\": { \"input_cost_per_token_above_200k_tokens\": 3e-06,\n"
    "    \"input_cost_per_token_above_128k_tokens\": 2e-06,\n"
    "    \"input_cost_per_token\": 1e-06, \"output_cost_per_token\": null,\n"
    "    \"output_cost_per_token_above_128k_tokens\": 4e-06 },\n"
    "  \"media\": { \"input_cost_per_token\": 2.5e-06,\n"
    "    \"output_cost_per_token\": 1e-05,\n"
    "    \"output_cost_per_reasoning_token\": 2e-05,\n"
    "    \"input_cost_per_audio_token\": 4e-05,\n"
    "    \"output_cost_per_audio_token\": 8e-05,\n"
    "    \"input_cost_per_image_token\": 1e-05,\n"
    "    \"output_cost_per_image_token\": 4e-05 },\n"
    "  \"listener\": { \"input_cost_per_second\": 0.0002833333333333333 },\n"
    "  \"speaker\": { \"input_cost_per_second\": 0.0001,\n"
    "    \"output_cost_per_second\": 0.00025,\n"
    "    \"input_cost_per_character\": 1.5e-05 },\n"
    "  \"painter\": { \"input_cost_per_image\": 0.0011,\n"
    "    \"output_cost_per_image\": 0.134 },\n"
    "  \"ranker\": { \"input_cost_per_query\": 0.002 },\n"
    "  \"files\": { \"input_cost_per_token\": \"1e-6\",\n"
    "    \"file_search_cost_per_1k_calls\": \"2.5\" },\n"
    "  \"tiny\": { \"input_cost_per_token\": 2.5e-9,\n"
    "    \"output_cost_per_token\": 1e-24,\n"
    "    \"cache_read_input_token_cost\": 3.625e-09,\n"
    "    \"input_cost_per_token_cache_hit\": 99 },\n"
    "  \"free\": { \"input_cost_per_token\": 0,\n"
    "    \"output_cost_per_token\": 0.0 },\n"
    "  \"graded\": { \"output_cost_per_token\": 9e-06, \"tiered_pricing\": [\n"
    "    {\"range\": [0, 32000.0], \"input_cost_per_token\": 1e-06,\n"
    "      \"cache_read_input_token_cost\": 1e-07,\n"
    "      \"output_cost_per_token\": 9e-06},\n"
    "    {\"range\": [32e3, 128000], \"input_cost_per_token\": 2e-06,\n"
    "      \"cache_read_input_token_cost\": 2e-07,\n"
    "      \"output_cost_per_token\": 1.2e-05},\n"
    "    {\"range\": [128000, 1000000], \"input_cost_per_token\": 4e-06,\n"
    "      \"output_cost_per_token\": 2.4e-05}] },\n"
    "  \"cinema\": { \"input_cost_per_token\": 1e-06,\n"
    "    \"output_cost_per_token\": 9e-06,\n"
    "    \"output_cost_per_video_token\": 1.75e-05,\n"
    "    \"input_cost_per_audio_token\": 3e-06,\n"
    "    \"input_cost_per_audio_per_second\": 0.00016,\n"
    "    \"input_cost_per_video_per_second\": 0.00079 },\n"
    "  \"talker\": { \"input_cost_per_token\": 6e-07,\n"
    "    \"cache_read_input_token_cost\": 6e-08,\n"
    "    \"cache_read_input_audio_token_cost\": 3e-07,\n"
    "    \"cache_creation_input_audio_token_cost\": 3e-07 },\n"
    "  \"novel\": { \"input_cost_per_token\": 1e-06,\n"
    "    \"input_dbu_cost_per_token\": 1, \"free_cost\": 0.0,\n"
    "    \"output_cost_per_image_above_512_pixels\": 0.1,\n"
    "    \"output_cost_per_image\": 0.05 },\n"
    "  \"odd\": { \"input_cost_per_token\": 1e-06,\n"
    "    \"citation_cost_per_token\": 2e-06 },\n"
    "  \"racer\": { \"input_cost_per_token\": 5e-06,\n"
    "    \"input_cost_per_token_above_200k_tokens\": 1e-05,\n"
    "    \"output_cost_per_token\": 2.5e-05, \"output_cost_per_image\": 1,\n"
    "    \"provider_specific_entry\": {\"fast\": 6.5, \"us\": 1.1} },\n"
    "  \"priceless\": { \"mode\": \"chat\", \"max_tokens\": 5,\n"
    "    \"input_cost_per_pixel\": 1e-8 }\n"
    "}\n";

/* ---- loading from texts -------------------------------------------------- */

static int
load_texts(const char *const *texts, size_t n, struct price_blob **b,
    char *error, size_t cap)
{
	char names[4][40];
	const char *paths[4];
	size_t i;
	int fd, rc;

	for (i = 0; i < n; i++) {
		strcpy(names[i], "/tmp/test_price.XXXXXX");
		paths[i] = names[i];
		fd = mkstemp(names[i]);
		ck_assert_int_ne(fd, -1);
		ck_assert_int_eq(write(fd, texts[i], strlen(texts[i])),
		    (ssize_t)strlen(texts[i]));
		close(fd);
	}
	rc = price_load(paths, n, b, error, cap);
	for (i = 0; i < n; i++)
		unlink(names[i]);
	return (rc);
}

static struct price_blob *
load(const char *text)
{
	struct price_blob *b = NULL;
	char error[400] = "";

	ck_assert_msg(
	    load_texts(&text, 1, &b, error, sizeof(error)) == 0, "%s", error);
	ck_assert(price_blob_valid(b, b->size));
	return (b);
}

/* One model "m" with these fields. */
static struct price_blob *
load_fields(const char *fields)
{
	char text[2048];

	snprintf(text, sizeof(text), "{\"m\": {%s}}", fields);
	return (load(text));
}

static struct price_blob *
load_path(const char *path)
{
	struct price_blob *b = NULL;
	char error[400] = "";

	ck_assert_msg(
	    price_load(&path, 1, &b, error, sizeof(error)) == 0, "%s", error);
	ck_assert(price_blob_valid(b, b->size));
	return (b);
}

/* "input=3 output=4" */
static struct usage
usage_of(const char *text)
{
	struct usage u = {0};
	const char *name;
	char word[32];
	unsigned kind;
	int n;
	unsigned long long count;

	for (; sscanf(text, " %31[^=]=%llu%n", word, &count, &n) == 2;
	     text += n) {
		for (kind = 0; kind < USAGE_KINDS; kind++) {
			name = usage_kind_str(kind);
			if (strcmp(name, word) == 0)
				break;
		}
		ck_assert_msg(kind < USAGE_KINDS, "%s", word);
		u.n[kind] = count;
	}
	return (u);
}

static void
expect_cost(const struct price_blob *b, const char *model,
    enum service_tier tier, const char *usage, const char *usd, bool complete)
{
	const struct price_entry *e = price_blob_find(b, span_str(model));
	struct usage u = usage_of(usage);
	amount_t *sum = amount_new();
	char out[AMOUNT_TEXT_MAX];

	ck_assert_msg(e != NULL, "%s", model);
	ck_assert_msg(
	    price_cost(e, &u, tier, sum) == complete, "%s: %s", model, usage);
	ck_assert_int_eq(amount_format(sum, out), 0);
	ck_assert_msg(strcmp(out, usd) == 0, "%s: %s: %s is not %s", model,
	    usage, out, usd);
	amount_free(sum);
}

/* ---- costs --------------------------------------------------------------- */

static const struct {
	const char *model;
	enum service_tier tier;
	const char *usage;
	const char *usd; /* by hand */
	bool incomplete;
} golden[] = {
    {"cached", TIER_DEFAULT, "input=1000 output=200", "0.006", false},
    {"cached", TIER_DEFAULT,
	"input=1000 cache_read=9000 cache_write=500 cache_write_1h=100 "
	"output=10",
	"0.008325", false},
    /* The context counts from one token above, for the whole request. */
    {"cached", TIER_DEFAULT, "input=200000 output=1", "0.600015", false},
    {"cached", TIER_DEFAULT, "input=1 cache_read=200000 output=1", "0.1200285",
	false},
    {"cached", TIER_DEFAULT, "input=200000 cache_write_1h=1", "1.200012",
	false},
    {"cached", TIER_DEFAULT, "input=1 output=300000", "4.500003", false},
    /* Kinds without a price fall back. */
    {"cached", TIER_DEFAULT, "output=10 reasoning=90", "0.0015", false},
    {"cached", TIER_DEFAULT, "audio_input=10 image_input=10", "0.00006", false},
    {"tiers", TIER_DEFAULT, "cache_write=2 cache_write_1h=3", "0.0000125",
	false},
    {"tiers", TIER_DEFAULT, "audio_output=1 image_output=1", "0.00002", false},
    /* Medium; large ones cost more, and nobody says which it was. */
    {"cached", TIER_DEFAULT, "searches=3", "0.075", true},
    {"cached", TIER_DEFAULT, "input=1 requests=1", "0.000003", true},
    {"cached", TIER_DEFAULT, "", "0", false},
    /* Service tiers; what has no price there is billed at the base. */
    {"tiers", TIER_PRIORITY, "input=100 cache_read=10 output=1", "0.0004545",
	false},
    {"tiers", TIER_FLEX, "input=4 output=1", "0.000015", false},
    {"tiers", TIER_BATCH, "input=2 output=2", "0.0000125", false},
    {"tiers", TIER_PRIORITY, "input=272001 output=1", "2.448026", false},
    {"tiers", TIER_FLEX, "input=272001", "1.360005", false},
    {"bands", TIER_DEFAULT, "input=128000", "0.128", false},
    {"bands", TIER_DEFAULT, "input=128001", "0.256002", false},
    {"bands", TIER_DEFAULT, "input=200001 output=1", "0.600007", false},
    {"bands", TIER_DEFAULT, "input=1 output=1", "0.000001", true},
    {"media", TIER_DEFAULT,
	"input=10 audio_input=100 output=5 audio_output=50 reasoning=3 "
	"image_input=7 image_output=9",
	"0.008565", false},
    /* Per second: a millisecond is a thousandth of it, exactly. */
    {"listener", TIER_DEFAULT, "milliseconds=1", "0.0000002833333333333333",
	false},
    {"listener", TIER_DEFAULT, "milliseconds=61500", "0.01742499999999999795",
	false},
    {"speaker", TIER_DEFAULT, "milliseconds=2000", "0.0005", false},
    {"speaker", TIER_DEFAULT, "characters=4096", "0.06144", false},
    {"painter", TIER_DEFAULT, "images=2", "0.268", false},
    {"ranker", TIER_DEFAULT, "requests=1", "0.002", false},
    {"files", TIER_DEFAULT, "input=1 tool_calls=1", "0.002501", false},
    {"tiny", TIER_DEFAULT, "cache_read=1", "0.000000003625", false},
    {"free", TIER_DEFAULT, "input=1000000 output=1000000", "0", false},
    /* Fast is a tier whose tokens cost a multiple. */
    {"racer", TIER_DEFAULT, "input=1 output=1 images=1", "1.00003", false},
    {"racer", TIER_FAST, "input=1 output=1 images=1", "1.000195", false},
    {"racer", TIER_FAST, "input=200001", "13.000065", false},
    /* Tiers by ranges re-price the whole request, too. */
    {"graded", TIER_DEFAULT, "input=32000 output=10", "0.03209", false},
    {"graded", TIER_DEFAULT, "input=32001 output=10", "0.064122", false},
    {"graded", TIER_DEFAULT, "input=1 cache_read=32000", "0.006402", false},
    {"graded", TIER_FLEX, "input=128001 output=1000", "0.536004", false},
    {"graded", TIER_DEFAULT, "input=1 cache_read=128000", "0.025604", false},
    {"graded", TIER_DEFAULT, "input=2000000", "8", false},
    /* What a kind's count does not tell apart is flagged where it may be
     * dearer than it is billed. */
    {"cinema", TIER_DEFAULT, "input=1 audio_input=1", "0.000004", false},
    {"cinema", TIER_DEFAULT, "output=2", "0.000018", true},
    {"cinema", TIER_DEFAULT, "image_input=1", "0.000001", true},
    {"talker", TIER_DEFAULT, "input=10", "0.000006", false},
    {"talker", TIER_DEFAULT, "cache_write=10", "0.000006", false},
    {"talker", TIER_DEFAULT, "cache_read=10", "0.0000006", true},
    {"novel", TIER_DEFAULT, "input=10", "0.00001", false},
    {"novel", TIER_DEFAULT, "images=1", "0.05", true},
    {"odd", TIER_DEFAULT, "input=10", "0.00001", true},
};

START_TEST(costs_are_what_was_computed_by_hand)
{
	struct price_blob *b = load(table);

	expect_cost(b, golden[_i].model, golden[_i].tier, golden[_i].usage,
	    golden[_i].usd, !golden[_i].incomplete);
	free(b);
}
END_TEST

START_TEST(d18_tiny_prices_never_become_zero)
{
	struct price_blob *b = load(table);
	const struct price_entry *e = price_blob_find(b, SPAN("tiny"));
	amount_t *sum = amount_new(), *one = amount_new(), *back = amount_new();
	struct usage u = usage_of("input=1 output=1");
	char out[AMOUNT_TEXT_MAX];
	unsigned i;

	expect_cost(b, "tiny", TIER_DEFAULT, "input=1", "0.0000000025", true);
	expect_cost(b, "tiny", TIER_DEFAULT, "output=1",
	    "0.000000000000000000000001", true);
	/* A million rows, each through its text as the ledger keeps it. */
	for (i = 0; i < 1000000; i++) {
		amount_zero(one);
		price_cost(e, &u, TIER_DEFAULT, one);
		amount_format(one, out);
		ck_assert_int_eq(amount_parse(back, out, strlen(out)), 0);
		amount_add(sum, back);
	}
	amount_format(sum, out);
	ck_assert_str_eq(out, "0.002500000000000001");
	amount_free(sum);
	amount_free(one);
	amount_free(back);
	free(b);
}
END_TEST

static int64_t
hold(const struct price_entry *e, enum service_tier tier, uint64_t input,
    uint64_t output, uint64_t images)
{
	struct usage bound = {0};

	bound.n[USAGE_input] = input;
	bound.n[USAGE_output] = output;
	bound.n[USAGE_images] = images;
	return (price_hold(e, tier, &bound).n);
}

START_TEST(a_hold_is_the_price_of_the_bounds_rounded_up)
{
	struct price_blob *b = load(table);
	const struct price_entry *e = price_blob_find(b, SPAN("cached"));

	ck_assert_int_eq(hold(e, TIER_DEFAULT, 1000, 1000, 0), 18000000);
	ck_assert_int_eq(hold(e, TIER_DEFAULT, 200001, 0, 0), 1200006000);
	ck_assert_int_eq(hold(e, TIER_DEFAULT, UINT64_MAX, 1, 0), INT64_MAX);
	e = price_blob_find(b, SPAN("tiers"));
	ck_assert_int_eq(
	    hold(e, TIER_PRIORITY, 1000, 100, 0), 4250000 + 1700000);
	ck_assert_int_eq(
	    hold(e, TIER_DEFAULT, 1000, 100, 0), 2500000 + 1000000);
	e = price_blob_find(b, SPAN("tiny"));
	ck_assert_int_eq(hold(e, TIER_DEFAULT, 1, 0, 0), 3);
	ck_assert_int_eq(hold(e, TIER_DEFAULT, 0, 1, 0), 1);
	e = price_blob_find(b, SPAN("painter"));
	ck_assert_int_eq(hold(e, TIER_DEFAULT, 1000, 0, 1), 134000000);
	e = price_blob_find(b, SPAN("free"));
	ck_assert_int_eq(hold(e, TIER_DEFAULT, 1000, 1000, 0), 0);
	free(b);
}
END_TEST

/* ---- files --------------------------------------------------------------- */

START_TEST(entries_carry_what_the_file_says_of_the_model)
{
	struct price_blob *b = load(table);
	const struct price_entry *e = price_blob_find(b, SPAN("cached"));
	unsigned n = 0;

	ck_assert_str_eq(e->provider, "anthropic");
	ck_assert_str_eq(e->mode, "chat");
	ck_assert_uint_eq(e->max_input, 200000);
	ck_assert_uint_eq(e->max_output, 64000);
	ck_assert_uint_eq(e->reasoning_model, 1);
	ck_assert_uint_eq(e->contexts[0], 200000);
	ck_assert_uint_eq(e->contexts[1], 0);
	e = price_blob_find(b, SPAN("bands"));
	ck_assert_uint_eq(e->contexts[0], 128000);
	ck_assert_uint_eq(e->contexts[1], 200000);
	ck_assert_ptr_null(price_blob_find(b, SPAN("priceless")));
	ck_assert_ptr_null(price_blob_find(b, SPAN("sample_spec")));
	ck_assert_ptr_null(price_blob_find(b, SPAN("cache")));
	ck_assert_ptr_null(price_blob_find(b, SPAN("")));
	for (e = NULL; (e = price_blob_next(b, e)) != NULL; n++)
		ck_assert_ptr_eq(price_blob_find(b, span_str(e->name)), e);
	ck_assert_uint_eq(n, b->nentries);
	ck_assert_uint_eq(n, 17);
	ck_assert_uint_eq(b->version, 0);
	free(b);
}
END_TEST

START_TEST(the_published_file_loads_whole)
{
	struct price_blob *b;

	if (access(PUBLISHED, R_OK) == -1) {
		fprintf(stderr, "left out: %s is not there\n", PUBLISHED);
		return;
	}
	b = load_path(PUBLISHED);
	ck_assert_uint_ge(b->nentries, 200);
	/* By hand, from the file's figures. */
	expect_cost(b, "claude-sonnet-4-5", TIER_DEFAULT,
	    "input=7 cache_read=12000 cache_write=300 output=410", "0.010896",
	    true);
	expect_cost(b, "claude-sonnet-4-5", TIER_DEFAULT,
	    "input=199000 cache_read=1001 cache_write_1h=10 output=100",
	    "1.1969706", true);
	expect_cost(b, "gemini-3-pro-preview", TIER_PRIORITY,
	    "input=250000 cache_read=10000 output=1000", "1.8396", true);
	expect_cost(
	    b, "gpt-5-nano", TIER_FLEX, "cache_read=1", "0.0000000025", true);
	expect_cost(b, "gpt-4o-audio-preview", TIER_DEFAULT,
	    "input=20 audio_input=30 output=5 audio_output=40", "0.0045", true);
	expect_cost(b, "gpt-4o-search-preview", TIER_DEFAULT,
	    "input=10 searches=2 output=1", "0.070035", false);
	expect_cost(b, "gpt-realtime-whisper", TIER_DEFAULT, "milliseconds=1",
	    "0.0000002833333333333333", true);
	expect_cost(b, "gpt-5.4", TIER_DEFAULT, "input=272001 output=10",
	    "1.36023", true);
	expect_cost(b, "gpt-image-1", TIER_DEFAULT,
	    "input=12 image_output=4160", "0.16646", true);
	free(b);
}
END_TEST

START_TEST(our_own_file_loads_and_prices_the_simulator)
{
	struct price_blob *b = load_path("etc/prices.json");
	const struct price_entry *e;

	ck_assert_uint_ge(b->nentries, 25);
	e = price_find(b, SPAN("sim"), SPAN("openai"), SPAN("sim-chat"));
	ck_assert_ptr_nonnull(e);
	expect_cost(b, "sim-chat", TIER_DEFAULT, "input=10 output=10",
	    "0.0000075", true);
	expect_cost(b, "gpt-4o", TIER_PRIORITY, "input=1000 cache_read=1000",
	    "0.006375", true);
	ck_assert_ptr_nonnull(
	    price_blob_find(b, SPAN("text-embedding-3-small")));
	ck_assert_ptr_nonnull(price_blob_find(b, SPAN("gpt-4.1-nano")));
	free(b);
}
END_TEST

START_TEST(an_overlay_replaces_entries_whole)
{
	static const char *const texts[2] = {
	    "{\"a\":{\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1}"
	    ","
	    "\"b\":{\"input_cost_per_token\":2e-6}}",
	    "{\"c\":{\"input_cost_per_token\":4e-6},"
	    "\"a\":{\"input_cost_per_token\":3e-6}}"};
	struct price_blob *b = NULL;
	char error[200] = "";

	ck_assert_int_eq(load_texts(texts, 2, &b, error, sizeof(error)), 0);
	ck_assert(price_blob_valid(b, b->size));
	ck_assert_uint_eq(b->nentries, 3);
	expect_cost(
	    b, "a", TIER_DEFAULT, "input=1 output=1", "0.000003", false);
	expect_cost(b, "b", TIER_DEFAULT, "input=1", "0.000002", true);
	expect_cost(b, "c", TIER_DEFAULT, "input=1", "0.000004", true);
	free(b);
}
END_TEST

static const struct {
	const char *text;
	const char *parts[3]; /* of the message */
} refusals[] = {
    {"{\"m\":{\"input_cost_per_token\":-1e-6}}",
	{"\"m\"", "\"input_cost_per_token\"", "negative"}},
    {"{\"m\":{\"output_cost_per_token\":1e-25}}",
	{"\"m\"", "\"output_cost_per_token\"", "1e-25"}},
    {"{\"m\":{\"input_cost_per_second\":1e-23}}",
	{"\"m\"", "\"input_cost_per_second\"", "1e-23"}},
    {"{\"m\":{\"input_cost_per_token_flex\":1e20}}",
	{"\"m\"", "\"input_cost_per_token_flex\"", "1e20"}},
    {"{\"m\":{\"input_cost_per_token\":true}}",
	{"\"m\"", "\"input_cost_per_token\"", "not a number"}},
    {"{\"m\":{\"cache_read_input_audio_token_cost\":{}}}",
	{"\"m\"", "\"cache_read_input_audio_token_cost\"", "not a number"}},
    {"{\"m\":{\"input_cost_per_token\":\"free\"}}",
	{"\"m\"", "\"input_cost_per_token\"", "free"}},
    {"{\"m\":{\"input_cost_per_token\":\"\"}}",
	{"\"m\"", "\"input_cost_per_token\""}},
    {"{\"m\":{\"search_context_cost_per_query\":"
     "{\"search_context_size_low\":-1}}}",
	{"\"m\"", "\"search_context_size_low\"", "negative"}},
    {"{\"m\":{\"search_context_cost_per_query\":[1]}}",
	{"\"m\"", "\"search_context_cost_per_query\"", "not a number"}},
    {"{\"m\":{\"input_cost_per_token\":1,\"input_cost_per_token\":1}}",
	{"\"m\"", "\"input_cost_per_token\"", "twice"}},
    {"{\"m\":{\"input_cost_per_token_flex_above_200k_tokens\":1,"
     "\"input_cost_per_token_above_200k_tokens_flex\":1}}",
	{"\"m\"", "\"input_cost_per_token_above_200k_tokens_flex\"", "twice"}},
    {"{\"m\":{\"input_cost_per_token\":1},\"m\":{}}", {"\"m\"", "twice"}},
    {"{\"m\":3}", {"\"m\"", "not an object"}},
    {"{\"\":{\"input_cost_per_token\":1}}", {"name"}},
    {"{\"m\":{\"tiered_pricing\":{}}}",
	{"\"m\"", "\"tiered_pricing\"", "list"}},
    {"{\"m\":{\"tiered_pricing\":[3]}}",
	{"\"m\"", "\"tiered_pricing\"", "objects"}},
    {"{\"m\":{\"tiered_pricing\":[{\"input_cost_per_token\":1}]}}",
	{"\"m\"", "\"range\"", "ascending"}},
    {"{\"m\":{\"tiered_pricing\":[{\"range\":[0,1.5]}]}}",
	{"\"m\"", "\"range\"", "ascending"}},
    {"{\"m\":{\"tiered_pricing\":[{\"range\":[7,7]}]}}",
	{"\"m\"", "\"range\"", "ascending"}},
    {"{\"m\":{\"tiered_pricing\":[{\"range\":[0,7,9]}]}}",
	{"\"m\"", "\"range\"", "ascending"}},
    {"{\"m\":{\"input_cost_per_token\":2,\"tiered_pricing\":"
     "[{\"range\":[0,7],\"input_cost_per_token\":3}]}}",
	{"\"m\"", "\"input_cost_per_token\"", "twice"}},
    {"{\"m\":{\"input_cost_per_token\":1e-24,"
     "\"provider_specific_entry\":{\"fast\":1.5}}}",
	{"\"m\"", "\"fast\"", "too fine"}},
    {"{\"m\":{\"input_cost_per_token\":1,"
     "\"provider_specific_entry\":{\"fast\":-2}}}",
	{"\"m\"", "\"fast\"", "factor"}},
    {"[]", {"not an object"}},
    {"{\"m\":{\"input_cost_per_token\":1}", {"line 1"}},
    {"{\"m\":{\"input_cost_per_token\":1e}}", {"line 1"}},
    {"", {""}},
    {"{\"m\":{\"input_cost_per_token_above_1k_tokens\":1,"
     "\"input_cost_per_token_above_2k_tokens\":1,"
     "\"input_cost_per_token_above_3k_tokens\":1,"
     "\"input_cost_per_token_above_4k_tokens\":1,"
     "\"input_cost_per_token_above_5k_tokens\":1}}",
	{"\"m\"", "\"input_cost_per_token_above_5k_tokens\"", "4 context"}},
};

START_TEST(a_broken_price_refuses_the_file_and_names_the_place)
{
	const char *texts[2] = {table, refusals[_i].text};
	struct price_blob *b = NULL;
	char error[400] = "";
	unsigned i;

	ck_assert_int_eq(load_texts(texts, 2, &b, error, sizeof(error)), -1);
	ck_assert_ptr_null(b);
	ck_assert_msg(strstr(error, "/tmp/test_price.") == error, "%s", error);
	for (i = 0; i < 3 && refusals[_i].parts[i] != NULL; i++)
		ck_assert_msg(
		    strstr(error, refusals[_i].parts[i]) != NULL, "%s", error);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_named)
{
	const char *path = "/nonexistent/prices.json";
	struct price_blob *b = NULL;
	char error[200] = "";

	ck_assert_int_eq(price_load(&path, 1, &b, error, sizeof(error)), -1);
	ck_assert_msg(strstr(error, path) != NULL, "%s", error);
}
END_TEST

START_TEST(fields_that_are_no_prices_are_ignored)
{
	struct price_blob *b = load_fields(
	    "\"input_cost_per_token\": 1e-6,"
	    "\"input_cost_per_token_quick\": {}, \"output_cost\": -1,"
	    "\"input_cost_per_token_above_k_tokens\": true,"
	    "\"regional_processing_uplift_multiplier_eu\": 1.1,"
	    "\"tiered_pricing\": [], \"max_tokens\": \"many\","
	    "\"_comment\": \"-1\", \"output_cost_per_token\": null");
	const struct price_entry *e = price_blob_find(b, SPAN("m"));

	ck_assert_uint_eq(e->nrates, 1);
	ck_assert_uint_eq(e->max_output, 0);
	free(b);
}
END_TEST

/* ---- jumps --------------------------------------------------------------- */

static const struct {
	const char *old, *new;
	const char *field; /* NULL: no jump */
} jumps[] = {
    {"\"input_cost_per_token\":1e-6", "\"input_cost_per_token\":1e-5", NULL},
    {"\"input_cost_per_token\":1e-6",
	"\"input_cost_per_token\":0.000010000000000000000001",
	"input_cost_per_token"},
    {"\"input_cost_per_token\":1e-5", "\"input_cost_per_token\":1e-6", NULL},
    {"\"input_cost_per_token\":1e-5", "\"input_cost_per_token\":0.99e-6",
	"input_cost_per_token"},
    {"\"output_cost_per_token\":0", "\"output_cost_per_token\":1e-24",
	"output_cost_per_token"},
    {"\"output_cost_per_token\":1e-24", "\"output_cost_per_token\":0",
	"output_cost_per_token"},
    {"\"output_cost_per_token\":0", "\"output_cost_per_token\":0", NULL},
    {"\"input_cost_per_token\":1e-6",
	"\"input_cost_per_token\":1e-6,\"output_cost_per_token\":1", NULL},
    {"\"input_cost_per_token\":1,"
     "\"input_cost_per_token_above_200k_tokens_flex\":1e-6",
	"\"input_cost_per_token_above_128k_tokens\":1e-6,"
	"\"input_cost_per_token_above_200k_tokens_flex\":2e-5",
	"input_cost_per_token_above_200k_tokens_flex"},
    {"\"input_cost_per_token\":12345678901234",
	"\"input_cost_per_token\":123456789012340", NULL},
};

START_TEST(more_than_tenfold_is_a_jump)
{
	struct price_blob *old = load_fields(jumps[_i].old);
	struct price_blob *new = load_fields(jumps[_i].new);
	char error[300] = "";
	int rc = price_check_jump(old, new, error, sizeof(error));

	ck_assert_int_eq(rc, jumps[_i].field == NULL ? 0 : -1);
	if (rc == -1) {
		ck_assert_msg(strstr(error, "\"m\"") != NULL, "%s", error);
		ck_assert_msg(
		    strstr(error, jumps[_i].field) != NULL, "%s", error);
	}
	free(old);
	free(new);
}
END_TEST

/* Differences as lines, "model kind/tier/above was is". */
static void
note_difference(void *arg, const struct price_difference *d)
{
	const struct price_rate *r = d->is != NULL ? d->is : d->was;
	char was[AMOUNT_TEXT_MAX] = "-", is[AMOUNT_TEXT_MAX] = "-";

	if (d->was != NULL)
		unit_price_format(d->was->price, was);
	if (d->is != NULL)
		unit_price_format(d->is->price, is);
	if (r == NULL)
		buf_addf(arg, "%s %s\n", d->entry->name,
		    d->change == PRICE_ADDED ? "added" : "removed");
	else
		buf_addf(arg, "%s %s/%s/%u %s %s\n", d->entry->name,
		    usage_kind_str(r->kind), service_tier_str(r->tier),
		    (unsigned)d->above, was, is);
}

START_TEST(differences_are_told_rate_by_rate)
{
	struct price_blob *old = load(
	    "{\"same\":{\"input_cost_per_token\":1},"
	    "\"goes\":{\"input_cost_per_token\":1},"
	    "\"m\":{\"input_cost_per_token\":1,\"output_cost_per_token\":2,"
	    "\"input_cost_per_token_above_200k_tokens\":3,"
	    "\"input_cost_per_token_flex\":4}}");
	struct price_blob *new = load(
	    "{\"m\":{\"output_cost_per_token\":2.5,\"input_cost_per_token\":1,"
	    "\"input_cost_per_token_above_128k_tokens\":7,"
	    "\"input_cost_per_token_above_200k_tokens\":3,"
	    "\"input_cost_per_token_flex\":4.5},"
	    "\"comes\":{\"input_cost_per_token\":1},"
	    "\"same\":{\"input_cost_per_token\":1.0}}");
	struct buf lines = {0};

	price_diff(old, new, note_difference, &lines);
	ck_assert_str_eq(buf_cstr(&lines), "m output/default/0 2 2.5\n"
					   "m input/default/128000 - 7\n"
					   "m input/flex/0 4 4.5\n"
					   "comes added\n"
					   "goes removed\n");
	buf_reset(&lines, 0);
	price_diff(new, old, note_difference, &lines);
	ck_assert_ptr_nonnull(
	    strstr(buf_cstr(&lines), "m input/default/128000 7 -\n"));
	buf_reset(&lines, 0);
	price_diff(new, new, note_difference, &lines);
	ck_assert_uint_eq(buf_len(&lines), 0);
	buf_fini(&lines);
	free(old);
	free(new);
}
END_TEST

START_TEST(models_that_come_and_go_are_no_jumps)
{
	struct price_blob *old = load("{\"a\":{\"input_cost_per_token\":1}}");
	struct price_blob *new = load("{\"b\":{\"input_cost_per_token\":99}}");
	char error[300];

	ck_assert_int_eq(price_check_jump(old, new, error, sizeof(error)), 0);
	free(old);
	free(new);
}
END_TEST

/* ---- which entry --------------------------------------------------------- */

static const struct {
	const char *provider, *type, *model;
	const char *name; /* of the entry, NULL: unpriced */
} finds[] = {
    {"east", "azure", "gpt", "east/gpt"},
    {"west", "azure", "gpt", "azure/gpt"},
    {"mine", "openai", "gpt", "gpt"},
    {"mine", "anthropic", "gpt", "gpt"},
    {"g", "google", "gem", "gemini/gem"},
    {"g", "google", "vgem", "vgem"},
    {"g", "google", "both", "both"},
    {"g", "openai", "gem", NULL},
    {"b", "aws", "nova", "bedrock/nova"},
    {"", "", "gpt", "gpt"},
    {"x", "openai", "none", NULL},
    {"x", "openai", "", NULL},
};

START_TEST(the_nearest_entry_prices_a_model)
{
	struct price_blob *b =
	    load("{\"gpt\":{\"litellm_provider\":\"openai\","
		 "\"input_cost_per_token\":1},"
		 "\"azure/gpt\":{\"input_cost_per_token\":1},"
		 "\"east/gpt\":{\"input_cost_per_token\":1},"
		 "\"gemini/gem\":{\"input_cost_per_token\":1},"
		 "\"vgem\":{\"litellm_provider\":\"vertex_ai-language-models\","
		 "\"input_cost_per_token\":1},"
		 "\"both\":{\"litellm_provider\":\"vertex_ai\","
		 "\"input_cost_per_token\":1},"
		 "\"gemini/both\":{\"input_cost_per_token\":1},"
		 "\"bedrock/nova\":{\"input_cost_per_token\":1}}");
	const struct price_entry *e =
	    price_find(b, span_str(finds[_i].provider),
		span_str(finds[_i].type), span_str(finds[_i].model));

	if (finds[_i].name == NULL) {
		ck_assert_ptr_null(e);
	} else {
		ck_assert_ptr_nonnull(e);
		ck_assert_str_eq(e->name, finds[_i].name);
	}
	free(b);
}
END_TEST

START_TEST(a_name_longer_than_any_entry_finds_nothing)
{
	struct price_blob *b = load("{\"a\":{\"input_cost_per_token\":1}}");
	char longname[300];

	memset(longname, 'a', sizeof(longname));
	ck_assert_ptr_null(price_find(
	    b, SPAN("p"), SPAN("openai"), span_of(longname, sizeof(longname))));
	ck_assert_ptr_null(price_find(
	    b, span_of(longname, 200), SPAN("openai"), span_of(longname, 126)));
	ck_assert_ptr_null(
	    price_find(b, SPAN("p"), SPAN("openai"), span_of(longname, 127)));
	free(b);
}
END_TEST

START_TEST(provider_names_of_price_files_map_to_types)
{
	ck_assert(price_provider_maps("openai", SPAN("openai")));
	ck_assert(
	    price_provider_maps("text-completion-openai", SPAN("openai")));
	ck_assert(price_provider_maps("bedrock_converse", SPAN("aws")));
	ck_assert(
	    price_provider_maps("vertex_ai-embedding-models", SPAN("google")));
	ck_assert(price_provider_maps("azure_ai", SPAN("azure")));
	ck_assert(price_provider_maps("anthropic", SPAN("anthropic")));
	ck_assert(!price_provider_maps("anthropic", SPAN("openai")));
	ck_assert(!price_provider_maps("", SPAN("openai")));
	ck_assert(!price_provider_maps("openai-like", SPAN("openai")));
}
END_TEST

/* ---- versions from outside ----------------------------------------------- */

START_TEST(a_damaged_version_is_never_valid)
{
	struct price_blob *b = load(table);
	unsigned char *bytes = (unsigned char *)b;
	uint32_t i, size = b->size;

	ck_assert(price_blob_valid(b, size));
	for (i = 0; i < size; i++)
		ck_assert(!price_blob_valid(b, i));
	for (i = sizeof(*b); i < size; i++) {
		bytes[i] ^= 0x40;
		ck_assert(!price_blob_valid(b, size));
		bytes[i] ^= 0x40;
	}
	ck_assert(price_blob_valid(b, size));
	free(b);
}
END_TEST

START_TEST(a_version_sealed_over_damage_is_read_safely_or_refused)
{
	struct price_blob *b = load(table);
	const struct price_entry *e;
	unsigned char *bytes = (unsigned char *)b;
	amount_t *sum = amount_new();
	struct usage u = usage_of("input=300000 output=1 reasoning=1");
	uint32_t i, size = b->size;
	unsigned refused = 0;

	for (i = 0; i < size; i++) {
		bytes[i] ^= 0x81;
		if (b->size == size)
			price_blob_seal(b);
		if (!price_blob_valid(b, size))
			refused++;
		else
			for (e = NULL; (e = price_blob_next(b, e)) != NULL;)
				price_cost(e, &u, TIER_FLEX, sum);
		bytes[i] ^= 0x81;
		b->size = size;
	}
	ck_assert_uint_gt(refused, 100);
	price_blob_seal(b);
	ck_assert(price_blob_valid(b, size));
	amount_free(sum);
	free(b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("price");
	TCase *tc = tcase_create("price");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, costs_are_what_was_computed_by_hand, 0,
	    sizeof(golden) / sizeof(golden[0]));
	tcase_add_test(tc, d18_tiny_prices_never_become_zero);
	tcase_add_test(tc, a_hold_is_the_price_of_the_bounds_rounded_up);
	tcase_add_test(tc, entries_carry_what_the_file_says_of_the_model);
	tcase_add_test(tc, the_published_file_loads_whole);
	tcase_add_test(tc, our_own_file_loads_and_prices_the_simulator);
	tcase_add_test(tc, an_overlay_replaces_entries_whole);
	tcase_add_loop_test(tc,
	    a_broken_price_refuses_the_file_and_names_the_place, 0,
	    sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tc, a_file_that_is_not_there_is_named);
	tcase_add_test(tc, fields_that_are_no_prices_are_ignored);
	tcase_add_loop_test(tc, more_than_tenfold_is_a_jump, 0,
	    sizeof(jumps) / sizeof(jumps[0]));
	tcase_add_test(tc, models_that_come_and_go_are_no_jumps);
	tcase_add_test(tc, differences_are_told_rate_by_rate);
	tcase_add_loop_test(tc, the_nearest_entry_prices_a_model, 0,
	    sizeof(finds) / sizeof(finds[0]));
	tcase_add_test(tc, a_name_longer_than_any_entry_finds_nothing);
	tcase_add_test(tc, provider_names_of_price_files_map_to_types);
	tcase_add_test(tc, a_damaged_version_is_never_valid);
	tcase_add_test(
	    tc, a_version_sealed_over_damage_is_read_safely_or_refused);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

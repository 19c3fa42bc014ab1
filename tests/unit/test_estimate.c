/* Estimates: bounds, learning, and their score against the recordings. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "hubd/api/api.h"

#define RECORDINGS "../shared/recordings/"

static const struct endpoint *
endpoint(const char *id)
{
	const struct endpoint *ep = endpoint_by_id(span_str(id));

	ck_assert_ptr_nonnull(ep);
	return (ep);
}

START_TEST(bounds_are_what_was_named_or_learnt)
{
	struct learnt l = {0};
	struct api_request r = {.n = 3, .text_bytes = 2001};

	ck_assert_uint_eq(estimate_input_bound(&l, &r), 1001 + 96);
	ck_assert_uint_eq(estimate_output_bound(&l, &r), 3 * 2048);
	r.max_output = 100;
	ck_assert_uint_eq(estimate_output_bound(&l, &r), 300);
	r.max_output = r.n = UINT64_MAX / 2;
	ck_assert_uint_eq(estimate_output_bound(&l, &r), UINT64_MAX);
	r.text_bytes = UINT64_MAX;
	ck_assert_uint_ge(estimate_input_bound(&l, &r), UINT64_MAX / 2001);
	r.no_output = true;
	ck_assert_uint_eq(estimate_output_bound(&l, &r), 0);
}
END_TEST

START_TEST(figures_are_learnt_and_bound_most_answers)
{
	struct learnt l = {0};
	struct api_request r = {.n = 1};
	struct meter_report rep = {.has_usage = true};
	unsigned i, over = 0, seed = 1;
	uint64_t tokens, output;

	for (i = 0; i < 4000; i++) {
		seed = seed * 1103515245 + 12345;
		tokens = 1000;
		output = 100 + (seed >> 16) % 1000;
		r.text_bytes = 3000 + (seed >> 8) % 2000;
		rep.usage.n[USAGE_input] = tokens;
		rep.usage.n[USAGE_output] = output;
		rep.text_bytes = output * 5;
		if (i >= 2000)
			over += estimate_input_bound(&l, &r) < tokens ||
				estimate_output_bound(&l, &r) < output;
		learnt_update(&l, &r, &rep);
	}
	ck_assert_uint_lt(over, 300);
	ck_assert_uint_gt(l.output_milli, 4900);
	ck_assert_uint_lt(l.output_milli, 5100);
	ck_assert_uint_gt(l.input_mean_milli, 3300);
	ck_assert_uint_lt(l.input_milli, 3600);
	ck_assert_uint_lt(l.output_p95, 1400);
}
END_TEST

START_TEST(missing_usage_is_never_nothing)
{
	struct learnt l = {0};
	struct api_request r = {.n = 1, .text_bytes = 400};
	struct meter_report rep = {.text_bytes = 40, .events = 12};
	struct usage u;

	ck_assert_str_eq(
	    estimate_usage(&l, endpoint("chat.completions"), &r, &rep, &u),
	    "bytes");
	ck_assert_uint_eq(u.n[USAGE_input], 107);
	ck_assert_uint_eq(u.n[USAGE_output], 12);
	l.seen = 1;
	r.text_bytes = 0;
	ck_assert_str_eq(
	    estimate_usage(&l, endpoint("embeddings"), &r, &rep, &u), "learnt");
	ck_assert_uint_eq(u.n[USAGE_input], 1);
	ck_assert_uint_eq(u.n[USAGE_output], 0);
}
END_TEST

/* What is asked of whom, what came back, and how that is counted. */
static const struct {
	const char *id;
	struct api_request req;
	struct meter_report rep;
	const char *method;
	enum usage_kind kind;
	uint64_t n;
} pieces[] = {
    {"images.generations", {.n = 4, .priced = 1u << USAGE_images},
	{.finished = true, .images = 3}, "", USAGE_images, 3},
    {"images.generations", {.n = 4, .priced = 1u << USAGE_images},
	{.images = 3}, "asked", USAGE_images, 4},
    {"images.edits", {.n = 1, .priced = 1u << USAGE_output},
	{.finished = true, .images = 2}, "images", USAGE_image_output, 2112},
    {"audio.speech", {.characters = 7, .priced = 1u << USAGE_characters},
	{.bytes = 9000}, "", USAGE_characters, 7},
    {"audio.speech", {.characters = 7, .priced = 1u << USAGE_milliseconds},
	{.bytes = 16000}, "size", USAGE_milliseconds, 1000},
    {"audio.speech", {.sound_rate = 48000, .priced = 1u << USAGE_audio_output},
	{.bytes = 48000}, "size", USAGE_audio_output, 21},
    {"audio.transcriptions",
	{.media_bytes = 32000, .priced = 1u << USAGE_milliseconds},
	{.bytes = 0}, "size", USAGE_milliseconds, 2000},
    {"audio.transcriptions",
	{.media_bytes = 32000,
	    .sound_rate = 32000,
	    .priced = 1u << USAGE_output},
	{.text_bytes = 17}, "size", USAGE_audio_input, 10},
    {"audio.translations",
	{.media_bytes = 32000, .priced = 1u << USAGE_milliseconds},
	{.duration_ms = 6471}, "duration", USAGE_milliseconds, 6471},
    {"moderations", {.priced = 1u << USAGE_requests}, {.bytes = 0}, "",
	USAGE_requests, 1},
    {"moderations", {.priced = 1u << USAGE_input}, {.bytes = 0}, "",
	USAGE_requests, 0},
    {"responses.input_tokens", {.priced = ~0u}, {.bytes = 0}, "",
	USAGE_requests, 0},
};

START_TEST(what_is_sold_by_the_piece_is_counted)
{
	const struct endpoint *ep = endpoint(pieces[_i].id);
	struct learnt l = {0};
	struct usage u, bound;

	ck_assert_str_eq(
	    estimate_usage(&l, ep, &pieces[_i].req, &pieces[_i].rep, &u),
	    pieces[_i].method);
	ck_assert_uint_eq(u.n[pieces[_i].kind], pieces[_i].n);
	estimate_bound(&l, ep, &pieces[_i].req, &bound);
	ck_assert(pieces[_i].rep.bytes != 0 || pieces[_i].rep.images != 0 ||
		  pieces[_i].rep.duration_ms != 0 ||
		  bound.n[pieces[_i].kind] >= u.n[pieces[_i].kind]);
}
END_TEST

/* ---- the recordings ----------------------------------------------------- */

static struct buf
slurp(const char *name)
{
	struct buf b = {0};
	char path[512];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), RECORDINGS "%s", name);
	f = fopen(path, "rb");
	if (f == NULL)
		return (b);
	while ((n = fread(buf_reserve(&b, 65536), 1, 65536, f)) > 0)
		buf_commit(&b, n);
	fclose(f);
	return (b);
}

/* An answer seen without its usage, and what its provider counted. */
struct sample {
	struct api_request req;
	struct meter_report rep;
	const struct endpoint *ep;
};

#define ERRORS_MAX 1024

/* How far estimates are off, in tenths of a percent of what was used. */
struct errors {
	uint32_t e[ERRORS_MAX];
	size_t n;
};

struct score {
	struct errors in_off, out_off;
	size_t n, bounded_in, bounded_out;
	uint64_t in, in_estimated, out, out_estimated;
};

static bool
is_wanted(const struct json *entry)
{
	const char *provider = json_get_str(entry, "provider");
	const char *body = json_get_str(entry, "request_body");

	return (
	    json_get_int(entry, "status", 0) == 200 &&
	    (strcmp(provider, "openai") == 0 ||
		strcmp(provider, "compat") == 0) &&
	    body != NULL &&
	    json_get_str(json_get(entry, "request_model"), "body") != NULL &&
	    endpoint_by_id(span_str(json_get_str(entry, "endpoint"))) != NULL &&
	    strcmp(json_get_str(entry, "endpoint"), "models") != 0 &&
	    strncmp(json_get_str(entry, "endpoint"), "audio.", 6) != 0);
}

/* What the user asked is understood as the manifest says. */
static void
check_request(const struct json *entry, struct sample *s)
{
	struct buf body = slurp(json_get_str(entry, "request_body"));
	const char *model =
	    json_get_str(json_get(entry, "request_model"), "body");
	const struct api_target target = {.endpoint = s->ep};
	const char *why;

	if (strstr(json_get_str(entry, "file"), "background-mode") != NULL) {
		ck_assert_int_eq(
		    api_inspect(&target, buf_span(&body), &s->req, &why),
		    API_ERR_invalid_request);
		ck_assert_ptr_nonnull(strstr(why, "background"));
		buf_fini(&body);
		return;
	}
	ck_assert_msg(
	    api_inspect(&target, buf_span(&body), &s->req, &why) == API_OK,
	    "%s: %s", json_get_str(entry, "request_body"), why);
	ck_assert_str_eq(s->req.model, model);
	ck_assert_int_eq(
	    s->req.stream, json_get_bool(entry, "request_stream", false));
	buf_fini(&body);
}

static void
meter_answer(const struct json *entry, struct sample *s)
{
	const char *file = json_get_str(entry, "file");
	struct buf in = slurp(file), out = {0};
	struct meter *m =
	    meter_new(s->ep, strcmp(strrchr(file, '.'), ".sse") == 0, false);

	meter_feed(m, buf_span(&in), &out);
	meter_finish(m, &out);
	s->rep = *meter_get(m);
	meter_free(m);
	buf_fini(&in);
	buf_fini(&out);
}

static void
add_error(struct errors *x, uint64_t is, uint64_t estimated)
{
	uint64_t off = is > estimated ? is - estimated : estimated - is;

	if (is > 0 && x->n < ERRORS_MAX)
		x->e[x->n++] = (uint32_t)(off * 1000 / is);
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x < y ? -1 : x > y);
}

static void
print_errors(const char *what, const char *side, struct errors *x)
{
	if (x->n == 0)
		return;
	qsort(x->e, x->n, sizeof(x->e[0]), by_size);
	printf("estimates of %s: %s off by %.1f %% in the median, %.1f %% at "
	       "p95 of %zu\n",
	    what, side, x->e[x->n / 2] / 10.0, x->e[x->n * 95 / 100] / 10.0,
	    x->n);
}

static void
add_score(struct score *sc, const struct sample *s)
{
	const struct learnt fresh = {0};
	uint64_t in = usage_sum(&s->rep.usage, USAGE_SIDE_INPUT);
	uint64_t out = usage_sum(&s->rep.usage, USAGE_SIDE_OUTPUT);
	struct usage u;

	estimate_usage(&fresh, s->ep, &s->req, &s->rep, &u);
	sc->n++;
	sc->in += in;
	sc->in_estimated += u.n[USAGE_input];
	sc->out += out;
	sc->out_estimated += u.n[USAGE_output];
	add_error(&sc->in_off, in, u.n[USAGE_input]);
	add_error(&sc->out_off, out, u.n[USAGE_output]);
	sc->bounded_in += in <= estimate_input_bound(&fresh, &s->req);
	sc->bounded_out += out <= estimate_output_bound(&fresh, &s->req);
}

static void
print_score(const char *what, struct score *sc)
{
	printf("estimates of %s: %zu answers; input %lu for %lu, output %lu "
	       "for %lu tokens; bounds held %zu and %zu times\n",
	    what, sc->n, (unsigned long)sc->in_estimated, (unsigned long)sc->in,
	    (unsigned long)sc->out_estimated, (unsigned long)sc->out,
	    sc->bounded_in, sc->bounded_out);
	print_errors(what, "input", &sc->in_off);
	print_errors(what, "output", &sc->out_off);
}

START_TEST(recorded_requests_are_understood_and_estimated)
{
	struct buf text = slurp("manifest.json");
	struct json *manifest, *entry;
	struct score sc = {0}, responses = {0};
	size_t requests = 0;

	if (buf_len(&text) == 0) {
		printf("left out: " RECORDINGS " is missing\n");
		return;
	}
	manifest = json_parse(buf_span(&text), NULL, 0);
	ck_assert_ptr_nonnull(manifest);
	for (entry = manifest->first; entry != NULL; entry = entry->next) {
		struct sample s = {0};

		if (!is_wanted(entry))
			continue;
		requests++;
		s.ep = endpoint(json_get_str(entry, "endpoint"));
		check_request(entry, &s);
		meter_answer(entry, &s);
		if (s.rep.has_usage)
			add_score(
			    s.ep->meter == METER_RESPONSE ? &responses : &sc,
			    &s);
	}
	print_score("chats and the like", &sc);
	print_score("responses, with tools that providers run", &responses);
	ck_assert_uint_ge(requests, 90);
	ck_assert_uint_gt(sc.bounded_in * 10, sc.n * 8);
	ck_assert_uint_gt(sc.bounded_out * 10, sc.n * 9);
	json_free(manifest);
	buf_fini(&text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("estimate");
	TCase *tc = tcase_create("estimate");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, bounds_are_what_was_named_or_learnt);
	tcase_add_test(tc, figures_are_learnt_and_bound_most_answers);
	tcase_add_test(tc, missing_usage_is_never_nothing);
	tcase_add_loop_test(tc, what_is_sold_by_the_piece_is_counted, 0,
	    sizeof(pieces) / sizeof(pieces[0]));
	tcase_add_test(tc, recorded_requests_are_understood_and_estimated);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

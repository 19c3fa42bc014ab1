/* The JSON scanner: every cut, the grammar's edges, UTF-8, bounded state. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/jscan.h"

/* Every report as text, so that two runs can be compared. */
static bool
log_key(struct jscan *s, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	(void)s;
	buf_addf(arg, "k%u@%lu%s%s<", depth, (unsigned long)begin,
	    cut ? "cut" : "", escaped ? "esc" : "");
	buf_addspan(arg, key);
	buf_addstr(arg, ">");
	return (true);
}

static bool
log_value(
    struct jscan *s, void *arg, unsigned depth, const struct jscan_value *v)
{
	buf_addf(arg, "v%d:%u[%u]@%lu-%lu=%lu%s%s<", (int)v->type, depth,
	    jscan_index(s), (unsigned long)v->begin, (unsigned long)v->end,
	    (unsigned long)v->size, v->cut ? "cut" : "",
	    v->escaped ? "esc" : "");
	if (v->type == JSCAN_STRING || v->type == JSCAN_NUMBER)
		buf_addspan(arg, v->text);
	buf_addstr(arg, ">");
	return (true);
}

static bool
log_close(struct jscan *s, void *arg, unsigned depth, uint64_t offset)
{
	(void)s;
	buf_addf(arg, "c%u@%lu", depth, (unsigned long)offset);
	return (true);
}

static const struct jscan_handler logger = {
    .on_key = log_key, .on_value = log_value, .on_close = log_close};

static enum jscan_result
run(struct span doc, size_t cut, struct buf *out)
{
	struct jscan s;
	size_t i, n;

	buf_reset(out, SIZE_MAX);
	jscan_init(&s, &logger, out);
	for (i = 0; i < doc.n; i += n) {
		n = doc.n - i < cut ? doc.n - i : cut;
		jscan_feed(&s, span_of(doc.p + i, n));
	}
	return (jscan_finish(&s));
}

static enum jscan_result
whole(struct span doc)
{
	struct buf out = {0};
	enum jscan_result r = run(doc, SIZE_MAX, &out);

	buf_fini(&out);
	return (r);
}

static void
expect(const char *doc, const char *report)
{
	struct buf out = {0};

	ck_assert_int_eq(run(span_str(doc), SIZE_MAX, &out), JSCAN_DONE);
	ck_assert_str_eq(buf_cstr(&out), report);
	buf_fini(&out);
}

START_TEST(reports_places_depths_and_indices)
{
	expect("{\"a\":1}", "v0:0[0]@0-0=0<>k1@1<a>v3:1[0]@5-6=1<1>c0@7");
	expect(" [true,{\"x\":[null,\"y\"]},-2.5e3]",
	    "v1:0[0]@1-0=0<>v4:1[0]@2-6=0<>v0:1[1]@7-0=0<>k2@8<x>"
	    "v1:2[1]@12-0=0<>v6:3[0]@13-17=0<>v2:3[1]@18-21=1<y>c2@22c1@23"
	    "v3:1[2]@24-30=6<-2.5e3>c0@31");
	expect("12", "v3:0[0]@0-2=2<12>");
}
END_TEST

START_TEST(decodes_escapes)
{
	expect("\"a\\n\\u00e9\\\"\"", "v2:0[0]@0-13=5esc<a\n\xc3\xa9\">");
	expect("\"\\ud83d\\uDE00\"", "v2:0[0]@0-14=4esc<\xf0\x9f\x98\x80>");
	expect("{\"m\\u006fdel\":0}",
	    "v0:0[0]@0-0=0<>k1@1esc<model>v3:1[0]@14-15=1<0>c0@16");
}
END_TEST

static const char *const good[] = {"0", "-0", "1e5", "1E+5", "0.5e-1", "[]",
    "{}", "[[]]", "\"\"", " null ", "true", "false\n", "[1, 2 ,3]",
    "{\"a\" : {} , \"a\":[]}", "\"\\/\\b\\f\\r\\t\\\\\"", "\"\x7f\""};

static const char *const wrong[] = {"", " ", "01", "-", "+1", "1.", ".5", "1e",
    "1e+", "[1,]", "[,1]", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
    "{'a':1}", "nul", "nulL", "truefalse", "[1 2]", "\"", "\"\n\"", "\"\\x\"",
    "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\n\"",
    "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"", "[}", "{]", "]", "}", "{} {}",
    "1 2", "[1", "NaN", "//\n1", "\xef\xbb\xbf{}", "\"\x1f\"", "\"\t\"", "0x1",
    "{\"a\":1 \"b\":2}", "{1:2}", "[\"a\":1]", "1-", "--1", "1.5.5", "1e5e5",
    "-a", "\"\\", "\"\\u", "\"\\ud83d\\"};

START_TEST(takes_what_is_json)
{
	ck_assert_msg(whole(span_str(good[_i])) == JSCAN_DONE, "%s", good[_i]);
}
END_TEST

START_TEST(refuses_what_is_not)
{
	ck_assert_msg(whole(span_str(wrong[_i])) == JSCAN_BAD, "%s", wrong[_i]);
}
END_TEST

static const struct {
	const char *doc, *text; /* NULL: refused all the same */
	uint64_t size;
} odd[] = {{"\"a\\ud800b\"",
	       "a\xef\xbf\xbd"
	       "b",
	       5},
    {"\"\\udc00\"", "\xef\xbf\xbd", 3},
    {"\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7},
    {"\"\\ud83d\\n\"", "\xef\xbf\xbd\n", 4},
    {"\"\\ud83d\\u0041\"",
	"\xef\xbf\xbd"
	"A",
	4},
    {"\"\\ud83d\"", "\xef\xbf\xbd", 3}, {"\"\xff\xc3\"", "\xff\xc3", 2},
    {"\"a\nb\"", "a\nb", 3}, {"\"\\x\"", NULL, 0}, {"\"\\u12g4\"", NULL, 0},
    {"\xff", NULL, 0}, {"[\"a\"\x01]", NULL, 0}};

static bool
take_text(
    struct jscan *s, void *arg, unsigned depth, const struct jscan_value *v)
{
	(void)s, (void)depth;
	buf_addspan(arg, v->text);
	ck_assert(v->cut || v->size == v->text.n);
	return (true);
}

START_TEST(leniency_ends_at_the_structure)
{
	static const struct jscan_handler h = {.on_value = take_text};
	struct span doc = span_str(odd[_i].doc);
	struct buf out = {0};
	struct jscan s;
	size_t cut, i;

	ck_assert_int_eq(whole(doc), JSCAN_BAD);
	for (cut = 1; cut <= doc.n; cut++) {
		buf_reset(&out, SIZE_MAX);
		jscan_init(&s, &h, &out);
		jscan_be_lenient(&s);
		for (i = 0; i < doc.n; i += cut)
			jscan_feed(&s, span_of(doc.p + i,
					   doc.n - i < cut ? doc.n - i : cut));
		ck_assert_int_eq(
		    jscan_finish(&s), odd[_i].text ? JSCAN_DONE : JSCAN_BAD);
		if (odd[_i].text == NULL)
			continue;
		ck_assert_str_eq(buf_cstr(&out), odd[_i].text);
		ck_assert_uint_eq(buf_len(&out), odd[_i].size);
	}
	buf_fini(&out);
}
END_TEST

static void
gather(struct jscan *s, void *arg, struct span piece)
{
	(void)s;
	ck_assert_uint_gt(piece.n, 0);
	buf_addspan(arg, piece);
}

START_TEST(all_of_a_string_is_to_be_had)
{
	static const struct jscan_handler h = {.on_text = gather};
	struct buf doc = {0}, want = {0}, out = {0};
	struct jscan s;
	size_t cut, i;

	buf_addf(&doc,
	    "{\"key\":[\"%0999d\",17,\"\\u00e9\\n\\ud83d\\ude00\"],"
	    "\"x\":\"\"}",
	    7);
	buf_addf(&want, "%0999d\xc3\xa9\n\xf0\x9f\x98\x80", 7);
	for (cut = 1; cut <= buf_len(&doc); cut++) {
		buf_reset(&out, SIZE_MAX);
		jscan_init(&s, &h, &out);
		for (i = 0; i < buf_len(&doc); i += cut)
			jscan_feed(&s,
			    span_of(buf_ptr(&doc) + i, buf_len(&doc) - i < cut
							   ? buf_len(&doc) - i
							   : cut));
		ck_assert_int_eq(jscan_finish(&s), JSCAN_DONE);
		ck_assert_str_eq(buf_cstr(&out), buf_cstr(&want));
	}
	buf_fini(&doc);
	buf_fini(&want);
	buf_fini(&out);
}
END_TEST

START_TEST(nul_bytes_are_refused)
{
	ck_assert_int_eq(whole(SPAN("\"a\0b\"")), JSCAN_BAD);
	ck_assert_int_eq(whole(SPAN("\"\\\0\"")), JSCAN_BAD);
	ck_assert_int_eq(whole(SPAN("1\0")), JSCAN_BAD);
	ck_assert_int_eq(whole(SPAN("\"\\u0000\"")), JSCAN_DONE);
}
END_TEST

START_TEST(every_cut_gives_the_same_reports)
{
	static const char doc[] =
	    "{\"model\":\"gpt-4.1\",\"n\":-12.50e+3,\"s\":\"pl\xc3\xa4in "
	    "\\u00e4\\ud83d\\ude00 \xf0\x9f\x98\x80\",\"deep\":[[{\"k\":null},"
	    "true,false],{}],\"long\":\"0123456789abcdef0123456789abcdef\"} ";
	struct span d = SPAN(doc);
	struct buf a = {0}, b = {0};
	struct jscan s;
	size_t cut;

	ck_assert_int_eq(run(d, SIZE_MAX, &a), JSCAN_DONE);
	for (cut = 1; cut < d.n; cut++) {
		ck_assert_int_eq(run(d, cut, &b), JSCAN_DONE);
		ck_assert(span_eq(buf_span(&a), buf_span(&b)));
		buf_reset(&b, SIZE_MAX);
		jscan_init(&s, &logger, &b);
		jscan_feed(&s, span_of(d.p, cut));
		ck_assert_int_eq(
		    jscan_feed(&s, span_of(d.p + cut, d.n - cut)), JSCAN_DONE);
		ck_assert(span_eq(buf_span(&a), buf_span(&b)));
	}
	buf_fini(&a);
	buf_fini(&b);
}
END_TEST

START_TEST(depth_is_bounded)
{
	char doc[2 * JSCAN_DEPTH + 3];

	memset(doc, '[', JSCAN_DEPTH);
	memset(doc + JSCAN_DEPTH, ']', JSCAN_DEPTH);
	ck_assert_int_eq(whole(span_of(doc, 2 * JSCAN_DEPTH)), JSCAN_DONE);
	memset(doc, '[', JSCAN_DEPTH + 1);
	memset(doc + JSCAN_DEPTH + 1, ']', JSCAN_DEPTH + 1);
	ck_assert_int_eq(whole(span_of(doc, sizeof(doc) - 1)), JSCAN_BAD);
}
END_TEST

START_TEST(long_texts_are_cut_and_their_size_is_known)
{
	char doc[1002];
	struct buf out = {0};
	char *report;

	memset(doc, 'x', sizeof(doc));
	doc[0] = doc[1001] = '"';
	ck_assert_int_eq(run(span_of(doc, 1002), 7, &out), JSCAN_DONE);
	report = buf_cstr(&out);
	ck_assert_ptr_nonnull(strstr(report, "@0-1002=1000cut<xxx"));
	ck_assert_uint_eq(
	    strspn(strchr(report, '<') + 1, "x"), (size_t)JSCAN_TEXT);
	doc[1 + JSCAN_TEXT] = '"';
	ck_assert_int_eq(
	    run(span_of(doc, JSCAN_TEXT + 2), 7, &out), JSCAN_DONE);
	ck_assert_ptr_null(strstr(buf_cstr(&out), "cut"));
	buf_fini(&out);
}
END_TEST

START_TEST(a_huge_string_passes_in_place)
{
	static char block[65536];
	struct jscan s;
	struct buf out = {0};
	int i;

	memset(block, 'y', sizeof(block));
	jscan_init(&s, &logger, &out);
	jscan_feed(&s, SPAN("{\"big\":\""));
	for (i = 0; i < 1024; i++)
		jscan_feed(&s, span_of(block, sizeof(block)));
	ck_assert_int_eq(jscan_feed(&s, SPAN("\",\"n\":7}")), JSCAN_DONE);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&out), "=67108864cut<yyy"));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&out), "<n>v3:1[0]"));
	ck_assert_uint_lt(sizeof(struct jscan), 1400);
	buf_fini(&out);
}
END_TEST

static bool
stop_at_b(struct jscan *s, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	(void)s, (void)depth, (void)cut, (void)escaped, (void)begin;
	++*(int *)arg;
	return (!span_eq(key, SPAN("b")));
}

START_TEST(a_handler_stops_it_for_good)
{
	static const struct jscan_handler h = {.on_key = stop_at_b};
	struct jscan s;
	int keys = 0;

	jscan_init(&s, &h, &keys);
	ck_assert_int_eq(
	    jscan_feed(&s, SPAN("{\"a\":1,\"b\":2,\"c\":3}")), JSCAN_STOPPED);
	ck_assert_int_eq(keys, 2);
	ck_assert_int_eq(jscan_feed(&s, SPAN("}")), JSCAN_STOPPED);
	ck_assert_int_eq(jscan_finish(&s), JSCAN_STOPPED);
}
END_TEST

START_TEST(duplicates_are_reported_both)
{
	expect("{\"a\":1,\"a\":2}", "v0:0[0]@0-0=0<>k1@1<a>v3:1[0]@5-6=1<1>"
				    "k1@7<a>v3:1[0]@11-12=1<2>c0@13");
}
END_TEST

START_TEST(published_utf8_cases)
{
	FILE *f = fopen("../shared/vectors/utf8.tsv", "r");
	char line[4096], hex[4000], doc[2048], name[256];
	size_t n, i, cases = 0, cut;
	unsigned byte;
	struct buf out = {0};
	int valid;

	if (f == NULL) {
		printf("left out: ../shared/vectors/utf8.tsv is missing\n");
		return;
	}
	while (fgets(line, sizeof(line), f) != NULL) {
		if (line[0] == '#' ||
		    sscanf(line, "%255s %d %3999s", name, &valid, hex) != 3)
			continue;
		n = 0;
		doc[n++] = '"';
		for (i = 0; sscanf(hex + i, "%2x", &byte) == 1; i += 2) {
			/* what JSON itself forbids in strings is not meant */
			if (byte < 0x20 || byte == '"' || byte == '\\')
				byte = 'c';
			doc[n++] = (char)byte;
		}
		doc[n++] = '"';
		for (cut = 1; cut <= n; cut++)
			ck_assert_msg((run(span_of(doc, n), cut, &out) ==
					  JSCAN_DONE) == (valid == 1),
			    "%s", name);
		cases++;
	}
	fclose(f);
	buf_fini(&out);
	ck_assert_uint_gt(cases, 30);
}
END_TEST

static const struct {
	const char *text;
	bool ok;
	uint64_t n;
} counts[] = {{"0", true, 0}, {"12", true, 12}, {"6.0", true, 6},
    {"6.000", true, 6}, {"18446744073709551615", true, UINT64_MAX},
    {"18446744073709551616", false, 0}, {"6.5", false, 0}, {"-1", false, 0},
    {"1e3", false, 0}, {"", false, 0}, {"6.", false, 0}, {".0", false, 0}};

START_TEST(counts_are_whole_numbers)
{
	uint64_t n = 0;

	ck_assert(jscan_count(span_str(counts[_i].text), &n) == counts[_i].ok);
	ck_assert_uint_eq(n, counts[_i].n);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("jscan");
	TCase *tc = tcase_create("jscan");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, reports_places_depths_and_indices);
	tcase_add_test(tc, decodes_escapes);
	tcase_add_loop_test(
	    tc, takes_what_is_json, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(
	    tc, refuses_what_is_not, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_loop_test(tc, leniency_ends_at_the_structure, 0,
	    sizeof(odd) / sizeof(odd[0]));
	tcase_add_test(tc, all_of_a_string_is_to_be_had);
	tcase_add_test(tc, nul_bytes_are_refused);
	tcase_add_test(tc, every_cut_gives_the_same_reports);
	tcase_add_test(tc, depth_is_bounded);
	tcase_add_test(tc, long_texts_are_cut_and_their_size_is_known);
	tcase_add_test(tc, a_huge_string_passes_in_place);
	tcase_add_test(tc, a_handler_stops_it_for_good);
	tcase_add_test(tc, duplicates_are_reported_both);
	tcase_add_test(tc, published_utf8_cases);
	tcase_add_loop_test(tc, counts_are_whole_numbers, 0,
	    sizeof(counts) / sizeof(counts[0]));
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

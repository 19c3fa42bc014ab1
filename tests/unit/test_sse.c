/* Server-sent events: the published cases at every cut, and our own. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/sse.h"

#define VECTORS "../shared/vectors/sse.tsv"

/* Events as "name|data in hex;", without those that had no data. */
struct seen {
	struct buf out, data, stray;
	size_t base, last_end; /* offsets in the whole input */
	unsigned blank;	       /* ends without data */
};

static void
on_data(void *arg, struct span piece)
{
	struct seen *seen = arg;

	ck_assert_uint_gt(piece.n, 0);
	buf_addspan(&seen->data, piece);
}

static void
on_event(void *arg, const char *name, bool has_data, size_t end)
{
	struct seen *seen = arg;
	size_t i;

	ck_assert_uint_gt(seen->base + end, seen->last_end);
	seen->last_end = seen->base + end;
	ck_assert(has_data || buf_len(&seen->data) == 0);
	if (!has_data) {
		seen->blank++;
		return;
	}
	buf_addf(&seen->out, "%s|", name[0] == '\0' ? "message" : name);
	if (buf_len(&seen->data) == 0)
		buf_addstr(&seen->out, "-");
	for (i = 0; i < buf_len(&seen->data); i++)
		buf_addf(
		    &seen->out, "%02x", (unsigned char)buf_ptr(&seen->data)[i]);
	buf_addstr(&seen->out, ";");
	buf_reset(&seen->data, 4096);
}

static const struct sse_handler handler = {
    .on_data = on_data, .on_event = on_event};

static void
on_stray(void *arg, struct span piece)
{
	struct seen *seen = arg;

	ck_assert_uint_gt(piece.n, 0);
	buf_addspan(&seen->stray, piece);
}

static const struct sse_handler with_strays = {
    .on_data = on_data, .on_event = on_event, .on_stray = on_stray};

/* Cut at cut, then every step bytes. */
static void
split(const struct sse_handler *h, struct span s, size_t cut, size_t step,
    struct seen *seen)
{
	struct sse sse;
	size_t at = 0, end;
	char *p;

	memset(seen, 0, sizeof(*seen));
	sse_init(&sse, h, seen);
	while (at < s.n) {
		end = at < cut ? cut : at + step;
		end = end < s.n ? end : s.n;
		p = malloc(end - at);
		memcpy(p, s.p + at, end - at);
		seen->base = at;
		sse_feed(&sse, span_of(p, end - at));
		free(p);
		at = end;
	}
}

static void
seen_fini(struct seen *seen)
{
	buf_fini(&seen->out);
	buf_fini(&seen->data);
	buf_fini(&seen->stray);
}

static void
check(const char *name, struct span s, const char *want)
{
	struct seen seen;
	size_t cut;

	for (cut = 0; cut <= s.n; cut++) {
		split(&handler, s, cut, cut == 0 ? 1 : SIZE_MAX / 2, &seen);
		ck_assert_msg(strcmp(buf_cstr(&seen.out), want) == 0,
		    "%s cut at %zu: %s, not %s", name, cut, buf_cstr(&seen.out),
		    want);
		seen_fini(&seen);
	}
}

static struct buf
unhex(const char *s)
{
	struct buf b = {0};
	unsigned byte;

	for (; sscanf(s, "%2x", &byte) == 1; s += 2) {
		*buf_reserve(&b, 1) = (char)byte;
		buf_commit(&b, 1);
	}
	return (b);
}

static void
check_line(char *line)
{
	char *field[4], *save, *event, *last_id;
	struct buf in, want = {0};
	size_t i;

	for (i = 0; i < 4; i++)
		field[i] = strtok_r(i == 0 ? line : NULL, "\t\n", &save);
	ck_assert_ptr_nonnull(field[3]);
	in = unhex(field[2]);
	event =
	    strcmp(field[3], "-") == 0 ? NULL : strtok_r(field[3], ";", &save);
	for (; event != NULL; event = strtok_r(NULL, ";", &save)) {
		last_id = strrchr(event, '|');
		*last_id = '\0';
		buf_addf(&want, "%s;", event);
	}
	check(field[0], buf_span(&in), buf_cstr(&want));
	buf_fini(&in);
	buf_fini(&want);
}

START_TEST(published_cases_hold_at_every_cut)
{
	FILE *f = fopen(VECTORS, "r");
	char *line = NULL;
	size_t cap = 0;
	unsigned n = 0;

	if (f == NULL) {
		printf("sse: left out, no " VECTORS "\n");
		return;
	}
	while (getline(&line, &cap, f) != -1)
		if (line[0] != '#') {
			check_line(line);
			n++;
		}
	ck_assert_uint_gt(n, 30);
	free(line);
	fclose(f);
}
END_TEST

START_TEST(our_own_cases_hold_at_every_cut)
{
	static const struct {
		const char *text, *want;
	} t[] = {
	    {"data:a\n\n", "message|61;"},
	    {"data: a\r\n\r\ndata:  b\r\rdata:c\n\n",
		"message|61;message|2062;message|63;"},
	    {"data\ndata\n\n", "message|0a;"},
	    {"data:a\n", ""},
	    {"event: e\n\ndata:x\n\n", "message|78;"},
	    {"event: a\nevent: b\ndata:x\n\n", "b|78;"},
	    {"dataa:x\ndat:x\n data:x\nData:x\ndata2345678:x\n\n", ""},
	    {": data:x\n\n", ""},
	    {"data:a:b\n\n", "message|613a62;"},
	    {"\xef\xbb\xbf"
	     "data:a\n\n",
		"message|61;"},
	    {"\xef\xbb"
	     "data:a\n\ndata:b\n\n",
		"message|62;"},
	    {"\xef\xbb", ""},
	    {"\ndata:a\n\n", "message|61;"},
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		check(t[i].text, span_str(t[i].text), t[i].want);
}
END_TEST

START_TEST(long_names_are_cut)
{
	struct buf in = {0}, want = {0};
	int i;

	buf_addstr(&in, "event: ");
	for (i = 0; i < 1000; i++)
		buf_addstr(&in, "n");
	for (i = 0; i < SSE_NAME_MAX; i++)
		buf_addstr(&want, "n");
	buf_addstr(&in, "\ndata:x\n\n");
	buf_addstr(&want, "|78;");
	check("long name", buf_span(&in), buf_cstr(&want));
	buf_fini(&in);
	buf_fini(&want);
}
END_TEST

START_TEST(data_are_views_and_ends_are_offsets)
{
	struct span s = SPAN("data:a\n\nevent:x\r\ndata:b\r\n\r\ndata:c\n\n:x");
	struct seen seen;

	split(&handler, s, s.n, 1, &seen);
	ck_assert_uint_eq(seen.last_end, s.n - 2);
	seen_fini(&seen);
	split(&handler, span_of(s.p, 27), 27, 1, &seen);
	ck_assert_uint_eq(seen.last_end, 27);
	seen_fini(&seen);
	/* The CR ends the event; its LF is nobody's. */
	split(&handler, span_of(s.p, 27), 26, 1, &seen);
	ck_assert_uint_eq(seen.last_end, 26);
	ck_assert_uint_eq(seen.blank, 0);
	seen_fini(&seen);
}
END_TEST

START_TEST(a_bare_document_ends_the_events)
{
	struct span in =
	    SPAN("data: a\n\ndata: {\n{\"error\":\n\ndata: b\r\n}");
	struct seen seen;
	size_t cut;

	for (cut = 0; cut <= in.n; cut++) {
		split(
		    &with_strays, in, cut, cut == 0 ? 1 : SIZE_MAX / 2, &seen);
		ck_assert_str_eq(buf_cstr(&seen.out), "message|61;");
		ck_assert_str_eq(
		    buf_cstr(&seen.stray), "{\"error\":\n\ndata: b\r\n}");
		seen_fini(&seen);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sse");
	TCase *tc = tcase_create("sse");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, published_cases_hold_at_every_cut);
	tcase_add_test(tc, a_bare_document_ends_the_events);
	tcase_add_test(tc, our_own_cases_hold_at_every_cut);
	tcase_add_test(tc, long_names_are_cut);
	tcase_add_test(tc, data_are_views_and_ends_are_offsets);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed > 0);
}

/* Event streams: the published cases at every cut, and our own. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/crc32.h"
#include "common/eventstream.h"
#include "common/json.h"

#define VECTORS "../shared/vectors/eventstream.tsv"

/* Messages as "name=type:value in hex;...|payload in hex\n". */
struct seen {
	struct buf out, payload;
	size_t base, last_end; /* offsets in the whole input */
	bool open;
	enum eventstream_error error;
	bool boundary;
};

static void
add_hex(struct buf *b, struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		buf_addf(b, "%02x", (unsigned char)s.p[i]);
}

static void
on_head(void *arg, const struct eventstream_header *h, size_t n)
{
	struct seen *seen = arg;
	size_t i;

	ck_assert(!seen->open);
	seen->open = true;
	for (i = 0; i < n; i++) {
		buf_addspan(&seen->out, h[i].name);
		buf_addf(&seen->out, "=%d:", h[i].type);
		add_hex(&seen->out, h[i].value);
		buf_addstr(&seen->out, ";");
	}
	buf_addstr(&seen->out, "|");
}

static void
on_payload(void *arg, struct span piece)
{
	struct seen *seen = arg;

	ck_assert(seen->open);
	ck_assert_uint_gt(piece.n, 0);
	buf_addspan(&seen->payload, piece);
}

static void
on_end(void *arg, size_t end)
{
	struct seen *seen = arg;

	ck_assert(seen->open);
	seen->open = false;
	ck_assert_uint_gt(seen->base + end, seen->last_end);
	seen->last_end = seen->base + end;
	add_hex(&seen->out, buf_span(&seen->payload));
	buf_addstr(&seen->out, "\n");
	buf_reset(&seen->payload, 65536);
}

static const struct eventstream_handler handler = {on_head, on_payload, on_end};

/* Cut at cut, then every step bytes. */
static void
split(struct span s, size_t cut, size_t step, struct seen *seen)
{
	struct eventstream es;
	size_t at = 0, end;
	bool ok = true;
	char *p;

	memset(seen, 0, sizeof(*seen));
	eventstream_init(&es, &handler, seen);
	while (at < s.n) {
		end = at < cut ? cut : at + step;
		end = end < s.n ? end : s.n;
		p = malloc(end - at);
		memcpy(p, s.p + at, end - at);
		seen->base = at;
		/* Once broken it stays so. */
		ck_assert(!eventstream_feed(&es, span_of(p, end - at)) || ok);
		ok = es.error == EVENTSTREAM_OK;
		free(p);
		at = end;
	}
	seen->error = es.error;
	seen->boundary = eventstream_at_boundary(&es);
	eventstream_fini(&es);
}

static void
seen_fini(struct seen *seen)
{
	buf_fini(&seen->out);
	buf_fini(&seen->payload);
}

/* want is what was whole before the error, or before the end. */
static void
check(const char *name, struct span s, const char *want,
    enum eventstream_error error, bool boundary)
{
	struct seen seen;
	size_t cut, n;

	for (cut = 0; cut <= s.n; cut++) {
		split(s, cut, cut == 0 ? 1 : SIZE_MAX / 2, &seen);
		/* A message that did not end is not one. */
		n = seen.open ? strlen(want) : buf_len(&seen.out);
		ck_assert_msg(n == strlen(want) && buf_len(&seen.out) >= n &&
				  memcmp(buf_cstr(&seen.out), want, n) == 0,
		    "%s cut at %zu: %s, not %s", name, cut, buf_cstr(&seen.out),
		    want);
		ck_assert_msg(seen.error == error, "%s cut at %zu: error %d",
		    name, cut, seen.error);
		ck_assert_msg(
		    seen.boundary == boundary, "%s cut at %zu", name, cut);
		seen_fini(&seen);
	}
}

/* ---- the published cases ------------------------------------------------ */

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
add_number(struct buf *b, const char *name, int64_t v)
{
	static const char *const types[] = {"byte", "short", "integer", "long",
	    "2", "3", "4", "5", "8", "event"};
	static const int type[] = {2, 3, 4, 5, 2, 3, 4, 5, 8, 4};
	static const int size[] = {1, 2, 4, 8, 1, 2, 4, 8, 8, 4};
	size_t i;
	int k;

	for (i = 0; strcmp(types[i], name) != 0; i++)
		ck_assert_uint_lt(i, sizeof(type) / sizeof(type[0]) - 1);
	buf_addf(b, "%d:", type[i]);
	for (k = size[i] - 1; k >= 0; k--)
		buf_addf(b, "%02x", (unsigned)(uint64_t)(v >> (8 * k)) & 255);
}

/* The file writes bytes and UUIDs as "hex:...", numbers without their size. */
static void
add_value(struct buf *b, const struct json *v)
{
	if (v->type == JSON_TRUE || v->type == JSON_FALSE) {
		buf_addstr(b, v->type == JSON_TRUE ? "0:" : "1:");
	} else if (v->type == JSON_NUMBER) {
		add_number(b, v->key, strtoll(v->text, NULL, 10));
	} else if (strncmp(v->text, "hex:", 4) == 0) {
		buf_addstr(b, strcmp(v->key, "9") == 0 ? "9:" : "6:");
		buf_addstr(b, strcmp(v->text, "hex:-") == 0 ? "" : v->text + 4);
	} else {
		buf_addstr(b, "7:");
		add_hex(b, span_str(v->text));
	}
	buf_addstr(b, ";");
}

static int
by_key(const void *a, const void *b)
{
	return (strcmp((*(const struct json *const *)a)->key,
	    (*(const struct json *const *)b)->key));
}

static void
add_want(struct buf *want, const struct json *headers, const char *payload)
{
	const struct json *v, *sorted[16];
	size_t n = 0, i;

	for (v = headers->first; v != NULL; v = v->next) {
		ck_assert_uint_lt(n, 16);
		sorted[n++] = v;
	}
	qsort(sorted, n, sizeof(sorted[0]), by_key);
	for (i = 0; i < n; i++) {
		buf_addf(want, "%s=", sorted[i]->key);
		add_value(want, sorted[i]);
	}
	buf_addf(want, "|%s\n", strcmp(payload, "-") == 0 ? "" : payload);
}

static struct buf
want_of(const char *headers, char *payloads)
{
	struct json *j = json_parse(span_str(headers), NULL, 0);
	const struct json *v;
	struct buf want = {0};
	char *save;

	ck_assert_ptr_nonnull(j);
	if (j->type == JSON_OBJECT)
		add_want(&want, j, strtok_r(payloads, "|", &save));
	else
		for (v = j->first; v != NULL; v = v->next)
			add_want(&want, v,
			    strtok_r(
				v == j->first ? payloads : NULL, "|", &save));
	json_free(j);
	return (want);
}

static enum eventstream_error
error_of(const char *verdict, const char *detail)
{
	if (strstr(verdict, "ChecksumMismatch") != NULL)
		return (strncmp(detail, "prelude", 7) == 0
			    ? EVENTSTREAM_BAD_PRELUDE
			    : EVENTSTREAM_BAD_MESSAGE);
	if (strstr(verdict, "DuplicateHeader") != NULL)
		return (EVENTSTREAM_DUPLICATE);
	ck_assert(strstr(verdict, "Length") || strstr(verdict, "LEN"));
	return (EVENTSTREAM_BAD_LENGTH);
}

static void
check_line(char *line)
{
	char *field[5], *save;
	struct buf in, want = {0};
	size_t i;

	for (i = 0; i < 5; i++) {
		field[i] = strtok_r(i == 0 ? line : NULL, "\t\n", &save);
		ck_assert_ptr_nonnull(field[i]);
	}
	in = unhex(field[1]);
	if (strcmp(field[2], "ok") == 0) {
		want = want_of(field[3], field[4]);
		check(field[0], buf_span(&in), buf_cstr(&want), EVENTSTREAM_OK,
		    true);
	} else {
		check(field[0], buf_span(&in), "", error_of(field[2], field[3]),
		    false);
	}
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
		printf("eventstream: left out, no " VECTORS "\n");
		return;
	}
	while (getline(&line, &cap, f) != -1)
		if (line[0] != '#') {
			check_line(line);
			n++;
		}
	ck_assert_uint_ge(n, 35);
	free(line);
	fclose(f);
}
END_TEST

/* ---- our own ------------------------------------------------------------ */

static void
put32(struct buf *b, uint32_t v)
{
	const char bytes[] = {
	    (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};

	buf_add(b, bytes, 4);
}

/* Lengths as they are, or as they are said to be; both CRCs right. */
static void
put_message_of(struct buf *b, uint32_t total, uint32_t nheaders,
    struct span headers, struct span payload)
{
	size_t start = buf_len(b);

	put32(b, total);
	put32(b, nheaders);
	put32(b, crc32_add(0, buf_ptr(b) + start, 8));
	buf_addspan(b, headers);
	buf_addspan(b, payload);
	put32(b, crc32_add(0, buf_ptr(b) + start, buf_len(b) - start));
}

static void
put_message(struct buf *b, struct span headers, struct span payload)
{
	put_message_of(b, (uint32_t)(16 + headers.n + payload.n),
	    (uint32_t)headers.n, headers, payload);
}

static void
check_one(struct span headers, struct span payload, const char *want,
    enum eventstream_error error)
{
	struct buf b = {0};

	put_message(&b, headers, payload);
	check(want, buf_span(&b), want, error, error == EVENTSTREAM_OK);
	buf_fini(&b);
}

START_TEST(the_checksum_is_zlibs)
{
	ck_assert_uint_eq(crc32_add(0, "123456789", 9), 0xcbf43926u);
}
END_TEST

START_TEST(headers_come_sorted_and_typed)
{
	check_one(SPAN("\2zz\7\0\1x\1a\0"), SPAN("hi"), "a=0:;zz=7:78;|6869\n",
	    EVENTSTREAM_OK);
	check_one(SPAN("\1b\1\1a\2\xff\2ab\6\0\0"), SPAN(""),
	    "a=2:ff;ab=6:;b=1:;|\n", EVENTSTREAM_OK);
	check_one(SPAN("\1u\x09"
		       "0123456789abcdef"),
	    SPAN(""), "u=9:30313233343536373839616263646566;|\n",
	    EVENTSTREAM_OK);
	check_one(SPAN("\0\7\0\1x"), SPAN(""), "=7:78;|\n", EVENTSTREAM_OK);
}
END_TEST

START_TEST(headers_that_do_not_fit_break_the_stream)
{
	static const struct span bad[] = {
	    SPAN("\1"),
	    SPAN("\2a"),
	    SPAN("\1a"),
	    SPAN("\1a\x0a"),
	    SPAN("\1a\xff"),
	    SPAN("\1a\2"),
	    SPAN("\1a\4\0\0\0"),
	    SPAN("\1a\7"),
	    SPAN("\1a\7\0"),
	    SPAN("\1a\7\0\2x"),
	    SPAN("\1a\x09"
		 "0123456789abcde"),
	    SPAN("\1a\0\1"),
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_one(bad[i], SPAN("payload"), "", EVENTSTREAM_BAD_HEADERS);
}
END_TEST

START_TEST(a_name_twice_breaks_the_stream)
{
	check_one(SPAN("\1a\0\1b\0\1a\1"), SPAN(""), "", EVENTSTREAM_DUPLICATE);
	check_one(SPAN("\1a\0\1b\0\2aa\1"), SPAN(""), "a=0:;aa=1:;b=0:;|\n",
	    EVENTSTREAM_OK);
}
END_TEST

START_TEST(what_was_whole_before_an_error_was_told)
{
	struct buf b = {0};

	put_message(&b, SPAN("\1a\0"), SPAN("one"));
	put_message(&b, SPAN(""), SPAN(""));
	put_message(&b, SPAN("\1a\0"), SPAN("two"));
	buf_ptr(&b)[buf_len(&b) - 5] ^= 1;
	put_message(&b, SPAN(""), SPAN("never told"));
	check("broken", buf_span(&b), "a=0:;|6f6e65\n|\n",
	    EVENTSTREAM_BAD_MESSAGE, false);
	buf_fini(&b);
}
END_TEST

START_TEST(a_stream_may_only_end_between_messages)
{
	struct seen seen;
	struct buf b = {0};
	size_t n, first;

	put_message(&b, SPAN("\1a\0"), SPAN("one"));
	first = buf_len(&b);
	put_message(&b, SPAN(""), SPAN(""));
	for (n = 0; n <= buf_len(&b); n++) {
		split(span_of(buf_ptr(&b), n), 0, 7, &seen);
		ck_assert_int_eq(seen.error, EVENTSTREAM_OK);
		ck_assert_int_eq(
		    seen.boundary, n == 0 || n == first || n == buf_len(&b));
		ck_assert_uint_eq(seen.last_end, n < first	   ? 0
						 : n < buf_len(&b) ? first
								   : n);
		seen_fini(&seen);
	}
	buf_fini(&b);
}
END_TEST

/* Only the prelude is fed: a length that lies is told before anything else. */
static enum eventstream_error
error_of_lengths(uint32_t total, uint32_t headers)
{
	struct seen seen;
	struct buf b = {0};
	enum eventstream_error e;

	put_message_of(&b, total, headers, SPAN(""), SPAN(""));
	split(span_of(buf_ptr(&b), 12), 12, 1, &seen);
	e = seen.error;
	seen_fini(&seen);
	buf_fini(&b);
	return (e);
}

START_TEST(lengths_have_limits)
{
	const uint32_t most = EVENTSTREAM_MESSAGE_MAX;
	const uint32_t head = EVENTSTREAM_HEADERS_MAX;

	ck_assert_int_eq(error_of_lengths(15, 0), EVENTSTREAM_BAD_LENGTH);
	ck_assert_int_eq(error_of_lengths(0, 0), EVENTSTREAM_BAD_LENGTH);
	ck_assert_int_eq(error_of_lengths(16, 0), EVENTSTREAM_OK);
	ck_assert_int_eq(error_of_lengths(20, 5), EVENTSTREAM_BAD_LENGTH);
	ck_assert_int_eq(error_of_lengths(20, 4), EVENTSTREAM_OK);
	ck_assert_int_eq(
	    error_of_lengths(20, UINT32_MAX - 11), EVENTSTREAM_BAD_LENGTH);
	ck_assert_int_eq(error_of_lengths(most, head), EVENTSTREAM_OK);
	ck_assert_int_eq(error_of_lengths(most + 1, 0), EVENTSTREAM_BAD_LENGTH);
	ck_assert_int_eq(
	    error_of_lengths(most, head + 1), EVENTSTREAM_BAD_LENGTH);
	ck_assert_int_eq(
	    error_of_lengths(UINT32_MAX, 0), EVENTSTREAM_BAD_LENGTH);
}
END_TEST

/* n headers with names of their own, each with the value that is given. */
static enum eventstream_error
error_of_headers(unsigned n, struct span value)
{
	struct seen seen;
	struct buf h = {0}, b = {0};
	enum eventstream_error e;
	unsigned i;

	for (i = 0; i < n; i++) {
		buf_addf(&h, "%c%04u", 4, i);
		buf_addspan(&h, value);
	}
	put_message(&b, buf_span(&h), SPAN("x"));
	split(buf_span(&b), 100, 1000, &seen);
	e = seen.error;
	seen_fini(&seen);
	buf_fini(&h);
	buf_fini(&b);
	return (e);
}

START_TEST(headers_have_limits)
{
	struct buf v = {0};

	ck_assert_int_eq(error_of_headers(1024, SPAN("\0")), EVENTSTREAM_OK);
	ck_assert_int_eq(
	    error_of_headers(1025, SPAN("\0")), EVENTSTREAM_BAD_HEADERS);
	buf_add(&v, "\7\x7f\xff", 3);
	memset(buf_reserve(&v, 32767), 'x', 32767);
	buf_commit(&v, 32767);
	ck_assert_int_eq(error_of_headers(1, buf_span(&v)), EVENTSTREAM_OK);
	ck_assert_int_eq(error_of_headers(3, buf_span(&v)), EVENTSTREAM_OK);
	ck_assert_int_eq(
	    error_of_headers(4, buf_span(&v)), EVENTSTREAM_BAD_LENGTH);
	buf_add(&v, "x", 1);
	memcpy(buf_ptr(&v), "\7\x80\x00", 3);
	ck_assert_int_eq(
	    error_of_headers(1, buf_span(&v)), EVENTSTREAM_BAD_HEADERS);
	buf_fini(&v);
}
END_TEST

START_TEST(text_is_found_by_name)
{
	const struct eventstream_header h[] = {
	    {SPAN(":event-type"), EVENTSTREAM_STRING, SPAN("metadata")},
	    {SPAN(":exception-type"), EVENTSTREAM_BYTES, SPAN("x")},
	};

	ck_assert(span_eq(
	    eventstream_text(h, 2, SPAN(":event-type")), SPAN("metadata")));
	ck_assert_uint_eq(eventstream_text(h, 2, SPAN(":exception-type")).n, 0);
	ck_assert_uint_eq(eventstream_text(h, 2, SPAN(":event")).n, 0);
	ck_assert_uint_eq(eventstream_text(NULL, 0, SPAN("a")).n, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("eventstream");
	TCase *tc = tcase_create("eventstream");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, published_cases_hold_at_every_cut);
	tcase_add_test(tc, the_checksum_is_zlibs);
	tcase_add_test(tc, headers_come_sorted_and_typed);
	tcase_add_test(tc, headers_that_do_not_fit_break_the_stream);
	tcase_add_test(tc, a_name_twice_breaks_the_stream);
	tcase_add_test(tc, what_was_whole_before_an_error_was_told);
	tcase_add_test(tc, a_stream_may_only_end_between_messages);
	tcase_add_test(tc, lengths_have_limits);
	tcase_add_test(tc, headers_have_limits);
	tcase_add_test(tc, text_is_found_by_name);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed > 0);
}

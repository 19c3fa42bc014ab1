/* WebSocket frames: the published cases, cut at every byte, and our own. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ws.h"

#define VECTORS "../shared/vectors/ws_frames.tsv"

static struct buf
unhex(const char *s, size_t n)
{
	struct buf b = {0};
	unsigned byte;
	size_t i;

	for (i = 0; i + 1 < n; i += 2) {
		if (s[i] == '|') {
			i--;
			continue;
		}
		ck_assert_int_eq(sscanf(s + i, "%2x", &byte), 1);
		*buf_reserve(&b, 1) = (char)byte;
		buf_commit(&b, 1);
	}
	return (b);
}

static void
put_hex(struct buf *out, struct span s)
{
	size_t i;

	if (s.n == 0)
		buf_addstr(out, "-");
	for (i = 0; i < s.n; i++)
		buf_addf(out, "%02x", (unsigned char)s.p[i]);
}

/* Events as the vectors write them; message collects data frames. */
static bool
describe(struct ws_reader *r, enum ws_event event, struct span data,
    struct buf *message, struct buf *out)
{
	static const char *const names[] = {
	    [WS_PING] = "ping:",
	    [WS_PONG] = "pong:",
	};

	if (event == WS_MORE)
		return (true);
	if (event == WS_DATA) {
		buf_addspan(message, data);
		if (r->in_msg || r->in_frame)
			return (true);
	}
	if (buf_len(out) > 0)
		buf_addstr(out, " ");
	if (event == WS_ERROR) {
		buf_addf(out, "error:%u", r->code);
		return (false);
	}
	if (event == WS_CLOSE)
		buf_addf(out, "close:%u:", r->code);
	else if (event == WS_DATA)
		buf_addstr(
		    out, r->msg_opcode == WS_OP_TEXT ? "text:" : "binary:");
	else
		buf_addstr(out, names[event]);
	put_hex(out, event == WS_DATA ? buf_span(message) : data);
	if (event == WS_DATA)
		buf_reset(message, 4096);
	return (event != WS_CLOSE);
}

/* Feeds a copy of s, cut at cut and then every step bytes. */
static struct buf
read_all(struct span s, enum ws_role role, size_t cut, size_t step)
{
	struct buf out = {0}, message = {0};
	struct ws_reader r;
	enum ws_event event;
	struct span data;
	size_t at = 0, used, end;
	bool go = true;
	char *p;

	ws_reader_init(&r, role);
	r.allow_text = true;
	while (at < s.n && go) {
		end = at < cut ? cut : at + step;
		end = end < s.n ? end : s.n;
		p = malloc(end - at);
		memcpy(p, s.p + at, end - at);
		used = ws_read(&r, p, end - at, &event, &data);
		go = describe(&r, event, data, &message, &out);
		free(p);
		ck_assert(used > 0 && used <= end - at);
		at += used;
	}
	buf_fini(&message);
	return (out);
}

static void
check_line(char *line)
{
	char *field[5], *save, *times;
	struct buf in, out, want = {0};
	enum ws_role role;
	size_t i, n = 1, cut, stride;

	for (i = 0; i < 5; i++)
		field[i] = strtok_r(i == 0 ? line : NULL, "\t\n", &save);
	ck_assert_ptr_nonnull(field[4]);
	role = strcmp(field[2], "server") == 0 ? WS_SERVER : WS_CLIENT;
	in = unhex(field[3], strlen(field[3]));
	if ((times = strstr(field[4], " x")) != NULL) {
		*times = '\0';
		n = strtoul(times + 2, NULL, 10);
	}
	if (strncmp(field[4], "error:1002 or", 13) == 0)
		field[4][10] = '\0'; /* of two choices the strict one */
	for (i = 0; i < n; i++)
		buf_addf(&want, "%s%s", i > 0 ? " " : "", field[4]);
	stride = buf_len(&in) > 1000 ? 997 : 1;
	for (cut = 0; cut < buf_len(&in); cut += stride) {
		out = read_all(
		    buf_span(&in), role, cut, cut == 0 ? 1 : SIZE_MAX / 2);
		ck_assert_msg(span_eq(buf_span(&out), buf_span(&want)),
		    "%s cut at %zu: %.60s", field[0], cut, buf_cstr(&out));
		buf_fini(&out);
	}
	buf_fini(&in);
	buf_fini(&want);
}

START_TEST(published_cases_hold_however_they_are_cut)
{
	FILE *f = fopen(VECTORS, "r");
	char *line = NULL;
	size_t cap = 0;
	unsigned n = 0;

	if (f == NULL) {
		printf("ws: left out, no " VECTORS "\n");
		return;
	}
	while (getline(&line, &cap, f) != -1)
		if (line[0] != '#') {
			check_line(line);
			n++;
		}
	ck_assert_uint_gt(n, 50);
	free(line);
	fclose(f);
}
END_TEST

/* What one side writes the other reads, in one piece and byte by byte. */
START_TEST(frames_of_every_size_come_back)
{
	static const size_t sizes[] = {
	    0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536, WS_MAX_MESSAGE};
	enum ws_role writer = _i == 0 ? WS_CLIENT : WS_SERVER;
	enum ws_role reader = _i == 0 ? WS_SERVER : WS_CLIENT;
	struct buf payload = {0}, b = {0}, want = {0}, got;
	size_t i, j;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		buf_reset(&payload, 0);
		buf_reset(&b, 0);
		buf_reset(&want, 0);
		for (j = 0; j < sizes[i]; j++)
			buf_add(&payload, &(char){(char)(j * 7)}, 1);
		ws_put_frame(
		    &b, writer, WS_OP_BINARY, buf_ptr(&payload), sizes[i]);
		buf_addstr(&want, "binary:");
		put_hex(&want, buf_span(&payload));
		for (j = 0; j < (sizes[i] > 200 ? 2 : sizes[i]); j++) {
			got = read_all(buf_span(&b), reader, j, SIZE_MAX / 2);
			ck_assert(span_eq(buf_span(&got), buf_span(&want)));
			buf_fini(&got);
		}
	}
	buf_fini(&payload);
	buf_fini(&b);
	buf_fini(&want);
}
END_TEST

static void
expect(const char *hex, bool text, const char *want)
{
	struct buf in = unhex(hex, strlen(hex)), out = {0}, message = {0};
	struct ws_reader r;
	enum ws_event event = WS_MORE;
	struct span data;
	size_t used;

	ws_reader_init(&r, WS_CLIENT);
	r.allow_text = text;
	while (buf_len(&in) > 0) {
		used = ws_read(&r, buf_ptr(&in), buf_len(&in), &event, &data);
		buf_consume(&in, used);
		if (!describe(&r, event, data, &message, &out))
			break;
	}
	ck_assert_str_eq(buf_cstr(&out), want);
	buf_fini(&in);
	buf_fini(&out);
	buf_fini(&message);
}

START_TEST(limits_and_refusals)
{
	expect("810161", false, "error:1002"); /* text, not asked for */
	expect("827f0000000000100001", false, "error:1009");
	expect("02026161"
	       "007f0000000000100000",
	    false, "error:1009");			     /* in the sum */
	expect("827f000000000000ffff", false, "error:1002"); /* not minimal */
	/* a code point cut by frames, and one that never ends */
	expect("0101c38001a4", true, "text:c3a4");
	expect("0101c3800161", true, "error:1007");
	expect("8101c3", true, "error:1007");
	expect("8103eda080", true, "error:1007");   /* a surrogate */
	expect("8104f4908080", true, "error:1007"); /* past U+10FFFF */
	expect("8102c080", true, "error:1007");	    /* overlong */
	expect("820161890161820162", false, "binary:61 ping:61 binary:62");
}
END_TEST

START_TEST(a_close_is_written_with_its_code)
{
	struct buf b = {0};

	ws_put_close(&b, WS_SERVER, 1001, "");
	ck_assert(span_eq(buf_span(&b), SPAN("\x88\x02\x03\xe9")));
	buf_reset(&b, 0);
	ws_put_close(&b, WS_SERVER, 1005, "");
	ck_assert(span_eq(buf_span(&b), SPAN("\x88\x00")));
	buf_reset(&b, 0);
	ws_put_close(&b, WS_SERVER, 1000, "why");
	ck_assert(span_eq(buf_span(&b), SPAN("\x88\x05\x03\xe8why")));
	buf_fini(&b);
}
END_TEST

START_TEST(the_handshake_is_the_standards)
{
	char out[WS_ACCEPT_SIZE], key[25], again[25];

	ws_accept(SPAN("dGhlIHNhbXBsZSBub25jZQ=="), out); /* RFC 6455 1.3 */
	ck_assert_str_eq(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	ws_make_key(key);
	ws_make_key(again);
	ck_assert_uint_eq(strlen(key), 24);
	ck_assert_str_ne(key, again);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ws");
	TCase *tc = tcase_create("ws");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, published_cases_hold_however_they_are_cut);
	tcase_add_loop_test(tc, frames_of_every_size_come_back, 0, 2);
	tcase_add_test(tc, limits_and_refusals);
	tcase_add_test(tc, a_close_is_written_with_its_code);
	tcase_add_test(tc, the_handshake_is_the_standards);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed > 0);
}

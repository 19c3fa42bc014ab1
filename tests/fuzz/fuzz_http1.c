/*
 * Heads and bodies of HTTP/1.1: the same is read however the bytes arrive,
 * what is accepted is unambiguous, and what is written reads back.
 */
#include <string.h>

#include "common/buf.h"
#include "common/http1.h"
#include "tests/fuzz/fuzz.h"

/* A copy apart, so that reading beyond its end is seen. */
static char *
copy(struct span s)
{
	char *p = malloc(s.n);

	MUST(p != NULL || s.n == 0);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return (p);
}

static void
check_accepted(const struct http1_head *h, struct span in)
{
	size_t i;

	MUST(h->size <= in.n && h->method.n > 0 && h->target.n > 0);
	MUST(!(h->chunked && h->has_length));
	MUST(h->nfields <= HTTP1_MAX_FIELDS && h->size <= HTTP1_MAX_HEAD);
	MUST(http1_count(h, "host") == 1);
	MUST(http1_count(h, "content-length") <= 1);
	MUST(h->has_length == (http1_count(h, "content-length") == 1));
	MUST(h->path.n > 0);
	for (i = 0; i < h->nfields; i++) {
		struct span v = h->fields[i].value;

		MUST(h->fields[i].name.n > 0);
		MUST(memchr(v.p, '\n', v.n) == NULL);
		MUST(memchr(v.p, '\r', v.n) == NULL);
		MUST(memchr(v.p, '\0', v.n) == NULL);
	}
}

/* What the first verdict says when the bytes come step by step. */
static enum http1_error
head_in_steps(struct span in, size_t step, size_t *size)
{
	enum http1_error e = HTTP1_MORE;
	struct http1_head h;
	size_t scanned = 0, n = 0;

	while (e == HTTP1_MORE && n < in.n) {
		char *p;

		n = in.n - n < step ? in.n : n + step;
		p = copy(span_of(in.p, n));
		e = http1_parse_head(span_of(p, n), &scanned, &h);
		*size = e == HTTP1_OK ? h.size : 0;
		free(p);
	}
	return (e);
}

static bool
body_in_steps(
    struct span in, size_t step, struct http1_body body, struct buf *out)
{
	size_t at = 0, n;

	while (at < in.n && !body.done) {
		char *p;
		size_t used = 0;

		n = in.n - at < step ? in.n - at : step;
		p = copy(span_of(in.p + at, n));
		while (used < n && !body.done) {
			struct span data;
			ssize_t k = http1_body_take(
			    &body, span_of(p + used, n - used), &data);

			if (k == -1) {
				free(p);
				return (false);
			}
			MUST(k > 0 && (size_t)k <= n - used);
			MUST(data.n <= (size_t)k);
			buf_addspan(out, data);
			used += (size_t)k;
		}
		free(p);
		at += used;
	}
	buf_addf(out, "|%d %zu", body.done, at);
	return (true);
}

static void
check_body(struct span in, size_t step, enum http1_body_mode mode, uint64_t n)
{
	struct buf whole = {0}, cut = {0};
	struct http1_body b;
	bool good;

	http1_body_init(&b, mode, n);
	good = body_in_steps(in, SIZE_MAX, b, &whole);
	MUST(body_in_steps(in, step, b, &cut) == good);
	/* what came before the break may have been cut elsewhere */
	if (good)
		MUST(span_eq(buf_span(&whole), buf_span(&cut)));
	buf_fini(&whole);
	buf_fini(&cut);
}

static void
check_response(struct span in)
{
	struct http1_response r;
	size_t scanned = 0;

	if (http1_parse_response(in, &scanned, &r) == HTTP1_OK) {
		MUST(r.size <= in.n && r.status >= 100 && r.status <= 999);
		MUST(!(r.chunked && r.has_length));
		/* what is strict enough for us passes from others, too */
		scanned = 0;
		MUST(http1_parse_answer(in, &scanned, NULL, &r) == HTTP1_OK);
	}
}

static void
check_unescape(struct span in)
{
	struct buf out = {0};

	if (http1_unescape(in, false, &out) == 0) {
		MUST(buf_len(&out) <= in.n);
		MUST(buf_len(&out) == 0 ||
		     memchr(buf_ptr(&out), '\0', buf_len(&out)) == NULL);
	}
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http1_head h;
	enum http1_error e, cut;
	struct span in;
	size_t scanned = 0, step, cut_size = 0;

	if (size < 1 || size > 2 * HTTP1_MAX_HEAD)
		return (0);
	step = size > 4096 ? 1024 : (size_t)data[0] + 1;
	in = span_of((const char *)data + 1, size - 1);
	e = http1_parse_head(in, &scanned, &h);
	cut = head_in_steps(in, step, &cut_size);
	/* an error may be seen when its line is whole, or before */
	MUST((cut == HTTP1_OK) == (e == HTTP1_OK));
	MUST(e != HTTP1_MORE || cut == HTTP1_MORE);
	check_response(in);
	if (e != HTTP1_OK)
		return (0);
	MUST(cut_size == h.size);
	check_accepted(&h, in);
	check_unescape(h.path);
	in = span_of(in.p + h.size, in.n - h.size);
	if (h.chunked)
		check_body(in, step, HTTP1_BODY_CHUNKED, 0);
	else if (h.has_length)
		check_body(in, step, HTTP1_BODY_LENGTH, h.length);
	return (0);
}

/*
 * WebSocket frames, read in both roles: the same messages however the bytes
 * are cut, and what one side writes the other reads.
 */
#include <string.h>

#include "common/buf.h"
#include "common/ws.h"
#include "tests/fuzz/fuzz.h"

/* Pieces of a message stand in the log without a mark between them. */
static bool
note(struct buf *log, const struct ws_reader *r, enum ws_event e,
    struct span data)
{
	switch (e) {
	case WS_MORE:
		return (true);
	case WS_DATA:
		buf_addspan(log, data);
		return (true);
	case WS_PING:
	case WS_PONG:
		MUST(data.n <= 125);
		buf_addf(log, "<%d ", (int)e);
		buf_addspan(log, data);
		return (true);
	case WS_CLOSE:
		MUST(data.n <= 123);
		buf_addf(log, "<close %u ", r->code);
		buf_addspan(log, data);
		return (false);
	case WS_ERROR:
		MUST(r->code == 1002 || r->code == 1007 || r->code == 1009);
		buf_addf(log, "<error %u", r->code);
		return (false);
	}
	abort();
}

static void
read_in_steps(
    struct span in, enum ws_role role, bool text, size_t step, struct buf *log)
{
	struct ws_reader r;
	bool going = true;
	size_t at, n;

	ws_reader_init(&r, role);
	r.allow_text = text;
	for (at = 0; going && at < in.n; at += n) {
		size_t used = 0;
		char *p;

		n = in.n - at < step ? in.n - at : step;
		MUST((p = malloc(n)) != NULL);
		memcpy(p, in.p + at, n);
		while (going && used < n) {
			enum ws_event e;
			struct span data = {0};
			size_t k = ws_read(&r, p + used, n - used, &e, &data);

			MUST(k > 0 && k <= n - used);
			going = note(log, &r, e, data);
			used += k;
		}
		free(p);
	}
}

static void
check_written(struct span in, enum ws_role writer)
{
	enum ws_role reader = writer == WS_SERVER ? WS_CLIENT : WS_SERVER;
	struct buf wire = {0}, log = {0};

	ws_put_frame(&wire, writer, WS_OP_BINARY, in.p, in.n);
	read_in_steps(buf_span(&wire), reader, false, 3, &log);
	MUST(span_eq(buf_span(&log), in));
	buf_fini(&wire);
	buf_fini(&log);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = {0}, cut = {0};
	enum ws_role role;
	struct span in;
	bool text;

	if (size < 2 || size > 1 << 16)
		return (0);
	role = data[0] & 1 ? WS_SERVER : WS_CLIENT;
	text = data[0] & 2;
	in = span_of((const char *)data + 2, size - 2);
	read_in_steps(in, role, text, SIZE_MAX, &whole);
	read_in_steps(in, role, text, (size_t)data[1] + 1, &cut);
	/* bytes ahead of an error in their message may come or not */
	if (buf_len(&whole) == 0 || !text)
		MUST(span_eq(buf_span(&whole), buf_span(&cut)));
	check_written(in, role);
	buf_fini(&whole);
	buf_fini(&cut);
	return (0);
}

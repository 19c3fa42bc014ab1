/*
 * Answers of providers: the same is told however the bytes arrive, and what
 * is whole stays whole.
 */
#include <string.h>

#include "agentd/answer.h"
#include "common/buf.h"
#include "tests/fuzz/fuzz.h"

static bool
keep(struct span name)
{
	return (name.n != 7);
}

static void
note_head(struct buf *out, const struct http1_response *head)
{
	size_t i;

	MUST(head->status >= 200 && head->status <= 999);
	MUST(head->nfields <= HTTP1_MAX_FIELDS && !head->coded);
	buf_addf(out, "%d|", head->status);
	for (i = 0; i < head->nfields; i++) {
		MUST(keep(head->fields[i].name));
		buf_addspan(out, head->fields[i].name);
		buf_addspan(out, head->fields[i].value);
	}
}

/* Pieces of that many bytes, each apart, so that over-reading is seen. */
static enum answer_event
read_in_steps(struct span in, size_t step, const char *method, struct buf *out)
{
	static struct http1_response head;
	enum answer_event event = ANSWER_MORE;
	struct answer a;
	struct buf wait = {0};
	struct span data;
	size_t at = 0, n, used;
	char *p;

	answer_init(&a, method, keep);
	while (event == ANSWER_MORE && at < in.n) {
		n = in.n - at < step ? in.n - at : step;
		buf_add(&wait, in.p + at, n);
		at += n;
		do {
			n = buf_len(&wait);
			p = malloc(n);
			MUST(p != NULL || n == 0);
			if (n > 0)
				memcpy(p, buf_ptr(&wait), n);
			used = answer_read(
			    &a, span_of(p, n), &event, &head, &data);
			MUST(used <= n);
			if (event == ANSWER_HEAD)
				note_head(out, &head);
			else if (event == ANSWER_DATA)
				buf_addspan(out, data);
			buf_consume(&wait, used);
			free(p);
		} while (event == ANSWER_HEAD || event == ANSWER_DATA);
	}
	MUST((event == ANSWER_BAD) == (a.error != NULL));
	MUST(event != ANSWER_END || answer_ended(&a));
	buf_fini(&wait);
	return (event);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = {0}, cut = {0};
	enum answer_event a, b;
	const char *method;
	struct span in;
	size_t step;

	if (size < 2 || size > 2 * HTTP1_MAX_ANSWER_HEAD)
		return (0);
	step = size > 4096 ? 1024 : (size_t)data[0] + 1;
	method = data[1] == 'H' ? "HEAD" : "POST";
	in = span_of((const char *)data + 2, size - 2);
	a = read_in_steps(in, SIZE_MAX, method, &whole);
	b = read_in_steps(in, step, method, &cut);
	/* A head in pieces is looked at again when a line has ended. */
	MUST(a == b || (a == ANSWER_BAD && b == ANSWER_MORE));
	if (a != ANSWER_BAD)
		MUST(span_eq(buf_span(&whole), buf_span(&cut)));
	buf_fini(&whole);
	buf_fini(&cut);
	return (0);
}

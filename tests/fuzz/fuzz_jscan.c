/*
 * The scanner must say the same however its input is cut, and what
 * becomes a tree must be JSON.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/jscan.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
log_key(struct jscan *s, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	(void)s;
	buf_addf(
	    arg, "k%u %d %d %lu ", depth, cut, escaped, (unsigned long)begin);
	buf_addspan(arg, key);
	return (true);
}

static bool
log_value(
    struct jscan *s, void *arg, unsigned depth, const struct jscan_value *v)
{
	buf_addf(arg, "v%d %u %u %d %d %lu %lu %lu ", (int)v->type, depth,
	    jscan_index(s), v->cut, v->escaped, (unsigned long)v->begin,
	    (unsigned long)v->end, (unsigned long)v->size);
	buf_addspan(arg, v->text);
	return (true);
}

static bool
log_close(struct jscan *s, void *arg, unsigned depth, uint64_t offset)
{
	(void)s;
	buf_addf(arg, "c%u %lu ", depth, (unsigned long)offset);
	return (true);
}

static const struct jscan_handler logger = {
    .on_key = log_key, .on_value = log_value, .on_close = log_close};

static enum jscan_result
run(struct span doc, size_t cut, struct buf *out)
{
	struct jscan s;
	size_t i, n;
	char *copy;

	jscan_init(&s, &logger, out);
	for (i = 0; i < doc.n; i += n) {
		n = doc.n - i < cut ? doc.n - i : cut;
		/* apart, so that reading beyond its end is seen */
		copy = malloc(n);
		if (copy == NULL)
			abort();
		memcpy(copy, doc.p + i, n);
		jscan_feed(&s, span_of(copy, n));
		free(copy);
	}
	return (jscan_finish(&s));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = {0}, cut = {0};
	enum jscan_result r;
	struct span doc;
	struct json *tree;

	if (size < 1)
		return (0);
	doc = span_of((const char *)data + 1, size - 1);
	r = run(doc, SIZE_MAX, &whole);
	if (run(doc, 1 + data[0], &cut) != r ||
	    !span_eq(buf_span(&whole), buf_span(&cut)))
		abort();
	buf_reset(&cut, SIZE_MAX);
	if (run(doc, 1, &cut) != r ||
	    !span_eq(buf_span(&whole), buf_span(&cut)))
		abort();
	tree = json_parse(doc, NULL, 0);
	if (tree != NULL && r != JSCAN_DONE)
		abort();
	json_free(tree);
	buf_fini(&whole);
	buf_fini(&cut);
	return (0);
}

/*
 * A form must be read alike however it is cut, and what is reported must be
 * in the body where it is said to be.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct sum {
	struct span body;
	uint64_t fields, where;
};

static bool
on_field(void *arg, const struct multipart_field *f)
{
	struct sum *s = arg;

	if (f->begin > s->body.n || f->size > s->body.n - f->begin ||
	    f->text.n > f->size || (f->text.n < f->size) != f->cut)
		abort();
	if (f->text.n > 0 &&
	    memcmp(s->body.p + f->begin, f->text.p, f->text.n) != 0)
		abort();
	s->fields++;
	s->where = s->where * 31 + f->begin + f->size + f->file;
	return (true);
}

static enum multipart_result
run(struct span in, size_t cut, struct sum *s)
{
	enum multipart_result result = MULTIPART_MORE;
	struct multipart m;
	size_t i, n;
	char *copy;

	*s = (struct sum){.body = in};
	multipart_init(&m, SPAN("b-d"), on_field, s);
	for (i = 0; i < in.n; i += n) {
		n = in.n - i < cut ? in.n - i : cut;
		copy = malloc(n);
		if (copy == NULL)
			abort();
		memcpy(copy, in.p + i, n);
		result = multipart_feed(&m, span_of(copy, n));
		free(copy);
	}
	return (result);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum multipart_result whole, cut;
	struct sum a, b;
	struct span in;

	if (size < 1)
		return (0);
	in = span_of((const char *)data + 1, size - 1);
	(void)multipart_boundary(in);
	whole = run(in, SIZE_MAX, &a);
	cut = run(in, 1 + data[0] % 32, &b);
	if (whole != cut || a.fields != b.fields || a.where != b.where)
		abort();
	return (0);
}

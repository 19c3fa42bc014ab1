/* The key in a request: fields where the clients of each API put it. */
#include <string.h>

#include "hubd/api/dialect.h"

static struct span
bearer_of(struct span value)
{
	const struct span scheme = SPAN("bearer ");

	if (value.n < scheme.n || !span_ieq(span_of(value.p, scheme.n), scheme))
		return (span_of(NULL, 0));
	value = span_of(value.p + scheme.n, value.n - scheme.n);
	while (value.n > 0 && *value.p == ' ')
		value = span_of(value.p + 1, value.n - 1);
	return (value);
}

/* One more of them; false: it is empty, or another one. */
static bool
take(struct span *key, struct span value)
{
	if (value.n == 0 || (key->n != 0 && !span_eq(*key, value)))
		return (false);
	*key = value;
	return (true);
}

struct span
api_key_of(const struct api_target *t, const struct http1_head *head)
{
	const struct dialect_ops *ops = dialect_ops(t->dialect);
	const struct http1_field *f = head->fields;
	struct span key = {NULL, 0};
	bool good = true;
	size_t i;

	for (i = 0; i < head->nfields; i++, f++) {
		if (span_ieq(f->name, SPAN("authorization")))
			good = good && take(&key, bearer_of(f->value));
		else if (ops->key_field != NULL &&
			 span_ieq(f->name, span_str(ops->key_field)))
			good = good && take(&key, f->value);
	}
	if (ops->key_in_query && t->key[0] != '\0')
		good = good && take(&key, span_str(t->key));
	return (good ? key : span_of(NULL, 0));
}

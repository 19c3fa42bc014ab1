/*
 * The canonical request of AWS Signature Version 4, as its documentation
 * puts it together for all services but S3. Written apart from the agent's
 * signer, so that a mistake in the one is not in the other.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sigv4_canon.h"

#define MAX_PARAMS 64

static bool
is_unreserved(unsigned char c)
{
	return (isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~');
}

static void
put_encoded(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (is_unreserved(c))
			buf_add(out, &c, 1);
		else
			buf_addf(out, "%%%02X", c);
	}
}

/* Takes "/segment" off the end of a path that is being built. */
static void
drop_segment(struct buf *path, size_t start)
{
	size_t n = buf_len(path);

	while (n > start && buf_ptr(path)[--n] != '/')
		continue;
	buf_splice(path, n, buf_len(path) - n, NULL, 0);
}

/* Segments without "." and "..", each encoded once more. */
static void
put_path(struct buf *out, struct span path)
{
	size_t start = buf_len(out);
	const char *p = path.p, *end = path.p + path.n;

	while (p < end) {
		const char *from = ++p; /* behind a slash */
		struct span segment;

		while (p < end && *p != '/')
			p++;
		segment = span_of(from, (size_t)(p - from));
		if (segment.n == 0 || span_eq(segment, SPAN(".")))
			continue;
		if (span_eq(segment, SPAN(".."))) {
			drop_segment(out, start);
			continue;
		}
		buf_addstr(out, "/");
		put_encoded(out, segment);
	}
	if (buf_len(out) == start || (path.n > 1 && end[-1] == '/'))
		buf_addstr(out, "/");
}

static int
compare(const void *a, const void *b)
{
	return (strcmp(*(char *const *)a, *(char *const *)b));
}

/* name=value with each side decoded and encoded; a terminated copy. */
static char *
canon_param(struct span param)
{
	struct buf out = {0}, text = {0};
	const char *eq = memchr(param.p, '=', param.n);
	size_t n = eq != NULL ? (size_t)(eq - param.p) : param.n;
	char *copy;

	http1_unescape(span_of(param.p, n), false, &text);
	put_encoded(&out, buf_span(&text));
	buf_addstr(&out, "=");
	buf_reset(&text, 0);
	if (eq != NULL)
		http1_unescape(span_of(eq + 1, param.n - n - 1), false, &text);
	put_encoded(&out, buf_span(&text));
	copy = strdup(buf_cstr(&out));
	buf_fini(&text);
	buf_fini(&out);
	return (copy);
}

static void
put_query(struct buf *out, struct span query)
{
	char *params[MAX_PARAMS] = {0};
	size_t n = 0;

	while (query.n > 0 && n < MAX_PARAMS) {
		const char *amp = memchr(query.p, '&', query.n);
		size_t size = amp ? (size_t)(amp - query.p) : query.n;

		if (size > 0)
			params[n++] = canon_param(span_of(query.p, size));
		size += amp != NULL;
		query = span_of(query.p + size, query.n - size);
	}
	qsort(params, n, sizeof(*params), compare);
	for (size_t i = 0; i < n; i++) {
		buf_addstr(out, i ? "&" : "");
		buf_addstr(out, params[i]);
		free(params[i]);
	}
}

/* Runs of blanks count as one. */
static void
put_value(struct buf *out, struct span value)
{
	for (size_t i = 0; i < value.n; i++)
		if (i == 0 || value.p[i] != ' ' || value.p[i - 1] != ' ')
			buf_add(out, value.p + i, 1);
}

/* All fields of a name, joined. false: there is none. */
static bool
put_field(struct buf *out, const struct http1_head *head, struct span name)
{
	bool found = false;

	for (size_t i = 0; i < head->nfields; i++) {
		if (!span_ieq(head->fields[i].name, name))
			continue;
		if (found)
			buf_addstr(out, ",");
		else {
			buf_addspan(out, name);
			buf_addstr(out, ":");
		}
		put_value(out, head->fields[i].value);
		found = true;
	}
	buf_addstr(out, "\n");
	return (found);
}

static bool
put_fields(struct buf *out, const struct http1_head *head, struct span names)
{
	bool all = true;

	while (names.n > 0) {
		const char *semi = memchr(names.p, ';', names.n);
		size_t n = semi ? (size_t)(semi - names.p) : names.n;

		all = put_field(out, head, span_of(names.p, n)) && all;
		n += semi != NULL;
		names = span_of(names.p + n, names.n - n);
	}
	return (all);
}

bool
sigv4_canon(const struct sim_request *q, struct span signed_fields,
    struct span body_hash, struct buf *out)
{
	bool all;

	buf_addspan(out, q->head->method);
	buf_addstr(out, "\n");
	put_path(out, q->head->path);
	buf_addstr(out, "\n");
	put_query(out, q->head->query);
	buf_addstr(out, "\n");
	all = put_fields(out, q->head, signed_fields);
	buf_addstr(out, "\n");
	buf_addspan(out, signed_fields);
	buf_addstr(out, "\n");
	buf_addspan(out, body_hash);
	return (all);
}

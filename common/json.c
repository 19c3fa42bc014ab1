/* JSON documents as trees; the only file that knows yajl. */
#include "common/json.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "common/alloc.h"
#include "common/jscan.h"

#define DEPTH_MAX 64

struct level {
	struct json *container;
	struct json *last;
	size_t members;
};

struct builder {
	struct json *root;
	char *key; /* of the member whose value comes next */
	struct level levels[DEPTH_MAX];
	unsigned depth;
	char why[192]; /* we refused, not yajl */
};

static int refuse(struct builder *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the parse: the value is what yajl's callbacks return to stop. */
static int
refuse(struct builder *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->why, sizeof(b->why), fmt, ap);
	va_end(ap);
	return (0);
}

static struct json *
attach(struct builder *b, enum json_type type)
{
	struct json *j = xcalloc(1, sizeof(*j));
	struct level *l;

	j->type = type;
	j->key = b->key;
	b->key = NULL;
	if (b->depth == 0) {
		assert(b->root == NULL);
		b->root = j;
		return (j);
	}
	l = &b->levels[b->depth - 1];
	if (l->last == NULL)
		l->container->first = j;
	else
		l->last->next = j;
	l->last = j;
	l->members++;
	return (j);
}

static int
on_null(void *arg)
{
	attach(arg, JSON_NULL);
	return (1);
}

static int
on_boolean(void *arg, int value)
{
	attach(arg, value ? JSON_TRUE : JSON_FALSE);
	return (1);
}

static int
on_number(void *arg, const char *s, size_t n)
{
	attach(arg, JSON_NUMBER)->text = xmemdup0(s, n);
	return (1);
}

static int
on_string(void *arg, const unsigned char *s, size_t n)
{
	if (memchr(s, '\0', n) != NULL)
		return (refuse(arg, "a string with U+0000"));
	attach(arg, JSON_STRING)->text = xmemdup0((const char *)s, n);
	return (1);
}

static int
on_key(void *arg, const unsigned char *s, size_t n)
{
	struct builder *b = arg;

	if (memchr(s, '\0', n) != NULL)
		return (refuse(b, "a key with U+0000"));
	assert(b->key == NULL);
	b->key = xmemdup0((const char *)s, n);
	return (1);
}

static int
push(struct builder *b, enum json_type type)
{
	struct json *j;

	if (b->depth == DEPTH_MAX)
		return (refuse(b, "deeper than %d", DEPTH_MAX));
	j = attach(b, type);
	b->levels[b->depth++] = (struct level){.container = j};
	return (1);
}

static int
on_start_map(void *arg)
{
	return (push(arg, JSON_OBJECT));
}

static int
on_start_array(void *arg)
{
	return (push(arg, JSON_ARRAY));
}

static int
on_end_array(void *arg)
{
	struct builder *b = arg;

	assert(b->depth > 0);
	b->depth--;
	return (1);
}

static int
compare_keys(const void *a, const void *b)
{
	const char *const *ka = a, *const *kb = b;

	return (strcmp(*ka, *kb));
}

/* Sorting finds duplicates also in price files, whose top object has
 * thousands of members. */
static int
on_end_map(void *arg)
{
	struct builder *b = arg;
	struct level *l = &b->levels[b->depth - 1];
	const char **keys = xcalloc(l->members + 1, sizeof(*keys));
	const char *where = l->container->key;
	struct json *j;
	size_t n = 0, i;
	int ok = 1;

	for (j = l->container->first; j != NULL; j = j->next)
		keys[n++] = j->key;
	assert(n == l->members);
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (i = 1; i < n && ok; i++) {
		if (strcmp(keys[i - 1], keys[i]) == 0)
			ok = refuse(b, "%s%.64s%sthe key \"%.64s\" twice",
			    where != NULL ? "in \"" : "",
			    where != NULL ? where : "",
			    where != NULL ? "\": " : "", keys[i]);
	}
	free(keys);
	b->depth--;
	return (ok);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end_map,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end_array,
};

static void
explain(yajl_handle h, const struct builder *b, struct span text, char *error,
    size_t cap)
{
	size_t at = yajl_get_bytes_consumed(h), i;
	unsigned long line = 1;
	unsigned char *theirs;

	if (cap == 0)
		return;
	for (i = 0; i < at && i < text.n; i++)
		line += text.p[i] == '\n';
	if (b->why[0] != '\0') {
		snprintf(error, cap, "line %lu: %s", line, b->why);
		return;
	}
	theirs = yajl_get_error(h, 0, NULL, 0);
	snprintf(error, cap, "line %lu: %.*s", line,
	    (int)strcspn((char *)theirs, "\n"), (char *)theirs);
	yajl_free_error(h, theirs);
}

/* yajl also takes form feeds for blanks, a broken last word, and halves of
 * surrogate pairs: the scanner decides. */
static bool
is_strict(struct span text)
{
	struct jscan s;

	jscan_init(&s, NULL, NULL);
	jscan_feed(&s, text);
	return (jscan_finish(&s) == JSCAN_DONE);
}

struct json *
json_parse(struct span text, char *error, size_t cap)
{
	struct builder b = {0};
	yajl_handle h = yajl_alloc(&callbacks, NULL, &b);
	yajl_status status;

	if (h == NULL)
		abort();
	status = yajl_parse(h, (const unsigned char *)text.p, text.n);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(h);
	if (status == yajl_status_ok && !is_strict(text)) {
		refuse(&b, "not JSON in the sense of RFC 8259");
		status = yajl_status_error;
	}
	if (status != yajl_status_ok) {
		explain(h, &b, text, error, cap);
		json_free(b.root);
		b.root = NULL;
	}
	free(b.key);
	yajl_free(h);
	return (b.root);
}

void
json_free(struct json *j)
{
	struct json *next;

	for (; j != NULL; j = next) {
		next = j->next;
		json_free(j->first);
		free(j->key);
		free(j->text);
		free(j);
	}
}

static void
wipe_texts(struct json *j)
{
	for (; j != NULL; j = j->next) {
		wipe_texts(j->first);
		if (j->text != NULL)
			explicit_bzero(j->text, strlen(j->text));
	}
}

void
json_wipe(struct json *j)
{
	wipe_texts(j);
	json_free(j);
}

const struct json *
json_get(const struct json *obj, const char *key)
{
	const struct json *j;

	if (obj == NULL || obj->type != JSON_OBJECT)
		return (NULL);
	for (j = obj->first; j != NULL; j = j->next) {
		if (strcmp(j->key, key) == 0)
			return (j);
	}
	return (NULL);
}

const char *
json_get_str(const struct json *obj, const char *key)
{
	const struct json *j = json_get(obj, key);

	return (j != NULL && j->type == JSON_STRING ? j->text : NULL);
}

int64_t
json_get_int(const struct json *obj, const char *key, int64_t fallback)
{
	const struct json *j = json_get(obj, key);
	long long n;
	char *end;

	if (j == NULL || j->type != JSON_NUMBER)
		return (fallback);
	errno = 0;
	n = strtoll(j->text, &end, 10);
	return (errno == 0 && *end == '\0' ? n : fallback);
}

bool
json_get_bool(const struct json *obj, const char *key, bool fallback)
{
	const struct json *j = json_get(obj, key);

	if (j == NULL || (j->type != JSON_TRUE && j->type != JSON_FALSE))
		return (fallback);
	return (j->type == JSON_TRUE);
}

/* Values: numbers, sizes, durations, words, strings and lists of them. */
#include "common/conf_value.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define STRING_MAX 8192
/* A hundred years: more is not to be had when nanoseconds are counted. */
#define TIME_MAX_MS (UINT64_C(36525) * 86400 * 1000)

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {
    {"", 1}, {"k", 1024}, {"m", 1 << 20}, {"g", 1 << 30}, {NULL, 0}};
static const struct unit durations[] = {{"", 1000}, {"ms", 1}, {"s", 1000},
    {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit none[] = {{"", 1}, {NULL, 0}};

/* A bound in the largest unit that holds it whole: 10s, 64m. */
static void
put_bound(char out[32], const struct unit *units, uint64_t n)
{
	const struct unit *best = NULL, *u;

	for (u = units; u->name != NULL; u++)
		if (n % u->factor == 0 && n != 0 && u->name[0] != '\0' &&
		    (best == NULL || u->factor >= best->factor))
			best = u;
	snprintf(out, 32, "%llu%s",
	    (unsigned long long)(best == NULL ? n : n / best->factor),
	    best == NULL ? "" : best->name);
}

static const char *
out_of_range(
    const struct conf_option *o, const struct unit *units, uint64_t max)
{
	static char why[96];
	char from[32], to[32];

	put_bound(from, units, o->min);
	put_bound(to, units, max);
	if (o->type == CONF_SIZE && o->max == 0)
		snprintf(why, sizeof(why), "must be at least %s", from);
	else
		snprintf(why, sizeof(why), "must be from %s to %s", from, to);
	return (why);
}

static const char *
parse_number(const struct conf_option *o, const char *text,
    const struct unit *units, uint64_t type_max, uint64_t *out)
{
	uint64_t n = 0, max = o->max != 0 ? o->max : type_max;
	const struct unit *u = units;
	const char *p = text;

	if (*p < '0' || *p > '9')
		return ("a number was expected");
	if (*p == '0' && p[1] >= '0' && p[1] <= '9')
		return ("a number must not begin with 0");
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return ("the number is too large");
	}
	while (u->name != NULL && strcmp(u->name, p) != 0)
		u++;
	if (u->name == NULL)
		return (o->type == CONF_SIZE   ? "bad unit: k, m or g"
			: o->type == CONF_TIME ? "bad unit: ms, s, m, h or d"
					       : "a plain number was expected");
	if (__builtin_mul_overflow(n, u->factor, &n) || n > max || n < o->min)
		return (out_of_range(o, units, max));
	*out = n;
	return (NULL);
}

static const char *
parse_bool(const char *text, bool *out)
{
	static const char *const words[] = {
	    "false", "true", "no", "yes", "off", "on"};
	unsigned i;

	for (i = 0; i < 6; i++) {
		if (strcmp(words[i], text) == 0) {
			*out = i % 2 == 1;
			return (NULL);
		}
	}
	return ("true or false was expected");
}

static const char *
parse_word(const struct conf_option *o, const char *text, unsigned *out)
{
	static char why[128];
	size_t at;
	unsigned i;

	for (i = 0; o->words[i] != NULL; i++) {
		if (strcmp(o->words[i], text) == 0) {
			*out = i;
			return (NULL);
		}
	}
	at = (size_t)snprintf(why, sizeof(why), "must be one of:");
	for (i = 0; o->words[i] != NULL && at < sizeof(why); i++)
		at += (size_t)snprintf(
		    why + at, sizeof(why) - at, " %s", o->words[i]);
	return (why);
}

static const char *
check_string(const struct conf_option *o, const char *text)
{
	if (strlen(text) > STRING_MAX)
		return ("too long");
	if (text[0] == '\0' && (o->flags & CONF_NONEMPTY) != 0)
		return ("must not be empty");
	return (o->check != NULL ? o->check(text) : NULL);
}

static const char *
add_item(struct conf_list *list, const char *text)
{
	if (list->n == CONF_LIST_MAX)
		return ("too many items");
	list->item[list->n++] = xstrdup(text);
	return (NULL);
}

const char *
conf_value_set(const struct conf_option *o, void *out, const char *text)
{
	void *field = (char *)out + o->offset;
	const char *why = NULL;
	uint64_t n = 0;

	switch (o->type) {
	case CONF_STR:
		if ((why = check_string(o, text)) == NULL) {
			free(*(char **)field);
			*(char **)field = xstrdup(text);
		}
		break;
	case CONF_LIST:
		if ((why = check_string(o, text)) == NULL)
			why = add_item(field, text);
		break;
	case CONF_INT:
		why = parse_number(o, text, none, UINT32_MAX, &n);
		*(uint32_t *)field = (uint32_t)n;
		break;
	case CONF_SIZE:
		why = parse_number(o, text, sizes, INT64_MAX, &n);
		*(uint64_t *)field = n;
		break;
	case CONF_TIME:
		why = parse_number(o, text, durations, TIME_MAX_MS, &n);
		*(int64_t *)field = (int64_t)n;
		break;
	case CONF_BOOL:
		why = parse_bool(text, field);
		break;
	case CONF_ENUM:
		why = parse_word(o, text, field);
		break;
	}
	return (why);
}

void
conf_value_clear(const struct conf_option *o, void *out)
{
	void *field = (char *)out + o->offset;
	struct conf_list *list;

	switch (o->type) {
	case CONF_STR:
		free(*(char **)field);
		*(char **)field = NULL;
		break;
	case CONF_LIST:
		for (list = field; list->n > 0; list->n--)
			free(list->item[list->n - 1]);
		memset(list, 0, sizeof(*list));
		break;
	case CONF_INT:
	case CONF_ENUM:
		*(uint32_t *)field = 0;
		break;
	case CONF_SIZE:
	case CONF_TIME:
		*(uint64_t *)field = 0;
		break;
	case CONF_BOOL:
		*(bool *)field = false;
		break;
	}
}

/* A default goes the way of a value of the file; a list's has commas. */
static void
set_default(const struct conf_option *o, void *out)
{
	char *text = xstrdup(o->def), *rest = text, *item;
	const char *why = NULL;

	if (o->type != CONF_LIST) {
		why = conf_value_set(o, out, text);
	} else {
		while (why == NULL && (item = strsep(&rest, ",")) != NULL &&
		       *item != '\0')
			why = conf_value_set(o, out, item);
	}
	assert(why == NULL);
	free(text);
}

void
conf_values_default(const struct conf_option *options, size_t n, void *out)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (options[i].def != NULL)
			set_default(&options[i], out);
	}
}

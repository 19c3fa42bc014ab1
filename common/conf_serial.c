/*
 * Configurations between processes of one program: a line an option,
 * "section.name=value", numbers in their base unit, a leading "+" if the
 * file named it, breaks and backslashes of strings escaped.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/conf_value.h"

static bool
is_set(const struct conf_option *o, const void *conf)
{
	return (o->set_offset != 0 &&
		*(const bool *)((const char *)conf + o->set_offset));
}

static void
add_name(struct buf *out, const char *section, const struct conf_option *o,
    const void *conf)
{
	buf_addf(out, "%s%s%s%s=", is_set(o, conf) ? "+" : "", section,
	    section[0] != '\0' ? "." : "", o->name);
}

static void
add_string(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n')
			buf_addstr(out, "\\n");
		else if (*s == '\\')
			buf_addstr(out, "\\\\");
		else
			buf_add(out, s, 1);
	}
	buf_addstr(out, "\n");
}

static void
add_option(struct buf *out, const char *section, const struct conf_option *o,
    const void *conf)
{
	const void *field = (const char *)conf + o->offset;
	const struct conf_list *list;
	const char *s;
	size_t i;

	if (o->type == CONF_LIST) {
		for (i = 0, list = field; i < list->n; i++) {
			add_name(out, section, o, conf);
			add_string(out, list->item[i]);
		}
		return;
	}
	if (o->type == CONF_STR && *(char *const *)field == NULL)
		return;
	add_name(out, section, o, conf);
	switch (o->type) {
	case CONF_STR:
	case CONF_LIST:
		s = *(char *const *)field;
		add_string(out, s);
		break;
	case CONF_INT:
	case CONF_ENUM:
		buf_addf(out, "%" PRIu32 "\n", *(const uint32_t *)field);
		break;
	case CONF_SIZE:
	case CONF_TIME:
		buf_addf(out, "%" PRIu64 "\n", *(const uint64_t *)field);
		break;
	case CONF_BOOL:
		buf_addf(out, "%d\n", *(const bool *)field);
		break;
	}
}

void
conf_serialise(const struct conf_schema *schema, const void *conf,
    bool (*wanted)(const struct conf_option *, void *arg), void *arg,
    struct buf *out)
{
	size_t i, k;

	for (i = 0; i < schema->noptions; i++) {
		if (wanted(&schema->options[i], arg))
			add_option(out, "", &schema->options[i], conf);
	}
	for (i = 0; i < schema->nsections; i++) {
		const struct conf_section *s = &schema->sections[i];

		if (s->titled)
			continue;
		for (k = 0; k < s->noptions; k++) {
			if (wanted(&s->options[k], arg))
				add_option(out, s->name, &s->options[k], conf);
		}
	}
}

static const struct conf_option *
find_in(const struct conf_option *options, size_t n, struct span name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (span_eq(span_str(options[i].name), name))
			return (&options[i]);
	}
	return (NULL);
}

static const struct conf_option *
find(const struct conf_schema *schema, struct span name)
{
	const char *dot = memchr(name.p, '.', name.n);
	struct span section, rest;
	size_t i;

	if (dot == NULL)
		return (find_in(schema->options, schema->noptions, name));
	section = span_of(name.p, (size_t)(dot - name.p));
	rest = span_of(dot + 1, name.n - section.n - 1);
	for (i = 0; i < schema->nsections; i++) {
		const struct conf_section *s = &schema->sections[i];

		if (!s->titled && span_eq(span_str(s->name), section))
			return (find_in(s->options, s->noptions, rest));
	}
	return (NULL);
}

static char *
unescape(struct span value)
{
	char *s = xmalloc(value.n + 1);
	size_t i, n = 0;

	for (i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (c == '\\' && i + 1 < value.n)
			c = value.p[++i] == 'n' ? '\n' : value.p[i];
		s[n++] = c;
	}
	s[n] = '\0';
	return (s);
}

static int
put_string(const struct conf_option *o, void *field, struct span value)
{
	struct conf_list *list = field;

	if (o->type == CONF_STR) {
		free(*(char **)field);
		*(char **)field = unescape(value);
		return (0);
	}
	if (list->n == CONF_LIST_MAX)
		return (-1);
	list->item[list->n++] = unescape(value);
	return (0);
}

static int
put_number(const struct conf_option *o, void *field, struct span value)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9' ||
		    __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(value.p[i] - '0'), &n))
			return (-1);
	}
	if (o->type == CONF_BOOL)
		*(bool *)field = n != 0;
	else if (o->type == CONF_INT || o->type == CONF_ENUM)
		*(uint32_t *)field = (uint32_t)n;
	else
		*(uint64_t *)field = n;
	return (0);
}

static int
take_line(const struct conf_schema *schema, struct span line, void *out)
{
	const struct conf_option *o;
	struct span name, value;
	const char *equals;
	bool set;

	set = line.n > 0 && line.p[0] == '+';
	if (set)
		line = span_of(line.p + 1, line.n - 1);
	if ((equals = memchr(line.p, '=', line.n)) == NULL)
		return (-1);
	name = span_of(line.p, (size_t)(equals - line.p));
	value = span_of(equals + 1, line.n - name.n - 1);
	if ((o = find(schema, name)) == NULL)
		return (-1);
	if (set && o->set_offset != 0)
		*(bool *)((char *)out + o->set_offset) = true;
	if (o->type == CONF_STR || o->type == CONF_LIST)
		return (put_string(o, (char *)out + o->offset, value));
	return (put_number(o, (char *)out + o->offset, value));
}

int
conf_deserialise(const struct conf_schema *schema, struct span text, void *out)
{
	const char *end;
	size_t n;

	while (text.n > 0) {
		end = memchr(text.p, '\n', text.n);
		n = end != NULL ? (size_t)(end - text.p) : text.n;
		if (end == NULL ||
		    take_line(schema, span_of(text.p, n), out) == -1) {
			conf_free(schema, out);
			return (-1);
		}
		text = span_of(end + 1, text.n - n - 1);
	}
	return (0);
}

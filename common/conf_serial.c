/*
 * Configurations between processes of one program: a line an option,
 * "section.name=value", numbers in their base unit, a leading "+" if the
 * file named it, breaks and backslashes of strings escaped. Titled sections
 * come in their order: "section[0]=title", then "section[0].name=value".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/conf_value.h"

#define SECTION_MAX  64	 /* bytes of "section[7]" */
#define ELEMENTS_MAX 999 /* titled sections of one name */

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

struct choice {
	bool (*wanted)(const struct conf_option *, void *arg);
	void *arg;
};

static void
add_options(struct buf *out, const char *section,
    const struct conf_option *options, size_t n, const struct choice *choice,
    const void *conf)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (choice->wanted(&options[i], choice->arg))
			add_option(out, section, &options[i], conf);
	}
}

/* Who sees the first option of a titled section sees its titles. */
static void
add_titled(struct buf *out, const struct conf_section *s,
    const struct choice *choice, const void *conf)
{
	const char *base = conf, *element;
	size_t i, n = *(const size_t *)(const void *)(base + s->count_offset);
	char name[SECTION_MAX];

	if (!choice->wanted(&s->options[0], choice->arg))
		return;
	element = *(char *const *)(const void *)(base + s->array_offset);
	for (i = 0; i < n; i++, element += s->size) {
		snprintf(name, sizeof(name), "%s[%zu]", s->name, i);
		buf_addf(out, "%s=", name);
		add_string(out,
		    *(char *const *)(const void *)(element + s->title_offset));
		add_options(
		    out, name, s->options, s->noptions, choice, element);
	}
}

void
conf_serialise(const struct conf_schema *schema, const void *conf,
    bool (*wanted)(const struct conf_option *, void *arg), void *arg,
    struct buf *out)
{
	const struct choice choice = {wanted, arg};
	size_t i;

	add_options(out, "", schema->options, schema->noptions, &choice, conf);
	for (i = 0; i < schema->nsections; i++) {
		const struct conf_section *s = &schema->sections[i];

		if (s->titled)
			add_titled(out, s, &choice, conf);
		else
			add_options(out, s->name, s->options, s->noptions,
			    &choice, conf);
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

/* "name[7]" -> name and 7; without brackets index is SIZE_MAX. */
static struct span
split_index(struct span name, size_t *index)
{
	const char *open = memchr(name.p, '[', name.n);
	size_t i, n = 0;

	*index = SIZE_MAX;
	if (open == NULL || name.p[name.n - 1] != ']')
		return (name);
	for (i = (size_t)(open - name.p) + 1; i < name.n - 1; i++) {
		if (name.p[i] < '0' || name.p[i] > '9' || n > ELEMENTS_MAX)
			return (name);
		n = n * 10 + (size_t)(name.p[i] - '0');
	}
	*index = n;
	return (span_of(name.p, (size_t)(open - name.p)));
}

static const struct conf_section *
find_section(const struct conf_schema *schema, struct span name, bool titled)
{
	size_t i;

	for (i = 0; i < schema->nsections; i++) {
		const struct conf_section *s = &schema->sections[i];

		if (s->titled == titled && span_eq(span_str(s->name), name))
			return (s);
	}
	return (NULL);
}

/* The struct that a section's options are in; NULL: there is none. */
static void *
base_of(const struct conf_section *s, size_t index, void *out)
{
	char *conf = out;

	if (!s->titled)
		return (out);
	if (index >= *(size_t *)(void *)(conf + s->count_offset))
		return (NULL);
	return (*(char **)(void *)(conf + s->array_offset) + index * s->size);
}

/* The option of that name, and its struct in *base. */
static const struct conf_option *
find(const struct conf_schema *schema, struct span name, void *out, void **base)
{
	const char *dot = memchr(name.p, '.', name.n);
	const struct conf_section *s;
	struct span section, rest;
	size_t index;

	*base = out;
	if (dot == NULL)
		return (find_in(schema->options, schema->noptions, name));
	section = span_of(name.p, (size_t)(dot - name.p));
	rest = span_of(dot + 1, name.n - section.n - 1);
	section = split_index(section, &index);
	s = find_section(schema, section, index != SIZE_MAX);
	if (s == NULL || (*base = base_of(s, index, out)) == NULL)
		return (NULL);
	return (find_in(s->options, s->noptions, rest));
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

/* "section[2]=title": the next element of the array. */
static int
add_element(
    const struct conf_section *s, size_t index, struct span title, void *out)
{
	char *conf = out, *array;
	size_t *n = (size_t *)(void *)(conf + s->count_offset);

	if (index != *n || index >= ELEMENTS_MAX)
		return (-1);
	array = xrealloc(
	    *(char **)(void *)(conf + s->array_offset), (*n + 1) * s->size);
	memset(array + *n * s->size, 0, s->size);
	*(char **)(void *)(array + *n * s->size + s->title_offset) =
	    unescape(title);
	*(char **)(void *)(conf + s->array_offset) = array;
	(*n)++;
	return (0);
}

static int
put_option(const struct conf_option *o, bool set, struct span value, char *base)
{
	if (set && o->set_offset != 0)
		*(bool *)(base + o->set_offset) = true;
	if (o->type == CONF_STR || o->type == CONF_LIST)
		return (put_string(o, base + o->offset, value));
	return (put_number(o, base + o->offset, value));
}

static int
take_line(const struct conf_schema *schema, struct span line, void *out)
{
	const struct conf_section *section;
	const struct conf_option *o;
	struct span name, value;
	const char *equals;
	size_t index;
	void *base;
	bool set;

	set = line.n > 0 && line.p[0] == '+';
	if (set)
		line = span_of(line.p + 1, line.n - 1);
	if ((equals = memchr(line.p, '=', line.n)) == NULL)
		return (-1);
	name = span_of(line.p, (size_t)(equals - line.p));
	value = span_of(equals + 1, line.n - name.n - 1);
	section = find_section(schema, split_index(name, &index), true);
	if (section != NULL && index != SIZE_MAX)
		return (add_element(section, index, value, out));
	if ((o = find(schema, name, out, &base)) == NULL)
		return (-1);
	return (put_option(o, set, value, base));
}

/* false: there is none that is whole. */
static bool
next_line(struct span *text, struct span *line)
{
	const char *end = memchr(text->p, '\n', text->n);

	if (end == NULL)
		return (false);
	*line = span_of(text->p, (size_t)(end - text->p));
	*text = span_of(end + 1, text->n - line->n - 1);
	return (true);
}

int
conf_deserialise(const struct conf_schema *schema, struct span text, void *out)
{
	struct span line;

	while (text.n > 0) {
		if (!next_line(&text, &line) ||
		    take_line(schema, line, out) == -1) {
			conf_free(schema, out);
			return (-1);
		}
	}
	return (0);
}

void
conf_deserialise_known(
    const struct conf_schema *schema, struct span text, void *out)
{
	struct span line;

	while (text.n > 0 && next_line(&text, &line))
		(void)take_line(schema, line, out);
}

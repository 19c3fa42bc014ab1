/*
 * Configuration files into structs: libconfuse parses, and a table says
 * what each key is. The only file that includes libconfuse's header.
 */
#include "common/conf.h"

#include <assert.h>
#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/conf_scan.h"
#include "common/conf_value.h"

#define CONF_FILE_MAX (1024 * 1024)

struct reader {
	const struct conf_schema *schema;
	const char *name;
	struct conf_scan scan;
	char *error;
	size_t cap;
};

/* libconfuse's error function has no argument for us. */
static struct reader *current;

static int __attribute__((format(printf, 3, 4)))
refuse(struct reader *r, unsigned line, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (line > 0)
		n = snprintf(r->error, r->cap, "%s:%u: ", r->name, line);
	else
		n = snprintf(r->error, r->cap, "%s: ", r->name);
	if (n < 0 || (size_t)n >= r->cap)
		return (-1);
	va_start(ap, fmt);
	vsnprintf(r->error + n, r->cap - (size_t)n, fmt, ap);
	va_end(ap);
	return (-1);
}

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[256];

	/* the first one is the cause */
	if (current->error[0] != '\0')
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	refuse(current, cfg != NULL ? (unsigned)cfg->line : 0, "%s", text);
}

/* ---- libconfuse's table made from ours ----------------------------------- */

static cfg_opt_t
scalar(const char *name)
{
	cfg_opt_t o = CFG_STR(name, NULL, CFGF_NODEFAULT);

	return (o);
}

static cfg_opt_t
list(const char *name)
{
	cfg_opt_t o = CFG_STR_LIST(name, NULL, CFGF_NODEFAULT);

	return (o);
}

static cfg_opt_t
end(void)
{
	cfg_opt_t o = CFG_END();

	return (o);
}

static cfg_opt_t
section(const struct conf_section *s, cfg_opt_t *options)
{
	cfg_opt_t plain = CFG_SEC(s->name, options, CFGF_NONE);
	cfg_opt_t titled = CFG_SEC(
	    s->name, options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);

	return (s->titled ? titled : plain);
}

/* With room for more entries behind; *n is where they go. */
static cfg_opt_t *
table_of(
    const struct conf_option *options, size_t noptions, size_t room, size_t *n)
{
	cfg_opt_t *t = xcalloc(noptions + room + 1, sizeof(*t));
	size_t i;

	for (i = 0; i < noptions; i++)
		t[i] = options[i].type == CONF_LIST ? list(options[i].name)
						    : scalar(options[i].name);
	t[noptions + room] = end();
	*n = noptions;
	return (t);
}

static cfg_t *
parse(struct reader *r, char *text)
{
	const struct conf_schema *schema = r->schema;
	cfg_opt_t *top, **subs;
	size_t i, n, unused;
	cfg_t *cfg;
	int rc;

	subs = xcalloc(schema->nsections + 1, sizeof(cfg_opt_t *));
	top =
	    table_of(schema->options, schema->noptions, schema->nsections, &n);
	for (i = 0; i < schema->nsections; i++) {
		const struct conf_section *s = &schema->sections[i];

		subs[i] = table_of(s->options, s->noptions, 0, &unused);
		top[n++] = section(s, subs[i]);
	}
	cfg = cfg_init(top, CFGF_NONE); /* copies the tables */
	if (cfg == NULL)
		return (NULL);
	cfg_set_error_function(cfg, on_error);
	current = r;
	rc = cfg_parse_buf(cfg, text);
	current = NULL;
	for (i = 0; i < schema->nsections; i++)
		free(subs[i]);
	free(subs);
	free(top);
	if (rc == CFG_SUCCESS)
		return (cfg);
	cfg_free(cfg);
	if (r->error[0] == '\0')
		refuse(r, 0, "cannot be parsed");
	return (NULL);
}

/* ---- values into fields ---------------------------------------------------
 */

static void
put_line(void *out, size_t offset, unsigned line)
{
	if (offset != 0)
		*(unsigned *)(void *)((char *)out + offset) = line;
}

static int
take(struct reader *r, cfg_t *cfg, const struct conf_option *o, void *out,
    unsigned line)
{
	unsigned i, n = cfg_size(cfg, o->name);
	const char *why = NULL;

	conf_value_clear(o, out);
	if (n == 0 && (o->flags & CONF_NONEMPTY) != 0)
		why = "must not be empty";
	for (i = 0; i < n && why == NULL; i++)
		why = conf_value_set(o, out, cfg_getnstr(cfg, o->name, i));
	if (why != NULL)
		return (refuse(r, line, "%s: %s", o->name, why));
	if (o->set_offset != 0)
		*(bool *)((char *)out + o->set_offset) = true;
	put_line(out, o->line_offset, line);
	return (0);
}

static int
refuse_missing(struct reader *r, cfg_t *cfg, const char *name, unsigned nth,
    const char *option)
{
	const struct conf_place *p = conf_scan_find(&r->scan, name, nth, "");

	if (p == NULL || cfg_title(cfg) == NULL)
		return (refuse(r, 0, "%s is missing", option));
	return (refuse(r, p->line, "%s \"%s\": %s is missing", name,
	    cfg_title(cfg), option));
}

static int
take_options(struct reader *r, cfg_t *cfg, const char *name, unsigned nth,
    const struct conf_option *options, size_t noptions, void *out)
{
	const struct conf_place *p;
	size_t i;

	for (i = 0; i < noptions; i++) {
		const struct conf_option *o = &options[i];

		p = conf_scan_find(&r->scan, name, nth, o->name);
		if (p != NULL && take(r, cfg, o, out, p->line) == -1)
			return (-1);
		if (p == NULL && (o->flags & CONF_REQUIRED) != 0)
			return (refuse_missing(r, cfg, name, nth, o->name));
	}
	return (0);
}

static unsigned
line_of(const struct reader *r, const char *section, unsigned nth)
{
	const struct conf_place *p = conf_scan_find(&r->scan, section, nth, "");

	return (p == NULL ? 0 : p->line);
}

static int
take_titled(
    struct reader *r, cfg_t *cfg, const struct conf_section *s, void *out)
{
	unsigned i, n = cfg_size(cfg, s->name);
	char *elements = xcalloc(n + 1, s->size);

	*(char **)(void *)((char *)out + s->array_offset) = elements;
	*(size_t *)(void *)((char *)out + s->count_offset) = n;
	for (i = 0; i < n; i++) {
		cfg_t *sub = cfg_getnsec(cfg, s->name, i);
		char *e = elements + i * s->size;

		conf_values_default(s->options, s->noptions, e);
		*(char **)(void *)(e + s->title_offset) =
		    xstrdup(cfg_title(sub));
		put_line(e, s->line_offset, line_of(r, s->name, i));
		if (take_options(
			r, sub, s->name, i, s->options, s->noptions, e) == -1)
			return (-1);
	}
	return (0);
}

static int
take_section(
    struct reader *r, cfg_t *cfg, const struct conf_section *s, void *out)
{
	if (s->titled)
		return (take_titled(r, cfg, s, out));
	return (take_options(r, cfg_getsec(cfg, s->name), s->name, 0,
	    s->options, s->noptions, out));
}

static int
take_all(struct reader *r, cfg_t *cfg, void *out)
{
	const struct conf_schema *schema = r->schema;
	size_t i;

	if (take_options(
		r, cfg, "", 0, schema->options, schema->noptions, out) == -1)
		return (-1);
	for (i = 0; i < schema->nsections; i++) {
		if (take_section(r, cfg, &schema->sections[i], out) == -1)
			return (-1);
	}
	return (0);
}

void
conf_defaults(const struct conf_schema *schema, void *out)
{
	size_t i;

	conf_values_default(schema->options, schema->noptions, out);
	for (i = 0; i < schema->nsections; i++) {
		const struct conf_section *s = &schema->sections[i];

		if (!s->titled)
			conf_values_default(s->options, s->noptions, out);
	}
}

int
conf_parse(const struct conf_schema *schema, const char *name, struct span text,
    void *out, char *error, size_t cap)
{
	struct reader r = {
	    .schema = schema, .name = name, .error = error, .cap = cap};
	struct buf expanded = {0};
	cfg_t *cfg = NULL;
	int rc = -1;

	assert(cap > 0);
	error[0] = '\0';
	conf_defaults(schema, out);
	if (conf_expand(name, text, &r.scan, &expanded, error, cap) == 0)
		cfg = parse(&r, buf_cstr(&expanded));
	if (cfg != NULL) {
		rc = take_all(&r, cfg, out);
		cfg_free(cfg);
	}
	if (rc == -1)
		conf_free(schema, out);
	conf_scan_fini(&r.scan);
	buf_fini(&expanded);
	return (rc);
}

int
conf_read(const struct conf_schema *schema, const char *path, void *out,
    char *error, size_t cap)
{
	struct buf text = {0};
	int rc = -1;
	FILE *f;

	if ((f = fopen(path, "re")) == NULL) {
		snprintf(error, cap, "%s: %s", path, strerror(errno));
		return (-1);
	}
	buf_commit(&text, fread(buf_reserve(&text, CONF_FILE_MAX + 1), 1,
			      CONF_FILE_MAX + 1, f));
	if (ferror(f))
		snprintf(error, cap, "%s: cannot be read", path);
	else if (buf_len(&text) > CONF_FILE_MAX)
		snprintf(error, cap, "%s: larger than a megabyte", path);
	else
		rc = conf_parse(schema, path, buf_span(&text), out, error, cap);
	fclose(f);
	buf_fini(&text);
	return (rc);
}

static void
free_titled(const struct conf_section *s, void *out)
{
	char **array = (char **)(void *)((char *)out + s->array_offset);
	size_t *count = (size_t *)(void *)((char *)out + s->count_offset);
	size_t i, k;

	for (i = 0; i < *count; i++) {
		char *e = *array + i * s->size;

		for (k = 0; k < s->noptions; k++)
			conf_value_clear(&s->options[k], e);
		free(*(char **)(void *)(e + s->title_offset));
	}
	free(*array);
	*array = NULL;
	*count = 0;
}

void
conf_free(const struct conf_schema *schema, void *out)
{
	size_t i, k;

	for (i = 0; i < schema->noptions; i++)
		conf_value_clear(&schema->options[i], out);
	for (i = 0; i < schema->nsections; i++) {
		const struct conf_section *s = &schema->sections[i];

		if (s->titled)
			free_titled(s, out);
		if (s->titled)
			continue;
		for (k = 0; k < s->noptions; k++)
			conf_value_clear(&s->options[k], out);
	}
}

/*
 * What happens to a configuration before libconfuse sees it: variables are
 * put in, quoted, and what libconfuse would take too lightly is refused.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_scan.h"

struct expander {
	const char *name;
	struct span in;
	size_t at;
	unsigned line;
	struct conf_scan *scan;
	struct buf *out;
	char *error;
	size_t cap;
};

static int __attribute__((format(printf, 2, 3)))
refuse(struct expander *x, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(x->error, x->cap, "%s:%u: ", x->name, x->line);

	if (n < 0 || (size_t)n >= x->cap)
		return (-1);
	va_start(ap, fmt);
	vsnprintf(x->error + n, x->cap - (size_t)n, fmt, ap);
	va_end(ap);
	return (-1);
}

static char
peek(const struct expander *x, size_t ahead)
{
	return (x->at + ahead < x->in.n ? x->in.p[x->at + ahead] : '\0');
}

static void
copy(struct expander *x, size_t n)
{
	for (; n > 0; n--, x->at++) {
		if (x->in.p[x->at] == '\n')
			x->line++;
		buf_add(x->out, &x->in.p[x->at], 1);
	}
}

/* As it must stand between double quotes. */
static void
add_quoted(struct expander *x, struct span value)
{
	size_t i;

	for (i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (c == '\n') {
			buf_addstr(x->out, "\\n");
			continue;
		}
		/* $ so that a value is not taken for a variable again */
		if (c == '"' || c == '\\' || c == '$')
			buf_addstr(x->out, "\\");
		buf_add(x->out, &c, 1);
	}
}

static bool
is_name(struct span s)
{
	size_t i;

	if (s.n == 0 || s.n > 127 || (s.p[0] >= '0' && s.p[0] <= '9'))
		return (false);
	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!(c == '_' || (c >= '0' && c <= '9') ||
			(c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
			return (false);
	}
	return (true);
}

/* At "${": adds the variable's value, quoted. */
static int
variable(struct expander *x)
{
	const char *begin = x->in.p + x->at + 2, *end, *def, *value;
	struct span name;
	char text[128];

	end = memchr(begin, '}', x->in.n - x->at - 2);
	if (end == NULL || memchr(begin, '\n', (size_t)(end - begin)) != NULL)
		return (refuse(x, "\"${\" without \"}\""));
	name = span_of(begin, (size_t)(end - begin));
	def = memmem(name.p, name.n, ":-", 2);
	if (def != NULL)
		name.n = (size_t)(def - begin);
	if (!is_name(name))
		return (refuse(x, "bad name in \"${...}\""));
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	value = getenv(text);
	if (value != NULL && (value[0] != '\0' || def == NULL))
		add_quoted(x, span_str(value));
	else if (def != NULL)
		add_quoted(x, span_of(def + 2, (size_t)(end - def - 2)));
	else
		return (refuse(x,
		    "variable %s is not set (${%s:-...} gives a default)", text,
		    text));
	x->at = (size_t)(end - x->in.p) + 1;
	return (0);
}

/* Escapes that a reader of the file can tell the meaning of. */
static int
escape(struct expander *x)
{
	char c = peek(x, 1);

	if (c == '\0' || strchr("\\\"'nrt$", c) == NULL)
		return (refuse(x, "unknown escape in a string"));
	copy(x, 2);
	return (0);
}

static int
double_quoted(struct expander *x)
{
	copy(x, 1);
	while (x->at < x->in.n) {
		char c = peek(x, 0);

		if (c == '"') {
			copy(x, 1);
			return (0);
		}
		if (c == '\n')
			break;
		if (c == '\\') {
			if (escape(x) == -1)
				return (-1);
		} else if (c == '$' && peek(x, 1) == '{') {
			if (variable(x) == -1)
				return (-1);
		} else {
			copy(x, 1);
		}
	}
	return (refuse(x, "string without an end"));
}

static int
single_quoted(struct expander *x)
{
	size_t n = 1;

	while (peek(x, n) != '\'') {
		if (peek(x, n) == '\0' || peek(x, n) == '\n')
			return (refuse(x, "string without an end"));
		n++;
	}
	copy(x, n + 1);
	return (0);
}

/* Not copied: libconfuse has nothing to do with comments. */
static void
comment(struct expander *x)
{
	while (x->at < x->in.n && peek(x, 0) != '\n')
		x->at++;
}

static int
token(struct expander *x, enum conf_token t, size_t n)
{
	const char *why =
	    conf_scan_token(x->scan, t, span_of(x->in.p + x->at, n), x->line);

	if (why != NULL)
		return (refuse(x, "%s", why));
	copy(x, n);
	return (0);
}

/* A string, or a variable that stands for one. */
static int
string(struct expander *x)
{
	const char *why =
	    conf_scan_token(x->scan, CONF_T_STRING, SPAN(""), x->line);
	int r;

	if (why != NULL)
		return (refuse(x, "%s", why));
	if (peek(x, 0) == '"')
		return (double_quoted(x));
	if (peek(x, 0) == '\'')
		return (single_quoted(x));
	if (peek(x, 1) != '{')
		return (refuse(x, "\"$\" outside of quotes"));
	buf_addstr(x->out, "\"");
	r = variable(x);
	buf_addstr(x->out, "\"");
	return (r);
}

static int
word(struct expander *x)
{
	const char *p = x->in.p + x->at;
	size_t n = 0;

	while (
	    x->at + n < x->in.n && strchr(" \t\r\n={},#\"'$\\()", p[n]) == NULL)
		n++;
	if (n == 0)
		return (refuse(x, "unexpected character"));
	if (n >= 1 && p[n - 1] == '+' && peek(x, n) == '=')
		return (refuse(x, "\"+=\" is not taken: a key is given once"));
	if (p[0] == '/' && (peek(x, 1) == '*' || peek(x, 1) == '/'))
		return (refuse(x, "comments begin with \"#\""));
	return (token(x, CONF_T_WORD, n));
}

static int
step(struct expander *x)
{
	switch (peek(x, 0)) {
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		copy(x, 1);
		return (0);
	case '#':
		comment(x);
		return (0);
	case '"':
	case '\'':
	case '$':
		return (string(x));
	case '=':
		return (token(x, CONF_T_EQUALS, 1));
	case '{':
		return (token(x, CONF_T_OPEN, 1));
	case '}':
		return (token(x, CONF_T_CLOSE, 1));
	case ',':
		return (token(x, CONF_T_COMMA, 1));
	default:
		return (word(x));
	}
}

int
conf_expand(const char *name, struct span text, struct conf_scan *scan,
    struct buf *out, char *error, size_t cap)
{
	struct expander x = {.name = name,
	    .in = text,
	    .line = 1,
	    .scan = scan,
	    .out = out,
	    .error = error,
	    .cap = cap};
	int r = 0;

	if (memchr(text.p, '\0', text.n) != NULL)
		return (refuse(&x, "a zero byte in the file"));
	while (r == 0 && x.at < text.n)
		r = step(&x);
	return (r == 0 ? token(&x, CONF_T_END, 0) : -1);
}

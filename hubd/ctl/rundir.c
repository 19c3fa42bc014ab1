/* Finds run_dir in a hubd.conf, reading nothing else of it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/ctl/ctl.h"

static const char *
skip_line(const char *s)
{
	return (s + strcspn(s, "\n"));
}

static const char *
skip_block_comment(const char *s)
{
	const char *end = strstr(s + 2, "*/");

	return (end == NULL ? s + strlen(s) : end + 2);
}

/* s is at the opening quote; returns what is behind the closing one. */
static const char *
skip_quoted(const char *s)
{
	char quote = *s++;

	while (*s != '\0' && *s != quote)
		s += s[0] == '\\' && s[1] != '\0' ? 2 : 1;
	return (*s == '\0' ? s : s + 1);
}

static const char *
skip_blank(const char *s)
{
	for (;;) {
		s += strspn(s, " \t\r\n");
		if (*s == '#' || (s[0] == '/' && s[1] == '/'))
			s = skip_line(s);
		else if (s[0] == '/' && s[1] == '*')
			s = skip_block_comment(s);
		else
			return (s);
	}
}

struct unset {
	char *name; /* of a variable that is not set and has no default */
	size_t cap;
};

/* ${NAME} or ${NAME:-default} at *s, which moves behind it. */
static void
expand(struct buf *out, const char **s, const struct unset *unset)
{
	const char *end = strchr(*s, '}'), *fallback, *value;
	char *name;

	if (end == NULL) {
		buf_addstr(out, *s);
		*s += strlen(*s);
		return;
	}
	name = xmemdup0(*s + 2, (size_t)(end - *s - 2));
	if ((fallback = strstr(name, ":-")) != NULL) {
		name[fallback - name] = '\0';
		fallback += 2;
	}
	if ((value = getenv(name)) == NULL || *value == '\0')
		value = fallback;
	if (value == NULL)
		snprintf(unset->name, unset->cap, "%s", name);
	else
		buf_addstr(out, value);
	free(name);
	*s = end + 1;
}

static char *
string_value(const char *s, const struct unset *unset)
{
	const char *end = skip_quoted(s);
	struct buf out = {0};
	char *text;

	for (s++; s + 1 < end;) {
		if (s[0] == '$' && s[1] == '{') {
			expand(&out, &s, unset);
			continue;
		}
		if (s[0] == '\\' && s + 2 < end)
			s++;
		buf_add(&out, s++, 1);
	}
	text = xmemdup0(buf_ptr(&out), buf_len(&out));
	buf_fini(&out);
	return (text);
}

/* Behind a bare word at the top level: the value, if the word is ours. */
static const char *
value_of(const char *word, size_t n, const char *behind)
{
	if (n != strlen("run_dir") || memcmp(word, "run_dir", n) != 0)
		return (NULL);
	behind = skip_blank(behind);
	if (*behind++ != '=')
		return (NULL);
	behind = skip_blank(behind);
	return (*behind == '"' || *behind == '\'' ? behind : NULL);
}

char *
ctl_find_run_dir(const char *s, char *unset, size_t cap)
{
	const struct unset missing = {unset, cap};
	const char *value;
	int depth = 0;
	size_t n;

	unset[0] = '\0';
	for (s = skip_blank(s); *s != '\0'; s = skip_blank(s)) {
		n = 0;
		while (isalnum((unsigned char)s[n]) || s[n] == '_')
			n++;
		if (depth == 0 && n > 0 &&
		    (value = value_of(s, n, s + n)) != NULL)
			return (string_value(value, &missing));
		if (n > 0) {
			s += n;
			continue;
		}
		depth += *s == '{' ? 1 : *s == '}' ? -1 : 0;
		s = *s == '"' || *s == '\'' ? skip_quoted(s) : s + 1;
	}
	return (NULL);
}

/* The command line against the table of commands. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hubd/ctl/ctl.h"
#include "hubd/ctl/when.h"

#define COUNT_MAX (UINT64_C(1) << 53) /* what JSON carries unharmed */

struct parser {
	int argc; /* words left */
	char **argv;
	int64_t now_ms;
	const struct ctl_command *command;
	bool given[CTL_ARGS_MAX];
	struct jout out;
	char *error;
	size_t cap;
};

static bool
refuse(struct parser *p, const char *what, const char *which)
{
	snprintf(p->error, p->cap, "%s: %s\nusage: hubctl %s", which, what,
	    p->command->usage);
	return (false);
}

/* ---- which command ------------------------------------------------------ */

/* The k-th word of a command and its length; NULL if it has fewer. */
static const char *
word_of(const struct ctl_command *c, int k, size_t *n)
{
	const char *s = c->words;

	*n = 0;
	while (k-- > 0) {
		if ((s = strchr(s, ' ')) == NULL)
			return (NULL);
		s++;
	}
	*n = strcspn(s, " ");
	return (s);
}

enum fit { FIT_NONE, FIT_PREFIX, FIT_EXACT };

static enum fit
fits(const struct ctl_command *c, int k, const char *typed)
{
	size_t n, len = strlen(typed);
	const char *word = word_of(c, k, &n);

	if (word == NULL || len == 0 || len > n ||
	    strncmp(word, typed, len) != 0)
		return (FIT_NONE);
	return (len == n ? FIT_EXACT : FIT_PREFIX);
}

static bool
same_word(const struct ctl_command *a, const struct ctl_command *b, int k)
{
	size_t na, nb;
	const char *wa = word_of(a, k, &na), *wb = word_of(b, k, &nb);

	return (na == nb && memcmp(wa, wb, na) == 0);
}

/*
 * Leaves those candidates in whose k-th word is the one typed. false: none
 * is left, or those of several words that begin like that are.
 */
static bool
narrow(bool in[CTL_COMMANDS], int k, const char *typed)
{
	const struct ctl_command *first = NULL;
	enum fit fit, best = FIT_PREFIX;
	bool several = false;
	size_t i;

	for (i = 0; i < CTL_COMMANDS; i++) {
		if (in[i] && fits(&ctl_commands[i], k, typed) == FIT_EXACT)
			best = FIT_EXACT;
	}
	for (i = 0; i < CTL_COMMANDS; i++) {
		fit = fits(&ctl_commands[i], k, typed);
		in[i] = in[i] && fit == best;
		if (!in[i])
			continue;
		if (first == NULL)
			first = &ctl_commands[i];
		else if (!same_word(first, &ctl_commands[i], k))
			several = true;
	}
	return (first != NULL && !several);
}

static const struct ctl_command *
first_of(const bool in[CTL_COMMANDS])
{
	size_t i;

	for (i = 0; i < CTL_COMMANDS; i++) {
		if (in[i])
			return (&ctl_commands[i]);
	}
	return (NULL);
}

/* The possible continuations, as usage lines. */
static bool
refuse_words(struct parser *p, const bool in[CTL_COMMANDS], const char *what)
{
	size_t i, n;

	n = (size_t)snprintf(p->error, p->cap, "%s", what);
	for (i = 0; i < CTL_COMMANDS && n < p->cap; i++) {
		if (in[i])
			n += (size_t)snprintf(p->error + n, p->cap - n,
			    "\n       hubctl %s", ctl_commands[i].usage);
	}
	return (false);
}

static bool
find_command(struct parser *p)
{
	bool in[CTL_COMMANDS], before[CTL_COMMANDS];
	const char *word;
	size_t n;
	int k;

	memset(in, true, sizeof(in));
	for (k = 0;; k++) {
		p->command = first_of(in);
		word = word_of(p->command, k, &n);
		if (word == NULL)
			break;
		if (k == p->argc)
			return (refuse_words(p, in, "one of these is meant:"));
		memcpy(before, in, sizeof(in));
		if (narrow(in, k, p->argv[k]))
			continue;
		if (first_of(in) != NULL)
			return (refuse_words(p, in, "one of these is meant:"));
		return (refuse_words(p, before, "no such command; there are:"));
	}
	p->argc -= k;
	p->argv += k;
	return (true);
}

/* ---- its arguments ------------------------------------------------------ */

static bool
put_count(struct parser *p, const struct ctl_arg *a, const char *s)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; isdigit((unsigned char)s[i]) && n <= COUNT_MAX; i++)
		n = n * 10 + (uint64_t)(s[i] - '0');
	if (n > COUNT_MAX)
		return (refuse(p, "too large a number", s));
	if (i == 0 || s[i] != '\0')
		return (refuse(p, "not a whole number", s));
	jout_kuint(&p->out, a->name, n);
	return (true);
}

/* The hub checks it exactly; here only what cannot be meant as money. */
static bool
put_money(struct parser *p, const struct ctl_arg *a, const char *s)
{
	bool unlimited =
	    strcmp(a->name, "overdraft") == 0 && strcmp(s, "unlimited") == 0;

	if (!unlimited && (strcspn(s, "0123456789") == strlen(s) ||
			      s[strspn(s, "0123456789.-+eE")] != '\0'))
		return (refuse(p, "not an amount in USD", s));
	jout_kstr(&p->out, a->name, s);
	return (true);
}

static bool
put_time(struct parser *p, const struct ctl_arg *a, const char *s)
{
	bool ahead = a->type == CTL_AHEAD;
	int64_t ms = 0;

	if ((!ahead || strcmp(s, "never") != 0) &&
	    !when_parse(s, p->now_ms, ahead, &ms))
		return (refuse(p,
		    "not a time; try 2026-01-31, 2026-01-31T08:00:00Z or 24h",
		    s));
	jout_kint(&p->out, a->name, ms);
	return (true);
}

static bool
put_length(struct parser *p, const struct ctl_arg *a, const char *s)
{
	int64_t ms;

	if (!when_parse(s, p->now_ms, true, &ms) || ms < p->now_ms)
		return (refuse(p, "not a time to come; try 15m, 24h or 7d", s));
	jout_kint(&p->out, a->name, ms - p->now_ms);
	return (true);
}

/* The hub has another working directory. */
static bool
put_text(struct parser *p, const struct ctl_arg *a, const char *s)
{
	char cwd[PATH_MAX];
	struct buf path = {0};

	if (p->command->id != CTL_CMD_backup || s[0] == '/') {
		jout_kstr(&p->out, a->name, s);
		return (true);
	}
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return (refuse(p, "needs an absolute path here", s));
	buf_addf(&path, "%s/%s", cwd, s);
	jout_kstr(&p->out, a->name, buf_cstr(&path));
	buf_fini(&path);
	return (true);
}

static bool
put_word(struct parser *p, const struct ctl_arg *a, const char *s)
{
	size_t n = strlen(s), len;
	const char *word = a->words;

	for (;;) {
		len = strcspn(word, "|");
		if (len == n && memcmp(word, s, n) == 0) {
			jout_kstr(&p->out, a->name, s);
			return (true);
		}
		if (word[len] == '\0')
			break;
		word += len + 1;
	}
	return (refuse(p, "not one of the words that can stand here", s));
}

static bool
put_value(struct parser *p, const struct ctl_arg *a, const char *s)
{
	switch (a->type) {
	case CTL_TEXT:
		return (put_text(p, a, s));
	case CTL_MONEY:
		return (put_money(p, a, s));
	case CTL_COUNT:
		return (put_count(p, a, s));
	case CTL_TIME:
	case CTL_AHEAD:
		return (put_time(p, a, s));
	case CTL_SPAN:
		return (put_length(p, a, s));
	case CTL_WORD:
		return (put_word(p, a, s));
	case CTL_FLAG:
		jout_kbool(&p->out, a->name, true);
		return (true);
	}
	return (false);
}

static bool
is_positional(const struct ctl_arg *a)
{
	return (a->place == CTL_POSITION || a->place == CTL_MAYBE);
}

static int
keyword_index(const struct ctl_command *c, const char *typed)
{
	int i;

	for (i = 0; i < CTL_ARGS_MAX && c->args[i].keyword != NULL; i++) {
		if (!is_positional(&c->args[i]) &&
		    strcmp(c->args[i].keyword, typed) == 0)
			return (i);
	}
	return (-1);
}

/* The words that stand by their place, which come first. */
static bool
take_positions(struct parser *p)
{
	const struct ctl_arg *a = p->command->args;
	int i;

	for (i = 0; i < CTL_ARGS_MAX && a[i].keyword != NULL; i++) {
		if (!is_positional(&a[i]))
			continue;
		if (p->argc == 0 && a[i].place == CTL_MAYBE)
			continue;
		if (p->argc == 0)
			return (refuse(p, "missing", a[i].keyword));
		if (!put_value(p, &a[i], p->argv[0]))
			return (false);
		p->given[i] = true;
		p->argc--;
		p->argv++;
	}
	return (true);
}

static bool
take_keyword(struct parser *p)
{
	const char *word = p->argv[0];
	int i = keyword_index(p->command, word);
	const struct ctl_arg *a;

	if (i == -1)
		return (refuse(p, "not expected here", word));
	if (p->given[i])
		return (refuse(p, "given twice", word));
	a = &p->command->args[i];
	if (a->type != CTL_FLAG && p->argc < 2)
		return (refuse(p, "needs a value", word));
	if (!put_value(p, a, a->type == CTL_FLAG ? word : p->argv[1]))
		return (false);
	p->given[i] = true;
	p->argc -= a->type == CTL_FLAG ? 1 : 2;
	p->argv += a->type == CTL_FLAG ? 1 : 2;
	return (true);
}

static bool
take_arguments(struct parser *p)
{
	const struct ctl_arg *a = p->command->args;
	int i;

	if (!take_positions(p))
		return (false);
	while (p->argc > 0) {
		if (!take_keyword(p))
			return (false);
	}
	for (i = 0; i < CTL_ARGS_MAX && a[i].keyword != NULL; i++) {
		if (a[i].place == CTL_NEEDED && !p->given[i])
			return (refuse(p, "missing", a[i].keyword));
	}
	return (true);
}

bool
ctl_parse(int argc, char **argv, int64_t now_ms, struct ctl_request *request,
    char *error, size_t cap)
{
	struct parser p = {.argc = argc,
	    .argv = argv,
	    .now_ms = now_ms,
	    .error = error,
	    .cap = cap};
	bool ok;

	buf_init(&request->args);
	jout_init(&p.out, &request->args);
	jout_begin_object(&p.out);
	ok = find_command(&p) && take_arguments(&p);
	jout_end_object(&p.out);
	request->command = p.command;
	return (ok);
}

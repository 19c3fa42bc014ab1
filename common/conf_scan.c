/* The order of tokens in a configuration, and where its keys stand. */
#include "common/conf_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

const struct conf_place *
conf_scan_find(const struct conf_scan *s, const char *section, unsigned nth,
    const char *key)
{
	size_t i;

	for (i = 0; i < s->nplaces; i++) {
		const struct conf_place *p = &s->places[i];

		if (p->nth == nth && strcmp(p->section, section) == 0 &&
		    strcmp(p->key, key) == 0)
			return (p);
	}
	return (NULL);
}

static void
note(struct conf_scan *s, const char *section, unsigned nth, const char *key)
{
	s->places =
	    xrealloc(s->places, (s->nplaces + 1) * sizeof(s->places[0]));
	s->places[s->nplaces++] = (struct conf_place){
	    xstrdup(section), nth, xstrdup(key), s->word_line};
}

static const char *
given_before(const char *word, unsigned line)
{
	static char why[128];

	snprintf(
	    why, sizeof(why), "%.80s was given before, in line %u", word, line);
	return (why);
}

static const char *
key_is_whole(struct conf_scan *s)
{
	const char *section = s->section != NULL ? s->section : "";
	const struct conf_place *before =
	    conf_scan_find(s, section, s->nth, s->word);

	if (before != NULL)
		return (given_before(s->word, before->line));
	note(s, section, s->nth, s->word);
	s->state = CONF_S_VALUE;
	return (NULL);
}

static const char *
section_begins(struct conf_scan *s, bool titled)
{
	const struct conf_place *before;
	unsigned nth = 0;

	if (s->section != NULL)
		return ("a section within a section");
	while ((before = conf_scan_find(s, s->word, nth, "")) != NULL) {
		if (!titled)
			return (given_before(s->word, before->line));
		nth++;
	}
	note(s, s->word, nth, "");
	s->section = s->word;
	s->word = NULL;
	s->nth = nth;
	s->state = CONF_S_KEY;
	return (NULL);
}

static const char *
at_key(struct conf_scan *s, enum conf_token t, struct span word, unsigned line)
{
	if (t == CONF_T_WORD) {
		free(s->word);
		s->word = xmemdup0(word.p, word.n);
		s->word_line = line;
		s->state = CONF_S_AFTER;
		return (NULL);
	}
	if (t == CONF_T_CLOSE && s->section != NULL) {
		free(s->section);
		s->section = NULL;
		s->nth = 0;
		return (NULL);
	}
	if (t == CONF_T_END)
		return (s->section == NULL ? NULL : "a section without \"}\"");
	return ("a key was expected");
}

static const char *
in_list(struct conf_scan *s, enum conf_token t)
{
	if (t == CONF_T_CLOSE) {
		s->state = CONF_S_KEY;
		return (NULL);
	}
	if (t == CONF_T_WORD || t == CONF_T_STRING || t == CONF_T_COMMA)
		return (NULL);
	return ("a list without \"}\"");
}

const char *
conf_scan_token(
    struct conf_scan *s, enum conf_token t, struct span word, unsigned line)
{
	switch (s->state) {
	case CONF_S_KEY:
		return (at_key(s, t, word, line));
	case CONF_S_AFTER:
		if (t == CONF_T_EQUALS)
			return (key_is_whole(s));
		if (t == CONF_T_OPEN)
			return (section_begins(s, false));
		if (t != CONF_T_WORD && t != CONF_T_STRING)
			return ("\"=\" was expected");
		s->state = CONF_S_TITLED;
		return (NULL);
	case CONF_S_TITLED:
		if (t == CONF_T_OPEN)
			return (section_begins(s, true));
		return ("\"=\" or \"{\" was expected");
	case CONF_S_VALUE:
		if (t != CONF_T_WORD && t != CONF_T_STRING && t != CONF_T_OPEN)
			return ("a value was expected");
		s->state = t == CONF_T_OPEN ? CONF_S_LIST : CONF_S_KEY;
		return (NULL);
	case CONF_S_LIST:
		return (in_list(s, t));
	}
	return ("bad state");
}

void
conf_scan_fini(struct conf_scan *s)
{
	size_t i;

	for (i = 0; i < s->nplaces; i++) {
		free(s->places[i].section);
		free(s->places[i].key);
	}
	free(s->places);
	free(s->word);
	free(s->section);
	memset(s, 0, sizeof(*s));
}

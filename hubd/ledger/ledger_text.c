/* How stores write what is no text of its own. */
#include "hubd/ledger/ledger_text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/digits.h"
#include "common/json.h"

bool
usage_write(const struct usage *u, char out[USAGE_TEXT_MAX])
{
	const char *kind;
	size_t at = 0, n;
	unsigned i;

	for (i = 0; i < USAGE_KINDS; i++) {
		if (u->n[i] == 0)
			continue;
		if (u->n[i] > INT64_MAX)
			return (false);
		kind = usage_kind_str(i);
		n = strlen(kind);
		assert(at + n + DIGITS_MAX + 6 < USAGE_TEXT_MAX);
		out[at] = at == 0 ? '{' : ',';
		at++;
		out[at++] = '"';
		memcpy(out + at, kind, n);
		at += n;
		out[at++] = '"';
		out[at++] = ':';
		at += digits_put(out + at, u->n[i]);
	}
	if (at == 0)
		out[at++] = '{';
	out[at++] = '}';
	out[at] = '\0';
	return (true);
}

void
usage_read(const char *text, struct usage *u)
{
	struct json *j = json_parse(span_str(text), NULL, 0);
	int64_t n;
	unsigned i;

	for (i = 0; i < USAGE_KINDS; i++) {
		n = json_get_int(j, usage_kind_str(i), 0);
		u->n[i] = n > 0 ? (uint64_t)n : 0;
	}
	json_free(j);
}

static const char *const how_texts[] = {
    [SUSPENSE_WAITS] = "",
    [SUSPENSE_RETRIED] = "retried",
    [SUSPENSE_DROPPED] = "dropped",
};

const char *
suspense_how_str(enum suspense_how how)
{
	return (how_texts[how]);
}

enum suspense_how
suspense_how_parse(const char *text)
{
	if (strcmp(text, how_texts[SUSPENSE_RETRIED]) == 0)
		return (SUSPENSE_RETRIED);
	if (strcmp(text, how_texts[SUSPENSE_DROPPED]) == 0)
		return (SUSPENSE_DROPPED);
	return (SUSPENSE_WAITS);
}

int
overdraft_write(const char *in, char out[AMOUNT_TEXT_MAX])
{
	amount_t *a;
	int rc = -1;

	if (strcmp(in, "unlimited") == 0) {
		snprintf(out, AMOUNT_TEXT_MAX, "%s", in);
		return (0);
	}
	a = amount_new();
	if (amount_parse(a, in, strlen(in)) == 0 && amount_sign(a) >= 0)
		rc = amount_format(a, out);
	amount_free(a);
	return (rc);
}

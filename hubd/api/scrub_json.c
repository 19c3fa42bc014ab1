/* Members of a provider's errors on their way to the user. */
#include <string.h>

#include "hubd/api/dialect.h"

#define BODY_MAX   65536
#define WORD_MAX   128
#define NUMBER_MAX 6 /* digits: no account has so few */

struct json *
scrub_parse(struct span body)
{
	return (body.n <= BODY_MAX ? json_parse(body, NULL, 0) : NULL);
}

const struct json *
scrub_error_of(const struct json *doc)
{
	const struct json *error;

	if (doc != NULL && doc->type == JSON_ARRAY)
		doc = doc->first;
	error = json_get(doc, "error");
	return (json_get_str(error, "message") != NULL ? error : NULL);
}

void
scrub_message(struct jout *o, const struct json *obj, const char *name)
{
	const char *text = json_get_str(obj, name);
	struct buf clean = {0};

	jout_key(o, name);
	if (text == NULL) {
		jout_null(o);
		return;
	}
	scrub_text(&clean, span_str(text));
	jout_span(o, buf_span(&clean));
	buf_fini(&clean);
}

void
scrub_word(struct jout *o, const struct json *obj, const char *name)
{
	const struct json *j = json_get(obj, name);
	struct buf clean = {0};

	jout_key(o, name);
	if (j != NULL && j->type == JSON_NUMBER &&
	    strlen(j->text) <= NUMBER_MAX) {
		jout_raw(o, j->text);
		return;
	}
	if (j == NULL || j->type != JSON_STRING || strlen(j->text) > WORD_MAX) {
		jout_null(o);
		return;
	}
	scrub_text(&clean, span_str(j->text));
	jout_str(o, strcmp(buf_cstr(&clean), j->text) == 0 ? j->text : NULL);
	buf_fini(&clean);
}

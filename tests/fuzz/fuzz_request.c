/*
 * Requests: a target and a body in any dialect. What is found in a path is a
 * name that can do no harm, and what is put into a body leaves it JSON, with
 * the name in its place.
 */
#include <string.h>

#include "common/jscan.h"
#include "hubd/api/api.h"
#include "tests/fuzz/fuzz.h"

static const char *const fields[] = {NULL, "x-api-key", "api-key",
    "x-goog-api-key", "anthropic-version", "authorization"};

/* The next line of the input. */
static struct span
take_line(struct span *in)
{
	const char *end = in->n > 0 ? memchr(in->p, '\n', in->n) : NULL;
	struct span line = *in;

	if (end == NULL) {
		*in = span_of(in->p, 0);
		return (line);
	}
	line.n = (size_t)(end - in->p);
	*in = span_of(end + 1, in->n - line.n - 1);
	return (line);
}

static void
check_name(const char *name)
{
	for (; *name != '\0'; name++)
		MUST((unsigned char)*name >= 0x20 && *name != 0x7f &&
		     *name != '\\');
}

static bool
is_json(struct span body)
{
	struct jscan s;

	jscan_init(&s, NULL, NULL);
	jscan_feed(&s, body);
	return (jscan_finish(&s) == JSCAN_DONE);
}

static void
check_body(const struct api_target *t, struct span body)
{
	struct api_request r, again;
	struct buf b = {0};
	const char *why;

	if (api_inspect(t, body, &r, &why) != API_OK) {
		MUST(why != NULL);
		return;
	}
	MUST(is_json(body) && r.model[0] != '\0');
	buf_addspan(&b, body);
	api_prepare(&r, &b, SPAN("other-\"model\""),
	    r.stream && !r.no_ask && meter_asks_usage(t->endpoint));
	MUST(is_json(buf_span(&b)));
	MUST(api_inspect(t, buf_span(&b), &again, &why) == API_OK);
	if (!r.named)
		MUST(strcmp(again.model, "other-\"model\"") == 0);
	MUST(again.stream == r.stream && again.max_output == r.max_output);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http1_head h = {.method = SPAN("POST")};
	struct api_target t;
	struct span in, key;
	const char *field;

	if (size < 1)
		return (0);
	in = span_of((const char *)data + 1, size - 1);
	h.path = take_line(&in);
	h.query = take_line(&in);
	field = fields[data[0] % (sizeof(fields) / sizeof(fields[0]))];
	if (field != NULL) {
		h.fields[0].name = span_str(field);
		h.fields[0].value = SPAN("Bearer k");
		h.nfields = 1;
	}
	api_target(&h, data[0] & 0x80, &t);
	MUST(t.dialect < DIALECT_COUNT &&
	     (t.error == API_OK) == (t.endpoint != NULL && t.why == NULL));
	key = api_key_of(&t, &h);
	MUST(key.n == 0 || key.p != NULL);
	check_name(t.model);
	check_name(t.object);
	check_name(t.key);
	if (t.error == API_OK && !t.endpoint->local && !t.endpoint->form &&
	    !t.endpoint->bodiless && t.endpoint->use == USE_NONE)
		check_body(&t, in);
	return (0);
}

/*
 * Errors in the middle of answers on their way to the user: documents and
 * events keep every byte that tells nothing of the inside.
 */
#include <string.h>

#include "common/jscan.h"
#include "hubd/api/dialect.h"

#define REMOVED "[removed]"

/* Members, of an answer that failed, with what is the user's own or was
 * written by the model. */
static const char *const kept[] = {"candidates", "choices", "completed_at",
    "content", "conversation", "created", "created_at", "data", "delta", "id",
    "input", "instructions", "metadata", "model", "modelVersion", "object",
    "output", "output_text", "previous_response_id", "prompt",
    "prompt_cache_key", "reasoning", "responseId", "safety_identifier",
    "sequence_number", "system_fingerprint", "text", "tools", "usage",
    "usageMetadata", "user"};

struct scrubbing {
	struct buf *out;
	struct span doc;
	size_t put;	     /* bytes of doc that are put out or replaced */
	unsigned answer;     /* depth of the answer's own members */
	unsigned kept_depth; /* of the member that stays whole; 0: none */
	bool is_type;	     /* the member under way says what a detail is */
	bool is_response;    /* ... is the answer, in an event */
};

static void
replace(struct scrubbing *s, size_t begin, size_t end, struct span with)
{
	buf_add(s->out, s->doc.p + s->put, begin - s->put);
	buf_addspan(s->out, with);
	s->put = end;
}

/* One past the quote that ends the string at begin. */
static size_t
string_end(struct span doc, size_t begin)
{
	size_t i;

	for (i = begin + 1; i < doc.n && doc.p[i] != '"'; i++)
		i += doc.p[i] == '\\';
	return (i < doc.n ? i + 1 : doc.n);
}

static void
scrub_string(struct scrubbing *s, size_t begin, size_t end)
{
	struct json *text =
	    json_parse(span_of(s->doc.p + begin, end - begin), NULL, 0);
	struct buf clean = {0}, quoted = {0};
	struct jout o;

	/* What cannot be read is not trusted. */
	if (text == NULL)
		buf_addstr(&clean, REMOVED);
	else
		scrub_text(&clean, span_str(text->text));
	if (text == NULL || strcmp(buf_cstr(&clean), text->text) != 0) {
		jout_init(&o, &quoted);
		jout_span(&o, buf_span(&clean));
		replace(s, begin, end, buf_span(&quoted));
	}
	json_free(text);
	buf_fini(&quoted);
	buf_fini(&clean);
}

static void
scrub_number(struct scrubbing *s, size_t begin, size_t end)
{
	struct span number = span_of(s->doc.p + begin, end - begin);
	struct buf clean = {0};

	scrub_text(&clean, number);
	if (!span_eq(buf_span(&clean), number))
		replace(s, begin, end, SPAN("null"));
	buf_fini(&clean);
}

static bool
is_kept(struct span key)
{
	size_t i;

	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (span_eq(key, span_str(kept[i])))
			return (true);
	}
	return (false);
}

static bool
on_key(struct jscan *j, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	struct scrubbing *s = arg;

	(void)j, (void)escaped;
	if (s->kept_depth != 0 && depth > s->kept_depth)
		return (true);
	if (depth < s->answer)
		s->answer = depth;
	s->kept_depth = 0;
	s->is_type = span_eq(key, SPAN("@type"));
	s->is_response = depth == 1 && span_eq(key, SPAN("response"));
	if (depth == s->answer && !cut && is_kept(key))
		s->kept_depth = depth;
	else
		scrub_string(
		    s, (size_t)begin, string_end(s->doc, (size_t)begin));
	return (true);
}

static bool
on_value(
    struct jscan *j, void *arg, unsigned depth, const struct jscan_value *v)
{
	struct scrubbing *s = arg;

	(void)j;
	if (s->kept_depth != 0)
		return (true);
	if (v->type == JSCAN_OBJECT && s->is_response && depth == 1)
		s->answer = 2;
	if (v->type == JSCAN_STRING && s->is_type && !v->cut &&
	    span_starts(v->text, SPAN("type.googleapis.com/google.rpc.")))
		return (true);
	if (v->type == JSCAN_STRING)
		scrub_string(s, (size_t)v->begin, (size_t)v->end);
	else if (v->type == JSCAN_NUMBER)
		scrub_number(s, (size_t)v->begin, (size_t)v->end);
	return (true);
}

/* Behind the last element of a list that is kept, too. */
static bool
on_close(struct jscan *j, void *arg, unsigned depth, uint64_t offset)
{
	struct scrubbing *s = arg;

	(void)j, (void)offset;
	if (depth < s->kept_depth)
		s->kept_depth = 0;
	return (true);
}

static const struct jscan_handler scrubber = {
    .on_key = on_key, .on_value = on_value, .on_close = on_close};

bool
scrub_document(struct buf *out, struct span doc)
{
	struct scrubbing s = {.out = out, .doc = doc, .answer = 1};
	struct jscan j;

	jscan_init(&j, &scrubber, &s);
	/* scrub_string() sees what is wrong inside of strings. */
	jscan_be_lenient(&j);
	jscan_feed(&j, doc);
	if (jscan_finish(&j) != JSCAN_DONE)
		return (false);
	buf_add(out, doc.p + s.put, doc.n - s.put);
	return (true);
}

/* ---- events ---------------------------------------------------------------
 */

/* The next line of text, which loses it; *end is what ends it. */
static struct span
next_line(struct span *text, struct span *end)
{
	const char *begin = text->p;
	size_t n = 0, skip;

	while (n < text->n && text->p[n] != '\n' && text->p[n] != '\r')
		n++;
	skip = n < text->n;
	if (skip == 1 && text->p[n] == '\r' && n + 1 < text->n &&
	    text->p[n + 1] == '\n')
		skip = 2;
	*end = span_of(text->p + n, skip);
	*text = span_of(text->p + n + skip, text->n - n - skip);
	return (span_of(begin, n));
}

static bool
is_data(struct span line)
{
	return (span_starts(line, SPAN("data:")));
}

/* The event's data, its lines joined as the standard says. */
static void
join_data(struct buf *out, struct span event)
{
	struct span line, end;
	bool more = false;
	size_t skip;

	while (event.n > 0) {
		line = next_line(&event, &end);
		if (!is_data(line))
			continue;
		if (more)
			buf_addstr(out, "\n");
		more = true;
		skip = line.n > 5 && line.p[5] == ' ' ? 6 : 5;
		buf_add(out, line.p + skip, line.n - skip);
	}
}

/* The event with other data, in one line: line ends in JSON are blanks. */
static void
put_event(struct buf *out, struct span event, struct span data)
{
	struct span line, end;
	bool was_put = false;
	size_t i;

	while (event.n > 0) {
		line = next_line(&event, &end);
		if (!is_data(line)) {
			scrub_text(out, line);
			buf_addspan(out, end);
			continue;
		}
		if (was_put)
			continue;
		was_put = true;
		buf_addstr(out, "data: ");
		for (i = 0; i < data.n; i++)
			buf_add(out, data.p[i] == '\n' ? " " : data.p + i, 1);
		buf_addspan(out, end);
	}
}

/* Do lines beside the data need scrubbing? */
static bool
is_clean(struct span event)
{
	struct buf clean = {0};
	struct span line, end;
	bool same = true;

	while (event.n > 0 && same) {
		line = next_line(&event, &end);
		if (is_data(line))
			continue;
		buf_reset(&clean, SIZE_MAX);
		scrub_text(&clean, line);
		same = span_eq(buf_span(&clean), line);
	}
	buf_fini(&clean);
	return (same);
}

bool
scrub_event(struct buf *out, struct span event, uint64_t data_len)
{
	struct buf data = {0}, clean = {0};
	struct span text;
	bool good;

	join_data(&data, event);
	text = buf_span(&data);
	good = text.n == data_len;
	/* Some say it in plain words. */
	if (good && (text.n == 0 || (*text.p != '{' && *text.p != '[')))
		scrub_text(&clean, text);
	else
		good = good && scrub_document(&clean, text);
	if (good && span_eq(buf_span(&clean), text) && is_clean(event))
		buf_addspan(out, event);
	else if (good)
		put_event(out, event, buf_span(&clean));
	buf_fini(&clean);
	buf_fini(&data);
	return (good);
}

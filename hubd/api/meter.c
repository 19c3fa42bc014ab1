/*
 * The meter of one answer: bytes go through to the user while the documents
 * in them are read. What must be hidden is held back event by event.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/sse.h"
#include "hubd/api/amazon.h"
#include "hubd/api/reader.h"

#define DONE_MARK SPAN("[DONE]")

struct meter {
	struct meter_report report;
	struct reader reader;
	struct jscan scan;
	const struct kind *kind;	     /* NULL: none */
	const struct jscan_handler *handler; /* NULL: nothing is read */
	enum meter_frame frame;
	bool hide;
	bool stray; /* a bare document follows the events */
	char last;  /* byte of an array that is not blank */
	struct amazon amazon;

	/* the event under way */
	struct sse sse;
	char head[8]; /* of its data, to know [DONE] */
	uint64_t data_len;
	bool done; /* [DONE] was seen */

	/* hiding */
	struct buf hold; /* its raw bytes so far */
	bool passing;	 /* it is too large to be held: it goes through */
	bool cr, shown;	 /* the last one ended with CR; it was shown */
	struct span in;	 /* bytes under way in meter_feed() */
	size_t taken;
	struct buf *out;
};

static void
start_document(struct meter *m)
{
	jscan_init(&m->scan, m->handler, &m->reader);
	/* Some providers cut an emoji in two; the usage is right anyway. */
	jscan_be_lenient(&m->scan);
	reader_start(&m->reader);
	m->data_len = 0;
}

/* ---- events ------------------------------------------------------------- */

static void
on_data(void *arg, struct span piece)
{
	struct meter *m = arg;
	size_t i;

	for (i = 0; i < piece.n && m->data_len + i < sizeof(m->head); i++)
		m->head[m->data_len + i] = piece.p[i];
	m->data_len += piece.n;
	jscan_feed(&m->scan, piece);
}

static bool
is_done_mark(const struct meter *m)
{
	return (m->data_len == DONE_MARK.n &&
		span_eq(span_of(m->head, DONE_MARK.n), DONE_MARK));
}

/* The extra chunk that only our asking for usage has caused. */
static bool
is_our_chunk(const struct meter *m)
{
	return (m->scan.result == JSCAN_DONE && m->reader.empty_choices &&
		m->reader.has_usage && !m->reader.has_error);
}

/* Takes a document of a stream into the report; it has ended. */
static void
count_document(struct meter *m, bool failed)
{
	reader_end(&m->reader);
	if (m->reader.has_error || failed)
		m->report.failed = true;
	if (m->report.text_bytes > m->reader.text_before)
		m->report.events++;
	m->report.finished = m->done || reader_finished(&m->reader);
}

/* Takes the event under way into the report; its data has ended. */
static void
count_event(struct meter *m, const char *name, bool whole)
{
	if (is_done_mark(m))
		m->done = true;
	else if (m->data_len > 0 && jscan_finish(&m->scan) != JSCAN_DONE &&
		 whole)
		m->report.broken = true;
	count_document(m, strcmp(name, "error") == 0);
}

/* ---- hiding ------------------------------------------------------------- */

/* The length of the line at p without its end; *skip is with it. */
static size_t
line_len(struct span s, size_t *skip)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r')
		n++;
	*skip = n;
	if (n < s.n)
		*skip +=
		    s.p[n] == '\r' && n + 1 < s.n && s.p[n + 1] == '\n' ? 2 : 1;
	return (n);
}

/* The value of the only data line of a raw event; n = 0 if it has not
 * exactly one. */
static struct span
only_data(struct span event)
{
	const struct span field = SPAN("data:");
	struct span found = {NULL, 0}, line;
	size_t skip, lines = 0;

	for (; event.n > 0; event = span_of(event.p + skip, event.n - skip)) {
		line = span_of(event.p, line_len(event, &skip));
		if (!span_starts(line, field))
			continue;
		lines++;
		found = span_of(line.p + field.n, line.n - field.n);
		if (found.n > 0 && *found.p == ' ')
			found = span_of(found.p + 1, found.n - 1);
	}
	return (lines == 1 ? found : span_of(NULL, 0));
}

static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t' || c == '\n' || c == '\r');
}

/* A member with the comma that parts it from its neighbour. */
static struct api_place
with_comma(struct span doc, struct api_place member)
{
	size_t a = member.begin, b = member.end;

	while (a > 0 && is_blank(doc.p[a - 1]))
		a--;
	if (a > 0 && doc.p[a - 1] == ',')
		return ((struct api_place){a - 1, member.end});
	while (b < doc.n && is_blank(doc.p[b]))
		b++;
	if (b == doc.n || doc.p[b] != ',')
		return (member);
	for (b++; b < doc.n && is_blank(doc.p[b]); b++)
		;
	return ((struct api_place){member.begin, b});
}

/* Puts out an event without its "usage":null. */
static void
put_without_null(struct meter *m, struct span event)
{
	struct span doc = only_data(event);
	struct api_place cut;

	if (m->reader.null_usage.end > doc.n) {
		buf_addspan(m->out, event);
		return;
	}
	cut = with_comma(doc, m->reader.null_usage);
	buf_add(m->out, event.p, (size_t)(doc.p - event.p) + cut.begin);
	buf_add(m->out, doc.p + cut.end,
	    (size_t)(event.p + event.n - doc.p) - cut.end);
}

static void
put_event(struct meter *m, struct span event, bool has_data)
{
	m->shown = !(has_data && is_our_chunk(m));
	if (!m->shown)
		return;
	if (has_data && m->scan.result == JSCAN_DONE &&
	    m->reader.null_usage.end != 0)
		put_without_null(m, event);
	else
		buf_addspan(m->out, event);
}

/* Holds back bytes of an event that is not over yet, or lets them go. */
static void
hold_bytes(struct meter *m, struct span bytes)
{
	if (!m->passing && buf_len(&m->hold) + bytes.n > METER_HOLD) {
		buf_addspan(m->out, buf_span(&m->hold));
		buf_reset(&m->hold, METER_HOLD * 2);
		m->passing = true;
	}
	buf_addspan(m->passing ? m->out : &m->hold, bytes);
}

/* The raw bytes of an event up to end are there. */
static void
release_event(struct meter *m, size_t end, bool has_data)
{
	struct span piece;

	assert(end >= m->taken && end <= m->in.n);
	if (end > m->taken && m->in.p[end - 1] == '\r') {
		m->cr = end == m->in.n;
		if (!m->cr && m->in.p[end] == '\n')
			end++;
	}
	piece = span_of(m->in.p + m->taken, end - m->taken);
	m->taken = end;
	if (!m->passing && buf_len(&m->hold) == 0 && piece.n <= METER_HOLD) {
		put_event(m, piece, has_data);
		return;
	}
	hold_bytes(m, piece);
	m->shown = true;
	if (!m->passing)
		put_event(m, buf_span(&m->hold), has_data);
	buf_reset(&m->hold, METER_HOLD * 2);
	m->passing = false;
}

/* The LF of a CRLF that was cut in two belongs to the event before. */
static void
take_late_lf(struct meter *m)
{
	if (m->cr && m->in.n > 0 && m->in.p[0] == '\n') {
		m->taken = 1;
		if (m->shown)
			buf_add(m->out, "\n", 1);
	}
	if (m->in.n > 0)
		m->cr = false;
}

static void
on_event(void *arg, const char *name, bool has_data, size_t end)
{
	struct meter *m = arg;

	count_event(m, name, true);
	if (m->hide)
		release_event(m, end, has_data);
	start_document(m);
}

/* What an API says so is an error, and ends the stream. */
static void
on_stray(void *arg, struct span piece)
{
	struct meter *m = arg;

	if (!m->stray) {
		count_event(m, "", false);
		start_document(m);
	}
	m->stray = true;
	m->data_len += piece.n;
	jscan_feed(&m->scan, piece);
}

static const struct sse_handler events = {
    .on_data = on_data, .on_event = on_event};
static const struct sse_handler events_and_strays = {
    .on_data = on_data, .on_event = on_event, .on_stray = on_stray};

/* ---- arrays ------------------------------------------------------------- */

static void
on_document(void *arg)
{
	count_document(arg, false);
}

static void
feed_array(struct meter *m, struct span bytes)
{
	size_t n = bytes.n;

	while (n > 0 && is_blank(bytes.p[n - 1]))
		n--;
	if (n > 0)
		m->last = bytes.p[n - 1];
	m->data_len += bytes.n;
	jscan_feed(&m->scan, bytes);
}

static void
finish_array(struct meter *m)
{
	if (m->data_len > 0 && jscan_finish(&m->scan) != JSCAN_DONE)
		m->report.broken = true;
	/* It was none, but one document. */
	if (m->scan.result == JSCAN_DONE && m->last == '}')
		count_document(m, false);
}

/* ---- Amazon's streams --------------------------------------------------- */

static void
amazon_begin(void *arg, struct span type, bool failed)
{
	struct meter *m = arg;

	start_document(m);
	reader_type(&m->reader, type);
	m->reader.has_error = failed;
}

static void
amazon_data(void *arg, struct span piece)
{
	struct meter *m = arg;

	m->data_len += piece.n;
	jscan_feed(&m->scan, piece);
}

static void
amazon_end(void *arg)
{
	struct meter *m = arg;

	count_event(m, "", true);
}

static const struct amazon_handler amazon_events = {
    .on_begin = amazon_begin, .on_data = amazon_data, .on_end = amazon_end};

/* ---- the meter ---------------------------------------------------------- */

struct meter *
meter_new(const struct endpoint *ep, enum meter_frame frame, bool hide_usage)
{
	bool stream = frame != FRAME_WHOLE;
	struct meter *m = xcalloc(1, sizeof(*m));

	m->kind = kind_of(ep->meter);
	if (m->kind != NULL && (stream || !m->kind->never_read))
		m->handler = &reader_walk;
	m->frame = frame;
	m->hide = hide_usage && frame == FRAME_EVENTS && m->handler != NULL;
	reader_init(&m->reader, m->kind, stream, &m->report);
	start_document(m);
	sse_init(&m->sse,
	    m->kind != NULL && m->kind->strays ? &events_and_strays : &events,
	    m);
	amazon_init(
	    &m->amazon, &amazon_events, m, m->kind != NULL && m->kind->wrapped);
	if (frame == FRAME_ARRAY) {
		m->reader.on_document = on_document;
		m->reader.arg = m;
		reader_start_array(&m->reader);
	}
	return (m);
}

void
meter_free(struct meter *m)
{
	if (m == NULL)
		return;
	buf_fini(&m->hold);
	amazon_fini(&m->amazon);
	free(m);
}

static void
feed_hidden(struct meter *m, struct span bytes, struct buf *out)
{
	m->in = bytes;
	m->taken = 0;
	m->out = out;
	take_late_lf(m);
	sse_feed(&m->sse, bytes);
	hold_bytes(m, span_of(bytes.p + m->taken, bytes.n - m->taken));
	m->in = span_of(NULL, 0);
	m->out = NULL;
}

void
meter_feed(struct meter *m, struct span bytes, struct buf *out)
{
	if (bytes.n == 0)
		return;
	m->report.bytes += bytes.n;
	if (m->hide) {
		feed_hidden(m, bytes, out);
		return;
	}
	buf_addspan(out, bytes);
	if (m->handler == NULL)
		return;
	switch (m->frame) {
	case FRAME_EVENTS:
		sse_feed(&m->sse, bytes);
		break;
	case FRAME_ARRAY:
		feed_array(m, bytes);
		break;
	case FRAME_AMAZON:
		if (!amazon_feed(&m->amazon, bytes))
			m->report.broken = true;
		break;
	case FRAME_WHOLE:
		m->data_len += bytes.n;
		m->report.finished = jscan_feed(&m->scan, bytes) == JSCAN_DONE;
		break;
	}
}

/* A last event without its empty line counts if it is whole. */
static void
finish_stream(struct meter *m, struct buf *out)
{
	m->out = out;
	count_event(m, m->stray ? "error" : "", false);
	if (m->passing || m->data_len == 0)
		buf_addspan(out, buf_span(&m->hold));
	else if (m->hide)
		put_event(m, buf_span(&m->hold), true);
	buf_fini(&m->hold);
	m->out = NULL;
}

static void
finish_whole(struct meter *m)
{
	m->report.finished = jscan_finish(&m->scan) == JSCAN_DONE;
	if (!m->report.finished && m->kind->any_type) {
		m->report.finished = true;
		m->report.text_bytes = m->report.bytes;
	}
	if (m->kind->at_end)
		reader_end(&m->reader);
	m->report.failed = m->reader.has_error;
	if (!m->report.finished && m->data_len > 0)
		m->report.broken = true;
	if (m->report.text_bytes > 0)
		m->report.events = 1;
}

void
meter_finish(struct meter *m, struct buf *out)
{
	if (m->handler == NULL) {
		m->report.finished = true;
		return;
	}
	switch (m->frame) {
	case FRAME_EVENTS:
		finish_stream(m, out);
		break;
	case FRAME_ARRAY:
		finish_array(m);
		break;
	case FRAME_AMAZON:
		if (!eventstream_at_boundary(&m->amazon.stream))
			m->report.broken = true;
		break;
	case FRAME_WHOLE:
		finish_whole(m);
		break;
	}
}

void
meter_field(struct meter *m, struct span name, struct span value)
{
	static const struct {
		struct span name;
		enum raw_count count;
	} fields[] = {
	    {SPAN("x-amzn-bedrock-input-token-count"), RAW_METRIC_IN},
	    {SPAN("x-amzn-bedrock-output-token-count"), RAW_METRIC_OUT},
	    {SPAN("x-amzn-bedrock-cache-read-input-token-count"),
		RAW_METRIC_READ},
	    {SPAN("x-amzn-bedrock-cache-write-input-token-count"),
		RAW_METRIC_WRITE},
	};

	if (m->kind == NULL || !m->kind->at_end || m->frame != FRAME_WHOLE)
		return;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (span_eq(name, fields[i].name))
			reader_count(&m->reader, fields[i].count, value);
}

enum meter_joint
meter_joint(const struct meter *m)
{
	if (m->frame == FRAME_AMAZON && !m->report.broken &&
	    eventstream_at_boundary(&m->amazon.stream))
		return (JOINT_NEXT);
	if (m->frame != FRAME_ARRAY || m->scan.result != JSCAN_MORE)
		return (JOINT_NONE);
	if (m->data_len == 0)
		return (JOINT_NONE);
	if (m->scan.depth != 1 || m->scan.stack[1] != '[')
		return (JOINT_NONE);
	return (m->last == '}' ? JOINT_NEXT : JOINT_FIRST);
}

const struct meter_report *
meter_get(const struct meter *m)
{
	return (&m->report);
}

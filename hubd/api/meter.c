/*
 * The meter of one answer: bytes go through to the user while the documents
 * in them are read. What is held back of a stream is in meter_hold.c.
 */
#include <stddef.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/api/meter.h"

#define DONE_MARK SPAN("[DONE]")

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

/* Takes a document of a stream into the report; it has ended. */
static void
count_document(struct meter *m)
{
	reader_end(&m->reader);
	if (m->reader.has_error)
		m->report.failed = true;
	if (m->report.text_bytes > m->reader.text_before)
		m->report.events++;
	m->report.finished = m->done || reader_finished(&m->reader);
}

/* Takes the event under way into the report; its data has ended. */
static void
count_event(struct meter *m, bool whole)
{
	if (is_done_mark(m))
		m->done = true;
	else if (m->data_len > 0 && jscan_finish(&m->scan) != JSCAN_DONE &&
		 whole)
		m->report.broken = true;
	count_document(m);
}

/* The LF of a CRLF that was cut in two belongs to the event before. */
static void
take_late_lf(struct meter *m)
{
	if (m->cr && m->in.p[0] == '\n') {
		m->taken = m->put = 1;
		if (m->shown)
			buf_add(m->out, "\n", 1);
	}
	m->cr = false;
}

static void
on_event(void *arg, const char *name, bool has_data, size_t end)
{
	struct meter *m = arg;

	if (strcmp(name, "error") == 0)
		m->reader.has_error = true;
	count_event(m, true);
	m->cr = end == m->in.n && m->in.p[end - 1] == '\r';
	meter_release(m, end, has_data);
	start_document(m);
}

/* What an API says so is an error, and ends the stream. */
static void
on_stray(void *arg, struct span piece)
{
	struct meter *m = arg;

	if (!m->stray) {
		count_event(m, false);
		start_document(m);
		m->reader.has_error = true;
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
on_document(void *arg, uint64_t end)
{
	struct meter *m = arg;

	count_document(m);
	meter_release(m, (size_t)(end - m->origin), true);
}

static bool
in_element(const struct meter *m)
{
	const struct jscan *s = &m->scan;

	if (s->depth == 0)
		return (s->result == JSCAN_DONE && m->last != ']');
	return (s->depth > 1 || s->stack[1] != '[');
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
	m->origin = m->scan.offset;
	jscan_feed(&m->scan, bytes);
	/* What is between elements has nothing to wait for. */
	if (!in_element(m))
		meter_release(m, bytes.n, true);
}

static void
finish_array(struct meter *m)
{
	if (m->data_len > 0 && jscan_finish(&m->scan) != JSCAN_DONE)
		m->report.broken = true;
	/* It was none, but one document. */
	if (m->scan.result == JSCAN_DONE && m->last == '}')
		count_document(m);
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
amazon_end(void *arg, size_t end)
{
	struct meter *m = arg;

	count_event(m, true);
	meter_release(m, end, true);
}

static const struct amazon_handler amazon_events = {
    .on_begin = amazon_begin, .on_data = amazon_data, .on_end = amazon_end};

/* ---- the meter ---------------------------------------------------------- */

static struct pool meters = POOL(sizeof(struct meter), 256);

struct meter *
meter_new(const struct endpoint *ep, enum meter_frame frame, bool hide_usage)
{
	bool stream = frame != FRAME_WHOLE;
	struct meter *m = pool_get(&meters);

	memset(m, 0, offsetof(struct meter, reader));
	m->kind = kind_of(ep->meter);
	if (m->kind != NULL && (stream || !m->kind->never_read))
		m->handler = &reader_walk;
	m->dialect = ep->dialect;
	m->frame = frame;
	m->hide = hide_usage && frame == FRAME_EVENTS && m->handler != NULL;
	reader_init(&m->reader, m->kind, stream, &m->report);
	start_document(m);
	if (frame == FRAME_EVENTS)
		sse_init(&m->sse,
		    m->kind != NULL && m->kind->strays ? &events_and_strays
						       : &events,
		    m);
	if (frame == FRAME_AMAZON)
		amazon_init(&m->amazon, &amazon_events, m,
		    m->kind != NULL && m->kind->wrapped);
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
	if (m->frame == FRAME_AMAZON)
		amazon_fini(&m->amazon);
	pool_put(&meters, m);
}

static void
feed_stream(struct meter *m, struct span bytes, struct buf *out)
{
	m->in = bytes;
	m->put = m->taken = 0;
	m->out = out;
	if (m->frame == FRAME_EVENTS) {
		take_late_lf(m);
		sse_feed(&m->sse, bytes);
	} else if (m->frame == FRAME_ARRAY) {
		feed_array(m, bytes);
	} else if (!amazon_feed(&m->amazon, bytes)) {
		m->report.broken = true;
	}
	meter_hold_rest(m);
	m->in = span_of(NULL, 0);
	m->out = NULL;
}

void
meter_feed(struct meter *m, struct span bytes, struct buf *out)
{
	if (bytes.n == 0)
		return;
	m->report.bytes += bytes.n;
	if (m->handler != NULL && m->frame != FRAME_WHOLE) {
		feed_stream(m, bytes, out);
		return;
	}
	buf_addspan(out, bytes);
	if (m->handler == NULL)
		return;
	m->data_len += bytes.n;
	m->report.finished = jscan_feed(&m->scan, bytes) == JSCAN_DONE;
}

/* A last event without its empty line counts if it is whole. */
static void
finish_events(struct meter *m)
{
	m->reader.has_error |= meter_is_error(m);
	count_event(m, false);
}

/* Takes in what had begun and has not ended. */
static void
finish_stream(struct meter *m, struct buf *out)
{
	bool held = m->flow != FLOW_HELD || buf_len(&m->hold) > 0;

	if (m->frame == FRAME_EVENTS)
		finish_events(m);
	else if (m->frame == FRAME_ARRAY)
		finish_array(m);
	else if (!eventstream_at_boundary(&m->amazon.stream))
		m->report.broken = true;
	if (held && meter_is_error(m))
		m->report.failed = true;
	m->out = out;
	if (held)
		meter_put_held(m, m->data_len > 0);
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
	if (m->frame == FRAME_WHOLE)
		finish_whole(m);
	else
		finish_stream(m, out);
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
			counts_take_field(&m->reader, fields[i].count, value);
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

/*
 * What the meter holds back of a stream: the document under way, until it is
 * whole. It may be one that must be hidden, or an error to be scrubbed.
 */
#include <assert.h>
#include <string.h>

#include "hubd/api/dialect.h"
#include "hubd/api/meter.h"

/* ---- editing ------------------------------------------------------------ */

/* The extra chunk that only our asking for usage has caused. */
static bool
is_our_chunk(const struct meter *m)
{
	return (m->scan.result == JSCAN_DONE && m->reader.empty_choices &&
		m->reader.has_usage && !m->reader.has_error);
}

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

static struct span
from(struct span s, size_t at)
{
	return (span_of(s.p + at, s.n - at));
}

/* Is the document under way an error, by what is known of it? */
bool
meter_is_error(const struct meter *m)
{
	return (
	    m->reader.has_error || m->stray ||
	    (m->frame == FRAME_EVENTS &&
		span_eq(span_of(m->sse.name, m->sse.name_len), SPAN("error"))));
}

/* Behind what parts an element from the one before. */
static size_t
element_at(struct span s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '{')
		n++;
	return (n);
}

/* In the place of an error that nobody can scrub. */
static void
put_ours(struct meter *m, struct span parter)
{
	const struct dialect_ops *ops = dialect_ops(m->dialect);
	enum api_error e = API_ERR_upstream_error;

	m->shown = false;
	if (m->frame == FRAME_AMAZON) {
		api_error_event(
		    m->out, m->dialect, m->frame, JOINT_NEXT, e, NULL);
		return;
	}
	if (m->frame == FRAME_EVENTS && !m->stray) {
		buf_addstr(m->out, m->flow == FLOW_CUT ? "\n\n" : "");
		api_error_event(
		    m->out, m->dialect, m->frame, JOINT_NONE, e, NULL);
		return;
	}
	/* The rest of one that was cut cannot be made good. */
	buf_addspan(m->out, parter);
	if (m->flow != FLOW_CUT)
		ops->error_body(m->out, e, NULL, NULL);
}

static bool
scrub(const struct meter *m, struct buf *out, struct span raw)
{
	size_t n;

	if (m->frame == FRAME_AMAZON)
		return (scrub_amazon(
		    out, raw, m->amazon.wrapped && m->amazon.is_event));
	if (m->frame == FRAME_EVENTS && !m->stray)
		return (scrub_event(out, raw, m->data_len));
	n = element_at(raw);
	buf_add(out, raw.p, n);
	return (scrub_document(out, from(raw, n)));
}

/* Puts out an error; false: it can be put out as it is. */
static bool
put_scrubbed(struct meter *m, struct span raw)
{
	struct buf clean = {0};
	bool same = false;

	if (!scrub(m, &clean, raw))
		put_ours(m, span_of(raw.p, element_at(raw)));
	else if (!(same = span_eq(buf_span(&clean), raw)))
		buf_addspan(m->out, buf_span(&clean));
	buf_fini(&clean);
	return (!same);
}

static void
put_document(struct meter *m, struct span raw, bool has_data)
{
	m->shown = !(m->hide && has_data && is_our_chunk(m));
	if (!m->shown)
		return;
	if (meter_is_error(m) && put_scrubbed(m, raw))
		return;
	if (m->hide && has_data && m->scan.result == JSCAN_DONE &&
	    m->reader.null_usage.end != 0)
		put_without_null(m, raw);
	else
		buf_addspan(m->out, raw);
}

/* ---- holding back ------------------------------------------------------- */

/* Holds back bytes of a document that is not over yet, or lets them go, or
 * drops them. */
static void
hold_bytes(struct meter *m, struct span bytes)
{
	bool fits = buf_len(&m->hold) + bytes.n <= METER_HOLD;

	if (m->flow == FLOW_HELD && !fits) {
		m->flow = meter_is_error(m) ? FLOW_DROPPED : FLOW_PASSING;
		if (m->flow == FLOW_PASSING)
			buf_addspan(m->out, buf_span(&m->hold));
		buf_reset(&m->hold, METER_HOLD * 2);
	} else if (m->flow == FLOW_PASSING && meter_is_error(m)) {
		m->flow = FLOW_CUT;
	}
	if (m->flow == FLOW_HELD)
		buf_addspan(&m->hold, bytes);
	else if (m->flow == FLOW_PASSING)
		buf_addspan(m->out, bytes);
}

/* Puts out the document that has ended, for which bytes were held back. */
void
meter_put_held(struct meter *m, bool has_data)
{
	m->shown = true;
	if (m->flow == FLOW_HELD)
		put_document(m, buf_span(&m->hold), has_data);
	else if (m->flow != FLOW_PASSING)
		put_ours(m, span_of(NULL, 0));
	buf_reset(&m->hold, METER_HOLD * 2);
	m->flow = FLOW_HELD;
}

/* Puts out what is over and was not put out one by one. */
static void
flush(struct meter *m)
{
	buf_add(m->out, m->in.p + m->put, m->taken - m->put);
	m->put = m->taken;
}

/* The raw bytes of a document up to end are there. */
void
meter_release(struct meter *m, size_t end, bool has_data)
{
	struct span piece;
	bool whole;

	assert(end >= m->taken && end <= m->in.n);
	piece = span_of(m->in.p + m->taken, end - m->taken);
	whole = m->flow == FLOW_HELD && buf_len(&m->hold) == 0 &&
		piece.n <= METER_HOLD;
	if (whole && !m->reader.has_error &&
	    !(m->hide && (m->reader.null_usage.end != 0 || is_our_chunk(m)))) {
		m->taken = end;
		m->shown = true;
		return;
	}
	flush(m);
	m->taken = m->put = end;
	if (whole) {
		put_document(m, piece, has_data);
	} else {
		hold_bytes(m, piece);
		meter_put_held(m, has_data);
	}
	m->reader.has_error = false;
}

void
meter_hold_rest(struct meter *m)
{
	flush(m);
	if (m->taken < m->in.n)
		hold_bytes(m, from(m->in, m->taken));
}

/* The kinds of answers, by how they are metered. */
#include "hubd/api/reader.h"

static const struct kind *const kinds[METER_KINDS] = {
    [METER_CHAT] = &kind_chat,
    [METER_COMPLETION] = &kind_completion,
    [METER_EMBEDDING] = &kind_embedding,
    [METER_RESPONSE] = &kind_response,
    [METER_COUNT] = &kind_count,
    [METER_MODERATION] = &kind_moderation,
    [METER_IMAGE] = &kind_image,
    [METER_SPEECH] = &kind_speech,
    [METER_TRANSCRIPT] = &kind_transcript,
    [METER_MESSAGE] = &kind_message,
    [METER_GEMINI] = &kind_gemini,
    [METER_GEMINI_STREAM] = &kind_gemini_stream,
    [METER_GEMINI_EMBED] = &kind_gemini_embed,
    [METER_CONVERSE] = &kind_converse,
    [METER_INVOKE] = &kind_invoke,
    [METER_OBJECT] = &kind_object,
    [METER_BATCH] = &kind_batch,
    [METER_RAW] = &kind_raw,
};

const struct kind *
kind_of(enum meter_kind meter)
{
	return (meter < METER_KINDS ? kinds[meter] : NULL);
}

bool
meter_asks_usage(const struct endpoint *ep)
{
	const struct kind *kind = kind_of(ep->meter);

	return (kind != NULL && kind->asks_usage);
}

static bool
is_type(struct span type, struct span name)
{
	return (type.n >= name.n && span_ieq(span_of(type.p, name.n), name) &&
		(type.n == name.n || type.p[name.n] == ';' ||
		    type.p[name.n] == ' '));
}

enum meter_frame
meter_frame_of(const struct endpoint *ep, struct span type)
{
	const struct kind *kind = kind_of(ep->meter);

	if (is_type(type, SPAN("text/event-stream")))
		return (FRAME_EVENTS);
	if (kind != NULL && kind->amazon &&
	    is_type(type, SPAN("application/vnd.amazon.eventstream")))
		return (FRAME_AMAZON);
	return (kind != NULL && kind->array ? FRAME_ARRAY : FRAME_WHOLE);
}

bool
meter_may_sniff(const struct endpoint *ep)
{
	const struct kind *kind = kind_of(ep->meter);

	return (kind != NULL && !kind->no_sniff);
}

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

bool
meter_may_sniff(const struct endpoint *ep)
{
	const struct kind *kind = kind_of(ep->meter);

	return (kind != NULL && !kind->no_sniff);
}

/*
 * The synthetic answers of Gemini: whole, as server-sent events, or as one
 * JSON array that is written piece by piece.
 */
#include "tests/sim/synth.h"

static bool
is_array(const struct synth *s)
{
	return (s->voice == &voice_gemini_array);
}

/* The prompt holds what was cached, the candidates leave thoughts out. */
static void
put_usage(struct buf *b, const struct shape *s)
{
	buf_addf(b, "{\"promptTokenCount\":%ju,\"candidatesTokenCount\":%ju",
	    (uintmax_t)s->input, (uintmax_t)(s->output - s->reasoning));
	if (s->cached > 0)
		buf_addf(b, ",\"cachedContentTokenCount\":%ju",
		    (uintmax_t)s->cached);
	if (s->reasoning > 0)
		buf_addf(
		    b, ",\"thoughtsTokenCount\":%ju", (uintmax_t)s->reasoning);
	buf_addf(
	    b, ",\"totalTokenCount\":%ju}", (uintmax_t)(s->input + s->output));
}

static void
put_begin(struct buf *b)
{
	buf_addstr(b, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"");
}

static void
put_end(struct buf *b, const struct synth *s, bool last)
{
	buf_addf(b,
	    "\"}],\"role\":\"model\"}%s,\"index\":0}],"
	    "\"usageMetadata\":",
	    last ? ",\"finishReason\":\"STOP\"" : "");
	if (last)
		put_usage(b, &s->shape);
	else
		buf_addf(b,
		    "{\"promptTokenCount\":%ju,\"totalTokenCount\":%ju}",
		    (uintmax_t)s->shape.input, (uintmax_t)s->shape.input);
	buf_addf(b, ",\"modelVersion\":\"%s\",\"responseId\":\"sim000001\"}",
	    s->model);
}

static void
plain(struct buf *b, const struct synth *s)
{
	put_begin(b);
	synth_put_text(b, s);
	put_end(b, s, true);
}

static void
open_array(struct buf *b, const struct synth *s)
{
	buf_addstr(b, "[");
}

static void
content(struct buf *b, const struct synth *s, struct span text)
{
	if (!is_array(s))
		buf_addstr(b, "data: ");
	put_begin(b);
	buf_addspan(b, text);
	put_end(b, s, false);
	buf_addstr(b, is_array(s) ? "\n,\r\n" : "\r\n\r\n");
}

static void
close_stream(struct buf *b, const struct synth *s)
{
	if (!is_array(s))
		buf_addstr(b, "data: ");
	put_begin(b);
	put_end(b, s, true);
	buf_addstr(b, is_array(s) ? "\n]" : "\r\n\r\n");
}

static void
count(struct buf *b, const struct synth *s)
{
	buf_addf(b, "{\"totalTokens\":%ju}", (uintmax_t)s->shape.input);
}

static void
embed(struct buf *b, const struct synth *s)
{
	buf_addstr(b, "{\"embedding\":{\"values\":[0.25,-0.5,0.125]}}");
}

static void
batch_embed(struct buf *b, const struct synth *s)
{
	buf_addstr(b, "{\"embeddings\":[{\"values\":[0.25,-0.5,0.125]}]}");
}

const struct voice voice_gemini = {
    .stream_type = "text/event-stream",
    .plain = plain,
    .content = content,
    .close = close_stream,
};

const struct voice voice_gemini_array = {
    .stream_type = "application/json; charset=UTF-8",
    .open = open_array,
    .content = content,
    .close = close_stream,
};

const struct voice voice_gemini_count = {
    .plain = count,
};

const struct voice voice_gemini_embed = {
    .plain = embed,
};

const struct voice voice_gemini_batch_embed = {
    .plain = batch_embed,
};

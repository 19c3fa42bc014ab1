/* The synthetic answers of Anthropic's messages. */
#include "tests/sim/synth.h"

/* Its kinds are disjoint: what came from a cache is not in the input. */
static void
put_usage(struct buf *b, const struct shape *s, uint64_t output)
{
	buf_addf(b,
	    "{\"input_tokens\":%ju,\"cache_creation_input_tokens\":0,"
	    "\"cache_read_input_tokens\":%ju,\"output_tokens\":%ju}",
	    (uintmax_t)(s->input - s->cached), (uintmax_t)s->cached,
	    (uintmax_t)output);
}

void
messages_put(struct buf *b, const struct synth *s)
{
	buf_addf(b,
	    "{\"id\":\"msg_sim000001\",\"type\":\"message\",\"role\":"
	    "\"assistant\",\"model\":\"%s\",\"content\":[{\"type\":\"text\","
	    "\"text\":\"",
	    s->model);
	synth_put_text(b, s);
	buf_addstr(b, "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":"
		      "null,\"usage\":");
	put_usage(b, &s->shape, s->shape.output);
	buf_addstr(b, "}");
}

void
messages_open(struct buf *b, const struct synth *s, messages_emit *emit)
{
	struct buf json = {0};

	buf_addf(&json,
	    "{\"type\":\"message_start\",\"message\":{\"id\":"
	    "\"msg_sim000001\",\"type\":\"message\",\"role\":\"assistant\","
	    "\"model\":\"%s\",\"content\":[],\"stop_reason\":null,"
	    "\"stop_sequence\":null,\"usage\":",
	    s->model);
	put_usage(&json, &s->shape, 1);
	buf_addstr(&json, "}}");
	emit(b, "message_start", buf_span(&json), s);
	buf_fini(&json);
	emit(b, "content_block_start",
	    SPAN("{\"type\":\"content_block_start\",\"index\":0,"
		 "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}"),
	    s);
	emit(b, "ping", SPAN("{\"type\":\"ping\"}"), s);
}

void
messages_content(
    struct buf *b, const struct synth *s, struct span text, messages_emit *emit)
{
	struct buf json = {0};

	buf_addstr(&json, "{\"type\":\"content_block_delta\",\"index\":0,"
			  "\"delta\":{\"type\":\"text_delta\",\"text\":\"");
	buf_addspan(&json, text);
	buf_addstr(&json, "\"}}");
	emit(b, "content_block_delta", buf_span(&json), s);
	buf_fini(&json);
}

void
messages_close(struct buf *b, const struct synth *s, messages_emit *emit)
{
	struct buf json = {0};

	emit(b, "content_block_stop",
	    SPAN("{\"type\":\"content_block_stop\",\"index\":0}"), s);
	buf_addf(&json,
	    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
	    "\"end_turn\",\"stop_sequence\":null},\"usage\":{"
	    "\"output_tokens\":%ju}}",
	    (uintmax_t)s->shape.output);
	emit(b, "message_delta", buf_span(&json), s);
	buf_fini(&json);
	emit(b, "message_stop", SPAN("{\"type\":\"message_stop\"}"), s);
}

static void
emit_sse(
    struct buf *b, const char *name, struct span json, const struct synth *s)
{
	buf_addf(b, "event: %s\ndata: ", name);
	buf_addspan(b, json);
	buf_addstr(b, "\n\n");
}

static void
open_stream(struct buf *b, const struct synth *s)
{
	messages_open(b, s, emit_sse);
}

static void
content(struct buf *b, const struct synth *s, struct span text)
{
	messages_content(b, s, text, emit_sse);
}

static void
close_stream(struct buf *b, const struct synth *s)
{
	messages_close(b, s, emit_sse);
}

static void
count(struct buf *b, const struct synth *s)
{
	buf_addf(b, "{\"input_tokens\":%ju}", (uintmax_t)s->shape.input);
}

const struct voice voice_messages = {
    .stream_type = "text/event-stream; charset=utf-8",
    .plain = messages_put,
    .open = open_stream,
    .content = content,
    .close = close_stream,
};

const struct voice voice_messages_count = {
    .plain = count,
};

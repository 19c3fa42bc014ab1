/*
 * The synthetic answers of Bedrock: Converse, and InvokeModel with a model
 * of Anthropic's behind it; streams are binary frames.
 */
#include <openssl/evp.h>

#include "tests/sim/frame.h"
#include "tests/sim/synth.h"

#define STREAM_TYPE "application/vnd.amazon.eventstream"

/* What came from a cache is not in the input. */
static void
put_usage(struct buf *b, const struct shape *s)
{
	buf_addf(b,
	    "{\"inputTokens\":%ju,\"outputTokens\":%ju,\"totalTokens\":%ju,"
	    "\"cacheReadInputTokens\":%ju,\"cacheWriteInputTokens\":0}",
	    (uintmax_t)(s->input - s->cached), (uintmax_t)s->output,
	    (uintmax_t)(s->input + s->output), (uintmax_t)s->cached);
}

static void
converse(struct buf *b, const struct synth *s)
{
	buf_addstr(b, "{\"metrics\":{\"latencyMs\":42},\"output\":{\"message\":"
		      "{\"content\":[{\"text\":\"");
	synth_put_text(b, s);
	buf_addstr(b, "\"}],\"role\":\"assistant\"}},\"stopReason\":"
		      "\"end_turn\",\"usage\":");
	put_usage(b, &s->shape);
	buf_addstr(b, "}");
}

static void
converse_open(struct buf *b, const struct synth *s)
{
	frame_put(b, "messageStart",
	    SPAN("{\"p\":\"abcdefgh\",\"role\":\"assistant\"}"));
}

static void
converse_content(struct buf *b, const struct synth *s, struct span text)
{
	struct buf json = {0};

	buf_addstr(&json, "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"");
	buf_addspan(&json, text);
	buf_addstr(&json, "\"},\"p\":\"abcdefghijklm\"}");
	frame_put(b, "contentBlockDelta", buf_span(&json));
	buf_fini(&json);
}

static void
converse_close(struct buf *b, const struct synth *s)
{
	struct buf json = {0};

	frame_put(b, "contentBlockStop",
	    SPAN("{\"contentBlockIndex\":0,\"p\":\"abc\"}"));
	frame_put(b, "messageStop",
	    SPAN("{\"p\":\"abcd\",\"stopReason\":\"end_turn\"}"));
	buf_addstr(&json, "{\"metrics\":{\"latencyMs\":42},\"p\":\"abcde\","
			  "\"usage\":");
	put_usage(&json, &s->shape);
	buf_addstr(&json, "}");
	frame_put(b, "metadata", buf_span(&json));
	buf_fini(&json);
}

/* Counts in header fields, the one thing that all models have in common. */
static void
invoke_fields(struct buf *b, const struct synth *s)
{
	const struct shape *h = &s->shape;

	buf_addf(b,
	    "x-amzn-bedrock-input-token-count: %ju\r\n"
	    "x-amzn-bedrock-output-token-count: %ju\r\n"
	    "x-amzn-bedrock-cache-read-input-token-count: %ju\r\n"
	    "x-amzn-bedrock-cache-write-input-token-count: 0\r\n"
	    "x-amzn-bedrock-invocation-latency: 42\r\n",
	    (uintmax_t)(h->input - h->cached), (uintmax_t)h->output,
	    (uintmax_t)h->cached);
}

/* The last event holds the counts of the invocation. */
static void
put_metrics(struct buf *b, const struct shape *s)
{
	buf_addf(b,
	    "{\"type\":\"message_stop\",\"amazon-bedrock-invocationMetrics\":{"
	    "\"inputTokenCount\":%ju,\"outputTokenCount\":%ju,"
	    "\"invocationLatency\":42,\"firstByteLatency\":21,"
	    "\"cacheReadInputTokenCount\":%ju,"
	    "\"cacheWriteInputTokenCount\":0}}",
	    (uintmax_t)(s->input - s->cached), (uintmax_t)s->output,
	    (uintmax_t)s->cached);
}

/* {"bytes":"<the model's JSON in base64>"} */
static void
emit_bytes(
    struct buf *b, const char *name, struct span json, const struct synth *s)
{
	struct buf payload = {0}, metrics = {0};
	char *room;
	int n;

	if (span_eq(span_str(name), SPAN("message_stop"))) {
		put_metrics(&metrics, &s->shape);
		json = buf_span(&metrics);
	}
	buf_addstr(&payload, "{\"bytes\":\"");
	room = buf_reserve(&payload, (json.n + 2) / 3 * 4 + 1);
	n = EVP_EncodeBlock(
	    (unsigned char *)room, (const unsigned char *)json.p, (int)json.n);
	buf_commit(&payload, (size_t)n);
	buf_addstr(&payload, "\",\"p\":\"abcdefghij\"}");
	frame_put(b, "chunk", buf_span(&payload));
	buf_fini(&payload);
	buf_fini(&metrics);
}

static void
invoke_open(struct buf *b, const struct synth *s)
{
	messages_open(b, s, emit_bytes);
}

static void
invoke_content(struct buf *b, const struct synth *s, struct span text)
{
	messages_content(b, s, text, emit_bytes);
}

static void
invoke_close(struct buf *b, const struct synth *s)
{
	messages_close(b, s, emit_bytes);
}

static void
count(struct buf *b, const struct synth *s)
{
	buf_addf(b, "{\"inputTokens\":%ju}", (uintmax_t)s->shape.input);
}

const struct voice voice_converse = {
    .stream_type = STREAM_TYPE,
    .plain = converse,
    .open = converse_open,
    .content = converse_content,
    .seal = frame_seal,
    .close = converse_close,
};

const struct voice voice_invoke = {
    .stream_type = STREAM_TYPE,
    .plain = messages_put,
    .fields = invoke_fields,
    .open = invoke_open,
    .content = invoke_content,
    .opaque = true,
    .close = invoke_close,
};

const struct voice voice_bedrock_count = {
    .plain = count,
};

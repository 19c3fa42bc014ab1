/* The synthetic answers of OpenAI: chat, legacy completions, embeddings. */
#include "tests/sim/synth.h"

static bool
is_chat(const struct synth *s)
{
	return (s->voice == &voice_chat);
}

static void
put_usage(struct buf *b, const struct shape *s)
{
	buf_addf(b,
	    "{\"prompt_tokens\":%ju,\"completion_tokens\":%ju,"
	    "\"total_tokens\":%ju,"
	    "\"prompt_tokens_details\":{\"cached_tokens\":%ju},"
	    "\"completion_tokens_details\":{\"reasoning_tokens\":%ju}}",
	    (uintmax_t)s->input, (uintmax_t)s->output,
	    (uintmax_t)(s->input + s->output), (uintmax_t)s->cached,
	    (uintmax_t)s->reasoning);
}

static void
plain(struct buf *b, const struct synth *s)
{
	bool chat = is_chat(s);

	buf_addf(b,
	    "{\"id\":\"chatcmpl-sim000001\",\"object\":\"%s\","
	    "\"created\":1700000000,\"model\":\"%s\",\"choices\":[",
	    chat ? "chat.completion" : "text_completion", s->model);
	buf_addstr(b, chat ? "{\"index\":0,\"message\":{\"role\":\"assistant\","
			     "\"content\":\""
			   : "{\"index\":0,\"text\":\"");
	synth_put_text(b, s);
	buf_addstr(b, chat ? "\",\"refusal\":null},\"logprobs\":null,"
			     "\"finish_reason\":\"stop\"}"
			   : "\",\"logprobs\":null,\"finish_reason\":"
			     "\"stop\"}");
	buf_addstr(b, "],\"usage\":");
	put_usage(b, &s->shape);
	buf_addstr(b, ",\"system_fingerprint\":\"fp_sim\"}");
}

static void
begin(struct buf *b, const struct synth *s)
{
	buf_addf(b,
	    "data: {\"id\":\"chatcmpl-sim000001\",\"object\":\"%s\","
	    "\"created\":1700000000,\"model\":\"%s\",\"choices\":[",
	    is_chat(s) ? "chat.completion.chunk" : "text_completion", s->model);
}

static void
end(struct buf *b, const struct synth *s)
{
	buf_addstr(b, s->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
}

static void
content(struct buf *b, const struct synth *s, struct span text)
{
	begin(b, s);
	buf_addstr(b, is_chat(s) ? "{\"index\":0,\"delta\":{\"content\":\""
				 : "{\"index\":0,\"text\":\"");
	buf_addspan(b, text);
	buf_addstr(b, is_chat(s) ? "\"},\"finish_reason\":null}"
				 : "\",\"finish_reason\":null}");
	end(b, s);
}

static void
close_stream(struct buf *b, const struct synth *s)
{
	begin(b, s);
	buf_addstr(
	    b, is_chat(s)
		   ? "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}"
		   : "{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}");
	end(b, s);
	if (s->include_usage) {
		begin(b, s);
		buf_addstr(b, "],\"usage\":");
		put_usage(b, &s->shape);
		buf_addstr(b, "}\n\n");
	}
	buf_addstr(b, "data: [DONE]\n\n");
}

static void
embedding(struct buf *b, const struct synth *s)
{
	buf_addf(b,
	    "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\","
	    "\"index\":0,\"embedding\":[0.25,-0.5,0.125]}],\"model\":\"%s\","
	    "\"usage\":{\"prompt_tokens\":%ju,\"total_tokens\":%ju}}",
	    s->model, (uintmax_t)s->shape.input, (uintmax_t)s->shape.input);
}

const struct voice voice_chat = {
    .stream_type = "text/event-stream; charset=utf-8",
    .plain = plain,
    .content = content,
    .close = close_stream,
};

const struct voice voice_completion = {
    .stream_type = "text/event-stream; charset=utf-8",
    .plain = plain,
    .content = content,
    .close = close_stream,
};

const struct voice voice_embedding = {
    .plain = embedding,
};

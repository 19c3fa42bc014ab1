/*
 * The synthetic models. A name sets the shape of its answers:
 *
 *	sim-chat, or sim- and any of these, joined by '-':
 *	cN  chunks of a stream (50)	 dN  milliseconds between them (0)
 *	wN  chunks a write (1)		 fN  milliseconds before the first (0)
 *	iN  input tokens (200)		 oN  output tokens (45)
 *	hN  of the input from a cache	 rN  of the output reasoning
 *	bN  bytes of text more, in one piece
 *
 * Each chunk of a stream says when it was due and when it was sent, as
 * "s=NNN t=NNN" in nanoseconds of CLOCK_MONOTONIC, so that a load generator
 * on the same machine can measure lag.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/sim/sim.h"

#define DIGITS_TIME  19
#define DIGITS_INDEX 6
#define MAX_TEXT     (256u << 20)

struct shape {
	uint64_t chunks, per_write, input, output, cached, reasoning, bytes;
	int64_t delay_ms, first_ms;
};

struct synth {
	struct shape shape;
	uint64_t next; /* chunk */
	bool chat, include_usage;
	char model[SIM_NAME_MAX + 1];
	struct buf chunk;		  /* one content chunk, framed */
	size_t due_at, sent_at, index_at; /* where its digits go */
	struct buf out;
};

bool
synth_knows(const char *model)
{
	return (strncmp(model, "sim-", 4) == 0 &&
		strspn(model, "abcdefghijklmnopqrstuvwxyz0123456789-") ==
		    strlen(model));
}

static uint64_t
number(const char *model, char letter, uint64_t fallback)
{
	const char *p;

	for (p = model; (p = strchr(p, '-')) != NULL; p++)
		if (p[1] == letter && p[2] >= '0' && p[2] <= '9')
			return (strtoull(p + 2, NULL, 10));
	return (fallback);
}

static struct shape
shape_of(const char *model)
{
	struct shape s = {
	    .chunks = number(model, 'c', 50),
	    .per_write = number(model, 'w', 1),
	    .input = number(model, 'i', 200),
	    .output = number(model, 'o', 45),
	    .cached = number(model, 'h', 0),
	    .reasoning = number(model, 'r', 0),
	    .bytes = number(model, 'b', 0),
	    .delay_ms = (int64_t)(number(model, 'd', 0) % 3600000),
	    .first_ms = (int64_t)(number(model, 'f', 0) % 3600000),
	};

	if (s.per_write < 1)
		s.per_write = 1;
	if (s.bytes > MAX_TEXT)
		s.bytes = MAX_TEXT;
	return (s);
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
put_text(struct buf *b, uint64_t bytes)
{
	memset(buf_reserve(b, bytes + 1), 'x', bytes);
	buf_commit(b, bytes);
}

static void
put_message(struct buf *b, bool chat, const struct shape *s)
{
	buf_addstr(b, chat ? "{\"index\":0,\"message\":{\"role\":\"assistant\","
			     "\"content\":\""
			   : "{\"index\":0,\"text\":\"");
	buf_addstr(b, "A synthetic answer of the simulator, as long as "
		      "answers tend to be. It says nothing at all, and it "
		      "says so at length, so that its size is like others.");
	put_text(b, s->bytes);
	buf_addstr(b, chat
			  ? "\",\"refusal\":null},\"logprobs\":null,"
			    "\"finish_reason\":\"stop\"}"
			  : "\",\"logprobs\":null,\"finish_reason\":\"stop\"}");
}

static void
json_answer(const struct sim_request *q, struct play *p, struct shape *s)
{
	bool chat = strcmp(q->endpoint, "chat.completions") == 0;
	struct buf b = {0};

	buf_addf(&b,
	    "{\"id\":\"chatcmpl-sim000001\",\"object\":\"%s\","
	    "\"created\":1700000000,\"model\":\"%s\",\"choices\":[",
	    chat ? "chat.completion" : "text_completion", q->model);
	put_message(&b, chat, s);
	buf_addstr(&b, "],\"usage\":");
	put_usage(&b, s);
	buf_addstr(&b, ",\"system_fingerprint\":\"fp_sim\"}");
	play_json(p, 200, &b);
}

static void
embedding_answer(
    const struct sim_request *q, struct play *p, const struct shape *s)
{
	struct buf b = {0};

	buf_addf(&b,
	    "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\","
	    "\"index\":0,\"embedding\":[0.25,-0.5,0.125]}],\"model\":\"%s\","
	    "\"usage\":{\"prompt_tokens\":%ju,\"total_tokens\":%ju}}",
	    q->model, (uintmax_t)s->input, (uintmax_t)s->input);
	play_json(p, 200, &b);
}

static void
put_chunk_begin(struct buf *b, const struct synth *s)
{
	buf_addf(b,
	    "data: {\"id\":\"chatcmpl-sim000001\",\"object\":\"%s\","
	    "\"created\":1700000000,\"model\":\"%s\",\"choices\":[",
	    s->chat ? "chat.completion.chunk" : "text_completion", s->model);
}

static void
put_chunk_end(struct buf *b, const struct synth *s)
{
	buf_addstr(b, s->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
}

static void
put_content(struct buf *b, const struct synth *s, const char *text)
{
	put_chunk_begin(b, s);
	buf_addf(b,
	    s->chat ? "{\"index\":0,\"delta\":{\"content\":\"%s\"},"
		      "\"finish_reason\":null}"
		    : "{\"index\":0,\"text\":\"%s\",\"finish_reason\":null}",
	    text);
	put_chunk_end(b, s);
}

/* Prepares the chunk that all others are copies of. */
static void
make_chunk(struct synth *s)
{
	struct buf event = {0};
	const char *text;

	put_content(
	    &event, s, "s=0000000000000000000 t=0000000000000000000 i=000000 ");
	http1_put_chunk(&s->chunk, buf_ptr(&event), buf_len(&event));
	buf_fini(&event);
	text = strstr(buf_cstr(&s->chunk), "s=0000000000000000000 t=");
	s->due_at = (size_t)(text - buf_ptr(&s->chunk)) + 2;
	s->sent_at = s->due_at + DIGITS_TIME + 3;
	s->index_at = s->sent_at + DIGITS_TIME + 3;
}

/* A chunk with much text, if the model's name asks for it. */
static void
put_big(struct play *p, struct synth *s)
{
	struct buf event = {0};

	if (s->shape.bytes == 0)
		return;
	put_chunk_begin(&event, s);
	buf_addstr(&event, s->chat ? "{\"index\":0,\"delta\":{\"role\":"
				     "\"assistant\",\"content\":\""
				   : "{\"index\":0,\"text\":\"");
	put_text(&event, s->shape.bytes);
	buf_addstr(&event, s->chat ? "\"},\"finish_reason\":null}"
				   : "\",\"finish_reason\":null}");
	put_chunk_end(&event, s);
	http1_put_chunk(&p->head, buf_ptr(&event), buf_len(&event));
	buf_fini(&event);
}

static void
stream_answer(
    const struct sim_request *q, struct play *p, const struct shape *shape)
{
	struct synth *s = xcalloc(1, sizeof(*s));

	s->shape = *shape;
	s->chat = strcmp(q->endpoint, "chat.completions") == 0;
	s->include_usage = q->include_usage;
	memcpy(s->model, q->model, sizeof(s->model));
	make_chunk(s);
	p->synth = s;
	p->chunked = true;
	play_head(p, 200, "text/event-stream; charset=utf-8");
	http1_put_field(&p->head, "cache-control", SPAN("no-cache"));
	http1_put_end(&p->head);
	put_big(p, s);
	if (p->manner.delay_ns == 0)
		p->manner.delay_ns = shape->delay_ms * 1000000;
}

void
synth_answer(const struct sim_request *q, struct play *p)
{
	struct shape s = shape_of(q->model);
	struct buf b = {0};

	if (p->manner.first_ns == 0)
		p->manner.first_ns = s.first_ms * 1000000;
	if (q->endpoint && strcmp(q->endpoint, "embeddings") == 0)
		embedding_answer(q, p, &s);
	else if (q->endpoint && strstr(q->endpoint, "completions") == NULL) {
		buf_addstr(&b, "{\"error\":{\"message\":\"not a chat model\","
			       "\"type\":\"invalid_request_error\","
			       "\"param\":\"model\",\"code\":null}}");
		play_json(p, 400, &b);
	} else if (q->stream)
		stream_answer(q, p, &s);
	else
		json_answer(q, p, &s);
}

static void
put_digits(char *at, uint64_t v, int n)
{
	while (n-- > 0) {
		at[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

static void
put_tail(struct synth *s)
{
	struct buf event = {0};

	put_chunk_begin(&event, s);
	buf_addstr(&event,
	    s->chat ? "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}"
		    : "{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}");
	put_chunk_end(&event, s);
	if (s->include_usage) {
		put_chunk_begin(&event, s);
		buf_addstr(&event, "],\"usage\":");
		put_usage(&event, &s->shape);
		buf_addstr(&event, "}\n\n");
	}
	buf_addstr(&event, "data: [DONE]\n\n");
	http1_put_chunk(&s->out, buf_ptr(&event), buf_len(&event));
	http1_put_chunk(&s->out, NULL, 0);
	buf_fini(&event);
}

bool
synth_breaks(const struct play *p)
{
	uint64_t at = p->manner.at >= 0 ? (uint64_t)p->manner.at
					: p->synth->shape.chunks / 2;

	return (p->synth->next >= at);
}

enum play_result
synth_step(struct play *p, struct peer *peer)
{
	struct synth *s = p->synth;
	uint64_t now = (uint64_t)monotime_now().ns;

	buf_addspan(&s->out, buf_span(&p->head));
	buf_reset(&p->head, 4096);
	p->head_sent = true;
	for (uint64_t i = 0;
	     i < s->shape.per_write && s->next < s->shape.chunks;
	     i++, s->next++) {
		char *at = buf_reserve(&s->out, buf_len(&s->chunk));

		memcpy(at, buf_ptr(&s->chunk), buf_len(&s->chunk));
		put_digits(at + s->due_at, (uint64_t)p->due.ns, DIGITS_TIME);
		put_digits(at + s->sent_at, now, DIGITS_TIME);
		put_digits(at + s->index_at, s->next, DIGITS_INDEX);
		buf_commit(&s->out, buf_len(&s->chunk));
	}
	if (s->next >= s->shape.chunks)
		put_tail(s);
	peer_send(peer, buf_ptr(&s->out), buf_len(&s->out));
	buf_reset(&s->out, 65536);
	if (s->next >= s->shape.chunks)
		return (PLAY_DONE);
	p->due.ns += p->manner.delay_ns;
	return (PLAY_AGAIN);
}

void
synth_free(struct synth *s)
{
	if (s == NULL)
		return;
	buf_fini(&s->chunk);
	buf_fini(&s->out);
	free(s);
}

void
synth_models(struct buf *b)
{
	buf_addstr(b, "{\"object\":\"list\",\"data\":[{\"id\":\"sim-chat\","
		      "\"object\":\"model\",\"created\":1700000000,"
		      "\"owned_by\":\"simulator\"}]}");
}

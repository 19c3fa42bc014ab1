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
#include "tests/sim/provider.h"
#include "tests/sim/synth.h"

#define DIGITS_TIME  19
#define DIGITS_INDEX 6
#define MAX_TEXT     (256u << 20)

static const struct {
	const char *endpoint;
	const struct voice *voice;
} voices[] = {
    {"chat.completions", &voice_chat},
    {"completions", &voice_completion},
    {"embeddings", &voice_embedding},
    {"messages", &voice_messages},
    {"count_tokens", &voice_messages_count},
    {"generateContent", &voice_gemini},
    {"streamGenerateContent", &voice_gemini},
    {"countTokens", &voice_gemini_count},
    {"embedContent", &voice_gemini_embed},
    {"batchEmbedContents", &voice_gemini_batch_embed},
    {"converse", &voice_converse},
    {"converse-stream", &voice_converse},
    {"invoke", &voice_invoke},
    {"invoke-with-response-stream", &voice_invoke},
    {"count-tokens", &voice_bedrock_count},
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

/* Gemini streams as an array unless events are asked for. */
static bool
wants_array(const struct sim_request *q)
{
	struct buf alt = {0};
	bool sse = param_of(q->head->query, "alt", &alt) &&
		   span_eq(buf_span(&alt), SPAN("sse"));

	buf_fini(&alt);
	return (!sse);
}

/* How to answer that endpoint; NULL: nobody knows. */
static const struct voice *
voice_of(const struct sim_request *q)
{
	const struct voice *v = NULL;

	for (size_t i = 0; q->endpoint && i < sizeof(voices) / sizeof(*voices);
	     i++)
		if (strcmp(voices[i].endpoint, q->endpoint) == 0)
			v = voices[i].voice;
	if (v == &voice_gemini && q->stream && wants_array(q))
		v = &voice_gemini_array;
	return (v);
}

static void
put_x(struct buf *b, uint64_t bytes)
{
	memset(buf_reserve(b, bytes + 1), 'x', bytes);
	buf_commit(b, bytes);
}

void
synth_put_text(struct buf *b, const struct synth *s)
{
	buf_addstr(b, SYNTH_TEXT);
	put_x(b, s->shape.bytes);
}

/* Prepares the event that all others are copies of. */
static void
make_chunk(struct synth *s)
{
	struct buf event = {0};
	const char *text;

	s->voice->content(&event, s,
	    SPAN("s=0000000000000000000 t=0000000000000000000 i=000000 "));
	http1_put_chunk(&s->chunk, buf_ptr(&event), buf_len(&event));
	s->event_size = buf_len(&event);
	s->event_at = buf_len(&s->chunk) - s->event_size - 2;
	buf_fini(&event);
	text = memmem(buf_ptr(&s->chunk), buf_len(&s->chunk),
	    "s=0000000000000000000 t=", 24);
	if (text == NULL)
		return; /* it is opaque */
	s->due_at = (size_t)(text - buf_ptr(&s->chunk)) + 2;
	s->sent_at = s->due_at + DIGITS_TIME + 3;
	s->index_at = s->sent_at + DIGITS_TIME + 3;
}

/* What goes before the contents: a beginning, and much text if asked for. */
static void
put_open(struct buf *out, const struct synth *s)
{
	struct buf event = {0}, text = {0};

	if (s->voice->open != NULL)
		s->voice->open(&event, s);
	if (s->shape.bytes > 0) {
		put_x(&text, s->shape.bytes);
		s->voice->content(&event, s, buf_span(&text));
	}
	if (buf_len(&event) > 0)
		http1_put_chunk(out, buf_ptr(&event), buf_len(&event));
	buf_fini(&event);
	buf_fini(&text);
}

static void
stream_answer(const struct synth *asked, struct play *p)
{
	struct synth *s = xcalloc(1, sizeof(*s));

	*s = *asked;
	make_chunk(s);
	p->synth = s;
	p->chunked = true;
	play_head(p, 200, s->voice->stream_type);
	http1_put_field(&p->head, "cache-control", SPAN("no-cache"));
	http1_put_end(&p->head);
	put_open(&p->head, s);
	if (p->manner.delay_ns == 0)
		p->manner.delay_ns = s->shape.delay_ms * 1000000;
}

static void
plain_answer(const struct synth *s, struct play *p)
{
	struct buf b = {0};

	s->voice->plain(&b, s);
	if (s->voice->fields != NULL)
		s->voice->fields(&p->extra, s);
	play_json(p, 200, &b);
}

void
synth_answer(const struct sim_request *q, struct play *p)
{
	struct synth s = {
	    .voice = voice_of(q),
	    .shape = shape_of(q->model),
	    .include_usage = q->include_usage,
	};

	memcpy(s.model, q->model, sizeof(s.model));
	if (p->manner.first_ns == 0)
		p->manner.first_ns = s.shape.first_ms * 1000000;
	if (s.voice == NULL)
		q->provider->refuse(p, 400, NULL, "not a chat model");
	else if (q->stream && s.voice->stream_type != NULL)
		stream_answer(&s, p);
	else
		plain_answer(&s, p);
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
put_close(struct synth *s)
{
	struct buf event = {0};

	s->voice->close(&event, s);
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

/* The next event as a copy of the first, with its own digits. */
static void
put_copy(struct synth *s, uint64_t due, uint64_t now)
{
	char *at = buf_reserve(&s->out, buf_len(&s->chunk));

	memcpy(at, buf_ptr(&s->chunk), buf_len(&s->chunk));
	put_digits(at + s->due_at, due, DIGITS_TIME);
	put_digits(at + s->sent_at, now, DIGITS_TIME);
	put_digits(at + s->index_at, s->next, DIGITS_INDEX);
	if (s->voice->seal != NULL)
		s->voice->seal(at + s->event_at, s->event_size);
	buf_commit(&s->out, buf_len(&s->chunk));
}

static void
put_anew(struct synth *s, uint64_t due, uint64_t now)
{
	struct buf event = {0};
	char text[80];
	int n = snprintf(text, sizeof(text), "s=%019ju t=%019ju i=%06ju ",
	    (uintmax_t)due, (uintmax_t)now, (uintmax_t)s->next);

	s->voice->content(&event, s, span_of(text, (size_t)n));
	http1_put_chunk(&s->out, buf_ptr(&event), buf_len(&event));
	buf_fini(&event);
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
	     i++, s->next++)
		if (s->voice->opaque)
			put_anew(s, (uint64_t)p->due.ns, now);
		else
			put_copy(s, (uint64_t)p->due.ns, now);
	if (s->next >= s->shape.chunks)
		put_close(s);
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

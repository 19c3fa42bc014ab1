/* A synthetic answer and the voices, one a dialect, that it is given in. */
#ifndef TESTS_SIM_SYNTH_H
#define TESTS_SIM_SYNTH_H

#include "tests/sim/sim.h"

#define SYNTH_TEXT                                                             \
	"A synthetic answer of the simulator, as long as answers tend to be. " \
	"It says nothing at all, and it says so at length, so that its size "  \
	"is like others."

/* What a model's name asks for; synth.c has the letters. */
struct shape {
	uint64_t chunks, per_write, input, output, cached, reasoning, bytes;
	int64_t delay_ms, first_ms;
};

struct synth {
	const struct voice *voice;
	struct shape shape;
	uint64_t next; /* chunk */
	bool include_usage;
	char model[SIM_NAME_MAX + 1];
	struct buf chunk;		  /* one content event, framed */
	size_t event_at, event_size;	  /* the event inside the frame */
	size_t due_at, sent_at, index_at; /* where its digits go */
	struct buf out;
};

/*
 * How a dialect says it. All append; text needs no escapes. An answer has a
 * beginning, many contents and an end, which holds the usage.
 */
struct voice {
	const char *stream_type; /* NULL: it cannot stream */
	/* The whole answer as JSON; NULL: it only streams. */
	void (*plain)(struct buf *, const struct synth *);
	/* Header fields of the plain answer; NULL: none. */
	void (*fields)(struct buf *, const struct synth *);
	void (*open)(struct buf *, const struct synth *);
	void (*content)(struct buf *, const struct synth *, struct span text);
	/* Makes an event good again whose text was changed; NULL: it is. */
	void (*seal)(char *event, size_t n);
	/* Its text is not there in plain: each event is made anew. */
	bool opaque;
	void (*close)(struct buf *, const struct synth *);
};

extern const struct voice voice_chat, voice_completion, voice_embedding;
extern const struct voice voice_messages, voice_messages_count;
extern const struct voice voice_gemini, voice_gemini_array, voice_gemini_count,
    voice_gemini_embed, voice_gemini_batch_embed;
extern const struct voice voice_converse, voice_invoke, voice_bedrock_count;

/* Text of the answer: the usual one and what the shape asks for more. */
void synth_put_text(struct buf *, const struct synth *);

/*
 * Anthropic's message and events, which Bedrock wraps: a whole message, and
 * the JSON of events. Each event is handed to emit with its name.
 */
typedef void messages_emit(
    struct buf *, const char *name, struct span json, const struct synth *);
void messages_put(struct buf *, const struct synth *);
void messages_open(struct buf *, const struct synth *, messages_emit *);
void messages_content(
    struct buf *, const struct synth *, struct span text, messages_emit *);
void messages_close(struct buf *, const struct synth *, messages_emit *);

#endif

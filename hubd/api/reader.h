/*
 * What is being read from one document of an answer (a whole JSON body or
 * the data of one event), and the kinds of answers there are. The meter owns
 * a reader; the walker (reader.c), which is a jscan handler, fills it by the
 * tables of a kind (kind_*.c).
 */
#ifndef HUBD_API_READER_H
#define HUBD_API_READER_H

#include "common/jscan.h"
#include "hubd/api/api.h"

/* Counts as the provider named them, before they are made disjoint. */
enum raw_count {
	RAW_PROMPT,
	RAW_COMPLETION,
	RAW_TOTAL,
	RAW_CACHED,
	RAW_CACHE_HIT,	/* DeepSeek's name of the same */
	RAW_NUM_CACHED, /* Mistral's */
	RAW_CACHE_WRITE,
	RAW_AUDIO_IN,
	RAW_IMAGE_IN,
	RAW_REASONING,
	RAW_AUDIO_OUT,
	RAW_IMAGE_OUT,
	RAW_MILLISECONDS,
	RAW_CACHE_5M, /* Anthropic's split of what was written */
	RAW_CACHE_1H,
	RAW_SEARCHES,
	RAW_FETCHES,
	RAW_COUNT
};

struct raw_usage {
	uint64_t n[RAW_COUNT];
	uint32_t seen; /* bit i: n[i] was there */
	bool bad;      /* one was no count */
};

/* What a value in a document is, by the way that leads to it. */
enum node {
	N_IGNORED,
	N_TOP,
	N_USAGE,
	N_PROMPT_DETAILS,
	N_OUTPUT_DETAILS,
	N_GROQ,
	N_GROQ_USAGE,
	N_CHOICES,
	N_CHOICE,
	N_MESSAGE, /* or a delta */
	N_CONTENT,
	N_PART,
	N_TOOL_CALLS,
	N_TOOL_CALL,
	N_FUNCTION,
	N_RESPONSE, /* the object in an event of the responses API */
	N_OUTPUT,
	N_ITEM,
	N_IMAGES,
	N_IMAGE,
	N_ERROR,
	N_CACHE_CREATION,
	N_SERVER_TOOLS,
	N_STEPS, /* of a usage: what each call of a model in it cost */
	N_STEP,
	N_PARENTS, /* no member of these is looked at */
	N_TIER = N_PARENTS,
	N_INDEX,
	N_FINISH,
	N_TEXT,
	N_WHOLE_TEXT, /* that a stream repeats at its end */
	N_TYPE,	      /* of an event */
	N_DURATION,   /* seconds of sound, beside the usage */
	N_SECONDS,    /* the same, in the usage */
	N_RAW,	      /* + enum raw_count */
};

struct member {
	struct span key;
	uint8_t node;
};

/* A type of event that says how far an answer is; others say nothing. */
struct event_type {
	const char *name; /* NULL: the end of the list */
	bool first;	  /* usage here is of the input alone */
	bool last;	  /* the answer is whole, and usage is here or not */
	bool failed;
	bool image; /* it carries a finished one */
};

struct kind {
	const struct member *members[N_PARENTS]; /* by what is open */
	uint8_t element_of[N_PARENTS];		 /* of arrays */
	/* NULL: a stream ends with its choices, any event has usage. */
	const struct event_type *types;
	bool any_usage;	   /* types or not, any event may have usage */
	bool cumulative;   /* a later usage replaces what it names, no more */
	bool asks_usage;   /* streams report none unless asked */
	bool roles;	   /* the request is a conversation */
	bool any_type;	   /* plain answers may be no JSON at all */
	bool never_read;   /* plain answers are never JSON */
	bool no_sniff;	   /* events come under their own type alone */
	bool read_at_once; /* nothing is generated: no output in holds */
	/* From the provider's counts to ours; false: they cannot be true.
	 * steps->seen = 0: it named none. NULL: openai_usage(). */
	bool (*convert)(const struct raw_usage *, const struct raw_usage *steps,
	    struct usage *);
	/* What one count of the provider is of ours, after that; NULL: as it
	 * is. */
	void (*fix)(const struct raw_usage *, struct usage *);
	/* estimate_usage() and estimate_bound() of this kind; NULL: tokens
	 * by the bytes of text. */
	const char *(*estimate)(const struct learnt *,
	    const struct api_request *, const struct meter_report *,
	    struct usage *);
	void (*bound)(
	    const struct learnt *, const struct api_request *, struct usage *);
};

/* NULL: answers of that kind are not read. */
const struct kind *kind_of(enum meter_kind);
extern const struct kind kind_chat, kind_completion, kind_embedding,
    kind_response, kind_count, kind_moderation, kind_image, kind_speech,
    kind_transcript, kind_message;

/* Tables that kinds share. */
extern const struct member reader_io_usage[]; /* input_tokens and its kin */
extern const struct member reader_prompt_details[];
extern const struct member reader_output_details[];

struct reader {
	struct meter_report *report;
	const struct kind *kind;
	bool stream;

	/* of the whole answer */
	bool has_own_usage; /* at the top level, not only a vendor's place */
	bool was_last;	    /* an event that ends the answer was read */
	uint64_t seen[2], done[2]; /* choices, by index */
	bool many_choices;	   /* an index beyond those bits */

	/* of the document under way */
	uint8_t node[JSCAN_DEPTH + 1]; /* what is open, by depth */
	uint8_t next;		       /* what the next value is */
	struct raw_usage raw, steps, step;
	struct raw_usage *counts; /* which of them is being filled */
	struct usage found; /* until the event's type is known */
	uint64_t text_before;
	uint64_t choice;
	bool choice_done;
	bool is_first, is_last, has_found;
	bool empty_choices, has_usage, has_error;
	struct api_place null_usage; /* a "usage":null member */
	uint64_t key_begin;
};

/* The jscan handler; its arg is a struct reader. */
extern const struct jscan_handler reader_walk;
/* A new answer; report is kept and filled. */
void reader_init(struct reader *, const struct kind *, bool stream,
    struct meter_report *report);
/* A new document of it. */
void reader_start(struct reader *);
/* Its end: usage counts if the document's type is one that reports it. */
void reader_end(struct reader *);
/* Is the stream whole, but for usage that may follow? */
bool reader_finished(const struct reader *);

/* Are they counts at all, none beyond what can be believed? */
bool raw_is_sane(const struct raw_usage *);
/* A part of what is left of its parent: the sum is right, whatever the
 * details say. */
uint64_t take_part(uint64_t *left, uint64_t part);
/* Makes counts disjoint. False: they cannot be true. */
bool openai_usage(const struct raw_usage *, struct usage *);
bool anthropic_usage(const struct raw_usage *, const struct raw_usage *steps,
    struct usage *);

#endif

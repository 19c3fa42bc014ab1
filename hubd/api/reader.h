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
	RAW_TOOL_PROMPT, /* Gemini's: what tools put into the prompt */
	RAW_AUDIO_CACHED,
	RAW_IMAGE_CACHED,
	RAW_METRIC_IN, /* Bedrock's own counts, beside the model's */
	RAW_METRIC_OUT,
	RAW_METRIC_READ,
	RAW_METRIC_WRITE,
	RAW_COUNT
};

struct raw_usage {
	uint64_t n[RAW_COUNT];
	uint32_t seen; /* bit i: n[i] was there */
	bool bad;      /* one was no count */
};

static inline bool
raw_has(const struct raw_usage *raw, enum raw_count c)
{
	return (raw->seen & 1u << c);
}

/* What a value in a document is, by the way that leads to it. */
enum node {
	N_IGNORED,
	N_ALL, /* the array that is a stream of documents */
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
	N_FEEDBACK,	/* of Gemini on a prompt */
	N_PROMPT_MODES, /* counts by modality */
	N_CACHE_MODES,
	N_OUTPUT_MODES,
	N_CACHE_TIMES, /* counts by how long they are kept */
	N_SHARE,       /* one of such counts */
	N_TIER_OBJECT,
	N_METRICS,
	N_RESULTS,
	N_RESULT,
	N_PARENTS, /* no member of these is looked at */
	N_TIER = N_PARENTS,
	N_INDEX,
	N_FINISH,
	N_TEXT,
	N_WHOLE_TEXT, /* that a stream repeats at its end */
	N_TYPE,	      /* of an event */
	N_DURATION,   /* seconds of sound, beside the usage */
	N_SECONDS,    /* the same, in the usage */
	N_BLOCKED,    /* why nothing is answered */
	N_TRAFFIC,    /* Vertex AI's name of the tier */
	N_SPEED,      /* Anthropic's: a tier of its own, if it is "fast" */
	N_SHARE_OF,
	N_SHARE_COUNT,
	N_ID,	    /* of the response in an event */
	N_PLAIN_ID, /* of what the whole answer is */
	N_STATUS,   /* of a batch, as what follows */
	N_MODEL,
	N_OUTPUT_FILE,
	N_ERROR_FILE,
	N_RAW, /* + enum raw_count */
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
	bool ends;	  /* ... and usage is still to come */
	bool failed;
	bool image; /* it carries a finished one */
};

struct kind {
	const struct member *members[N_PARENTS]; /* by what is open */
	uint8_t element_of[N_PARENTS];		 /* of arrays */
	/* NULL: a stream ends with its choices, any event has usage. */
	const struct event_type *types;
	bool any_usage;	      /* types or not, any event may have usage */
	bool at_end;	      /* counts lie about: convert them at the end */
	uint32_t last_counts; /* bits of counts with which a stream ends */
	uint32_t more_counts; /* ... that alone are a usage, too */
	bool array;	      /* a JSON array is a stream of documents */
	bool strays;	      /* a bare document behind events is an error */
	bool amazon;	      /* streams are Amazon's */
	bool wrapped;	      /* ... with documents in base64 */
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
    kind_transcript, kind_message, kind_gemini, kind_gemini_stream,
    kind_gemini_embed, kind_converse, kind_invoke, kind_object, kind_batch,
    kind_raw;

/* Of kinds that cost nothing: estimate and bound (kind_free.c). */
const char *reader_free_of_charge(const struct learnt *,
    const struct api_request *, const struct meter_report *, struct usage *);
void reader_no_bound(
    const struct learnt *, const struct api_request *, struct usage *);

/* Tables that kinds share. */
extern const struct member reader_io_usage[]; /* input_tokens and its kin */
extern const struct member reader_prompt_details[];
extern const struct member reader_output_details[];

struct reader {
	struct meter_report *report;
	const struct kind *kind;
	bool stream;

	/* Called at the end of each document of an array, with the offset
	 * behind it; its arg. */
	void (*on_document)(void *, uint64_t end);
	void *arg;

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
	enum raw_share {
		SHARE_NONE,
		SHARE_AUDIO,
		SHARE_IMAGE,
		SHARE_HOUR
	} share; /* of the count by modality or time under way */
	uint64_t share_count;
	struct usage found; /* until the event's type is known */
	uint64_t text_before;
	uint64_t choice;
	bool choice_done;
	bool is_first, is_last, ends, has_found;
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
/* Its documents are the elements of an array: instead of reader_start(). */
void reader_start_array(struct reader *);
/* Its end: usage counts if the document's type is one that reports it. */
void reader_end(struct reader *);
/* The type of the document, where its frame names it. */
void reader_type(struct reader *, struct span type);
/* Is the stream whole, but for usage that may follow? */
bool reader_finished(const struct reader *);

/* ---- counts.c: for the walker -------------------------------------------- */

/* What holds counts is opened and closed; list is what a share stands in. */
void counts_open(struct reader *, enum node);
void counts_close(struct reader *, enum node, enum node list);
/* A count; seconds of sound; of what kind a share is. */
void counts_take(struct reader *, unsigned which, const struct jscan_value *);
void counts_take_seconds(
    struct reader *, enum node, const struct jscan_value *);
void counts_take_share(struct reader *, const struct jscan_value *);
/* A count that a field of the answer's head names. */
void counts_take_field(struct reader *, enum raw_count, struct span number);
/* The document's end: its usage counts if its type is one that reports it. */
void counts_end(struct reader *);

/* ---- *_usage.c ----------------------------------------------------------- */

/* Are they counts at all, none beyond what can be believed? */
bool raw_is_sane(const struct raw_usage *);
/* A part of what is left of its parent: the sum is right, whatever the
 * details say. */
uint64_t take_part(uint64_t *left, uint64_t part);
/* Makes counts disjoint. False: they cannot be true. */
bool openai_usage(const struct raw_usage *, struct usage *);
bool anthropic_usage(
    const struct raw_usage *, const struct raw_usage *steps, struct usage *);
bool gemini_usage(
    const struct raw_usage *, const struct raw_usage *steps, struct usage *);
bool bedrock_usage(
    const struct raw_usage *, const struct raw_usage *steps, struct usage *);

#endif

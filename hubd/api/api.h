/*
 * Dialects: the APIs in which users speak. A dialect is one file with one
 * table of functions; which endpoints there are is endpoints.def, an
 * allow-list. Everything here is pure: bytes in, decisions out.
 */
#ifndef HUBD_API_API_H
#define HUBD_API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/http1.h"
#include "common/span.h"
#include "shm/object.h"
#include "shm/usage.h"

#define API_MODEL_MAX 128 /* bytes of a model name, terminator included */

/* Numbers are in rows of calls: new ones go to the end. */
enum dialect {
	DIALECT_OPENAI,
	DIALECT_AZURE, /* OpenAI's bodies under other paths */
	DIALECT_ANTHROPIC,
	DIALECT_GEMINI,
	DIALECT_BEDROCK,
	DIALECT_COUNT
};
const char *dialect_str(enum dialect);

/* errors.def; functions about them are further below. */
enum api_error {
	API_OK = 0,
#define ERROR(id, status, code, type, text) API_ERR_##id,
#include "hubd/api/errors.def"
#undef ERROR
	API_ERR_COUNT
};

/* How an answer of the endpoint is metered. */
enum meter_kind {
	METER_NONE,	  /* answered by the hub itself */
	METER_CHAT,	  /* chat/completions: usage at the top level */
	METER_COMPLETION, /* legacy completions */
	METER_EMBEDDING,
	METER_RESPONSE,	  /* usage of the response */
	METER_COUNT,	  /* counts tokens: free */
	METER_MODERATION, /* by the request, if that has a price */
	METER_IMAGE,
	METER_SPEECH,
	METER_TRANSCRIPT,
	METER_MESSAGE, /* Anthropic's */
	METER_GEMINI,
	METER_GEMINI_STREAM,
	METER_GEMINI_EMBED,
	METER_CONVERSE, /* Bedrock's */
	METER_INVOKE,
	METER_OBJECT, /* a file, or a batch that begins: free */
	METER_BATCH,  /* a batch: its usage when it has ended */
	METER_RAW,    /* not read: free */
	METER_KINDS
};

/* What an endpoint does to an object. */
enum object_use {
	USE_NONE, /* it is about none */
	USE_CREATE,
	USE_READ, /* or cancel: it stays */
	USE_DELETE,
	USE_LIST,
};

struct endpoint {
	const char *id;	    /* "chat.completions": travels to the agent */
	const char *method; /* "POST" */
	const char *path;   /* "/v1/chat/completions"; endpoints.def */
	enum dialect dialect;
	enum meter_kind meter;
	bool local;    /* answered by the hub itself (models) */
	bool form;     /* the body is multipart/form-data, not JSON */
	bool bodiless; /* there is none */
	bool stream;   /* it is answered by a stream, whatever the body says */
	/* Of what is kept at the provider: which kind, and what is done. A
	 * kind with USE_NONE: what is answered may be kept. */
	enum object_kind object;
	enum object_use use;
};

/* By id, for rows and agents; NULL if there is none. */
const struct endpoint *endpoint_by_id(struct span id);
/* All of them, n of them. */
const struct endpoint *endpoint_all(size_t *n);

/* ---- what a request line asks for ---------------------------------------- */

#define API_NAME_MAX	160 /* of a name in a path, terminator included */
#define API_VERSION_MAX 32

/* How a Gemini client wants its stream. */
enum api_alt {
	ALT_NONE, /* it did not say: JSON */
	ALT_SSE,
	ALT_JSON,
	ALT_ENUM, /* JSON, and names of enumerations as numbers */
};
const char *api_alt_str(enum api_alt); /* "", "sse", "json", "enum" */

struct api_target {
	const struct endpoint *endpoint; /* NULL: error says why not */
	enum api_error error;
	const char *why;	   /* of an error, or NULL */
	enum dialect dialect;	   /* known for errors, too: the best guess */
	char model[API_NAME_MAX];  /* {model} of the path, decoded, or "" */
	char object[API_NAME_MAX]; /* {id}, or "" */
	enum api_alt alt;
	char version[API_VERSION_MAX]; /* api-version, "" if none */
	char key[API_NAME_MAX];	       /* ?key=, "" if none */
};

/*
 * Finds the endpoint of a request in the allow-list. A path may have a
 * provider's prefix ("/anthropic/v1/messages"), and Azure's and Vertex AI's
 * fronts stand for others (target.c). A path that exists under another
 * method alone is method_not_allowed; percent-encoding that is broken, and
 * names with NUL, control characters or dot segments in them are
 * invalid_request. Of the query alt, $alt, key and api-version are taken,
 * all others are dropped. objects: those are offered.
 */
void api_target(const struct http1_head *, bool objects, struct api_target *);
/* Appends the methods that the request's path takes: "GET, POST". */
void api_target_methods(const struct http1_head *, bool objects, struct buf *);

/* Which part of a list is asked for (OpenAI's API reference, "limit", "after"
 * and "order"). */
struct api_list {
	char after[OBJECT_ID_MAX]; /* "": from the beginning */
	uint32_t limit;		   /* 0: as many as is usual */
	bool ascending, descending;
};
/* What a query says of that. False: a value of it is wrong. */
bool api_list_query(struct span query, struct api_list *);

/*
 * The key that the dialect's clients present, in a field or in the query;
 * n = 0 if there is none. Two different ones in one request: n = 0 as well.
 */
struct span api_key_of(const struct api_target *, const struct http1_head *);

/* Does that field of a user's head go on to the provider? Names are
 * compared without case. */
bool api_forwards(enum dialect, struct span name);
/* Does that field of a provider's answer of that status go to the user? */
bool api_carries(enum dialect, int status, struct span name);
/* ... and what of its value; n = 0: nothing. */
struct span api_carried_value(
    enum dialect, struct span name, struct span value);
/* The field, next to x-request-id, in which the dialect's clients look for
 * the request's id; NULL: there is none. */
const char *api_id_field(enum dialect);

/* ---- lists of models ----------------------------------------------------- */

struct api_model {
	const char *name;
	const char *provider; /* as the price file has it */
	int64_t created_s;
};
/* Appends the dialect's list of models, or its document about one. */
void api_models(struct buf *, enum dialect, const struct api_model *, size_t n);
void api_model(struct buf *, enum dialect, const struct api_model *);

/* ---- errors (errors.def): code, status, text ---------------------------- */

int api_error_status(enum api_error);
const char *api_error_code(enum api_error);
/*
 * Appends the body of an error in the dialect's shape. detail replaces the
 * standard text if not NULL: it is ours, never a provider's or a path.
 */
void api_error_body(struct buf *, enum dialect, enum api_error,
    const char *detail, const char *request_id);
/* Appends fields of the head that such a reply needs, each line ended. */
void api_error_fields(struct buf *, enum dialect, enum api_error);
/*
 * What the body of a provider's refusal may tell the user: for 400, 404,
 * 413, 422 and 429 its own type, code, param and message in the dialect's
 * shape, scrubbed of URLs, host names, addresses, paths, keys and account
 * numbers. Returns false (nothing appended) when it must become 502
 * upstream_error instead: other statuses, or a body that is not the
 * dialect's error.
 */
bool api_error_scrub(
    struct buf *, enum dialect, int status, struct span provider_body);
/* The same in the body of a plain answer that came with 200 and failed: texts
 * are scrubbed in place, all else keeps its bytes. */
void api_answer_scrub(struct buf *body, enum dialect);

/* ---- what a request asks ------------------------------------------------ */

/* A member's place in the body, for splicing: offsets, end exclusive. */
struct api_place {
	uint64_t begin, end; /* end = 0: not there */
};

/* An object that a body names by its id. */
struct api_ref {
	struct api_place at; /* of the id, as it is written, without quotes */
	enum object_kind kind;
};
#define API_REFS_MAX 16

struct api_request {
	enum dialect dialect;
	char model[API_MODEL_MAX]; /* as the user named it, decoded */
	bool named; /* in the path; what the body names does not count */
	struct api_place model_at;  /* its value, quotes included */
	bool model_differs;	    /* the body names none, or another */
	struct api_place model_gap; /* where a body can name one that names
				       none; end = 0: nowhere */
	bool gap_last;		    /* nothing follows in the object */
	bool no_ask; /* the API is too old to be asked for usage */
	bool stream;
	bool asked_usage;	     /* stream_options.include_usage is true */
	struct api_place options_at; /* value of stream_options */
	struct api_place include_at; /* value of its include_usage */
	uint64_t options_end;	     /* offset of the closing brace of it */
	bool options_empty;	     /* it is {} */
	uint64_t body_end;	     /* offset of the top object's last brace */
	uint64_t max_output;	     /* max_completion_tokens or max_tokens;
					0: not named */
	uint64_t n;		     /* answers asked for, 1 by default */
	bool no_output;		     /* embeddings: nothing is generated */
	uint64_t text_bytes;	     /* bytes of strings in the input */
	uint64_t media;		     /* image parts and the like */
	enum service_tier tier;	     /* asked for */
	bool form;		     /* places are in a form, not in JSON */
	bool no_model;		     /* none is asked for */
	bool no_store;		     /* the response is not to be kept */
	bool batch;		     /* it is, or is a file for, a batch */
	uint32_t nrefs;		     /* may be more than there is room for */
	struct api_ref refs[API_REFS_MAX];
	uint64_t characters;  /* of the text to be spoken */
	uint64_t media_bytes; /* of the files of a form */
	uint32_t sound_rate;  /* bytes a second of sound; 0: unknown */
	/* Bit i: whoever answers has a price for kind i itself. Set once
	 * that is known; estimates count what has one. */
	uint32_t priced;
};

/*
 * One pass over a contiguous body. API_ERR_invalid_request with *why set if
 * it is not a JSON object, a routing field is there twice, has an escaped
 * key or a wrong type, or the model is missing, empty or too long.
 */
enum api_error api_inspect(const struct api_target *, struct span body,
    struct api_request *, const char **why);

/*
 * What a form endpoint can take: 415 if the type is not multipart/form-data
 * with a boundary of RFC 2046, which is *boundary then (in type).
 */
enum api_error api_form_type(struct span type, struct span *boundary);
/* api_inspect() of a form; model_at is then without quotes. */
enum api_error api_inspect_form(const struct api_target *, struct span boundary,
    struct span body, struct api_request *, const char **why);

/*
 * Splices the body in place for a candidate: the model's name if it differs
 * and, if ask_usage, stream_options.include_usage = true. Everything else
 * keeps its bytes. Offsets in req are those of the original body: always
 * start from the original.
 */
void api_prepare(const struct api_request *, struct buf *body,
    struct span model, bool ask_usage);
/* Would that change anything? */
bool api_prepares(
    const struct api_request *, struct span model, bool ask_usage);

/* ---- metering ----------------------------------------------------------- */

/*
 * The meter of one answer. Bytes go through it to the user; it takes usage
 * only from its path in the structure and holds at most METER_HOLD bytes
 * (the event of a stream, of which it is not yet known whether the user may
 * see it). Errors in mid-stream are scrubbed as refusals are, and keep their
 * bytes if nothing in them needs it; one that cannot be read or held is
 * replaced by ours. A larger event passes; if it turns out to be an error, it
 * is cut there and ours follows.
 */
#define METER_HOLD 16384

struct meter;

/* What an answer says of an object; "" what it does not. */
struct meter_object {
	char id[OBJECT_ID_MAX];
	char files[2][OBJECT_ID_MAX]; /* what came out of a batch */
	char model[API_MODEL_MAX];    /* of a batch */
	bool ended;		      /* nothing of the batch changes now */
};

struct meter_report {
	struct usage usage;
	bool has_usage; /* the provider reported it */
	bool partial;	/* ... but of the output only its beginning */
	bool finished;	/* every choice has given a finish reason, or
			   the document or stream is whole */
	bool failed;	/* an error event in mid-stream */
	bool broken;	/* counts that cannot be true, or not JSON */
	bool tier_reported;
	enum service_tier tier;
	uint64_t text_bytes;  /* of generated text, for estimates */
	uint64_t events;      /* data events that carried output */
	uint64_t bytes;	      /* of the answer as it came */
	uint64_t images;      /* finished ones in it */
	uint64_t duration_ms; /* of sound, where it is said beside the usage */
	struct meter_object object;
};

/* How the documents of an answer are strung together. */
enum meter_frame {
	FRAME_WHOLE,  /* there is one */
	FRAME_EVENTS, /* text/event-stream */
	FRAME_ARRAY,  /* they are the elements of a JSON array */
	FRAME_AMAZON, /* application/vnd.amazon.eventstream */
};
/* By the type that the answer's head names. */
enum meter_frame meter_frame_of(const struct endpoint *, struct span type);

/*
 * hide_usage (of events alone): usage was asked for by us and not by the
 * user, whose stream must not show the extra chunk (choices empty, usage set)
 * nor "usage":null members we caused.
 */
struct meter *meter_new(
    const struct endpoint *, enum meter_frame, bool hide_usage);
void meter_free(struct meter *);
/* Takes bytes of the answer and appends those for the user to out. */
void meter_feed(struct meter *, struct span bytes, struct buf *out);
/* The answer has ended: appends what was still held. */
void meter_finish(struct meter *, struct buf *out);
const struct meter_report *meter_get(const struct meter *);
/* A field of the answer's head, before its body: some have counts in it. */
void meter_field(struct meter *, struct span name, struct span value);
/*
 * Where a stream that is no event stream breaks off: can one more document
 * follow, and does it need a comma before it?
 */
enum meter_joint { JOINT_NONE, JOINT_FIRST, JOINT_NEXT };
enum meter_joint meter_joint(const struct meter *);
/*
 * What tells a user in mid-stream that the answer failed; nothing if the
 * frame has no place for it there.
 */
void api_error_event(struct buf *, enum dialect, enum meter_frame,
    enum meter_joint, enum api_error, const char *request_id);
/* Do its streams report usage only if they are asked to? */
bool meter_asks_usage(const struct endpoint *);
/* May its answers be events although their type says otherwise? */
bool meter_may_sniff(const struct endpoint *);

/* ---- estimates ---------------------------------------------------------- */

/* Learnt figures of a model; one process's own. Zero is a fresh one. */
struct learnt {
	uint32_t input_milli;	   /* bytes per token x 1000, low percentile */
	uint32_t input_mean_milli; /* the same, mean, for estimated bills */
	uint32_t output_milli;	   /* bytes per token x 1000 of answers */
	uint32_t output_p95;	   /* tokens */
	uint32_t seen;
};
#define LEARNT_INPUT_START_MILLI      2000
#define LEARNT_INPUT_MEAN_START_MILLI 4000
#define LEARNT_OUTPUT_START_MILLI     4000
#define LEARNT_OUTPUT_P95_START	      2048

/* Takes in one answer whose usage was reported. */
void learnt_update(
    struct learnt *, const struct api_request *, const struct meter_report *);
/* Upper bounds for the hold, in all kinds that may be billed. */
void estimate_bound(const struct learnt *, const struct endpoint *,
    const struct api_request *, struct usage *);
/* The same of an endpoint of text: tokens. */
uint64_t estimate_input_bound(
    const struct learnt *, const struct api_request *);
uint64_t estimate_output_bound(
    const struct learnt *, const struct api_request *);
/*
 * Usage for an answer that reported none: input from the request's bytes,
 * output from the bytes of text that passed. Returns the method's name for
 * the row ("bytes", "learnt", "size", ...), or "" if it is no estimate: what
 * is billed by the piece was counted.
 */
const char *estimate_usage(const struct learnt *, const struct endpoint *,
    const struct api_request *, const struct meter_report *, struct usage *);
/*
 * The same for an answer that broke off with a partial report: its input as
 * it was reported, its output as long as the text that passed, if that is
 * more.
 */
const char *estimate_rest(
    const struct learnt *, const struct meter_report *, struct usage *);

#endif

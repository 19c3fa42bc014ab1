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

enum dialect { DIALECT_OPENAI, DIALECT_COUNT };
const char *dialect_str(enum dialect);

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
	METER_OBJECT, /* a file, or a batch that begins: free */
	METER_BATCH,  /* a batch: its usage when it has ended */
	METER_RAW,    /* not read: free */
	METER_KINDS
};

struct endpoint {
	const char *id;	    /* "chat.completions": travels to the agent */
	const char *method; /* "POST" */
	const char *path;   /* "/v1/chat/completions" */
	enum dialect dialect;
	enum meter_kind meter;
	bool local; /* answered by the hub itself (models) */
	bool form;  /* the body is multipart/form-data, not JSON */
};

/*
 * The endpoint of a method and path (no query). With a path that exists
 * under another method *other_method is set and NULL returned (405), else
 * NULL is 404. "/openai/v1/..." is the same as "/v1/...".
 */
const struct endpoint *endpoint_find(
    struct span method, struct span path, bool *other_method);
/* Appends the methods that the path takes: "GET, POST". */
void endpoint_methods(struct span path, struct buf *);
/* By id, for rows and agents; NULL if there is none. */
const struct endpoint *endpoint_by_id(struct span id);
/* All of them, n of them. */
const struct endpoint *endpoint_all(size_t *n);

/* The dialect whose error shape fits a path that may not exist. */
enum dialect dialect_of_path(struct span path);

/* The key that a dialect's clients present; n = 0 if there is none. Two
 * different ones in one request: n = 0 as well. */
struct span api_key_of(enum dialect, const struct http1_head *);

/* ---- errors (errors.def): code, status, text ---------------------------- */

enum api_error {
	API_OK = 0,
#define ERROR(id, status, code, type, text) API_ERR_##id,
#include "hubd/api/errors.def"
#undef ERROR
	API_ERR_COUNT
};
int api_error_status(enum api_error);
const char *api_error_code(enum api_error);
/*
 * Appends the body of an error in the dialect's shape. detail replaces the
 * standard text if not NULL: it is ours, never a provider's or a path.
 */
void api_error_body(struct buf *, enum dialect, enum api_error,
    const char *detail, const char *request_id);
/* The event that tells a user in mid-stream that the answer failed. */
void api_error_event(
    struct buf *, enum dialect, enum api_error, const char *request_id);
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
	struct api_place model_at; /* its value, quotes included */
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
	bool no_store;		     /* the response is not to be kept */
	bool batch;		     /* it is, or is a file for, a batch */
	uint32_t nrefs;		     /* may be more than there is room for */
	struct api_ref refs[API_REFS_MAX];
	uint64_t characters;	     /* of the text to be spoken */
	uint64_t media_bytes;	     /* of the files of a form */
	uint32_t sound_rate;	     /* bytes a second of sound; 0: unknown */
	/* Bit i: whoever answers has a price for kind i itself. Set once
	 * that is known; estimates count what has one. */
	uint32_t priced;
};

/*
 * One pass over a contiguous body. API_ERR_invalid_request with *why set if
 * it is not a JSON object, a routing field is there twice, has an escaped
 * key or a wrong type, or the model is missing, empty or too long.
 */
enum api_error api_inspect(const struct endpoint *, struct span body,
    struct api_request *, const char **why);

/*
 * What a form endpoint can take: 415 if the type is not multipart/form-data
 * with a boundary of RFC 2046, which is *boundary then (in type).
 */
enum api_error api_form_type(struct span type, struct span *boundary);
/* api_inspect() of a form; model_at is then without quotes. */
enum api_error api_inspect_form(const struct endpoint *, struct span boundary,
    struct span body, struct api_request *, const char **why);

/*
 * Splices the body in place for a candidate: the model's name if it differs
 * and, if ask_usage, stream_options.include_usage = true. Everything else
 * keeps its bytes. Offsets in req are those of the original body: always
 * start from the original.
 */
void api_prepare(const struct api_request *, struct buf *body,
    struct span model, bool ask_usage);

/* ---- metering ----------------------------------------------------------- */

/*
 * The meter of one answer. Bytes go through it to the user; it takes usage
 * only from its path in the structure and holds at most METER_HOLD bytes
 * (the event of which it is not yet known whether the user may see it).
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

/*
 * stream: the answer is text/event-stream. hide_usage: usage was asked for
 * by us and not by the user, whose stream must not show the extra chunk
 * (choices empty, usage set) nor "usage":null members we caused.
 */
struct meter *meter_new(const struct endpoint *, bool stream, bool hide_usage);
void meter_free(struct meter *);
/* Takes bytes of the answer and appends those for the user to out. */
void meter_feed(struct meter *, struct span bytes, struct buf *out);
/* The answer has ended: appends what was still held. */
void meter_finish(struct meter *, struct buf *out);
const struct meter_report *meter_get(const struct meter *);
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

#endif

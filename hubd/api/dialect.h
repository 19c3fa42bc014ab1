/*
 * What a dialect is made of; private to this room. A dialect's file defines
 * one of these tables, api.c dispatches to it.
 */
#ifndef HUBD_API_DIALECT_H
#define HUBD_API_DIALECT_H

#include "common/json.h"
#include "hubd/api/api.h"
#include "hubd/api/reader.h"

struct dialect_ops {
	const char *name;
	/* Where the key may be but in Authorization; NULL: nowhere. */
	const char *key_field;
	bool key_in_query;
	const char *id_field;	     /* api_id_field() */
	const char *const *forwards; /* user's fields; ends with NULL */
	/* Fields of answers; "-" at an end: all that begin so. */
	const char *const *carries;
	const char *const *carries_429; /* of refusals for now, as well */
	/* NULL: values go on whole. */
	struct span (*carried_value)(struct span name, struct span value);
	/* NULL: no endpoint of that dialect has a body. */
	enum api_error (*inspect)(const struct endpoint *, struct span body,
	    struct api_request *, const char **why);
	/* Of forms; NULL: the dialect has none. */
	enum api_error (*inspect_form)(struct span boundary, struct span body,
	    struct api_request *, const char **why);
	/* NULL: bodies never change. */
	void (*prepare)(const struct api_request *, struct buf *body,
	    struct span model, bool ask_usage);
	void (*models)(struct jout *, const struct api_model *, size_t n);
	void (*model)(struct jout *, const struct api_model *);
	void (*error_body)(struct buf *, enum api_error, const char *detail,
	    const char *request_id);
	/* Lines of the head of one of our errors; NULL: none. */
	void (*error_fields)(struct buf *, enum api_error);
	/* Around the body, an event that tells of an error in mid-stream;
	 * NULL: there are no streams of events. */
	const char *event_begin, *event_end;
	/* The same in the dialect's other kind of streams; NULL: none. */
	void (*error_joined)(struct buf *, enum meter_joint, enum api_error,
	    const char *request_id);
	/* Writes what a user may see of a provider's error; doc is NULL if it
	 * is no JSON. false: it has not the dialect's shape, and nothing is
	 * written. */
	bool (*put_error)(struct jout *, const struct json *doc);
};

extern const struct dialect_ops dialect_openai, dialect_azure,
    dialect_anthropic, dialect_gemini, dialect_bedrock;

/* Never NULL. */
const struct dialect_ops *dialect_ops(enum dialect);

/* What Azure shares with OpenAI: openai.c, openai_inspect.c. */
enum api_error openai_inspect(const struct endpoint *, struct span body,
    struct api_request *, const char **why);
void openai_prepare(const struct api_request *, struct buf *body,
    struct span model, bool ask_usage);
void openai_models(struct jout *, const struct api_model *, size_t n);
void openai_model(struct jout *, const struct api_model *);
extern const char *const openai_forwards[], *const openai_carries[],
						*const openai_carries_429[];

/* Those of forms (openai_form.c). */
enum api_error openai_inspect_form(struct span boundary, struct span body,
    struct api_request *, const char **why);
void openai_prepare_form(
    const struct api_request *, struct buf *body, struct span model);

/* Of messages (anthropic_inspect.c). */
enum api_error anthropic_inspect(const struct endpoint *, struct span body,
    struct api_request *, const char **why);
void anthropic_prepare(const struct api_request *, struct buf *body,
    struct span model, bool ask_usage);

/* gemini_inspect.c, bedrock_inspect.c. */
enum api_error gemini_inspect(const struct endpoint *, struct span body,
    struct api_request *, const char **why);
void gemini_prepare(const struct api_request *, struct buf *body,
    struct span model, bool ask_usage);
enum api_error bedrock_inspect(const struct endpoint *, struct span body,
    struct api_request *, const char **why);
/* Those of requests about objects, in which no model is (openai_object.c). */
enum api_error openai_inspect_upload(struct span boundary, struct span body,
    struct api_request *, const char **why);
enum api_error openai_inspect_batch(
    struct span body, struct api_request *, const char **why);
/* Clients send "{}" where nothing is to be said. */
enum api_error openai_inspect_nothing(
    struct span body, struct api_request *, const char **why);

/* errors.def: the members that dialects put into their own shapes. */
const char *api_error_type(enum api_error);
const char *api_error_text(enum api_error);

/*
 * Appends text without what could tell of the inside: URLs, host names,
 * addresses, paths, keys and account numbers become "[removed]"; sentences,
 * model names and ordinary numbers stay.
 */
void scrub_text(struct buf *, struct span text);

/* The body of a refusal, NULL if it is too large or no JSON. */
struct json *scrub_parse(struct span body);
/* The error in it: its member, or that of the first of an array; NULL if there
 * is none with a message. doc may be NULL. */
const struct json *scrub_error_of(const struct json *doc);
/*
 * The member of that name as a member of what is being written: as a text,
 * scrubbed, or null if it is none; or as a short word or number that goes on
 * whole or, if it holds anything doubtful, not (null).
 */
void scrub_message(struct jout *, const struct json *obj, const char *name);
void scrub_word(struct jout *, const struct json *obj, const char *name);

/*
 * scrub_doc.c: what is known to be an error and came with status 200, with
 * each text in it scrubbed and all else as it was. Appends nothing and returns
 * false if it cannot be read.
 */
bool scrub_document(struct buf *, struct span json);
/* A raw event of a stream of events with data_len bytes of data, lines joined;
 * the empty line at its end may be missing. */
bool scrub_event(struct buf *, struct span event, uint64_t data_len);
/* A message of an Amazon stream whose CRCs are right; one whose document is
 * wrapped in base64 only if nothing in it changes (bedrock.c). */
bool scrub_amazon(struct buf *, struct span message, bool wrapped);

#endif

/*
 * What a dialect is made of; private to this room. A dialect's file defines
 * one of these tables, api.c dispatches to it.
 */
#ifndef HUBD_API_DIALECT_H
#define HUBD_API_DIALECT_H

#include "hubd/api/api.h"
#include "hubd/api/reader.h"

struct dialect_ops {
	const char *name;
	struct span (*key_of)(const struct http1_head *);
	enum api_error (*inspect)(const struct endpoint *, struct span body,
	    struct api_request *, const char **why);
	/* Of forms; NULL: the dialect has none. */
	enum api_error (*inspect_form)(struct span boundary, struct span body,
	    struct api_request *, const char **why);
	void (*prepare)(const struct api_request *, struct buf *body,
	    struct span model, bool ask_usage);
	void (*error_body)(struct buf *, enum api_error, const char *detail,
	    const char *request_id);
	void (*error_event)(
	    struct buf *, enum api_error, const char *request_id);
	bool (*error_scrub)(struct buf *, struct span provider_body);
};

extern const struct dialect_ops dialect_openai;

/* Never NULL. */
const struct dialect_ops *dialect_ops(enum dialect);

/* inspect and prepare of the OpenAI dialect (openai_inspect.c). */
enum api_error openai_inspect(const struct endpoint *, struct span body,
    struct api_request *, const char **why);
void openai_prepare(const struct api_request *, struct buf *body,
    struct span model, bool ask_usage);

/* Those of forms (openai_form.c). */
enum api_error openai_inspect_form(struct span boundary, struct span body,
    struct api_request *, const char **why);
void openai_prepare_form(
    const struct api_request *, struct buf *body, struct span model);

/* errors.def: the members that dialects put into their own shapes. */
const char *api_error_type(enum api_error);
const char *api_error_text(enum api_error);

/*
 * Appends text without what could tell of the inside: URLs, host names,
 * addresses, paths, keys and account numbers become "[removed]"; sentences,
 * model names and ordinary numbers stay.
 */
void scrub_text(struct buf *, struct span text);

#endif

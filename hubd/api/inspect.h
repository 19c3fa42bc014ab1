/*
 * What a JSON request asks, by a table of the fields that decide routing,
 * money or the shape of the answer: the dialects but OpenAI's, which has
 * more to it (openai_inspect.c). Private to this room.
 */
#ifndef HUBD_API_INSPECT_H
#define HUBD_API_INSPECT_H

#include "common/jscan.h"
#include "hubd/api/api.h"

enum ask {
	ASK_MODEL,
	ASK_STREAM,
	ASK_TIER,
	ASK_MAX,    /* tokens of output; the largest of several counts */
	ASK_N,	    /* answers */
	ASK_CONFIG, /* an object with more of these */
	ASK_QUIET,  /* nothing in it becomes input */
};

struct ask_field {
	const char *name;
	enum ask ask;
	const char *twice, *odd, *type;
};
/* name is there once at most, and is the name of nothing else but for the
 * case of letters: what could be read in two ways is refused. */
#define ASK(n, a)                                                        \
	{                                                                \
		n, a, "The field \"" n "\" is there twice.",             \
		    "The field \"" n "\" is spelt in an ambiguous way.", \
		    "The field \"" n "\" has a wrong type or value."     \
	}
#define ASK_END                                   \
	{                                         \
		NULL, ASK_QUIET, NULL, NULL, NULL \
	}

/* Both tables end with ASK_END and have at most 32 rows. */
struct ask_shape {
	const struct ask_field *top, *config;
	/* Objects under these keys, at any depth, are media, not text; ends
	 * with NULL. */
	const char *const *media;
};

/*
 * One pass over the body; req has been begun (api.c). The model is missing
 * only if nothing names it, in a path or here.
 */
enum api_error inspect_json(const struct ask_shape *, struct span body,
    struct api_request *, const char **why);
/* Takes the value of the body's model; NULL or why not. */
const char *inspect_model(
    struct api_request *, const struct jscan_value *, const char *wrong_type);
/* Takes a field's value; false: it is of a wrong type. Null is no count, and
 * false; of several counts the largest counts. */
bool inspect_count(const struct jscan_value *, uint64_t *out);
bool inspect_bool(const struct jscan_value *, bool *out);
/* Puts the model's name into its place in the body, or into the gap. */
void splice_model(
    const struct api_request *, struct buf *body, struct span model);

#endif

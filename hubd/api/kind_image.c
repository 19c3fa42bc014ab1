/*
 * Images: those who count tokens report them, and all they put out is image;
 * of the others the images of the answer are counted.
 */
#include "hubd/api/reader.h"

#define IMAGE_TOKENS 1056 /* a square one of medium quality */
#define IMAGE_BOUND  6240 /* the largest, of high quality */

static const struct member top[] = {
    {SPAN("type"), N_TYPE},
    {SPAN("usage"), N_USAGE},
    {SPAN("data"), N_IMAGES},
    {SPAN("error"), N_ERROR},
    {{NULL, 0}, 0},
};

static const struct event_type types[] = {
    {"image_generation.completed", .last = true, .image = true},
    {"image_edit.completed", .last = true, .image = true},
    {"error", .failed = true},
    {NULL, .last = false},
};

static void
output_is_image(const struct raw_usage *raw, struct usage *u)
{
	if (raw_has(raw, RAW_IMAGE_OUT))
		return;
	u->n[USAGE_image_output] += u->n[USAGE_output];
	u->n[USAGE_output] = 0;
}

static bool
has(const struct api_request *req, enum usage_kind kind)
{
	return (req->priced >> kind & 1);
}

static const char *
count_images(const struct learnt *l, const struct api_request *req,
    const struct meter_report *rep, struct usage *u)
{
	/* A broken answer hides how many there were: as asked. */
	uint64_t n = rep->finished ? rep->images : req->n;

	if (has(req, USAGE_images) ||
	    !(has(req, USAGE_output) || has(req, USAGE_image_output))) {
		u->n[USAGE_images] = n;
		return (rep->finished ? "" : "asked");
	}
	if (n > USAGE_MAX_COUNT / IMAGE_TOKENS)
		n = USAGE_MAX_COUNT / IMAGE_TOKENS;
	u->n[USAGE_input] = estimate_input_bound(l, req);
	u->n[USAGE_image_output] = n * IMAGE_TOKENS;
	return ("images");
}

static void
bound_images(
    const struct learnt *l, const struct api_request *req, struct usage *bound)
{
	bound->n[USAGE_input] = estimate_input_bound(l, req);
	bound->n[USAGE_requests] = 1;
	bound->n[USAGE_images] = req->n;
	if (__builtin_mul_overflow(
		req->n, IMAGE_BOUND, &bound->n[USAGE_image_output]))
		bound->n[USAGE_image_output] = UINT64_MAX;
}

const struct kind kind_image = {
    .members =
	{
	    [N_TOP] = top,
	    [N_USAGE] = reader_io_usage,
	    [N_PROMPT_DETAILS] = reader_prompt_details,
	    [N_OUTPUT_DETAILS] = reader_output_details,
	},
    .element_of = {[N_IMAGES] = N_IMAGE},
    .types = types,
    .fix = output_is_image,
    .estimate = count_images,
    .bound = bound_images,
};

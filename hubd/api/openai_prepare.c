/* How an OpenAI request is spliced for a candidate. */
#include <string.h>

#include "hubd/api/dialect.h"
#include "hubd/api/inspect.h"

static void
splice_text(struct buf *body, struct api_place at, const char *text)
{
	buf_splice(body, at.begin, at.end - at.begin, text, strlen(text));
}

static struct api_place
before(uint64_t offset)
{
	return ((struct api_place){offset, offset});
}

static void
splice_usage(const struct api_request *req, struct buf *body)
{
	if (req->asked_usage)
		return;
	if (req->include_at.end != 0)
		splice_text(body, req->include_at, "true");
	else if (req->options_end != 0)
		splice_text(body, before(req->options_end),
		    req->options_empty ? "\"include_usage\":true"
				       : ",\"include_usage\":true");
	else if (req->options_at.end != 0)
		splice_text(body, req->options_at, "{\"include_usage\":true}");
	else
		splice_text(body, before(req->body_end),
		    ",\"stream_options\":{\"include_usage\":true}");
}

/* The later place first, so that the earlier one keeps its offset. */
void
openai_prepare(const struct api_request *req, struct buf *body,
    struct span model, bool ask_usage)
{
	bool options_first;

	if (req->form) {
		openai_prepare_form(req, body, model);
		return;
	}
	options_first = req->options_at.end != 0 &&
			req->options_at.begin < req->model_at.begin;
	if (options_first)
		splice_model(req, body, model);
	if (ask_usage)
		splice_usage(req, body);
	if (!options_first)
		splice_model(req, body, model);
}

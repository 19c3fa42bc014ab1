/* What an OpenAI request asks. */
#include <string.h>

#include "hubd/api/dialect.h"
#include "hubd/api/inspect.h"

/* A token that the user counted himself weighs like an ordinary one. */
#define BYTES_PER_GIVEN_TOKEN 4
/* Keys of a part of a message's content are that deep. */
#define PART_DEPTH 5
/* And those of the container of one of the tools. */
#define CONTAINER_DEPTH 4

enum field {
	F_MODEL,
	F_STREAM,
	F_OPTIONS,
	F_MAX_COMPLETION,
	F_MAX_TOKENS,
	F_N,
	F_BEST_OF,
	F_TIER,
	F_MAX_OUTPUT,
	F_BACKGROUND,
	F_SPEECH_STREAM,
	F_FORMAT,
	F_INCLUDE, /* in stream_options */
	F_ROUTING, /* how many those are */
	F_MESSAGES,
	F_PROMPT,
	F_OTHER,
	F_QUIET, /* no input: no tokens */
};

/* Fields that decide routing, money or the shape of the answer. */
static const struct {
	const char *name, *twice, *odd, *type;
	enum meter_kind only; /* NONE: at all endpoints */
} routing[F_ROUTING] = {
#define ROUTING(f, n) ROUTING_OF(METER_NONE, f, n)
#define ROUTING_OF(m, f, n)                                      \
	[f] = {n, "The field \"" n "\" is there twice.",         \
	    "The field \"" n "\" is spelt in an ambiguous way.", \
	    "The field \"" n "\" has a wrong type or value.", m}
    ROUTING(F_MODEL, "model"),
    ROUTING(F_STREAM, "stream"),
    ROUTING(F_OPTIONS, "stream_options"),
    ROUTING(F_MAX_COMPLETION, "max_completion_tokens"),
    ROUTING(F_MAX_TOKENS, "max_tokens"),
    ROUTING(F_N, "n"),
    ROUTING(F_BEST_OF, "best_of"),
    ROUTING(F_TIER, "service_tier"),
    ROUTING_OF(METER_RESPONSE, F_MAX_OUTPUT, "max_output_tokens"),
    ROUTING_OF(METER_RESPONSE, F_BACKGROUND, "background"),
    ROUTING_OF(METER_SPEECH, F_SPEECH_STREAM, "stream_format"),
    ROUTING_OF(METER_SPEECH, F_FORMAT, "response_format"),
    ROUTING(F_INCLUDE, "include_usage"),
#undef ROUTING_OF
#undef ROUTING
};

static const char *const quiet[] = {"user", "metadata", "store",
    "prompt_cache_key", "previous_response_id", "safety_identifier",
    "encoding_format", "reasoning_effort", "verbosity", "modalities"};

static const char *const media[] = {"image_url", "input_audio", "file",
    "video_url", "input_image", "file_data", "file_url"};

struct inspector {
	struct api_request *req;
	struct span body;
	const char *why;
	enum field field;     /* the top-level member under way */
	enum field inner;     /* F_INCLUDE while that is under way */
	unsigned media_depth; /* strings that deep are media, not text */
	uint32_t seen;
	uint64_t prompts;
	uint64_t best_of;
	enum meter_kind meter;
	bool in_tools, in_store;
	enum object_kind ref; /* strings are ids of those, until the next key */
};

static bool
refuse(struct inspector *in, const char *why)
{
	in->why = why;
	return (false);
}

static bool
listed(const char *const *list, size_t n, struct span key)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (span_eq(key, span_str(list[i])))
			return (true);
	}
	return (false);
}

/*
 * Parsers differ in which of two equal keys they take, and some ignore the
 * case of letters: what could be read in two ways is refused.
 */
static bool
routing_key(struct inspector *in, enum field f, struct span key, bool escaped)
{
	if (escaped || !span_eq(key, span_str(routing[f].name)))
		return (refuse(in, routing[f].odd));
	if (in->seen & 1u << f)
		return (refuse(in, routing[f].twice));
	in->seen |= 1u << f;
	return (true);
}

/* Is its input a conversation, whose parts may be media? */
static bool
has_parts(enum meter_kind meter)
{
	return (meter == METER_RESPONSE || meter == METER_COUNT);
}

static bool
top_key(struct inspector *in, struct span key, bool escaped)
{
	enum field f;

	in->inner = F_OTHER;
	for (f = 0; f < F_INCLUDE; f++) {
		if (routing[f].only != METER_NONE &&
		    routing[f].only != in->meter)
			continue;
		if (!span_ieq(key, span_str(routing[f].name)))
			continue;
		in->field = f;
		return (routing_key(in, f, key, escaped));
	}
	in->field = F_OTHER;
	if (span_eq(key, SPAN("messages")) ||
	    (has_parts(in->meter) && span_eq(key, SPAN("input"))))
		in->field = F_MESSAGES;
	else if (span_eq(key, SPAN("prompt")) || span_eq(key, SPAN("input")))
		in->field = F_PROMPT;
	else if (listed(quiet, sizeof(quiet) / sizeof(quiet[0]), key))
		in->field = F_QUIET;
	return (true);
}

/*
 * Where ids of objects are: the response before this one, files in parts of
 * the input, however deep (what a tool answers may hold some), and those
 * that a tool's container begins with. Arguments of functions are texts, and
 * their schemas hold no ids.
 */
static enum object_kind
ref_of(const struct inspector *in, unsigned depth, struct span key)
{
	if (depth == 1)
		return (span_eq(key, SPAN("previous_response_id"))
			    ? OBJECT_RESPONSE
			    : OBJECT_NONE);
	if (in->field == F_MESSAGES && span_eq(key, SPAN("file_id")))
		return (OBJECT_FILE);
	if (in->in_tools && depth == CONTAINER_DEPTH &&
	    span_eq(key, SPAN("file_ids")))
		return (OBJECT_FILE);
	return (OBJECT_NONE);
}

static void
take_ref(struct inspector *in, const struct jscan_value *v)
{
	struct api_request *req = in->req;

	if (req->nrefs < API_REFS_MAX)
		req->refs[req->nrefs] =
		    (struct api_ref){{v->begin + 1, v->end - 1}, in->ref};
	req->nrefs++;
}

static bool
on_key(struct jscan *s, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	struct inspector *in = arg;

	(void)s, (void)begin;
	if (depth == 1) {
		in->in_tools = span_eq(key, SPAN("tools"));
		in->in_store = span_eq(key, SPAN("store"));
	}
	in->ref = ref_of(in, depth, key);
	if (depth <= in->media_depth)
		in->media_depth = 0;
	if (depth == 1) {
		in->req->gap_last = false;
		return (top_key(in, cut ? span_of(NULL, 0) : key, escaped));
	}
	if (depth == 2 && in->field == F_OPTIONS) {
		in->inner = F_OTHER;
		in->req->options_empty = false;
		if (!span_ieq(key, span_str(routing[F_INCLUDE].name)))
			return (true);
		in->inner = F_INCLUDE;
		return (routing_key(in, F_INCLUDE, key, escaped));
	}
	if (depth == PART_DEPTH && in->field == F_MESSAGES &&
	    listed(media, sizeof(media) / sizeof(media[0]), key)) {
		in->req->media++;
		in->media_depth = depth;
	}
	return (true);
}

static bool
take_count(struct inspector *in, const struct jscan_value *v, uint64_t *out)
{
	return (inspect_count(v, out) || refuse(in, routing[in->field].type));
}

static bool
take_tier(struct inspector *in, const struct jscan_value *v)
{
	if (v->type == JSCAN_NULL)
		return (true);
	if (v->type != JSCAN_STRING || v->cut)
		return (refuse(in, routing[F_TIER].type));
	in->req->tier = service_tier_parse(v->text.p, v->text.n);
	return (true);
}

static bool
take_options(struct inspector *in, const struct jscan_value *v)
{
	if (v->type != JSCAN_OBJECT && v->type != JSCAN_NULL)
		return (refuse(in, routing[F_OPTIONS].type));
	in->req->options_at = (struct api_place){v->begin, v->end};
	in->req->options_empty = v->type == JSCAN_OBJECT;
	return (true);
}

static bool
take_speech_stream(struct inspector *in, const struct jscan_value *v)
{
	if (v->type != JSCAN_STRING && v->type != JSCAN_NULL)
		return (refuse(in, routing[F_SPEECH_STREAM].type));
	in->req->stream =
	    v->type == JSCAN_STRING && !v->cut && span_eq(v->text, SPAN("sse"));
	return (true);
}

/* Bytes a second of the formats in which speech is answered. */
static bool
take_sound_format(struct inspector *in, const struct jscan_value *v)
{
	static const struct {
		const char *name;
		uint32_t rate;
	} formats[] = {{"mp3", 16000}, {"opus", 4000}, {"aac", 8000},
	    {"flac", 24000}, {"wav", 48000}, {"pcm", 48000}};
	size_t i;

	if (v->type != JSCAN_STRING && v->type != JSCAN_NULL)
		return (refuse(in, routing[F_FORMAT].type));
	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (v->type == JSCAN_STRING &&
		    span_eq(v->text, span_str(formats[i].name)))
			in->req->sound_rate = formats[i].rate;
	}
	return (true);
}

/* Characters of a JSON string as it is written: one of \\uD8.. and its other
 * half is one. */
static uint64_t
characters_of(struct span s)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] != '\\') {
			n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
			continue;
		}
		i++;
		if (i + 2 < s.n && s.p[i] == 'u') {
			n += !((s.p[i + 1] | 0x20) == 'd' &&
			       strchr("cdefCDEF", s.p[i + 2]) != NULL);
			i += 4;
		} else {
			n++;
		}
	}
	return (n);
}

/* Such an answer is fetched later, by a path that there is not here. */
static bool
take_background(struct inspector *in, const struct jscan_value *v)
{
	bool background = false;

	if (!inspect_bool(v, &background))
		return (refuse(in, routing[F_BACKGROUND].type));
	return (!background ||
		refuse(in, "Responses in the background are not offered."));
}

static bool
top_value(struct inspector *in, const struct jscan_value *v)
{
	struct api_request *req = in->req;

	switch (in->field) {
	case F_MODEL:
		in->why = inspect_model(in->req, v, routing[F_MODEL].type);
		return (in->why == NULL);
	case F_STREAM:
		return (inspect_bool(v, &req->stream) ||
			refuse(in, routing[F_STREAM].type));
	case F_OPTIONS:
		return (take_options(in, v));
	case F_MAX_COMPLETION:
	case F_MAX_TOKENS:
	case F_MAX_OUTPUT:
		return (take_count(in, v, &req->max_output));
	case F_N:
		return (take_count(in, v, &req->n));
	case F_BEST_OF:
		return (take_count(in, v, &in->best_of));
	case F_TIER:
		return (take_tier(in, v));
	case F_BACKGROUND:
		return (take_background(in, v));
	case F_SPEECH_STREAM:
		return (take_speech_stream(in, v));
	case F_FORMAT:
		return (take_sound_format(in, v));
	case F_INCLUDE:
	case F_ROUTING:
	case F_MESSAGES:
	case F_PROMPT:
	case F_OTHER:
	case F_QUIET:
		break;
	}
	return (true);
}

/* What the provider will count as input, as far as it can be seen. */
static void
weigh(struct inspector *in, unsigned depth, const struct jscan_value *v)
{
	if (in->field == F_PROMPT && depth == 2 &&
	    (v->type == JSCAN_STRING || v->type == JSCAN_ARRAY))
		in->prompts++;
	if (in->media_depth != 0 && depth >= in->media_depth)
		return;
	if (v->type == JSCAN_STRING)
		in->req->text_bytes += v->size;
	else if (v->type == JSCAN_NUMBER && in->field == F_PROMPT)
		in->req->text_bytes += BYTES_PER_GIVEN_TOKEN;
}

static bool
on_value(
    struct jscan *s, void *arg, unsigned depth, const struct jscan_value *v)
{
	struct inspector *in = arg;

	(void)s;
	if (depth == 0) {
		in->req->model_gap =
		    (struct api_place){v->begin + 1, v->begin + 1};
		in->req->gap_last = true;
		return (v->type == JSCAN_OBJECT
			    ? true
			    : refuse(in, "The body is not a JSON object."));
	}
	if (in->ref != OBJECT_NONE && v->type == JSCAN_STRING)
		take_ref(in, v);
	if (depth == 1 && in->field < F_ROUTING)
		return (top_value(in, v));
	if (depth == 1 && in->in_store)
		in->req->no_store = v->type == JSCAN_FALSE;
	if (depth == 2 && in->inner == F_INCLUDE) {
		in->req->include_at = (struct api_place){v->begin, v->end};
		return (inspect_bool(v, &in->req->asked_usage) ||
			refuse(in, routing[F_INCLUDE].type));
	}
	if (in->meter == METER_SPEECH && in->field == F_PROMPT && depth == 1 &&
	    v->type == JSCAN_STRING)
		in->req->characters = characters_of(
		    span_of(in->body.p + v->begin + 1, v->end - v->begin - 2));
	if (in->field != F_QUIET)
		weigh(in, depth, v);
	return (true);
}

static bool
on_close(struct jscan *s, void *arg, unsigned depth, uint64_t offset)
{
	struct inspector *in = arg;

	(void)s;
	if (depth == 0)
		in->req->body_end = offset - 1;
	if (depth == 1 && in->field == F_OPTIONS) {
		in->req->options_at.end = offset;
		in->req->options_end = offset - 1;
	}
	return (true);
}

static const struct jscan_handler inspecting = {
    .on_key = on_key, .on_value = on_value, .on_close = on_close};

/* Each prompt of a list is answered n or best_of times. */
static void
count_answers(struct inspector *in)
{
	struct api_request *req = in->req;

	if (req->n == 0)
		req->n = 1;
	if (in->meter != METER_COMPLETION)
		return;
	if (in->best_of > req->n)
		req->n = in->best_of;
	if (in->prompts > 1 &&
	    __builtin_mul_overflow(req->n, in->prompts, &req->n))
		req->n = UINT64_MAX;
}

enum api_error
openai_inspect(const struct endpoint *ep, struct span body,
    struct api_request *req, const char **why)
{
	struct inspector in = {.req = req,
	    .body = body,
	    .field = F_OTHER,
	    .inner = F_OTHER,
	    .meter = ep->meter};
	const struct kind *kind = kind_of(ep->meter);
	struct jscan s;

	jscan_init(&s, &inspecting, &in);
	jscan_feed(&s, body);
	if (jscan_finish(&s) == JSCAN_BAD)
		in.why = "The body is not valid JSON.";
	else if (in.why == NULL && req->model_at.end == 0 && !req->named)
		in.why = "The field \"model\" is missing.";
	req->model_differs |= req->model_at.end == 0;
	req->no_output = kind != NULL && kind->read_at_once;
	count_answers(&in);
	*why = in.why;
	return (in.why == NULL ? API_OK : API_ERR_invalid_request);
}

/*
 * Reading documents of OpenAI answers: usage, finish reasons, errors and the
 * size of generated text, each only at its path in the structure.
 */
#include <string.h>

#include "hubd/api/dialect.h"

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
	N_ERROR,
	N_PARENTS, /* no member of these is looked at */
	N_TIER = N_PARENTS,
	N_INDEX,
	N_FINISH,
	N_TEXT,
	N_RAW, /* + enum raw_count */
};

struct member {
	struct span key;
	uint8_t node;
};

static const struct member top[] = {
    {SPAN("choices"), N_CHOICES},
    {SPAN("usage"), N_USAGE},
    {SPAN("error"), N_ERROR},
    {SPAN("service_tier"), N_TIER},
    {SPAN("x_groq"), N_GROQ},
    {{NULL, 0}, 0},
};
static const struct member usage[] = {
    {SPAN("prompt_tokens"), N_RAW + RAW_PROMPT},
    {SPAN("completion_tokens"), N_RAW + RAW_COMPLETION},
    {SPAN("total_tokens"), N_RAW + RAW_TOTAL},
    {SPAN("prompt_cache_hit_tokens"), N_RAW + RAW_CACHE_HIT},
    {SPAN("num_cached_tokens"), N_RAW + RAW_NUM_CACHED},
    {SPAN("prompt_tokens_details"), N_PROMPT_DETAILS},
    {SPAN("completion_tokens_details"), N_OUTPUT_DETAILS},
    {{NULL, 0}, 0},
};
static const struct member prompt_details[] = {
    {SPAN("cached_tokens"), N_RAW + RAW_CACHED},
    {SPAN("cache_write_tokens"), N_RAW + RAW_CACHE_WRITE},
    {SPAN("audio_tokens"), N_RAW + RAW_AUDIO_IN},
    {SPAN("image_tokens"), N_RAW + RAW_IMAGE_IN},
    {{NULL, 0}, 0},
};
static const struct member output_details[] = {
    {SPAN("reasoning_tokens"), N_RAW + RAW_REASONING},
    {SPAN("audio_tokens"), N_RAW + RAW_AUDIO_OUT},
    {SPAN("image_tokens"), N_RAW + RAW_IMAGE_OUT},
    {{NULL, 0}, 0},
};
static const struct member groq[] = {
    {SPAN("usage"), N_GROQ_USAGE},
    {{NULL, 0}, 0},
};
static const struct member choice[] = {
    {SPAN("index"), N_INDEX},
    {SPAN("delta"), N_MESSAGE},
    {SPAN("message"), N_MESSAGE},
    {SPAN("finish_reason"), N_FINISH},
    {SPAN("text"), N_TEXT},
    {{NULL, 0}, 0},
};
static const struct member message[] = {
    {SPAN("content"), N_CONTENT},
    {SPAN("reasoning_content"), N_CONTENT},
    {SPAN("reasoning"), N_TEXT},
    {SPAN("refusal"), N_TEXT},
    {SPAN("tool_calls"), N_TOOL_CALLS},
    {SPAN("function_call"), N_FUNCTION},
    {{NULL, 0}, 0},
};
static const struct member part[] = {
    {SPAN("text"), N_TEXT},
    {SPAN("thinking"), N_CONTENT},
    {{NULL, 0}, 0},
};
static const struct member tool_call[] = {
    {SPAN("function"), N_FUNCTION},
    {SPAN("custom"), N_FUNCTION},
    {{NULL, 0}, 0},
};
static const struct member function[] = {
    {SPAN("name"), N_TEXT},
    {SPAN("arguments"), N_TEXT},
    {SPAN("input"), N_TEXT},
    {{NULL, 0}, 0},
};

static const struct member *const members[N_PARENTS] = {
    [N_TOP] = top,
    [N_USAGE] = usage,
    [N_GROQ_USAGE] = usage,
    [N_PROMPT_DETAILS] = prompt_details,
    [N_OUTPUT_DETAILS] = output_details,
    [N_GROQ] = groq,
    [N_CHOICE] = choice,
    [N_MESSAGE] = message,
    [N_PART] = part,
    [N_TOOL_CALL] = tool_call,
    [N_FUNCTION] = function,
};

static const uint8_t element_of[N_PARENTS] = {
    [N_CHOICES] = N_CHOICE,
    [N_TOOL_CALLS] = N_TOOL_CALL,
    [N_CONTENT] = N_PART,
};

void
reader_init(struct reader *r, struct meter_report *report)
{
	memset(r, 0, sizeof(*r));
	r->report = report;
}

void
reader_start(struct reader *r)
{
	r->next = N_TOP;
	r->text_before = r->report->text_bytes;
	r->choice_done = false;
	r->empty_choices = r->has_usage = r->has_error = false;
	r->null_usage = (struct api_place){0, 0};
}

bool
reader_finished(const struct reader *r)
{
	return ((r->seen[0] | r->seen[1]) != 0 && r->seen[0] == r->done[0] &&
		r->seen[1] == r->done[1] && !r->many_choices);
}

static void
choice_close(struct reader *r)
{
	uint64_t bit;

	if (r->choice >= 128) {
		r->many_choices = true;
		return;
	}
	bit = UINT64_C(1) << (r->choice & 63);
	r->seen[r->choice >> 6] |= bit;
	if (r->choice_done)
		r->done[r->choice >> 6] |= bit;
}

/* A later report replaces an earlier one; it is never added. */
static void
usage_close(struct reader *r, enum node node)
{
	const uint32_t counts =
	    1u << RAW_PROMPT | 1u << RAW_COMPLETION | 1u << RAW_TOTAL;
	struct usage u;

	if ((r->raw.seen & counts) == 0 && !r->raw.bad)
		return;
	if (node == N_GROQ_USAGE && r->has_own_usage)
		return;
	if (!openai_usage(&r->raw, &u)) {
		r->report->broken = true;
		return;
	}
	if (node == N_USAGE)
		r->has_own_usage = true;
	r->report->usage = u;
	r->report->has_usage = true;
}

static bool
on_key(struct jscan *s, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	struct reader *r = arg;
	const struct member *m;

	(void)s, (void)escaped;
	r->next = N_IGNORED;
	m = members[r->node[depth]];
	if (m == NULL || cut)
		return (true);
	for (; m->key.p != NULL; m++) {
		if (span_eq(m->key, key)) {
			r->next = m->node;
			r->key_begin = begin;
			break;
		}
	}
	return (true);
}

static void
open_value(struct jscan *s, struct reader *r, unsigned depth, enum node node,
    enum jscan_type type)
{
	bool wants_array;

	r->node[depth + 1] = N_IGNORED;
	if (node >= N_PARENTS)
		return;
	wants_array = element_of[node] != N_IGNORED;
	if (wants_array != (type == JSCAN_ARRAY))
		return;
	r->node[depth + 1] = (uint8_t)node;
	if (node == N_CHOICES)
		r->empty_choices = true;
	if (node == N_CHOICE) {
		r->choice = jscan_index(s);
		r->choice_done = false;
	}
	if (node == N_USAGE || node == N_GROQ_USAGE)
		memset(&r->raw, 0, sizeof(r->raw));
	if (node == N_USAGE)
		r->has_usage = true;
	if (node == N_ERROR)
		r->has_error = true;
}

static void
take_count(struct reader *r, unsigned which, const struct jscan_value *v)
{
	if (v->type == JSCAN_NULL)
		return;
	if (v->type == JSCAN_NUMBER && !v->cut &&
	    jscan_count(v->text, &r->raw.n[which]))
		r->raw.seen |= 1u << which;
	else
		r->raw.bad = true;
}

static void
take_string(struct reader *r, enum node node, const struct jscan_value *v)
{
	if (node == N_CONTENT || node == N_TEXT)
		r->report->text_bytes += v->size;
	else if (node == N_FINISH)
		r->choice_done = v->size > 0;
	else if (node == N_ERROR)
		r->has_error = true;
	else if (node == N_TIER && !v->cut) {
		r->report->tier = service_tier_parse(v->text.p, v->text.n);
		r->report->tier_reported = true;
	}
}

static void
take_scalar(struct reader *r, enum node node, const struct jscan_value *v)
{
	uint64_t n;

	if (node >= N_RAW)
		take_count(r, node - N_RAW, v);
	else if (v->type == JSCAN_STRING)
		take_string(r, node, v);
	else if (node == N_INDEX && v->type == JSCAN_NUMBER &&
		 jscan_count(v->text, &n))
		r->choice = n;
	else if (node == N_USAGE && v->type == JSCAN_NULL)
		r->null_usage = (struct api_place){r->key_begin, v->end};
}

static bool
on_value(
    struct jscan *s, void *arg, unsigned depth, const struct jscan_value *v)
{
	struct reader *r = arg;
	enum node node = r->next;

	if (depth > 0 && s->stack[depth] == '[') {
		node = element_of[r->node[depth]];
		if (node == N_CHOICE)
			r->empty_choices = false;
	}
	if (v->type == JSCAN_OBJECT || v->type == JSCAN_ARRAY)
		open_value(s, r, depth, node, v->type);
	else if (node != N_IGNORED)
		take_scalar(r, node, v);
	return (true);
}

static bool
on_close(struct jscan *s, void *arg, unsigned depth, uint64_t offset)
{
	struct reader *r = arg;
	enum node node = r->node[depth + 1];

	(void)s, (void)offset;
	if (node == N_CHOICE)
		choice_close(r);
	else if (node == N_USAGE || node == N_GROQ_USAGE)
		usage_close(r, node);
	return (true);
}

const struct jscan_handler openai_reader = {on_key, on_value, on_close};

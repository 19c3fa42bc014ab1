/*
 * Reading documents of answers: usage, finish reasons, errors and the size
 * of generated text, each only at its path in the structure. Which paths
 * those are is in the tables of a kind; what becomes of counts that are found
 * there is in counts.c.
 */
#include <string.h>

#include "hubd/api/reader.h"

void
reader_init(struct reader *r, const struct kind *kind, bool stream,
    struct meter_report *report)
{
	memset(r, 0, sizeof(*r));
	r->report = report;
	r->kind = kind;
	r->stream = stream;
	r->counts = &r->raw;
}

void
reader_start(struct reader *r)
{
	r->next = N_TOP;
	r->text_before = r->report->text_bytes;
	r->choice_done = false;
	r->empty_choices = r->has_usage = r->has_error = false;
	r->is_first = r->is_last = r->ends = r->has_found = false;
	r->counts = &r->raw;
	r->null_usage = (struct api_place){0, 0};
}

void
reader_start_array(struct reader *r)
{
	reader_start(r);
	r->next = N_ALL;
}

bool
reader_finished(const struct reader *r)
{
	if (r->kind->types != NULL || r->was_last)
		return (r->was_last);
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

void
reader_end(struct reader *r)
{
	counts_end(r);
	r->was_last |= r->is_last || r->ends;
}

static void
all_close(struct reader *r, uint64_t end)
{
	if (r->on_document != NULL)
		r->on_document(r->arg, end);
}

static bool
on_key(struct jscan *s, void *arg, unsigned depth, struct span key, bool cut,
    bool escaped, uint64_t begin)
{
	struct reader *r = arg;
	const struct member *m;

	(void)s, (void)escaped;
	r->next = N_IGNORED;
	m = r->kind->members[r->node[depth]];
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
	/* What is no array is one document: a refusal is. */
	if (node == N_ALL && type == JSCAN_OBJECT)
		node = N_TOP;
	if (node >= N_PARENTS)
		return;
	if (node == N_ERROR)
		r->has_error = true;
	wants_array = r->kind->element_of[node] != N_IGNORED;
	if (wants_array != (type == JSCAN_ARRAY))
		return;
	if (node == N_TOP && depth > 0)
		reader_start(r);
	r->node[depth + 1] = (uint8_t)node;
	if (node == N_CHOICES)
		r->empty_choices = true;
	if (node == N_CHOICE) {
		r->choice = jscan_index(s);
		r->choice_done = false;
	}
	if (node == N_IMAGE)
		r->report->images++;
	counts_open(r, node);
}

void
reader_type(struct reader *r, struct span type)
{
	const struct event_type *t = r->kind->types;

	for (; t != NULL && t->name != NULL; t++) {
		if (!span_eq(type, span_str(t->name)))
			continue;
		r->is_first = t->first;
		r->is_last = t->last;
		r->ends = t->ends;
		r->has_error |= t->failed;
		r->report->images += t->image;
	}
}

/* Nothing was generated: the only candidate has ended. */
static void
block_answer(struct reader *r)
{
	r->seen[0] |= 1;
	r->done[0] |= 1;
}

/* Who says that it was fast says its service tier besides. */
static void
take_tier(struct reader *r, enum service_tier tier)
{
	if (r->report->tier != TIER_FAST)
		r->report->tier = tier;
	r->report->tier_reported = true;
}

/* "ON_DEMAND_PRIORITY" and the like. */
static void
take_traffic(struct reader *r, struct span name)
{
	static const struct {
		struct span name;
		enum service_tier tier;
	} tiers[] = {
	    {SPAN("ON_DEMAND_PRIORITY"), TIER_PRIORITY},
	    {SPAN("ON_DEMAND_FLEX"), TIER_FLEX},
	};

	for (size_t i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
		if (!span_eq(name, tiers[i].name))
			continue;
		r->report->tier = tiers[i].tier;
		r->report->tier_reported = true;
	}
}

/* The first one counts; one that does not fit is none. */
static void
copy_text(char *to, size_t cap, const struct jscan_value *v)
{
	if (to[0] != '\0' || v->cut || v->text.n >= cap)
		return;
	memcpy(to, v->text.p, v->text.n);
	to[v->text.n] = '\0';
}

/* completed, failed, expired and cancelled are final (OpenAI's API reference,
 * the batch object). */
static bool
is_final(struct span status)
{
	static const char *const final[] = {
	    "completed", "failed", "expired", "cancelled"};
	size_t i;

	for (i = 0; i < sizeof(final) / sizeof(final[0]); i++)
		if (span_eq(status, span_str(final[i])))
			return (true);
	return (false);
}

static void
take_object(struct reader *r, enum node node, const struct jscan_value *v)
{
	struct meter_object *o = &r->report->object;

	if (node == (r->stream ? N_ID : N_PLAIN_ID))
		copy_text(o->id, sizeof(o->id), v);
	else if (node == N_STATUS)
		o->ended = !v->cut && is_final(v->text);
	else if (node == N_MODEL)
		copy_text(o->model, sizeof(o->model), v);
	else if (node == N_OUTPUT_FILE)
		copy_text(o->files[0], sizeof(o->files[0]), v);
	else if (node == N_ERROR_FILE)
		copy_text(o->files[1], sizeof(o->files[1]), v);
}

static void
take_string(struct reader *r, enum node node, const struct jscan_value *v)
{
	if (node == N_CONTENT || node == N_TEXT ||
	    (node == N_WHOLE_TEXT && !r->stream))
		r->report->text_bytes += v->size;
	else if (node == N_FINISH)
		r->choice_done = v->size > 0;
	else if (node == N_ERROR)
		r->has_error = true;
	else if (node == N_TYPE && r->stream && !v->cut)
		reader_type(r, v->text);
	else if (node == N_BLOCKED)
		block_answer(r);
	else if (node == N_SHARE_OF)
		counts_take_share(r, v);
	else if (node == N_TRAFFIC && !v->cut)
		take_traffic(r, v->text);
	else if (node == N_TIER && !v->cut)
		take_tier(r, service_tier_parse(v->text.p, v->text.n));
	else if (node == N_SPEED && !v->cut && span_eq(v->text, SPAN("fast")))
		take_tier(r, TIER_FAST);
	else if (node >= N_ID && node <= N_ERROR_FILE)
		take_object(r, node, v);
}

static void
take_number(struct reader *r, enum node node, const struct jscan_value *v)
{
	uint64_t n;

	if (v->cut || !jscan_count(v->text, &n))
		return;
	if (node == N_INDEX)
		r->choice = n;
	else if (node == N_SHARE_COUNT)
		r->share_count = n;
	else if (node == N_SHARE_OF)
		counts_take_share(r, v);
	else if (node == N_FINISH)
		r->choice_done = n != 0;
	else if (node == N_BLOCKED && n != 0)
		block_answer(r);
}

static void
take_scalar(struct reader *r, enum node node, const struct jscan_value *v)
{
	if (node >= N_RAW)
		counts_take(r, node - N_RAW, v);
	else if (node == N_SECONDS || node == N_DURATION)
		counts_take_seconds(r, node, v);
	else if (v->type == JSCAN_STRING)
		take_string(r, node, v);
	else if (v->type == JSCAN_NUMBER)
		take_number(r, node, v);
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
		node = r->kind->element_of[r->node[depth]];
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

	(void)s;
	if (node == N_CHOICE)
		choice_close(r);
	else if (node == N_TOP && depth > 0)
		all_close(r, offset);
	else if (node != N_IGNORED)
		counts_close(r, node, r->node[depth]);
	return (true);
}

const struct jscan_handler reader_walk = {
    .on_key = on_key, .on_value = on_value, .on_close = on_close};

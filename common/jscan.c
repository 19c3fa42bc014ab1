/* A JSON scanner in bounded state, fed bytes as they come. */
#include "common/jscan.h"

#include <assert.h>

#include "common/jscan_private.h"
#include "common/plain.h"

static const char *const literals[] = {"true", "false", "null"};

void
jscan_init(struct jscan *s, const struct jscan_handler *handler, void *arg)
{
	s->handler = handler;
	s->arg = arg;
	s->offset = s->begin = s->size = 0;
	s->origin = NULL;
	s->result = JSCAN_MORE;
	s->state = ST_VALUE;
	s->depth = 0;
	s->code = s->high = s->utf8 = 0;
	s->nhex = s->literal = 0;
	s->is_key = s->cut = s->escaped = s->lenient = false;
	s->stack[0] = 0;
	s->index[0] = 0;
	s->text_len = 0;
}

void
jscan_be_lenient(struct jscan *s)
{
	s->lenient = true;
}

uint32_t
jscan_index(const struct jscan *s)
{
	unsigned d;

	for (d = s->depth; d > 0; d--) {
		if (s->stack[d] == '[')
			return (s->index[d]);
	}
	return (0);
}

static uint64_t
offset_of(const struct jscan *s, const char *p)
{
	return (s->offset + (uint64_t)(p - s->origin));
}

static void
text_start(struct jscan *s, const char *p)
{
	s->begin = offset_of(s, p);
	s->size = 0;
	s->text_len = 0;
	s->cut = s->escaped = false;
	s->high = 0;
}

static void
value_done(struct jscan *s)
{
	s->state = ST_AFTER;
	if (s->depth == 0) {
		s->state = ST_END;
		s->result = JSCAN_DONE;
	}
}

/* Reports a scalar, or the beginning of an object or array. */
static bool
report(struct jscan *s, enum jscan_type type, uint64_t end)
{
	struct jscan_value v = {
	    .type = type,
	    .text = span_of(s->text, s->text_len),
	    .cut = s->cut,
	    .escaped = s->escaped,
	    .size = s->size,
	    .begin = s->begin,
	    .end = end,
	};

	if (s->handler == NULL || s->handler->on_value == NULL)
		return (true);
	if (s->handler->on_value(s, s->arg, s->depth, &v))
		return (true);
	s->result = JSCAN_STOPPED;
	return (false);
}

static void
scalar(struct jscan *s, enum jscan_type type, uint64_t end)
{
	if (report(s, type, end))
		value_done(s);
}

static const char *
open_container(struct jscan *s, const char *p)
{
	if (s->depth == JSCAN_DEPTH)
		return (jscan_bad(s, p));
	text_start(s, p);
	if (!report(s, *p == '{' ? JSCAN_OBJECT : JSCAN_ARRAY, 0))
		return (p + 1);
	s->depth++;
	s->stack[s->depth] = (uint8_t)*p;
	s->index[s->depth] = 0;
	s->state = *p == '{' ? ST_KEY_OR_END : ST_VALUE_OR_END;
	return (p + 1);
}

static const char *
close_container(struct jscan *s, const char *p)
{
	assert(s->depth > 0);
	s->depth--;
	if (s->handler != NULL && s->handler->on_close != NULL &&
	    !s->handler->on_close(s, s->arg, s->depth, offset_of(s, p) + 1)) {
		s->result = JSCAN_STOPPED;
		return (p + 1);
	}
	value_done(s);
	return (p + 1);
}

static const char *
string_start(struct jscan *s, const char *p, bool is_key)
{
	text_start(s, p);
	s->is_key = is_key;
	s->state = ST_STRING;
	return (p + 1);
}

/* p is at the closing quote. */
static const char *
string_end(struct jscan *s, const char *p)
{
	const struct jscan_handler *h = s->handler;

	if (!s->is_key) {
		scalar(s, JSCAN_STRING, offset_of(s, p) + 1);
		return (p + 1);
	}
	if (h != NULL && h->on_key != NULL &&
	    !h->on_key(s, s->arg, s->depth, span_of(s->text, s->text_len),
		s->cut, s->escaped, s->begin)) {
		s->result = JSCAN_STOPPED;
		return (p + 1);
	}
	s->state = ST_COLON;
	return (p + 1);
}

static const char *
number_start(struct jscan *s, const char *p)
{
	text_start(s, p);
	jscan_keep(s, p, 1);
	s->state = *p == '-' ? ST_MINUS : *p == '0' ? ST_ZERO : ST_INT;
	return (p + 1);
}

static const char *
literal_start(struct jscan *s, const char *p)
{
	text_start(s, p);
	s->literal = *p == 't' ? 0 : *p == 'f' ? 1 : 2;
	s->nhex = 1;
	s->state = ST_LITERAL;
	return (p + 1);
}

static const char *
literal_step(struct jscan *s, const char *p)
{
	const char *word = literals[s->literal];

	if (*p != word[s->nhex])
		return (jscan_bad(s, p));
	if (word[++s->nhex] == '\0')
		scalar(s, JSCAN_TRUE + s->literal, offset_of(s, p) + 1);
	return (p + 1);
}

static const char *
value_start(struct jscan *s, const char *p)
{
	switch (*p) {
	case '"':
		return (string_start(s, p, false));
	case '{':
	case '[':
		return (open_container(s, p));
	case 't':
	case 'f':
	case 'n':
		return (literal_start(s, p));
	case '-':
	case '0' ... '9':
		return (number_start(s, p));
	case ']':
		if (s->state == ST_VALUE_OR_END)
			return (close_container(s, p));
		return (jscan_bad(s, p));
	default:
		return (jscan_bad(s, p));
	}
}

/* ---- numbers ------------------------------------------------------------ */

/* The state behind a character of a number; ST_END if it ends there. */
static enum jscan_state
number_next(enum jscan_state state, char c)
{
	bool digit = c >= '0' && c <= '9';

	if (digit &&
	    (state == ST_INT || state == ST_FRACTION || state == ST_EXP_DIGITS))
		return (state);
	if (state == ST_MINUS && digit)
		return (c == '0' ? ST_ZERO : ST_INT);
	if (state == ST_POINT && digit)
		return (ST_FRACTION);
	if ((state == ST_EXP || state == ST_EXP_SIGN) && digit)
		return (ST_EXP_DIGITS);
	if (state == ST_EXP && (c == '+' || c == '-'))
		return (ST_EXP_SIGN);
	if ((state == ST_ZERO || state == ST_INT) && c == '.')
		return (ST_POINT);
	if ((state == ST_ZERO || state == ST_INT || state == ST_FRACTION) &&
	    (c == 'e' || c == 'E'))
		return (ST_EXP);
	return (ST_END);
}

static bool
number_whole(enum jscan_state state)
{
	return (state == ST_ZERO || state == ST_INT || state == ST_FRACTION ||
		state == ST_EXP_DIGITS);
}

static const char *
number_step(struct jscan *s, const char *p, const char *end)
{
	const char *from = p;
	enum jscan_state next = s->state;

	while (p < end && (next = number_next(s->state, *p)) != ST_END) {
		s->state = next;
		p++;
	}
	jscan_keep(s, from, (size_t)(p - from));
	if (next != ST_END)
		return (p);
	if (!number_whole(s->state))
		return (jscan_bad(s, p));
	scalar(s, JSCAN_NUMBER, offset_of(s, p));
	return (p);
}

/* ---- strings ------------------------------------------------------------ */

static const char *
string_step(struct jscan *s, const char *p, const char *end)
{
	const char *run = plain_run(p, end);

	jscan_add(s, p, (size_t)(run - p));
	if (run == end)
		return (run);
	if (*run == '"')
		return (string_end(s, run));
	if ((unsigned char)*run >= 0x80)
		return (jscan_utf8_run(s, run, end));
	if (*run == '\\') {
		s->escaped = true;
		s->state = ST_ESCAPE;
		return (run + 1);
	}
	if (*run != 0x7f && !s->lenient)
		return (jscan_bad(s, run));
	jscan_add(s, run, 1);
	return (run + 1);
}

/* ---- structure ---------------------------------------------------------- */

static const char *
after_step(struct jscan *s, const char *p)
{
	bool object = s->stack[s->depth] == '{';

	if (*p == (object ? '}' : ']'))
		return (close_container(s, p));
	if (*p != ',')
		return (jscan_bad(s, p));
	s->index[s->depth]++;
	s->state = object ? ST_KEY : ST_VALUE;
	return (p + 1);
}

static const char *
key_step(struct jscan *s, const char *p)
{
	if (*p == '"')
		return (string_start(s, p, true));
	if (*p == '}' && s->state == ST_KEY_OR_END)
		return (close_container(s, p));
	return (jscan_bad(s, p));
}

static const char *
colon_step(struct jscan *s, const char *p)
{
	if (*p != ':')
		return (jscan_bad(s, p));
	s->state = ST_VALUE;
	return (p + 1);
}

static inline bool
is_blank(char c)
{
	return (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

static inline const char *
step(struct jscan *s, const char *p, const char *end)
{
	switch ((enum jscan_state)s->state) {
	case ST_STRING:
		return (string_step(s, p, end));
	case ST_UTF8:
		return (jscan_utf8_run(s, p, end));
	case ST_ESCAPE:
	case ST_HEX:
	case ST_LOW_BACKSLASH:
	case ST_LOW_U:
		return (jscan_escape_step(s, p));
	case ST_LITERAL:
		return (literal_step(s, p));
	case ST_MINUS:
	case ST_ZERO:
	case ST_INT:
	case ST_POINT:
	case ST_FRACTION:
	case ST_EXP:
	case ST_EXP_SIGN:
	case ST_EXP_DIGITS:
		return (number_step(s, p, end));
	case ST_VALUE:
	case ST_VALUE_OR_END:
		return (is_blank(*p) ? p + 1 : value_start(s, p));
	case ST_KEY:
	case ST_KEY_OR_END:
		return (is_blank(*p) ? p + 1 : key_step(s, p));
	case ST_COLON:
		return (is_blank(*p) ? p + 1 : colon_step(s, p));
	case ST_AFTER:
		return (is_blank(*p) ? p + 1 : after_step(s, p));
	case ST_END:
		break;
	}
	return (is_blank(*p) ? p + 1 : jscan_bad(s, p));
}

enum jscan_result
jscan_feed(struct jscan *s, struct span bytes)
{
	const char *p = bytes.p, *end = bytes.p + bytes.n;

	if (bytes.n == 0)
		return (s->result);
	s->origin = bytes.p;
	while (p < end && (s->result == JSCAN_MORE || s->result == JSCAN_DONE))
		p = step(s, p, end);
	s->offset += (uint64_t)(p - bytes.p);
	s->origin = NULL;
	return (s->result);
}

enum jscan_result
jscan_finish(struct jscan *s)
{
	if (s->result != JSCAN_MORE)
		return (s->result);
	if (s->depth == 0 && number_whole(s->state))
		scalar(s, JSCAN_NUMBER, s->offset);
	else
		s->result = JSCAN_BAD;
	return (s->result);
}

bool
jscan_count(struct span number, uint64_t *out)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < number.n && number.p[i] != '.'; i++) {
		if (number.p[i] < '0' || number.p[i] > '9' ||
		    __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(
			n, (uint64_t)(number.p[i] - '0'), &n))
			return (false);
	}
	if (i == 0)
		return (false);
	if (i < number.n && i + 1 == number.n)
		return (false);
	for (i++; i < number.n; i++) {
		if (number.p[i] != '0')
			return (false);
	}
	*out = n;
	return (true);
}

/* An answer of a provider, read as its bytes come. */
#include "agentd/answer.h"

#include <assert.h>
#include <string.h>

void
answer_init(struct answer *a, const char *method, http1_keep_fn *keep)
{
	*a = (struct answer){
	    .state = ANSWER_IN_HEAD,
	    .bodiless = strcmp(method, "HEAD") == 0,
	    .keep = keep,
	};
}

static enum answer_event
bad(struct answer *a, const char *why)
{
	a->state = ANSWER_IS_BAD;
	a->error = why;
	return (ANSWER_BAD);
}

/* RFC 9112 6.3, in its order. */
static void
begin_body(struct answer *a, const struct http1_response *r)
{
	if (a->bodiless || r->status == 204 || r->status == 304)
		http1_body_init(&a->body, HTTP1_BODY_NONE, 0);
	else if (r->chunked)
		http1_body_init(&a->body, HTTP1_BODY_CHUNKED, 0);
	else if (r->has_length)
		http1_body_init(&a->body, HTTP1_BODY_LENGTH, r->length);
	else
		http1_body_init(&a->body, HTTP1_BODY_EOF, 0);
	a->close = r->close || a->body.mode == HTTP1_BODY_EOF;
	a->state = a->body.done ? ANSWER_IS_WHOLE : ANSWER_IN_BODY;
}

/* The head is there. Interim ones are dropped, but count. */
static enum answer_event
take_head(struct answer *a, const struct http1_response *r)
{
	a->scanned = 0;
	a->heads += r->size;
	if (a->heads > HTTP1_MAX_ANSWER_HEAD)
		return (bad(a, "too many interim answers"));
	if (r->status == 101)
		return (bad(a, "it switches protocols, unasked"));
	if (r->status < 200)
		return (ANSWER_MORE);
	if (r->coded)
		return (bad(a, "compressed, which was not asked for"));
	begin_body(a, r);
	return (ANSWER_HEAD);
}

static size_t
read_head(struct answer *a, struct span in, enum answer_event *event,
    struct http1_response *r)
{
	enum http1_error e;
	size_t used = 0;

	*event = ANSWER_MORE;
	while (*event == ANSWER_MORE && used < in.n) {
		e = http1_parse_answer(
		    span_of(in.p + used, in.n - used), &a->scanned, a->keep, r);
		if (e == HTTP1_MORE)
			break;
		if (e != HTTP1_OK) {
			*event = bad(a, e == HTTP1_TOO_LARGE
					    ? "its head is too large"
					    : "its head is not HTTP/1.1");
			break;
		}
		used += r->size;
		*event = take_head(a, r);
	}
	return (used);
}

static size_t
read_body(struct answer *a, struct span in, enum answer_event *event,
    struct span *data)
{
	ssize_t used = http1_body_take(&a->body, in, data);

	if (used == -1) {
		*event = bad(a, "its chunks are broken");
		return (0);
	}
	if (a->body.done)
		a->state = ANSWER_IS_WHOLE;
	if (data->n > 0)
		*event = ANSWER_DATA;
	else
		*event = a->body.done ? ANSWER_END : ANSWER_MORE;
	return ((size_t)used);
}

size_t
answer_read(struct answer *a, struct span in, enum answer_event *event,
    struct http1_response *head, struct span *data)
{
	switch (a->state) {
	case ANSWER_IN_HEAD:
		return (read_head(a, in, event, head));
	case ANSWER_IN_BODY:
		return (read_body(a, in, event, data));
	case ANSWER_IS_WHOLE:
		*event = ANSWER_END;
		break;
	case ANSWER_IS_BAD:
		*event = ANSWER_BAD;
		break;
	}
	return (0);
}

bool
answer_ended(const struct answer *a)
{
	return (a->state == ANSWER_IS_WHOLE ||
		(a->state == ANSWER_IN_BODY && a->body.mode == HTTP1_BODY_EOF));
}

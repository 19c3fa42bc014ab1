/* What was received lately, for tests to read: a ring with bounded memory. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/sim/sim.h"

#define ENTRIES	  1024
#define BODY_KEPT 65536
#define BODY_SUM  (32u << 20)

struct entry {
	uint64_t number;
	char *method, *target, *body;
	struct buf fields; /* a JSON list of [name, value] */
	size_t body_size, body_kept;
	char model[SIM_NAME_MAX + 1];
	bool ended, aborted;
	uint64_t sent;
	monotime_t received, last_write, end;
};

static struct entry ring[ENTRIES];
static uint64_t oldest, newest; /* numbers held: [oldest, newest) */
static size_t kept;

static struct entry *
entry_of(uint64_t number)
{
	return (&ring[number % ENTRIES]);
}

static void
drop_oldest(void)
{
	struct entry *e = entry_of(oldest++);

	kept -= e->body_kept;
	free(e->method);
	free(e->target);
	free(e->body);
	buf_fini(&e->fields);
	memset(e, 0, sizeof(*e));
}

void
journal_reset(void)
{
	while (oldest < newest)
		drop_oldest();
}

static void
put_fields(struct buf *out, const struct http1_head *head)
{
	buf_addstr(out, "[");
	for (size_t i = 0; i < head->nfields; i++) {
		buf_addstr(out, i ? ",[" : "[");
		json_quote(out, head->fields[i].name);
		buf_addstr(out, ",");
		json_quote(out, head->fields[i].value);
		buf_addstr(out, "]");
	}
	buf_addstr(out, "]");
}

uint64_t
journal_request(const struct sim_request *q)
{
	struct entry *e;

	if (newest - oldest == ENTRIES)
		drop_oldest();
	e = entry_of(newest);
	e->number = newest++;
	e->received = monotime_now();
	e->method = xmemdup0(q->head->method.p, q->head->method.n);
	e->target = xmemdup0(q->head->target.p, q->head->target.n);
	memcpy(e->model, q->model, sizeof(e->model));
	put_fields(&e->fields, q->head);
	e->body_size = q->body.n;
	e->body_kept = q->body.n < BODY_KEPT ? q->body.n : BODY_KEPT;
	e->body = xmemdup0(q->body.n ? q->body.p : "", e->body_kept);
	kept += e->body_kept;
	while (kept > BODY_SUM && oldest < e->number)
		drop_oldest();
	return (e->number);
}

void
journal_end(uint64_t number, bool aborted, monotime_t last_write, uint64_t sent)
{
	struct entry *e = entry_of(number);

	if (number < oldest || number >= newest)
		return;
	e->ended = true;
	e->aborted = aborted;
	e->sent = sent;
	e->last_write = last_write;
	e->end = monotime_now();
}

static void
print_end(struct jout *j, const struct entry *e)
{
	jout_kbool(j, "ended", e->ended);
	jout_kbool(j, "aborted", e->aborted);
	jout_kuint(j, "sent", e->sent);
	jout_kint(j, "received_ns", e->received.ns);
	if (!e->ended)
		return;
	jout_kint(j, "last_write_ns", e->last_write.ns);
	jout_kint(j, "end_ns", e->end.ns);
	if (e->last_write.ns != 0)
		jout_kint(j, "lag_ns", e->end.ns - e->last_write.ns);
}

void
journal_print(struct buf *out, uint64_t since)
{
	uint64_t i;

	for (i = since > oldest ? since : oldest; i < newest; i++) {
		const struct entry *e = entry_of(i);
		struct jout j;

		jout_init(&j, out);
		jout_begin_object(&j);
		jout_kuint(&j, "number", e->number);
		jout_kstr(&j, "method", e->method);
		jout_kstr(&j, "path", e->target);
		jout_kstr(&j, "model", e->model);
		jout_key(&j, "headers");
		buf_addspan(out, buf_span(&e->fields));
		j.comma = true;
		jout_kuint(&j, "body_size", e->body_size);
		jout_key(&j, "body");
		jout_span(&j, span_of(e->body, e->body_kept));
		print_end(&j, e);
		jout_end_object(&j);
		buf_addstr(out, "\n");
	}
}

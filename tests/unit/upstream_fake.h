/*
 * agentd/upstream.h without a network: requests are remembered and the test
 * answers them when it likes. For one test process at a time.
 */
#ifndef TESTS_UNIT_UPSTREAM_FAKE_H
#define TESTS_UNIT_UPSTREAM_FAKE_H

#include <stdio.h>
#include <stdlib.h>

#include "agentd/upstream.h"
#include "common/alloc.h"
#include "common/buf.h"

struct upstream_req {
	struct buf text; /* method, URL, headers and body */
	const struct upstream_handler *handler;
	void *arg;
	bool proxied;
};

static struct upstream_req *fake_req; /* under way, or NULL */
static unsigned fake_started, fake_cancelled;
static bool fake_refuses; /* as curl does with a URL that is none */
/* Of the last request, also when it is over. */
static char fake_text[16384];
static bool fake_proxied;

struct upstream_req *
upstream_start(struct upstream *up, const struct upstream_options *o,
    const struct upstream_handler *handler, void *arg)
{
	struct upstream_req *r;
	const char *const *h;
	struct buf text = {0};

	(void)up;
	if (fake_refuses)
		return (NULL);
	buf_addf(&text, "%s %s\n", o->method, o->url);
	for (h = o->headers; *h != NULL; h++)
		buf_addf(&text, "%s\n", *h);
	buf_addstr(&text, "\n");
	buf_addspan(&text, o->body);
	snprintf(fake_text, sizeof(fake_text), "%s", buf_cstr(&text));
	buf_fini(&text);
	fake_proxied = o->proxy != NULL;
	r = xcalloc(1, sizeof(*r));
	r->handler = handler;
	r->arg = arg;
	fake_req = r;
	fake_started++;
	return (r);
}

void
upstream_cancel(struct upstream_req *r)
{
	fake_cancelled++;
	if (fake_req == r)
		fake_req = NULL;
	free(r);
}

/* Answers the request under way: fields are "Name", "value", ..., NULL. */
static inline void
fake_answer(int status, const char *const *fields, const char *body)
{
	struct upstream_field f[UPSTREAM_MAX_FIELDS];
	struct upstream_req *r = fake_req;
	size_t n = 0;

	for (; fields != NULL && *fields != NULL; fields += 2)
		f[n++] = (struct upstream_field){
		    span_str(fields[0]), span_str(fields[1])};
	r->handler->on_head(r->arg, status, f, n);
	r->handler->on_body(r->arg, span_str(body));
	fake_req = NULL;
	r->handler->on_done(r->arg, UPSTREAM_OK, "");
	free(r);
}

static inline void
fake_break(enum upstream_end end, const char *detail)
{
	struct upstream_req *r = fake_req;

	fake_req = NULL;
	r->handler->on_done(r->arg, end, detail);
	free(r);
}

#endif

/*
 * What a provider keeps for its users: files, batches, and the responses of
 * models named keep-*. A batch ends at its second retrieval; what comes out
 * of it is a file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/sim/sim.h"

struct object {
	char id[64];
	const char *kind; /* "files", "batches", "responses" */
	struct buf json, content;
	unsigned looks; /* at a batch */
	char file[64];	/* of a batch: its input */
	struct object *next;
};

static struct object *objects;

static struct object *
make(const char *kind, const char *prefix)
{
	static unsigned count;
	struct object *o = xcalloc(1, sizeof(*o));

	/* several simulators never give the same id */
	snprintf(o->id, sizeof(o->id), "%s%x0sim%u", prefix, (unsigned)getpid(),
	    ++count);
	o->kind = kind;
	o->next = objects;
	objects = o;
	return (o);
}

static struct object *
find(const char *kind, struct span id)
{
	struct object *o;

	for (o = objects; o != NULL; o = o->next)
		if (strcmp(o->kind, kind) == 0 && span_eq(span_str(o->id), id))
			return (o);
	return (NULL);
}

static void
forget(struct object *gone)
{
	struct object **at = &objects;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	buf_fini(&gone->json);
	buf_fini(&gone->content);
	free(gone);
}

/* ---- answers ------------------------------------------------------------- */

static void
play_text(struct play *p, struct span text)
{
	struct buf copy = {0};

	buf_addspan(&copy, text);
	play_json(p, 200, &copy);
}

static void
play_missing(struct play *p, int status, const char *message)
{
	struct buf b = {0};

	buf_addf(&b,
	    "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\","
	    "\"param\":\"id\",\"code\":null}}",
	    message);
	play_json(p, status, &b);
}

/* The bytes between the end of the named part's head and the next boundary. */
static struct span
part_of(const struct sim_request *q, const char *name)
{
	struct span b = q->body;
	const char *at, *end, *line;
	char mark[160], want[64];

	line = memchr(b.p, '\r', b.n);
	if (line == NULL || (size_t)(line - b.p) + 3 > sizeof(mark))
		return (span_of(NULL, 0));
	snprintf(mark, sizeof(mark), "\r\n%.*s", (int)(line - b.p), b.p);
	snprintf(want, sizeof(want), "name=\"%s\"", name);
	at = memmem(b.p, b.n, want, strlen(want));
	if (at == NULL ||
	    (at = memmem(at, (size_t)(b.p + b.n - at), "\r\n\r\n", 4)) == NULL)
		return (span_of(NULL, 0));
	at += 4;
	end = memmem(at, (size_t)(b.p + b.n - at), mark, strlen(mark));
	return (span_of(at, end != NULL ? (size_t)(end - at) : 0));
}

static struct object *
make_file(struct span content, const char *purpose)
{
	struct object *o = make("files", "file-");

	buf_addspan(&o->content, content);
	buf_addf(&o->json,
	    "{\"object\":\"file\",\"id\":\"%s\",\"purpose\":\"%s\","
	    "\"filename\":\"own.jsonl\",\"bytes\":%zu,"
	    "\"created_at\":1793000000,\"expires_at\":null,"
	    "\"status\":\"processed\",\"status_details\":null}",
	    o->id, purpose, content.n);
	return (o);
}

static void
make_batch(const struct sim_request *q, struct play *p)
{
	struct json *body = json_parse(q->body, NULL, 0);
	const char *file = json_get_str(body, "input_file_id");
	struct object *o;

	if (file == NULL || find("files", span_str(file)) == NULL) {
		play_missing(p, 400, "Invalid input_file_id.");
	} else {
		o = make("batches", "batch_");
		snprintf(o->file, sizeof(o->file), "%s", file);
		buf_addf(&o->json,
		    "{\"id\":\"%s\",\"object\":\"batch\",\"endpoint\":"
		    "\"/v1/chat/completions\",\"errors\":null,"
		    "\"input_file_id\":\"%s\",\"completion_window\":\"24h\","
		    "\"status\":\"validating\",\"output_file_id\":null,"
		    "\"error_file_id\":null,\"created_at\":1793000000}",
		    o->id, file);
		play_text(p, buf_span(&o->json));
	}
	json_free(body);
}

/* What models are called that batches use; their prices are the test's. */
static void
end_batch(struct object *o)
{
	struct object *out = make_file(
	    SPAN("{\"custom_id\":\"1\",\"response\":{\"status_code\":200}}\n"),
	    "batch_output");

	buf_reset(&o->json, 4096);
	buf_addf(&o->json,
	    "{\"id\":\"%s\",\"object\":\"batch\",\"endpoint\":"
	    "\"/v1/chat/completions\",\"errors\":null,\"input_file_id\":"
	    "\"%s\",\"completion_window\":\"24h\",\"status\":\"completed\","
	    "\"output_file_id\":\"%s\",\"error_file_id\":null,"
	    "\"created_at\":1793000000,\"request_counts\":{\"total\":2,"
	    "\"completed\":2,\"failed\":0},\"model\":\"own-batch\",\"usage\":"
	    "{\"input_tokens\":1000,\"input_tokens_details\":"
	    "{\"cached_tokens\":200},\"output_tokens\":300,"
	    "\"output_tokens_details\":{\"reasoning_tokens\":100},"
	    "\"total_tokens\":1300}}",
	    o->id, o->file, out->id);
}

static void
put_response(struct object *o, const struct sim_request *q)
{
	buf_addf(&o->json,
	    "{\"id\":\"%s\",\"object\":\"response\",\"created_at\":1793000000,"
	    "\"status\":\"completed\",\"error\":null,\"incomplete_details\":"
	    "null,\"model\":\"%s\",\"output\":[{\"id\":\"msg_own\",\"type\":"
	    "\"message\",\"role\":\"assistant\",\"status\":\"completed\","
	    "\"content\":[{\"type\":\"output_text\",\"text\":\"Kept.\","
	    "\"annotations\":[]}]}],\"parallel_tool_calls\":true,"
	    "\"tool_choice\":\"auto\",\"tools\":[],\"usage\":{\"input_tokens\":"
	    "11,\"input_tokens_details\":{\"cached_tokens\":0},"
	    "\"output_tokens\":7,\"output_tokens_details\":"
	    "{\"reasoning_tokens\":0},\"total_tokens\":18}}",
	    o->id, q->model);
}

static void
play_response(const struct sim_request *q, struct play *p)
{
	struct object *o = make("responses", "resp_");

	put_response(o, q);
	if (!q->stream) {
		play_text(p, buf_span(&o->json));
		return;
	}
	buf_addf(&p->owned,
	    "event: response.created\ndata: {\"type\":\"response.created\","
	    "\"sequence_number\":0,\"response\":{\"id\":\"%s\",\"object\":"
	    "\"response\",\"status\":\"in_progress\",\"usage\":null}}\n\n"
	    "event: response.output_text.delta\ndata: {\"type\":"
	    "\"response.output_text.delta\",\"sequence_number\":1,"
	    "\"item_id\":\"msg_own\",\"output_index\":0,\"content_index\":0,"
	    "\"delta\":\"Kept.\"}\n\n"
	    "event: response.completed\ndata: {\"type\":"
	    "\"response.completed\",\"sequence_number\":2,\"response\":",
	    o->id);
	buf_addspan(&p->owned, buf_span(&o->json));
	buf_addstr(&p->owned, "}\n\n");
	p->body = buf_span(&p->owned);
	p->chunked = true;
	p->events = EVENTS_SSE;
	play_head(p, 200, "text/event-stream");
	http1_put_end(&p->head);
}

static void
play_deleted(struct object *o, struct play *p)
{
	struct buf b = {0};

	buf_addf(&b, "{\"id\":\"%s\",\"object\":\"deleted\",\"deleted\":true}",
	    o->id);
	forget(o);
	play_json(p, 200, &b);
}

static void
play_content(struct object *o, struct play *p)
{
	buf_addspan(&p->owned, buf_span(&o->content));
	p->body = buf_span(&p->owned);
	play_head(p, 200, "application/octet-stream");
	http1_put_end(&p->head);
}

/* ---- requests ------------------------------------------------------------ */

static void
act(const struct sim_request *q, struct object *o, struct span verb,
    struct play *p)
{
	if (span_eq(q->head->method, SPAN("DELETE"))) {
		play_deleted(o, p);
	} else if (span_eq(verb, SPAN("content"))) {
		play_content(o, p);
	} else if (span_eq(verb, SPAN("input_items"))) {
		play_text(p,
		    SPAN("{\"object\":\"list\",\"data\":[{\"id\":\"msg_in\","
			 "\"type\":\"message\",\"role\":\"user\",\"content\":"
			 "[{\"type\":\"input_text\",\"text\":\"keep\"}]}],"
			 "\"first_id\":\"msg_in\",\"last_id\":\"msg_in\","
			 "\"has_more\":false}"));
	} else if (span_eq(verb, SPAN("cancel")) &&
		   strcmp(o->kind, "responses") == 0) {
		play_missing(p, 400,
		    "Only background responses can be "
		    "cancelled.");
	} else {
		if (strcmp(o->kind, "batches") == 0 && verb.n == 0 &&
		    ++o->looks == 2)
			end_batch(o);
		play_text(p, buf_span(&o->json));
	}
}

/* Cuts the next segment off a path that begins with its slash. */
static struct span
segment(struct span *path)
{
	struct span s = span_of(path->p + (path->n > 0), 0);

	while (s.p + s.n < path->p + path->n && s.p[s.n] != '/')
		s.n++;
	*path = span_of(s.p + s.n, (size_t)(path->p + path->n - s.p) - s.n);
	return (s);
}

static void
create(const struct sim_request *q, const char *kind, struct play *p)
{
	char purpose[32];

	if (strcmp(kind, "batches") == 0) {
		make_batch(q, p);
	} else if (strcmp(kind, "files") == 0) {
		snprintf(purpose, sizeof(purpose), "%.*s",
		    (int)part_of(q, "purpose").n, part_of(q, "purpose").p);
		play_text(
		    p, buf_span(&make_file(part_of(q, "file"), purpose)->json));
	} else {
		play_response(q, p);
	}
}

bool
objects_answer(const struct sim_request *q, struct play *p)
{
	static const char *const kinds[] = {"files", "batches", "responses"};
	struct span path = q->head->path, first, id;
	const char *kind = NULL;
	struct object *o;

	if (span_starts(path, SPAN("/v1")))
		path = span_of(path.p + 3, path.n - 3);
	first = segment(&path);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (span_eq(first, span_str(kinds[i])))
			kind = kinds[i];
	id = segment(&path);
	if (kind == NULL)
		return (false);
	if (id.n == 0) {
		if (strcmp(kind, "responses") == 0 &&
		    strncmp(q->model, "keep-", 5) != 0)
			return (false);
		create(q, kind, p);
		return (true);
	}
	if (q->endpoint != NULL) /* responses/compact and the like */
		return (false);
	if ((o = find(kind, id)) != NULL)
		act(q, o, segment(&path), p);
	else
		play_missing(p, 404, "No such object.");
	return (true);
}

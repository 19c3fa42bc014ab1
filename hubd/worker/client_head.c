/* What the head of a user's request asks for, and whether it may. */
#include <assert.h>
#include <string.h>

#include "common/failpoint.h"
#include "hubd/worker/access.h"
#include "hubd/worker/client_private.h"

/* The type goes to the provider as it is, so it must fit there. */
static bool
has_form_type(const struct http1_head *h)
{
	const struct http1_field *type = http1_find(h, "content-type");
	struct span boundary;

	return (type != NULL && type->value.n < REQUEST_TYPE_MAX &&
		api_form_type(type->value, &boundary) == API_OK);
}

static void
note_type(struct request *r, const struct http1_head *h)
{
	struct span type = SPAN("application/json");

	if (r->endpoint->form)
		type = http1_find(h, "content-type")->value;
	else if (r->endpoint->bodiless)
		type = SPAN("");
	assert(type.n < sizeof(r->type));
	memcpy(r->type, type.p, type.n);
	r->type[type.n] = '\0';
}

/* What the head alone decides about the body. */
static enum api_error
body_error(const struct client *c, const struct http1_head *h,
    const struct endpoint *e)
{
	const struct http1_field *encoding = http1_find(h, "content-encoding");

	if (e->local)
		return (h->chunked || h->length > 0 ? API_ERR_invalid_request
						    : API_OK);
	if (encoding != NULL && !span_ieq(encoding->value, SPAN("identity")))
		return (API_ERR_unsupported_encoding);
	if (e->form && !has_form_type(h))
		return (API_ERR_unsupported_encoding);
	if (!h->chunked && !h->has_length && !e->bodiless)
		return (API_ERR_length_required);
	if (h->has_length && h->length > c->w->conf->max_body)
		return (API_ERR_body_too_large);
	return (API_OK);
}

/*
 * Key, account, endpoint: in this order, whatever the path, so that nobody
 * without a key learns what there is.
 */
static enum api_error
head_check(struct client *c, const struct http1_head *h, struct api_target *t,
    struct identity *who)
{
	enum api_error error;

	if (!atomic_load(&shm_pub_state(c->w->shm)->loaded))
		return (API_ERR_overloaded);
	error = auth_key(c->w->shm, api_key_of(t, h), walltime_ms(), who);
	if (error != API_ERR_invalid_api_key)
		access_who(c->access, who);
	if (error != API_OK)
		return (error);
	if (t->error == API_OK)
		return (body_error(c, h, t->endpoint));
	if (t->error == API_ERR_method_not_allowed) {
		buf_addstr(&c->fields, "allow: ");
		api_target_methods(h, c->w->conf->objects, &c->fields);
		buf_addstr(&c->fields, "\r\n");
	}
	return (t->error);
}

static void
begin_body(struct client *c, const struct http1_head *h)
{
	http1_body_init(&c->body,
	    h->chunked ? HTTP1_BODY_CHUNKED : HTTP1_BODY_LENGTH, h->length);
	c->body_bytes = 0;
	client_change_state(c, CLIENT_BODY);
	if (h->expect_continue && buf_len(conn_in(c->conn)) == h->size)
		conn_write(c->conn, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static void
answer_local(struct client *c, const struct identity *who,
    const struct api_target *t, const struct api_list *list, const char *id)
{
	if (t->endpoint->use == USE_LIST)
		objects_list(c->w, c, who, t, list, id);
	else
		local_models(c->w, c, who, t, id);
}

static void
begin_request(struct client *c, const struct http1_head *h,
    const struct api_target *t, const struct identity *who,
    const struct api_list *list, req_id_t id)
{
	struct request *r = request_new(c, t, who, id, c->access);

	c->request = r;
	c->access = NULL;
	r->list = *list;
	if (!request_take_fields(r, h)) {
		client_refuse(c, t->dialect, API_ERR_headers_too_large, NULL,
		    r->id_text, true);
		return;
	}
	note_type(r, h);
	begin_body(c, h);
}

/* What is asked of the API. */
static void
ask_api(
    struct client *c, const struct http1_head *h, req_id_t id, const char *text)
{
	bool has_body = h->chunked || h->length > 0;
	struct api_list list = {.limit = 0};
	struct api_target target;
	struct identity who;
	enum api_error error;

	api_target(h, c->w->conf->objects, &target);
	error = head_check(c, h, &target, &who);
	if (error != API_OK)
		client_refuse(c, target.dialect, error,
		    error == target.error ? target.why : NULL, text, has_body);
	else if (target.endpoint->use != USE_NONE &&
		 !api_list_query(h->query, &list))
		client_refuse(c, target.dialect, API_ERR_invalid_request,
		    "The query has a wrong value.", text, has_body);
	else if (target.endpoint->local)
		answer_local(c, &who, &target, &list, text);
	else
		begin_request(c, h, &target, &who, &list, id);
}

void
client_head(struct client *c, const struct http1_head *h)
{
	struct worker *w = c->w;
	req_id_t id = id_next(w->ids);
	char text[REQ_ID_TEXT];

	req_id_format(id, text);
	counter_add(w->count, COUNT_requests, 1);
	c->close = h->close || w->retiring;
	c->head_only = span_eq(h->method, SPAN("HEAD"));
	client_change_state(c, CLIENT_BUSY);
	c->access = access_begin(w, conn_peer(c->conn), h, text);
	(void)FAILPOINT("worker.head_read");
	if (local_health(w, c, h, text))
		return;
	if (w->draining)
		client_refuse_head(c, API_ERR_overloaded, 1000);
	else if (span_eq(h->path, SPAN(LINK_PATH)))
		link_accept(w, c, h, text);
	else
		ask_api(c, h, id, text);
}

/* An answer on its way to the user, and how it ends. */
#include "hubd/worker/deliver.h"

#include <assert.h>
#include <string.h>

#include "hubd/worker/access.h"
#include "hubd/worker/worker.h"

#define BOOK_MS 3000 /* that a reply waits for its row */

static void
note_first_byte(struct request *r)
{
	int64_t us = (monotime_now().ns - r->t_body.ns) / 1000;

	histogram_add(r->w->count, HIST_first_byte, us);
	if (r->upstream_us >= 0 && us >= r->upstream_us)
		histogram_add(r->w->count, HIST_added, us - r->upstream_us);
}

static void
put_common(struct request *r, struct buf *out)
{
	http1_put_field(out, "content-type", span_str(r->content_type));
	if (r->retry_after[0] != '\0')
		http1_put_field(out, "retry-after", span_str(r->retry_after));
	buf_addspan(out, buf_span(&r->carried));
	buf_addspan(out, buf_span(client_fields(r->client)));
	if (client_will_close(r->client))
		http1_put_field(out, "connection", SPAN("close"));
}

void
deliver_head(struct request *r)
{
	struct buf *out = conn_out(client_conn(r->client));

	reply_head(r->w, out, r->dialect, r->status, r->id_text);
	put_common(r, out);
	if (r->frame == FRAME_EVENTS)
		http1_put_field(out, "cache-control", SPAN("no-cache"));
	http1_put_field(out, "transfer-encoding", SPAN("chunked"));
	http1_put_end(out);
	r->head_sent = true;
	r->user_status = r->status;
	r->state = REQUEST_STREAM;
	request_body_done(r);
	note_first_byte(r);
}

void
deliver_chunk(struct request *r, struct span bytes)
{
	struct conn *conn = client_conn(r->client);

	if (bytes.n == 0)
		return;
	http1_put_chunk(conn_out(conn), bytes.p, bytes.n);
	conn_flush_later(conn);
	access_sent(r->access, bytes.n);
	counter_add(r->w->count, COUNT_bytes_out, bytes.n);
}

static void
send_whole(struct request *r, const char *cost)
{
	struct conn *conn = client_conn(r->client);
	struct buf *out = conn_out(conn);

	reply_head(r->w, out, r->dialect, r->status, r->id_text);
	put_common(r, out);
	if (cost != NULL)
		http1_put_field(out, "x-hub-cost", span_str(cost));
	http1_put_length(out, buf_len(&r->held));
	http1_put_end(out);
	buf_addspan(out, buf_span(&r->held));
	conn_flush_later(conn);
	counter_add(r->w->count, COUNT_bytes_out, buf_len(&r->held));
	access_sent(r->access, buf_len(&r->held));
	note_first_byte(r);
}

/* The row is FINAL and the reply written: the end of the request. */
static void
conclude(struct request *r, bool keep)
{
	struct client *c = r->client;

	if (c != NULL)
		client_done(c, keep);
	request_free(r);
}

static void
end_chunks(struct request *r)
{
	struct conn *conn = client_conn(r->client);

	http1_put_chunk(conn_out(conn), NULL, 0);
	conn_flush_later(conn);
}

/* The end of a reply whose call is FINAL; cost NULL: it is not told. */
static void
send_end(struct request *r, const char *cost)
{
	if (r->client != NULL && r->head_sent) {
		deliver_chunk(r, buf_span(&r->held));
		end_chunks(r);
	} else if (r->client != NULL) {
		send_whole(r, cost);
	}
	conclude(r, true);
}

void
request_booked(struct request *r)
{
	assert(r->state == REQUEST_BOOKING);
	finals_unwatch(r->w->finals, r);
	send_end(r, r->cost[0] != '\0' ? r->cost : NULL);
}

void
deliver_end(struct request *r, enum call_outcome outcome, bool tell_cost)
{
	char cost[AMOUNT_TEXT_MAX];

	request_finish(r, outcome, cost);
	if (!r->object_event || r->client == NULL) {
		send_end(r, tell_cost ? cost : NULL);
		return;
	}
	if (tell_cost)
		memcpy(r->cost, cost, sizeof(cost));
	r->state = REQUEST_BOOKING;
	finals_watch(r->w->finals, r);
	loop_timer_set_ms(r->timer, BOOK_MS);
}

void
request_break(
    struct request *r, enum api_error error, enum call_outcome outcome)
{
	struct client *c = r->client;
	char cost[AMOUNT_TEXT_MAX];
	struct buf event = {0};

	if (c != NULL && r->head_sent) {
		deliver_chunk(r, buf_span(&r->held));
		/* The event for those who look, the missing end of the body
		 * for those who do not. */
		api_error_event(&event, r->dialect, r->frame,
		    meter_joint(r->meter), error, r->id_text);
		deliver_chunk(r, buf_span(&event));
		buf_fini(&event);
	}
	if (c != NULL && !r->head_sent)
		r->user_status = api_error_status(error);
	access_broken(r->access, error);
	request_finish(r, outcome, cost);
	if (c != NULL && !r->head_sent) {
		reply_error(r->w, c, r->dialect, error, NULL, r->id_text,
		    api_error_status(error) == 503 ? 1000 : -1, false);
		request_free(r);
		return;
	}
	conclude(r, false);
}

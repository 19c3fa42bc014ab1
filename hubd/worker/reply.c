/* Heads and small replies to users. */
#include <stdio.h>
#include <time.h>

#include "hubd/worker/access.h"
#include "hubd/worker/worker.h"

/* Made once a second. */
const char *
reply_date(struct worker *w)
{
	time_t now = time(NULL);
	struct tm tm;

	if (now != w->date_s) {
		w->date_s = now;
		gmtime_r(&now, &tm);
		strftime(
		    w->date, sizeof(w->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return (w->date);
}

static void
count_status(struct worker *w, int status)
{
	counter_add(w->count,
	    status < 400   ? COUNT_status_2xx
	    : status < 500 ? COUNT_status_4xx
			   : COUNT_status_5xx,
	    1);
}

void
reply_head(struct worker *w, struct buf *out, enum dialect d, int status,
    const char *id)
{
	const char *field = api_id_field(d);

	count_status(w, status);
	http1_put_status(out, status);
	http1_put_field(out, "date", span_str(reply_date(w)));
	http1_put_field(out, "x-request-id", span_str(id));
	if (field != NULL)
		http1_put_field(out, field, span_str(id));
}

static void
put_rest(struct client *c, struct buf *out, struct span type, struct span body,
    bool close)
{
	http1_put_field(out, "content-type", type);
	buf_addspan(out, buf_span(client_fields(c)));
	http1_put_length(out, body.n);
	if (close)
		http1_put_field(out, "connection", SPAN("close"));
	http1_put_end(out);
	if (client_wants_body(c))
		buf_addspan(out, body);
	conn_flush_later(client_conn(c));
	client_done(c, !close);
}

void
reply_whole(struct worker *w, struct client *c, enum dialect d, int status,
    const char *id, struct span type, struct span body, bool close)
{
	struct buf *out = conn_out(client_conn(c));

	close = close || client_will_close(c);
	reply_head(w, out, d, status, id);
	access_reply(client_access(c), status, NULL, body.n);
	put_rest(c, out, type, body, close);
}

void
reply_error(struct worker *w, struct client *c, enum dialect dialect,
    enum api_error error, const char *detail, const char *id, int64_t retry_ms,
    bool close)
{
	struct buf *out = conn_out(client_conn(c)), body = {0};
	char after[24];

	close = close || client_will_close(c);
	api_error_body(&body, dialect, error, detail, id);
	reply_head(w, out, dialect, api_error_status(error), id);
	api_error_fields(out, dialect, error);
	access_reply(client_access(c), api_error_status(error),
	    api_error_code(error), buf_len(&body));
	if (retry_ms >= 0) {
		snprintf(after, sizeof(after), "%lld",
		    (long long)((retry_ms + 999) / 1000));
		http1_put_field(out, "retry-after", span_str(after));
	}
	if (error == API_ERR_invalid_api_key)
		http1_put_field(out, "www-authenticate", SPAN("Bearer"));
	put_rest(c, out, SPAN("application/json"), buf_span(&body), close);
	buf_fini(&body);
}

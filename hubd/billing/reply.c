/* What an answer to hubctl is made of. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hubd/billing/commands.h"

#define PIECE (64 * 1024) /* gathers before it is sent */

/* ---- refusals ------------------------------------------------------------ */

void
reply_refuse(struct reply *r, const char *fmt, ...)
{
	va_list ap;

	r->refused = true;
	va_start(ap, fmt);
	vsnprintf(r->error, sizeof(r->error), fmt, ap);
	va_end(ap);
}

bool
reply_store(struct reply *r, enum ledger_result result, const char *thing,
    const char *name)
{
	switch (result) {
	case LEDGER_OK:
		return (false);
	case LEDGER_CONFLICT:
		reply_refuse(r, "%s %s exists already", thing, name);
		break;
	case LEDGER_MISSING:
		reply_refuse(r, "there is no %s %s", thing, name);
		break;
	case LEDGER_REFUSED:
		reply_refuse(
		    r, "the store refuses this for %s %s", thing, name);
		break;
	case LEDGER_DOWN:
		reply_refuse(r, "the store is away: try again in a moment");
		break;
	}
	return (true);
}

bool
check_name(struct reply *r, const char *what, const char *name)
{
	size_t n = strlen(name);

	/* an option behind its command must not become an account */
	if (n > 0 && n < LEDGER_NAME_MAX && name[0] != '-' &&
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "abcdefghijklmnopqrstuvwxyz0123456789._-") == n)
		return (true);
	reply_refuse(r, "%s: 1 to %d of A-Z a-z 0-9 . _ -, no - in front", what,
	    LEDGER_NAME_MAX - 1);
	return (false);
}

/* Does a name of a list begin there, with nothing in it but plain text? */
static bool
is_name_at(const unsigned char *p)
{
	const unsigned char *end = p;

	while (*end > ' ' && *end < 0x7f && *end != ',')
		end++;
	return (end > p && (*end == ',' || *end == '\0'));
}

bool
check_list(struct reply *r, const char *what, const char *list, size_t cap)
{
	const unsigned char *p;

	if (list == NULL)
		return (true);
	if (strlen(list) >= cap) {
		reply_refuse(
		    r, "%s: longer than %zu characters", what, cap - 1);
		return (false);
	}
	/* A script whose variable is empty must not open what was closed. */
	for (p = (const unsigned char *)list; is_name_at(p); p++) {
		p += strcspn((const char *)p, ",");
		if (*p == '\0')
			return (true);
	}
	reply_refuse(
	    r, "%s: names, none empty, with commas between, no blanks", what);
	return (false);
}

void
put_list(struct jout *j, const char *key, const char *list)
{
	const char *p = list;
	size_t n;

	jout_key(j, key);
	jout_begin_array(j);
	while (*p != '\0') {
		n = strcspn(p, ",");
		if (n > 0)
			jout_span(j, span_of(p, n));
		p += n + (p[n] == ',');
	}
	jout_end_array(j);
}

bool
format_time(int64_t ms, char out[TIME_TEXT])
{
	time_t seconds = (time_t)(ms / 1000);
	char day[32];
	struct tm tm;

	out[0] = '\0';
	if (ms <= 0 || gmtime_r(&seconds, &tm) == NULL ||
	    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return (false);
	snprintf(out, TIME_TEXT, "%s.%03dZ", day, (int)(ms % 1000));
	return (true);
}

void
put_time(struct jout *j, const char *key, int64_t ms)
{
	char text[TIME_TEXT];

	jout_key(j, key);
	if (format_time(ms, text))
		jout_str(j, text);
	else
		jout_null(j);
}

/* ---- the frame ----------------------------------------------------------- */

void
reply_begin(struct reply *r, struct buf *out, reply_flush_fn *flush, void *arg)
{
	memset(r, 0, sizeof(*r));
	jout_init(&r->j, &r->data);
	r->out = out;
	r->flush = flush;
	r->arg = arg;
}

/* What has gathered becomes part of the answer. */
static void
move_data(struct reply *r)
{
	if (!r->begun)
		buf_addstr(r->out, r->stream ? CTL_STREAM_HEAD : "{\"data\":");
	r->begun = true;
	if (r->stream && buf_len(&r->data) > 0)
		buf_addf(r->out, "%zu\n", buf_len(&r->data));
	buf_addspan(r->out, buf_span(&r->data));
	buf_reset(&r->data, 2 * PIECE);
	if (r->flush != NULL)
		r->flush(r->arg, r->out);
}

void
reply_more(struct reply *r)
{
	if (r->flush != NULL && buf_len(&r->data) >= PIECE)
		move_data(r);
}

void
reply_stream_begin(struct reply *r)
{
	r->stream = true;
}

void
reply_stream_write(struct reply *r, const void *p, size_t n)
{
	const char *from = p;
	size_t some;

	while (n > 0) {
		some = PIECE - buf_len(&r->data);
		some = n < some ? n : some;
		buf_add(&r->data, from, some);
		from += some;
		n -= some;
		if (buf_len(&r->data) == PIECE)
			move_data(r);
	}
}

/* The members of the last line, but data. */
static void
put_status(struct jout *j, const struct reply *r)
{
	jout_kint(j, "status", r->refused ? 1 : 0);
	if (r->refused)
		jout_kstr(j, "error", r->error);
}

static void
end_short(struct reply *r)
{
	struct jout j;

	jout_init(&j, r->out);
	jout_begin_object(&j);
	put_status(&j, r);
	/* a refusal may carry data: an audit that found something */
	if (!r->refused || r->keep_data) {
		jout_key(&j, "data");
		jout_raw(&j, buf_len(&r->data) > 0 ? buf_cstr(&r->data) : "{}");
	}
	jout_end_object(&j);
}

static void
end_long(struct reply *r)
{
	struct jout j;

	move_data(r);
	jout_init(&j, r->out);
	if (r->stream) {
		buf_addstr(r->out, "0\n");
		jout_begin_object(&j);
	} else {
		j.comma = true; /* behind data */
	}
	put_status(&j, r);
	jout_end_object(&j);
}

void
reply_end(struct reply *r)
{
	/* a stream that was refused before its first byte is just refused */
	if (r->begun || (r->stream && !r->refused))
		end_long(r);
	else if (r->cookie == 0)
		end_short(r);
	if (r->cookie == 0)
		buf_addstr(r->out, "\n");
	buf_fini(&r->data);
}

/* Reading the fields that the hub opens a call's stream with. */
#include "agentd/call_want.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/linkproto.h"

#define MS_MAX	 86400000
#define TOTAL_MS 3600000 /* where the hub names none */
#define FIRST_MS 600000
#define IDLE_MS	 300000

/* Fields of fixed size: name, place, room. */
#define TEXT(name, member)                                      \
	{                                                       \
		(name), offsetof(struct call_want, member),     \
		    sizeof(((struct call_want *)NULL)->member), \
	}
static const struct {
	const char *name;
	size_t at, cap;
} texts[] = {
    TEXT(LINK_F_REQUEST_ID, id),
    TEXT(LINK_F_ENDPOINT, endpoint),
    TEXT(LINK_F_PROVIDER, provider),
    TEXT(LINK_F_MODEL, model),
    TEXT(LINK_F_DIALECT, dialect),
    TEXT(LINK_F_OBJECT, object),
    TEXT(LINK_F_AFTER, after),
    TEXT(LINK_F_LIMIT, limit),
    TEXT(LINK_F_ORDER, order),
    TEXT(LINK_F_ALT, alt),
    TEXT(LINK_F_API_VERSION, api_version),
    TEXT("content-type", content_type),
};

static bool
take_text(struct call_want *w, const struct h2_field *f)
{
	char *out;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (!span_eq(f->name, span_str(texts[i].name)))
			continue;
		if (f->value.n >= texts[i].cap ||
		    memchr(f->value.p, '\0', f->value.n) != NULL)
			return (true);
		out = (char *)w + texts[i].at;
		memcpy(out, f->value.p, f->value.n);
		out[f->value.n] = '\0';
		return (true);
	}
	return (false);
}

static void
take_ms(int64_t *out, struct span v)
{
	int64_t ms = 0;
	size_t i;

	for (i = 0; i < v.n && v.p[i] >= '0' && v.p[i] <= '9'; i++)
		if (ms <= MS_MAX)
			ms = ms * 10 + (v.p[i] - '0');
	if (v.n > 0 && i == v.n)
		*out = ms < MS_MAX ? ms : MS_MAX;
}

/* Of the user's own fields: ours and HTTP/2's begin otherwise. */
static bool
is_users(const struct h2_field *f)
{
	size_t i;

	if (f->name.n == 0 || f->name.p[0] == ':' ||
	    span_eq(f->name, SPAN("content-type")) ||
	    span_starts(f->name, SPAN("hub-")))
		return (false);
	for (i = 0; i < f->name.n; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-_",
			f->name.p[i]) == NULL ||
		    f->name.p[i] == '\0')
			return (false);
	/* They become header lines again. */
	for (i = 0; i < f->value.n; i++)
		if ((unsigned char)f->value.p[i] < ' ' || f->value.p[i] == 0x7f)
			return (false);
	return (true);
}

static char *
put_text(char *at, struct span s)
{
	memcpy(at, s.p, s.n);
	at[s.n] = '\0';
	return (at + s.n + 1);
}

static void
take_users(struct call_want *w, const struct h2_field *f, size_t n)
{
	size_t i, room = 0;
	char *at;

	for (i = 0; i < n; i++)
		if (is_users(&f[i]) && room < WANT_FIELDS_MAX)
			room += f[i].name.n + f[i].value.n + 2;
	if (room == 0)
		return;
	if (room > WANT_FIELDS_MAX)
		room = WANT_FIELDS_MAX;
	at = w->text = xmalloc(room);
	for (i = 0; i < n && w->nfields < PROVIDER_MAX_FIELDS; i++) {
		if (!is_users(&f[i]) || f[i].name.n + f[i].value.n + 2 >
					    room - (size_t)(at - w->text))
			continue;
		w->fields[w->nfields].name = at;
		at = put_text(at, f[i].name);
		w->fields[w->nfields++].value = at;
		at = put_text(at, f[i].value);
	}
}

void
call_want_read(struct call_want *w, const struct h2_field *f, size_t n)
{
	size_t i;

	w->total_ms = TOTAL_MS;
	w->first_ms = FIRST_MS;
	w->idle_ms = IDLE_MS;
	for (i = 0; i < n; i++) {
		if (take_text(w, &f[i]))
			continue;
		if (span_eq(f[i].name, SPAN(LINK_F_DEADLINE)))
			take_ms(&w->total_ms, f[i].value);
		else if (span_eq(f[i].name, SPAN(LINK_F_FIRST)))
			take_ms(&w->first_ms, f[i].value);
		else if (span_eq(f[i].name, SPAN(LINK_F_IDLE)))
			take_ms(&w->idle_ms, f[i].value);
		else if (span_eq(f[i].name, SPAN(LINK_F_STREAM)))
			w->stream = span_eq(f[i].value, SPAN("1"));
	}
	take_users(w, f, n);
}

void
call_want_fini(struct call_want *w)
{
	free(w->text);
	w->text = NULL;
	w->nfields = 0;
}

struct provider_call
call_want_view(const struct call_want *w, struct span body)
{
	return ((struct provider_call){
	    .endpoint = w->endpoint,
	    .dialect = w->dialect,
	    .model = w->model,
	    .object = w->object,
	    .after = w->after,
	    .limit = w->limit,
	    .order = w->order,
	    .content_type = w->content_type,
	    .alt = w->alt,
	    .api_version = w->api_version,
	    .stream = w->stream,
	    .fields = w->fields,
	    .nfields = w->nfields,
	    .body = body,
	});
}

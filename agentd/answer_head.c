/* Which fields of an answer go to the hub, and in what form. */
#include "agentd/answer_head.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/linkproto.h"

/* Values as HTTP allows them; anything else is not worth carrying. */
static bool
is_value(struct span v)
{
	size_t i;

	for (i = 0; i < v.n; i++)
		if (((unsigned char)v.p[i] < ' ' && v.p[i] != '\t') ||
		    v.p[i] == 0x7f)
			return (false);
	return (true);
}

static void
add(struct answer_head *h, struct span name, struct span value)
{
	h->fields[h->n++] = (struct h2_field){name, value};
}

void
answer_head_make(struct answer_head *h, int status, int64_t us,
    const struct upstream_field *f, size_t n, bool (*keep)(struct span name))
{
	size_t i, j, used = 0;

	h->n = 0;
	h->text = NULL;
	snprintf(h->status, sizeof(h->status), "%03d", status % 1000);
	snprintf(h->us, sizeof(h->us), "%lld", (long long)us);
	add(h, SPAN(":status"), span_str(h->status));
	add(h, SPAN(LINK_F_UPSTREAM_US), span_str(h->us));
	for (i = 0; i < n; i++) {
		if (f[i].name.n > sizeof(h->names) - used ||
		    !is_value(f[i].value) || !keep(f[i].name))
			continue;
		for (j = 0; j < f[i].name.n; j++)
			h->names[used + j] =
			    (char)tolower((unsigned char)f[i].name.p[j]);
		add(h, span_of(h->names + used, f[i].name.n), f[i].value);
		used += f[i].name.n;
	}
}

static struct span
move(char **at, struct span s)
{
	struct span there = span_of(*at, s.n);

	memcpy(*at, s.p, s.n);
	*at += s.n;
	return (there);
}

struct answer_head *
answer_head_copy(const struct answer_head *h)
{
	struct answer_head *c = xcalloc(1, sizeof(*c));
	size_t i, room = 1;
	char *at;

	for (i = 0; i < h->n; i++)
		room += h->fields[i].name.n + h->fields[i].value.n;
	at = c->text = xmalloc(room);
	for (i = 0; i < h->n; i++) {
		struct span name = move(&at, h->fields[i].name);

		add(c, name, move(&at, h->fields[i].value));
	}
	return (c);
}

void
answer_head_free(struct answer_head *h)
{
	if (h == NULL)
		return;
	free(h->text);
	free(h);
}

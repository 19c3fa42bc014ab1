/*
 * Azure's URLs, which are either dated (the deployment in the path, a version
 * in the query) or "v1" (the deployment in the body, as a model).
 */
#include "agentd/azure_url.h"

#include <string.h>
#include <strings.h>

#include "agentd/base_url.h"

#define VERSION_MAX 32

/* A base URL, and what of an Azure path it holds already. */
struct azure_base {
	struct base_url url;	/* without any of it */
	struct span deployment; /* that it names; empty: none */
	struct span version;	/* of its query; empty: none */
	bool v1;		/* it says so */
};

static bool
is_version(struct span v)
{
	size_t i;

	for (i = 0; i < v.n; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", v.p[i]) ==
			NULL ||
		    v.p[i] == '\0')
			return (false);
	return (v.n > 0 && v.n <= VERSION_MAX);
}

/* "2024-10-21" and "2025-04-01-preview" are dates. */
static bool
is_dated(struct span v)
{
	return (v.n >= 10 && v.p[0] >= '0' && v.p[0] <= '9');
}

/* Those that there are; another one would be dropped without a word. */
static bool
is_known(struct span v)
{
	return (is_dated(v) || span_eq(v, SPAN("preview")) ||
		span_eq(v, SPAN("latest")));
}

/* A query may hold a version and nothing else. */
static bool
take_query(struct azure_base *b)
{
	struct span q = b->url.query, name = SPAN("api-version=");

	b->version = (struct span){"", 0};
	if (q.n == 0)
		return (true);
	if (q.n < name.n || strncasecmp(q.p, name.p, name.n) != 0)
		return (false);
	b->version = span_of(q.p + name.n, q.n - name.n);
	return (is_version(b->version) && is_known(b->version));
}

/* The segment at the front of a path: "/openai/v1" gives "openai". */
static struct span
take_segment(struct span *path)
{
	struct span s;
	const char *slash;

	while (path->n > 0 && *path->p == '/')
		*path = span_of(path->p + 1, path->n - 1);
	slash = path->n > 0 ? memchr(path->p, '/', path->n) : NULL;
	s = span_of(
	    path->p, slash != NULL ? (size_t)(slash - path->p) : path->n);
	*path = span_of(path->p + s.n, path->n - s.n);
	return (s);
}

/* What stands behind "/openai", as far as it matters. */
static void
take_tail(struct azure_base *b, struct span tail)
{
	struct span s = take_segment(&tail);

	if (span_eq(s, SPAN("v1")))
		b->v1 = true;
	else if (span_eq(s, SPAN("deployments")))
		b->deployment = take_segment(&tail);
}

/*
 * The part before "/openai" is a gateway's and stays. Without that segment
 * the path is a gateway's whole; but "/v1" is OpenAI's habit, and "/models"
 * that of the other APIs of the same resource.
 */
static void
take_path(struct azure_base *b)
{
	struct span path = b->url.path, next, s;

	b->v1 = false;
	b->deployment = (struct span){"", 0};
	while (path.n > 0) {
		struct span here = path;

		s = take_segment(&path);
		next = path;
		/* A gateway may be called so, too. */
		if (!span_ieq(s, SPAN("openai")) ||
		    span_ieq(take_segment(&next), SPAN("openai")))
			continue;
		b->url.path =
		    span_of(b->url.path.p, (size_t)(here.p - b->url.path.p));
		take_tail(b, path);
		return;
	}
	base_url_cut(&b->url, "/chat/completions");
	if (base_url_cut(&b->url, "/v1"))
		b->v1 = true;
	else
		base_url_cut(&b->url, "/models");
}

static bool
azure_base(const char *text, struct azure_base *b)
{
	if (!base_url_split(text, &b->url) || !take_query(b))
		return (false);
	take_path(b);
	return (true);
}

/* The version that counts, or an empty one; see the header. */
static struct span
choose_version(
    const struct azure_base *b, const char *section, const char *user)
{
	struct span v;

	if (section != NULL && section[0] != '\0')
		return (span_str(section));
	v = b->version;
	if (v.n == 0 && user != NULL)
		v = span_str(user);
	if (!is_version(v) || (b->v1 && is_dated(v)))
		return ((struct span){"", 0});
	return (v);
}

/* As a segment it would be another path. */
static bool
is_no_segment(const char *s)
{
	return (
	    strcmp(s, "") == 0 || strcmp(s, ".") == 0 || strcmp(s, "..") == 0);
}

bool
azure_url(const char *base_url, const char *deployment, const char *section,
    const char *user, const char *path, bool scoped, struct buf *out)
{
	struct azure_base b;
	struct span v;

	if (!azure_base(base_url, &b))
		return (false);
	v = choose_version(&b, section, user);
	/* The v1 API has it in the body. */
	scoped = scoped && is_dated(v);
	if (scoped && is_no_segment(deployment))
		return (false);
	base_url_put(&b.url, out);
	buf_addstr(out, is_dated(v) ? "/openai" : "/openai/v1");
	if (scoped) {
		buf_addstr(out, "/deployments/");
		url_encode(out, span_str(deployment));
	}
	buf_addstr(out, path);
	if (is_known(v)) {
		buf_addstr(out, "?api-version=");
		buf_addspan(out, v);
	}
	return (true);
}

struct span
azure_url_deployment(const char *base_url)
{
	struct azure_base b;

	return (azure_base(base_url, &b) ? b.deployment : (struct span){"", 0});
}

const char *
azure_url_flaw(const char *base_url)
{
	struct azure_base b;

	if (!base_url_split(base_url, &b.url))
		return ("base_url is not an http or https URL");
	if (!azure_base(base_url, &b))
		return ("base_url has more in its query than api-version");
	return (NULL);
}

bool
azure_url_is_version(const char *s)
{
	return (is_version(span_str(s)));
}

/*
 * From a request's head to its endpoint: prefixes of providers, fronts that
 * stand for other paths, the allow-list, and the few things in a query that
 * matter.
 */
#include <string.h>

#include "common/http1.h"
#include "hubd/api/dialect.h"
#include "hubd/api/path.h"

/* "/anthropic/v1/messages": one base URL for each of a hub's APIs. That of
 * OpenAI's is among the fronts, for Azure's own paths begin like it. */
static const struct {
	const char *prefix;
	enum dialect dialect;
} prefixes[] = {
    {"/azure", DIALECT_AZURE},
    {"/anthropic", DIALECT_ANTHROPIC},
    {"/google", DIALECT_GEMINI},
    {"/aws", DIALECT_BEDROCK},
};

/* How a path may begin, and what that stands for in endpoints.def. */
static const struct front {
	const char *is, *means;
	enum dialect dialect;
} fronts[] = {
    {"/", "/", DIALECT_COUNT},
    {"/openai/v1/", "/v1/", DIALECT_OPENAI},
    {"/openai/deployments/{model}/", "/v1/", DIALECT_AZURE},
    {"/openai/", "/v1/", DIALECT_AZURE},
    {"/v1/projects/*/locations/*/publishers/*/", "/v1beta/", DIALECT_GEMINI},
    {"/v1beta1/projects/*/locations/*/publishers/*/", "/v1beta/",
	DIALECT_GEMINI},
    {"/v1/publishers/*/", "/v1beta/", DIALECT_GEMINI},
    {"/v1beta1/publishers/*/", "/v1beta/", DIALECT_GEMINI},
    {"/v1alpha/", "/v1beta/", DIALECT_GEMINI},
    {"/v1/", "/v1beta/", DIALECT_GEMINI},
};

/* Whose a path is likely to be that is not found. */
static const struct {
	const char *start;
	enum dialect dialect;
} starts[] = {
    {"/v1/messages", DIALECT_ANTHROPIC},
    {"/v1beta", DIALECT_GEMINI},
    {"/v1alpha/", DIALECT_GEMINI},
    {"/v1/projects/", DIALECT_GEMINI},
    {"/v1/publishers/", DIALECT_GEMINI},
    {"/model/", DIALECT_BEDROCK},
    {"/openai/deployments/", DIALECT_AZURE},
};

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* ---- paths ----------------------------------------------------------------
 */

struct search {
	bool objects;
	struct span path;     /* without a provider's prefix */
	enum dialect only;    /* that the prefix has named; COUNT: any */
	enum dialect prefers; /* where one path is several dialects' */
};

static struct span
from(struct span s, size_t at)
{
	return (span_of(s.p + at, s.n - at));
}

/*
 * Which API a client is of, where the path does not say: it is Anthropic's
 * if it names a version of that API.
 */
static enum dialect
hint(const struct http1_head *head)
{
	if (http1_find(head, "anthropic-version") != NULL ||
	    http1_find(head, "x-api-key") != NULL)
		return (DIALECT_ANTHROPIC);
	if (http1_find(head, "x-goog-api-key") != NULL)
		return (DIALECT_GEMINI);
	if (http1_find(head, "api-key") != NULL)
		return (DIALECT_AZURE);
	return (DIALECT_OPENAI);
}

static void
search_init(struct search *s, const struct http1_head *head, bool objects)
{
	struct span name, rest;
	size_t i;

	s->objects = objects;
	s->path = head->path;
	s->only = DIALECT_COUNT;
	s->prefers = hint(head);
	for (i = 0; i < ROWS(prefixes); i++) {
		if (!path_begins(prefixes[i].prefix, s->path, &rest, &name) ||
		    rest.n == 0 || *rest.p != '/')
			continue;
		s->only = s->prefers = prefixes[i].dialect;
		s->path = rest;
		break;
	}
	/* What a base URL with a slash at its end makes of Azure's paths. */
	if (span_starts(s->path, SPAN("//openai/")))
		s->path = from(s->path, 1);
}

/* The dialect in which a row is spoken behind a front: of Azure's paths some
 * are OpenAI's, and then its key tells. */
static enum dialect
spoken(const struct search *s, const struct front *f, const struct endpoint *e)
{
	enum dialect d = f->dialect != DIALECT_COUNT ? f->dialect : e->dialect;

	if (d == DIALECT_OPENAI && s->prefers == DIALECT_AZURE)
		return (DIALECT_AZURE);
	return (d);
}

/* May a row be had that is spoken so? */
static bool
is_open(const struct search *s, const struct endpoint *e, enum dialect d)
{
	return ((s->objects || e->use == USE_NONE) &&
		(d == e->dialect ||
		    (d == DIALECT_AZURE && e->dialect == DIALECT_OPENAI)) &&
		(s->only == DIALECT_COUNT || s->only == d));
}

struct hit {
	const struct endpoint *endpoint;
	enum dialect dialect;
	bool deployed;
	struct span name;
};

static bool
row_fits(const struct front *f, const struct endpoint *e, struct span rest,
    struct hit *h)
{
	size_t n = strlen(f->means);
	struct span own;

	if (strncmp(e->path, f->means, n) != 0 ||
	    !path_fits(e->path + n, rest, &own))
		return (false);
	/* One name a path; lists of models are nobody's deployment. */
	if (h->deployed && (own.n != 0 || e->local || e->use != USE_NONE))
		return (false);
	if (!h->deployed)
		h->name = own;
	return (true);
}

/* Calls fn for every row that the path fits, until it returns false. */
static void
each_row(const struct search *s, void *arg,
    bool (*fn)(void *arg, const struct hit *))
{
	const struct endpoint *e, *end;
	const struct front *f;
	struct span rest, fixed;
	struct hit h;
	size_t n;

	e = endpoint_all(&n);
	end = e + n;
	for (f = fronts; f < fronts + ROWS(fronts); f++) {
		if (!path_begins(f->is, s->path, &rest, &fixed))
			continue;
		for (e = end - n; e < end; e++) {
			h = (struct hit){
			    e, spoken(s, f, e), fixed.n != 0, fixed};
			if (is_open(s, e, h.dialect) &&
			    row_fits(f, e, rest, &h) && !fn(arg, &h))
				return;
		}
	}
}

struct find {
	const struct search *search;
	struct span method;
	struct hit best;  /* endpoint NULL: none */
	struct hit other; /* under another method */
};

/* Of several dialects' the preferred one's is the best there can be. */
static bool
take_row(void *arg, const struct hit *h)
{
	struct find *f = arg;
	struct hit *slot = span_eq(f->method, span_str(h->endpoint->method))
			       ? &f->best
			       : &f->other;

	if (slot->endpoint == NULL || (h->dialect == f->search->prefers &&
					  slot->dialect != f->search->prefers))
		*slot = *h;
	return (
	    f->best.endpoint == NULL || f->best.dialect != f->search->prefers);
}

static enum dialect
guess(const struct search *s)
{
	size_t i;

	if (s->only != DIALECT_COUNT)
		return (s->only);
	for (i = 0; i < ROWS(starts); i++)
		if (span_starts(s->path, span_str(starts[i].start)))
			return (starts[i].dialect);
	return (s->prefers);
}

const char *
api_alt_str(enum api_alt alt)
{
	static const char *const names[] = {
	    [ALT_NONE] = "",
	    [ALT_SSE] = "sse",
	    [ALT_JSON] = "json",
	    [ALT_ENUM] = "enum",
	};

	return (names[alt]);
}

/* ---- queries --------------------------------------------------------------
 */

enum param { P_ALT, P_DOLLAR_ALT, P_KEY, P_VERSION, P_COUNT };

static const struct {
	const char *name, *twice, *value;
} params[P_COUNT] = {
#define PARAM(p, n)                                   \
	[p] = {n, "The query names \"" n "\" twice.", \
	    "The query's \"" n "\" has a wrong value."}
    PARAM(P_ALT, "alt"),
    PARAM(P_DOLLAR_ALT, "$alt"),
    PARAM(P_KEY, "key"),
    PARAM(P_VERSION, "api-version"),
#undef PARAM
};

static bool
take_alt(struct api_target *t, const char *v)
{
	if (strcmp(v, "sse") == 0)
		t->alt = ALT_SSE;
	else if (strcmp(v, "json") == 0)
		t->alt = ALT_JSON;
	else if (strcmp(v, "json;enum-encoding=int") == 0)
		t->alt = ALT_ENUM;
	else
		return (false);
	return (true);
}

static bool
take_version(struct api_target *t, const char *v)
{
	size_t n = strspn(v, "0123456789abcdefghijklmnopqrstuvwxyz.-");

	if (n == 0 || v[n] != '\0' || n >= sizeof(t->version))
		return (false);
	memcpy(t->version, v, n + 1);
	return (true);
}

static bool
take_value(struct api_target *t, enum param p, struct span raw)
{
	char v[API_NAME_MAX];

	if (!path_decode(raw, v, sizeof(v)))
		return (false);
	switch (p) {
	case P_ALT:
	case P_DOLLAR_ALT:
		/* Other dialects have nothing to choose. */
		return (t->dialect != DIALECT_GEMINI || take_alt(t, v));
	case P_VERSION:
		return (take_version(t, v));
	case P_KEY:
		memcpy(t->key, v, sizeof(v));
		return (true);
	case P_COUNT:
		break;
	}
	return (false);
}

/* The parameter of that name, however it is encoded; COUNT: not one of ours. */
static enum param
param_of(struct span name)
{
	char plain[16];
	enum param p;

	if (!path_decode(name, plain, sizeof(plain)))
		return (P_COUNT);
	for (p = 0; p < P_COUNT && strcmp(plain, params[p].name) != 0; p++)
		;
	return (p);
}

static const char *
take_param(struct api_target *t, struct span pair, unsigned *seen)
{
	const char *equal = memchr(pair.p, '=', pair.n);
	struct span name = pair, value = {NULL, 0};
	enum param p;

	if (equal != NULL) {
		name.n = (size_t)(equal - pair.p);
		value = from(pair, name.n + 1);
	}
	if ((p = param_of(name)) == P_COUNT)
		return (NULL);
	if (*seen & 1u << p)
		return (params[p].twice);
	*seen |= 1u << p;
	return (take_value(t, p, value) ? NULL : params[p].value);
}

static void
take_query(struct api_target *t, struct span query)
{
	const char *and, *why;
	struct span pair;
	unsigned seen = 0;

	while (query.n > 0) {
		and = memchr(query.p, '&', query.n);
		pair = span_of(
		    query.p, and != NULL ? (size_t)(and-query.p) : query.n);
		query = from(query, pair.n + (and != NULL));
		why = pair.n > 0 ? take_param(t, pair, &seen) : NULL;
		if (why == NULL || t->error != API_OK)
			continue;
		t->error = API_ERR_invalid_request;
		t->why = why;
	}
}

/* ---- all of it ------------------------------------------------------------
 */

static bool
take_name(struct api_target *t, const struct hit *h)
{
	bool is_id = strstr(h->endpoint->path, "{id}") != NULL;

	return (
	    h->name.n == 0 ||
	    path_decode(h->name, is_id ? t->object : t->model, API_NAME_MAX));
}

static void
take_path(struct api_target *t, const struct search *s, struct span method)
{
	struct find f = {.search = s, .method = method};
	const struct hit *h = &f.best;

	t->dialect = guess(s);
	each_row(s, &f, take_row);
	if (h->endpoint == NULL) {
		h = &f.other;
		t->error = h->endpoint != NULL ? API_ERR_method_not_allowed
					       : API_ERR_unknown_endpoint;
	} else if (!take_name(t, h)) {
		t->error = API_ERR_invalid_request;
		t->why = "A name in the path is not valid.";
	}
	if (h->endpoint != NULL)
		t->dialect = h->dialect;
	t->endpoint = f.best.endpoint;
}

void
api_target(const struct http1_head *head, bool objects, struct api_target *t)
{
	struct search s;

	memset(t, 0, sizeof(*t));
	search_init(&s, head, objects);
	take_path(t, &s, head->method);
	take_query(t, head->query);
}

static bool
put_method(void *arg, const struct hit *h)
{
	struct buf *out = arg;
	const char *method = h->endpoint->method;

	if (buf_len(out) == 0 ||
	    memmem(buf_ptr(out), buf_len(out), method, strlen(method)) == NULL)
		buf_addf(out, "%s%s", buf_len(out) > 0 ? ", " : "", method);
	return (true);
}

void
api_target_methods(const struct http1_head *head, bool objects, struct buf *out)
{
	struct buf methods = {0};
	struct search s;

	search_init(&s, head, objects);
	each_row(&s, &methods, put_method);
	buf_addspan(out, buf_span(&methods));
	buf_fini(&methods);
}

/* Signature Version 4: the canonical request, and what is signed of it. */
#include "agentd/sigv4.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"

#define ALGORITHM  "AWS4-HMAC-SHA256"
#define YEAR_10000 INT64_C(253402300800) /* its first second */

static bool
is_unreserved(char c)
{
	return ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
		c == '~');
}

static void
encode_byte(struct buf *out, char c)
{
	if (is_unreserved(c))
		buf_add(out, &c, 1);
	else
		buf_addf(out, "%%%02X", (unsigned char)c);
}

static void
encode(struct buf *out, struct span text)
{
	size_t i;

	for (i = 0; i < text.n; i++)
		encode_byte(out, text.p[i]);
}

void
sigv4_hex(const uint8_t digest[SHA256_SIZE], char out[SIGV4_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < SHA256_SIZE; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[2 * SHA256_SIZE] = '\0';
}

static void
add_hex(struct buf *out, const uint8_t digest[SHA256_SIZE])
{
	char hex[SIGV4_HEX_SIZE];

	sigv4_hex(digest, hex);
	buf_addstr(out, hex);
}

/* ---- the canonical path ------------------------------------------------- */

/* Adds "/segment" to the path, or takes the last one away. */
static void
add_segment(struct buf *path, struct span segment)
{
	if (span_eq(segment, SPAN("..")))
		while (buf_len(path) > 0 && path->mem[--path->end] != '/')
			;
	if (segment.n == 0 || span_eq(segment, SPAN(".")) ||
	    span_eq(segment, SPAN("..")))
		return;
	buf_addstr(path, "/");
	encode(path, segment);
}

/* Empty segments and those of dots are gone, a last "/" stays: less than RFC
 * 3986 5.2.4 asks for, but what AWS's own signers do. */
static void
add_normal_path(struct buf *out, struct span path)
{
	struct buf normal = {0};
	size_t i, from = 0;

	for (i = 0; i <= path.n; i++) {
		if (i < path.n && path.p[i] != '/')
			continue;
		add_segment(&normal, span_of(path.p + from, i - from));
		from = i + 1;
	}
	if (buf_len(&normal) == 0 || (path.n > 0 && path.p[path.n - 1] == '/'))
		buf_addstr(&normal, "/");
	buf_addspan(out, buf_span(&normal));
	buf_fini(&normal);
}

static void
add_path(struct buf *out, const struct sigv4_request *r)
{
	size_t i;

	if (!r->keep_path) {
		add_normal_path(out, r->path);
		return;
	}
	for (i = 0; i < r->path.n; i++)
		if (r->path.p[i] == '/')
			buf_addstr(out, "/");
		else
			encode_byte(out, r->path.p[i]);
}

/* ---- the canonical query ------------------------------------------------ */

/* What is encoded stays so; what should be is. */
static void
add_query_part(struct buf *out, struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] == '%' && s.n - i > 2 &&
		    isxdigit((unsigned char)s.p[i + 1]) &&
		    isxdigit((unsigned char)s.p[i + 2]))
			buf_addstr(out, "%");
		else
			encode_byte(out, s.p[i]);
}

/* Name and value, each terminated: a name sorts before its longer kin. */
struct parameter {
	size_t name, value; /* offsets in texts */
};

struct parameters {
	struct buf texts;
	struct parameter *p;
	size_t n;
};

static void
add_parameter(struct parameters *q, struct span s)
{
	const char *eq = s.n > 0 ? memchr(s.p, '=', s.n) : NULL;
	size_t n = eq != NULL ? (size_t)(eq - s.p) : s.n;
	struct parameter *p = &q->p[q->n++];

	p->name = buf_len(&q->texts);
	add_query_part(&q->texts, span_of(s.p, n));
	buf_add(&q->texts, "", 1);
	p->value = buf_len(&q->texts);
	if (eq != NULL)
		add_query_part(&q->texts, span_of(eq + 1, s.n - n - 1));
	buf_add(&q->texts, "", 1);
}

static int
by_name_and_value(const void *x, const void *y, void *texts)
{
	const struct parameter *a = x, *b = y;
	const char *t = texts;
	int order = strcmp(t + a->name, t + b->name);

	return (order != 0 ? order : strcmp(t + a->value, t + b->value));
}

static void
add_query(struct buf *out, struct span query)
{
	struct parameters q = {0};
	size_t i, from = 0, n = 1;
	const char *t;

	for (i = 0; i < query.n; i++)
		n += query.p[i] == '&';
	q.p = xcalloc(n, sizeof(q.p[0]));
	for (i = 0; i <= query.n; i++) {
		if (i < query.n && query.p[i] != '&')
			continue;
		if (i > from)
			add_parameter(&q, span_of(query.p + from, i - from));
		from = i + 1;
	}
	t = buf_ptr(&q.texts);
	qsort_r(q.p, q.n, sizeof(q.p[0]), by_name_and_value, buf_ptr(&q.texts));
	for (i = 0; i < q.n; i++)
		buf_addf(out, "%s%s=%s", i > 0 ? "&" : "", t + q.p[i].name,
		    t + q.p[i].value);
	free(q.p);
	buf_fini(&q.texts);
}

/* ---- the canonical headers ---------------------------------------------- */

static bool
is_blank(char c)
{
	return (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

/* Without blanks around it, and with single ones inside. */
static void
add_value(struct buf *out, struct span v)
{
	bool blank = false, begun = false;
	size_t i;

	for (i = 0; i < v.n; i++) {
		if (is_blank(v.p[i])) {
			blank = begun;
			continue;
		}
		if (blank)
			buf_addstr(out, " ");
		buf_add(out, &v.p[i], 1);
		blank = false;
		begun = true;
	}
}

static void
add_name(struct buf *out, struct span name)
{
	size_t i;
	char c;

	for (i = 0; i < name.n; i++) {
		c = (char)tolower((unsigned char)name.p[i]);
		buf_add(out, &c, 1);
	}
}

/* Names by their letters; the fields of one name in the order they have. */
static int
by_field(const void *x, const void *y)
{
	const struct sigv4_field *const *a = x, *const *b = y;
	size_t na = (*a)->name.n, nb = (*b)->name.n;
	int order;

	order = strncasecmp((*a)->name.p, (*b)->name.p, na < nb ? na : nb);
	if (order == 0)
		order = (na > nb) - (na < nb);
	return (order != 0 ? order : (*a > *b) - (*a < *b));
}

static void
add_fields(struct buf *out, struct buf *names, const struct sigv4_request *r)
{
	const struct sigv4_field *sorted[SIGV4_MAX_FIELDS];
	size_t i;

	assert(r->nfields > 0 && r->nfields <= SIGV4_MAX_FIELDS);
	for (i = 0; i < r->nfields; i++)
		sorted[i] = &r->fields[i];
	qsort(sorted, r->nfields, sizeof(sorted[0]), by_field);
	for (i = 0; i < r->nfields; i++) {
		if (i > 0 && span_ieq(sorted[i - 1]->name, sorted[i]->name)) {
			buf_addstr(out, ",");
			add_value(out, sorted[i]->value);
			continue;
		}
		buf_addstr(out, i > 0 ? "\n" : "");
		buf_addstr(names, i > 0 ? ";" : "");
		add_name(out, sorted[i]->name);
		add_name(names, sorted[i]->name);
		buf_addstr(out, ":");
		add_value(out, sorted[i]->value);
	}
	buf_addstr(out, "\n");
}

void
sigv4_canonical(
    const struct sigv4_request *r, struct buf *out, struct buf *names)
{
	buf_addf(out, "%s\n", r->method);
	add_path(out, r);
	buf_addstr(out, "\n");
	add_query(out, r->query);
	buf_addstr(out, "\n");
	add_fields(out, names, r);
	buf_addstr(out, "\n");
	buf_addspan(out, buf_span(names));
	buf_addstr(out, "\n");
	add_hex(out, r->body);
}

/* ---- the signature ------------------------------------------------------ */

void
sigv4_time(int64_t at, char out[SIGV4_TIME_SIZE])
{
	time_t t = at < 0 ? 0 : at < YEAR_10000 ? at : YEAR_10000 - 1;
	struct tm tm;
	size_t n;

	gmtime_r(&t, &tm);
	n = strftime(out, SIGV4_TIME_SIZE, "%Y%m%dT%H%M%SZ", &tm);
	assert(n == SIGV4_TIME_SIZE - 1);
}

void
sigv4_init(struct sigv4_signer *s, const char *access_key,
    const char *secret_key, const char *region, const char *service)
{
	*s = (struct sigv4_signer){
	    .access_key = access_key,
	    .secret_key = secret_key,
	    .region = region,
	    .service = service,
	};
}

void
sigv4_fini(struct sigv4_signer *s)
{
	crypto_wipe(s->key, sizeof(s->key));
	s->day[0] = '\0';
}

static struct span
digest_span(const uint8_t digest[SHA256_SIZE])
{
	return (span_of((const char *)digest, SHA256_SIZE));
}

/* The key of that day, unless it is the one that is there. */
static void
make_key(struct sigv4_signer *s, const char day[9])
{
	struct buf secret = {0};
	uint8_t k[SHA256_SIZE];

	if (strcmp(s->day, day) == 0)
		return;
	memcpy(s->day, day, sizeof(s->day));
	buf_addf(&secret, "AWS4%s", s->secret_key);
	hmac_sha256(buf_span(&secret), span_str(day), k);
	hmac_sha256(digest_span(k), span_str(s->region), s->key);
	hmac_sha256(digest_span(s->key), span_str(s->service), k);
	hmac_sha256(digest_span(k), SPAN("aws4_request"), s->key);
	crypto_wipe(k, sizeof(k));
	crypto_wipe(secret.mem, secret.cap);
	buf_fini(&secret);
}

void
sigv4_sign(struct sigv4_signer *s, const struct sigv4_request *r, int64_t at,
    struct buf *out)
{
	struct buf canonical = {0}, names = {0}, text = {0};
	uint8_t digest[SHA256_SIZE];
	char time[SIGV4_TIME_SIZE], day[9];

	sigv4_time(at, time);
	memcpy(day, time, 8);
	day[8] = '\0';
	make_key(s, day);
	sigv4_canonical(r, &canonical, &names);
	sha256(buf_span(&canonical), digest);
	buf_addf(&text, ALGORITHM "\n%s\n%s/%s/%s/aws4_request\n", time, day,
	    s->region, s->service);
	add_hex(&text, digest);
	hmac_sha256(digest_span(s->key), buf_span(&text), digest);
	buf_addf(out,
	    ALGORITHM " Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, "
		      "Signature=",
	    s->access_key, day, s->region, s->service, buf_cstr(&names));
	add_hex(out, digest);
	buf_fini(&canonical);
	buf_fini(&names);
	buf_fini(&text);
}

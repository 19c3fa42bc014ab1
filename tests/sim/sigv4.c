/*
 * Verifies AWS Signature Version 4 as Bedrock's front door does, with its
 * words for what is wrong.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/sim/provider.h"
#include "tests/sim/sigv4_canon.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define WINDOW	  300 /* seconds that clocks may differ */
#define HASH	  32
#define HEX	  (2 * HASH)

/* The parts of an Authorization field. */
struct claim {
	struct span access, date, region, service, end;
	struct span scope; /* date to end */
	struct span signed_fields, signature;
};

/* The key that a claim names. */
struct owner {
	const char *secret;
	const char *session; /* NULL: none must be shown */
};

static void
complain(
    struct sigv4_verdict *v, int status, const char *code, const char *message)
{
	v->status = status;
	v->code = code;
	buf_addstr(&v->message, message);
}

/* The value behind name in "A=1, B=2"; n = 0 without. */
static struct span
part_of(struct span list, const char *name)
{
	const char *p = memmem(list.p, list.n, name, strlen(name));
	struct span s = {NULL, 0};
	const char *end = list.p + list.n;

	if (p == NULL)
		return (s);
	s.p = p + strlen(name);
	while (s.p + s.n < end && s.p[s.n] != ',')
		s.n++;
	return (s);
}

/* Up to the next slash, which is taken, too. */
static struct span
next_part(struct span *rest)
{
	const char *slash = memchr(rest->p, '/', rest->n);
	size_t n = slash ? (size_t)(slash - rest->p) : rest->n;
	struct span part = span_of(rest->p, n);

	n += slash != NULL;
	*rest = span_of(rest->p + n, rest->n - n);
	return (part);
}

static bool
parse_claim(struct span field, struct claim *c)
{
	struct span rest = part_of(field, "Credential=");

	c->signed_fields = part_of(field, "SignedHeaders=");
	c->signature = part_of(field, "Signature=");
	if (rest.n == 0 || c->signed_fields.n == 0 || c->signature.n != HEX)
		return (false);
	c->access = next_part(&rest);
	c->scope = rest;
	c->date = next_part(&rest);
	c->region = next_part(&rest);
	c->service = next_part(&rest);
	c->end = next_part(&rest);
	return (rest.n == 0 && span_eq(c->end, SPAN("aws4_request")));
}

static bool
find_owner(const struct claim *c, struct owner *o, struct sigv4_verdict *v)
{
	const struct issued *i;
	bool expired;

	if (sim_secrets.aws_access != NULL &&
	    span_eq(c->access, span_str(sim_secrets.aws_access))) {
		o->secret = sim_secrets.aws_secret;
		o->session = sim_secrets.aws_session;
		return (true);
	}
	i = issued_find(c->access, &expired);
	if (i != NULL) {
		o->secret = i->secret;
		o->session = i->session;
		return (true);
	}
	complain(v, 403,
	    expired ? "ExpiredTokenException" : "UnrecognizedClientException",
	    expired ? "The security token included in the request is expired"
		    : "The security token included in the request is invalid.");
	return (false);
}

static bool
session_fits(
    const struct sim_request *q, const struct owner *o, struct sigv4_verdict *v)
{
	struct span shown = field_of(q, "x-amz-security-token");

	if (o->session == NULL ? shown.n == 0
			       : span_eq(shown, span_str(o->session)))
		return (true);
	complain(v, 403, "UnrecognizedClientException",
	    "The security token included in the request is invalid.");
	return (false);
}

/* Is that name in a list "a;b;c"? */
static bool
is_signed(struct span list, struct span name)
{
	while (list.n >= name.n) {
		const char *semi = memchr(list.p, ';', list.n);
		size_t n = semi ? (size_t)(semi - list.p) : list.n;

		if (span_eq(span_of(list.p, n), name))
			return (true);
		n += semi != NULL;
		list = span_of(list.p + n, list.n - n);
	}
	return (false);
}

/* host, the date and the session token must be signed. */
static bool
signs_enough(
    const struct sim_request *q, const struct claim *c, struct sigv4_verdict *v)
{
	bool session = http1_find(q->head, "x-amz-security-token") != NULL;

	if (is_signed(c->signed_fields, SPAN("host")) &&
	    is_signed(c->signed_fields, SPAN("x-amz-date")) &&
	    (!session ||
		is_signed(c->signed_fields, SPAN("x-amz-security-token"))))
		return (true);
	complain(v, 403, "InvalidSignatureException",
	    "'Host' or ':authority', 'X-Amz-Date' and 'X-Amz-Security-Token' "
	    "must be a 'SignedHeader' in the AWS Authorization.");
	return (false);
}

static bool
parse_time(struct span s, int64_t *when)
{
	char text[17];
	struct tm tm = {0};
	const char *end;

	if (s.n != 16)
		return (false);
	memcpy(text, s.p, 16);
	text[16] = '\0';
	end = strptime(text, "%Y%m%dT%H%M%SZ", &tm);
	*when = timegm(&tm);
	return (end != NULL && *end == '\0');
}

static void
put_time(struct buf *b, int64_t when)
{
	char text[40];

	sim_format_time(when, "%Y%m%dT%H%M%SZ", text, sizeof(text));
	buf_addstr(b, text);
}

static bool
is_timely(int64_t when, struct sigv4_verdict *v)
{
	int64_t now = sim_now();
	bool early = when > now + WINDOW;

	if (!early && when >= now - WINDOW)
		return (true);
	complain(v, 403, "InvalidSignatureException",
	    early ? "Signature not yet current: " : "Signature expired: ");
	put_time(&v->message, when);
	buf_addstr(&v->message,
	    early ? " is still later than " : " is now earlier than ");
	put_time(&v->message, early ? now + WINDOW : now - WINDOW);
	buf_addstr(&v->message, " (");
	put_time(&v->message, now);
	buf_addf(&v->message, " %c 5 min.)", early ? '+' : '-');
	return (false);
}

static bool
check_time(
    const struct sim_request *q, const struct claim *c, struct sigv4_verdict *v)
{
	struct span text = field_of(q, "x-amz-date");
	int64_t when;

	if (!parse_time(text, &when)) {
		complain(v, 400, "IncompleteSignatureException",
		    "Authorization header requires existence of either a "
		    "'X-Amz-Date' or a 'Date' header.");
		return (false);
	}
	if (!span_eq(c->date, span_of(text.p, 8))) {
		complain(v, 403, "InvalidSignatureException",
		    "Date in Credential scope does not match YYYYMMDD from "
		    "ISO-8601 version of date from HTTP");
		return (false);
	}
	return (is_timely(when, v));
}

static bool
check_scope(const struct claim *c, const char *service, struct sigv4_verdict *v)
{
	bool region = c->region.n > 0;

	if (region && span_eq(c->service, span_str(service)))
		return (true);
	complain(v, 403, "InvalidSignatureException",
	    region ? "Credential should be scoped to correct service: '"
		   : "Credential should be scoped to a valid region.");
	if (region)
		buf_addf(&v->message, "%s'.", service);
	return (false);
}

static void
hmac(const unsigned char key[HASH], struct span text, unsigned char out[HASH])
{
	unsigned n = HASH;

	HMAC(EVP_sha256(), key, HASH, (const unsigned char *)text.p, text.n,
	    out, &n);
}

static void
put_hex(struct buf *b, const unsigned char hash[HASH])
{
	for (size_t i = 0; i < HASH; i++)
		buf_addf(b, "%02x", hash[i]);
}

static void
put_hash(struct buf *b, struct span s)
{
	unsigned char hash[HASH];
	unsigned n = HASH;

	EVP_Digest(s.n ? s.p : "", s.n, hash, &n, EVP_sha256(), NULL);
	put_hex(b, hash);
}

/* The signature of a text by a secret, in hex. */
static void
put_signature(struct buf *out, const struct claim *c, const char *secret,
    struct span text)
{
	struct buf first = {0};
	unsigned char key[HASH];
	unsigned n = HASH;

	buf_addf(&first, "AWS4%s", secret);
	HMAC(EVP_sha256(), buf_ptr(&first), (int)buf_len(&first),
	    (const unsigned char *)c->date.p, c->date.n, key, &n);
	buf_fini(&first);
	hmac(key, c->region, key);
	hmac(key, c->service, key);
	hmac(key, c->end, key);
	hmac(key, text, key);
	put_hex(out, key);
}

static void
complain_signature(struct sigv4_verdict *v, struct buf *canon, struct buf *text)
{
	complain(v, 403, "InvalidSignatureException",
	    "The request signature we calculated does not match the "
	    "signature you provided. Check your AWS Secret Access Key and "
	    "signing method. Consult the service documentation for details."
	    "\n\nThe Canonical String for this request should have been\n'");
	buf_addspan(&v->message, buf_span(canon));
	buf_addstr(&v->message, "'\n\nThe String-to-Sign should have been\n'");
	buf_addspan(&v->message, buf_span(text));
	buf_addstr(&v->message, "'\n");
}

static void
check_signature(const struct sim_request *q, const struct claim *c,
    const char *secret, struct sigv4_verdict *v)
{
	struct span told = field_of(q, "x-amz-content-sha256");
	struct buf hash = {0}, canon = {0}, text = {0}, want = {0};
	bool good;

	put_hash(&hash, q->body);
	good = sigv4_canon(q, c->signed_fields, buf_span(&hash), &canon) &&
	       (told.n == 0 || span_eq(told, buf_span(&hash)));
	buf_addstr(&text, ALGORITHM "\n");
	buf_addspan(&text, field_of(q, "x-amz-date"));
	buf_addstr(&text, "\n");
	buf_addspan(&text, c->scope);
	buf_addstr(&text, "\n");
	put_hash(&text, buf_span(&canon));
	put_signature(&want, c, secret, buf_span(&text));
	if (!good || !span_eq(buf_span(&want), c->signature))
		complain_signature(v, &canon, &text);
	buf_fini(&hash);
	buf_fini(&canon);
	buf_fini(&text);
	buf_fini(&want);
}

void
sigv4_verify(
    const struct sim_request *q, const char *service, struct sigv4_verdict *v)
{
	struct span field = field_of(q, "authorization");
	struct claim c = {0};
	struct owner o = {0};

	if (field.n == 0)
		complain(v, 403, "MissingAuthenticationTokenException",
		    "Missing Authentication Token");
	else if (!span_starts(field, SPAN(ALGORITHM " ")) ||
		 !parse_claim(field, &c))
		complain(v, 400, "IncompleteSignatureException",
		    "Authorization header requires 'Credential', "
		    "'SignedHeaders' and 'Signature' parameters.");
	else if (find_owner(&c, &o, v) && session_fits(q, &o, v) &&
		 check_scope(&c, service, v) && signs_enough(q, &c, v) &&
		 check_time(q, &c, v))
		check_signature(q, &c, o.secret, v);
}

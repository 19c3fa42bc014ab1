/*
 * Taking out of a provider's text what could tell of the inside: words are
 * judged one by one and, if a whole word is harmless, by its parts.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "hubd/api/dialect.h"

#define REMOVED	 "[removed]"
#define TEXT_MAX 4096 /* longer texts are cut */

#define DIGIT  "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALNUM  DIGIT LOWER UPPER
#define HEXDIG DIGIT "abcdefABCDEF"

/* Last labels that make a dotted word a host name. Labels that are words
 * or common file endings are not here: those need three labels. */
static const char *const tlds[] = {"com", "net", "org", "io", "ai", "dev",
    "app", "cloud", "co", "edu", "gov", "mil", "info", "biz", "xyz", "tech",
    "internal", "intern", "intranet", "local", "localdomain", "lan", "corp",
    "home", "svc", "cluster", "consul", "arpa", "test", "example", "invalid",
    "private", "onion", "aws", "azure", "google", "us", "uk", "de", "cn", "eu",
    "fr", "jp", "kr", "au", "ca", "ch", "nl", "ru", "sg", "hk", "tw", "br",
    "mx", "se", "fi", "dk", "pl", "cz", "es", "pt", "ie", "nz", "za", "ua",
    "il", "ae", "tv", "cc", "gg", "sh"};

static const char *const endings[] = {"py", "pyc", "go", "rs", "rb", "java",
    "cc", "cpp", "hpp", "ts", "so", "dll", "exe", "conf", "cfg", "ini", "yml",
    "yaml", "pem", "crt", "key", "sock", "log", "toml", "env", "sqlite"};

/* Beginnings of keys and of names of accounts. */
static const char *const key_starts[] = {"sk-", "sk_", "pk-", "pk_", "rk-",
    "rk_", "proj_", "proj-", "gsk_", "xai-", "hf_", "akia", "asia", "aiza",
    "ya29.", "acct_", "ghp_", "nvapi-", "pplx-", "csk-", "eyj", "tgp_", "r8_",
    "fw_", "sess-", "whsec_", "arn:", "projects/", "subscriptions/"};

/* The same, where ordinary words begin like that too. */
static const char *const name_starts[] = {
    "org-", "org_", "user-", "key-", "key_", "team-", "req_", "tenant-"};

/* Names that the user gave or was given in his own conversation. */
static const char *const own_starts[] = {
    "call_", "resp_", "msg_", "fc_", "rs_", "toolu_", "chatcmpl-"};

#define N(list) (sizeof(list) / sizeof((list)[0]))

static bool
is_in(const char *const *list, size_t n, struct span word)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (span_ieq(word, span_str(list[i])))
			return (true);
	}
	return (false);
}

/* The part of word behind one of the beginnings, or n = 0. */
static struct span
behind(const char *const *list, size_t n, struct span word)
{
	size_t i, len;

	for (i = 0; i < n; i++) {
		len = strlen(list[i]);
		if (word.n > len &&
		    span_ieq(span_of(word.p, len), span_str(list[i])))
			return (span_of(word.p + len, word.n - len));
	}
	return (span_of(NULL, 0));
}

static bool
one_of(char c, const char *set)
{
	return (c != '\0' && strchr(set, c) != NULL);
}

/* How many bytes from at on are in set. */
static size_t
run_of(struct span s, size_t at, const char *set)
{
	size_t n = at;

	while (n < s.n && one_of(s.p[n], set))
		n++;
	return (n - at);
}

static bool
has_any(struct span s, const char *set)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (one_of(s.p[i], set))
			return (true);
	}
	return (false);
}

static struct span
from(struct span s, size_t at)
{
	return (span_of(s.p + at, s.n - at));
}

/* ---- hosts and addresses ------------------------------------------------ */

struct labels {
	size_t count, mixed; /* mixed: with a digit among letters, or '-' */
	size_t numeric, under;
	struct span last;
};

static bool
split_labels(struct span host, struct labels *out)
{
	size_t at = 0, n;
	struct span label;

	memset(out, 0, sizeof(*out));
	while (at <= host.n) {
		n = run_of(host, at, ALNUM "-_");
		if (n == 0)
			return (false);
		label = span_of(host.p + at, n);
		out->count++;
		out->numeric += run_of(label, 0, DIGIT) == n;
		out->under += has_any(label, "_");
		out->mixed +=
		    has_any(label, "-") ||
		    (has_any(label, DIGIT) && has_any(label, LOWER UPPER));
		out->last = label;
		at += n;
		if (at < host.n && host.p[at] != '.')
			return (false);
		at++;
	}
	return (true);
}

static bool
is_host(struct span host)
{
	struct labels l;

	if (span_ieq(host, SPAN("localhost")))
		return (true);
	if (!split_labels(host, &l) || l.count < 2 ||
	    has_any(l.last, DIGIT "-_"))
		return (false);
	if (is_in(tlds, N(tlds), l.last))
		return (true);
	return (l.count > 2 && l.numeric == 0 && l.under == 0 &&
		(l.mixed != 0 || l.last.n == 2));
}

/* name:port, where it is more likely that than "code:400". */
static bool
is_host_port(struct span word, size_t colon)
{
	struct span name = span_of(word.p, colon);
	size_t digits = run_of(word, colon + 1, DIGIT);
	struct span port = span_of(word.p + colon + 1, digits);

	if (colon == 0 || digits < 2 || digits > 5 ||
	    colon + 1 + digits != word.n ||
	    run_of(name, 0, ALNUM "-._") != colon ||
	    !has_any(name, LOWER UPPER))
		return (false);
	return (digits >= 4 || span_eq(port, SPAN("80")) ||
		span_eq(port, SPAN("443")) || has_any(name, "."));
}

static bool
is_address(int family, const char *p, size_t n)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a; /* room for either */

	if (n >= sizeof(text))
		return (false);
	memcpy(text, p, n);
	text[n] = '\0';
	return (inet_pton(family, text, &a) == 1);
}

/* Does an IPv4 address begin at at? The byte before is no part of it. */
static bool
ipv4_at(struct span s, size_t at)
{
	size_t n = run_of(s, at, DIGIT ".");

	while (n > 0 && s.p[at + n - 1] == '.')
		n--;
	return (n >= 7 && is_address(AF_INET, s.p + at, n));
}

static bool
ipv6_at(struct span s, size_t at)
{
	size_t n = run_of(s, at, HEXDIG ":.");

	while (n > 2 && s.p[at + n - 1] == '.')
		n--;
	return (n >= 3 && run_of(s, at + n, ALNUM "_") == 0 &&
		is_address(AF_INET6, s.p + at, n));
}

static bool
holds_address(struct span word)
{
	size_t i;

	for (i = 0; i < word.n; i++) {
		/* v1.2.3.4 is a version */
		if (i == 0 || !one_of(word.p[i - 1], DIGIT ".vV")) {
			if (ipv4_at(word, i))
				return (true);
		}
		if (i == 0 || !one_of(word.p[i - 1], ALNUM "_:.")) {
			if (ipv6_at(word, i))
				return (true);
		}
	}
	return (false);
}

/* ---- paths -------------------------------------------------------------- */

static bool
is_path(struct span w)
{
	size_t i, dot = 0, slash = 0;

	if (w.n > 1 && w.p[0] == '/' && one_of(w.p[1], ALNUM "._~-/%$"))
		return (true);
	if (span_starts(w, SPAN("~/")) || span_starts(w, SPAN("./")) ||
	    span_starts(w, SPAN("../")) || span_starts(w, SPAN("\\\\")))
		return (true);
	if (w.n > 2 && one_of(w.p[0], LOWER UPPER) && w.p[1] == ':' &&
	    one_of(w.p[2], "\\/"))
		return (true);
	for (i = 0; i < w.n; i++) {
		if (w.p[i] == '.')
			dot = i + 1;
		if (w.p[i] == '/' || w.p[i] == '\\')
			slash = i + 1;
	}
	return (
	    dot > 1 && dot > slash && is_in(endings, N(endings), from(w, dot)));
}

/* ---- keys and numbers --------------------------------------------------- */

/* Turns between cases and digits inside of one segment: random text has
 * many, names and words have few. */
static size_t
turns(struct span s)
{
	size_t i, n = 0;

	for (i = 1; i < s.n; i++) {
		bool digit = one_of(s.p[i], DIGIT),
		     before = one_of(s.p[i - 1], DIGIT);
		bool lower = one_of(s.p[i - 1], LOWER),
		     upper = one_of(s.p[i], UPPER);

		if (!one_of(s.p[i], ALNUM) || !one_of(s.p[i - 1], ALNUM))
			continue;
		n += digit != before || (lower && upper);
	}
	return (n);
}

static bool
is_random(struct span run)
{
	bool letters = has_any(run, LOWER UPPER);

	if (run.n >= 10 && span_starts(run, SPAN("0x")) &&
	    run_of(run, 2, HEXDIG) == run.n - 2)
		return (true);
	if (run.n >= 16 && run_of(run, 0, HEXDIG) == run.n &&
	    has_any(run, DIGIT))
		return (true);
	if (run.n >= 20 && letters && has_any(run, DIGIT))
		return (true);
	return (run.n >= 40 && letters);
}

/* 8-4-4-4-12 */
static bool
is_uuid(struct span w)
{
	static const size_t at[] = {8, 13, 18, 23};
	size_t i;

	if (w.n != 36)
		return (false);
	for (i = 0; i < N(at); i++) {
		if (w.p[at[i]] != '-')
			return (false);
	}
	return (run_of(w, 0, HEXDIG "-") == 36 && has_any(w, DIGIT));
}

/* 1234-5678-9012 */
static bool
is_grouped_account(struct span w)
{
	return (w.n == 14 && w.p[4] == '-' && w.p[9] == '-' &&
		run_of(w, 0, DIGIT "-") == 14);
}

static bool
is_secret(struct span w)
{
	struct span rest;
	size_t i, n;

	rest = behind(key_starts, N(key_starts), w);
	if (rest.n >= 4)
		return (true);
	rest = behind(name_starts, N(name_starts), w);
	if (rest.n >= 12 || (rest.n >= 4 && has_any(rest, DIGIT UPPER "*")))
		return (true);
	if (has_any(w, "*") && w.n >= 6)
		return (true);
	if (is_uuid(w) || is_grouped_account(w))
		return (true);
	if (behind(own_starts, N(own_starts), w).n > 0)
		return (false);
	for (i = 0; i < w.n; i += n + 1) {
		n = run_of(w, i, ALNUM);
		if (is_random(span_of(w.p + i, n)))
			return (true);
	}
	return (
	    w.n >= 24 && run_of(w, 0, ALNUM "-_+/=") == w.n && turns(w) >= 8);
}

static bool
holds_long_number(struct span w)
{
	size_t i, n;

	for (i = 0; i < w.n; i += n + 1) {
		n = run_of(w, i, DIGIT);
		if (n >= 10)
			return (true);
	}
	return (false);
}

/* ---- words -------------------------------------------------------------- */

static size_t
find(struct span s, const char *set)
{
	size_t i;

	for (i = 0; i < s.n && !one_of(s.p[i], set); i++)
		;
	return (i);
}

static bool
is_sensitive(struct span w)
{
	size_t cut = find(w, ":/?#"), i;

	if (is_host(span_of(w.p, cut)) || is_path(w) || is_secret(w) ||
	    holds_address(w) || holds_long_number(w))
		return (true);
	for (i = 0; i + 2 < w.n; i++) {
		if (memcmp(w.p + i, "://", 3) == 0)
			return (true);
	}
	i = find(w, "@");
	if (i > 0 && i + 1 < w.n && one_of(w.p[i + 1], LOWER UPPER))
		return (true);
	return (cut < w.n && w.p[cut] == ':' && is_host_port(w, cut));
}

#define PARTERS ":/@=|&#?+"

static bool
part_is_sensitive(struct span w)
{
	size_t n;

	for (; w.n > 0; w = from(w, n < w.n ? n + 1 : n)) {
		n = find(w, PARTERS);
		if (n > 0 && is_sensitive(span_of(w.p, n)))
			return (true);
	}
	return (false);
}

/* Also behind the colon of "provided:sk-..." and "at=/etc/x". */
static bool
tail_is_sensitive(struct span w)
{
	size_t n;

	for (n = find(w, ":=|"); n < w.n; n = find(w, ":=|")) {
		w = from(w, n + 1);
		if (is_sensitive(w))
			return (true);
	}
	return (false);
}

static void
put_word(struct buf *out, struct span word)
{
	size_t n = word.n;
	struct span w;

	while (n > 0 && one_of(word.p[n - 1], ".,:;!?"))
		n--;
	w = span_of(word.p, n);
	if (n > 0 &&
	    (is_sensitive(w) || part_is_sensitive(w) || tail_is_sensitive(w)))
		buf_addstr(out, REMOVED);
	else
		buf_addspan(out, w);
	buf_addspan(out, from(word, n));
}

/* Bytes that part words. A URL ends only at those of the second kind. */
static bool
parts_words(char c, bool in_url)
{
	if ((unsigned char)c <= ' ' || one_of(c, "\"'`<>"))
		return (true);
	return (!in_url && ((unsigned char)c >= 0x7f || one_of(c, "()[]{},;")));
}

static size_t
word_len(struct span s)
{
	bool in_url = false;
	size_t n;

	for (n = 0; n < s.n && !parts_words(s.p[n], in_url); n++)
		in_url =
		    in_url || (n >= 2 && memcmp(s.p + n - 2, "://", 3) == 0);
	return (n);
}

void
scrub_text(struct buf *out, struct span text)
{
	size_t n;

	if (text.n > TEXT_MAX)
		text.n = TEXT_MAX;
	while (text.n > 0) {
		n = word_len(text);
		if (n > 0)
			put_word(out, span_of(text.p, n));
		else
			buf_add(out, text.p, n = 1);
		text = from(text, n);
	}
}

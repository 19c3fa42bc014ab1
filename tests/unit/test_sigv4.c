/* Signatures: the published cases, and the paths of models. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agentd/base_url.h"
#include "agentd/sigv4.h"
#include "common/alloc.h"
#include "common/json.h"

#define VECTORS "../shared/vectors/aws-sig-v4"

/* ---- the published cases ------------------------------------------------ */

static char *
read_file(const char *dir, const char *name)
{
	char *path = xasprintf(VECTORS "/%s/%s", dir, name);
	struct buf b = {0};
	FILE *f = fopen(path, "re");
	size_t n;

	ck_assert_msg(f != NULL, "%s", path);
	while ((n = fread(buf_reserve(&b, 4096), 1, 4096, f)) > 0)
		buf_commit(&b, n);
	fclose(f);
	free(path);
	return (buf_cstr(&b));
}

/* A request of the suite, split in place. */
struct parsed {
	char *text;
	struct sigv4_field fields[SIGV4_MAX_FIELDS];
	struct sigv4_request r;
	struct span body;
};

static void
add_field(struct parsed *p, struct span name, struct span value)
{
	ck_assert_uint_lt(p->r.nfields, SIGV4_MAX_FIELDS);
	p->fields[p->r.nfields++] = (struct sigv4_field){name, value};
}

/* A line that goes on behind blanks belongs to the one before. */
static void
take_field(struct parsed *p, char *line, size_t n)
{
	struct sigv4_field *last = p->fields + p->r.nfields - 1;
	char *colon;

	if (line[0] == ' ') {
		last->value.n = (size_t)(line + n - last->value.p);
		return;
	}
	colon = memchr(line, ':', n);
	ck_assert_ptr_nonnull(colon);
	add_field(p, span_of(line, (size_t)(colon - line)),
	    span_of(colon + 1, (size_t)(line + n - colon - 1)));
}

/* Paths and queries of the suite have blanks in them. */
static void
take_target(struct parsed *p, char *line)
{
	char *target = strchr(line, ' '), *end = strstr(line, " HTTP/1.1"), *q;

	ck_assert(target != NULL && end != NULL);
	*target++ = '\0';
	*end = '\0';
	p->r.method = line;
	q = strchr(target, '?');
	p->r.path = span_str(target);
	p->r.query = SPAN("");
	if (q != NULL) {
		p->r.path.n = (size_t)(q - target);
		p->r.query = span_str(q + 1);
	}
}

static void
parse_request(struct parsed *p, char *text)
{
	char *line, *eol;

	*p = (struct parsed){.text = text};
	p->r.fields = p->fields;
	eol = strchr(text, '\n');
	*eol = '\0';
	take_target(p, text);
	for (line = eol + 1; *line != '\0' && *line != '\n'; line = eol + 1) {
		eol = strchrnul(line, '\n');
		take_field(p, line, (size_t)(eol - line));
		if (*eol == '\0')
			break;
	}
	p->body = *line == '\n' ? span_str(line + 1) : SPAN("");
	sha256(p->body, p->r.body);
}

static int64_t
time_of(const char *iso)
{
	struct tm tm = {0};

	ck_assert_ptr_nonnull(strptime(iso, "%Y-%m-%dT%H:%M:%SZ", &tm));
	return (timegm(&tm));
}

/* The signature alone is the end of the header's value. */
static void
check_signature(const char *dir, struct parsed *p, const struct json *context,
    const char *kind)
{
	const struct json *credentials = json_get(context, "credentials");
	struct buf canonical = {0}, names = {0}, out = {0};
	struct sigv4_signer s;
	char file[64], *want;

	snprintf(file, sizeof(file), "%s-canonical-request.txt", kind);
	want = read_file(dir, file);
	sigv4_canonical(&p->r, &canonical, &names);
	ck_assert_msg(strcmp(buf_cstr(&canonical), want) == 0, "%s %s:\n%s\n%s",
	    dir, kind, buf_cstr(&canonical), want);
	free(want);
	snprintf(file, sizeof(file), "%s-signature.txt", kind);
	want = read_file(dir, file);
	sigv4_init(&s, json_get_str(credentials, "access_key_id"),
	    json_get_str(credentials, "secret_access_key"),
	    json_get_str(context, "region"), json_get_str(context, "service"));
	sigv4_sign(
	    &s, &p->r, time_of(json_get_str(context, "timestamp")), &out);
	ck_assert_str_eq(strstr(buf_cstr(&out), "Signature=") + 10, want);
	if (strcmp(kind, "header") == 0) {
		free(want);
		want = read_file(dir, "header-signed-request.txt");
		ck_assert_ptr_nonnull(strstr(want, buf_cstr(&out)));
	}
	free(want);
	sigv4_fini(&s);
	buf_fini(&canonical);
	buf_fini(&names);
	buf_fini(&out);
}

/* As we send it: with X-Amz-Date, and the token unless it is left out. */
static void
check_header(const char *dir, const struct json *context, bool normalise)
{
	const struct json *credentials = json_get(context, "credentials");
	const char *token = json_get_str(credentials, "token");
	char time[SIGV4_TIME_SIZE], digest[2 * SHA256_SIZE + 1] = "";
	struct parsed p;
	size_t i;

	parse_request(&p, read_file(dir, "request.txt"));
	p.r.keep_path = !normalise;
	sigv4_time(time_of(json_get_str(context, "timestamp")), time);
	add_field(&p, SPAN("X-Amz-Date"), span_str(time));
	if (token != NULL && !json_get_bool(context, "omit_session_token", 0))
		add_field(&p, SPAN("X-Amz-Security-Token"), span_str(token));
	if (json_get_bool(context, "sign_body", false)) {
		for (i = 0; i < SHA256_SIZE; i++)
			snprintf(digest + 2 * i, 3, "%02x", p.r.body[i]);
		add_field(&p, SPAN("x-amz-content-sha256"), span_str(digest));
	}
	check_signature(dir, &p, context, "header");
	free(p.text);
}

/* In a URL: the suite's own parameters, its signature taken off again. */
static void
check_query(const char *dir, const struct json *context, bool normalise)
{
	char *text = read_file(dir, "query-signed-request.txt"), *from, *to;
	struct parsed p;

	from = strstr(text, "&X-Amz-Signature=");
	ck_assert_ptr_nonnull(from);
	to = from + strcspn(from + 1, "& ") + 1;
	memmove(from, to, strlen(to) + 1);
	if (json_get_bool(context, "omit_session_token", false)) {
		from = strstr(text, "&X-Amz-Security-Token=");
		ck_assert_ptr_nonnull(from);
		to = from + strcspn(from + 1, "& ") + 1;
		memmove(from, to, strlen(to) + 1);
	}
	parse_request(&p, text);
	p.r.keep_path = !normalise;
	check_signature(dir, &p, context, "query");
	free(text);
}

static void
check_case(const char *dir)
{
	char *text = read_file(dir, "context.json");
	struct json *context = json_parse(span_str(text), NULL, 0);
	bool normalise;

	ck_assert_ptr_nonnull(context);
	normalise = json_get_bool(context, "normalize", true);
	check_header(dir, context, normalise);
	check_query(dir, context, normalise);
	json_free(context);
	free(text);
}

START_TEST(published_cases_have_their_signatures)
{
	DIR *d = opendir(VECTORS);
	struct dirent *e;
	unsigned n = 0;

	if (d == NULL) {
		printf("sigv4: left out, no " VECTORS "\n");
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && e->d_type == DT_DIR) {
			check_case(e->d_name);
			n++;
		}
	closedir(d);
	ck_assert_uint_ge(n, 38);
}
END_TEST

/* ---- our own ------------------------------------------------------------ */

/* The canonical request's line of that number, counted from 0. */
static char *
canonical_line(const struct sigv4_request *r, unsigned line)
{
	struct buf out = {0}, names = {0};
	char *p, *copy;

	sigv4_canonical(r, &out, &names);
	for (p = buf_cstr(&out); line > 0; line--)
		p = strchr(p, '\n') + 1;
	copy = xmemdup0(p, strcspn(p, "\n"));
	buf_fini(&out);
	buf_fini(&names);
	return (copy);
}

static const struct sigv4_field host = {SPAN("Host"), SPAN("h")};

static void
check_path(const char *sent, bool keep, const char *want)
{
	struct sigv4_request r = {.method = "POST",
	    .path = span_str(sent),
	    .fields = &host,
	    .nfields = 1,
	    .keep_path = keep};
	char *line = canonical_line(&r, 1);

	ck_assert_str_eq(line, want);
	free(line);
}

START_TEST(paths_of_models_are_encoded_twice)
{
	const char *arn = "arn:aws:bedrock:eu-west-1:123:inference-profile/"
			  "eu.m-v1:0";
	struct buf path = {0};

	buf_addstr(&path, "/model/");
	url_encode(&path, span_str(arn));
	buf_addstr(&path, "/converse");
	ck_assert_str_eq(buf_cstr(&path),
	    "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123%3A"
	    "inference-profile%2Feu.m-v1%3A0/converse");
	check_path(buf_cstr(&path), false,
	    "/model/arn%253Aaws%253Abedrock%253Aeu-west-1%253A123%253A"
	    "inference-profile%252Feu.m-v1%253A0/converse");
	buf_fini(&path);
}
END_TEST

START_TEST(paths_are_normal_unless_kept)
{
	check_path("/a/b", false, "/a/b");
	check_path("", false, "/");
	check_path("//", false, "/");
	check_path("/..", false, "/");
	check_path("/a/../../b/./c/", false, "/b/c/");
	check_path("/a/...", false, "/a/...");
	check_path("/a//b", true, "/a//b");
	check_path("/a/../b:c", true, "/a/../b%3Ac");
	check_path("/\xc3\xa9 +*'()", false, "/%C3%A9%20%2B%2A%27%28%29");
}
END_TEST

static void
check_query_line(const char *sent, const char *want)
{
	struct sigv4_request r = {.method = "POST",
	    .path = SPAN("/"),
	    .query = span_str(sent),
	    .fields = &host,
	    .nfields = 1};
	char *line = canonical_line(&r, 2);

	ck_assert_str_eq(line, want);
	free(line);
}

START_TEST(parameters_are_sorted_as_encoded)
{
	check_query_line("", "");
	check_query_line("b=2&a=1", "a=1&b=2");
	check_query_line("a=2&a=1&a", "a=&a=1&a=2");
	check_query_line("a-b=1&a=2&ab=3", "a=2&a-b=1&ab=3");
	check_query_line("&&x=%2f%2F&x=a=b&", "x=%2f%2F&x=a%3Db");
	check_query_line("x=50%&y=%zz", "x=50%25&y=%25zz");
}
END_TEST

START_TEST(fields_are_sorted_trimmed_and_joined)
{
	const struct sigv4_field f[] = {
	    {SPAN("X-Amz-Date"), SPAN("20150830T123600Z")},
	    {SPAN("Hosts"), SPAN("")},
	    {SPAN("b"), SPAN("  two \t words ")},
	    {SPAN("host"), SPAN("example.com")},
	    {SPAN("B"), SPAN("three")},
	};
	struct sigv4_request r = {
	    .method = "GET", .path = SPAN("/"), .fields = f, .nfields = 5};
	struct buf out = {0}, names = {0};

	sigv4_canonical(&r, &out, &names);
	ck_assert_str_eq(buf_cstr(&names), "b;host;hosts;x-amz-date");
	ck_assert_str_eq(buf_cstr(&out),
	    "GET\n/\n\nb:two words,three\nhost:example.com\nhosts:\n"
	    "x-amz-date:20150830T123600Z\n\nb;host;hosts;x-amz-date\n"
	    "00000000000000000000000000000000"
	    "00000000000000000000000000000000");
	buf_fini(&out);
	buf_fini(&names);
}
END_TEST

/* The worked example of AWS's documentation of the algorithm. */
START_TEST(the_documented_example_has_its_signature)
{
	const struct sigv4_field f[] = {
	    {SPAN("Host"), SPAN("iam.amazonaws.com")},
	    {SPAN("Content-Type"),
		SPAN("application/x-www-form-urlencoded; charset=utf-8")},
	    {SPAN("X-Amz-Date"), SPAN("20150830T123600Z")},
	};
	struct sigv4_request r = {.method = "GET",
	    .path = SPAN("/"),
	    .query = SPAN("Action=ListUsers&Version=2010-05-08"),
	    .fields = f,
	    .nfields = 3};
	struct sigv4_signer s;
	struct buf out = {0};

	sha256(SPAN(""), r.body);
	sigv4_init(&s, "AKIDEXAMPLE",
	    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "iam");
	sigv4_sign(&s, &r, 1440938160, &out);
	ck_assert_str_eq(buf_cstr(&out),
	    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/"
	    "aws4_request, SignedHeaders=content-type;host;x-amz-date, "
	    "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b59"
	    "24a6f2b5d7");
	sigv4_fini(&s);
	buf_fini(&out);
}
END_TEST

START_TEST(the_key_is_kept_for_its_day_only)
{
	struct sigv4_request r = {
	    .method = "GET", .path = SPAN("/"), .fields = &host, .nfields = 1};
	const int64_t midnight = 1440979200; /* of 2015-08-31 */
	struct sigv4_signer s, fresh;
	struct buf a = {0}, b = {0};
	int64_t at;

	sigv4_init(&s, "AK", "secret", "eu-west-1", "bedrock");
	for (at = midnight - 1; at <= midnight + 1; at++) {
		buf_reset(&a, 4096);
		buf_reset(&b, 4096);
		sigv4_init(&fresh, "AK", "secret", "eu-west-1", "bedrock");
		sigv4_sign(&s, &r, at, &a);
		sigv4_sign(&fresh, &r, at, &b);
		ck_assert_str_eq(buf_cstr(&a), buf_cstr(&b));
		ck_assert_ptr_nonnull(strstr(buf_cstr(&a),
		    at < midnight ? "AK/20150830/eu-west-1/bedrock/"
				  : "AK/20150831/eu-west-1/bedrock/"));
		sigv4_fini(&fresh);
	}
	sigv4_fini(&s);
	buf_fini(&a);
	buf_fini(&b);
}
END_TEST

START_TEST(times_have_their_form)
{
	char t[SIGV4_TIME_SIZE];

	sigv4_time(1440938160, t);
	ck_assert_str_eq(t, "20150830T123600Z");
	sigv4_time(-5, t);
	ck_assert_str_eq(t, "19700101T000000Z");
	sigv4_time(INT64_MAX, t);
	ck_assert_str_eq(t, "99991231T235959Z");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sigv4");
	TCase *t = tcase_create("sigv4");
	SRunner *r;
	int failed;

	tcase_add_test(t, published_cases_have_their_signatures);
	tcase_add_test(t, paths_of_models_are_encoded_twice);
	tcase_add_test(t, paths_are_normal_unless_kept);
	tcase_add_test(t, parameters_are_sorted_as_encoded);
	tcase_add_test(t, fields_are_sorted_trimmed_and_joined);
	tcase_add_test(t, the_documented_example_has_its_signature);
	tcase_add_test(t, the_key_is_kept_for_its_day_only);
	tcase_add_test(t, times_have_their_form);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed > 0);
}

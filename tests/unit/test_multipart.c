/* Forms: what is found under every cut, and what is refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/multipart.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
#define D	    "Content-Disposition: form-data; name="

struct seen {
	char text[4096];
	size_t n;
	unsigned fields, stop_at;
};

static void
put(struct seen *s, struct span v)
{
	ck_assert_uint_le(s->n + v.n, sizeof(s->text));
	if (v.n > 0)
		memcpy(s->text + s->n, v.p, v.n);
	s->n += v.n;
}

/* name=value; and an exclamation mark behind files and cut values. */
static bool
on_field(void *arg, const struct multipart_field *f)
{
	struct seen *s = arg;

	put(s, f->name);
	put(s, SPAN("="));
	put(s, f->text);
	if (f->file)
		put(s, SPAN("!"));
	if (f->cut)
		put(s, SPAN("..."));
	put(s, SPAN(";"));
	return (++s->fields != s->stop_at);
}

static enum multipart_result
scan(struct span body, size_t first, size_t cut, struct seen *s)
{
	enum multipart_result result = MULTIPART_MORE;
	struct multipart m;
	size_t i, n;
	char *copy;

	s->n = s->fields = 0;
	multipart_init(&m, SPAN("b-d"), on_field, s);
	for (i = 0; i < body.n; i += n) {
		n = i == 0 && first > 0 ? first : cut;
		n = body.n - i < n ? body.n - i : n;
		/* apart, so that reading behind the end is seen */
		copy = malloc(n);
		ck_assert_ptr_nonnull(copy);
		memcpy(copy, body.p + i, n);
		result = multipart_feed(&m, span_of(copy, n));
		free(copy);
	}
	return (result);
}

static const struct {
	const char *body;
	enum multipart_result result;
	const char *want;
} bodies[] = {
    {"--b-d\r\n" D "\"model\"\r\n\r\nm\r\n--b-d--\r\n", MULTIPART_DONE,
	"model=m;"},
    {"--b-d\r\n" D "model\r\n\r\nm\r\n--b-d--", MULTIPART_DONE, "model=m;"},
    {"--b-d  \t\r\ncontent-type: a/b\r\ncontent-disposition:form-data ; "
     "filename=\"C:\\x y.wav\"; NAME=\"file\"\r\n\r\n\r\n\r-\n--b-\r\n--b\r\r\n"
     "--b-d \r\n" D "\"\"\r\n\r\n\r\n--b-d--\r\n\r\n",
	MULTIPART_DONE, "file=\r\n\r-\n--b-\r\n--b\r!;=;"},
    {"--b-d\r\n" D "x\r\n\r\n--b-\r\n--b-d--", MULTIPART_DONE, "x=--b-;"},
    /* a file that has fields and boundaries of other forms in it */
    {"--b-d\r\n" D "f; filename=a\r\n\r\n--x\r\n" D
     "model\r\n\r\nno\r\n--x--\r\n\r\n--b-d\r\n" D
     "model\r\n\r\nyes\r\n--b-d--",
	MULTIPART_DONE,
	"f=--x\r\n" D "model\r\n\r\nno\r\n--x--\r\n!;model=yes;"},
    {"--b-d\r\n" D "a\r\nContent-Transfer-Encoding: binary\r\n\r\n1\r\n--b-d--",
	MULTIPART_DONE, "a=1;"},
    /* not whole */
    {"", MULTIPART_MORE, ""},
    {"--b-d\r\n" D "a\r\n\r\n1\r\n--b-d", MULTIPART_MORE, "a=1;"},
    {"--b-d\r\n" D "a\r\n\r\n1\r\n--b-d-", MULTIPART_MORE, "a=1;"},
    /* before, behind */
    {"x\r\n--b-d\r\n" D "a\r\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    {"\r\n--b-d\r\n" D "a\r\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    {"--b-d\r\n" D "a\r\n\r\n1\r\n--b-d--\r\n--b-d\r\n", MULTIPART_BAD, "a=1;"},
    {"--b-d\r\n" D "a\r\n\r\n1\r\n--b-d--x", MULTIPART_BAD, "a=1;"},
    {"--b-d\r\n" D "a\r\n\r\n1\r\n--b-d --", MULTIPART_BAD, "a=1;"},
    {"--b-dx\r\n" D "a\r\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    /* boundaries that only some would see */
    {"--b-d\r\n" D "a\r\n\r\n1\r\n--b-dx\r\n--b-d--", MULTIPART_BAD, "a=1;"},
    {"--b-d\r\n" D "a\r\n\r\n1\n--b-d\r\n", MULTIPART_BAD, ""},
    {"--b-d\r\n" D "a\r\n\r\n1\r--b-d\r\n", MULTIPART_BAD, ""},
    {"--b-d\r\n" D "a\r\n\r\n--b-d--", MULTIPART_BAD, ""},
    {"--b-d\n" D "a\r\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    {"--b-d\r\n" D "a\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    {"--b-d\r\n" D "a\r\n\n1\r\n--b-d--", MULTIPART_BAD, ""},
    /* heads */
    {"--b-d\r\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    {"--b-d\r\nContent-Type: a/b\r\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    {"--b-d\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b-d--",
	MULTIPART_BAD, ""},
    {"--b-d\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--b-d--",
	MULTIPART_BAD, ""},
    {"--b-d\r\n" D "a\r\n" D "b\r\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    {"--b-d\r\n" D "a; name=b\r\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    {"--b-d\r\n" D "a; name*=b\r\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    {"--b-d\r\n" D "\"a\\\"; name=\"b\"\r\n\r\n1\r\n--b-d--", MULTIPART_BAD,
	""},
    {"--b-d\r\n" D "\"a\\b\"\r\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    {"--b-d\r\n" D "a\r\n ; filename=b\r\n\r\n1\r\n--b-d--", MULTIPART_BAD, ""},
    {"--b-d\r\n" D "a\r\nContent-Transfer-Encoding: base64\r\n\r\n1\r\n--b-d--",
	MULTIPART_BAD, ""},
};

START_TEST(a_form_is_read_alike_under_every_cut)
{
	struct span body = span_str(bodies[_i].body);
	struct seen s = {0};
	size_t i;

	ck_assert_int_eq(scan(body, 0, SIZE_MAX, &s), bodies[_i].result);
	ck_assert(span_eq(span_of(s.text, s.n), span_str(bodies[_i].want)));
	for (i = 1; i < body.n; i++) {
		ck_assert_int_eq(
		    scan(body, i, SIZE_MAX, &s), bodies[_i].result);
		ck_assert(
		    span_eq(span_of(s.text, s.n), span_str(bodies[_i].want)));
	}
	ck_assert_int_eq(scan(body, 0, 1, &s), bodies[_i].result);
	ck_assert(span_eq(span_of(s.text, s.n), span_str(bodies[_i].want)));
}
END_TEST

struct place {
	uint64_t begin, size;
};

static bool
take_place(void *arg, const struct multipart_field *f)
{
	struct place *p = arg;

	if (span_eq(f->name, SPAN("model")))
		*p = (struct place){f->begin, f->size};
	return (true);
}

START_TEST(a_field_behind_a_large_file_is_found)
{
	const size_t big = 25u << 20;
	struct place p = {0};
	struct multipart m;
	char *file = malloc(big);
	uint64_t before;
	size_t i;

	ck_assert_ptr_nonnull(file);
	for (i = 0; i < big; i++)
		file[i] = (char)(i * 2654435761u >> 24);
	multipart_init(&m, SPAN("b-d"), take_place, &p);
	multipart_feed(&m, SPAN("--b-d\r\n" D "file; filename=\"a\"\r\n\r\n"));
	ck_assert_int_eq(
	    multipart_feed(&m, span_of(file, big)), MULTIPART_MORE);
	multipart_feed(&m, SPAN("\r\n--b-d\r\n" D "model\r\n\r\n"));
	before = m.offset;
	ck_assert_int_eq(multipart_feed(&m, SPAN("whisper-1\r\n--b-d--\r\n")),
	    MULTIPART_DONE);
	ck_assert_uint_eq(p.begin, before);
	ck_assert_uint_eq(p.size, 9);
	free(file);
}
END_TEST

START_TEST(a_long_value_is_cut_and_counted)
{
	char body[1000] = "--b-d\r\n" D "a\r\n\r\n";
	struct seen s = {0};
	size_t n = strlen(body);

	memset(body + n, 'x', 300);
	strcpy(body + n + 300, "\r\n--b-d--");
	ck_assert_int_eq(scan(span_str(body), 0, SIZE_MAX, &s), MULTIPART_DONE);
	ck_assert_uint_eq(s.n, 2 + MULTIPART_TEXT + 3 + 1);
}
END_TEST

START_TEST(a_handler_stops_it)
{
	struct seen s = {.stop_at = 1};

	ck_assert_int_eq(
	    scan(SPAN("--b-d\r\n" D "a\r\n\r\n1\r\n--b-d--"), 0, SIZE_MAX, &s),
	    MULTIPART_STOPPED);
}
END_TEST

START_TEST(sizes_are_capped)
{
	static char body[MULTIPART_LINE * 8];
	struct seen s = {0};

	strcpy(body, "--b-d\r\n" D "\"");
	memset(body + strlen(body), 'n', MULTIPART_NAME);
	strcat(body, "\"\r\n\r\n");
	ck_assert_int_eq(scan(span_str(body), 0, SIZE_MAX, &s), MULTIPART_BAD);
	strcpy(body, "--b-d\r\nX: ");
	memset(body + strlen(body), 'n', MULTIPART_LINE);
	ck_assert_int_eq(scan(span_str(body), 0, SIZE_MAX, &s), MULTIPART_BAD);
	strcpy(body, "--b-d\r\n");
	while (strlen(body) < MULTIPART_HEAD + 1024)
		strcat(body, "X: 0123456789012345678901234567890123456789\r\n");
	ck_assert_int_eq(scan(span_str(body), 0, SIZE_MAX, &s), MULTIPART_BAD);
}
END_TEST

static const struct {
	const char *type, *boundary;
} types[] = {
    {"multipart/form-data; boundary=----formdata-undici-018167137112",
	"----formdata-undici-018167137112"},
    {"Multipart/Form-Data;boundary=\"a b:c\"", "a b:c"},
    {"multipart/form-data; charset=utf-8 ; Boundary=x", "x"},
    {"multipart/form-data", ""},
    {"multipart/form-data; boundary=", ""},
    {"multipart/form-data; boundary=\"a \"", ""},
    {"multipart/form-data; boundary=\"a;\"", ""},
    {"multipart/form-data; boundary=a; boundary=a", ""},
    {"multipart/form-data; boundary=a b", ""},
    {"multipart/form-data; boundary=\"a", ""},
    {"multipart/form-datax; boundary=a", ""},
    {"multipart/mixed; boundary=a", ""},
    {"application/json", ""},
    {"", ""},
    {"multipart/form-data; boundary="
     "0123456789012345678901234567890123456789012345678901234567890123456789x",
	""},
};

START_TEST(the_boundary_is_in_the_type)
{
	struct span b = multipart_boundary(span_str(types[_i].type));

	ck_assert(span_eq(b, span_str(types[_i].boundary)));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("multipart");
	TCase *tc = tcase_create("multipart");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(
	    tc, a_form_is_read_alike_under_every_cut, 0, ROWS(bodies));
	tcase_add_test(tc, a_field_behind_a_large_file_is_found);
	tcase_add_test(tc, a_long_value_is_cut_and_counted);
	tcase_add_test(tc, a_handler_stops_it);
	tcase_add_test(tc, sizes_are_capped);
	tcase_add_loop_test(tc, the_boundary_is_in_the_type, 0, ROWS(types));
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

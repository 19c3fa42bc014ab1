/* Google's URLs: every place, every form of base URL and model. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/google_url.h"

#define GEMINI	"https://generativelanguage.googleapis.com/v1beta/models/m"
#define IN_EU	"https://europe-west1-aiplatform.googleapis.com/v1beta1"
#define PATH_EU "/projects/p/locations/europe-west1"

/* base URL, model, URL without the method; NULL: refused */
static const struct {
	const char *base, *model, *url;
} gemini[] = {
    {NULL, "m", GEMINI},
    {NULL, "models/m", GEMINI},
    {NULL, "publishers/google/models/m", GEMINI},
    {NULL, "tunedModels/t-1",
	"https://generativelanguage.googleapis.com/v1beta/tunedModels/t-1"},
    {NULL, "a:b",
	"https://generativelanguage.googleapis.com/v1beta/models/a%3Ab"},
    {"https://generativelanguage.googleapis.com", "m", GEMINI},
    {"https://generativelanguage.googleapis.com/", "m", GEMINI},
    {"generativelanguage.googleapis.com", "m", GEMINI},
    {"https://generativelanguage.googleapis.com/v1beta", "m", GEMINI},
    {"https://generativelanguage.googleapis.com/v1beta/", "m", GEMINI},
    {"https://generativelanguage.googleapis.com/v1beta/models", "m", GEMINI},
    {"https://generativelanguage.googleapis.com/v1beta/models/x"
     ":generateContent",
	"m", GEMINI},
    {"https://generativelanguage.googleapis.com/v1beta/openai/", "m", GEMINI},
    {"https://generativelanguage.googleapis.com/v1", "m",
	"https://generativelanguage.googleapis.com/v1/models/m"},
    {"http://127.0.0.1:8000/google/", "m",
	"http://127.0.0.1:8000/google/v1beta/models/m"},
    {"https://gw/models-eu/", "m", "https://gw/models-eu/v1beta/models/m"},
    {NULL, "../x", NULL},
    {NULL, "models/", NULL},
    {NULL, "a/../../x", NULL},
    {NULL, "", NULL},
    {"ftp://x", "m", NULL},
};

START_TEST(a_gemini_url_is_made)
{
	struct google_place at = {.base_url = gemini[_i].base};
	struct buf b = {0}, want = {0};
	bool ok = google_url(&at, gemini[_i].model, "x", "", &b);

	ck_assert_msg(ok == (gemini[_i].url != NULL), "%s", gemini[_i].model);
	if (ok) {
		buf_addf(&want, "%s:x", gemini[_i].url);
		ck_assert_str_eq(buf_cstr(&b), buf_cstr(&want));
	}
	buf_fini(&b);
	buf_fini(&want);
}
END_TEST

static const struct {
	const char *base, *project, *location, *model, *url;
} vertex[] = {
    {NULL, "p", "europe-west1", "m",
	IN_EU PATH_EU "/publishers/google/models/m"},
    {NULL, "p", "europe-west1", "models/m",
	IN_EU PATH_EU "/publishers/google/models/m"},
    {NULL, "p", "europe-west1", "publishers/meta/models/m",
	IN_EU PATH_EU "/publishers/meta/models/m"},
    {NULL, "p", "europe-west1", "endpoints/123",
	IN_EU PATH_EU "/endpoints/123"},
    {NULL, "p", "europe-west1", "projects/q/locations/l/endpoints/1",
	IN_EU "/projects/q/locations/l/endpoints/1"},
    {NULL, "p", "europe-west1", "claude@2025",
	IN_EU PATH_EU "/publishers/google/models/claude@2025"},
    {NULL, "example.com:p", "global", "m",
	"https://aiplatform.googleapis.com/v1beta1/projects/example.com%3Ap"
	"/locations/global/publishers/google/models/m"},
    {NULL, "p", "us", "m",
	"https://aiplatform.us.rep.googleapis.com/v1beta1/projects/p"
	"/locations/us/publishers/google/models/m"},
    {NULL, "p", "eu", "m",
	"https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/p"
	"/locations/eu/publishers/google/models/m"},
    /* express mode */
    {NULL, NULL, "global", "m",
	"https://aiplatform.googleapis.com/v1beta1"
	"/publishers/google/models/m"},
    {"https://europe-west1-aiplatform.googleapis.com", "p", "europe-west1", "m",
	IN_EU PATH_EU "/publishers/google/models/m"},
    {"https://europe-west1-aiplatform.googleapis.com/v1/", "p", "europe-west1",
	"m",
	"https://europe-west1-aiplatform.googleapis.com/v1" PATH_EU
	"/publishers/google/models/m"},
    {IN_EU "/projects/z/locations/z/publishers/google/models/z:predict", "p",
	"europe-west1", "m", IN_EU PATH_EU "/publishers/google/models/m"},
    {IN_EU "/publishers/google/models", "p", "europe-west1", "m",
	IN_EU PATH_EU "/publishers/google/models/m"},
    {NULL, "p", "global", "publishers/../x", NULL},
};

START_TEST(a_vertex_url_is_made)
{
	struct google_place at = {
	    .base_url = vertex[_i].base,
	    .vertex = true,
	    .project = vertex[_i].project,
	    .location = vertex[_i].location,
	};
	struct buf b = {0}, want = {0};
	bool ok = google_url(&at, vertex[_i].model, "x", "", &b);

	ck_assert_msg(ok == (vertex[_i].url != NULL), "%s", vertex[_i].model);
	if (ok) {
		buf_addf(&want, "%s:x", vertex[_i].url);
		ck_assert_str_eq(buf_cstr(&b), buf_cstr(&want));
	}
	buf_fini(&b);
	buf_fini(&want);
}
END_TEST

static const struct {
	const char *alt, *query;
} alts[] = {
    {"", ""},
    {"json", ""},
    {"sse", "?alt=sse"},
    {"enum", "?%24alt=json%3Benum-encoding%3Dint"},
    {"x&y", ""},
};

START_TEST(a_form_is_a_query)
{
	struct google_place at = {0};
	struct buf b = {0}, want = {0};

	ck_assert(
	    google_url(&at, "m", "streamGenerateContent", alts[_i].alt, &b));
	buf_addf(&want, GEMINI ":streamGenerateContent%s", alts[_i].query);
	ck_assert_str_eq(buf_cstr(&b), buf_cstr(&want));
	buf_fini(&b);
	buf_fini(&want);
}
END_TEST

START_TEST(a_host_of_vertex_is_known)
{
	ck_assert(google_url_is_vertex("aiplatform.googleapis.com"));
	ck_assert(google_url_is_vertex(IN_EU));
	ck_assert(
	    google_url_is_vertex("https://aiplatform.eu.rep.googleapis.com"));
	ck_assert(!google_url_is_vertex(GEMINI));
	ck_assert(!google_url_is_vertex("http://127.0.0.1:1/aiplatform"));
	ck_assert(!google_url_is_vertex(NULL));
	ck_assert(!google_url_is_vertex(""));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("google_url");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(
	    t, a_gemini_url_is_made, 0, sizeof(gemini) / sizeof(gemini[0]));
	tcase_add_loop_test(
	    t, a_vertex_url_is_made, 0, sizeof(vertex) / sizeof(vertex[0]));
	tcase_add_loop_test(
	    t, a_form_is_a_query, 0, sizeof(alts) / sizeof(alts[0]));
	tcase_add_test(t, a_host_of_vertex_is_known);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return (failed == 0 ? 0 : 1);
}

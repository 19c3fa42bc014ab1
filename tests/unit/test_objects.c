/* What requests and answers say of files, batches and stored responses. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hubd/api/api.h"

#define LOOP(tc, test, table) \
	tcase_add_loop_test(tc, test, 0, sizeof(table) / sizeof((table)[0]))

static struct api_target
target_of(const char *id)
{
	struct api_target t = {.dialect = DIALECT_OPENAI};

	t.endpoint = endpoint_by_id(span_str(id));
	ck_assert_ptr_nonnull(t.endpoint);
	return (t);
}

/* ---- paths ----------------------------------------------------------------
 */

static const struct {
	const char *method, *path, *id, *object;
	enum dialect dialect;
} paths[] = {
    {"POST", "/v1/files", "files.create", "", DIALECT_OPENAI},
    {"GET", "/v1/files", "files.list", "", DIALECT_OPENAI},
    {"GET", "/v1/files/file-a.b_c", "files.retrieve", "file-a.b_c",
	DIALECT_OPENAI},
    {"GET", "/openai/v1/files/file-a/content", "files.content", "file-a",
	DIALECT_OPENAI},
    {"DELETE", "/v1/files/file-a", "files.delete", "file-a", DIALECT_OPENAI},
    {"POST", "/v1/batches", "batches.create", "", DIALECT_OPENAI},
    {"GET", "/v1/batches", "batches.list", "", DIALECT_OPENAI},
    {"POST", "/v1/batches/b/cancel", "batches.cancel", "b", DIALECT_OPENAI},
    {"GET", "/v1/responses/resp_1", "responses.retrieve", "resp_1",
	DIALECT_OPENAI},
    {"POST", "/v1/responses/resp_1/cancel", "responses.cancel", "resp_1",
	DIALECT_OPENAI},
    {"POST", "/v1/responses/compact", "responses.compact", "", DIALECT_OPENAI},
    {"GET", "/v1/responses/resp_1/input_items", "responses.input_items",
	"resp_1", DIALECT_OPENAI},
    {"GET", "/openai/files/f?api-version=2025-03-01-preview", "files.retrieve",
	"f", DIALECT_AZURE},
    {"GET", "/v1/files/", NULL, "", DIALECT_OPENAI},
    {"GET", "/v1/files/a/b", NULL, "", DIALECT_OPENAI},
    {"GET", "/v1/files/a%2fcontent", NULL, "", DIALECT_OPENAI},
    {"POST", "/openai/deployments/d/files", NULL, "", DIALECT_AZURE},
};

static struct http1_head
head_of(const char *method, const char *path)
{
	struct http1_head h = {.method = span_str(method)};
	size_t n = strcspn(path, "?");

	h.path = span_of(path, n);
	if (path[n] == '?')
		h.query = span_str(path + n + 1);
	return (h);
}

START_TEST(paths_lead_to_objects_where_they_are_offered)
{
	struct http1_head h = head_of(paths[_i].method, paths[_i].path);
	struct api_target t;

	api_target(&h, true, &t);
	if (paths[_i].id == NULL) {
		ck_assert_ptr_null(t.endpoint);
		return;
	}
	ck_assert_int_eq(t.error, API_OK);
	ck_assert_str_eq(t.endpoint->id, paths[_i].id);
	ck_assert_str_eq(t.object, paths[_i].object);
	ck_assert_int_eq(t.dialect, paths[_i].dialect);
	api_target(&h, false, &t);
	if (strcmp(paths[_i].id, "responses.compact") == 0)
		ck_assert_int_eq(t.error, API_OK);
	else
		ck_assert_int_eq(t.error, API_ERR_unknown_endpoint);
}
END_TEST

START_TEST(what_is_not_offered_has_no_methods)
{
	struct http1_head h = head_of("GET", "/v1/responses/compact");
	struct buf methods = {0};
	struct api_target t;

	api_target(&h, false, &t);
	ck_assert_int_eq(t.error, API_ERR_method_not_allowed);
	api_target_methods(&h, false, &methods);
	ck_assert_str_eq(buf_cstr(&methods), "POST");
	buf_fini(&methods);
}
END_TEST

/* ---- what a body names -----------------------------------------------------
 */

static const struct {
	const char *id, *body;
	const char *refs; /* "r:ID f:ID" */
} named[] = {
    {"responses", "{\"model\":\"m\",\"previous_response_id\":\"resp_1\"}",
	"r:resp_1 "},
    {"responses", "{\"model\":\"m\",\"previous_response_id\":null}", ""},
    {"responses",
	"{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":"
	"\"input_file\",\"file_id\":\"file-1\"},{\"type\":\"input_image\","
	"\"file_id\":\"file-2\"}]}],\"model\":\"m\"}",
	"f:file-1 f:file-2 "},
    {"responses",
	"{\"input\":[{\"type\":\"function_call_output\",\"output\":[{"
	"\"type\":\"input_file\",\"\\u0066ile_id\":\"file-3\"}]}],"
	"\"model\":\"m\"}",
	"f:file-3 "},
    {"responses",
	"{\"model\":\"m\",\"tools\":[{\"type\":\"code_interpreter\","
	"\"container\":{\"type\":\"auto\",\"file_ids\":[\"file-4\","
	"\"file-5\"],\"x\":\"y\"}}]}",
	"f:file-4 f:file-5 "},
    {"responses.input_tokens",
	"{\"model\":\"m\",\"previous_response_id\":\"resp_2\"}", "r:resp_2 "},
    {"chat.completions",
	"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{"
	"\"type\":\"file\",\"file\":{\"file_id\":\"file-6\",\"filename\":"
	"\"n\"}}]}]}",
	"f:file-6 "},
    {"responses",
	"{\"model\":\"m\",\"metadata\":{\"file_id\":\"x\"},\"tools\":[{"
	"\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":"
	"\"object\",\"properties\":{\"file_id\":{\"type\":\"string\"},"
	"\"file_ids\":{\"type\":\"array\"}},\"required\":[\"file_id\"]}}]}",
	""},
    {"batches.create",
	"{\"endpoint\":\"/v1/x\",\"input_file_id\":\"file-7\","
	"\"metadata\":{\"input_file_id\":\"file-8\"}}",
	"f:file-7 "},
};

START_TEST(what_a_body_names_is_found)
{
	struct api_target t = target_of(named[_i].id);
	struct buf refs = {0};
	struct api_request r;
	const char *why;
	uint32_t i;

	ck_assert_int_eq(
	    api_inspect(&t, span_str(named[_i].body), &r, &why), API_OK);
	for (i = 0; i < r.nrefs; i++) {
		struct api_place at = r.refs[i].at;

		buf_addf(&refs, "%c:%.*s ",
		    r.refs[i].kind == OBJECT_FILE ? 'f' : 'r',
		    (int)(at.end - at.begin), named[_i].body + at.begin);
	}
	ck_assert_str_eq(buf_cstr(&refs), named[_i].refs);
	buf_fini(&refs);
}
END_TEST

START_TEST(more_than_there_is_room_for_is_counted)
{
	struct api_target t = target_of("responses");
	struct buf body = {0};
	struct api_request r;
	const char *why;
	int i;

	buf_addstr(&body, "{\"model\":\"m\",\"input\":[");
	for (i = 0; i < 100; i++)
		buf_addf(&body, "%s{\"file_id\":\"f%d\"}", i > 0 ? "," : "", i);
	buf_addstr(&body, "]}");
	ck_assert_int_eq(api_inspect(&t, buf_span(&body), &r, &why), API_OK);
	ck_assert_uint_eq(r.nrefs, 100);
	buf_fini(&body);
}
END_TEST

START_TEST(a_response_says_that_it_is_not_to_be_stored)
{
	struct api_target t = target_of("responses");
	struct api_request r;
	const char *why;

	api_inspect(&t, SPAN("{\"model\":\"m\",\"store\":false}"), &r, &why);
	ck_assert(r.no_store);
	api_inspect(&t, SPAN("{\"model\":\"m\",\"store\":true}"), &r, &why);
	ck_assert(!r.no_store);
	api_inspect(&t,
	    SPAN("{\"model\":\"m\",\"metadata\":{\"store\":false}}"), &r, &why);
	ck_assert(!r.no_store);
}
END_TEST

static const struct {
	const char *id, *body;
	bool good;
} bodies[] = {
    {"batches.create", "{\"input_file_id\":\"f\"}", true},
    {"batches.create", "{\"input_file_id\":7}", false},
    {"batches.create", "{\"Input_file_id\":\"f\"}", false},
    {"batches.create", "{\"input_file_i\\u0064\":\"f\"}", false},
    {"batches.create", "{\"input_file_id\":\"f\",\"input_file_id\":\"g\"}",
	false},
    {"batches.create", "[]", false},
    {"batches.create", "{", false},
    {"batches.cancel", "", true},
    {"batches.cancel", "{}", true},
    {"batches.cancel", "{\"x\":1}", false},
    {"files.delete", "x", false},
};

START_TEST(bodies_are_what_the_endpoint_takes)
{
	struct api_target t = target_of(bodies[_i].id);
	struct api_request r;
	const char *why = NULL;
	enum api_error e = api_inspect(&t, span_str(bodies[_i].body), &r, &why);

	ck_assert_int_eq(e, bodies[_i].good ? API_OK : API_ERR_invalid_request);
	ck_assert((why == NULL) == bodies[_i].good);
	if (e == API_OK)
		ck_assert(r.no_model && !api_prepares(&r, SPAN("m"), false));
}
END_TEST

#define PART(name, value)                                     \
	"--b\r\nContent-Disposition: form-data; name=\"" name \
	"\"\r\n\r\n" value "\r\n"
#define FILE_PART                                                         \
	"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=" \
	"\"purpose\"\r\n\r\n{}\r\n"

static const struct {
	const char *body;
	enum api_error error;
	bool batch;
} uploads[] = {
    {PART("purpose", "batch") FILE_PART "--b--\r\n", API_OK, true},
    {FILE_PART PART("purpose", "user_data") "--b--\r\n", API_OK, false},
    {PART("purpose", "Batch") "--b--\r\n", API_OK, true},
    {FILE_PART "--b--\r\n", API_ERR_invalid_request, false},
    {PART("purpose", "a") PART("purpose", "batch") "--b--\r\n",
	API_ERR_invalid_request, false},
    {PART("Purpose", "batch") "--b--\r\n", API_ERR_invalid_request, false},
    {PART("purpose", "batch"), API_ERR_invalid_request, false},
};

START_TEST(an_upload_says_what_it_is_for)
{
	struct api_target t = target_of("files.create");
	struct api_request r;
	const char *why;

	ck_assert_int_eq(api_inspect_form(&t, SPAN("b"),
			     span_str(uploads[_i].body), &r, &why),
	    uploads[_i].error);
	if (uploads[_i].error == API_OK)
		ck_assert_int_eq(r.batch, uploads[_i].batch);
}
END_TEST

/* ---- lists ------------------------------------------------------------------
 */

static const struct {
	const char *query;
	bool good;
	struct api_list list;
} queries[] = {
    {"", true, {.limit = 0}},
    {"limit=7&after=file-1&order=asc", true,
	{.after = "file-1", .limit = 7, .ascending = true}},
    {"order=desc&purpose=batch&x", true, {.descending = true}},
    {"limit=10000", true, {.limit = 10000}},
    {"limit=0", false, {.limit = 0}},
    {"limit=10001", false, {.limit = 0}},
    {"limit=1&limit=2", false, {.limit = 0}},
    {"limit=", false, {.limit = 0}},
    {"after=", false, {.limit = 0}},
    {"after=a%2fb", false, {.limit = 0}},
    {"after=a&after=b", false, {.limit = 0}},
    {"order=up", false, {.limit = 0}},
    {"stream=true", false, {.limit = 0}},
    {"stream=false", true, {.limit = 0}},
};

START_TEST(a_query_says_which_part_of_a_list)
{
	struct api_list list;

	ck_assert_int_eq(api_list_query(span_str(queries[_i].query), &list),
	    queries[_i].good);
	if (!queries[_i].good)
		return;
	ck_assert_str_eq(list.after, queries[_i].list.after);
	ck_assert_uint_eq(list.limit, queries[_i].list.limit);
	ck_assert_int_eq(list.ascending, queries[_i].list.ascending);
	ck_assert_int_eq(list.descending, queries[_i].list.descending);
}
END_TEST

/* ---- answers
 * ------------------------------------------------------------------ */

static struct meter_report
read_answer(const char *id, bool stream, const char *text, size_t cut)
{
	struct meter *m =
	    meter_new(endpoint_by_id(span_str(id)), stream, false);
	struct meter_report r;
	struct buf out = {0};
	size_t i, n = strlen(text);

	for (i = 0; i < n; i += cut)
		meter_feed(
		    m, span_of(text + i, n - i < cut ? n - i : cut), &out);
	meter_finish(m, &out);
	ck_assert_str_eq(buf_cstr(&out), text);
	r = *meter_get(m);
	meter_free(m);
	buf_fini(&out);
	return (r);
}

static const char batch[] =
    "{\"id\":\"batch_1\",\"object\":\"batch\",\"errors\":{\"object\":"
    "\"list\",\"data\":[{\"id\":\"no\",\"status\":\"failed\"}]},"
    "\"metadata\":{\"id\":\"no\",\"status\":\"failed\",\"usage\":"
    "{\"input_tokens\":9}},\"status\":\"completed\",\"output_file_id\":"
    "\"file-o\",\"error_file_id\":null,\"model\":\"gpt-x-2025-08-07\","
    "\"usage\":{\"input_tokens\":100,\"input_tokens_details\":"
    "{\"cached_tokens\":40},\"output_tokens\":30,\"output_tokens_details\":"
    "{\"reasoning_tokens\":10},\"total_tokens\":130}}";

START_TEST(a_batch_says_how_it_ended)
{
	struct meter_report r;
	size_t cut;

	for (cut = 1; cut < sizeof(batch); cut++) {
		r = read_answer("batches.retrieve", false, batch, cut);
		ck_assert_str_eq(r.object.id, "batch_1");
		ck_assert_str_eq(r.object.files[0], "file-o");
		ck_assert_str_eq(r.object.files[1], "");
		ck_assert_str_eq(r.object.model, "gpt-x-2025-08-07");
		ck_assert(r.object.ended && r.has_usage && r.finished);
		ck_assert_uint_eq(r.usage.n[USAGE_input], 60);
		ck_assert_uint_eq(r.usage.n[USAGE_cache_read], 40);
		ck_assert_uint_eq(r.usage.n[USAGE_output], 20);
		ck_assert_uint_eq(r.usage.n[USAGE_reasoning], 10);
	}
}
END_TEST

static const struct {
	const char *status;
	bool ended;
} states[] = {{"validating", false}, {"in_progress", false},
    {"finalizing", false}, {"cancelling", false}, {"unheard_of", false},
    {"completed", true}, {"failed", true}, {"expired", true},
    {"cancelled", true}};

START_TEST(only_some_states_are_an_end)
{
	char text[64];

	snprintf(text, sizeof(text), "{\"id\":\"b\",\"status\":\"%s\"}",
	    states[_i].status);
	ck_assert_int_eq(
	    read_answer("batches.retrieve", false, text, 7).object.ended,
	    states[_i].ended);
}
END_TEST

START_TEST(an_id_is_read_where_it_is_the_answers_own)
{
	struct meter_report r;

	r = read_answer("responses", false,
	    "{\"output\":[{\"id\":\"msg_1\"}],\"id\":\"resp_1\"}", 3);
	ck_assert_str_eq(r.object.id, "resp_1");
	r = read_answer("responses", true,
	    "data: {\"type\":\"response.created\",\"id\":\"no\",\"response\":"
	    "{\"output\":[{\"id\":\"no\"}],\"id\":\"resp_2\"}}\n\n"
	    "data: {\"type\":\"response.completed\",\"response\":{\"id\":"
	    "\"resp_3\"}}\n\n",
	    5);
	ck_assert_str_eq(r.object.id, "resp_2");
	r = read_answer("files.create", false,
	    "{\"object\":\"file\",\"id\":\"file-1\",\"x\":{\"id\":\"no\"}}", 4);
	ck_assert_str_eq(r.object.id, "file-1");
	ck_assert(!r.has_usage);
}
END_TEST

START_TEST(content_is_not_read)
{
	struct meter_report r;

	r = read_answer("files.content", false,
	    "data: {\"usage\":{\"input_tokens\":1}}\n\n", 4);
	ck_assert(!r.has_usage && r.finished && !r.broken);
	ck_assert(!meter_may_sniff(endpoint_by_id(SPAN("files.content"))));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("objects");
	TCase *tc = tcase_create("objects");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	LOOP(tc, paths_lead_to_objects_where_they_are_offered, paths);
	tcase_add_test(tc, what_is_not_offered_has_no_methods);
	LOOP(tc, what_a_body_names_is_found, named);
	tcase_add_test(tc, more_than_there_is_room_for_is_counted);
	tcase_add_test(tc, a_response_says_that_it_is_not_to_be_stored);
	LOOP(tc, bodies_are_what_the_endpoint_takes, bodies);
	LOOP(tc, an_upload_says_what_it_is_for, uploads);
	LOOP(tc, a_query_says_which_part_of_a_list, queries);
	tcase_add_test(tc, a_batch_says_how_it_ended);
	LOOP(tc, only_some_states_are_an_end, states);
	tcase_add_test(tc, an_id_is_read_where_it_is_the_answers_own);
	tcase_add_test(tc, content_is_not_read);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
